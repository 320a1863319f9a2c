//! What an order is made of, and the small steps that its events are made of.

use super::booking::CancelWish;
use super::legs::{Acknowledged, Leg, LegState, Party};
use super::points::OrderPoints;
use super::refund::Made;
use super::resolve::Stuck;
use super::share::Share;
use super::shipment::Parcel;
use super::{
    Address, BillHead, Dispute, OrderCoupon, OrderLine, OrderStatus, PaymentChoice, PaymentStatus, Placement, Refund,
    Return, TimelineEntry,
};
use crate::domain::buyer::{Buyer, MailKey, Mint};
use crate::domain::details::Contact;
use crate::domain::entity::{Owner, Principal};
use crate::domain::ids::{CartId, SaleId, ShippingMethodId, VendorId};
use crate::domain::money::Currency;
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::domain::vendor::SlotId;
use crate::domain::who::{Action, Belongs, may};
use crate::limits;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Where the saga stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Its parties were asked to hold.
    #[serde(rename = "reserving")]
    Gathering,
    /// The payment was asked for.
    Paying,
    /// The payment is being undone; then the order ends so.
    Voiding(OrderStatus),
    /// It is paid: what is held is being confirmed.
    #[serde(rename = "settling")]
    Confirming,
    /// It is paid and nothing more is to come.
    Settled,
    /// What is held is being given back; then the order ends so.
    #[serde(rename = "releasing")]
    Cancelling(OrderStatus),
    /// The cart is being opened; then the order ends so.
    Reopening(OrderStatus),
    /// It has ended unpaid.
    Ended,
    /// A step that may not fail did, or another amount moved than was asked for: someone has to look at it.
    #[serde(rename = "quarantined")]
    Stuck,
}

/// How an order stood before what it hears now: what is counted is told from where to where it moved. It is in no comparison, and nothing after a
/// restore.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ShownBefore(pub(super) Option<OrderStatus>);

impl PartialEq for ShownBefore {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for ShownBefore {}

/// See [`limits::RETURN_DAYS`]: an order of an early version has these, too.
pub(super) const fn usual_return_days() -> u32 {
    limits::RETURN_DAYS
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
pub(super) const fn is_usual(days: &u32) -> bool {
    *days == limits::RETURN_DAYS
}

/// What an order is from `Placed` on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Body {
    pub(super) cart: CartId,
    pub(super) attempt: u32,
    pub(super) owner: Owner,
    /// Only in an order of an early version, which kept the contact here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) shipping_address: Option<Address>,
    /// With the token only in an order of an early version.
    pub(super) payment: PaymentChoice,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mint: Option<Mint>,
    /// What the provider calls the payment that it has made ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reference: Option<Box<str>>,
    /// None in an order of an early version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) buyer: Option<Box<Buyer>>,
    pub(super) payment_status: PaymentStatus,
    pub(super) currency: Currency,
    pub(super) expected_total: i64,
    pub(super) lines: Vec<OrderLine>,
    #[serde(rename = "sub_orders")]
    pub(super) legs: Vec<Leg>,
    #[serde(skip)]
    pub(super) acknowledged: Acknowledged,
    /// A sale whose price the buyer was shown, and that the goods are not held in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) missed_sale: Option<SaleId>,
    /// Whether a commit fails where nothing is held: not for an order of an early version.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) strict: bool,
    /// Its coupons, in the order in which their codes were put into the cart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) coupons: Vec<OrderCoupon>,
    /// What the shares come to together.
    pub(super) total: i64,
    /// Each vendor's, in the order of their first lines.
    #[serde(default)]
    pub(super) shares: Vec<Share>,
    /// What holds of its whole bill, where that is more than lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) bill: Option<Box<BillHead>>,
    /// Its points, where it has to do with any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) points: Option<Box<OrderPoints>>,
    /// The methods of shipping that were chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) shipping: Vec<(VendorId, ShippingMethodId)>,
    /// The slots that were chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) slots: Vec<(VendorId, SlotId)>,
    /// What was taken, in a snapshot of an early version, which kept no figures of shares.
    #[serde(default, rename = "paid", skip_serializing)]
    pub(super) early_paid: i64,
    /// What of that was given back, as above.
    #[serde(default, rename = "refunded", skip_serializing)]
    pub(super) early_refunded: i64,
    pub(super) placed_at: Timestamp,
    pub(super) hold_until: Timestamp,
    pub(super) payment_due_at: Timestamp,
    pub(super) phase: Phase,
    /// What it was at, and why it was quarantined, when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stuck: Option<Stuck>,
    pub(super) status: OrderStatus,
    #[serde(skip)]
    pub(super) shown_before: ShownBefore,
    /// Why it was rejected, when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rejection: Option<Reject>,
    /// What was taken back of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) credits: Vec<Made>,
    /// What is given back, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) refunds: Vec<Refund>,
    /// Its parcels, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) parcels: Vec<Parcel>,
    /// Cancels that wait for couriers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) wishes: Vec<CancelWish>,
    /// What buyers send back, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) returns: Vec<Return>,
    /// For how many days after its delivery a buyer may send something back.
    #[serde(default = "usual_return_days", skip_serializing_if = "is_usual")]
    pub(super) return_days: u32,
    /// Disputes of its payment, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) disputes: Vec<Dispute>,
    pub(super) timeline: Vec<TimelineEntry>,
}

impl Body {
    pub(super) fn placed(
        placement: &Placement,
        hold_until: Timestamp,
        payment_due_at: Timestamp,
        at: Timestamp,
    ) -> Self {
        let Placement { cart, attempt, owner, payment, expected_total, lines, .. } = placement;
        let line = |line: &crate::domain::cart::CartLine| OrderLine {
            sku: line.sku,
            vendor: line.vendor,
            title: line.title.clone(),
            quantity: line.quantity,
            unit_price: line.unit_price,
            list_price: None,
            sale: line.sale,
            credited: 0,
            credited_amount: 0,
            billed: None,
            goods: None,
        };
        let lines: Vec<OrderLine> = lines.iter().map(line).collect();
        let mut body = Self {
            cart: *cart,
            attempt: *attempt,
            owner: *owner,
            email: placement.email.clone(),
            shipping_address: placement.shipping_address.clone(),
            payment: payment.clone(),
            mint: placement.mint,
            reference: None,
            buyer: placement.buyer.clone(),
            payment_status: PaymentStatus::None,
            currency: expected_total.currency,
            expected_total: expected_total.minor,
            coupons: placement.coupons.iter().map(OrderCoupon::from).collect(),
            total: 0,
            shares: Vec::with_capacity(1),
            bill: None,
            points: None,
            shipping: placement.shipping.clone(),
            slots: placement.slots.clone(),
            early_paid: 0,
            early_refunded: 0,
            lines,
            legs: Vec::new(),
            acknowledged: Acknowledged::default(),
            missed_sale: None,
            strict: placement.strict,
            placed_at: at,
            hold_until,
            payment_due_at,
            phase: Phase::Gathering,
            stuck: None,
            status: OrderStatus::Placed,
            shown_before: ShownBefore::default(),
            rejection: None,
            credits: Vec::new(),
            refunds: Vec::new(),
            parcels: Vec::new(),
            wishes: Vec::new(),
            returns: Vec::new(),
            return_days: usual_return_days(),
            disputes: Vec::new(),
            timeline: Vec::with_capacity(8),
        };
        body.add_up_shares();
        body.legs = Party::of(&body).into_iter().map(|with| Leg { with, state: LegState::Asked }).collect();
        body
    }

    pub(super) fn note(&mut self, at: Timestamp, kind: &'static str) -> &mut TimelineEntry {
        self.timeline.push(TimelineEntry {
            at,
            kind: Cow::Borrowed(kind),
            vendor: None,
            amount: None,
            currency: None,
            reason: None,
            by: None,
            shipment: None,
            resolution: None,
        });
        self.timeline.last_mut().expect("an entry was just pushed")
    }

    /// Gives back what is held, or opens the cart at once when nothing is.
    pub(super) fn start_ending(&mut self, end: OrderStatus) {
        let lets_go = |leg: &Leg| matches!(leg.state, LegState::Refused | LegState::Released | LegState::Unanswered);
        self.phase = match self.legs.iter().all(lets_go) {
            true => Phase::Reopening(end),
            false => Phase::Cancelling(end),
        };
    }

    pub(super) fn settle_when_done(&mut self) {
        let sold = self.legs.iter().all(|leg| matches!(leg.state, LegState::Committed | LegState::Unanswered));
        if sold && self.phase == Phase::Confirming {
            self.phase = Phase::Settled;
        }
    }

    /// The contact of an order of an early version.
    pub(super) fn inline_contact(&self) -> Option<Box<Contact>> {
        let shipping_address = self.shipping_address.clone()?;
        Some(Box::new(Contact { email: self.email.clone(), shipping_address }))
    }

    /// By which the orders of its address are found.
    pub(super) fn mail_key(&self) -> Option<MailKey> {
        self.buyer.as_ref().and_then(|buyer| buyer.mail_key)
    }

    pub(super) fn may_see(&self, by: Principal) -> bool {
        may(by, Action::SeeOrder, self)
    }
}

impl Belongs for Body {
    /// To its buyer, and to each vendor that has a share of it.
    fn belongs_to(&self, by: Principal) -> bool {
        match by {
            Principal::Member(member) => self.leg(Party::Stock(member.vendor)).is_some(),
            buyer => self.owner.is(buyer, self.cart),
        }
    }
}
