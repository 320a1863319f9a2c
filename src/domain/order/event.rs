//! What can have happened to an order.

use super::share::is_zero;
use super::state::{is_usual, usual_return_days};
use super::types::*;
use super::{Party, TakenCoupon};
use crate::domain::ids::{CreditId, CustomerId, RefundId, ReturnId, ShipmentId, VendorId};
use crate::domain::loyalty::EarnTerms;
use crate::domain::money::Money;
use crate::domain::pricing::Bill;
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::domain::vendor::{HeldLine, Slot, WantedLine};
use crate::domain::who::By;
use serde::{Deserialize, Serialize};

/// What can have happened to an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OrderEvent {
    /// It came into being.
    Placed {
        /// What and how.
        placement: Box<Placement>,
        /// Until when its stock is to be held.
        hold_until: Timestamp,
        /// Until when it must be paid.
        payment_due_at: Timestamp,
        /// For how many days after its delivery a buyer may send something back.
        #[serde(default = "usual_return_days", skip_serializing_if = "is_usual")]
        return_days: u32,
    },
    /// A vendor holds its share.
    StockHeld {
        /// The vendor.
        vendor: VendorId,
        /// What it holds at another price than the order knows. Early versions wrote all that it holds.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        lines: Vec<HeldLine>,
        /// The slot that it holds with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slot: Option<Box<Slot>>,
    },
    /// A vendor refused its share.
    StockRefused {
        /// The vendor.
        vendor: VendorId,
        /// Why.
        reason: Reject,
    },
    /// All stock is held and the total is what the buyer expects.
    Priced {
        /// The total, in minor units.
        total: i64,
        /// What it is made of, where that is more than lines.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bill: Option<Box<Bill>>,
    },
    /// All stock is held, but there is no bill for it.
    BillRefused {
        /// Why.
        reason: Reject,
    },
    /// All stock is held, but the total is another.
    PriceDiffered {
        /// Today's total, in minor units.
        actual_total: i64,
        /// Whether the buyer was shown the price of a sale that is over.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        sale_over: bool,
    },
    /// Its bill reckons with its coupons: it stands before the price. Those of which uses are counted are asked to hold one.
    CouponsTaken {
        /// Which, and by how much each lowers what is to be paid.
        coupons: Vec<TakenCoupon>,
    },
    /// With how many points it is to be paid, and by what it earns some: it stands before the price, of an order of a customer in a shop that has a
    /// programme.
    PointsTaken {
        /// How many.
        #[serde(default, skip_serializing_if = "is_zero")]
        spent: i64,
        /// What one of them pays, in minor units.
        #[serde(default, skip_serializing_if = "is_zero")]
        value: i64,
        /// By what it earns.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        earns: Option<Box<EarnTerms>>,
    },
    /// A share was delivered for so long that it has earned points.
    PointsEarned {
        /// Whose share.
        vendor: VendorId,
        /// Under which name the buyer's points count them.
        posting: CreditId,
        /// How many.
        points: i64,
        /// Until when they live.
        expires_at: Timestamp,
    },
    /// A party that is no vendor holds what the order asked for.
    LegHeld {
        /// Which.
        with: Party,
    },
    /// A party that is no vendor refused.
    LegRefused {
        /// Which.
        with: Party,
        /// Why.
        reason: Reject,
    },
    /// What a party that is no vendor held is the order's for good. Only for one whose answer nobody waited for any longer.
    LegCommitted {
        /// Which.
        with: Party,
    },
    /// A party that is no vendor let go what it held.
    LegReleased {
        /// Which.
        with: Party,
    },
    /// A party that is no vendor could not carry out a step: someone has to look at it.
    LegQuarantined {
        /// Which.
        with: Party,
        /// Why.
        reason: Reject,
    },
    /// A party that is no vendor is asked to hold something, once all else is held.
    LegAsked {
        /// Which.
        with: Party,
    },
    /// It is accepted, and to be paid at the door.
    Confirmed,
    /// Money was taken at the door. It stands in one record with what was not taken of the parcel.
    CashCollected {
        /// How much, and what for.
        #[serde(flatten)]
        collection: Collection,
        /// What of it is owed to the buyer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refund_requested: Option<RefundAsked>,
        /// Who says so, where it was not collected at the door.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<By>,
    },
    /// A courier has handed on what it had collected.
    CashRemitted {
        /// For which parcel.
        shipment: ShipmentId,
        /// Of whose share.
        vendor: VendorId,
        /// What it says.
        #[serde(flatten)]
        told: Remittance,
        /// Who says that it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<By>,
    },
    /// The payment was asked for.
    PaymentRequested,
    /// The payment was taken.
    Paid {
        /// How much, in minor units.
        amount: i64,
    },
    /// The means of payment was refused.
    PaymentFailed {
        /// Why.
        reason: String,
    },
    /// The buyer, or the staff, cancelled it.
    CancelRequested,
    /// It was not paid in time.
    PaymentDeadlinePassed,
    /// Nothing was taken, and nothing will be.
    PaymentVoided,
    /// What had been taken was given back.
    PaymentRefunded {
        /// How much, in minor units; of money in another currency than the order's, nothing counts.
        amount: i64,
        /// The money itself, where it is in another currency.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        told: Option<Money>,
    },
    /// The gateway says that it moved another amount than it was asked for: someone has to look at it.
    PaymentDiffered {
        /// What it took.
        told: Money,
        /// Whether it has given it back.
        given_back: bool,
    },
    /// The gateway will not undo the payment: someone has to look at it.
    VoidRefused {
        /// Why, in the gateway's words.
        reason: String,
        /// What it has taken and keeps, where it says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        taken: Option<Money>,
    },
    /// Some of one share need not be paid any more.
    Credited {
        /// What.
        credit: Box<Credit>,
        /// What was paid beyond what is left to pay is given back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refund_requested: Option<RefundAsked>,
    },
    /// The provider is at it.
    RefundPending {
        /// Which refund.
        refund: RefundId,
    },
    /// The money was given back.
    RefundSucceeded {
        /// Which refund.
        refund: RefundId,
        /// Its name in the provider's books.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
    },
    /// The provider will not give it back, or a bank has returned it: it is owed still.
    RefundFailed {
        /// Which refund.
        refund: RefundId,
        /// Why, in the provider's words.
        reason: String,
    },
    /// It is asked for again, under the next attempt.
    RefundRetried {
        /// Which refund.
        refund: RefundId,
        /// Who wants it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<By>,
    },
    /// It was given back outside.
    RefundMarkedPaid {
        /// Which refund.
        refund: RefundId,
        /// Where it stands in the bank's books.
        reference: String,
        /// Who says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<By>,
    },
    /// Units of one share are ready to be shipped.
    Packed {
        /// Whose share.
        vendor: VendorId,
        /// Units.
        lines: Vec<WantedLine>,
        /// Who packed them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<By>,
    },
    /// They are not any more.
    Unpacked {
        /// Whose share.
        vendor: VendorId,
        /// Units.
        lines: Vec<WantedLine>,
        /// Who unpacked them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<By>,
    },
    /// Nothing of one share is shipped until somebody says so.
    SharePutOnHold {
        /// Whose share.
        vendor: VendorId,
        /// Why.
        reason: HoldReason,
        /// Who wants it so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<By>,
    },
    /// It goes on.
    ShareResumed {
        /// Whose share.
        vendor: VendorId,
        /// Who says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<By>,
    },
    /// Units of one share are in a parcel.
    ShipmentMade {
        /// Which, and what is in it.
        parcel: Box<NewParcel>,
        /// Who made it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<By>,
    },
    /// Something was done with a parcel, or has become of it.
    ShipmentMoved {
        /// Which.
        shipment: ShipmentId,
        /// What.
        #[serde(flatten)]
        step: Box<ParcelStep>,
        /// Who says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<By>,
    },
    /// Units are to be cancelled that a courier may fetch at any moment: it is asked first.
    CancelWished {
        /// What.
        wish: Box<CancelWish>,
    },
    /// Nothing of that was left to cancel when the couriers had answered.
    CancelWishDropped {
        /// The credit that it would have been.
        credit: CreditId,
    },
    /// Nothing of a share was packed though its time was over.
    AcceptanceOverdue {
        /// Whose share.
        vendor: VendorId,
    },
    /// Somebody wants to send units of one share back.
    ReturnRequested {
        /// What.
        wanted: Box<NewReturn>,
        /// Who wants it so; none where the buyer does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<By>,
        /// Whether its time was over, and the shop allows it all the same.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        exception: bool,
    },
    /// Something was done to a return.
    ReturnMoved {
        /// Which.
        id: ReturnId,
        /// What.
        #[serde(flatten)]
        step: Box<ReturnStep>,
        /// The refund that follows, where something came for which something is given back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refund: Option<RefundId>,
        /// Who did it; none where the buyer did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<By>,
    },
    /// A vendor has taken the units of these credits back into its stock.
    CreditsSettled {
        /// The vendor.
        vendor: VendorId,
        /// Which.
        credits: Vec<CreditId>,
    },
    /// A party has seen to what these credits gave back of what it counted.
    LegReturned {
        /// Which.
        with: Party,
        /// The credits.
        credits: Vec<CreditId>,
        /// Whether all that it counted for the order is free again.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        whole: bool,
    },
    /// The buyer had their bank dispute the payment.
    DisputeOpened {
        /// Its name in the provider's books.
        dispute: String,
        /// How much of the payment.
        amount: Money,
        /// Why, in the provider's words.
        reason: String,
    },
    /// The shop keeps the money.
    DisputeWon {
        /// Which dispute.
        dispute: String,
        /// What waited for that, and is asked for now.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        refund_resumed: Vec<RefundId>,
    },
    /// The buyer has the money back.
    DisputeLost {
        /// Which dispute.
        dispute: String,
        /// How much the bank took.
        amount: Money,
        /// What of that was of each share. The rest was given back before, and is lost.
        shares: Vec<LostShare>,
        /// What waited for that, and is asked for now.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        refund_resumed: Vec<RefundId>,
    },
    /// It was a guest's and is a customer's, who has verified its address.
    Attached {
        /// Whose.
        customer: CustomerId,
    },
    /// Someone has looked at it, and it goes on.
    Resolved {
        /// Who, and what they did.
        resolution: Box<Resolution>,
    },
    /// All parties have committed what they held for it.
    Settled,
    /// A vendor sold its share. Written by early versions, and for a vendor whose answer nobody waited for any longer.
    StockCommitted {
        /// The vendor.
        vendor: VendorId,
    },
    /// A vendor let its share go.
    StockReleased {
        /// The vendor.
        vendor: VendorId,
    },
    /// The cart is open again.
    CartReopened,
    /// The cart is closed for good. Written by early versions, when the order waited for its cart to say so.
    CartClosed,
    /// It ended without being paid: nothing is held, and the cart is open.
    Ended {
        /// How.
        status: OrderStatus,
    },
    /// A vendor could not carry out a step: someone has to look at it.
    Quarantined {
        /// The vendor.
        vendor: VendorId,
        /// Why.
        reason: Reject,
    },
    /// The provider has made the payment ready: from now on this is what is charged, and looked up, whatever is lost.
    PaymentPrepared {
        /// Its name in the provider's books.
        reference: Box<str>,
    },
    /// The buyer has to do something before the payment goes on.
    PaymentActionRequired,
}
