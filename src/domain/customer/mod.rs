//! A customer: whoever buys with an account. It knows which of their carts is the one that they are filling.
//!
//! The carts of a customer are numbered from 0, and a cart's id follows from customer and number. So nothing is recorded
//! here for the first cart, and nothing at a checkout: only when a cart is asked for and the last one is found not to be
//! open does the next number count.
//!
//! It counts the orders of the customer that are open and to be paid at the door: of these a buyer may have a few at a time. A guest is counted by
//! phone number: the id of the customer who counts follows from the number, and belongs to no account.
//!
//! It has their points (`points`), of which orders hold some, and their tier (`tiers`).
//!
//! And it knows which prices they have and whether they pay taxes, which the shop's people say. Whoever has other ones than everybody is published: a cart reads it
//! there in its own turn, so a checkout asks no customer.

mod asked;
mod points;
mod tiers;

pub use asked::{PointCommand, PointsView, may_be_given};
pub use points::{GivenFor, NEVER, PointEvent, PointItem, PointKind, PointLot, PointTotals, Points};
pub use tiers::{Bought, Standing};

use super::buyer::{Audience, Exemption};
use super::entity::{
    Asks, By, Checks, Decides, Delta, Effect, EffectKey, Keeps, Message, Part, Principal, Publication, RestoreError,
    read_own, write_part,
};
use super::ids::{CartId, CustomerId, EntityId, Kind, OrderId};
use super::invariants::Breach;
use super::knowledge::{Knowledge, Settings};
use super::order::{NoCash, OrderCommand, Party};
use super::reject::Reject;
use super::rows::{CustomerRow, Rows};
use super::time::Timestamp;
use super::who::{Action, TheShop, may};
use crate::limits;
use serde::{Deserialize, Serialize};

/// What can be asked of a customer. Of their carts each asks for themselves: whoever may ask is who the id says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CustomerCommand {
    /// Which cart is the newest?
    Cart,
    /// The cart of this number is not open any more: which is the one after it?
    NextCart {
        /// The number.
        after: u32,
    },
    /// May one more order be open that is to be paid at the door?
    OpenCash {
        /// Which.
        order: OrderId,
    },
    /// That order is accepted.
    KeepCash {
        /// Which.
        order: OrderId,
    },
    /// That order is not open any more.
    CloseCash {
        /// Which.
        order: OrderId,
        /// Whether what was brought to the door was refused.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        refused: bool,
    },
    /// What are they?
    Show {
        /// Who asks.
        by: Principal,
    },
    /// Change what they are. What is not there stays.
    Edit {
        /// On whose behalf.
        by: Principal,
        /// Which prices they have.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<Audience>,
        /// Why they pay no tax; `Some(None)` where they do again.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "there")]
        exempt: Option<Option<Exemption>>,
    },
    /// What concerns their points.
    #[serde(untagged)]
    Points(PointCommand),
}

/// Reads a field that is there: so one that is absent is told from one that is null.
fn there<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Option<Exemption>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// What can have happened to a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CustomerEvent {
    /// Their cart is another one from now on.
    CartFollowed {
        /// Its number.
        number: u32,
    },
    /// An order is open that is to be paid at the door.
    CashOpened {
        /// Which.
        order: OrderId,
    },
    /// It is not open any more.
    CashClosed {
        /// Which.
        order: OrderId,
        /// Whether what was brought to the door was refused.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        refused: bool,
    },
    /// They are something else from now on.
    CustomerEdited {
        /// Which prices they have.
        group: Audience,
        /// Why they pay no tax; none of a customer who does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exempt: Option<Exemption>,
        /// Who says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<By>,
    },
    /// What became of their points.
    #[serde(untagged)]
    Points(PointEvent),
}

/// What a customer answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CustomerReply {
    /// Their newest cart, which need not have come into being.
    Cart {
        /// The cart.
        cart: CartId,
        /// Its number.
        number: u32,
    },
    /// Done; nothing to show.
    Done,
    /// What they are.
    Customer {
        /// Which prices they have.
        group: Audience,
        /// Why they pay no tax; none of a customer who does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exempt: Option<Exemption>,
    },
    /// What they have of points.
    Points {
        /// That.
        points: Box<PointsView>,
    },
}

/// A customer's state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Customer {
    id: CustomerId,
    /// The number of the newest cart.
    cart: u32,
    /// Which prices they have, once anybody has said so: then they have a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<Audience>,
    /// Why they pay no tax.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exempt: Option<Exemption>,
    /// The orders that are open and to be paid at the door, in the order in which they came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cash: Vec<OrderId>,
    /// When what was brought to the door was refused, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refusals: Vec<Timestamp>,
    /// Their points.
    #[serde(default, skip_serializing_if = "Points::is_nothing")]
    points: Points,
}

impl Customer {
    /// Their points.
    pub fn points(&self) -> &Points {
        &self.points
    }

    /// The orders that are open and to be paid at the door.
    pub fn open_cash(&self) -> &[OrderId] {
        &self.cash
    }

    /// Whether one more order may be paid at the door.
    fn may_pay_cash(&self, settings: &Settings, now: Timestamp) -> Result<(), Reject> {
        let refuse = |why| Err(Reject::CodNotAvailable { why, vendor_ids: Vec::new(), maximum: None });
        let counts = |at: &&Timestamp| now.millis_since(**at) < limits::CASH_REFUSALS_MS;
        if self.cash.len() >= settings.cash_open_orders as usize {
            return refuse(NoCash::OpenOrders);
        }
        let most = settings.cash_refusals as usize;
        if most > 0 && self.refusals.iter().filter(counts).count() >= most {
            return refuse(NoCash::Refusals);
        }
        Ok(())
    }

    /// As its row; `None` while it is as everybody is.
    pub fn row(&self) -> Option<CustomerRow> {
        let multiplier = self.multiplier();
        if self.group.is_none() && multiplier.is_none() {
            return None;
        }
        Some(CustomerRow { id: self.id, group: self.group.unwrap_or_default(), exempt: self.exempt, multiplier })
    }

    fn published(&self) -> Publication {
        Publication::Group {
            customer: self.id,
            audience: self.group.unwrap_or_default(),
            exempt: self.exempt,
            multiplier: self.multiplier(),
        }
    }

    fn may(by: Principal, action: Action) -> Result<(), Reject> {
        if may(by, action, &TheShop) { Ok(()) } else { Err(Reject::CustomerUnknown) }
    }
}

impl Decides for Customer {
    const KIND: Kind = Kind::Customer;
    const UNKNOWN: Reject = Reject::CustomerUnknown;
    type Id = CustomerId;
    type Command = CustomerCommand;
    type Event = CustomerEvent;
    type Reply = CustomerReply;

    fn new(id: CustomerId) -> Self {
        Self {
            id,
            cart: 0,
            group: None,
            exempt: None,
            cash: Vec::new(),
            refusals: Vec::new(),
            points: Points::default(),
        }
    }

    fn heard(&mut self, command: &CustomerCommand, now: Timestamp) {
        if let CustomerCommand::Points(command) = command {
            self.hear_points(command, now);
        }
    }

    fn decide(
        &self,
        command: &CustomerCommand,
        knowledge: &Knowledge<'_>,
        now: Timestamp,
    ) -> Result<Vec<CustomerEvent>, Reject> {
        match command {
            // Of several who found the same cart closed, the first moves on, and the others come along. A number that was
            // never given out is nobody's to leave.
            CustomerCommand::NextCart { after } if *after == self.cart => {
                if *after >= limits::CUSTOMER_CARTS - 1 {
                    let limit = limits::CUSTOMER_CARTS as usize;
                    return Err(Reject::TooMany { what: "carts of one customer".into(), limit });
                }
                Ok(vec![CustomerEvent::CartFollowed { number: after + 1 }])
            }
            CustomerCommand::Cart | CustomerCommand::NextCart { .. } => Ok(Vec::new()),
            CustomerCommand::OpenCash { order } | CustomerCommand::KeepCash { order } if self.cash.contains(order) => {
                Ok(Vec::new())
            }
            CustomerCommand::OpenCash { order } => {
                self.may_pay_cash(knowledge.settings, now)?;
                Ok(vec![CustomerEvent::CashOpened { order: *order }])
            }
            // It is accepted: that it is not counted, because a store was taken back from a backup, is no reason to undo it.
            CustomerCommand::KeepCash { order } => Ok(vec![CustomerEvent::CashOpened { order: *order }]),
            CustomerCommand::CloseCash { order, refused } if self.cash.contains(order) => {
                Ok(vec![CustomerEvent::CashClosed { order: *order, refused: *refused }])
            }
            CustomerCommand::CloseCash { .. } => Ok(Vec::new()),
            CustomerCommand::Show { by } => Self::may(*by, Action::SeeCustomers).map(|()| Vec::new()),
            CustomerCommand::Edit { by, group, exempt } => {
                Self::may(*by, Action::EditCustomers)?;
                let had = self.group.unwrap_or_default();
                let (group, exempt) = (group.unwrap_or(had), exempt.unwrap_or(self.exempt));
                if (group, exempt) == (had, self.exempt) {
                    return Ok(Vec::new());
                }
                Ok(vec![CustomerEvent::CustomerEdited { group, exempt, by: By::of(*by) }])
            }
            CustomerCommand::Points(command) => self.decide_points(command, knowledge, now),
        }
    }

    fn apply(&mut self, event: &CustomerEvent, at: Timestamp) {
        match event {
            CustomerEvent::CashOpened { order } => self.cash.push(*order),
            CustomerEvent::CashClosed { order, refused } => {
                self.cash.retain(|open| open != order);
                self.refusals.retain(|refused| at.millis_since(*refused) < limits::CASH_REFUSALS_MS);
                if *refused {
                    self.refusals.push(at);
                }
            }
            CustomerEvent::CartFollowed { number } => self.cart = *number,
            CustomerEvent::CustomerEdited { group, exempt, .. } => (self.group, self.exempt) = (Some(*group), *exempt),
            CustomerEvent::Points(event) => self.points.apply(event, at),
        }
    }

    fn reply(&self, command: &CustomerCommand, _recorded: bool) -> Option<Result<CustomerReply, Reject>> {
        Some(Ok(match command {
            CustomerCommand::Cart | CustomerCommand::NextCart { .. } => {
                CustomerReply::Cart { cart: CartId::of_customer(self.id, self.cart), number: self.cart }
            }
            CustomerCommand::OpenCash { .. } | CustomerCommand::KeepCash { .. } | CustomerCommand::CloseCash { .. } => {
                CustomerReply::Done
            }
            CustomerCommand::Show { .. } | CustomerCommand::Edit { .. } => {
                CustomerReply::Customer { group: self.group.unwrap_or_default(), exempt: self.exempt }
            }
            CustomerCommand::Points(command) => self.reply_points(command),
        }))
    }

    fn respond(&self, command: &CustomerCommand, outcome: Result<(), &Reject>) -> Option<Message> {
        if let CustomerCommand::Points(command) = command {
            return self.respond_points(command, outcome);
        }
        let with = Party::Cash(self.id);
        let (order, answer) = match (command, outcome) {
            (CustomerCommand::OpenCash { order }, Ok(())) => (order, OrderCommand::LegHeld { with }),
            (CustomerCommand::OpenCash { order }, Err(reject)) => {
                (order, OrderCommand::LegRefused { with, reason: reject.clone() })
            }
            (CustomerCommand::KeepCash { order }, Ok(())) => (order, OrderCommand::LegCommitted { with }),
            (CustomerCommand::CloseCash { order, .. }, Ok(())) => (order, OrderCommand::LegReleased { with }),
            (CustomerCommand::KeepCash { order } | CustomerCommand::CloseCash { order, .. }, Err(reject)) => {
                (order, OrderCommand::LegFailed { with, reason: reject.clone() })
            }
            _ => return None,
        };
        Some(Message::Order { id: *order, command: answer })
    }

    fn publications(&self, events: &[CustomerEvent]) -> Vec<Publication> {
        let is_shown = |event: &CustomerEvent| {
            matches!(
                event,
                CustomerEvent::CustomerEdited { .. } | CustomerEvent::Points(PointEvent::TierChanged { .. })
            )
        };
        events.iter().any(is_shown).then(|| self.published()).into_iter().collect()
    }

    fn publications_of_recovery(&self, _before: impl FnOnce() -> Option<Self>) -> Vec<Publication> {
        // Also where it is that of everybody again: the row may say another.
        vec![self.published()]
    }

    fn is_read(command: &CustomerCommand) -> bool {
        // Whoever asks which cart is theirs wants to fill it; and under a key the answer is kept.
        matches!(command, CustomerCommand::Show { .. } | CustomerCommand::Points(PointCommand::SeePoints { .. }))
    }
}

impl Asks for Customer {
    fn outstanding(&self, now: Timestamp) -> Vec<EffectKey> {
        self.asks_of_points(now)
    }

    fn outstanding_at_once(&self, _now: Timestamp) -> Vec<EffectKey> {
        Vec::new()
    }

    fn next_ask(&self) -> Option<Timestamp> {
        self.next_ask_of_points()
    }

    fn ask_due(&mut self, now: Timestamp) -> Vec<EffectKey> {
        self.take_asks_of_points(now)
    }

    fn effect(&self, key: EffectKey) -> Option<Effect> {
        self.ask_of_points(key)
    }

    fn timer(&self) -> Option<(Timestamp, CustomerCommand)> {
        Some((self.timer_of_points()?, CustomerCommand::Points(PointCommand::Tick)))
    }

    fn wake_at(&self, now: Timestamp) -> Option<Timestamp> {
        // What was asked about is past its time.
        match self.points.holds.asked() + self.points.posted.asked() {
            0 => self.timer_of_points(),
            _ => Some(now),
        }
    }
}

impl Keeps for Customer {
    const KEPT_ANSWERS: usize = limits::IDEMPOTENCY_KEYS_PER_PURCHASE;
    const SHAPE: u32 = 1;
    const ROWS_AT_START: bool = true;

    fn delta(&mut self) -> Delta {
        Delta { parts: vec![write_part(String::new(), self)], rows: self.rows(), spent: &[] }
    }

    fn rows(&self) -> Rows {
        Rows { customers: self.row().into_iter().collect(), ..Rows::default() }
    }

    fn restore(id: CustomerId, parts: &[Part]) -> Result<Self, RestoreError> {
        match parts.first() {
            Some(part) => read_own(part, id, |customer: &Self| customer.id),
            None => Ok(Self::new(id)),
        }
    }
}

impl Checks for Customer {
    fn check(&self) -> Result<(), Breach> {
        // Every number is a good one.
        let twice = |(place, order): (usize, &OrderId)| self.cash[..place].contains(order);
        match self.cash.iter().enumerate().any(twice) {
            true => Err(Breach::new("an_order_is_counted_once", self.id.entity(), format!("{:?}", self.cash))),
            false => match self.points.is_wrong() {
                Some((invariant, detail)) => Err(Breach::new(invariant, self.id.entity(), detail)),
                None => Ok(()),
            },
        }
    }

    fn summary(&self) -> serde_json::Value {
        serde_json::json!({
            "cart_id": CartId::of_customer(self.id, self.cart),
            "carts": u64::from(self.cart) + 1,
            "group": self.group.unwrap_or_default(),
            "exempt": self.exempt,
            "open_cash_orders": self.cash,
            "points": self.points.active(),
            "points_held": self.points.held(),
            "points_debt": self.points.debt(),
            "points_totals": self.points.totals(),
            "tier": self.points.standing.as_ref().and_then(|standing| standing.tier.as_deref()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn customer() -> Customer {
        Customer::new(CustomerId::from_uuid(Uuid::from_u128(0x0188_bac7_4afa_78aa_bc3b_bd1e_ef28_d881)))
    }

    fn ask(customer: &mut Customer, command: &CustomerCommand) -> Result<(u32, bool), Reject> {
        let now = Timestamp::from_millis(1);
        let events = customer.decide(command, &Knowledge::NOTHING, now)?;
        events.iter().for_each(|event| customer.apply(event, now));
        let Some(Ok(CustomerReply::Cart { cart, number })) = customer.reply(command, !events.is_empty()) else {
            panic!("a customer answers at once")
        };
        assert_eq!(cart, CartId::of_customer(customer.id, number));
        Ok((number, !events.is_empty()))
    }

    #[test]
    fn the_next_cart_is_counted_once_however_many_ask_for_it() {
        let mut customer = customer();
        // What is asked; the number, and whether it was recorded.
        for (command, told) in [
            (CustomerCommand::Cart, (0, false)),
            (CustomerCommand::NextCart { after: 0 }, (1, true)),
            (CustomerCommand::NextCart { after: 0 }, (1, false)),
            (CustomerCommand::Cart, (1, false)),
            (CustomerCommand::NextCart { after: 7 }, (1, false)),
            (CustomerCommand::NextCart { after: 1 }, (2, true)),
            (CustomerCommand::NextCart { after: 0 }, (2, false)),
        ] {
            assert_eq!(ask(&mut customer, &command), Ok(told), "{command:?}");
        }
        let parts = customer.delta().parts;
        let mut again = Customer::restore(customer.id, &parts).expect("a snapshot");
        assert_eq!(ask(&mut again, &CustomerCommand::Cart), Ok((2, false)));
        assert_eq!(again.delta().parts, parts);
    }

    #[test]
    fn the_shop_says_what_a_customer_is_and_it_is_published() {
        let mut customer = customer();
        let own = Principal::Customer(customer.id);
        let mut edit = |by, group, exempt| {
            let now = Timestamp::from_millis(1);
            let command = CustomerCommand::Edit { by, group, exempt };
            let events = customer.decide(&command, &Knowledge::NOTHING, now)?;
            events.iter().for_each(|event| customer.apply(event, now));
            let published = customer.publications(&events);
            assert_eq!(published.len(), events.len());
            assert_eq!(customer.publications_of_recovery(|| None), [customer.published()]);
            let Some(Ok(CustomerReply::Customer { group, exempt })) = customer.reply(&command, false) else {
                panic!("what they are")
            };
            let parts = customer.delta().parts;
            let again = Customer::restore(customer.id, &parts).expect("a snapshot");
            assert_eq!(again.rows(), customer.rows());
            assert!(customer.row().is_none_or(|row| (row.group, row.exempt) == (group, exempt)));
            Ok::<_, Reject>((group, exempt, !published.is_empty(), customer.row().is_some()))
        };
        let (retail, wholesale) = (Audience::Retail, Audience::Wholesale);
        let shop = Principal::SHOP;
        assert_eq!(edit(own, Some(wholesale), None), Err(Reject::CustomerUnknown));
        assert_eq!(edit(own, None, Some(Some(Exemption::Resale))), Err(Reject::CustomerUnknown));
        for (group, exempt, told) in [
            // As everybody: no record, no row.
            (Some(retail), Some(None), (retail, None, false, false)),
            (Some(wholesale), None, (wholesale, None, true, true)),
            (Some(wholesale), None, (wholesale, None, false, true)),
            (None, None, (wholesale, None, false, true)),
            (None, Some(Some(Exemption::Resale)), (wholesale, Some(Exemption::Resale), true, true)),
            (Some(wholesale), Some(Some(Exemption::Resale)), (wholesale, Some(Exemption::Resale), false, true)),
            (Some(retail), None, (retail, Some(Exemption::Resale), true, true)),
            // The row says so.
            (None, Some(None), (retail, None, true, true)),
        ] {
            assert_eq!(edit(shop, group, exempt), Ok(told), "{group:?} {exempt:?}");
        }
    }

    #[test]
    fn few_orders_of_a_buyer_are_open_that_are_to_be_paid_at_the_door() {
        const DAY_MS: i64 = 24 * 3_600_000;
        let mut customer = customer();
        let order = |number| OrderId::from_uuid(Uuid::from_u128(number));
        let mut at_day = |day: i64, command: CustomerCommand| {
            let now = Timestamp::from_millis(day * DAY_MS);
            let decided = customer.decide(&command, &Knowledge::NOTHING, now);
            let told = customer.respond(&command, decided.as_ref().map(|_| ()));
            for event in decided.iter().flatten() {
                customer.apply(event, now);
                customer.check().expect("each is counted once");
            }
            let again = Customer::restore(customer.id, &customer.delta().parts).expect("a snapshot");
            assert_eq!(again.open_cash(), customer.open_cash());
            assert_eq!(customer.row(), None, "nobody is a customer for that");
            let Some(Message::Order { command, .. }) = told else { panic!("the order is answered") };
            let says = match command {
                OrderCommand::LegHeld { .. } => "held",
                OrderCommand::LegCommitted { .. } => "kept",
                OrderCommand::LegReleased { .. } => "closed",
                OrderCommand::LegRefused { reason: Reject::CodNotAvailable { why, .. }, .. } => why.name(),
                other => panic!("{other:?}"),
            };
            (says, decided.map_or(0, |events| events.len()))
        };
        let open = |number| CustomerCommand::OpenCash { order: order(number) };
        let keep = |number| CustomerCommand::KeepCash { order: order(number) };
        let close = |number, refused| CustomerCommand::CloseCash { order: order(number), refused };
        for (day, command, says) in [
            (1, open(1), ("held", 1)),
            (1, open(1), ("held", 0)),
            (1, keep(1), ("kept", 0)),
            (1, open(2), ("held", 1)),
            (1, open(3), ("held", 1)),
            (1, open(4), ("open_orders", 0)),
            // One that is counted already is not refused.
            (1, open(2), ("held", 0)),
            (2, close(2, false), ("closed", 1)),
            (2, close(2, false), ("closed", 0)),
            (2, open(4), ("held", 1)),
            // It was accepted by what a backup forgot.
            (2, keep(5), ("kept", 1)),
            (2, open(6), ("open_orders", 0)),
            (3, close(1, true), ("closed", 1)),
            (3, close(1, true), ("closed", 0)),
            (3, close(3, true), ("closed", 1)),
            (3, open(6), ("held", 1)),
            (4, close(4, true), ("closed", 1)),
            (4, open(7), ("refusals", 0)),
            (93, open(7), ("held", 1)),
            // Of what it knows nothing it has nothing to close.
            (93, close(9, true), ("closed", 0)),
        ] {
            assert_eq!(at_day(day, command.clone()), says, "{day} {command:?}");
        }
    }

    #[test]
    fn the_numbers_of_carts_end() {
        let last = limits::CUSTOMER_CARTS - 1;
        let mut customer = Customer { cart: last, ..customer() };
        assert_eq!(ask(&mut customer, &CustomerCommand::Cart), Ok((last, false)));
        let next = ask(&mut customer, &CustomerCommand::NextCart { after: last });
        assert!(matches!(next, Err(Reject::TooMany { .. })));
    }

    #[test]
    fn a_cart_lives_where_its_customer_lives_and_follows_from_its_number() {
        let id = customer().id;
        let cart = |number| CartId::of_customer(id, number);
        assert_eq!(cart(0), cart(0));
        assert_ne!(cart(0), cart(1));
        assert_ne!(cart(0).uuid(), id.uuid(), "nor is it the customer's own number");
        assert_eq!(cart(0).entity().partition(16), id.entity().partition(16));
        assert_eq!(cart(0).uuid().get_version_num(), 7);
    }
}
