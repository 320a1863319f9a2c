//! What can be asked of an order.

use crate::domain::buyer::{Buyer, MailKey, Mint};
use crate::domain::cart::CartLine;
use crate::domain::courier::CourierStatus;
use crate::domain::details::{Contact, Words};
use crate::domain::entity::{Owner, Principal};
use crate::domain::ids::{CartId, CreditId, CustomerId, RefundId, ReturnId, ShipmentId, ShippingMethodId, VendorId};
use crate::domain::money::Money;
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::domain::vendor::{HeldLine, Slot, SlotId, WantedLine};
use serde::{Deserialize, Serialize};
use std::fmt;

use super::{Party, PlacedCoupon};

pub use super::booking::{CancelWish, CourierSays, CourierWish};
pub use super::cash::{Cash, Collection, CountedOpen, NoCash, Remittance, rounded, smallest_cash, within_maximum};
pub use super::correct::{Corrected, Correction};
pub use super::dispute::{Dispute, DisputeStatus, DisputeTold, LostShare};
pub use super::line::{BillHead, OrderLine};
pub use super::refund::{
    Credit, CreditReason, CreditSeed, CreditedLine, Refund, RefundAsked, RefundPreview, RefundStatus, RefundTold,
    Wanted,
};
pub use super::resolve::{Resolution, ResolveAs, Trouble, Waits};
pub use super::returns::{Condition, NewReturn, NotReturnable, ReceivedLine, Return, ReturnStatus, ReturnStep};
pub use super::share::Amounts;
use super::share::is_zero;
pub use super::shipment::{
    Goods, HoldReason, NewParcel, NotFulfillable, Parcel, ParcelEnd, ParcelStep, ShipmentStatus,
};
pub use super::status::{OrderStatus, PaymentStatus, SubOrderStatus};

/// Where to ship to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Who receives it.
    pub name: String,
    /// Street and number.
    pub line1: String,
    /// More of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    /// The city.
    pub city: String,
    /// The postcode, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postcode: Option<String>,
    /// A part of the country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// Where to call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

impl Address {
    /// What of it is recorded for ever; the buyer's keys are for the edge to add.
    pub fn buyer(&self) -> Buyer {
        let Self { country, region, postcode, .. } = self;
        Buyer { country: country.clone(), region: region.clone(), postcode: postcode.clone(), ..Buyer::default() }
    }
}

/// Personal data that an early version kept in the journal, on their way out of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InlineDetails {
    /// Where to ship to, and where to write to.
    pub contact: Contact,
    /// The gateway's name for the buyer's means of payment.
    pub token: String,
}

impl fmt::Debug for InlineDetails {
    /// Without what they say, which has no place in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InlineDetails").finish_non_exhaustive()
    }
}

/// How to pay.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentChoice {
    /// Which gateway.
    pub method: String,
    /// The gateway's name for the buyer's means of payment. It is empty in records: only early versions wrote it there.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub token: String,
}

impl PaymentChoice {
    /// As it is recorded.
    pub fn without_token(&self) -> Self {
        Self { method: self.method.clone(), token: String::new() }
    }
}

impl fmt::Debug for PaymentChoice {
    /// Without the token, which has no place in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentChoice").field("method", &self.method).finish_non_exhaustive()
    }
}

/// Everything a cart gives its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The cart.
    pub cart: CartId,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// Whose.
    pub owner: Owner,
    /// How to pay.
    pub payment: PaymentChoice,
    /// The total the buyer agreed to.
    pub expected_total: Money,
    /// What was ordered, at the prices the buyer saw.
    pub lines: Vec<CartLine>,
    /// How long stock is to be held, in milliseconds. In an event it is left out: what follows from it stands beside the placement.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hold_ms: i64,
    /// How long the payment may take, in milliseconds; as above.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub payment_ms: i64,
    /// Whether a commit fails where nothing is held for the order. Not for a placement of an early version, whose vendors forgot a hold when
    /// they committed it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
    /// Drawn for this checkout, and the end of the provider's keys; none in a placement of an early version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mint: Option<Mint>,
    /// Who buys; none in a placement of an early version, which kept the contact here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buyer: Option<Box<Buyer>>,
    /// The codes that stood in the cart, in the order in which they were put there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coupons: Vec<PlacedCoupon>,
    /// The methods of shipping that the buyer chose; the cheapest of other vendors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shipping: Vec<(VendorId, ShippingMethodId)>,
    /// The slots in which shares are to be brought, where the buyer chose some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<(VendorId, SlotId)>,
    /// Where to write to. Written by early versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Where to ship to. Written by early versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping_address: Option<Address>,
}

/// What can be asked of an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OrderCommand {
    /// Come into being. From the cart.
    Place {
        /// What and how.
        placement: Box<Placement>,
        /// Personal data that the cart of an early version still has: the record of this command writes them where they belong.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<Box<InlineDetails>>,
    },
    /// A vendor holds what was asked for, at these prices.
    StockHeld {
        /// The vendor.
        vendor: VendorId,
        /// What it holds.
        lines: Vec<HeldLine>,
        /// The slot that it holds with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slot: Option<Box<Slot>>,
    },
    /// A vendor refused to hold.
    StockRefused {
        /// The vendor.
        vendor: VendorId,
        /// Why.
        reason: Reject,
    },
    /// A vendor has sold what it held.
    StockCommitted {
        /// The vendor.
        vendor: VendorId,
    },
    /// A vendor has let go what it held.
    StockReleased {
        /// The vendor.
        vendor: VendorId,
    },
    /// A vendor could not carry out a commit or a release.
    StepFailed {
        /// The vendor.
        vendor: VendorId,
        /// Why.
        reason: Reject,
    },
    /// A vendor asks what is to become of a hold whose time has passed.
    HoldDue {
        /// The vendor.
        vendor: VendorId,
        /// Until when it was to hold.
        until: Timestamp,
        /// Whether it has committed it: then it asks whether the order is settled.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        committed: bool,
    },
    /// A party that is no vendor holds what was asked for.
    LegHeld {
        /// Which.
        with: Party,
    },
    /// A party that is no vendor refused to hold.
    LegRefused {
        /// Which.
        with: Party,
        /// Why.
        reason: Reject,
    },
    /// A party that is no vendor has noted that what it held is the order's for good.
    LegCommitted {
        /// Which.
        with: Party,
    },
    /// A party that is no vendor has let go what it held.
    LegReleased {
        /// Which.
        with: Party,
    },
    /// A party that is no vendor could not carry out a commit or a release.
    LegFailed {
        /// Which.
        with: Party,
        /// Why.
        reason: Reject,
    },
    /// A party that is no vendor asks what is to become of a hold whose time has passed.
    LegDue {
        /// Which.
        with: Party,
        /// Until when it was to hold.
        until: Timestamp,
        /// Whether it has committed it: then it asks whether the order is settled.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        committed: bool,
    },
    /// The gateway took the money.
    Charged {
        /// How much, as the gateway says; the order's total where it says nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Money>,
    },
    /// The gateway refused the means of payment.
    Declined {
        /// Why, in the gateway's words.
        reason: String,
    },
    /// Past the deadline the gateway says that it has not taken the money.
    NotCaptured,
    /// The gateway will never take anything.
    Voided,
    /// The gateway had taken the money and gave it back.
    Refunded {
        /// How much, as the gateway says; the order's total where it says nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Money>,
    },
    /// The gateway will not undo the payment, however often it is asked.
    VoidRefused {
        /// Why, in the gateway's words.
        reason: String,
        /// What it has taken and keeps, where it says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        taken: Option<Money>,
    },
    /// The cart is open again.
    CartReopened,
    /// The buyer, or the staff, wants it no more.
    Cancel {
        /// On whose behalf.
        by: Principal,
    },
    /// The buyer, or the staff, wants it no more, whether it is paid or not.
    CancelAll {
        /// On whose behalf.
        by: Principal,
        /// What a credit needs.
        seed: CreditSeed,
    },
    /// Take back some of one share: units that are cancelled, or an amount.
    Credit {
        /// On whose behalf.
        by: Principal,
        /// Whose share.
        vendor: VendorId,
        /// What.
        wanted: Wanted,
        /// What a credit needs.
        seed: CreditSeed,
    },
    /// One of these, with words to keep about what it makes.
    Noted {
        /// The command.
        command: Box<OrderCommand>,
        /// What is said.
        words: Words,
    },
    /// Tell what that would come to.
    PreviewCredit {
        /// On whose behalf.
        by: Principal,
        /// Whose share.
        vendor: VendorId,
        /// What.
        wanted: Wanted,
    },
    /// Ask for a refund that failed again.
    RetryRefund {
        /// On whose behalf.
        by: Principal,
        /// Which.
        refund: RefundId,
        /// The attempt that failed.
        attempt: u32,
    },
    /// A refund that failed was given back outside.
    MarkRefundPaid {
        /// On whose behalf.
        by: Principal,
        /// Which.
        refund: RefundId,
        /// Where it stands in the bank's books.
        reference: String,
    },
    /// Pack units of one share: they are ready to be shipped.
    Pack {
        /// On whose behalf.
        by: Principal,
        /// Whose share.
        vendor: VendorId,
        /// Units; all that are left where none is named.
        lines: Vec<WantedLine>,
    },
    /// Put packed units back.
    Unpack {
        /// On whose behalf.
        by: Principal,
        /// Whose share.
        vendor: VendorId,
        /// Units; all that are packed where none is named.
        lines: Vec<WantedLine>,
    },
    /// Ship nothing of one share until somebody says so.
    HoldShare {
        /// On whose behalf.
        by: Principal,
        /// Whose share.
        vendor: VendorId,
        /// Why.
        reason: HoldReason,
    },
    /// Go on with it.
    ResumeShare {
        /// On whose behalf.
        by: Principal,
        /// Whose share.
        vendor: VendorId,
    },
    /// Put units of one share into a parcel.
    Ship {
        /// On whose behalf.
        by: Principal,
        /// Which.
        parcel: Box<NewParcel>,
    },
    /// Something is done with a parcel, or has become of it.
    MoveParcel {
        /// On whose behalf.
        by: Principal,
        /// Which.
        shipment: ShipmentId,
        /// What.
        step: Box<ParcelStep>,
        /// What a credit needs, should the buyer not get all of it.
        seed: CreditSeed,
    },
    /// A courier hands on what it has collected for a parcel.
    RemitCash {
        /// On whose behalf.
        by: Principal,
        /// For which.
        shipment: ShipmentId,
        /// What it says.
        told: Remittance,
        /// The end of the name of a refund, should too much have been collected.
        mint: Mint,
    },
    /// Its vendors had so long to begin with a paid order: what of it nobody has begun is overdue.
    AcceptanceDue {
        /// So many milliseconds since it was paid.
        within_ms: i64,
        /// What a credit needs, where such a share is cancelled; its reason is not asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cancel: Option<CreditSeed>,
    },
    /// Which parcels couriers are to fetch, or not to fetch any more: from now on they may know of it.
    OpenWishes,
    /// A courier says what it makes of such a wish.
    CourierSays {
        /// Of which parcel.
        shipment: ShipmentId,
        /// The end of its name there: what is said of a parcel under another name is not said of this one.
        mint: Mint,
        /// What.
        says: CourierSays,
    },
    /// A courier tells what has become of a parcel.
    CourierTold {
        /// Of which.
        shipment: ShipmentId,
        /// The end of its name there, as above.
        mint: Mint,
        /// What.
        status: CourierStatus,
        /// Units that were accepted at the door, where not all were.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        accepted: Vec<WantedLine>,
        /// What was collected there, where the courier says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        collected: Option<Money>,
    },
    /// Send units of one share back.
    AskReturn {
        /// On whose behalf.
        by: Principal,
        /// What.
        wanted: Box<NewReturn>,
    },
    /// Something is done to a return.
    MoveReturn {
        /// On whose behalf.
        by: Principal,
        /// Which.
        id: ReturnId,
        /// What.
        step: Box<ReturnStep>,
        /// What a credit needs, once something came.
        seed: CreditSeed,
    },
    /// Which refunds a provider is asked for, or about: from now on it may have them.
    OpenRefunds,
    /// What a provider may know more of: the payment itself, and what was asked to be given back.
    PaymentKnown,
    /// The provider says how a dispute stands.
    DisputeTold {
        /// What.
        told: DisputeTold,
        /// Drawn with the command: the end of the provider's key, should a refund follow.
        mint: Mint,
    },
    /// The provider says how a refund stands.
    RefundTold {
        /// Which.
        refund: RefundId,
        /// Which attempt.
        attempt: u32,
        /// What.
        told: RefundTold,
    },
    /// A vendor has taken units back into its stock.
    Restocked {
        /// The vendor.
        vendor: VendorId,
        /// By these credits.
        credits: Vec<CreditId>,
    },
    /// A party has seen to what credits gave back of what it counted.
    LegReturned {
        /// Which.
        with: Party,
        /// These credits.
        credits: Vec<CreditId>,
        /// Whether all that it counted for the order is free again.
        whole: bool,
    },
    /// A party asks whether the order has heard that.
    ReturnDue {
        /// Which.
        with: Party,
        /// These credits.
        credits: Vec<CreditId>,
    },
    /// A vendor asks whether the order has heard that it took units back.
    RestockDue {
        /// The vendor.
        vendor: VendorId,
        /// By these credits.
        credits: Vec<CreditId>,
    },
    /// Belong to a customer from now on, who has verified the address that it was placed with.
    Attach {
        /// Who.
        customer: CustomerId,
        /// The hash of their address.
        mail_key: MailKey,
    },
    /// Lead it out of what it is stuck in.
    Resolve {
        /// On whose behalf.
        by: Principal,
        /// Who, and what they did.
        resolution: Box<Resolution>,
    },
    /// Show the order.
    Get {
        /// On whose behalf.
        by: Principal,
    },
    /// Show the order's timeline.
    GetTimeline {
        /// On whose behalf.
        by: Principal,
    },
    /// Show the order once it has come so far.
    Await {
        /// On whose behalf.
        by: Principal,
        /// How far.
        milestone: Milestone,
    },
    /// Time has passed.
    Tick,
    /// The provider has made the payment ready; nothing is charged.
    PaymentPrepared {
        /// Its name in the provider's books.
        reference: Box<str>,
    },
    /// The payment waits for the buyer.
    BuyerNeeded,
}

/// How far an order is to come before a waiting buyer is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Milestone {
    /// Its stock is held, or it was refused.
    Held,
    /// It is paid, or it has ended.
    Paid,
}
