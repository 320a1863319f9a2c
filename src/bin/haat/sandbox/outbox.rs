//! What the sandbox has to tell: notices that are still to be sent, and what of their faults lies in when and how often they are sent.

use super::faults::Fault;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long a notice is held back for the one after it.
const HELD_MS: i64 = 2_000;

/// Which of its two businesses the sandbox is about: each has a secret of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Half {
    /// It takes money.
    #[default]
    Payments,
    /// It brings parcels.
    Parcels,
}

/// A notice that is still to be sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Notice {
    pub(super) id: i64,
    /// By whose secret it is signed.
    #[serde(default)]
    pub(super) by: Half,
    /// The payment or the parcel.
    #[serde(alias = "payment")]
    pub(super) about: String,
    pub(super) url: String,
    /// Its id: what is sent again has the same.
    pub(super) message: String,
    pub(super) body: String,
    pub(super) due: i64,
    /// How often it was sent and not heard.
    pub(super) tries: u32,
    /// It waits for another one to overtake it.
    pub(super) held: bool,
    pub(super) badly_signed: bool,
    pub(super) stale: bool,
}

/// What is to be told of a payment or of a parcel, in this order, and where.
pub(super) struct Telling<'a> {
    pub(super) by: Half,
    pub(super) about: &'a str,
    pub(super) url: &'a str,
    pub(super) fault: Fault,
    pub(super) bodies: Vec<String>,
}

/// The notices.
pub(super) struct Outbox {
    notices: BTreeMap<i64, Notice>,
    last: i64,
}

impl Outbox {
    /// With what was not sent before.
    pub(super) fn new(notices: BTreeMap<i64, Notice>, now: i64) -> Self {
        // What was sent is forgotten, and its id is not given again.
        let last = notices.keys().last().copied().unwrap_or_default().max(now);
        Self { notices, last }
    }

    pub(super) fn notices(&self) -> impl Iterator<Item = &Notice> {
        self.notices.values()
    }

    /// Takes over what is durable.
    pub(super) fn take(&mut self, notices: Vec<Notice>) {
        self.notices.extend(notices.into_iter().map(|notice| (notice.id, notice)));
    }

    pub(super) fn remove(&mut self, id: i64) {
        self.notices.remove(&id);
    }

    /// The notices of a change, and those before it that it lets go. They are to be made durable, and then taken over.
    pub(super) fn told(&mut self, telling: Telling<'_>, now: i64) -> Vec<Notice> {
        let mut notices = Vec::new();
        let Telling { by, about, url, fault, bodies } = telling;
        for body in bodies {
            self.told_once(Telling { by, about, url, fault, bodies: vec![body] }, now, &mut notices);
        }
        notices
    }

    fn told_once(&mut self, telling: Telling<'_>, now: i64, notices: &mut Vec<Notice>) {
        let Telling { by, about, url, fault, bodies } = telling;
        let copies = match fault {
            Fault::Never => 0,
            Fault::DuplicateNotice(copies) => copies,
            _ => 1,
        };
        let mut held: Vec<Notice> = Vec::new();
        if fault == Fault::Reorder {
            let is_held = |notice: &&Notice| notice.held && notice.about == about;
            let known = |notice: &Notice| notices.iter().any(|it| it.id == notice.id);
            held.extend(self.notices.values().filter(is_held).filter(|it| !known(it)).cloned());
            held.extend(notices.iter().filter(is_held).cloned());
        }
        let overtakes = !held.is_empty();
        for mut before in held {
            (before.held, before.due) = (false, now + 1);
            notices.retain(|notice| notice.id != before.id);
            notices.push(before);
        }
        let (held, due) = match fault {
            Fault::Reorder if !overtakes => (true, now + HELD_MS),
            Fault::Late(ms) => (false, now.saturating_add_unsigned(ms)),
            _ => (false, now),
        };
        let id = self.last + 1;
        for body in bodies.iter().flat_map(|body| (0..copies).map(move |_| body)) {
            self.last += 1;
            notices.push(Notice {
                id: self.last,
                by,
                about: about.to_owned(),
                url: url.to_owned(),
                // Copies carry one id, as what is sent again does.
                message: format!("msg_{id}"),
                body: body.clone(),
                due,
                tries: 0,
                held,
                badly_signed: fault == Fault::BadSignature,
                stale: fault == Fault::Stale,
            });
        }
    }
}
