//! What the store's disk does to single entities: parts and records that cannot be read any more, and the repair.

use crate::store::{Disk, Server};
use crate::world::{World, lock};
use haat::domain::ids::EntityRef;
use haat::persistence::recovery::for_each_record;
use haat::ports::{Codec, Frame};
use std::collections::{BTreeMap, BTreeSet};

/// The most entities that are damaged at the same time.
const VICTIMS: usize = 3;
/// How a record is damaged.
#[derive(Clone, Copy, Debug)]
enum Wound {
    /// Its events are of no known kind.
    Unreadable,
    /// It is gone, and a later one is not.
    Missing,
}

/// What is damaged.
#[derive(Default)]
pub struct Damage {
    victims: BTreeSet<EntityRef>,
    /// All that ever were.
    ever: BTreeSet<EntityRef>,
    records: BTreeMap<(EntityRef, u64), Wound>,
    parts: BTreeSet<(EntityRef, String)>,
}

impl Damage {
    /// Whether nothing can be promised of this entity.
    pub fn concerns(&self, entity: EntityRef) -> bool {
        self.victims.contains(&entity)
    }

    /// The entities that were ever damaged.
    pub fn ever(&self) -> &BTreeSet<EntityRef> {
        &self.ever
    }

    pub fn is_any(&self) -> bool {
        !self.victims.is_empty()
    }

    /// A part of a snapshot as it is read.
    pub fn part(&self, entity: EntityRef, name: &str, state: &[u8]) -> Vec<u8> {
        match !self.parts.is_empty() && self.parts.contains(&(entity, name.to_owned())) {
            true => b"{\"gone\":".to_vec(),
            false => state.to_vec(),
        }
    }

    /// A part is written anew, or deleted.
    pub fn part_written(&mut self, entity: EntityRef, name: &str) {
        if !self.parts.is_empty() {
            self.parts.remove(&(entity, name.to_owned()));
        }
    }

    /// A frame as it is read.
    pub fn frame(&self, frame: &Frame) -> Frame {
        let mut read = frame.clone();
        if self.records.is_empty() || frame.records == 0 {
            return read;
        }
        let (mut payload, mut touched) = (Vec::new(), false);
        for_each_record(frame, |record, line| {
            let events = match self.records.get(&(record.entity, record.version)) {
                None => {
                    payload.extend_from_slice(line);
                    payload.push(b'\n');
                    return;
                }
                Some(Wound::Missing) => None,
                Some(Wound::Unreadable) => Some(serde_json::json!([{ "type": "of_no_known_kind" }])),
            };
            touched = true;
            let mut whole: serde_json::Value = serde_json::from_slice(line).expect("the engine wrote it");
            if let Some(events) = events {
                whole["ev"] = events;
                payload.extend_from_slice(whole.to_string().as_bytes());
                payload.push(b'\n');
            }
        })
        .expect("the engine wrote it");
        if touched {
            (read.codec, read.payload) = (Codec::Plain, payload);
        }
        read
    }
}

impl Disk {
    /// Damages a part of a snapshot, or a record that no checkpoint holds.
    fn wound(&mut self, world: &World) -> Option<String> {
        if self.damage.victims.len() >= VICTIMS {
            return None;
        }
        if world.chance("damages").per_mille(400) {
            let entities: Vec<EntityRef> = self.snapshots.keys().copied().collect();
            let entity = *entities.get(world.chance("damages").below(entities.len() as u64) as usize)?;
            let parts: Vec<&String> = self.snapshots[&entity].keys().collect();
            let name = (*parts.get(world.chance("damages").below(parts.len() as u64) as usize)?).clone();
            self.damage.victims.insert(entity);
            self.damage.ever.insert(entity);
            world.damages(entity);
            self.damage.parts.insert((entity, name.clone()));
            world.count("damaged snapshots");
            return Some(format!("part '{name}' of {entity}"));
        }
        let mut records: Vec<(EntityRef, u64)> = Vec::new();
        for (partition, head) in self.heads.iter().enumerate() {
            for frame in self.journal[partition].range(head.checkpoint_seq + 1..).map(|(_, frame)| frame) {
                let all = for_each_record(frame, |record, _| records.push((record.entity, record.version)));
                all.expect("the engine wrote it");
            }
        }
        let (entity, version) = *records.get(world.chance("damages").below(records.len() as u64) as usize)?;
        let has_later = records.iter().any(|(other, later)| *other == entity && *later > version);
        let wound = match world.chance("damages").below(3) {
            0 if has_later => Wound::Missing,
            _ => Wound::Unreadable,
        };
        self.damage.victims.insert(entity);
        self.damage.ever.insert(entity);
        world.damages(entity);
        self.damage.records.insert((entity, version), wound);
        world.count(match wound {
            Wound::Unreadable => "unreadable records",
            Wound::Missing => "missing records",
        });
        Some(format!("record {version} of {entity}: {wound:?}"))
    }
}

impl Server {
    /// Damages what is there of one entity.
    pub fn wound(&self) {
        if let Some(what) = lock(&self.disk).wound(&self.world) {
            self.world.note(format_args!("damaged: {what}"));
        }
    }

    /// Whether nothing can be promised of this entity.
    pub fn is_damaged(&self, entity: EntityRef) -> bool {
        lock(&self.disk).damage.concerns(entity)
    }

    /// Whether anything of this one was ever damaged: of it nothing is promised.
    pub fn was_damaged(&self, entity: EntityRef) -> bool {
        lock(&self.disk).damage.ever().contains(&entity)
    }

    pub fn has_damage(&self) -> bool {
        lock(&self.disk).damage.is_any()
    }

    /// Someone has looked at it, and everything is as it was written.
    pub fn repair(&self) {
        self.world.note("repaired");
        let damage = &mut lock(&self.disk).damage;
        *damage = Damage { ever: std::mem::take(&mut damage.ever), ..Damage::default() };
    }
}
