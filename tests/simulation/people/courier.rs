//! Who carries the payment provider's notices: late, in any order, twice and twice at once, at times never; and somebody who forges some.

use super::{Day, Person, Told};
use crate::gateway::METHOD;
use crate::node::Town;
use crate::notices::Letter;
use haat::domain::ids::EntityId;
use haat::http::notices::{Taken, take};
use haat::ports::NoNotice;
use std::sync::Arc;
use std::time::Duration;

/// So old is a notice that comes late.
const LATE: Duration = Duration::from_secs(30);
/// How long a node may take for a notice.
const WITHIN: Duration = Duration::from_secs(10);

/// One, who carries them all.
pub fn come(town: &Arc<Town>) -> Vec<Day> {
    vec![Box::pin(Courier::new(town, "courier").work())]
}

pub struct Courier(Person);

impl Courier {
    pub fn new(town: &Arc<Town>, name: &str) -> Self {
        Self(Person::new(town, name.to_owned()))
    }

    async fn work(self) {
        let person = &self.0;
        let outbox = &person.town.books.outbox;
        for _ in 0..4 * person.world().plan.actions {
            person.pause(person.world().plan.think_ms).await;
            let Some(letter) = outbox.take(&person.chance) else { continue };
            let is_known = person.town.oracle.replayed(|replay| replay.is_paid(letter.order));
            (is_known && !letter.after).then(|| person.world().count("notices of what is paid already"));
            (letter.age() > LATE).then(|| person.world().count("notices that come late"));
            if person.chance.per_mille(100) {
                self.forge(&letter).await;
            }
            let is_lost = person.world().plan.lists_changes && person.chance.per_mille(700);
            if is_lost {
                person.world().count("lost notices");
                continue;
            }
            if person.chance.per_mille(200) {
                person.world().count("doubled notices");
                outbox.put(letter.clone());
            }
            let taken = match person.chance.per_mille(200) {
                true => {
                    person.world().count("notices twice at once");
                    let both = tokio::join!(self.carry(&letter), self.carry(&letter));
                    both.0 && both.1
                }
                false => self.carry(&letter).await,
            };
            if !taken {
                person.world().count("notices that are sent again");
                outbox.put(letter);
            }
        }
    }

    /// Carries all that are left, until each is taken.
    pub async fn carry_all(&self) {
        let person = &self.0;
        while let Some(letter) = person.town.books.outbox.take(&person.chance) {
            if !self.carry(&letter).await {
                person.town.books.outbox.put(letter);
                person.pause(1_000).await;
            }
        }
    }

    async fn bring(&self, letter: &Letter, forged: bool) -> Option<Taken> {
        let person = &self.0;
        let (node, named) = (person.node().await, person.chance.per_mille(500));
        let body = letter.body(named);
        let header = |name: &str| (name == "signature").then(|| Letter::signature(forged));
        let question = async { Ok(take(&node.shop, &node.payments, METHOD, (&header, &body), WITHIN).await) };
        match person.told(&node, "take a notice", letter.order.entity(), question).await {
            Told::Answer(taken) => Some(taken),
            Told::NotDone(_) | Told::Nothing => None,
        }
    }

    /// Whether it was taken.
    async fn carry(&self, letter: &Letter) -> bool {
        let taken = self.bring(letter, false).await;
        if let Some(Taken::None(why)) = taken {
            self.0.world().breach(format_args!("{letter:?} is not taken: {why}"));
        }
        taken == Some(Taken::Heard)
    }

    async fn forge(&self, letter: &Letter) {
        let world = self.0.world();
        match self.bring(letter, true).await {
            Some(Taken::None(NoNotice::Forged)) => world.count("forged notices"),
            Some(Taken::Heard) => world.breach(format_args!("a forged {letter:?} is taken")),
            Some(Taken::NotReady | Taken::NotNow | Taken::None(NoNotice::NotTaken)) | None => {}
        }
    }
}
