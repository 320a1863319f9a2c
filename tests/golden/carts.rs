//! Samples of all that stands in a journal of carts and customers.

use super::*;

pub fn other_cart() -> CartId {
    CartId::of_customer(customer(), 0)
}

/// One for each reason why something of a cart may not fit into another.
pub fn left_out() -> Vec<LeftOut> {
    let why = [
        RejectKind::SkuUnknown,
        RejectKind::CartCheckingOut,
        RejectKind::CartCheckedOut,
        RejectKind::CartMerged,
        RejectKind::CurrencyMismatch,
        RejectKind::TooManyLines,
        RejectKind::QuantityOutOfRange,
    ];
    (0..).zip(why).map(|(number, why)| LeftOut { sku: sku(number), quantity: 3, why }).collect()
}

pub fn cart_events() -> Vec<CartEvent> {
    let price = SkuPrice { sku: sku(0), unit_price: 99, sale: None };
    let in_sale = SkuPrice { sale: Some(sale()), ..price };
    vec![
        CartEvent::CartCreated { owner: owner(), currency: Currency::BDT },
        CartEvent::CartCreated { owner: Owner::Guest, currency: Currency::BDT },
        CartEvent::LineSet { line: line(0), currency: Currency::BDT },
        CartEvent::LineRemoved { sku: sku(0) },
        CartEvent::Repriced { prices: vec![price] },
        CartEvent::Repriced { prices: vec![in_sale] },
        CartEvent::LineSet { line: line(1), currency: Currency::BDT },
        CartEvent::CheckoutStarted { order: order(), attempt: 1, terms: Box::new(terms(true)) },
        CartEvent::CheckoutStarted { order: order(), attempt: 1, terms: Box::new(terms(false)) },
        CartEvent::CartReopened { order: order(), prices: Vec::new() },
        CartEvent::CartReopened { order: order(), prices: vec![price] },
        CartEvent::CartCheckedOut { order: order(), prices: Vec::new() },
        CartEvent::CartCheckedOut { order: order(), prices: vec![price] },
        CartEvent::Merged { into: other_cart(), lines: vec![line(0)] },
        CartEvent::Merged { into: other_cart(), lines: Vec::new() },
        CartEvent::MergedIn {
            from: other_cart(),
            lines: vec![line(0)],
            currency: Currency::BDT,
            left_out: left_out(),
            coupons: Vec::new(),
        },
        CartEvent::MergedIn {
            from: other_cart(),
            lines: Vec::new(),
            currency: Currency::BDT,
            left_out: Vec::new(),
            coupons: placed_coupons(),
        },
        CartEvent::MergeAcknowledged,
        CartEvent::CouponPut { coupon: placed_coupons().remove(0) },
        CartEvent::CouponPut { coupon: placed_coupons().remove(1) },
        CartEvent::CouponRemoved { coupon: coupon() },
        CartEvent::Discounted { amount: 25_000 },
    ]
}

pub fn cart_commands() -> Vec<CartCommand> {
    let by = Principal::Guest(cart());
    let price = SkuPrice { sku: sku(0), unit_price: 99, sale: None };
    let in_sale = SkuPrice { sale: Some(sale()), ..price };
    vec![
        CartCommand::Create { owner: Owner::Guest, currency: Currency::BDT },
        CartCommand::Open { customer: customer(), currency: Currency::BDT },
        CartCommand::Get { by },
        CartCommand::SetLine { by, line: line(0), currency: Currency::BDT },
        CartCommand::RemoveLine { by: Principal::Customer(customer()), sku: sku(0) },
        CartCommand::CheckOut { by, details: Box::new(request(true)) },
        CartCommand::CheckOut { by, details: Box::new(request(false)) },
        CartCommand::Reopen { order: order() },
        CartCommand::Close { order: order(), prices: vec![price] },
        CartCommand::Close { order: order(), prices: vec![in_sale] },
        CartCommand::Close { order: order(), prices: Vec::new() },
        CartCommand::MayMerge { by, from: other_cart() },
        CartCommand::MergeInto { by, into: other_cart() },
        CartCommand::MergeIn { from: other_cart(), lines: vec![line(0)], coupons: Vec::new() },
        CartCommand::MergeIn { from: other_cart(), lines: vec![line(0)], coupons: placed_coupons() },
        CartCommand::PutCoupon { by, coupon: placed_coupons().remove(1) },
        CartCommand::RemoveCoupon { by, code: code() },
        CartCommand::AcknowledgeMerge { into: other_cart() },
        CartCommand::AwaitMerge { by, from: other_cart(), refused: None },
        CartCommand::AwaitMerge { by, from: other_cart(), refused: Some(Reject::CartCheckedOut) },
    ]
}

/// Replies with every optional field, and with none.
pub fn cart_replies() -> Vec<CartReply> {
    let view = |order: Option<OrderId>| CartView {
        id: cart(),
        owner: if order.is_some() { owner() } else { Owner::Guest },
        status: if order.is_some() { CartStatus::CheckingOut } else { CartStatus::Open },
        currency: Currency::BDT,
        lines: order.iter().map(|_| line(0)).collect(),
        coupons: order.iter().flat_map(|_| placed_coupons()).collect(),
        discount: if order.is_some() { 25_000 } else { 0 },
        order,
        merged_into: None,
    };
    let merged = CartView { status: CartStatus::Merged, merged_into: Some(other_cart()), ..view(None) };
    vec![
        CartReply::Cart { cart: Box::new(merged) },
        CartReply::Merging { into: other_cart() },
        CartReply::Merged { cart: Box::new(view(None)), left_out: left_out() },
        CartReply::Merged { cart: Box::new(view(Some(order()))), left_out: Vec::new() },
        CartReply::Cart { cart: Box::new(view(None)) },
        CartReply::Cart { cart: Box::new(view(Some(order()))) },
        CartReply::Opened { cart: Box::new(view(None)), made: true },
        CartReply::Order { order: order(), started: true },
        CartReply::Done,
    ]
}

pub fn customer_events() -> Vec<CustomerEvent> {
    let mut events = vec![
        CustomerEvent::CartFollowed { number: 4 },
        CustomerEvent::CustomerEdited { group: Audience::Retail, exempt: None, by: None },
        CustomerEvent::CustomerEdited {
            group: Audience::Wholesale,
            exempt: Some(Exemption::Resale),
            by: By::of(Principal::SHOP),
        },
    ];
    events.extend(super::cash::customer_events());
    events.extend(super::points::customer_events());
    events
}

pub fn customer_commands() -> Vec<CustomerCommand> {
    let by = Principal::SHOP;
    let mut commands = vec![
        CustomerCommand::Cart,
        CustomerCommand::NextCart { after: 3 },
        CustomerCommand::Show { by },
        CustomerCommand::Edit { by, group: None, exempt: None },
        CustomerCommand::Edit { by, group: None, exempt: Some(None) },
        CustomerCommand::Edit { by, group: Some(Audience::Wholesale), exempt: Some(Some(Exemption::Resale)) },
    ];
    commands.extend(super::cash::customer_commands());
    commands.extend(super::points::customer_commands());
    commands
}

pub fn customer_replies() -> Vec<CustomerReply> {
    vec![
        CustomerReply::Cart { cart: CartId::of_customer(customer(), 4), number: 4 },
        CustomerReply::Customer { group: Audience::Retail, exempt: None },
        CustomerReply::Customer { group: Audience::Wholesale, exempt: Some(Exemption::Resale) },
        super::cash::customer_reply(),
    ]
    .into_iter()
    .chain(super::points::customer_replies())
    .collect()
}
