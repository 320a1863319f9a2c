//! Bodies that a handler answered without reading, as after a 401. hyper closes such a connection without a word, unless the body
//! happens to have arrived already, and a client that uses it again is cut off. So what is left of a small body is read and thrown
//! away before the answer; where that is not possible the answer says that the connection closes.

use bytes::Bytes;
use http::HeaderValue;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderMap, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Bytes that are thrown away before the connection is closed instead.
const DISCARDED_BYTES: usize = 128 * 1024;
/// How long they may take to arrive.
const DISCARD_WITHIN: Duration = Duration::from_millis(500);

/// What came of a body.
#[derive(Default)]
enum Returned {
    /// It was read to its end.
    #[default]
    Nothing,
    /// So much of it was left.
    Rest(Incoming),
    /// It broke off, or cannot be read: nobody knows where the next request would begin.
    Broken,
}

/// A body on loan to a handler.
pub struct Lent {
    body: Option<Incoming>,
    returned: Option<Arc<Mutex<Returned>>>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Some(returned)) = (self.body.take(), &self.returned) {
            *returned.lock() = Returned::Rest(body);
        }
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(cx);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.body = None;
        }
        if let (Poll::Ready(Some(Err(_))), Some(returned)) = (&polled, &self.returned) {
            *returned.lock() = Returned::Broken;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// What comes back of a loan.
pub struct Leftover {
    returned: Option<Arc<Mutex<Returned>>>,
    waits_for_continue: bool,
}

/// Lends a request's body. Where there is nothing to come back, this costs nothing.
pub fn lend(version: Version, headers: &HeaderMap, body: Incoming) -> (Lent, Leftover) {
    // A stream of HTTP/2 is simply reset; its connection goes on.
    let returned = (version < Version::HTTP_2 && !body.is_end_stream()).then(Arc::default);
    let waits_for_continue = headers.contains_key(EXPECT);
    (Lent { body: Some(body), returned: returned.clone() }, Leftover { returned, waits_for_continue })
}

impl Leftover {
    /// Reads what is left, up to the limits, or tells in the answer's `headers` that the connection closes.
    pub async fn discard(self, headers: &mut HeaderMap) {
        let returned = self.returned.map(|returned| std::mem::take(&mut *returned.lock())).unwrap_or_default();
        let goes_on = match returned {
            Returned::Nothing => true,
            Returned::Broken => false,
            // A client that waits for "100 Continue" sends its body only if asked, and asking is what reading would do.
            Returned::Rest(_) if self.waits_for_continue => false,
            Returned::Rest(body) => tokio::time::timeout(DISCARD_WITHIN, read_off(body)).await.unwrap_or(false),
        };
        if !goes_on {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// Whether the body came to its end within the limit.
async fn read_off(mut body: Incoming) -> bool {
    let mut left = DISCARDED_BYTES;
    while let Some(frame) = body.frame().await {
        let length = match frame {
            Ok(frame) => frame.data_ref().map_or(0, Bytes::len),
            Err(_) => return false,
        };
        match left.checked_sub(length) {
            Some(less) => left = less,
            None => return false,
        }
    }
    true
}
