//! A waiting room before the sale: its terms in a scenario, how it is opened, and a buyer's way through its line.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::buyer::{Stop, call, path, understood, unexpected};
use super::client::{Answer, Ask, Caller, bearer};
use super::messages::moment_in;
use super::room_checks::RoomFacts;
use super::run::{Cart, Run, rest_until};
use super::sale::moment;
use super::scenario::Shop;
use super::shop::Desk;
use super::stats::{Call, locked};
use super::values::Time;
use super::wire::Made;

/// The room says that all is sold and nothing is held: who is told so leaves.
pub const ALL_SOLD: &str = "room_all_sold";
/// The room lets nobody in any more.
pub const CLOSED: &str = "room_closed";
/// It took longer than the buyer has patience.
pub const TOO_LONG: &str = "room_took_too_long";
/// How that is told.
pub const TOO_LONG_WORDS: &str = "left the line: it took too long";
/// It was called twice, and did not come in time.
pub const MISSED: &str = "room_turn_missed";

/// A waiting room, by which alone one comes to the sale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Room {
    /// How many may be called or in at a time.
    pub capacity: u32,
    /// How many are called in a minute at most.
    pub admit_per_minute: u32,
    /// How long somebody has to come in who is called.
    #[serde(default = "claim")]
    pub claim: Time,
    /// How long somebody may stay who is in.
    #[serde(default = "slot")]
    pub slot: Time,
    /// It opens so long after it is made: who comes before is drawn.
    #[serde(default)]
    pub opens_in: Time,
}

fn claim() -> Time {
    Time(Duration::from_secs(120))
}

fn slot() -> Time {
    Time(Duration::from_secs(600))
}

/// How long a buyer waits in a line, where nothing else is said.
pub fn patience() -> Time {
    Time(Duration::from_secs(600))
}

impl Room {
    /// Refuses what could not be opened.
    pub fn validate(&self) -> Result<(), String> {
        if !(1..=100_000).contains(&self.capacity) || !(1..=1_000_000).contains(&self.admit_per_minute) {
            return Err("shop: sale: room: a capacity from 1 to 100,000, and 1 to 1,000,000 admit_per_minute".into());
        }
        for (name, time, most) in [("claim", self.claim, 3_600), ("slot", self.slot, 86_400)] {
            if !(1..=most).contains(&time.0.as_secs()) || time.0.subsec_nanos() > 0 {
                return Err(format!("shop: sale: room: {name} is in whole seconds, from 1 to {most}"));
            }
        }
        Ok(())
    }

    fn written(&self, opens_at: &str) -> serde_json::Value {
        serde_json::json!({
            "name": "Load room", "opens_at": opens_at, "capacity": self.capacity,
            "admit_per_minute": self.admit_per_minute, "claim_seconds": self.claim.0.as_secs(),
            "slot_seconds": self.slot.0.as_secs(),
        })
    }
}

/// A room that was opened for the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Opened {
    /// `room_…`
    pub id: String,
    /// From when on somebody can be called, in microseconds since 1970.
    pub calls_from_us: u64,
}

/// Opens the room of a shop's sale, where it has one.
pub async fn open(desk: &mut Desk, shop: &Shop) -> anyhow::Result<Option<Opened>> {
    match shop.sale.as_ref().and_then(|sale| sale.room.as_ref()) {
        Some(room) => Ok(Some(make(desk, room).await?)),
        None => Ok(None),
    }
}

/// Opens this room.
pub async fn make(desk: &mut Desk, room: &Room) -> anyhow::Result<Opened> {
    let (calls_from_us, opens_in) = (moment_in(room.opens_in.0), time::Duration::try_from(room.opens_in.0)?);
    let made: Made = desk.post("/v1/rooms".into(), &room.written(&moment(opens_in)?)).await?;
    Ok(Opened { id: made.id, calls_from_us })
}

/// A place in a line, as its holder was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceTold {
    /// `cart_…`: whose.
    pub cart: String,
    /// The number, of who came after the room opened.
    pub number: Option<u64>,
    /// The draw, of who came before.
    pub draw: Option<String>,
    /// Between which moments it was in for sure, in microseconds since 1970; none of who was not let in.
    pub inside: Option<(u64, u64)>,
}

/// A place in a line, as the contract has it.
#[derive(Deserialize)]
struct Ticket<'a> {
    #[serde(borrow)]
    ticket: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    number: Option<u64>,
    #[serde(borrow, default)]
    draw: Option<Cow<'a, str>>,
    poll_after_seconds: u32,
    #[serde(borrow, default)]
    closed: Option<Cow<'a, str>>,
}

/// That somebody is in.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    entry_token: Cow<'a, str>,
}

/// After so long somebody asks again who was called before the server was killed.
const CALLED_ANEW: Duration = Duration::from_secs(1);

/// Somebody on the way through the line.
pub struct Waiting {
    /// What is known of the place.
    pub told: PlaceTold,
    /// Where it is asked for; empty before there is one.
    path: String,
}

/// What is to be done after an answer.
enum Next {
    /// Ask again after so long.
    Wait(Duration),
    ComeIn,
    /// Join once more.
    Again,
    Leave(&'static str),
}

impl Ticket<'_> {
    fn next(&self) -> Option<Next> {
        Some(match &*self.status {
            "waiting" if self.closed.is_some() => Next::Leave(ALL_SOLD),
            "waiting" => Next::Wait(Duration::from_secs(self.poll_after_seconds.into())),
            "called" | "admitted" => Next::ComeIn,
            "missed" | "left" => Next::Again,
            "closed" => Next::Leave(CLOSED),
            _ => return None,
        })
    }
}

/// Waits in the line until it is let in; gives the cart with its entry. What became of the place is in `waiting`, however it ends.
pub async fn wait(
    run: &Run,
    caller: &mut Caller,
    cart: &Cart,
    patience: Time,
    due: Instant,
    waiting: &mut Option<Box<Waiting>>,
) -> Result<Cart, Stop> {
    let Some(room) = &run.room else { return Err(Stop::Unexpected(Call::JoinLine)) };
    let until = due + patience.0;
    let mut joined = 0;
    let mut due = due;
    let mut next = Next::Again;
    loop {
        let ask = match next {
            Next::Again if joined == 2 => return Err(Stop::Refused(MISSED.into())),
            Next::Again => {
                joined += 1;
                let ask = Ask::post(format!("/v1/rooms/{}/tickets", room.id), Some(&cart.bearer), Bytes::new());
                (Call::JoinLine, ask)
            }
            Next::Wait(pause) => {
                due = (Instant::now() + pause).min(until);
                if !rest_until(due, Some(&run.stop)).await {
                    return Err(Stop::Stopped);
                }
                if due == until {
                    return Err(Stop::Refused(TOO_LONG.into()));
                }
                let place = waiting.as_ref().map_or_else(String::new, |waiting| waiting.path.clone());
                (Call::Place, Ask::get(place, Some(&cart.bearer)))
            }
            Next::ComeIn => match come_in(run, caller, cart, waiting).await? {
                Some(entry) => return Ok(Cart { entry: Some(entry), ..cart.clone() }),
                None => {
                    next = Next::Wait(CALLED_ANEW);
                    continue;
                }
            },
            Next::Leave(why) => return Err(Stop::Refused(why.into())),
        };
        let (kind, ask) = (ask.0, path(caller, ask.0, ask.1)?);
        let answer = call(caller, kind, &ask, due).await?;
        if !matches!(answer.status, 200 | 201) {
            return Err(unexpected(caller, kind, &answer));
        }
        next = told(caller, kind, &answer, cart, &room.id, waiting)?;
    }
}

fn told(
    caller: &Caller,
    kind: Call,
    answer: &Answer,
    cart: &Cart,
    room: &str,
    waiting: &mut Option<Box<Waiting>>,
) -> Result<Next, Stop> {
    let ticket: Ticket<'_> = understood(caller, kind, answer)?;
    let path = format!("/v1/rooms/{room}/tickets/{}", ticket.ticket);
    let fresh = || PlaceTold { cart: cart.id.clone(), number: None, draw: None, inside: None };
    let waiting = waiting.get_or_insert_with(|| Box::new(Waiting { told: fresh(), path: String::new() }));
    waiting.path = path;
    waiting.told.number = ticket.number;
    waiting.told.draw = ticket.draw.as_deref().map(ToOwned::to_owned);
    match ticket.next() {
        Some(next) => Ok(next),
        None => {
            caller.recorder().unexpected(&format!("{}: a place that is {}", kind.name(), ticket.status));
            Err(Stop::Unexpected(kind))
        }
    }
}

/// Comes in; `None` for somebody who was called by a server that was killed since. A call is in no record: whoever starts anew calls again.
async fn come_in(
    run: &Run,
    caller: &mut Caller,
    cart: &Cart,
    waiting: &mut Option<Box<Waiting>>,
) -> Result<Option<Arc<str>>, Stop> {
    let Some(waiting) = waiting else { return Err(Stop::Unexpected(Call::Enter)) };
    let ask =
        path(caller, Call::Enter, Ask::post(format!("{}/enter", waiting.path), Some(&cart.bearer), Bytes::new()))?;
    let answer = call(caller, Call::Enter, &ask, Instant::now()).await?;
    if answer.status == 409 && run.cli.expect_drops && answer.body.windows(10).any(|part| part == b"not_called") {
        return Ok(None);
    }
    if answer.status != 201 {
        return Err(unexpected(caller, Call::Enter, &answer));
    }
    let now = moment_in(Duration::ZERO);
    waiting.told.inside = Some((now, now));
    let entry: Entry<'_> = understood(caller, Call::Enter, &answer)?;
    path(caller, Call::Enter, bearer(&entry.entry_token)).map(Some)
}

impl Waiting {
    /// From now on it may be out again: its order may be paid.
    pub fn may_be_out(&mut self) {
        if let Some((_, until)) = &mut self.told.inside {
            *until = moment_in(Duration::ZERO);
        }
    }

    /// Gives the place up, or the slot inside: somebody else can have it. Nobody waits for what becomes of that.
    pub async fn leave(&mut self, caller: &mut Caller, cart: &Cart) {
        self.may_be_out();
        let Ok(ask) = Ask::delete(self.path.clone(), Some(&cart.bearer)) else { return };
        if let Ok(answer) = caller.call(Call::LeaveLine, &ask, Instant::now()).await
            && answer.status != 204
        {
            unexpected(caller, Call::LeaveLine, &answer);
        }
    }
}

/// What the run's room promised, and what people were told of it.
pub fn facts(run: &Run) -> Option<RoomFacts> {
    let (opened, terms) = (run.room.as_ref()?, run.scenario.shop.sale.as_ref()?.room.as_ref()?);
    Some(RoomFacts {
        capacity: terms.capacity,
        admit_per_minute: terms.admit_per_minute,
        calls_from_us: opened.calls_from_us,
        places: std::mem::take(&mut *locked(&run.charge_log.places)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> Room {
        Room { capacity: 5, admit_per_minute: 60, claim: claim(), slot: slot(), opens_in: Time::default() }
    }

    #[test]
    fn a_room_is_written_as_the_contract_has_it() {
        assert_eq!(
            room().written("2030-01-01T00:00:00Z"),
            serde_json::json!({
                "name": "Load room", "opens_at": "2030-01-01T00:00:00Z", "capacity": 5, "admit_per_minute": 60,
                "claim_seconds": 120, "slot_seconds": 600,
            })
        );
    }

    #[test]
    fn terms_that_no_room_can_have_are_refused() {
        assert_eq!(room().validate(), Ok(()));
        let half = Time(Duration::from_millis(1_500));
        for wrong in [
            Room { capacity: 0, ..room() },
            Room { capacity: 100_001, ..room() },
            Room { admit_per_minute: 0, ..room() },
            Room { claim: half, ..room() },
            Room { slot: Time::default(), ..room() },
        ] {
            assert!(wrong.validate().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_a_place_says_is_what_is_done_next() {
        let next = |status: &str, closed: &str| {
            let text = format!(
                r#"{{"ticket":"t","status":"{status}","number":7,"poll_after_seconds":2,"novelty":1{closed}}}"#
            );
            let ticket: Ticket<'_> = serde_json::from_str(&text).expect("a ticket");
            match ticket.next() {
                Some(Next::Wait(pause)) => format!("wait {pause:?}"),
                Some(Next::ComeIn) => "come in".into(),
                Some(Next::Again) => "join again".into(),
                Some(Next::Leave(why)) => why.into(),
                None => "unexpected".into(),
            }
        };
        for (status, then) in [
            ("waiting", "wait 2s"),
            ("called", "come in"),
            ("admitted", "come in"),
            ("missed", "join again"),
            ("left", "join again"),
            ("closed", CLOSED),
            ("elsewhere", "unexpected"),
        ] {
            assert_eq!(next(status, ""), then, "{status}");
        }
        assert_eq!(next("waiting", r#","closed":"sold_out""#), ALL_SOLD);
    }
}
