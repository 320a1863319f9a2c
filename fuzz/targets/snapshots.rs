//! Snapshots: whatever stands in the rows of one entity, with the records after it, makes the entity or an error. The first line of
//! the input is the entity and the snapshot's version; then come its parts, a name and a JSON each; then, after an empty line, records.
#![no_main]

use haat::domain::entity::Part;
use haat::domain::ids::EntityRef;
use haat::ports::{History, Snapshot};
use haat_fuzz::entities::build_and_examine;
use haat_fuzz::fuzz_target;
use std::collections::BTreeMap;

fuzz_target!(|data: &[u8]| {
    let mut lines = data.split(|byte| *byte == b'\n');
    let head = lines.next().and_then(|head| std::str::from_utf8(head).ok()).and_then(|head| head.split_once(' '));
    let Some((entity, version)) = head else { return };
    let (Ok(entity), Ok(version)) = (entity.parse::<EntityRef>(), version.parse::<u32>()) else { return };
    // A store has one part of a name, and gives them in the order of their names.
    let mut parts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        let space = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let Ok(name) = std::str::from_utf8(&line[..space]) else { return };
        parts.insert(name.to_owned(), line.get(space + 1..).unwrap_or_default().to_vec());
    }
    let parts = parts.into_iter().map(|(name, state)| Part { name, state: Some(state) }).collect();
    let snapshot = Snapshot { entity, version: u64::from(version), parts };
    let records = lines.map(<[u8]>::to_vec).collect();
    build_and_examine(entity, &History { snapshot: Some(snapshot), records });
});
