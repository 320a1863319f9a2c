//! Spans as OTLP has them: an `ExportTraceServiceRequest` in protobuf's binary form.
//!
//! Sources: opentelemetry-proto 1.x, `collector/trace/v1/trace_service.proto`, `trace/v1/trace.proto`, `common/v1/common.proto` and
//! `resource/v1/resource.proto`; <https://protobuf.dev/programming-guides/encoding/>. The messages are few and only written: it takes less
//! than a library would bring.

use crate::ports::trace::{Attribute, Span, SpanKind};
use tokio::time::Instant;

/// A moment by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anchor {
    pub(super) instant: Instant,
    pub(super) unix_nanos: u64,
}

impl Anchor {
    fn nanos(&self, at: Instant) -> u64 {
        let nanos = |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        match at.checked_duration_since(self.instant) {
            Some(after) => self.unix_nanos.saturating_add(nanos(after)),
            None => self.unix_nanos.saturating_sub(nanos(self.instant.duration_since(at))),
        }
    }
}

/// A message that is being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn tag(&mut self, field: u32, wire_type: u64) {
        self.varint(u64::from(field) << 3 | wire_type);
    }

    fn number(&mut self, field: u32, value: u64) {
        self.tag(field, 0);
        self.varint(value);
    }

    fn fixed64(&mut self, field: u32, value: u64) {
        self.tag(field, 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.tag(field, 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn message(&mut self, field: u32, write: impl FnOnce(&mut Message)) {
        let mut inner = Message::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }

    /// A `KeyValue`.
    fn attribute(&mut self, field: u32, name: &str, value: &Attribute) {
        self.message(field, |pair| {
            pair.bytes(1, name.as_bytes());
            pair.message(2, |any| match value {
                Attribute::Text(text) => any.bytes(1, text.as_bytes()),
                Attribute::Number(number) => any.number(3, number.cast_unsigned()),
            });
        });
    }

    fn span(&mut self, span: &Span, anchor: &Anchor) {
        self.bytes(1, &span.trace.0);
        self.bytes(2, &span.id.0.get().to_be_bytes());
        if let Some(parent) = span.parent {
            self.bytes(4, &parent.0.get().to_be_bytes());
        }
        self.bytes(5, span.name.as_bytes());
        self.number(
            6,
            match span.kind {
                SpanKind::Internal => 1,
                SpanKind::Server => 2,
                SpanKind::Client => 3,
                SpanKind::Consumer => 5,
            },
        );
        self.fixed64(7, anchor.nanos(span.began));
        self.fixed64(8, anchor.nanos(span.ended));
        for (name, value) in &span.attributes {
            self.attribute(9, name, value);
        }
        if span.failed {
            // STATUS_CODE_ERROR
            self.message(15, |status| status.number(3, 2));
        }
    }
}

/// The request that tells a collector of these spans.
pub(super) fn request(spans: &[Span], anchor: &Anchor) -> Vec<u8> {
    let mut request = Message(Vec::with_capacity(256 + 256 * spans.len()));
    request.message(1, |resource_spans| {
        resource_spans.message(1, |resource| {
            resource.attribute(1, "service.name", &env!("CARGO_PKG_NAME").into());
            resource.attribute(1, "service.version", &env!("CARGO_PKG_VERSION").into());
        });
        resource_spans.message(2, |scope_spans| {
            scope_spans.message(1, |scope| scope.bytes(1, env!("CARGO_PKG_NAME").as_bytes()));
            for span in spans {
                scope_spans.message(2, |message| message.span(span, anchor));
            }
        });
    });
    request.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::trace::{SpanId, TraceId};
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use prost::Message as _;
    use std::num::NonZeroU64;
    use std::time::Duration;

    /// What is written here, the published messages read.
    #[tokio::test(start_paused = true)]
    async fn a_collector_reads_what_was_meant() {
        let now = Instant::now();
        let anchor = Anchor { instant: now, unix_nanos: 1_700_000_000_000_000_000 };
        let id = |number| SpanId(NonZeroU64::new(number).expect("no zero"));
        let root = Span {
            trace: TraceId([0xab; 16]),
            id: id(1),
            parent: None,
            name: "POST /v1/carts".into(),
            kind: SpanKind::Server,
            began: now - Duration::from_nanos(5),
            ended: now + Duration::from_millis(3),
            attributes: vec![
                ("text", "শাড়ি".into()),
                ("number", Attribute::Number(-7)),
                ("long", "x".repeat(300).into()),
            ],
            failed: true,
        };
        let child = Span {
            id: id(u64::MAX),
            parent: Some(root.id),
            kind: SpanKind::Client,
            attributes: Vec::new(),
            failed: false,
            ..root.clone()
        };
        let bytes = request(&[root, child], &anchor);
        let read = ExportTraceServiceRequest::decode(&bytes[..]).expect("a message");
        let resource = read.resource_spans[0].resource.as_ref().expect("a resource");
        assert_eq!(resource.attributes[0].key, "service.name");
        let [root, child] = &read.resource_spans[0].scope_spans[0].spans[..] else { panic!("{read:?}") };
        assert_eq!((&root.trace_id[..], &root.span_id[..]), (&[0xab; 16][..], &[0, 0, 0, 0, 0, 0, 0, 1][..]));
        assert_eq!((&root.parent_span_id[..], &child.parent_span_id), (&[][..], &root.span_id));
        assert_eq!((&child.span_id[..], &*root.name), (&[0xff; 8][..], "POST /v1/carts"));
        assert_eq!((root.kind, child.kind), (2, 3));
        assert_eq!(root.start_time_unix_nano, 1_699_999_999_999_999_995);
        assert_eq!(root.end_time_unix_nano, 1_700_000_000_003_000_000);
        let values: Vec<Option<Value>> =
            root.attributes.iter().map(|pair| pair.value.clone().and_then(|any| any.value)).collect();
        let text = |text: &str| Some(Value::StringValue(text.to_owned()));
        assert_eq!(values, [text("শাড়ি"), Some(Value::IntValue(-7)), text(&"x".repeat(300))]);
        assert_eq!((root.status.as_ref().map(|status| status.code), child.status.as_ref()), (Some(2), None));
    }
}
