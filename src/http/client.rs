//! From where a request comes. Behind proxies that are trusted, each of which adds the address it was called from at the end of `X-Forwarded-For`, it is
//! the last address that is none of theirs. Without such a setting the header is anybody's to write, and says nothing.
//!
//! `Forwarded` (RFC 7239) is not read. A request does not tell which of the two headers a proxy writes, and the other one is the client's to write: who
//! read both would let clients choose. Proxies have to write the one that is read.

use crate::http::error::Problem;
use crate::http::{HttpState, Settings};
use crate::services::accounts::Visitor;
use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::USER_AGENT;
use http::request::Parts;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// The other end of a connection; the accept loop notes it at requests to routes that ask for it, and at all where all are counted.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Whether a handler of this path asks where a request comes from.
pub fn asks_for_peer(path: &str) -> bool {
    path.starts_with("/v1/auth/") || matches!(path, "/v1/me/password" | "/v1/me/email")
}

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    address: IpAddr,
    bits: u32,
}

impl Block {
    /// Whether it holds this address.
    pub fn holds(self, address: IpAddr) -> bool {
        fn begins(one: &[u8], other: &[u8], bits: u32) -> bool {
            let (bytes, rest) = (bits as usize / 8, bits % 8);
            let mask = !(0xffu8.checked_shr(rest).unwrap_or(0));
            one[..bytes] == other[..bytes] && (rest == 0 || (one[bytes] ^ other[bytes]) & mask == 0)
        }
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(block), IpAddr::V4(address)) => begins(&block.octets(), &address.octets(), self.bits),
            (IpAddr::V6(block), IpAddr::V6(address)) => begins(&block.octets(), &address.octets(), self.bits),
            _ => false,
        }
    }
}

impl FromStr for Block {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("'{text}' is no network: 10.0.0.0/8, 2001:db8::/32 or one address is expected");
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| expected())?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(all), |bits| bits.parse::<u32>().map_err(|_| expected()))?;
        if bits > all {
            return Err(expected());
        }
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Block {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}/{}", self.address, self.bits)
    }
}

/// Whose request it is, by the address of the other end, and by what trusted proxies say.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Block]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|block| block.holds(address));
    if !is_trusted(peer) {
        return peer;
    }
    let values = headers.get_all("x-forwarded-for").iter();
    let named: Vec<&[u8]> = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).collect();
    let mut client = peer;
    for named in named.into_iter().rev() {
        let Ok(named) = str::from_utf8(named.trim_ascii()) else { return client };
        // Some proxies add the port.
        let address = named.parse().or_else(|_| named.parse::<SocketAddr>().map(|address| address.ip()));
        let Ok(address) = address else { return client };
        client = address;
        if !is_trusted(address) {
            return client;
        }
    }
    client
}

/// From where a request comes.
pub fn address(parts: &Parts, settings: &Settings) -> IpAddr {
    let peer = parts.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |Peer(peer)| peer.ip());
    client(peer, &parts.headers, &settings.trusted_proxies)
}

impl FromRequestParts<HttpState> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Problem> {
        let user_agent = parts.headers.get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let printed = |text: &str| text.chars().filter(|letter| !letter.is_control()).collect();
        Ok(Self {
            address: address(parts, &state.settings),
            user_agent: user_agent.map(|text| printed(&text)).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_block_holds_what_begins_like_it() {
        let table = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("0.0.0.0/0", "203.0.113.7", true),
            ("0.0.0.0/0", "::1", false),
            ("192.168.0.128/25", "192.168.0.129", true),
            ("192.168.0.128/25", "192.168.0.127", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("::1", "::1", true),
            ("::/0", "2001:db8::1", true),
        ];
        for (block, address, holds) in table {
            assert_eq!(block.parse::<Block>().unwrap().holds(ip(address)), holds, "{block} {address}");
        }
        for bad in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/-1", "example.com", "10.0.0.0/8/8"]
        {
            assert!(bad.parse::<Block>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_what_a_trusted_proxy_adds_is_believed() {
        let trusted: Vec<Block> = ["10.0.0.0/8", "127.0.0.1"].iter().map(|block| block.parse().unwrap()).collect();
        let table: [(&str, &[&[u8]], &str); 11] = [
            ("203.0.113.7", &[b"198.51.100.1"], "203.0.113.7"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &[b"198.51.100.1"], "198.51.100.1"),
            // Whatever a client writes itself comes before what the first proxy adds.
            ("127.0.0.1", &[b"1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &[b"1.1.1.1, 198.51.100.1, 10.0.0.9"], "198.51.100.1"),
            ("127.0.0.1", &[b"1.1.1.1", b"198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &[b"\xff, 198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &[b"1.1.1.1", b"\xff, 198.51.100.1, 10.0.0.9"], "198.51.100.1"),
            ("127.0.0.1", &[b"10.0.0.1, 10.0.0.2"], "10.0.0.1"),
            ("127.0.0.1", &[b"198.51.100.1:4711"], "198.51.100.1"),
            ("127.0.0.1", &[b"198.51.100.1, unknown"], "127.0.0.1"),
        ];
        for (peer, said, expected) in table {
            let mut headers = HeaderMap::new();
            for said in said {
                headers.append("x-forwarded-for", http::HeaderValue::from_bytes(said).unwrap());
            }
            assert_eq!(client(ip(peer), &headers, &trusted), ip(expected), "{peer} {said:?}");
            assert_eq!(client(ip(peer), &headers, &[]), ip(peer));
            // What the other header says, a client may have written.
            for other in ["for=1.2.3.4", "for=10.0.0.7", "for=\"[2001:db8::1]:4711\";by=127.0.0.1, for=_hidden", ";;"] {
                headers.append("forwarded", http::HeaderValue::from_static(other));
                assert_eq!(client(ip(peer), &headers, &trusted), ip(expected), "{peer} {said:?} {other}");
            }
        }
    }
}
