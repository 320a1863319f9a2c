//! A coupon: the terms of a promotion under a code, and what is counted of its uses.
//!
//! Its id follows from its code, or from the prefix of its codes, so no two coupons have the same one. Terms are published to the catalogue, where the
//! order that reckons by them finds them. Only where something of its uses is limited does an order ask it to hold one: then what is held and
//! what is used, counted together, is never more than the limits say, whatever cards are declined meanwhile.

mod code;
mod reckon;
mod returns;
#[cfg(test)]
mod tests;
mod types;
mod uses;

pub use code::{CouponCode, SERIALS, Single};
pub use reckon::{Judged, Usable, preview};
pub use types::*;

use super::buyer::BuyerKey;
use super::entity::{
    Asks, Checks, Decides, Delta, Effect, EffectKey, Keeps, Message, Part, Principal, Publication, RestoreError, Step,
    read_part, write_part,
};
use super::hold::{CreditKey, Hold, HoldPart, Holds, asks_about};
use super::ids::{CouponId, EntityId, Kind, OrderId, VendorId};
use super::invariants::Breach;
use super::knowledge::Knowledge;
use super::money::Money;
use super::order::{OrderCommand, Party};
use super::pricing::NotApplicable;
use super::reject::Reject;
use super::rows::{CouponRow, Rows};
use super::time::Timestamp;
use super::who::{Action, Belongs, may};
use crate::limits;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uses::{Block, Uses};

/// A coupon's state.
#[derive(Clone, Debug)]
pub struct Coupon {
    id: CouponId,
    is: Option<Is>,
    holds: Holds<HeldUse>,
    /// What was given back by credits whose orders may ask for it again.
    returned: Holds<(), CreditKey>,
    uses: Uses,
    /// What the next delta gives, and whether no delta has given it yet: then it need not be deleted when it is gone.
    changed: BTreeMap<PartKey, bool>,
    /// Whether there was a delta. Before the first, what this state was made of may be on its way to the store.
    gave_delta: bool,
    /// How much the online check may look at by now.
    check_allowance: usize,
}

/// What it is from its first event on.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Is {
    code: CouponCode,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    single_use: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vendor: Option<VendorId>,
    terms: Box<CouponTerms>,
    version: u64,
    /// The serial number after the last code that was made.
    issued: u32,
    created_at: Timestamp,
}

/// The part of a snapshot that has no name.
#[derive(Serialize, Deserialize)]
struct Head {
    id: CouponId,
    is: Option<Is>,
    used: u64,
    amount_held: i64,
    amount_used: i64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    committed: BTreeMap<OrderId, Timestamp>,
    /// What was given back by credits whose orders have not heard of it, with the moment from which on they are asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    returned: Vec<(CreditKey, Timestamp)>,
}

/// The other parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PartKey {
    Hold(HoldPart),
    Block(Block),
}

impl Belongs for Is {
    fn belongs_to(&self, by: Principal) -> bool {
        self.vendor.is_some_and(|vendor| vendor.belongs_to(by))
    }
}

impl Is {
    /// Whether an order must have a use held.
    fn is_counted(&self) -> bool {
        self.single_use || self.terms.count()
    }

    /// What of a use is to be counted.
    fn counted(&self, serial: Option<u32>, keys: &[BuyerKey], amount: Money) -> HeldUse {
        HeldUse {
            serial: serial.filter(|_| self.single_use),
            keys: self.terms.limit_per_customer.map_or_else(Vec::new, |_| keys.to_vec()),
            amount: self.terms.budget.map_or(0, |_| amount.minor),
        }
    }
}

impl Coupon {
    /// What it holds for orders.
    pub fn holds(&self) -> &Holds<HeldUse> {
        &self.holds
    }

    /// Uses that are held for orders.
    fn held(&self) -> u64 {
        let (all, _) = self.holds.timed();
        all.saturating_sub(self.holds.committed().len()) as u64
    }

    fn may(&self, by: Principal, action: Action) -> Result<&Is, Reject> {
        self.is.as_ref().filter(|is| may(by, action, *is)).ok_or(Reject::CouponUnknown)
    }

    /// As it is shown to those whose it is; `None` before it came into being.
    pub fn row(&self) -> Option<CouponRow> {
        let is = self.is.as_ref()?;
        Some(CouponRow {
            id: self.id,
            code: is.code.clone(),
            vendor_id: is.vendor,
            single_use: is.single_use,
            version: is.version,
            terms: (*is.terms).clone(),
            created_at: is.created_at,
            issued: is.issued,
            held: self.held(),
            used: self.uses.used,
            amount_held: self.uses.amount_held,
            amount_used: self.uses.amount_used,
        })
    }

    fn decide_create(
        &self,
        by: Principal,
        code: &CouponCode,
        single_use: bool,
        terms: &CouponTerms,
    ) -> Result<Vec<CouponEvent>, Reject> {
        let mut terms = terms.clone();
        let vendor = match by {
            Principal::Member(member) => Some(member.vendor),
            _ => None,
        };
        vendor.into_iter().for_each(|vendor| terms.of_vendor(vendor));
        terms.check()?;
        if single_use && !code.may_be_prefix() {
            let why = "the codes that begin with it would be too long".into();
            return Err(Reject::CouponMalformed { field: "code".into(), why });
        }
        if self.is.is_some() {
            return Err(Reject::CouponCodeTaken);
        }
        Ok(vec![CouponEvent::CouponCreated { code: code.clone(), single_use, vendor, terms: Box::new(terms) }])
    }

    fn decide_edit(&self, by: Principal, change: &CouponChange) -> Result<Vec<CouponEvent>, Reject> {
        let is = self.may(by, Action::EditCoupons)?;
        let mut terms = change.of(&is.terms);
        is.vendor.into_iter().for_each(|vendor| terms.of_vendor(vendor));
        terms.check()?;
        if terms == *is.terms {
            return Ok(Vec::new());
        }
        let uses = self.held().saturating_add(self.uses.used);
        let amount = self.uses.amount_held.saturating_add(self.uses.amount_used);
        let too_few = terms.usage_limit.is_some_and(|limit| limit < uses);
        // What was taken of the budget is in its currency.
        let other = amount > 0 && is.terms.budget.map(|was| was.currency) != terms.budget.map(|is| is.currency);
        let too_small = terms.budget.is_some_and(|budget| budget.minor < amount);
        let most = self.uses.buyers().map(|(_, uses)| uses).max().unwrap_or_default();
        if too_few || too_small || other || terms.limit_per_customer.is_some_and(|limit| limit < most) {
            return Err(Reject::CouponInUse { uses });
        }
        Ok(vec![CouponEvent::CouponEdited { version: is.version + 1, terms: Box::new(terms) }])
    }

    fn decide_issue(&self, by: Principal, count: u32) -> Result<Vec<CouponEvent>, Reject> {
        let is = self.may(by, Action::EditCoupons)?;
        if !is.single_use {
            return Err(is.code.not_applicable(NotApplicable::NotSingleUse));
        }
        if !(1..=limits::COUPON_CODES_AT_ONCE).contains(&count) {
            let why = "1 to 10,000 codes are made at a time".into();
            return Err(Reject::CouponMalformed { field: "count".into(), why });
        }
        let upto = is.issued.saturating_add(count);
        if upto > SERIALS {
            return Err(Reject::TooMany { what: "codes of one coupon".into(), limit: SERIALS as usize });
        }
        Ok(vec![CouponEvent::CodesIssued { upto }])
    }

    /// Whether one more use may be held, in the order in which refusals go.
    fn decide_hold(
        &self,
        serial: Option<u32>,
        keys: &[BuyerKey],
        version: u64,
        amount: Money,
        now: Timestamp,
    ) -> Result<HeldUse, Reject> {
        let is = self.is.as_ref().ok_or(Reject::CouponUnknown)?;
        if is.single_use && serial.is_none_or(|serial| serial >= is.issued) {
            return Err(Reject::CouponUnknown);
        }
        let terms = &is.terms;
        if terms.limit_per_customer.is_some() && keys.is_empty() {
            return Err(Reject::EmailRequired);
        }
        terms.may_be_used(&is.code, now)?;
        if version != is.version {
            return Err(Reject::CouponTermsChanged);
        }
        if terms.currency().is_some_and(|currency| currency != amount.currency) {
            return Err(is.code.not_applicable(NotApplicable::Currency));
        }
        let code_is_taken = serial.is_some_and(|serial| is.single_use && self.uses.has_code(serial));
        let uses = self.held().saturating_add(self.uses.used);
        let all_are_taken = terms.usage_limit.is_some_and(|limit| uses >= limit);
        let taken = self.uses.amount_held.saturating_add(self.uses.amount_used).saturating_add(amount.minor);
        if code_is_taken || all_are_taken || terms.budget.is_some_and(|budget| taken > budget.minor) {
            return Err(Reject::CouponExhausted);
        }
        if let Some(limit) = terms.limit_per_customer
            && keys.iter().any(|key| self.uses.of(*key) >= limit)
        {
            return Err(Reject::CouponLimitReached { limit });
        }
        Ok(is.counted(serial, keys, amount))
    }

    fn decide_command(&self, command: &CouponCommand, now: Timestamp) -> Result<Vec<CouponEvent>, Reject> {
        match command {
            CouponCommand::Create { by, code, single_use, terms } => self.decide_create(*by, code, *single_use, terms),
            CouponCommand::Edit { by, change } => self.decide_edit(*by, change),
            CouponCommand::IssueCodes { by, count } => self.decide_issue(*by, *count),
            CouponCommand::Get { by } => self.may(*by, Action::SeeCoupons).map(|_| Vec::new()),
            CouponCommand::HoldUse { order, until, serial, keys, version, amount } => {
                // It holds already, or the order has used it: this is the echo of an old request.
                if self.holds.until(*order).is_some() {
                    return Ok(Vec::new());
                }
                let held = self.decide_hold(*serial, keys, *version, *amount, now)?;
                self.holds.may_open(*order, *until, now)?;
                Ok(vec![CouponEvent::UseHeld { order: *order, until: *until, held }])
            }
            CouponCommand::CommitUse { order } => {
                let commits = self.holds.decide_commit(*order, true)?;
                Ok(commits.then_some(CouponEvent::UseCommitted { order: *order }).into_iter().collect())
            }
            CouponCommand::ReleaseUse { order, until } => {
                let released = CouponEvent::UseReleased { order: *order, until: *until };
                Ok(self.holds.decide_release(*order, *until, now).then_some(released).into_iter().collect())
            }
            CouponCommand::ReturnUse { returned } => self.decide_return(returned, now),
            // These are done by whoever heard them: what there is to record comes with them.
            CouponCommand::Close { .. } | CouponCommand::CloseReturns { .. } | CouponCommand::Tick => Ok(Vec::new()),
        }
    }

    /// When what waits to be closed has waited for long enough.
    fn close_at(&self) -> Option<Timestamp> {
        self.holds.close_at().into_iter().chain(self.returned.close_at()).min()
    }

    fn made(&mut self, key: PartKey) {
        self.changed.entry(key).or_insert(self.gave_delta);
    }

    /// What was made and ended since the last delta leaves nothing behind: in a rush, that is most of it.
    fn ended(&mut self, key: PartKey) {
        if self.changed.get(&key) == Some(&true) {
            self.changed.remove(&key);
        } else {
            self.changed.insert(key, false);
        }
    }

    fn changed_blocks(&mut self, blocks: Vec<Block>) {
        for block in blocks {
            // A block stays: it is written again, or deleted.
            self.changed.insert(PartKey::Block(block), false);
        }
    }

    fn part(&self, key: PartKey) -> Part {
        fn optional<T: Serialize>(name: String, state: Option<T>) -> Part {
            match state {
                Some(state) => write_part(name, &state),
                None => Part { name, state: None },
            }
        }
        match key {
            PartKey::Hold(HoldPart::Open(order)) => optional(format!("hold/{order}"), self.holds.open(order)),
            PartKey::Hold(HoldPart::Released(order)) => {
                optional(format!("released/{order}"), self.holds.release(order))
            }
            PartKey::Block(Block::Codes(block)) => optional(format!("codes/{block}"), self.uses.codes_part(block)),
            PartKey::Block(Block::Buyers(block)) => optional(format!("buyers/{block}"), self.uses.buyers_part(block)),
        }
    }
}

impl Decides for Coupon {
    const KIND: Kind = Kind::Coupon;
    const UNKNOWN: Reject = Reject::CouponUnknown;
    type Id = CouponId;
    type Command = CouponCommand;
    type Event = CouponEvent;
    type Reply = CouponReply;

    fn new(id: CouponId) -> Self {
        Self {
            id,
            is: None,
            holds: Holds::default(),
            returned: Holds::default(),
            uses: Uses::default(),
            changed: BTreeMap::new(),
            gave_delta: false,
            check_allowance: 0,
        }
    }

    fn heard(&mut self, command: &CouponCommand, now: Timestamp) {
        match command {
            CouponCommand::Close { order } => self.holds.hear_close(*order, now),
            CouponCommand::CloseReturns { order, credits } => {
                credits.iter().for_each(|credit| self.returned.hear_close(CreditKey(*order, *credit), now));
            }
            _ => {}
        }
    }

    fn decide(
        &self,
        command: &CouponCommand,
        _knowledge: &Knowledge<'_>,
        now: Timestamp,
    ) -> Result<Vec<CouponEvent>, Reject> {
        let mut events = self.decide_command(command, now)?;
        // With a record that is written anyway, or when its time has come: whoever only looks makes no record.
        let closes = match command {
            CouponCommand::Tick => self.close_at().is_some_and(|at| at <= now),
            _ => !events.is_empty(),
        };
        if let Some(orders) = self.holds.to_close().filter(|_| closes) {
            events.push(CouponEvent::HoldsClosed { orders });
        }
        if let Some(credits) = self.returned.to_close().filter(|_| closes) {
            events.push(CouponEvent::ReturnsClosed { credits });
        }
        Ok(events)
    }

    fn apply(&mut self, event: &CouponEvent, at: Timestamp) {
        match event {
            CouponEvent::CouponCreated { code, single_use, vendor, terms } => {
                self.is = Some(Is {
                    code: code.clone(),
                    single_use: *single_use,
                    vendor: *vendor,
                    terms: terms.clone(),
                    version: 1,
                    issued: 0,
                    created_at: at,
                });
            }
            CouponEvent::CouponEdited { version, terms } => {
                if let Some(is) = &mut self.is {
                    (is.version, is.terms) = (*version, terms.clone());
                }
            }
            CouponEvent::CodesIssued { upto } => {
                if let Some(is) = &mut self.is {
                    is.issued = *upto;
                }
            }
            CouponEvent::UseHeld { order, until, held } => {
                let changed = self.uses.hold(held);
                self.changed_blocks(changed);
                self.holds.opened(*order, Hold { until: *until, what: held.clone() });
                self.made(PartKey::Hold(HoldPart::Open(*order)));
            }
            CouponEvent::UseCommitted { order } => {
                if let Some(hold) = self.holds.has_committed(*order) {
                    self.uses.commit(&hold.what);
                    self.ended(PartKey::Hold(HoldPart::Open(*order)));
                }
            }
            CouponEvent::UseReleased { order, until } => {
                if let Some(hold) = self.holds.has_ended(*order) {
                    let changed = self.uses.release(&hold.what);
                    self.changed_blocks(changed);
                    self.ended(PartKey::Hold(HoldPart::Open(*order)));
                }
                if self.holds.remember(*order, *until, at) {
                    self.made(PartKey::Hold(HoldPart::Released(*order)));
                }
            }
            CouponEvent::HoldsClosed { orders } => self.holds.closed(orders, at),
            CouponEvent::UseReturned { order, credit, whole, freed } => {
                self.give_back(CreditKey(*order, *credit), *whole, freed, at);
            }
            CouponEvent::ReturnsClosed { credits } => self.returned.closed(credits, at),
        }
        for order in self.holds.forget_releases(at) {
            self.ended(PartKey::Hold(HoldPart::Released(order)));
        }
    }

    fn reply(&self, command: &CouponCommand, _recorded: bool) -> Option<Result<CouponReply, Reject>> {
        Some(match command {
            CouponCommand::Create { .. } | CouponCommand::Edit { .. } | CouponCommand::Get { .. } => {
                self.row().map(|row| CouponReply::Coupon { coupon: Box::new(row) }).ok_or(Reject::CouponUnknown)
            }
            CouponCommand::IssueCodes { count, .. } => match &self.is {
                Some(is) => Ok(CouponReply::Codes {
                    prefix: is.code.clone(),
                    from: is.issued.saturating_sub(*count),
                    upto: is.issued,
                }),
                None => Err(Reject::CouponUnknown),
            },
            _ => Ok(CouponReply::Done),
        })
    }

    fn respond(&self, command: &CouponCommand, outcome: Result<(), &Reject>) -> Option<Message> {
        let with = Party::Coupon(self.id);
        let (order, answer) = match (command, outcome) {
            (CouponCommand::HoldUse { order, .. }, Ok(())) => {
                self.holds.open(*order)?;
                (order, OrderCommand::LegHeld { with })
            }
            (CouponCommand::HoldUse { order, .. }, Err(reject)) => {
                (order, OrderCommand::LegRefused { with, reason: reject.clone() })
            }
            (CouponCommand::CommitUse { order }, Ok(())) => (order, OrderCommand::LegCommitted { with }),
            (CouponCommand::ReleaseUse { order, .. }, Ok(())) => (order, OrderCommand::LegReleased { with }),
            (CouponCommand::ReturnUse { returned }, Ok(())) => (&returned.order, self.returned_answer(returned)),
            (CouponCommand::CommitUse { order } | CouponCommand::ReleaseUse { order, .. }, Err(reject)) => {
                (order, OrderCommand::LegFailed { with, reason: reject.clone() })
            }
            _ => return None,
        };
        Some(Message::Order { id: *order, command: answer })
    }

    fn publications(&self, events: &[CouponEvent]) -> Vec<Publication> {
        let tells =
            |event: &CouponEvent| matches!(event, CouponEvent::CouponCreated { .. } | CouponEvent::CouponEdited { .. });
        match events.iter().any(tells) {
            true => self.row().map(|row| Publication::Coupon(Box::new(row))).into_iter().collect(),
            false => Vec::new(),
        }
    }

    fn publications_of_recovery(&self, _before: impl FnOnce() -> Option<Self>) -> Vec<Publication> {
        self.row().map(|row| Publication::Coupon(Box::new(row))).into_iter().collect()
    }

    fn is_read(command: &CouponCommand) -> bool {
        matches!(command, CouponCommand::Get { .. })
    }
}

impl Asks for Coupon {
    fn outstanding(&self, now: Timestamp) -> Vec<EffectKey> {
        let holds = self.holds.overdue(now).into_iter().map(|order| EffectKey::new(Step::AskHold, order));
        holds.chain(asks_about(self.returned.overdue(now))).collect()
    }

    fn outstanding_at_once(&self, _now: Timestamp) -> Vec<EffectKey> {
        Vec::new()
    }

    fn next_ask(&self) -> Option<Timestamp> {
        self.holds.next_ask().into_iter().chain(self.returned.next_ask()).min()
    }

    fn ask_due(&mut self, now: Timestamp) -> Vec<EffectKey> {
        let holds = self.holds.take_asks(now).into_iter().map(|order| EffectKey::new(Step::AskHold, order));
        holds.chain(asks_about(self.returned.take_asks(now))).collect()
    }

    fn effect(&self, key: EffectKey) -> Option<Effect> {
        let order = OrderId::from_uuid(uuid::Uuid::from_u128(key.target));
        match key.step {
            Step::AskHold => {}
            Step::AskCredit => return self.ask_credit(order),
            _ => return None,
        }
        let (until, committed) = (self.holds.until(order)?, self.holds.is_committed(order));
        let command = OrderCommand::LegDue { with: Party::Coupon(self.id), until, committed };
        Some(Effect::Tell(Message::Order { id: order, command }))
    }

    fn timer(&self) -> Option<(Timestamp, CouponCommand)> {
        self.next_ask().into_iter().chain(self.close_at()).min().map(|at| (at, CouponCommand::Tick))
    }

    fn wake_at(&self, now: Timestamp) -> Option<Timestamp> {
        // What was asked about is past its time.
        if self.holds.asked() + self.returned.asked() == 0 { self.next_ask() } else { Some(now) }
    }
}

impl Keeps for Coupon {
    const KEPT_ANSWERS: usize = limits::IDEMPOTENCY_KEYS_PER_VENDOR;
    const IS_LARGE: bool = true;
    const SHAPE: u32 = 1;
    const ROWS_AT_START: bool = true;

    fn stays(&self) -> bool {
        !self.holds.is_empty() || !self.returned.is_empty()
    }

    fn delta(&mut self) -> Delta {
        let changed = std::mem::take(&mut self.changed);
        self.gave_delta = true;
        let head = Head {
            id: self.id,
            is: self.is.clone(),
            used: self.uses.used,
            amount_held: self.uses.amount_held,
            amount_used: self.uses.amount_used,
            committed: self.holds.committed().clone(),
            returned: self.returned.committed().iter().map(|(key, until)| (*key, *until)).collect(),
        };
        let mut parts = vec![write_part(String::new(), &head)];
        parts.extend(changed.into_keys().map(|key| self.part(key)));
        Delta { parts, rows: self.rows(), spent: &[] }
    }

    fn rows(&self) -> Rows {
        Rows { coupons: self.row().into_iter().collect(), ..Rows::default() }
    }

    fn restore(id: CouponId, parts: &[Part]) -> Result<Self, RestoreError> {
        let mut coupon = Self::new(id);
        for part in parts {
            let wrong = |why: String| RestoreError { part: part.name.clone(), source: serde::de::Error::custom(why) };
            let unknown = || wrong("no part of a coupon has this name".into());
            let (sort, name) = part.name.split_once('/').unwrap_or((&part.name, ""));
            match sort {
                "" => {
                    let head: Head = read_part(part)?;
                    if head.id != id {
                        return Err(wrong(format!("it is of {}, not of {id}", head.id)));
                    }
                    coupon.is = head.is;
                    coupon.uses.used = head.used;
                    coupon.uses.amount_held = head.amount_held;
                    coupon.uses.amount_used = head.amount_used;
                    coupon.holds.restore_committed(head.committed);
                    coupon.returned.restore_committed(head.returned.into_iter().collect());
                }
                "hold" => {
                    let order = name.parse().map_err(|_| unknown())?;
                    coupon.holds.opened(order, read_part(part)?);
                }
                "released" => {
                    let order = name.parse().map_err(|_| unknown())?;
                    coupon.holds.restore_release(order, read_part(part)?);
                }
                "codes" | "buyers" => {
                    let fits = match sort {
                        "codes" => {
                            let block = name.parse().map_err(|_| unknown())?;
                            coupon.uses.restore_codes(block, read_part(part)?)
                        }
                        _ => {
                            let block = name.parse().map_err(|_| unknown())?;
                            coupon.uses.restore_buyers(block, read_part(part)?)
                        }
                    };
                    if !fits {
                        return Err(wrong("what is in it does not belong there".into()));
                    }
                }
                _ => return Err(unknown()),
            }
        }
        Ok(coupon)
    }
}

impl Checks for Coupon {
    fn summary(&self) -> serde_json::Value {
        self.is.as_ref().map_or(serde_json::Value::Null, |is| {
            serde_json::json!({
                "code": is.code,
                "vendor_id": is.vendor,
                "version": is.version,
                "is_counted": is.is_counted(),
                "issued": is.issued,
                "held": self.held(),
                "used": self.uses.used,
                "amount_held_minor": self.uses.amount_held,
                "amount_used_minor": self.uses.amount_used,
                "committed_holds": self.holds.committed().len(),
                "remembered_releases": self.holds.remembered(),
                "holds_asked_about": self.holds.asked(),
            })
        })
    }

    fn check_online(&mut self) -> Result<(), Breach> {
        // It goes through all buyers and codes: a million of them are checked every two hundredth time.
        self.check_allowance += limits::CHECKED_PER_CHECKPOINT;
        let counted = usize::try_from(self.uses.used).unwrap_or(usize::MAX);
        if self.check_allowance < counted.saturating_add(self.holds.timed().0) {
            return Ok(());
        }
        self.check_allowance = 0;
        self.check()
    }

    fn check(&self) -> Result<(), Breach> {
        let breach = |invariant, detail: String| Err(Breach::new(invariant, self.id.entity(), detail));
        let (holds, timed) = self.holds.timed();
        if holds != timed {
            return breach("holds_are_timed", format!("{holds} holds, {timed} of them timed"));
        }
        let Some(is) = &self.is else { return Ok(()) };
        let (held, used) = (self.held(), self.uses.used);
        let uses = held.saturating_add(used);
        let Uses { amount_held, amount_used, .. } = self.uses;
        let (terms, amounts) = (&is.terms, amount_held.saturating_add(amount_used));
        if terms.usage_limit.is_some_and(|limit| uses > limit) {
            return breach("uses_are_within_limits", format!("{held} held and {used} used"));
        }
        if terms.budget.is_some_and(|budget| amounts > budget.minor) || amount_held < 0 || amount_used < 0 {
            return breach(
                "uses_are_within_limits",
                format!("{amount_held} held and {amount_used} used of the budget"),
            );
        }
        if let Some(limit) = terms.limit_per_customer
            && let Some((_, of_one)) = self.uses.buyers().find(|(_, uses)| *uses > limit)
        {
            return breach("uses_are_within_limits", format!("{of_one} of one buyer, who may have {limit}"));
        }
        let sum: i128 = self.holds.all_open().map(|(_, hold)| i128::from(hold.what.amount)).sum();
        if sum != i128::from(amount_held) {
            return breach("uses_add_up", format!("{amount_held} of the budget held, of single holds {sum}"));
        }
        let codes = self.uses.codes();
        if is.single_use && codes != uses {
            return breach("a_code_is_used_once", format!("{codes} codes of {uses} uses"));
        }
        for (order, hold) in self.holds.all_open() {
            let is_known = |key: &BuyerKey| self.uses.of(*key) > 0;
            let HeldUse { serial, keys, .. } = &hold.what;
            if serial.is_some_and(|serial| !self.uses.has_code(serial)) || !keys.iter().all(is_known) {
                return breach("uses_add_up", format!("the use of {order} is not counted"));
            }
        }
        Ok(())
    }
}
