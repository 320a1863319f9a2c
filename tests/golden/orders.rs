//! Samples of bills, and of how orders are shown.

use super::*;
use haat::domain::ids::ShipmentId;
use haat::domain::order::PointsShown;
use haat::domain::pricing::{Bill, BillLine, BillShare, LineDiscount, LineTax, TaxGroup};

/// One of everything that may stand in a bill.
pub fn bill() -> Bill {
    let part = |amount, platform| LineDiscount { code: 0, amount, platform };
    Bill {
        codes: vec!["EID10".into()],
        prices_include_tax: false,
        lines: vec![BillLine {
            vendor: vendor(),
            total: 250_000,
            discounts: vec![part(25_000, 5_000)],
            tax: Some(LineTax { category: "textiles".into(), group: 0, amount: 33_750 }),
            points: 100,
            payable: 258_650,
        }],
        shares: vec![BillShare {
            vendor: vendor(),
            method: Some(shipping_method()),
            shipping: 5_000,
            shipping_discounts: vec![part(1_000, 0)],
            shipping_tax: 750,
            shipping_points: 10,
            fees: 1_000,
            fees_tax: 150,
            fees_points: 5,
            tax_groups: vec![
                TaxGroup { rate_milli_percent: 15_000, reason: None, base: 231_000, amount: 34_650 },
                TaxGroup { rate_milli_percent: 0, reason: Some("no_rate".into()), base: 0, amount: 0 },
            ],
            total: 265_535,
        }],
    }
}

pub fn order_replies() -> Vec<OrderReply> {
    let line = OrderLine {
        sku: sku(0),
        vendor: vendor(),
        title: "Jamdani".into(),
        quantity: 2,
        unit_price: 125_000,
        list_price: None,
        sale: None,
        credited: 0,
        credited_amount: 0,
        billed: None,
        goods: None,
    };
    let unpaid = Amounts { total: 250_000, total_due: 250_000, ..Amounts::default() };
    let share = SubOrderView {
        to_collect: 0,
        slot: None,
        id: SubOrderId::of(order(), vendor()),
        vendor: vendor(),
        status: SubOrderStatus::Held,
        amounts: unpaid,
        billed: None,
        parcels: Vec::new(),
        on_hold: None,
    };
    let waits = Waits {
        since: at(7),
        why: Trouble::StepFailed { vendor: vendor(), reason: "stock_unknown".into() },
        resolve_as: vec![ResolveAs::Retry, ResolveAs::WriteOff],
    };
    let view = |waits: Option<Waits>| OrderView {
        id: order(),
        cart: cart(),
        status: OrderStatus::AwaitingPayment,
        currency: Currency::BDT,
        lines: vec![line.clone()],
        sub_orders: vec![share.clone()],
        coupons: Vec::new(),
        amounts: unpaid,
        bill: None,
        points: PointsShown::default(),
        payment_method: "sandbox".into(),
        payment_status: PaymentStatus::Pending,
        placed_at: at(0),
        payment_due_at: at(600_000),
        inline_contact: None,
        waits: waits.map(Box::new),
        refunds: Vec::new(),
        cancelling: false,
        returns: Vec::new(),
        disputes: Vec::new(),
        attention: Vec::new(),
    };
    let all_of_it = Amounts {
        total: 250_000,
        credited: 125_000,
        rounding: -1,
        paid: 250_000,
        refunded: 100_000,
        total_due: 0,
        refund_due: 25_001,
    };
    let credited = OrderView {
        status: OrderStatus::Paid,
        payment_status: PaymentStatus::Captured,
        lines: vec![OrderLine {
            credited: 1,
            credited_amount: 125_000,
            list_price: Some(150_000),
            sale: Some(sale()),
            ..line.clone()
        }],
        sub_orders: vec![SubOrderView { status: SubOrderStatus::Paid, amounts: all_of_it, ..share.clone() }],
        amounts: all_of_it,
        ..view(None)
    };
    let with_coupons = OrderView {
        coupons: order_coupons(),
        amounts: Amounts { total: 225_000, total_due: 225_000, ..Amounts::default() },
        sub_orders: vec![SubOrderView {
            amounts: Amounts { total: 225_000, total_due: 225_000, ..Amounts::default() },
            ..share.clone()
        }],
        ..view(Some(Waits {
            why: Trouble::LegFailed { with: party(), reason: "hold_unknown".into() },
            ..waits.clone()
        }))
    };
    let Bill { codes, prices_include_tax, mut lines, mut shares } = bill();
    let billed = OrderView {
        lines: vec![OrderLine { billed: lines.pop().map(Box::new), ..line.clone() }],
        sub_orders: vec![SubOrderView { billed: shares.pop().map(Box::new), ..share.clone() }],
        bill: Some(Box::new(BillHead { codes, prices_include_tax })),
        ..view(None)
    };
    let entry = |full: bool| TimelineEntry {
        at: at(0),
        kind: "resolved".into(),
        vendor: full.then(vendor),
        amount: full.then_some(250_000),
        currency: full.then(|| "EUR".parse().unwrap()),
        reason: full.then(|| "lost".into()),
        by: None,
        shipment: None,
        resolution: full.then(|| Box::new(resolution(ResolveAs::Paid))),
    };
    let refund = |full: bool| Refund {
        id: refund_id(),
        vendor: vendor(),
        amount: 100_000,
        points: if full { 25 } else { 0 },
        reason: CreditReason::Goodwill,
        status: if full { RefundStatus::Failed } else { RefundStatus::Requested },
        attempt: 1,
        mint: Mint([1, 2, 3, 4]),
        reference: full.then(|| "re_1".into()),
        failure: full.then(|| "lost_card".into()),
        by_hand: full,
    };
    let given_back = OrderView { refunds: vec![refund(false), refund(true)], ..credited.clone() };
    let dispute = |status, beyond| Dispute {
        id: "dp_1".into(),
        status,
        amount: Money::new(250_000, Currency::BDT),
        reason: "fraudulent".into(),
        beyond,
    };
    let disputed = OrderView {
        payment_status: PaymentStatus::Disputed,
        disputes: vec![dispute(DisputeStatus::Lost, 7), dispute(DisputeStatus::Open, 0)],
        attention: vec!["dispute_open".into()],
        ..credited.clone()
    };
    let of_parcel = TimelineEntry { shipment: Some(ShipmentId::from_uuid(uuid(91))), ..entry(false) };
    let by = TimelineEntry { by: By::of(Principal::SHOP), ..entry(false) };
    let money = |minor| Money::new(minor, Currency::BDT);
    let preview = RefundPreview { amount: money(5), shipping: money(1), maximum: money(7), points: 5 };
    vec![
        OrderReply::Order { order: Box::new(view(None)) },
        OrderReply::Order { order: Box::new(view(Some(waits))) },
        OrderReply::Order { order: Box::new(credited) },
        OrderReply::Order { order: Box::new(with_coupons) },
        OrderReply::Order { order: Box::new(billed) },
        OrderReply::Timeline { currency: Currency::BDT, entries: vec![entry(false), entry(true)] },
        OrderReply::Order { order: Box::new(given_back) },
        OrderReply::Timeline { currency: Currency::BDT, entries: vec![by] },
        OrderReply::Timeline { currency: Currency::BDT, entries: vec![of_parcel] },
        OrderReply::Order { order: Box::new(super::parcels::shipped(view(None))) },
        OrderReply::Order { order: Box::new(super::points::shown(view(None))) },
        OrderReply::Order { order: Box::new(super::cash::collected(super::parcels::shipped(view(None)))) },
        OrderReply::Order { order: Box::new(super::slots::chosen(view(None))) },
        OrderReply::Wishes { wishes: Vec::new() },
        OrderReply::Preview { preview },
        OrderReply::Order { order: Box::new(disputed) },
        OrderReply::Payment { payment: None, refunds: Vec::new() },
        OrderReply::Refunds { method: "sandbox".into(), calls: Vec::new() },
        OrderReply::Done,
    ]
}
