//! What a checkout writes: its records as lines, and lines as a frame.

use crate::cases::Prepared;
use crate::node::{AtOnce, Node};
use haat::domain::cart::Cart;
use haat::domain::coupon::Coupon;
use haat::domain::customer::Customer;
use haat::domain::entity::concerns::*;
use haat::domain::ids::Kind;
use haat::domain::order::Order;
use haat::domain::record::{RawRecord, Record};
use haat::domain::vendor::Vendor;
use haat::persistence::log_writer::encode;
use haat::ports::Codec;
use std::hint::black_box;
use std::sync::Arc;

const WARM_UP: u64 = 16;
const ROUNDS: u64 = 200;

type RecordOf<E> = Record<<E as Decides>::Event>;

enum AnyRecord {
    Cart(RecordOf<Cart>),
    Order(RecordOf<Order>),
    Vendor(RecordOf<Vendor>),
    Customer(RecordOf<Customer>),
    Coupon(RecordOf<Coupon>),
}

impl AnyRecord {
    fn read(line: &[u8]) -> Self {
        fn typed<E: Entity>(line: &[u8]) -> RecordOf<E> {
            serde_json::from_slice(line).expect("a record is read as it was written")
        }
        let raw: RawRecord<'_> = serde_json::from_slice(line).expect("a line is a record");
        match raw.entity.kind {
            Kind::Cart => Self::Cart(typed::<Cart>(line)),
            Kind::Order => Self::Order(typed::<Order>(line)),
            Kind::Vendor => Self::Vendor(typed::<Vendor>(line)),
            Kind::Customer => Self::Customer(typed::<Customer>(line)),
            Kind::Coupon => Self::Coupon(typed::<Coupon>(line)),
            Kind::Room => panic!("no checkout here comes in by a room"),
        }
    }

    /// As the shell writes it.
    fn write(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(512);
        match self {
            Self::Cart(record) => record.write(&mut line),
            Self::Order(record) => record.write(&mut line),
            Self::Vendor(record) => record.write(&mut line),
            Self::Customer(record) => record.write(&mut line),
            Self::Coupon(record) => record.write(&mut line),
        }
        line
    }
}

/// The lines of so many checkouts, from the first to the last.
fn lines(checkouts: u128) -> Vec<Vec<u8>> {
    let log_writer = Arc::new(AtOnce::default());
    let node = Node::at_once(log_writer.clone());
    log_writer.take();
    node.check_out(0..checkouts);
    let lines = log_writer.take();
    let written = |entity: &str, event: &str| {
        let texts = lines.iter().map(|line| String::from_utf8_lossy(line));
        texts.filter(|text| text.starts_with(&format!("{{\"e\":\"{entity}_")) && text.contains(event)).count() as u128
    };
    let ends = [written("order", "settled"), written("cart", "cart_checked_out")];
    assert_eq!(ends, [checkouts; 2], "each is settled, and its cart closed");
    lines
}

pub fn written() -> Prepared {
    let lines = lines(1);
    let records: Vec<AnyRecord> = lines.iter().map(|line| AnyRecord::read(line)).collect();
    assert!(records.iter().map(AnyRecord::write).eq(lines), "they are written as the shell wrote them");
    let round = move |_| {
        for record in &records {
            black_box(record.write());
        }
    };
    Prepared { warm_up: WARM_UP, rounds: ROUNDS, operations: 1, round: Box::new(round) }
}

pub fn packed() -> Prepared {
    let mut joined = lines(4).join(&b'\n');
    joined.push(b'\n');
    let round = move |_| {
        let (codec, payload) = encode(joined.clone());
        assert_eq!(codec, Codec::Lz4);
        black_box(payload);
    };
    Prepared { warm_up: WARM_UP, rounds: ROUNDS, operations: 1, round: Box::new(round) }
}
