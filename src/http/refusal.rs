//! What the HTTP library answers by itself. It refuses a head that it cannot read with a bare status, before any of our layers sees a
//! request. The connection's stream knows such an answer when it is written, and writes one of ours instead: a problem, with an id.

use crate::http::error::{HEAD_TOO_LARGE, MALFORMED_REQUEST, Problem, ProblemKind, URI_TOO_LONG};
use crate::http::metrics;
use uuid::Uuid;

/// An answer of the library's own is not longer.
const LONGEST: usize = 256;
/// What ends a head, and an answer without a body.
const END: &[u8] = b"\r\n\r\n";

/// An answer of the library's, at the end of what is written.
#[derive(Debug)]
pub(super) struct Bare {
    /// Where it begins.
    pub(super) at: usize,
    kind: &'static ProblemKind,
}

/// Looks for an answer of the library's own at the end of these bytes: it is the last that a connection sends. Ours are told from it by
/// their headers: each has an id.
pub(super) fn find(bytes: &[u8]) -> Option<Bare> {
    // Nearly all writes end in a body.
    if !bytes.ends_with(END) {
        return None;
    }
    let window = bytes.len().saturating_sub(LONGEST);
    let begin = bytes[window..].windows(7).rposition(|some| some == b"HTTP/1.")?;
    let at = window + begin;
    let head = std::str::from_utf8(&bytes[at..bytes.len() - END.len()]).ok()?;
    let mut lines = head.split("\r\n");
    let kind = match lines.next()?.get(8..13)? {
        " 400 " => &MALFORMED_REQUEST,
        " 414 " => &URI_TOO_LONG,
        " 431 " => &HEAD_TOO_LARGE,
        _ => return None,
    };
    let is_bare = lines.all(|line| {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        match name {
            "content-length" => value.trim() == "0",
            "connection" | "date" => true,
            _ => false,
        }
    });
    is_bare.then_some(Bare { at, kind })
}

impl Bare {
    /// What is written in its place. `head` is the library's answer alone.
    pub(super) fn instead(&self, head: &[u8]) -> Vec<u8> {
        #[expect(clippy::disallowed_methods, reason = "an id for a log line: nothing of the engine follows from it")]
        let id = Uuid::new_v4().to_string();
        let status = self.kind.status.as_u16();
        tracing::debug!(id, status, code = self.kind.code, "a request that cannot be read");
        metrics::unreadable(status);
        let detail = match status {
            414 => "the request's target is longer than a server reads",
            431 => "the request's head is larger, or has more fields, than a server reads",
            _ => "this is no request of HTTP/1.1",
        };
        let body = Problem::new(self.kind, detail).to_json(&id);
        let text = String::from_utf8_lossy(head);
        let mut lines = text.trim_end().split("\r\n");
        let mut answer = lines.next().unwrap_or_default().to_owned();
        for date in lines.filter(|line| line.starts_with("date:")) {
            answer.push_str("\r\n");
            answer.push_str(date);
        }
        answer.push_str(&format!(
            "\r\ncontent-type: application/problem+json\r\nx-request-id: {id}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        ));
        [answer.into_bytes(), body].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &str = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\
        date: Wed, 25 Nov 2026 20:00:00 GMT\r\n\r\n";

    #[test]
    fn only_a_bare_answer_at_the_end_is_the_librarys_own() {
        assert_eq!(find(BARE.as_bytes()).map(|bare| (bare.at, bare.kind)), Some((0, &HEAD_TOO_LARGE)));
        // Behind an answer of ours that was not written yet.
        let ours = "HTTP/1.1 200 OK\r\nx-request-id: a\r\ncontent-length: 2\r\n\r\n{}";
        let both = format!("{ours}{BARE}");
        assert_eq!(find(both.as_bytes()).map(|bare| bare.at), Some(ours.len()));
        for other in [
            "",
            "\r\n\r\n",
            ours,
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nx-request-id: a\r\ndate: x\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\nx-request-id: a\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 300\r\n\r\n",
            "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 40\r\n\r\n",
        ] {
            assert!(find(other.as_bytes()).is_none(), "{other}");
        }
    }

    #[test]
    fn what_stands_in_its_place_is_a_problem_with_an_id() {
        let bare = find(BARE.as_bytes()).expect("it is one");
        let text = String::from_utf8(bare.instead(BARE.as_bytes())).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let body_read: serde_json::Value = serde_json::from_str(body).expect("JSON");
        let id = body_read["request_id"].as_str().expect("an id");
        assert_eq!((body_read["code"].as_str(), body_read["status"].as_u64()), (Some("head_too_large"), Some(431)));
        let expected = format!(
            "HTTP/1.1 431 Request Header Fields Too Large\r\ndate: Wed, 25 Nov 2026 20:00:00 GMT\r\n\
             content-type: application/problem+json\r\nx-request-id: {id}\r\nconnection: close\r\ncontent-length: {}",
            body.len()
        );
        assert_eq!(head, expected);
    }
}
