//! Crashes and checkpoints: all or one of the entities are made anew from what is written, as recovery does.

use super::{Saved, Slot, Stored, World};
use haat::actors::{Built, build};
use haat::domain::cart::Cart;
use haat::domain::entity::Part;
use haat::domain::ids::{EntityId, EntityRef, Kind};
use haat::domain::order::Order;
use haat::domain::vendor::Vendor;
use haat::ports::{History, Snapshot};

/// What goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashOf {
    /// The node: everything under way is lost.
    Node,
    /// The one actor that has just written: its mailbox goes on.
    Actor,
}

impl World {
    /// Whether a crash was due now; if so, it has happened.
    pub(super) fn crash_when_due(&mut self, entity: EntityRef) -> bool {
        if self.faults.checkpoint == Some(self.records) {
            self.checkpoint();
        }
        match self.faults.crash {
            Some((at, CrashOf::Node)) if at == self.records => self.crash(),
            Some((at, CrashOf::Actor)) if at == self.records => self.crash_one(entity),
            _ => return false,
        }
        true
    }

    /// The node goes down and comes back: states are read from the newest checkpoint and the records since, everything outstanding
    /// is sent again, and timers that are overdue fire.
    pub fn crash(&mut self) {
        self.queue.clear();
        self.echoes.clear();
        fn of_kind<E: Stored>(world: &mut World) {
            let ids: Vec<E::Id> = E::slots(world).keys().copied().collect();
            for id in ids {
                world.rebuild::<E>(id);
                // Whoever waited has lost the connection.
                E::slots(world).get_mut(&id).expect("a listed id").waiting.clear();
            }
        }
        of_kind::<Cart>(self);
        of_kind::<Order>(self);
        of_kind::<Vendor>(self);
        self.resend();
        self.fire_timers();
        self.check_always();
    }

    /// One actor goes down: its state is made anew and its effects are sent again; messages to it are not lost.
    pub fn crash_one(&mut self, entity: EntityRef) {
        fn one<E: Stored>(world: &mut World, entity: EntityRef) {
            let id = E::Id::from_uuid(entity.uuid);
            world.rebuild::<E>(id);
            world.send_all::<E>(id);
        }
        match entity.kind {
            Kind::Cart => one::<Cart>(self, entity),
            Kind::Order => one::<Order>(self, entity),
            Kind::Vendor => one::<Vendor>(self, entity),
            #[allow(unreachable_patterns, reason = "while all kinds are in this world")]
            other => panic!("there is no {other} in this world"),
        }
    }

    fn rebuild<E: Stored>(&mut self, id: E::Id) {
        let entity = id.entity();
        let part = |(name, json): (&String, &Vec<u8>)| Part { name: name.clone(), state: Some(json.clone()) };
        let snapshot = |saved: &Saved| {
            let parts = saved.parts.iter().map(part).collect();
            Snapshot { entity, version: saved.version, parts }
        };
        let snapshot = self.saved.get(&entity).map(snapshot);
        let built = self.build::<E>(id, snapshot);
        built.entity.check().unwrap_or_else(|breach| panic!("{breach} after a rebuild"));
        let slot = E::slots(self).entry(id).or_insert_with(|| Slot::new(id));
        assert_eq!(built.entity.fingerprint(), slot.entity.fingerprint(), "{entity} is another after a rebuild");
        assert_eq!(built.version, slot.version, "{entity} has another version after a rebuild");
        slot.built = built;
        slot.sent.clear();
    }

    /// An entity as its snapshot and the records since make it.
    fn build<E: Stored>(&self, id: E::Id, snapshot: Option<Snapshot>) -> Built<E> {
        let lines = self.journal.get(&id.entity()).into_iter().flatten();
        let records = lines.map(|line| line.clone().into_bytes()).collect();
        build::<E>(id, &History { snapshot, records }).unwrap_or_else(|error| panic!("{}: {error}", id.entity()))
    }

    /// A checkpoint: what changed of every entity is merged into what was saved, and then both must be the same as when everything
    /// is made from the first record on.
    pub fn checkpoint(&mut self) {
        fn of_kind<E: Stored>(world: &mut World) {
            let ids: Vec<E::Id> = E::slots(world).keys().copied().collect();
            for id in ids {
                world.save::<E>(id);
            }
        }
        of_kind::<Cart>(self);
        of_kind::<Order>(self);
        of_kind::<Vendor>(self);
        self.check_tables();
    }

    fn save<E: Stored>(&mut self, id: E::Id) {
        let entity = id.entity();
        let slot = E::slots(self).get_mut(&id).expect("a listed id");
        if slot.version == 0 {
            return;
        }
        let version = slot.version;
        let delta = slot.built.delta();
        let saved = self.saved.entry(entity).or_default();
        saved.version = version;
        for part in delta.parts {
            match part.state {
                Some(json) => _ = saved.parts.insert(part.name, json),
                None => _ = saved.parts.remove(&part.name),
            }
        }
        self.tables.orders.extend(delta.rows.orders.into_iter().map(|row| (row.id, row)));
        self.tables.skus.extend(delta.rows.skus.into_iter().map(|row| (row.id, row)));
        self.tables.products.extend(delta.rows.products.into_iter().map(|row| (row.id, row)));

        let mut anew = self.build::<E>(id, None);
        let mut whole = Saved { version, ..Saved::default() };
        let parts = anew.delta().parts.into_iter();
        whole.parts.extend(parts.filter_map(|part| Some((part.name, part.state?))));
        let text = |saved: &Saved| -> Vec<String> {
            saved.parts.iter().map(|(name, json)| format!("{name}: {}", String::from_utf8_lossy(json))).collect()
        };
        assert_eq!(text(&self.saved[&entity]), text(&whole), "the snapshot of {entity} is not what its records make");
    }
}
