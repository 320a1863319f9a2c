//! A shop for benches: ids, a vendor with its SKUs and holds, carts, and what an order is told. The same in every run.

use haat::domain::buyer::{Buyer, BuyerKey, MailKey, Mint};
use haat::domain::cart::{Cart, CartCommand, CartLine, CheckoutRequest};
use haat::domain::coupon::{Coupon, CouponCode, CouponCommand, CouponTerms, RestoresOn};
use haat::domain::details::Contact;
use haat::domain::entity::concerns::*;
use haat::domain::entity::{Owner, Principal};
use haat::domain::ids::{CartId, CouponId, OrderId, ProductId, SkuId, VendorId};
use haat::domain::knowledge::Knowledge;
use haat::domain::money::{Currency, Money};
use haat::domain::order::{Address, OrderCommand, PaymentChoice, Placement};
use haat::domain::pricing::{Promotion, PromotionKind, Scope};
use haat::domain::time::Timestamp;
use haat::domain::vendor::{HeldLine, NewProduct, NewSku, Vendor, VendorCommand, WantedLine};
use haat::limits;
use uuid::Uuid;

pub const NOW: Timestamp = Timestamp::from_millis(1_763_683_200_000);
pub const PRICE: i64 = 125_000;
/// Orders that a run of commands goes through again and again, so that the state is as large after it as before.
pub const ORDERS: u128 = 1_024;

pub fn uuid(number: u128) -> Uuid {
    // Spread as the random part of real ids is; trees and hash tables see no neat sequence.
    Uuid::from_u128(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

pub fn vendor_id() -> VendorId {
    VendorId::from_uuid(uuid(0))
}

pub fn sku_id(number: u128) -> SkuId {
    SkuId::from_uuid(uuid(1 << 64 | number))
}

pub fn order_id(number: u128) -> OrderId {
    OrderId::from_uuid(uuid(2 << 64 | number))
}

pub fn cart_id(number: u128) -> CartId {
    CartId::from_uuid(uuid(3 << 64 | number))
}

pub fn coupon_code() -> CouponCode {
    CouponCode::new("EID10").expect("a code")
}

pub fn coupon_id() -> CouponId {
    CouponId::of_code(&coupon_code().compared())
}

/// A coupon that takes a tenth off, so many times at most.
pub fn coupon(usage_limit: Option<u64>) -> Coupon {
    let promotion = Promotion {
        kind: PromotionKind::Percent { basis_points: 1_000 },
        scope: Scope::default(),
        min_subtotal: None,
        max_discount: None,
        excludes_sale_items: false,
        platform_bp: 10_000,
    };
    let terms = CouponTerms {
        promotion,
        starts_at: NOW,
        ends_at: NOW.plus_millis(limits::HOLD_MS),
        usage_limit,
        limit_per_customer: None,
        budget: None,
        combines: false,
        restores_on: RestoresOn::default(),
    };
    let mut coupon = Coupon::new(coupon_id());
    let create =
        CouponCommand::Create { by: Principal::SHOP, code: coupon_code(), single_use: false, terms: Box::new(terms) };
    run(&mut coupon, &create, NOW);
    coupon
}

pub fn until() -> Timestamp {
    NOW.plus_millis(limits::HOLD_MS)
}

/// Decides a command that must be accepted and applies what it gives.
pub fn run<E: Entity>(entity: &mut E, command: &E::Command, now: Timestamp) -> Vec<E::Event> {
    entity.heard(command, now);
    let events = entity.decide(command, &Knowledge::NOTHING, now).expect("the command is accepted");
    for event in &events {
        entity.apply(event, now);
    }
    events
}

/// A vendor with so many SKUs, and so many orders that hold one piece each.
pub fn vendor(skus: u128, holds: u128) -> Vendor {
    let mut vendor = Vendor::new(vendor_id());
    run(&mut vendor, &VendorCommand::Create { name: "Karim".into() }, NOW);
    let numbers: Vec<u128> = (0..skus).collect();
    for (product, numbers) in (0..).zip(numbers.chunks(limits::PRODUCT_SKUS)) {
        let sku = |number: &u128| NewSku {
            id: sku_id(*number),
            code: format!("sku-{number}"),
            price_minor: PRICE,
            currency: Currency::BDT,
            on_hand: limits::SKU_PIECES,
        };
        let product = NewProduct {
            id: ProductId::from_uuid(uuid(4 << 64 | product)),
            title: "Panjabi".into(),
            description: None,
            category: None,
            skus: numbers.iter().map(sku).collect(),
        };
        run(&mut vendor, &VendorCommand::AddProduct { by: Principal::SHOP, product }, NOW);
    }
    for number in 0..holds {
        // Not all at one moment, as in a rush.
        let reserve = reserve(ORDERS + number, number % skus, until().plus_millis(number as i64 / 10));
        run(&mut vendor, &reserve, NOW);
    }
    vendor
}

pub fn reserve(order: u128, sku: u128, until: Timestamp) -> VendorCommand {
    let lines = vec![WantedLine { sku: sku_id(sku), quantity: 1 }];
    VendorCommand::Reserve { order: order_id(order), until, currency: Currency::BDT, lines, held_for: Box::default() }
}

pub fn line(number: u128, quantity: i64) -> CartLine {
    CartLine {
        sku: sku_id(number),
        vendor: vendor_id(),
        title: "Panjabi".into(),
        quantity,
        unit_price: PRICE,
        sale: None,
    }
}

pub fn details() -> CheckoutRequest {
    let shipping_address = Address {
        name: "Rahim".into(),
        line1: "House 7, Road 4".into(),
        line2: None,
        city: "Dhaka".into(),
        postcode: Some("1205".into()),
        region: None,
        country: "BD".into(),
        phone: None,
    };
    let buyer = Buyer {
        keys: vec![BuyerKey([7; 8]), BuyerKey([8; 8])],
        mail_key: Some(MailKey([9; 16])),
        ..shipping_address.buyer()
    };
    CheckoutRequest {
        shipping: Vec::new(),
        slots: Vec::new(),
        quote: None,
        contact: Contact { email: Some("rahim@example.com".into()), shipping_address },
        mint: Mint([1, 2, 3, 4]),
        buyer,
        payment: PaymentChoice { method: "sandbox".into(), token: "tok_approve".into() },
        expected_total: None,
    }
}

pub fn cart(id: CartId, lines: u128) -> Cart {
    let mut cart = Cart::new(id);
    run(&mut cart, &CartCommand::Create { owner: Owner::Guest, currency: Currency::BDT }, NOW);
    for number in 0..lines {
        run(&mut cart, &set_line(id, number, 1), NOW);
    }
    cart
}

pub fn set_line(cart: CartId, number: u128, quantity: i64) -> CartCommand {
    let (by, line) = (Principal::Guest(cart), line(number, quantity));
    CartCommand::SetLine { by, line, currency: Currency::BDT }
}

pub fn check_out(cart: CartId) -> CartCommand {
    CartCommand::CheckOut { by: Principal::Guest(cart), details: Box::new(details()) }
}

/// What the order of this cart is told from its placing to its end, all going well.
pub fn life(cart: CartId, lines: u128) -> Vec<OrderCommand> {
    let CheckoutRequest { payment, mint, buyer, .. } = details();
    let ordered: Vec<CartLine> = (0..lines).map(|number| line(number, 1)).collect();
    let held = |line: &CartLine| HeldLine::at_list_price(line.sku, 1, line.unit_price);
    let held = ordered.iter().map(held).collect();
    let placement = Placement {
        cart,
        attempt: 1,
        owner: Owner::Guest,
        payment: payment.without_token(),
        expected_total: Money::new(PRICE * lines as i64, Currency::BDT),
        lines: ordered,
        hold_ms: 900_000,
        payment_ms: 600_000,
        strict: true,
        mint: Some(mint),
        buyer: Some(Box::new(buyer)),
        coupons: Vec::new(),
        shipping: Vec::new(),
        slots: Vec::new(),
        email: None,
        shipping_address: None,
    };
    vec![
        OrderCommand::Place { placement: Box::new(placement), details: None },
        OrderCommand::StockHeld { vendor: vendor_id(), lines: held, slot: None },
        OrderCommand::Charged { amount: None },
        OrderCommand::StockCommitted { vendor: vendor_id() },
    ]
}
