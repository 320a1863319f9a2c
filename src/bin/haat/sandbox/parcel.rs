//! One parcel in the sandbox's books: what may become of it, and nothing of how that is asked for or kept.

use super::faults::{Fault, ParcelFaults};
use super::payment::{Amount, Refused};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The most events of a parcel, as the contract has it.
const EVENTS: usize = 100;
/// The most lines of a parcel.
const LINES: usize = 200;

/// Money of the contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Collect {
    amount: String,
    currency: String,
}

impl Collect {
    fn is_money(&self) -> bool {
        let is_nothing = !self.amount.is_empty() && self.amount.bytes().all(|byte| matches!(byte, b'0' | b'.'));
        let is_amount = is_nothing || Amount::parse(&self.amount).is_some();
        is_amount && self.currency.len() == 3 && self.currency.bytes().all(|byte| byte.is_ascii_uppercase())
    }
}

/// Some units of one SKU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    sku_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    quantity: u32,
}

/// Two moments, the earlier first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Between {
    from: String,
    to: String,
}

impl Between {
    fn is_span(&self) -> bool {
        let moments = (self.from.parse::<jiff::Timestamp>(), self.to.parse::<jiff::Timestamp>());
        matches!(moments, (Ok(from), Ok(to)) if from < to)
    }
}

/// What a shipment is made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShipmentInput {
    to: BTreeMap<String, String>,
    lines: Vec<Line>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    collect: Option<Collect>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deliver_between: Option<Between>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) notice_url: Option<String>,
}

impl ShipmentInput {
    /// What a word in its address says; `None` where it is the sandbox's and says nothing.
    pub(super) fn faults(&self) -> Option<ParcelFaults> {
        ParcelFaults::parse(self.to.values().map(String::as_str))
    }
}

/// What whoever drives the sandbox wants to become of a parcel.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventInput {
    status: String,
    #[serde(default)]
    collected: Option<Collect>,
    #[serde(default)]
    lines: Vec<Line>,
    /// Its name, where it is to be one that was told before.
    #[serde(default)]
    id: Option<String>,
    /// When it is to have happened, where that is not now.
    #[serde(default)]
    at: Option<String>,
}

/// What became of a parcel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Event {
    id: String,
    status: String,
    at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    collected: Option<Collect>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lines: Vec<Line>,
}

/// A parcel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Parcel {
    /// The shop's name of it.
    pub(super) name: String,
    /// The how many-th it is.
    pub(super) number: usize,
    pub(super) input: ShipmentInput,
    status: String,
    events: Vec<Event>,
    at: i64,
}

/// What may be told of a parcel.
const STATUSES: [&str; 8] =
    ["picked_up", "in_transit", "out_for_delivery", "delivered", "partly_delivered", "refused", "returned", "lost"];

fn moment(now: i64) -> String {
    jiff::Timestamp::from_millisecond(now).map(|at| at.to_string()).unwrap_or_default()
}

impl Parcel {
    pub(super) fn new(name: &str, number: usize, input: ShipmentInput, now: i64) -> Result<Self, Refused> {
        let is_url =
            |url: &str| url::Url::parse(url).is_ok_and(|it| matches!(it.scheme(), "http" | "https") && it.has_host());
        if !input.notice_url.as_deref().is_none_or(is_url) {
            return Err((422, "invalid"));
        }
        if !(1..=LINES).contains(&input.lines.len()) || input.lines.iter().any(|line| line.quantity == 0) {
            return Err((422, "lines_unsupported"));
        }
        if !input.collect.as_ref().is_none_or(Collect::is_money) {
            return Err((422, "collect_unsupported"));
        }
        if !input.deliver_between.as_ref().is_none_or(Between::is_span) {
            return Err((422, "invalid"));
        }
        let is_address = ["name", "line1", "country"].iter().all(|field| input.to.contains_key(*field));
        match input.faults() {
            Some(faults) if is_address && faults.booking != Fault::Refuse => {}
            _ => return Err((422, "address_unsupported")),
        }
        let (name, status, events) = (name.to_owned(), "booked".to_owned(), Vec::new());
        Ok(Self { name, number, input, status, events, at: now })
    }

    /// The same parcel, asked for again: where its notices go may change, and nothing else.
    pub(super) fn again(&self, input: ShipmentInput) -> Result<Self, Refused> {
        let of = |input: &ShipmentInput| {
            (input.to.clone(), input.lines.clone(), input.collect.clone(), input.deliver_between.clone())
        };
        let is_same = of(&self.input) == of(&input);
        match (is_same, self.status.as_str()) {
            (false, _) => Err((422, "other_shipment")),
            (true, "cancelled") => Err((409, "cancelled")),
            (true, _) => Ok(Self { input, ..self.clone() }),
        }
    }

    pub(super) fn faults(&self) -> ParcelFaults {
        self.input.faults().unwrap_or(ParcelFaults::NONE)
    }

    fn tracking_number(&self) -> String {
        format!("SBX{:06}", self.number)
    }

    /// The notice of an event.
    fn notice(&self, event: &Event) -> String {
        let mut body = json!(event);
        body["reference"] = self.name.as_str().into();
        body.to_string()
    }

    fn happened(&mut self, event: Event) -> Vec<String> {
        self.status.clone_from(&event.status);
        let notice = self.notice(&event);
        self.events.push(event);
        vec![notice]
    }

    /// Sees to it that it is not fetched; false where it was.
    pub(super) fn cancel(&mut self, now: i64) -> (bool, Vec<String>) {
        match (self.status.as_str(), self.faults().cancel) {
            ("cancelled", _) => (true, Vec::new()),
            // It is fetched just now.
            ("booked", Fault::Refuse) => {
                let event = Event {
                    id: format!("{}-1", self.tracking_number()),
                    status: "picked_up".to_owned(),
                    at: moment(now),
                    collected: None,
                    lines: Vec::new(),
                };
                (false, self.happened(event))
            }
            ("booked", _) => {
                "cancelled".clone_into(&mut self.status);
                (true, Vec::new())
            }
            _ => (false, Vec::new()),
        }
    }

    /// What is to become of it becomes of it, in whatever order that is wanted; one that was told before is told again as it was. Gives its place.
    pub(super) fn tell(&mut self, input: EventInput, now: i64) -> Result<(usize, Vec<String>), Refused> {
        let EventInput { status, collected, lines, id, at } = input;
        let is_moment = at.as_deref().is_none_or(|at| at.parse::<jiff::Timestamp>().is_ok());
        let is_money = collected.as_ref().is_none_or(Collect::is_money);
        if !STATUSES.contains(&status.as_str()) || !is_moment || !is_money || lines.len() > LINES {
            return Err((422, "invalid"));
        }
        if self.status == "cancelled" {
            return Err((409, "cancelled"));
        }
        let id = id.unwrap_or_else(|| format!("{}-{}", self.tracking_number(), self.events.len() + 1));
        if let Some(place) = self.events.iter().position(|event| event.id == id) {
            return Ok((place, vec![self.notice(&self.events[place])]));
        }
        if self.events.len() >= EVENTS {
            return Err((409, "too_many_events"));
        }
        let event = Event { id, status, at: at.unwrap_or_else(|| moment(now)), collected, lines };
        let notices = self.happened(event);
        Ok((self.events.len() - 1, notices))
    }

    /// An event, as it is told.
    pub(super) fn event_json(&self, place: usize) -> Value {
        self.events.get(place).map_or(Value::Null, |event| json!(event))
    }

    /// As the shop is told of it.
    pub(super) fn json(&self) -> Value {
        json!({
            "reference": self.name, "tracking_number": self.tracking_number(), "status": self.status, "events": self.events,
        })
    }

    /// As it stands in the books.
    pub(super) fn book_json(&self) -> Value {
        let mut json = self.json();
        json["to"] = json!(self.input.to);
        json["lines"] = json!(self.input.lines);
        json["collect"] = json!(self.input.collect);
        json["at"] = self.at.into();
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(line2: &str, quantity: u32) -> ShipmentInput {
        let body = json!({
            "to": {"name": "Rumi", "line1": "1 Mirpur Road", "line2": line2, "city": "Dhaka", "country": "BD"},
            "lines": [{"sku_id": "sku_1", "title": "Lungi", "quantity": quantity}],
            "collect": {"amount": "10.00", "currency": "BDT"}, "notice_url": "https://shop.example/notices",
        });
        serde_json::from_value(body).expect("a shipment")
    }

    fn parcel(line2: &str) -> Parcel {
        Parcel::new("shipment_1.order_1.00000001", 7, input(line2, 2), 0).expect("a parcel")
    }

    fn told(status: &str) -> EventInput {
        serde_json::from_value(json!({"status": status})).expect("an event")
    }

    #[test]
    fn what_is_booked_again_is_the_same_or_is_refused() {
        let booked = parcel("");
        assert!(booked.again(input("", 2)).is_ok());
        assert_eq!(booked.again(input("", 3)).err(), Some((422, "other_shipment")));
        let mut cancelled = parcel("");
        assert!(cancelled.cancel(0).0 && cancelled.cancel(0).0);
        assert_eq!(cancelled.again(input("", 2)).err(), Some((409, "cancelled")));
        assert_eq!(cancelled.tell(told("picked_up"), 0).err(), Some((409, "cancelled")));
        for (line2, quantity, code) in [
            ("tok_refuse", 1, "address_unsupported"),
            ("tok_nonsense", 1, "address_unsupported"),
            ("", 0, "lines_unsupported"),
        ] {
            assert_eq!(Parcel::new("x", 1, input(line2, quantity), 0).err(), Some((422, code)));
        }
    }

    #[test]
    fn what_is_fetched_is_not_cancelled() {
        let mut fetched = parcel("");
        let (place, notices) = fetched.tell(told("picked_up"), 0).expect("an event");
        assert_eq!((place, fetched.cancel(0)), (0, (false, Vec::new())));
        let notice: Value = serde_json::from_str(&notices[0]).expect("JSON");
        let expected = json!({"id": "SBX000007-1", "reference": fetched.name, "status": "picked_up", "at": "1970-01-01T00:00:00Z"});
        assert_eq!(notice, expected);
        let mut raced = parcel("tok_ok.cancel_refuse");
        let (is_cancelled, notices) = raced.cancel(0);
        assert_eq!((is_cancelled, notices.len(), raced.json()["status"].as_str()), (false, 1, Some("picked_up")));
    }

    #[test]
    fn an_event_is_told_again_as_it_was() {
        let mut driven = parcel("");
        let again = json!({"status": "lost", "id": "SBX000007-1"});
        driven.tell(told("delivered"), 5_000).expect("an event");
        let (place, notices) = driven.tell(serde_json::from_value(again).expect("an event"), 9_000).expect("the same");
        assert_eq!((place, notices.len(), driven.events.len()), (0, 1, 1));
        assert!(notices[0].contains("delivered") && notices[0].contains("00:00:05"), "{notices:?}");
        for wrong in [
            json!({"status": "booked"}),
            json!({"status": "lost", "at": "soon"}),
            json!({"status": "lost", "collected": {"amount": "x", "currency": "BDT"}}),
        ] {
            let wrong = serde_json::from_value(wrong).expect("an event");
            assert_eq!(driven.tell(wrong, 0).err(), Some((422, "invalid")));
        }
    }
}
