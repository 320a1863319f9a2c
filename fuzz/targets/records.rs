//! Records: the lines of a frame make entities, or an error. The input is the lines; each entity in them is made of its own, as
//! recovery does it.
#![no_main]

use haat::domain::ids::EntityRef;
use haat::domain::record::RawRecord;
use haat::ports::History;
use haat_fuzz::entities::build_and_examine;
use haat_fuzz::fuzz_target;
use std::collections::BTreeMap;

fuzz_target!(|data: &[u8]| {
    let mut histories: BTreeMap<EntityRef, History> = BTreeMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(record) = serde_json::from_slice::<RawRecord<'_>>(line) {
            histories.entry(record.entity).or_default().records.push(line.to_vec());
        }
    }
    for (entity, history) in &histories {
        build_and_examine(*entity, history);
    }
});
