//! What stands in a journal can be read for ever: golden files hold every form in which an event was ever written, and this decodes
//! them all. Lines are only ever added. `HAAT_GOLDEN=append cargo test --test golden` adds those that are missing. What a caller is told of
//! a refusal has golden lines, too: there one is replaced when it is to be told otherwise.

#[path = "golden/carts.rs"]
mod carts;
#[path = "golden/cash.rs"]
mod cash;
#[path = "golden/orders.rs"]
mod orders;
#[path = "golden/parcels.rs"]
mod parcels;
#[path = "golden/slots.rs"]
mod slots;
#[path = "golden/vendors.rs"]
mod vendors;

use carts::*;
use coupons::*;
use haat::domain::buyer::{Audience, Buyer, BuyerKey, Exemption, MailKey, Mint};
use haat::domain::cart::{
    CartCommand, CartEvent, CartLine, CartReply, CartStatus, CartView, CheckoutRequest, CheckoutTerms, LeftOut, Quote,
    SkuPrice,
};
use haat::domain::customer::{CustomerCommand, CustomerEvent, CustomerReply, PointCommand, PointEvent};
use haat::domain::details::{Contact, Words};
use haat::domain::entity::{By, Owner, Principal};
use haat::domain::hold::CreditKey;
use haat::domain::ids::{
    CartId, CreditId, CustomerId, EntityId, EntityRef, OrderId, ProductId, RefundId, SaleId, ShippingMethodId, SkuId,
    SubOrderId, VendorId,
};
use haat::domain::knowledge::Settings;
use haat::domain::money::{Currency, Money};
use haat::domain::order::{
    Address, Amounts, BillHead, Credit, CreditReason, CreditSeed, CreditedLine, Dispute, DisputeStatus, DisputeTold,
    InlineDetails, LostShare, Milestone, NoCash, OrderCommand, OrderEvent, OrderLine, OrderReply, OrderStatus,
    OrderView, PaymentChoice, PaymentStatus, Placement, Refund, RefundAsked, RefundPreview, RefundStatus, RefundTold,
    Resolution, ResolveAs, SubOrderStatus, SubOrderView, TimelineEntry, Trouble, Waits, Wanted,
};
use haat::domain::record::{IdempotencyKey, KeptAnswer, RawRecord, Record};
use haat::domain::reject::{Reject, RejectKind, Shortage};
use haat::domain::time::Timestamp;
use haat::domain::vendor::{
    BreakScope, Count, GoodsStatus, HeldLine, ItemChange, NewLimit, NewProduct, NewSku, PriceBreak, ProductChange,
    ProductView, QuantityRules, Requires, RestockedUnits, SaleChange, SaleItem, SaleItemView, SaleTerms, SaleView,
    SkuChange, SkuTerms, SkuView, Tranche, VendorCommand, VendorEvent, VendorReply, VendorStatus, VendorView,
    WantedLine, WhenExhausted,
};
use haat::http::error::Problem;
use haat::limits;
use orders::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use uuid::Uuid;
use vendors::*;

/// Names all variants of an enumeration. The match has no wildcard: a new variant does not compile until it stands here, and
/// then fails until there is a sample and a golden line of it.
macro_rules! variants {
    ($names:ident, $name:ident, $type:ident { $($variant:ident = $text:literal),* $(,)? }) => {
        const $names: &[&str] = &[$($text),*];
        fn $name(value: &$type) -> &'static str {
            match value { $($type::$variant { .. } => $text),* }
        }
    };
}

#[path = "golden/coupons.rs"]
mod coupons;
#[path = "golden/points.rs"]
mod points;
#[path = "golden/rooms.rs"]
mod rooms;

variants!(CART_EVENTS, cart_event, CartEvent {
    CartCreated = "cart_created", LineSet = "line_set", LineRemoved = "line_removed", Repriced = "repriced",
    CheckoutStarted = "checkout_started", CartReopened = "cart_reopened", CartCheckedOut = "cart_checked_out",
    Merged = "merged", MergedIn = "merged_in", MergeAcknowledged = "merge_acknowledged", CouponPut = "coupon_put",
    CouponRemoved = "coupon_removed", Discounted = "discounted",
});
variants!(ORDER_EVENTS, order_event, OrderEvent {
    Placed = "placed", StockHeld = "stock_held", StockRefused = "stock_refused", Priced = "priced", BillRefused = "bill_refused",
    PriceDiffered = "price_differed", PaymentRequested = "payment_requested", Paid = "paid",
    PaymentFailed = "payment_failed", CancelRequested = "cancel_requested",
    PaymentDeadlinePassed = "payment_deadline_passed", PaymentVoided = "payment_voided",
    PaymentRefunded = "payment_refunded", StockCommitted = "stock_committed", StockReleased = "stock_released",
    CartReopened = "cart_reopened", CartClosed = "cart_closed", Ended = "ended", Quarantined = "quarantined",
    Settled = "settled", PaymentDiffered = "payment_differed", VoidRefused = "void_refused", Resolved = "resolved",
    Attached = "attached", CouponsTaken = "coupons_taken", LegHeld = "leg_held",
    LegRefused = "leg_refused", LegCommitted = "leg_committed", LegReleased = "leg_released",
    LegQuarantined = "leg_quarantined", Credited = "credited",
    RefundPending = "refund_pending", RefundSucceeded = "refund_succeeded", RefundFailed = "refund_failed",
    RefundRetried = "refund_retried", RefundMarkedPaid = "refund_marked_paid", CreditsSettled = "credits_settled", LegReturned = "leg_returned",
    Packed = "packed", Unpacked = "unpacked", SharePutOnHold = "share_put_on_hold", ShareResumed = "share_resumed",
    ShipmentMade = "shipment_made", ShipmentMoved = "shipment_moved", ReturnRequested = "return_requested", ReturnMoved = "return_moved",
    CancelWished = "cancel_wished", CancelWishDropped = "cancel_wish_dropped", AcceptanceOverdue = "acceptance_overdue",
    LegAsked = "leg_asked", Confirmed = "confirmed", CashCollected = "cash_collected", CashRemitted = "cash_remitted",
    DisputeOpened = "dispute_opened", DisputeWon = "dispute_won", DisputeLost = "dispute_lost",
    PaymentPrepared = "payment_prepared",
    PaymentActionRequired = "payment_action_required",
    PointsTaken = "points_taken", PointsEarned = "points_earned",
});
variants!(VENDOR_EVENTS, vendor_event, VendorEvent {
    VendorCreated = "vendor_created", VendorRenamed = "vendor_renamed", VendorStatusSet = "vendor_status_set",
    ProductChanged = "product_changed", SkuAdded = "sku_added", SkuStatusSet = "sku_status_set", ProductAdded = "product_added", SkuPriceChanged = "sku_price_changed",
    SkuTermsChanged = "sku_terms_changed", StockAdjusted = "stock_adjusted", StockHeld = "stock_held", StockCommitted = "stock_committed",
    StockReleased = "stock_released", HoldCommitted = "hold_committed", HoldsClosed = "holds_closed",
    SaleScheduled = "sale_scheduled", SaleChanged = "sale_changed", SaleCancelled = "sale_cancelled",
    DeliveryPlanSet = "delivery_plan_set", Restocked = "restocked", CreditsClosed = "credits_closed",
});
variants!(CART_REPLIES, cart_reply, CartReply {
    Cart = "cart", Opened = "opened", Merging = "merging",
    Merged = "merged", Order = "order", Done = "done",
});
variants!(ORDER_REPLIES, order_reply, OrderReply {
    Order = "order", Timeline = "timeline", Preview = "preview", Refunds = "refunds", Payment = "payment", Wishes = "wishes",
    Done = "done",
});
variants!(VENDOR_REPLIES, vendor_reply, VendorReply {
    Vendor = "vendor", Product = "product", Sku = "sku", Sale = "sale", DeliveryPlan = "delivery_plan", Slots = "slots",
    Done = "done",
});
variants!(CART_COMMANDS, cart_command, CartCommand {
    Create = "create", Open = "open", Get = "get", SetLine = "set_line", RemoveLine = "remove_line",
    CheckOut = "check_out", Reopen = "reopen", Close = "close", MayMerge = "may_merge", MergeInto = "merge_into",
    MergeIn = "merge_in", AcknowledgeMerge = "acknowledge_merge", AwaitMerge = "await_merge", PutCoupon = "put_coupon",
    RemoveCoupon = "remove_coupon",
});
variants!(CUSTOMER_EVENTS, customer_event_but_of_points, CustomerEvent {
    CartFollowed = "cart_followed", CustomerEdited = "customer_edited", CashOpened = "cash_opened",
    CashClosed = "cash_closed", Points = "",
});
variants!(POINT_EVENTS, point_event, PointEvent {
    PointsHeld = "points_held", PointsSpent = "points_spent", PointsReleased = "points_released",
    PointHoldsClosed = "point_holds_closed", PointsEarned = "points_earned", PointsRestored = "points_restored",
    PointsTakenBack = "points_taken_back", PostingsClosed = "postings_closed", PointsGiven = "points_given",
    PointsExpired = "points_expired", TierChanged = "tier_changed",
});
variants!(POINT_COMMANDS, point_command, PointCommand {
    HoldPoints = "hold_points", SpendPoints = "spend_points", ReleasePoints = "release_points",
    ClosePoints = "close_points", PostPoints = "post_points", ClosePostings = "close_postings",
    GivePoints = "give_points", SeePoints = "see_points", Tick = "tick",
});

fn customer_event(value: &CustomerEvent) -> &'static str {
    match value {
        CustomerEvent::Points(event) => point_event(event),
        other => customer_event_but_of_points(other),
    }
}

fn customer_command(value: &CustomerCommand) -> &'static str {
    match value {
        CustomerCommand::Points(command) => point_command(command),
        other => customer_command_but_of_points(other),
    }
}

/// The names of both, without the empty one that stands for all of the other.
fn both(own: &[&'static str], of_points: &[&'static str]) -> Vec<&'static str> {
    own.iter().chain(of_points).copied().filter(|name| !name.is_empty()).collect()
}
variants!(CUSTOMER_REPLIES, customer_reply, CustomerReply {
    Cart = "cart", Customer = "customer", Points = "points", Done = "done",
});
variants!(CUSTOMER_COMMANDS, customer_command_but_of_points, CustomerCommand {
    Cart = "cart", NextCart = "next_cart", Show = "show", Edit = "edit",
    OpenCash = "open_cash", KeepCash = "keep_cash", CloseCash = "close_cash", Points = "",
});
variants!(ORDER_COMMANDS, order_command, OrderCommand {
    Place = "place", StockHeld = "stock_held", StockRefused = "stock_refused", StockCommitted = "stock_committed",
    StockReleased = "stock_released", StepFailed = "step_failed", HoldDue = "hold_due", Charged = "charged",
    Declined = "declined", NotCaptured = "not_captured", Voided = "voided", Refunded = "refunded", CartReopened = "cart_reopened",
    Cancel = "cancel", Get = "get", GetTimeline = "get_timeline", Await = "await",
    Tick = "tick", VoidRefused = "void_refused", Resolve = "resolve", Attach = "attach",
    LegHeld = "leg_held", LegRefused = "leg_refused", LegCommitted = "leg_committed", LegReleased = "leg_released",
    LegFailed = "leg_failed", LegDue = "leg_due", CancelAll = "cancel_all", Credit = "credit", Noted = "noted",
    PreviewCredit = "preview_credit", RetryRefund = "retry_refund", MarkRefundPaid = "mark_refund_paid",
    OpenRefunds = "open_refunds", PaymentKnown = "payment_known", DisputeTold = "dispute_told", RefundTold = "refund_told", Restocked = "restocked", RestockDue = "restock_due",
    LegReturned = "leg_returned", ReturnDue = "return_due",
    Pack = "pack", Unpack = "unpack", HoldShare = "hold_share", ResumeShare = "resume_share", Ship = "ship", MoveParcel = "move_parcel",
    AskReturn = "ask_return", MoveReturn = "move_return", OpenWishes = "open_wishes", AcceptanceDue = "acceptance_due", CourierSays = "courier_says", CourierTold = "courier_told", RemitCash = "remit_cash",
    PaymentPrepared = "payment_prepared", BuyerNeeded = "buyer_needed",
});
variants!(VENDOR_COMMANDS, vendor_command, VendorCommand {
    Create = "create", AddProduct = "add_product", SetPrice = "set_price", EditSku = "edit_sku", AdjustStock = "adjust_stock",
    Get = "get", GetSku = "get_sku", Reserve = "reserve", Commit = "commit", Release = "release", Close = "close", Tick = "tick",
    ScheduleSale = "schedule_sale", EditSale = "edit_sale", CancelSale = "cancel_sale", GetSale = "get_sale",
    Restock = "restock", CloseCredits = "close_credits", SetDeliveryPlan = "set_delivery_plan",
    GetDeliveryPlan = "get_delivery_plan", GetSlots = "get_slots", Rename = "rename", SetStatus = "set_status",
    EditProduct = "edit_product", AddSku = "add_sku", GetProduct = "get_product",
});

fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(0x0188_bac7_4afa_78aa_bc3b_bd1e_ef28_0000 + number)
}

fn credit_id() -> CreditId {
    CreditId::from_uuid(uuid(90))
}

fn refund_id() -> RefundId {
    RefundId::from_uuid(uuid(90))
}

fn seed() -> CreditSeed {
    CreditSeed { id: credit_id(), mint: Mint([1, 2, 3, 4]), reason: CreditReason::ChangedMind }
}

fn units() -> WantedLine {
    WantedLine { sku: sku(0), quantity: 1 }
}

fn credit(by_amount: bool) -> Credit {
    let (units, amount) = if by_amount { (0, 100) } else { (1, 125_000) };
    Credit {
        id: credit_id(),
        vendor: vendor(),
        lines: vec![CreditedLine { sku: sku(0), units, amount }],
        besides: if by_amount { 50 } else { 0 },
        points_besides: if by_amount { 20 } else { 0 },
        reason: CreditReason::CannotDeliver,
        by: if by_amount { By::of(Principal::SHOP) } else { None },
        shipped: false,
        restock: None,
    }
}

fn cart() -> CartId {
    CartId::from_uuid(uuid(1))
}

fn order() -> OrderId {
    OrderId::for_attempt(cart(), 1)
}

fn vendor() -> VendorId {
    VendorId::from_uuid(uuid(3))
}

fn sku(number: u128) -> SkuId {
    SkuId::from_uuid(uuid(0x10 + number))
}

fn customer() -> CustomerId {
    CustomerId::from_uuid(uuid(4))
}

fn owner() -> Owner {
    Owner::Customer(customer())
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis)
}

fn line(number: u128) -> CartLine {
    CartLine {
        sku: sku(number),
        vendor: vendor(),
        title: "Jamdani \"red\" শাড়ি".into(),
        quantity: 2,
        unit_price: 125_000,
        sale: (number == 1).then(sale),
    }
}

fn contact(full: bool) -> Contact {
    let some = |text: &str| full.then(|| text.to_owned());
    let shipping_address = Address {
        name: "Rokeya".into(),
        line1: "12 Lake Road".into(),
        line2: some("3rd floor"),
        city: "Dhaka".into(),
        postcode: some("1209"),
        region: some("Dhaka Division"),
        country: "BD".into(),
        phone: some("+880 1"),
    };
    Contact { email: some("rokeya@example.org"), shipping_address }
}

fn buyer(full: bool) -> Buyer {
    let mut buyer = contact(full).shipping_address.buyer();
    if full {
        buyer.keys = vec![BuyerKey([1; 8]), BuyerKey([0xab; 8])];
        buyer.account_mail = true;
        buyer.mail_key = Some(MailKey([2; 16]));
        buyer.audience = Audience::Wholesale;
        buyer.exempt = Some(Exemption::Resale);
        buyer.entries = vec![rooms::entry()];
        buyer.points = Some(points::wanted());
        buyer.multiplier = Some(15_000);
    }
    buyer
}

/// A checkout with every optional field, or with none.
fn request(full: bool) -> CheckoutRequest {
    CheckoutRequest {
        slots: if full { vec![(vendor(), slots::slot_id())] } else { Vec::new() },
        contact: contact(full),
        payment: PaymentChoice { method: "sandbox".into(), token: "tok_approve".into() },
        expected_total: full.then(|| Money::new(250_000, Currency::BDT)),
        shipping: if full { vec![(vendor(), shipping_method())] } else { Vec::new() },
        quote: full.then(|| Box::new(quote())),
        mint: Mint::default(),
        buyer: buyer(full),
    }
}

fn shipping_method() -> ShippingMethodId {
    ShippingMethodId::from_uuid(uuid(0x30))
}

fn quote() -> Quote {
    Quote {
        cart: cart(),
        contents: 7,
        total: Money::new(256_000, Currency::BDT),
        shipping: vec![(vendor(), shipping_method())],
        points: Some(500),
        method: Some("sandbox".into()),
        country: "BD".into(),
        region: Some("BD-13".into()),
        postcode: Some("1205".into()),
        expires_at: at(900_000),
    }
}

fn terms(full: bool) -> CheckoutTerms {
    let request = CheckoutRequest { mint: Mint([1, 2, 3, 0xff]), ..request(full) };
    request.under(
        &Settings { hold_ms: 900_000, payment_ms: 600_000, ..Settings::DEFAULT },
        request.buyer.audience,
        request.buyer.exempt,
        request.buyer.multiplier,
    )
}

fn placement(full: bool) -> Box<Placement> {
    let CheckoutTerms { payment, hold_ms, payment_ms, mint, buyer, shipping, slots, .. } = terms(full);
    Box::new(Placement {
        cart: cart(),
        attempt: 1,
        owner: if full { owner() } else { Owner::Guest },
        payment,
        expected_total: Money::new(250_000, Currency::BDT),
        lines: vec![line(0)],
        hold_ms,
        payment_ms,
        strict: full,
        mint,
        buyer,
        coupons: if full { placed_coupons() } else { Vec::new() },
        shipping,
        slots,
        email: None,
        shipping_address: None,
    })
}

fn held() -> Vec<HeldLine> {
    vec![HeldLine::at_list_price(sku(0), 2, 125_000)]
}

/// At a price that a price break made.
fn held_at_a_break() -> Vec<HeldLine> {
    let at_list = HeldLine::at_list_price(sku(0), 10, 120_000);
    vec![HeldLine { list_price: Some(125_000), rung: Some(10), ..at_list }]
}

fn refusals() -> Vec<Reject> {
    [
        Reject::AccountRequired,
        Reject::EmailRequired,
        Reject::PaymentMethodNotAllowed { methods: vec!["stripe".into()] },
        Reject::SaleNotStarted { sku_id: sku(0), starts_at: at(600_000) },
        Reject::SaleSoldOut { sku_id: sku(0), left: 0, next_tranche_at: None, regular_price: None },
        Reject::SaleSoldOut {
            sku_id: sku(0),
            left: 1,
            next_tranche_at: Some(at(600_000)),
            regular_price: Some(Money::new(125_000, Currency::BDT)),
        },
        Reject::PurchaseLimit { limit: 2, used: 1, skus: vec![sku(0)] },
        Reject::OutOfStock { skus: vec![Shortage { sku_id: sku(0), requested: 2, available: 1 }] },
        Reject::SkuUnknown,
        Reject::HoldClosed,
        Reject::HoldUnknown,
        Reject::SkuUnavailable { skus: vec![sku(0)] },
        Reject::SkuSuspended,
        Reject::VendorUnknown,
        Reject::CurrencyMismatch { expected: Currency::BDT, found: "JPY".parse().unwrap() },
        Reject::BelowMinimum { sku_id: sku(0), minimum_quantity: 12 },
        Reject::QuantityStep { step: 6, sku_id: Some(sku(0)) },
        Reject::QuantityOutOfRange { limit: 12, sku_id: Some(sku(0)) },
        Reject::CommandPoisoned,
        Reject::CodNotAvailable {
            why: NoCash::Amount,
            vendor_ids: Vec::new(),
            maximum: Some(Money::new(2_000_000, Currency::BDT)),
        },
    ]
    .into_iter()
    .chain(slots::refusals())
    .collect()
}

fn placed(full: bool, return_days: u32) -> OrderEvent {
    let (hold_until, payment_due_at) = (at(900_000), at(600_000));
    OrderEvent::Placed { placement: placement(full), hold_until, payment_due_at, return_days }
}

fn order_events() -> Vec<OrderEvent> {
    let vendor = vendor();
    let mut events = vec![
        placed(true, limits::RETURN_DAYS),
        placed(false, limits::RETURN_DAYS),
        placed(false, 0),
        OrderEvent::StockHeld { vendor, lines: held(), slot: None },
        OrderEvent::StockHeld { vendor, lines: Vec::new(), slot: None },
        OrderEvent::Priced { total: 250_000, bill: None },
        OrderEvent::Priced { total: 265_535, bill: Some(Box::new(bill())) },
        OrderEvent::BillRefused { reason: Reject::AddressNotServed { vendor_ids: vec![vendor] } },
        OrderEvent::StockHeld { vendor, lines: held_in_sale(), slot: None },
        OrderEvent::PriceDiffered { actual_total: 260_000, sale_over: false },
        OrderEvent::PriceDiffered { actual_total: 260_000, sale_over: true },
        OrderEvent::PaymentRequested,
        OrderEvent::Paid { amount: 250_000 },
        OrderEvent::PaymentFailed { reason: "no funds".into() },
        OrderEvent::CancelRequested,
        OrderEvent::PaymentDeadlinePassed,
        OrderEvent::PaymentVoided,
        OrderEvent::PaymentRefunded { amount: 250_000, told: None },
        OrderEvent::PaymentRefunded { amount: 0, told: Some(Money::new(1_000, "USD".parse().unwrap())) },
        OrderEvent::Settled,
        OrderEvent::StockCommitted { vendor },
        OrderEvent::StockReleased { vendor },
        OrderEvent::CartReopened,
        OrderEvent::CartClosed,
        OrderEvent::Quarantined { vendor, reason: Reject::CommandPoisoned },
        OrderEvent::PaymentDiffered { told: Money::new(50_000, Currency::BDT), given_back: false },
        OrderEvent::PaymentDiffered { told: Money::new(50_000, Currency::BDT), given_back: true },
        OrderEvent::VoidRefused { reason: "charge_not_refundable".into(), taken: None },
        OrderEvent::VoidRefused {
            reason: "charge_not_refundable".into(),
            taken: Some(Money::new(250_000, Currency::BDT)),
        },
        OrderEvent::Attached { customer: customer() },
        OrderEvent::CouponsTaken { coupons: taken_coupons() },
        OrderEvent::LegHeld { with: party() },
        OrderEvent::LegRefused { with: party(), reason: Reject::CouponExhausted },
        OrderEvent::LegCommitted { with: party() },
        OrderEvent::LegReleased { with: party() },
        OrderEvent::LegQuarantined { with: party(), reason: Reject::HoldUnknown },
        OrderEvent::Credited { credit: Box::new(credit(false)), refund_requested: None },
        OrderEvent::Credited {
            credit: Box::new(credit(true)),
            refund_requested: Some(RefundAsked { id: refund_id(), amount: 150, mint: Mint([1, 2, 3, 4]) }),
        },
        OrderEvent::RefundPending { refund: refund_id() },
        OrderEvent::RefundSucceeded { refund: refund_id(), reference: None },
        OrderEvent::RefundSucceeded { refund: refund_id(), reference: Some("re_1".into()) },
        OrderEvent::RefundFailed { refund: refund_id(), reason: "lost_card".into() },
        OrderEvent::RefundRetried { refund: refund_id(), by: None },
        OrderEvent::RefundRetried { refund: refund_id(), by: By::of(Principal::SHOP) },
        OrderEvent::RefundMarkedPaid { refund: refund_id(), reference: "wire 7".into(), by: By::of(Principal::SHOP) },
        OrderEvent::CreditsSettled { vendor, credits: vec![credit_id()] },
        OrderEvent::LegReturned { with: coupons::party(), credits: vec![credit_id()], whole: false },
        OrderEvent::LegReturned { with: coupons::party(), credits: vec![credit_id()], whole: true },
        OrderEvent::DisputeOpened {
            dispute: "dp_1".into(),
            amount: Money::new(250_000, Currency::BDT),
            reason: "product_not_received".into(),
        },
        OrderEvent::DisputeWon { dispute: "dp_1".into(), refund_resumed: Vec::new() },
        OrderEvent::DisputeWon { dispute: "dp_1".into(), refund_resumed: vec![refund_id()] },
        OrderEvent::DisputeLost {
            dispute: "dp_1".into(),
            amount: Money::new(250_000, Currency::BDT),
            shares: Vec::new(),
            refund_resumed: vec![refund_id()],
        },
        OrderEvent::DisputeLost {
            dispute: "dp_1".into(),
            amount: Money::new(250_000, Currency::BDT),
            shares: vec![
                LostShare { vendor, amount: 1, credit: None, cancelled: Vec::new(), refund_requested: None },
                LostShare {
                    vendor,
                    amount: 200,
                    credit: Some(Box::new(Credit { reason: CreditReason::DisputeLost, ..credit(true) })),
                    cancelled: vec![refund_id()],
                    refund_requested: Some(RefundAsked { id: refund_id(), amount: 150, mint: Mint([1, 2, 3, 4]) }),
                },
            ],
            refund_resumed: Vec::new(),
        },
        OrderEvent::PaymentPrepared { reference: "pi_1".into() },
        OrderEvent::PaymentActionRequired,
    ];
    events
        .extend(ResolveAs::ALL.into_iter().map(|verb| OrderEvent::Resolved { resolution: Box::new(resolution(verb)) }));
    events.extend(refusals().into_iter().map(|reason| OrderEvent::StockRefused { vendor, reason }));
    events.extend(
        OrderStatus::ALL.into_iter().filter(|status| status.is_end()).map(|status| OrderEvent::Ended { status }),
    );
    events.extend(parcels::events());
    events.extend(cash::events());
    events.extend(points::events());
    events.extend(slots::events());
    events
}

/// With all that may be said of it where money is concerned, and with nothing else.
fn resolution(verb: ResolveAs) -> Resolution {
    let of_money = matches!(verb, ResolveAs::Paid | ResolveAs::Refunded);
    Resolution {
        verb,
        by: "rina".into(),
        note: "the bank called".into(),
        amount: of_money.then(|| Money::new(250_000, Currency::BDT)),
        reference: of_money.then(|| "ch_1".into()),
    }
}

fn order_commands() -> Vec<OrderCommand> {
    let (vendor, by) = (vendor(), Principal::SHOP);
    let mut commands = vec![
        OrderCommand::Place { placement: placement(true), details: None },
        OrderCommand::Place {
            placement: placement(false),
            details: Some(Box::new(InlineDetails { contact: contact(true), token: "tok_approve".into() })),
        },
        OrderCommand::StockHeld { vendor, lines: held(), slot: None },
        OrderCommand::StockCommitted { vendor },
        OrderCommand::StockReleased { vendor },
        OrderCommand::StepFailed { vendor, reason: Reject::CommandPoisoned },
        OrderCommand::HoldDue { vendor, until: at(900_000), committed: false },
        OrderCommand::HoldDue { vendor, until: at(900_000), committed: true },
        OrderCommand::Charged { amount: None },
        OrderCommand::Charged { amount: Some(Money::new(250_000, Currency::BDT)) },
        OrderCommand::Declined { reason: "no funds".into() },
        OrderCommand::NotCaptured,
        OrderCommand::Voided,
        OrderCommand::Refunded { amount: None },
        OrderCommand::Refunded { amount: Some(Money::new(250_000, Currency::BDT)) },
        OrderCommand::VoidRefused { reason: "too late".into(), taken: None },
        OrderCommand::VoidRefused { reason: "too late".into(), taken: Some(Money::new(1, Currency::BDT)) },
        OrderCommand::Resolve { by, resolution: Box::new(resolution(ResolveAs::Retry)) },
        OrderCommand::Attach { customer: customer(), mail_key: MailKey([2; 16]) },
        OrderCommand::CartReopened,
        OrderCommand::Cancel { by },
        OrderCommand::Get { by: Principal::vendor(vendor) },
        OrderCommand::GetTimeline { by },
        OrderCommand::Tick,
        OrderCommand::LegHeld { with: party() },
        OrderCommand::LegRefused { with: party(), reason: Reject::CouponExhausted },
        OrderCommand::LegCommitted { with: party() },
        OrderCommand::LegReleased { with: party() },
        OrderCommand::LegFailed { with: party(), reason: Reject::HoldUnknown },
        OrderCommand::LegDue { with: party(), until: at(900_000), committed: false },
        OrderCommand::LegDue { with: party(), until: at(900_000), committed: true },
        OrderCommand::CancelAll { by, seed: seed() },
        OrderCommand::Credit { by, vendor, wanted: Wanted::Units(Vec::new()), seed: seed() },
        OrderCommand::Credit { by, vendor, wanted: Wanted::Units(vec![units()]), seed: seed() },
        OrderCommand::Credit { by, vendor, wanted: Wanted::Amount { minor: 100, shipping: true }, seed: seed() },
        OrderCommand::PreviewCredit { by, vendor, wanted: Wanted::Amount { minor: 100, shipping: false } },
        OrderCommand::RetryRefund { by, refund: refund_id(), attempt: 1 },
        OrderCommand::MarkRefundPaid { by, refund: refund_id(), reference: "wire 7".into() },
        OrderCommand::OpenRefunds,
        OrderCommand::PaymentKnown,
        OrderCommand::DisputeTold {
            told: DisputeTold {
                id: "dp_1".into(),
                status: DisputeStatus::Lost,
                amount: Money::new(250_000, Currency::BDT),
                reason: "fraudulent".into(),
            },
            mint: Mint([1, 2, 3, 4]),
        },
        OrderCommand::RefundTold { refund: refund_id(), attempt: 1, told: RefundTold::Pending },
        OrderCommand::RefundTold {
            refund: refund_id(),
            attempt: 1,
            told: RefundTold::Succeeded { amount: Money::new(1, Currency::BDT), reference: Some("re_1".into()) },
        },
        OrderCommand::RefundTold {
            refund: refund_id(),
            attempt: 2,
            told: RefundTold::Failed { reason: "lost_card".into() },
        },
        OrderCommand::Restocked { vendor, credits: vec![credit_id()] },
        OrderCommand::RestockDue { vendor, credits: vec![credit_id()] },
        OrderCommand::LegReturned { with: coupons::party(), credits: vec![credit_id()], whole: true },
        OrderCommand::ReturnDue { with: coupons::party(), credits: vec![credit_id()] },
        OrderCommand::PaymentPrepared { reference: "pi_1".into() },
        OrderCommand::BuyerNeeded,
    ];
    commands.extend(refusals().into_iter().map(|reason| OrderCommand::StockRefused { vendor, reason }));
    let milestones = [Milestone::Held, Milestone::Paid];
    commands.extend(milestones.map(|milestone| OrderCommand::Await { by, milestone }));
    let credit = OrderCommand::Credit { by, vendor, wanted: Wanted::Units(Vec::new()), seed: seed() };
    commands.push(credit.with_words(Some(Words("two\nlines".into()))));
    commands.extend(parcels::commands());
    commands.extend(cash::commands());
    commands.extend(points::commands());
    commands.extend(slots::commands());
    commands
}

/// Every variant has a sample, and every sample comes back from its JSON as it was; `tag` is the member with the variant's name.
fn round_trips<T>(tag: &str, samples: &[T], names: &[&str], name: fn(&T) -> &'static str)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    for sample in samples {
        let json = serde_json::to_string(sample).unwrap();
        assert_eq!(serde_json::from_str::<T>(&json).unwrap(), *sample);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value[tag], name(sample), "the name in the journal is part of its format");
    }
    for expected in names {
        assert!(samples.iter().any(|sample| name(sample) == *expected), "no sample of {expected}");
    }
}

/// Every golden line can be read, every variant has one, and what is written today stands among them.
fn golden<T>(file: &str, tag: &str, samples: &[T], names: &[&str], name: fn(&T) -> &'static str)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    round_trips(tag, samples, names, name);
    let today: Vec<String> = samples.iter().map(|sample| serde_json::to_string(sample).unwrap()).collect();
    let text = lines(file, &today);
    let read: Vec<T> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{file}: {error}: {line}")))
        .collect();
    for expected in names {
        assert!(read.iter().any(|value| name(value) == *expected), "{file} has no line of {expected}");
    }
    for sample in samples {
        assert!(read.contains(sample), "{file} reads as something else: {sample:?}");
    }
}

/// The lines of a golden file, among which those of today stand.
fn lines(file: &str, today: &[String]) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    let mut text = std::fs::read_to_string(&path).unwrap_or_default();
    if std::env::var("HAAT_GOLDEN").is_ok_and(|mode| mode == "append") {
        let mut out = std::fs::OpenOptions::new().create(true).append(true).open(&path).unwrap();
        for json in today {
            if !text.lines().any(|line| line == json) {
                writeln!(out, "{json}").unwrap();
                text.push_str(json);
                text.push('\n');
            }
        }
    }
    for json in today {
        assert!(text.lines().any(|line| line == json), "{file} lacks the form written today: {json}");
    }
    text
}

#[test]
fn every_cart_event_ever_written_can_be_read() {
    golden("events/cart.json", "type", &cart_events(), CART_EVENTS, cart_event);
}

#[test]
fn every_order_event_ever_written_can_be_read() {
    golden("events/order.json", "type", &order_events(), ORDER_EVENTS, order_event);
}

#[test]
fn every_vendor_event_ever_written_can_be_read() {
    golden("events/vendor.json", "type", &vendor_events(), VENDOR_EVENTS, vendor_event);
}

#[test]
fn every_customer_event_ever_written_can_be_read() {
    golden("events/customer.json", "type", &customer_events(), &both(CUSTOMER_EVENTS, POINT_EVENTS), customer_event);
}

/// Answers are kept for a day, over an upgrade: a release that cannot read what the one before it answered fails here.
#[test]
fn every_answer_ever_kept_can_be_read() {
    golden("answers/cart.json", "type", &cart_replies(), CART_REPLIES, cart_reply);
    golden("answers/customer.json", "type", &customer_replies(), CUSTOMER_REPLIES, customer_reply);
    golden("answers/order.json", "type", &order_replies(), ORDER_REPLIES, order_reply);
    golden("answers/vendor.json", "type", &vendor_replies(), VENDOR_REPLIES, vendor_reply);
}

/// The versions that kept no figures of shares told an order's total and what was due of it: the rest follows from how it stands.
#[test]
fn an_answer_of_an_early_version_tells_its_money() {
    let kept = lines("answers/order.json", &[]);
    let early = kept.lines().next().expect("the first one ever written");
    let whole = Amounts { total: 250_000, ..Amounts::default() };
    let (credited, paid, refunded, total_due) = (250_000, 250_000, 250_000, 250_000);
    for (status, payment, due, told, lines_credited) in [
        ("awaiting_payment", "pending", total_due, Amounts { total_due, ..whole }, 0),
        ("paid", "captured", 0, Amounts { paid, ..whole }, 0),
        ("payment_failed", "declined", 0, Amounts { credited, ..whole }, 2),
        ("cancelled", "refunded", 0, Amounts { credited, paid, refunded, ..whole }, 2),
    ] {
        let json = early
            .replace("awaiting_payment", status)
            .replace(r#""payment_status":"pending""#, &format!(r#""payment_status":"{payment}""#))
            .replace(r#""total_due":250000"#, &format!(r#""total_due":{due}"#));
        let OrderReply::Order { order } = serde_json::from_str(&json).unwrap() else { panic!("an order") };
        assert_eq!((order.amounts, order.sub_orders[0].amounts), (told, told), "{status}");
        assert_eq!(order.lines[0].credited, lines_credited, "{status}");
    }
}

/// One of each refusal, and its other forms: those whose JSON lacks a member, or of which a caller is told something else.
fn all_refusals() -> Vec<Reject> {
    let mut all = Reject::samples();
    all.extend([
        Reject::PriceOutOfRange { limit: 1, index: Some(1), rung: None },
        Reject::PriceOutOfRange { limit: 1, index: None, rung: Some(1) },
        Reject::QuantityRuleInvalid { wholesale: false },
        Reject::QuantityStep { step: 6, sku_id: Some(sku(0)) },
        Reject::QuantityOutOfRange { limit: 12, sku_id: Some(sku(0)) },
        Reject::StockOutOfRange { limit: 1, index: None },
        Reject::TooMany { what: "checkouts".into(), limit: 1 },
        Reject::SkuCodeTaken { sku_code: "A".into(), index: None },
        Reject::PaymentUnsupported { reason: "no".into(), token: false },
        Reject::NothingToResolve { may: Vec::new() },
    ]);
    all
}

#[test]
fn every_refusal_ever_written_can_be_read() {
    let codes: Vec<&str> = RejectKind::ALL.iter().map(|kind| kind.code()).collect();
    golden("reject.json", "code", &all_refusals(), &codes, Reject::code);
}

#[test]
fn every_refusal_is_told_as_it_was() {
    let told = |refusal: Reject| String::from_utf8(Problem::from(refusal).to_json("r")).unwrap();
    let today: Vec<String> = all_refusals().into_iter().map(told).collect();
    for line in lines("problems.json", &today).lines() {
        assert!(today.iter().any(|json| json == line), "told no more: {line}");
    }
}

#[test]
fn every_command_comes_back_from_its_json() {
    round_trips("type", &cart_commands(), CART_COMMANDS, cart_command);
    round_trips("type", &customer_commands(), &both(CUSTOMER_COMMANDS, POINT_COMMANDS), customer_command);
    round_trips("type", &order_commands(), ORDER_COMMANDS, order_command);
    round_trips("type", &vendor_commands(), VENDOR_COMMANDS, vendor_command);
}

fn written<E: Serialize>(record: &Record<E>) -> String {
    let mut line = Vec::new();
    record.write(&mut line);
    String::from_utf8(line).unwrap()
}

fn record<E, R>(entity: EntityRef, events: Vec<E>, outcomes: Vec<Result<R, Reject>>)
where
    E: Serialize + DeserializeOwned + PartialEq + Debug,
    R: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let key = IdempotencyKey { key: u128::MAX - 1, body: 1 };
    let answers = outcomes.iter().map(|outcome| KeptAnswer::new(key, at(1), outcome)).collect();
    let record = Record { entity, version: u64::from(u32::MAX) + 1, at: at(0), events, answers };
    let json = written(&record);
    assert!(!json.contains('\n'), "a record is one line");
    let read: Record<E> = serde_json::from_str(&json).unwrap();
    assert_eq!(read, record);
    let again: Vec<Result<R, Reject>> = read.answers.iter().map(|answer| answer.answer().unwrap()).collect();
    assert_eq!(again, outcomes);
    let raw: RawRecord<'_> = serde_json::from_str(&json).unwrap();
    assert_eq!((raw.entity, raw.version, raw.at), (record.entity, record.version, record.at));
    assert_eq!(serde_json::to_string(&raw).unwrap(), json, "tools pass a record on as it is");
}

#[test]
fn records_with_kept_answers_come_back_from_their_json() {
    let ok = cart_replies().into_iter().map(Ok);
    let shortage = Shortage { sku_id: sku(0), requested: 2, available: 1 };
    record(cart().entity(), cart_events(), ok.chain([Err(Reject::OutOfStock { skus: vec![shortage] })]).collect());
    record(customer().entity(), customer_events(), customer_replies().into_iter().map(Ok).collect());
    record(order().entity(), order_events(), vec![Ok(OrderReply::Done), Err(Reject::OrderCancelled)]);
    record(vendor().entity(), vendor_events(), vec![Ok(VendorReply::Done)]);
}

#[test]
fn a_record_in_the_form_of_the_first_version_can_be_read() {
    // Written out by hand: the short field names and the forms of ids, keys and times are part of the format.
    let json = r#"{"e":"cart_01h2xcejqtf2nbrexx3vqjg001","v":3,"at":1700000000000,"ev":[{"type":"line_removed","sku":"sku_01h2xcejqtf2nbrexx3vqjg00g"}],"ans":[{"key":"000000000000000000000000000000ff","body":"000000000000000a","at":1700000000001,"answer":{"ok":{"type":"done"}}},{"key":"00000000000000000000000000000001","body":"000000000000000b","at":1700000000002,"answer":{"rejected":{"code":"cart_empty"}}}]}"#;
    let record: Record<CartEvent> = serde_json::from_str(json).unwrap();
    assert_eq!((record.entity, record.version, record.at), (cart().entity(), 3, at(0)));
    assert_eq!(record.events, [CartEvent::LineRemoved { sku: sku(0) }]);
    assert_eq!(record.answers[0].key, IdempotencyKey { key: 255, body: 10 });
    assert_eq!(record.answers[0].answer().unwrap(), Ok(CartReply::Done));
    assert_eq!(record.answers[1].answer::<CartReply>().unwrap(), Err(Reject::CartEmpty));
    assert_eq!(written(&record), json);
}
