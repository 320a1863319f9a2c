//! Frames: whatever stands in the journal's column is read or refused, without a panic and without more memory than its bytes can
//! stand for; and what the lane writes is read as it was.
#![no_main]

use haat::domain::record::RawRecord;
use haat::domain::time::Timestamp;
use haat::persistence::log_writer::{decode, encode};
use haat::persistence::recovery::for_each_record;
use haat::ports::{Codec, Frame};
use haat_fuzz::fuzz_target;
use uuid::Uuid;

fn frame(codec: Codec, payload: Vec<u8>) -> Frame {
    Frame {
        partition: 3,
        seq: 1,
        epoch: 1,
        at: Timestamp::from_millis(0),
        batch: Uuid::nil(),
        records: 1,
        codec,
        payload,
    }
}

/// A frame is read or refused. What is read has records that are written as they were read, and makes a frame that is read the same.
fn read(frame: &Frame) {
    let decoded = decode(frame);
    let mut lines = 0;
    let read = for_each_record(frame, |record, line| {
        lines += 1;
        let json = serde_json::to_vec(record).expect("a record is JSON");
        let again: RawRecord<'_> = serde_json::from_slice(&json).expect("a record's own JSON is read");
        assert_eq!((again.entity, again.version, again.at), (record.entity, record.version, record.at));
        // Only an `ev` that says null is as one that is not there.
        let text = |raw: Option<&serde_json::value::RawValue>| raw.map(|raw| raw.get().to_owned());
        assert_eq!(text(again.events), text(record.events));
        assert_eq!(text(again.answers), text(record.answers));
        assert!(!line.contains(&b'\n'));
    });
    assert!(decoded.is_ok() || read.is_err());
    if let Ok(decoded) = decoded {
        // LZ4's format makes at most 255 bytes of one.
        assert!(decoded.len() <= frame.payload.len().saturating_mul(255));
        read_back(decoded);
    }
}

/// What the lane writes is read as it was.
fn read_back(lines: Vec<u8>) -> Frame {
    let (codec, payload) = encode(lines.clone());
    assert!(payload.len() <= lines.len());
    let written = frame(codec, payload);
    assert_eq!(decode(&written).expect("what was written is read"), lines);
    written
}

fuzz_target!(|data: &[u8]| {
    let Some((how, data)) = data.split_first() else { return };
    match how % 3 {
        0 => read(&frame(Codec::Plain, data.to_vec())),
        1 => read(&frame(Codec::Lz4, data.to_vec())),
        // A frame as the lane writes it, and then some of its bytes are others.
        _ => {
            let Some(([repeated, flips], data)) = data.split_first_chunk::<2>() else { return };
            let Some((flips, lines)) = data.split_at_checked(usize::from(flips % 8) * 3) else { return };
            let mut written = read_back(lines.repeat(usize::from(repeated % 64) + 1));
            for flip in flips.chunks_exact(3) {
                let place = usize::from(u16::from_be_bytes([flip[0], flip[1]]));
                if let Some(length) = written.payload.len().checked_sub(1) {
                    written.payload[place.min(length)] ^= flip[2];
                }
            }
            read(&written);
        }
    }
});
