//! Waiting rooms: a doorkeeper opens each, and people come before and after it opens, ask when they were told to, fall silent, come back, leave, come in,
//! and stay until they have bought or their time is over. (Nobody asks for another's place: tickets are signed, which tests/http/rooms.rs looks at.)

use super::{Day, Person, Told};
use crate::judges::draw_of;
use crate::node::Town;
use haat::actors::Answered;
use haat::domain::entity::Principal;
use haat::domain::ids::{CartId, CustomerId, RoomId};
use haat::domain::reject::Reject;
use haat::domain::room::{Entrant, Guards, Place, Room, RoomCommand, RoomReply, RoomTerms, TicketStatus, TicketView};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use uuid::Uuid;

const ROOMS: u64 = 2;
/// Who comes to each.
const WAITERS: u64 = 6;
/// For how long people wait, in milliseconds: some of them longer than a room calls nobody after a start. While they wait everything else goes on, and
/// goes wrong.
const PATIENCE_MS: [u64; 5] = [15_000, 30_000, 45_000, 45_000, 100_000];

pub fn come(town: &Arc<Town>) -> Vec<Day> {
    let mut days = Vec::new();
    for of_room in 0..ROOMS {
        days.push(Box::pin(open(Person::new(town, format!("doorkeeper {of_room}")), of_room)) as Day);
        for number in 0..WAITERS {
            let person = Person::new(town, format!("waiter {of_room} {number}"));
            days.push(Box::pin(Waiter::new(person, of_room, number).wait()));
        }
    }
    days
}

/// One of the rooms.
pub fn room(room: u64) -> RoomId {
    RoomId::from_uuid(Uuid::from_u128((0x7000 + u128::from(room)) << 64 | u128::from(room * 11)))
}

async fn open(person: Person, number: u64) {
    let chance = &person.chance;
    let opens_at = person.world().now().plus_millis(chance.below(6_000) as i64 - 1_000);
    let lasts = 20_000 + chance.below(600_000) as i64;
    let terms = RoomTerms {
        name: format!("room {number}"),
        opens_at,
        closes_at: chance.per_mille(300).then(|| opens_at.plus_millis(lasts)),
        capacity: chance.between(1, 3) as u32,
        admit_per_minute: *chance.pick(&[20, 60, 60_000]),
        claim_seconds: *chance.pick(&[3, 10, 60]),
        slot_seconds: *chance.pick(&[1, 5, 20]),
        guards: Guards::Checkout,
    };
    let create = RoomCommand::Create { by: Principal::SHOP, terms: Box::new(terms) };
    for _ in 0..10_000 {
        let how = person.how(None, false);
        let told = person.ask::<Room>(room(number), "open a room", create.clone(), how).await;
        if matches!(told, Told::Answer(Answered { outcome: Ok(_), .. })) {
            return;
        }
        sleep(Duration::from_millis(200)).await;
    }
}

struct Waiter {
    person: Person,
    room: RoomId,
    of: Entrant,
    place: Option<Place>,
}

impl Waiter {
    fn new(person: Person, of_room: u64, number: u64) -> Self {
        let uuid = Uuid::from_u64_pair(0xea00 + of_room, person.chance.next());
        let of = match number % 3 {
            0 => Entrant::Customer(CustomerId::from_uuid(uuid)),
            _ => Entrant::Cart(CartId::from_uuid(uuid)),
        };
        Self { person, room: room(of_room), of, place: None }
    }

    async fn ask(&self, what: &str, command: RoomCommand) -> Option<Result<RoomReply, Reject>> {
        let told = self.person.ask::<Room>(self.room, what, command, self.person.how(None, false)).await;
        match told {
            Told::Answer(Answered { outcome, .. }) => Some(outcome),
            Told::NotDone(_) | Told::Nothing => None,
        }
    }

    /// The life of a node, or of an actor on it: what is in memory alone does not outlast it.
    async fn life(&self) -> (u64, u64) {
        let counts = self.person.world().counts();
        let ended = ["panics", "poisoned commands"].map(|fault| counts.get(fault).copied().unwrap_or(0));
        (self.person.node().await.number, ended.iter().sum())
    }

    /// Asks where the place is, or for one.
    async fn look(&mut self) -> Option<Result<TicketView, Reject>> {
        let command = match self.place {
            Some(place) if !self.person.chance.per_mille(50) => RoomCommand::Look { entrant: self.of, place },
            _ => RoomCommand::Join { entrant: self.of, draw: draw_of(self.room, self.of) },
        };
        let (asked, life) = (self.person.world().now(), self.life().await);
        let told = self.ask("where a place is", command).await?;
        let life = (self.life().await == life).then_some(life);
        match told {
            Ok(RoomReply::Ticket { ticket }) => {
                self.place = Some(ticket.place);
                self.person.town.oracle.rooms.told(self.room, self.of, &ticket, asked, life);
                Some(Ok(ticket))
            }
            Ok(other) => {
                self.person.world().breach(format_args!("{} answers {other:?}", self.room));
                None
            }
            Err(reject) => Some(Err(reject)),
        }
    }

    async fn wait(mut self) {
        // Some come before it opens, and some before it is there.
        sleep(Duration::from_millis(self.person.chance.below(8_000))).await;
        let patience = *self.person.chance.pick(&PATIENCE_MS);
        let until = self.person.world().now().plus_millis(patience as i64);
        while self.person.world().now() < until {
            let told = self.look().await;
            let chance = &self.person.chance;
            let mut wait = Duration::from_millis(500);
            match told {
                Some(Ok(ticket)) => {
                    wait = Duration::from_secs(ticket.too_soon.unwrap_or(ticket.poll_after_seconds).into());
                    match ticket.status {
                        TicketStatus::Called => {
                            let comes = chance.per_mille(850);
                            if comes && self.come_in(ticket.place).await {
                                self.stay(ticket.place).await;
                            }
                        }
                        TicketStatus::Admitted => self.stay(ticket.place).await,
                        TicketStatus::Missed => {
                            self.person.world().count("places that were missed");
                            self.place = None;
                        }
                        TicketStatus::Left => self.place = None,
                        TicketStatus::Closed => return,
                        TicketStatus::Waiting => {
                            if chance.per_mille(20) {
                                let (entrant, place) = (self.of, ticket.place);
                                self.ask("leave the line", RoomCommand::Leave { entrant, place }).await;
                                self.person.town.oracle.rooms.left(self.room, self.of);
                                self.place = None;
                            } else if chance.per_mille(30) {
                                // A closed tab.
                                wait = Duration::from_secs(chance.between(5, 30));
                            }
                        }
                    }
                }
                Some(Err(Reject::RoomClosed)) => return,
                Some(Err(_)) | None => {}
            }
            sleep(wait + Duration::from_millis(self.person.chance.below(400))).await;
        }
    }

    async fn come_in(&self, place: Place) -> bool {
        let enter = RoomCommand::Enter { entrant: self.of, place };
        for _ in 0..self.person.chance.between(1, 3) {
            if let Some(Ok(RoomReply::Entered { .. })) = self.ask("come in", enter.clone()).await {
                return true;
            }
        }
        false
    }

    /// Until it has bought, leaves, or its time is over. Then it asks for its place again, which is good for nothing any more.
    async fn stay(&self, place: Place) {
        let chance = &self.person.chance;
        sleep(Duration::from_millis(chance.below(6_000))).await;
        match chance.below(3) {
            0 => {
                // As its order tells once it is accepted; a slot that is over, or another's, is nobody's any more.
                if let Some(slot) = self.person.town.oracle.rooms.slot_of(self.room, self.of) {
                    for _ in 0..chance.between(1, 2) {
                        self.ask("tell that it has bought", RoomCommand::HasBought { slot }).await;
                    }
                }
            }
            1 => {
                self.ask("leave", RoomCommand::Leave { entrant: self.of, place }).await;
            }
            _ => {}
        }
    }
}
