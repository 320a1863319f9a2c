//! Whom a request is addressed to: what stands in front of a shop goes by it, and must not be able to read it
//! otherwise.

use http::header::HOST;
use http::{HeaderMap, Request, Version};
use std::net::Ipv6Addr;

/// The longest name of a host, in bytes (RFC 1035, 2.3.4), with its port.
const LONGEST: usize = 255 + 6;

/// Whether a request names its host as it must: HTTP/1.1 once and well (RFC 9112, 3.2), HTTP/1.0 well if it does,
/// HTTP/2 in `:authority` or `host`, and where it is in both the same (RFC 9113, 8.3.1). Which host it is does not
/// matter.
///
/// # Errors
/// What is wrong, in words.
pub fn check<B>(request: &Request<B>) -> Result<(), &'static str> {
    let host = only(request.headers())?;
    if host.is_some_and(|host| !is_host(host)) {
        return Err("the header Host is no host with a port or without one");
    }
    match (request.version(), host, request.uri().authority()) {
        (Version::HTTP_2, Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority.as_str().as_bytes()) => {
            Err(":authority and the header Host name two hosts")
        }
        (Version::HTTP_2, None, Some(authority)) if !is_host(authority.as_str().as_bytes()) => {
            Err(":authority is no host with a port or without one")
        }
        (Version::HTTP_2, None, None) => Err("neither :authority nor the header Host names a host"),
        (Version::HTTP_11, None, _) => Err("the header Host is missing"),
        _ => Ok(()),
    }
}

fn only(headers: &HeaderMap) -> Result<Option<&[u8]>, &'static str> {
    let mut values = headers.get_all(HOST).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err("there is more than one header Host"),
        (value, None) => Ok(value.map(http::HeaderValue::as_bytes)),
    }
}

/// A name, an IPv4 address or an IPv6 address in brackets, and maybe a port. Names that are written otherwise (with
/// percent signs, say) are in no use.
fn is_host(text: &[u8]) -> bool {
    if text.len() > LONGEST {
        return false;
    }
    if let Some(rest) = text.strip_prefix(b"[") {
        let Some(end) = rest.iter().position(|byte| *byte == b']') else { return false };
        let (address, port) = (&rest[..end], &rest[end + 1..]);
        let is_address = str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
        return is_address && (port.is_empty() || port.strip_prefix(b":").is_some_and(is_port));
    }
    let (name, port) = match text.iter().position(|byte| *byte == b':') {
        Some(colon) => (&text[..colon], Some(&text[colon + 1..])),
        None => (text, None),
    };
    let name = name.strip_suffix(b".").unwrap_or(name);
    let is_label = |label: &[u8]| {
        !label.is_empty() && label.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~'))
    };
    name.split(|byte| *byte == b'.').all(is_label) && port.is_none_or(is_port)
}

/// A port may be left empty (RFC 3986, 3.2.3).
fn is_port(digits: &[u8]) -> bool {
    digits.len() <= 5
        && digits.iter().all(u8::is_ascii_digit)
        && digits.iter().fold(0_u32, |port, digit| port * 10 + u32::from(digit - b'0')) <= u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [&str; 14] = [
        "x",
        "shop.example",
        "shop.example.",
        "SHOP.example:8080",
        "127.0.0.1:0",
        "localhost:",
        "localhost:65535",
        "my_shop-1:80",
        "[::1]",
        "[::1]:8080",
        "[::ffff:10.0.0.1]:",
        "xn--e1afmkfd.example",
        "~x",
        "0",
    ];

    const BAD: [&str; 36] = [
        "",
        " ",
        "a b",
        "a,b",
        "a, b",
        "a/b",
        "/",
        "a?b",
        "a#b",
        "a@b",
        "user:word@a",
        "http://a",
        "a:b",
        "a:80:80",
        ":80",
        ":",
        "a:65536",
        "a:99999",
        "a:000080",
        "a:-1",
        "a:+1",
        "a: 80",
        ".",
        "..",
        ".a",
        "a..b",
        "a%41",
        "[",
        "[]",
        "[::1",
        "[::1]80",
        "[::1]:x",
        "[::g]",
        "[fe80::1%25eth0]",
        "\u{e9}",
        "a\\b",
    ];

    fn of(version: Version, hosts: &[&str], uri: &str) -> Result<(), &'static str> {
        let mut request = Request::builder().version(version).uri(uri);
        for host in hosts {
            request = request.header(HOST, http::HeaderValue::from_bytes(host.as_bytes()).unwrap());
        }
        check(&request.body(()).unwrap())
    }

    #[test]
    fn a_host_is_named_once_and_well() {
        for good in GOOD {
            for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
                assert_eq!(of(version, &[good], "/"), Ok(()), "{good:?}");
                assert!(of(version, &[good, good], "/").is_err(), "{good:?} twice");
            }
        }
        let long = "a".repeat(300);
        for bad in BAD.into_iter().chain([long.as_str()]) {
            for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
                assert!(of(version, &[bad], "/").is_err(), "{bad:?}");
            }
        }
        assert_eq!(of(Version::HTTP_10, &[], "/"), Ok(()));
        assert!(of(Version::HTTP_11, &[], "/").is_err());
        assert!(of(Version::HTTP_11, &[], "http://elsewhere.example/").is_err());
        assert_eq!(of(Version::HTTP_11, &["x"], "http://elsewhere.example/"), Ok(()), "asked as a proxy is");
    }

    #[test]
    fn http2_names_one_host_in_one_place_or_two() {
        let http2 = |hosts: &[&str], uri: &str| of(Version::HTTP_2, hosts, uri);
        assert_eq!(http2(&[], "http://shop.example:80/"), Ok(()));
        assert_eq!(http2(&["SHOP.example:80"], "http://shop.example:80/"), Ok(()));
        assert!(http2(&["other.example"], "http://shop.example/").is_err());
        assert!(http2(&["shop.example:80"], "http://shop.example/").is_err());
        assert!(http2(&[], "http://user:word@shop.example/").is_err());
        assert!(http2(&[], "/").is_err());
    }
}
