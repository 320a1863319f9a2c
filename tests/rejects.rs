//! One row per refusal: which command in which state gives it. A new variant breaks the build here until it has a row; where several
//! refusals would apply, the one that stands first in the table of `Reject` is given.

#[path = "rejects/coupons.rs"]
mod coupons;
#[path = "rejects/parcels.rs"]
mod parcels;
#[path = "rejects/refunds.rs"]
mod refunds;
#[path = "rejects/rooms.rs"]
mod rooms;
#[path = "rejects/sales.rs"]
mod sales;
#[path = "support/world.rs"]
mod world;

use haat::domain::buyer::Audience;
use haat::domain::cart::{Cart, CartCommand, CartEvent, CartLine};
use haat::domain::customer::{Customer, CustomerCommand, CustomerEvent, PointCommand};
use haat::domain::entity::concerns::*;
use haat::domain::entity::{Owner, Principal};
use haat::domain::ids::{CartId, CustomerId, EntityId, OrderId, ProductId, ShippingMethodId, SkuId, VendorId};
use haat::domain::invariants::Breach;
use haat::domain::knowledge::{Availability, Knowledge, Settings};
use haat::domain::money::{Currency, Money};
use haat::domain::order::{Milestone, Order, OrderCommand, OrderStatus, ResolveAs};
use haat::domain::pricing::{
    AppliedPromotion, Basket, Destination, Good, Promotion, PromotionKind, Rate, Scope, ShippingMethod, Zone, bill,
};
use haat::domain::reject::Reject;
use haat::domain::time::Timestamp;
use haat::domain::vendor::{
    GoodsStatus, NewProduct, NewSku, PriceBreak, QuantityRules, SkuChange, SkuTerms, Vendor, VendorCommand,
    VendorEvent, VendorStatus, WantedLine,
};
use haat::limits;
use std::sync::Arc;
use uuid::Uuid;
use world::World;
use world::gateway::{APPROVE, SILENT};
use world::shop::{STOCK, buyer, cart, details, resolution, sku, vendor};

/// The shop, and a cart that was just checked out.
fn checked_out(token: &str) -> (World, OrderId) {
    let mut world = World::shop(2);
    world.availability_blind = true;
    world.set_line(0, (0, 0), 2).unwrap();
    let (order, _) = world.check_out(0, token, None).unwrap();
    (world, order)
}

fn vendor_of(world: &World, number: usize) -> &Vendor {
    &world.vendors[&vendor(number)].entity
}

fn refusal<E: Entity>(state: &E, command: E::Command, now: Timestamp) -> Reject {
    state.decide(&command, &Knowledge::NOTHING, now).expect_err("the command should be refused")
}

fn yen() -> Currency {
    "JPY".parse().unwrap()
}

fn set_line(quantity: i64, currency: Currency) -> CartCommand {
    let line =
        CartLine { sku: sku(0, 1), vendor: vendor(0), title: "SKU".into(), quantity, unit_price: 100, sale: None };
    CartCommand::SetLine { by: buyer(0), line, currency }
}

fn remove_line(by: Principal, sku: SkuId) -> CartCommand {
    CartCommand::RemoveLine { by, sku }
}

fn new_sku(number: u128, code: &str, price_minor: i64, on_hand: i64) -> NewSku {
    let id = SkuId::from_uuid(Uuid::from_u128(number));
    NewSku { id, code: code.into(), price_minor, currency: Currency::BDT, on_hand }
}

fn add_product(skus: Vec<NewSku>) -> VendorCommand {
    let id = ProductId::from_uuid(Uuid::from_u128(0x999));
    let product = NewProduct { id, title: "New".into(), description: None, category: None, skus };
    VendorCommand::AddProduct { by: Principal::SHOP, product }
}

fn many_skus(price_minor: i64, on_hand: i64) -> Vec<NewSku> {
    (0..=limits::PRODUCT_SKUS as u128).map(|number| new_sku(number, "same", price_minor, on_hand)).collect()
}

fn adjust(number: usize, delta: i64) -> VendorCommand {
    VendorCommand::AdjustStock { by: Principal::SHOP, sku: sku(0, number), delta, reason: "count".into() }
}

fn edit_sku(change: SkuChange) -> VendorCommand {
    VendorCommand::EditSku { by: Principal::SHOP, sku: sku(0, 0), change: Box::new(change) }
}

fn reserve(of: &[(SkuId, i64)], until: Timestamp, currency: Currency) -> VendorCommand {
    let lines = of.iter().map(|(sku, quantity)| WantedLine { sku: *sku, quantity: *quantity }).collect();
    VendorCommand::Reserve {
        order: OrderId::from_uuid(Uuid::from_u128(9)),
        until,
        currency,
        lines,
        held_for: Box::default(),
    }
}

/// What of the shop's goods is left: nothing.
struct SoldOut;

impl Availability for SoldOut {
    fn available(&self, _: SkuId) -> Option<i64> {
        Some(0)
    }
    fn price(&self, _: SkuId) -> Option<Money> {
        Some(Money::new(100, Currency::BDT))
    }
    fn terms(&self, _: SkuId) -> Option<Arc<SkuTerms>> {
        None
    }
    fn product(&self, _: SkuId) -> Option<ProductId> {
        None
    }
    fn audience(&self, _: CustomerId) -> Audience {
        Audience::Retail
    }
}

/// Everything is sold in sixes, from twelve to twenty-four at a time, and nothing is left.
struct InPacks;

const PACKS: QuantityRules = QuantityRules { min_quantity: Some(12), quantity_step: Some(6), max_quantity: Some(24) };

impl Availability for InPacks {
    fn available(&self, _: SkuId) -> Option<i64> {
        Some(0)
    }
    fn price(&self, _: SkuId) -> Option<Money> {
        None
    }
    fn terms(&self, _: SkuId) -> Option<Arc<SkuTerms>> {
        Some(Arc::new(SkuTerms { quantities: PACKS, ..SkuTerms::default() }))
    }
    fn product(&self, _: SkuId) -> Option<ProductId> {
        None
    }
    fn audience(&self, _: CustomerId) -> Audience {
        Audience::Retail
    }
}

/// As [`refusal`], where everything is sold in packs.
fn refusal_in_packs(state: &Cart, command: CartCommand, now: Timestamp) -> Reject {
    let knowledge = Knowledge { settings: &Settings::DEFAULT, availability: &InPacks, ..Knowledge::NOTHING };
    state.decide(&command, &knowledge, now).expect_err("the command should be refused")
}

/// What a cart with so many pieces, put there when it knew of no packs, is told when it is checked out, and the vendor's order then.
fn refusals_in_packs(mut world: World, quantity: i64) -> Vec<Reject> {
    world.set_line(0, (0, 0), quantity).unwrap();
    let state = &world.carts[&cart(0)].entity;
    let early = refusal_in_packs(state, check_out(buyer(0), None), world.now);
    let mut shop = vendor_of(&world, 0).clone();
    let terms = Box::new(SkuTerms { quantities: PACKS, ..SkuTerms::default() });
    for number in 0..2 {
        let terms = terms.clone();
        shop.apply(&VendorEvent::SkuTermsChanged { sku: sku(0, number), terms }, world.now);
    }
    let later = world.now.plus_millis(1);
    // Before the closed hold and the shortage of another line.
    let of = [(sku(0, 1), 24), (sku(0, 0), quantity)];
    let held = |until| refusal(&shop, reserve(&of, until, Currency::BDT), world.now);
    let refused = vec![early, held(later), held(world.now)];
    // Before another line's quantity that is refused for less.
    let less = [(sku(0, 1), 30), (sku(0, 0), quantity)];
    assert_eq!(refusal(&shop, reserve(&less, later, Currency::BDT), world.now).kind(), refused[1].kind());
    refused
}

/// As [`refusal`], while it is known that everything is sold out.
fn refusal_when_sold_out<E: Entity>(state: &E, command: E::Command, now: Timestamp) -> Reject {
    let knowledge = Knowledge { availability: &SoldOut, ..Knowledge::NOTHING };
    state.decide(&command, &knowledge, now).expect_err("the command should be refused")
}

fn check_out(by: Principal, expected: Option<Money>) -> CartCommand {
    let details = haat::domain::cart::CheckoutRequest { expected_total: expected, ..details(APPROVE, None) };
    CartCommand::CheckOut { by, details: Box::new(details) }
}

/// Why a line of each of two vendors makes no bill, for which these vendors ship into one country, at a price, with a coupon for other goods, on
/// delivery.
fn billed(ships: &[(usize, &str)], unit_price: i64, coupon: bool, on_delivery: bool) -> Reject {
    let good = |number| Good {
        sku: sku(number, 0),
        vendor: vendor(number),
        quantity: 1,
        unit_price,
        is_on_sale: false,
        category: None,
        grams: 0,
        tax_category: "standard".into(),
    };
    let methods = |(number, country): &(usize, &str)| {
        let rate = Rate::Flat { price: Money::new(1, Currency::BDT) };
        let zone = Zone { countries: vec![(*country).to_owned()], postcodes: Vec::new(), rate, free_from: None };
        let (id, days) = (ShippingMethodId::from_uuid(Uuid::from_u128(1)), [1, 2]);
        let method = ShippingMethod {
            id,
            name: "Post".into(),
            zones: vec![zone],
            cod: false,
            cod_fee: None,
            days,
            tax_category: None,
        };
        (vendor(*number), vec![method])
    };
    let promotion = coupon.then(|| Promotion {
        kind: PromotionKind::Percent { basis_points: 1 },
        scope: Scope { skus: vec![sku(9, 9)], ..Scope::default() },
        min_subtotal: None,
        max_discount: None,
        excludes_sale_items: false,
        platform_bp: 0,
    });
    let promotions: Vec<AppliedPromotion<'_>> =
        promotion.iter().map(|promotion| AppliedPromotion { code: "CODE", promotion }).collect();
    bill(&Basket {
        currency: Currency::BDT,
        goods: &[good(0), good(1)],
        promotions: &promotions,
        shipping: &ships.iter().map(methods).collect(),
        chosen: &[],
        to: Destination { country: "BD", region: None, postcode: None },
        on_delivery,
        tax: None,
        exempt: None,
        placed_at: Timestamp::default(),
        points: 0,
        point_value: 0,
    })
    .expect_err("there should be no bill")
}

/// What the buyer of cart 0 is told in the end.
fn told(mut world: World, order: OrderId) -> Reject {
    world.settle();
    world.told(0, order, Milestone::Held).expect("an ended order answers").expect_err("a refused checkout")
}

/// The row of a variant (any values): the refusals that were given. No wildcard: a new variant has no row yet and does not compile.
#[allow(clippy::too_many_lines)]
fn row(reject: &Reject) -> Vec<Reject> {
    let world = World::shop(2);
    let now = world.now;
    let later = now.plus_millis(1);
    let some_vendor = VendorId::from_uuid(Uuid::from_u128(5));
    let known = &[(sku(0, 0), 1)];
    match reject {
        Reject::VendorUnknown => {
            let nobody = Vendor::new(some_vendor);
            vec![
                // Before it came into being, though the SKU, the price and the stock would be wrong, too.
                refusal(&nobody, adjust(0, -1), now),
                refusal(&nobody, add_product(many_skus(0, -1)), now),
                refusal(&nobody, reserve(known, now, yen()), now),
                // For another vendor, and for a buyer.
                refusal(
                    vendor_of(&world, 0),
                    VendorCommand::GetSku { by: Principal::vendor(some_vendor), sku: sku(0, 0) },
                    now,
                ),
                refusal(vendor_of(&world, 0), VendorCommand::GetSku { by: buyer(0), sku: sku(9, 9) }, now),
            ]
        }
        Reject::CartUnknown => {
            let nobody = Cart::new(CartId::from_uuid(Uuid::from_u128(6)));
            let known = &world.carts[&cart(0)].entity;
            vec![
                refusal(&nobody, CartCommand::Get { by: buyer(0) }, now),
                refusal(&nobody, CartCommand::Get { by: Principal::SHOP }, now),
                refusal(known, CartCommand::Get { by: buyer(1) }, now),
                refusal(known, check_out(buyer(1), None), now),
                refusal(known, remove_line(buyer(1), sku(0, 0)), now),
                refusal(known, CartCommand::MayMerge { by: buyer(1), from: cart(2) }, now),
                refusal(known, CartCommand::MergeInto { by: buyer(1), into: cart(2) }, now),
                refusal(known, CartCommand::AwaitMerge { by: buyer(1), from: cart(2), refused: None }, now),
                refusal(&nobody, CartCommand::MergeIn { from: cart(2), lines: Vec::new(), coupons: Vec::new() }, now),
                refusal(&checked_out(APPROVE).0.carts[&cart(0)].entity, remove_line(buyer(1), sku(0, 0)), now),
            ]
        }
        // Told to administrators, of a customer of whom nothing was recorded, and to whoever is none of the shop's people.
        Reject::CustomerUnknown => {
            let customer = Customer::new(CustomerId::from_uuid(Uuid::from_u128(6)));
            let edit = |by| CustomerCommand::Edit { by, group: Some(Audience::Wholesale), exempt: None };
            vec![
                Customer::UNKNOWN,
                refusal(&customer, CustomerCommand::Show { by: buyer(0) }, now),
                refusal(&customer, edit(buyer(0)), now),
                refusal(&customer, edit(Principal::vendor(vendor(0))), now),
            ]
        }
        Reject::OrderUnknown => {
            let (mut world, order) = checked_out(SILENT);
            world.settle();
            let placed = &world.orders[&order].entity;
            let nobody = Order::new(OrderId::from_uuid(Uuid::from_u128(7)));
            vec![
                refusal(&nobody, OrderCommand::Get { by: Principal::SHOP }, now),
                refusal(&nobody, OrderCommand::Charged { amount: None }, now),
                refusal(&nobody, OrderCommand::Cancel { by: Principal::SHOP }, now),
                refusal(placed, OrderCommand::Get { by: buyer(1) }, now),
                refusal(placed, OrderCommand::GetTimeline { by: Principal::vendor(vendor(1)) }, now),
                // A vendor sees its share, and may not cancel.
                refusal(placed, OrderCommand::Cancel { by: Principal::vendor(vendor(0)) }, now),
            ]
        }
        // Asking for a product by itself is no command: the read tables know.
        Reject::ProductUnknown => {
            let reply = vendor_of(&world, 0).reply(&add_product(Vec::new()), false);
            vec![reply.expect("an answer").expect_err("never added")]
        }
        Reject::SkuUnknown => vec![
            refusal(vendor_of(&world, 0), adjust(9, i64::MAX), now),
            refusal(vendor_of(&world, 0), VendorCommand::GetSku { by: Principal::SHOP, sku: sku(1, 0) }, now),
            refusal(
                vendor_of(&world, 0),
                VendorCommand::SetPrice { by: Principal::SHOP, sku: sku(0, 9), price_minor: 0, currency: yen() },
                now,
            ),
            // Before the currency, the closed hold and the shortage of another line.
            refusal(vendor_of(&world, 0), reserve(&[(sku(0, 0), STOCK + 1), (sku(0, 9), 1)], now, yen()), now),
        ],
        // Given by the shell for the answers it keeps, and here for what was made under a key whose answer is gone.
        Reject::IdempotencyKeyReused => {
            let mut shop = vendor_of(&world, 0).clone();
            let add = add_product(vec![new_sku(1, "A", 100, 1)]);
            let events = shop.decide(&add, &Knowledge::NOTHING, now).unwrap();
            events.iter().for_each(|event| shop.apply(event, now));
            assert_eq!(
                shop.decide(&add, &Knowledge::NOTHING, now),
                Ok(Vec::new()),
                "the same once more changes nothing"
            );
            let known = VendorCommand::Create { name: "Vendor 0".into() };
            assert_eq!(
                shop.decide(&known, &Knowledge::NOTHING, now),
                Ok(Vec::new()),
                "the same once more changes nothing"
            );
            let create = CartCommand::Create { owner: Owner::Guest, currency: Currency::BDT };
            vec![
                refusal(&shop, VendorCommand::Create { name: "Another".into() }, now),
                // Before what is wrong with its price and its stock.
                refusal(&shop, add_product(vec![new_sku(2, "A", 0, -1)]), now),
                refusal(&world.carts[&cart(0)].entity, create, now),
            ]
        }
        Reject::SaleUnknown
        | Reject::AllotmentReserved { .. }
        | Reject::SaleInvalid { .. }
        | Reject::SaleOverlap { .. }
        | Reject::SaleRunning
        | Reject::SaleEnded { .. }
        | Reject::EntryRequired { .. }
        | Reject::AccountRequired
        | Reject::PaymentMethodNotAllowed { .. }
        | Reject::SaleNotStarted { .. }
        | Reject::SaleSoldOut { .. }
        | Reject::PurchaseLimit { .. } => sales::rows(reject),
        Reject::PaymentInProgress
        | Reject::UnitsCredited { .. }
        | Reject::RefundUnknown
        | Reject::RefundNotPositive
        | Reject::RefundExceedsPayment { .. }
        | Reject::PaymentDisputed
        | Reject::RefundNotOpen { .. } => refunds::rows(reject),
        Reject::AlreadyShipped
        | Reject::NotFulfillable { .. }
        | Reject::ShipmentUnknown
        | Reject::NotReturnable { .. }
        | Reject::ReturnUnknown => parcels::rows(reject),
        Reject::SlotFull { .. } => {
            let wanted = |of: &[(SkuId, i64)]| match reserve(of, later, Currency::BDT) {
                VendorCommand::Reserve { order, until, currency, lines, mut held_for } => {
                    held_for.slot = Some("20261201-1000-1200".parse().unwrap());
                    VendorCommand::Reserve { order, until, currency, lines, held_for }
                }
                other => other,
            };
            // After the shortage.
            let short = refusal(vendor_of(&world, 0), wanted(&[(sku(0, 0), STOCK + 1)]), now);
            assert!(matches!(short, Reject::OutOfStock { .. }), "{short:?}");
            vec![refusal(vendor_of(&world, 0), wanted(&[(sku(0, 0), 1)]), now)]
        }
        Reject::DeliveryPlanChanged => {
            let set = VendorCommand::SetDeliveryPlan { by: Principal::SHOP, version: 1, plan: None };
            vec![refusal(vendor_of(&world, 0), set, now)]
        }
        // Given by the shell.
        Reject::CommandPoisoned => vec![reject.clone()],
        Reject::NothingToResolve { .. } => {
            let resolve = |verb, amount| OrderCommand::Resolve {
                by: Principal::SHOP,
                resolution: Box::new(resolution(verb, amount)),
            };
            let (mut world, order) = checked_out(APPROVE);
            world.gateway.tells = Some(Money::new(1, Currency::BDT));
            world.settle();
            let state = &world.orders[&order].entity;
            let (mut paid, paid_order) = checked_out(APPROVE);
            paid.settle();
            let settled = &paid.orders[&paid_order].entity;
            let mut given: Vec<Reject> =
                ResolveAs::ALL.map(|verb| refusal(settled, resolve(verb, None), later)).to_vec();
            // Before the amount.
            given.push(refusal(state, resolve(ResolveAs::WriteOff, Some(Money::new(0, yen()))), later));
            given
        }
        Reject::AmountDiffers { .. } => {
            let (mut world, order) = checked_out(APPROVE);
            world.gateway.tells = Some(Money::new(1, Currency::BDT));
            world.settle();
            let total = world.order_view(order).amounts.total;
            let state = &world.orders[&order].entity;
            let mut given = Vec::new();
            for (verb, right) in [(ResolveAs::Paid, total), (ResolveAs::Refunded, 1)] {
                for wrong in [Money::new(right + 1, Currency::BDT), Money::new(right, yen()), Money::new(-right, yen())]
                {
                    let resolution = Box::new(resolution(verb, Some(wrong)));
                    let reject = refusal(state, OrderCommand::Resolve { by: Principal::SHOP, resolution }, later);
                    assert_eq!(reject, Reject::AmountDiffers { expected: Money::new(right, Currency::BDT) });
                    given.push(reject);
                }
            }
            given
        }
        // Given by the node, which alone knows the forms of the gateway's tokens, before a cart that has no order is asked.
        Reject::PaymentUnsupported { .. } => vec![reject.clone()],
        Reject::CartCheckingOut => {
            let (world, _) = checked_out(APPROVE);
            let state = &world.carts[&cart(0)].entity;
            vec![refusal(state, set_line(0, yen()), now), refusal(state, remove_line(buyer(0), sku(0, 0)), now)]
        }
        Reject::CartCheckedOut => {
            let (mut world, _) = checked_out(APPROVE);
            world.settle();
            let state = &world.carts[&cart(0)].entity;
            vec![refusal(state, set_line(0, yen()), now), refusal(state, remove_line(buyer(0), sku(9, 9)), now)]
        }
        Reject::CartMerged => {
            let mut state = world.carts[&cart(0)].entity.clone();
            state.apply(&CartEvent::Merged { into: cart(2), lines: Vec::new() }, now);
            vec![
                refusal(&state, set_line(0, yen()), now),
                refusal(&state, remove_line(buyer(0), sku(9, 9)), now),
                // Before it is said to be empty.
                refusal(&state, check_out(buyer(0), Some(Money::new(0, yen()))), now),
                refusal(&state, CartCommand::MergeInto { by: buyer(0), into: cart(1) }, now),
            ]
        }
        Reject::CartEmpty => {
            let state = &world.carts[&cart(0)].entity;
            vec![refusal_when_sold_out(state, check_out(buyer(0), Some(Money::new(0, yen()))), now)]
        }
        Reject::CurrencyMismatch { .. } => {
            let mut world = world;
            world.set_line(0, (0, 0), 1).unwrap();
            let state = &world.carts[&cart(0)].entity;
            vec![
                refusal(state, set_line(0, yen()), now),
                refusal_when_sold_out(state, check_out(buyer(0), Some(Money::new(0, yen()))), now),
                // Before the closed hold and the shortage.
                refusal(vendor_of(&world, 0), reserve(&[(sku(0, 0), STOCK + 1)], now, yen()), now),
                refusal(
                    vendor_of(&world, 0),
                    VendorCommand::SetPrice { by: Principal::SHOP, sku: sku(0, 0), price_minor: 0, currency: yen() },
                    now,
                ),
            ]
        }
        Reject::TooManyLines { .. } => {
            let mut state = Cart::new(cart(0));
            let create = CartCommand::Create { owner: Owner::Guest, currency: Currency::BDT };
            let fill = (0..limits::CART_LINES as u128).map(|number| {
                let sku = SkuId::from_uuid(Uuid::from_u128(number));
                let line =
                    CartLine { sku, vendor: vendor(0), title: "SKU".into(), quantity: 1, unit_price: 1, sale: None };
                CartCommand::SetLine { by: buyer(0), line, currency: Currency::BDT }
            });
            for command in std::iter::once(create).chain(fill) {
                let events = state.decide(&command, &Knowledge::NOTHING, now).unwrap();
                events.iter().for_each(|event| state.apply(event, now));
            }
            vec![refusal(&state, set_line(1, Currency::BDT), now), refusal(&state, set_line(0, Currency::BDT), now)]
        }
        Reject::QuantityOutOfRange { .. } => {
            let state = &world.carts[&cart(0)].entity;
            let mut given: Vec<Reject> = [0, -1, limits::LINE_QUANTITY + 1, i64::MAX]
                .map(|quantity| refusal(state, set_line(quantity, Currency::BDT), now))
                .to_vec();
            given.extend([0, -6, 30].map(|quantity| refusal_in_packs(state, set_line(quantity, Currency::BDT), now)));
            given.extend(refusals_in_packs(world, 30));
            given
        }
        Reject::BelowMinimum { .. } => {
            let state = &world.carts[&cart(0)].entity;
            let knowledge = Knowledge { settings: &Settings::DEFAULT, availability: &InPacks, ..Knowledge::NOTHING };
            let put = state.decide(&set_line(6, Currency::BDT), &knowledge, now);
            assert!(put.is_ok(), "a cart may be filled bit by bit");
            // Before the step, which five are no multiple of.
            refusals_in_packs(world, 5)
        }
        Reject::QuantityStep { .. } => {
            let state = &world.carts[&cart(0)].entity;
            // Before the maximum.
            let mut given: Vec<Reject> =
                [-1, 5, 31].map(|quantity| refusal_in_packs(state, set_line(quantity, Currency::BDT), now)).to_vec();
            given.extend(refusals_in_packs(world, 31));
            given
        }
        Reject::PriceOutOfRange { .. } => {
            let set = |price_minor| {
                let by = Principal::vendor(vendor(0));
                VendorCommand::SetPrice { by, sku: sku(0, 0), price_minor, currency: Currency::BDT }
            };
            let mut given: Vec<Reject> = [0, -1, limits::PRICE_MINOR + 1]
                .map(|price_minor| refusal(vendor_of(&world, 0), set(price_minor), now))
                .to_vec();
            // Before price breaks that are no ladder.
            for price_minor in [0, limits::PRICE_MINOR + 1] {
                let rung = PriceBreak { min_quantity: 0, price_minor, audience: None };
                let change = SkuChange { price_breaks: Some(vec![rung]), ..SkuChange::default() };
                given.push(refusal(vendor_of(&world, 0), edit_sku(change), now));
            }
            // Before the stock, the number and the codes, wherever in the list the price stands.
            let mut skus = many_skus(1, -1);
            skus.push(new_sku(0x500, "other", 0, 1));
            given.push(refusal(vendor_of(&world, 0), add_product(skus), now));
            given
        }
        Reject::PriceBreakOrder { .. } => {
            let rung = |min_quantity, price_minor| PriceBreak { min_quantity, price_minor, audience: None };
            let ladders = [
                vec![rung(10, 90), rung(10, 80)],
                vec![rung(10, 90), rung(20, 90)],
                vec![rung(20, 90), rung(10, 80)],
                vec![rung(0, 90)],
                vec![rung(limits::LINE_QUANTITY + 1, 90)],
            ];
            // Before quantities that make no sense.
            let edit =
                |breaks| SkuChange { price_breaks: Some(breaks), min_quantity: Some(Some(0)), ..SkuChange::default() };
            ladders.map(|breaks| refusal(vendor_of(&world, 0), edit_sku(edit(breaks)), now)).to_vec()
        }
        Reject::QuantityRuleInvalid { .. } => {
            let rules = |min_quantity, quantity_step, max_quantity| SkuChange {
                min_quantity: Some(min_quantity),
                quantity_step: Some(quantity_step),
                max_quantity: Some(max_quantity),
                ..SkuChange::default()
            };
            let own = QuantityRules { min_quantity: Some(5), ..QuantityRules::default() };
            [
                rules(Some(0), None, None),
                rules(Some(limits::LINE_QUANTITY + 1), None, None),
                rules(None, Some(0), None),
                rules(None, Some(-1), Some(5)),
                rules(None, None, Some(0)),
                rules(Some(5), Some(2), None),
                rules(None, Some(2), Some(5)),
                rules(Some(6), None, Some(5)),
                // A minimum of wholesale buyers above everybody's maximum, which is theirs, too.
                SkuChange { wholesale: Some(Some(own)), ..rules(None, None, Some(4)) },
            ]
            .map(|change| refusal(vendor_of(&world, 0), edit_sku(change), now))
            .to_vec()
        }
        Reject::StockOutOfRange { .. } => {
            let mut sold_out = world;
            sold_out.adjust((0, 1), -STOCK).unwrap();
            let most = limits::SKU_PIECES;
            let mut given: Vec<Reject> = [most, i64::MAX]
                .into_iter()
                .flat_map(|delta| [0, 1].map(|number| (number, delta + i64::from(number == 1 && delta == most))))
                .map(|(number, delta)| refusal(vendor_of(&sold_out, 0), adjust(number, delta), now))
                .collect();
            for on_hand in [-1, most + 1] {
                given.push(refusal(vendor_of(&sold_out, 0), add_product(many_skus(1, on_hand)), now));
            }
            given
        }
        Reject::TooMany { .. } => {
            // A cart of which every number of a checkout was used, though there is not enough in stock, too.
            let (world, order) = checked_out(APPROVE);
            let mut last = world.carts[&cart(0)].entity.clone();
            let terms = Box::new(details(APPROVE, None).under(&Settings::DEFAULT, Audience::Retail, None, None));
            last.apply(&CartEvent::CheckoutStarted { order, attempt: limits::CART_CHECKOUTS, terms }, now);
            last.apply(&CartEvent::CartReopened { order, prices: Vec::new() }, now);
            let mut full = World::shop(1).carts[&cart(0)].entity.clone();
            for number in 0..limits::CART_MERGES {
                let (lines, left_out) = (Vec::new(), Vec::new());
                let merged = CartEvent::MergedIn {
                    from: cart(9 + number),
                    lines,
                    currency: Currency::BDT,
                    left_out,
                    coupons: Vec::new(),
                };
                full.apply(&merged, now);
            }
            let last_customer = CustomerId::from_uuid(Uuid::from_u128(6));
            let mut many = Customer::new(last_customer);
            let after = limits::CUSTOMER_CARTS - 1;
            many.apply(&CustomerEvent::CartFollowed { number: after }, now);
            vec![
                refusal(&full, CartCommand::MayMerge { by: buyer(0), from: cart(8) }, now),
                refusal(&many, CustomerCommand::NextCart { after }, now),
                refusal(vendor_of(&world, 0), add_product(many_skus(1, 1)), now),
                refusal_when_sold_out(&last, check_out(buyer(0), None), now),
            ]
        }
        Reject::SkuCodeTaken { .. } => {
            let skus = vec![new_sku(1, "a", 1, 1), new_sku(2, "b", 1, 1), new_sku(3, "a", 1, 1)];
            // The vendor has a code of each of these already, however they are spelt.
            let again = ["S0", " S0", "S0\u{3000}"].map(|code| vec![new_sku(4, "other", 1, 1), new_sku(5, code, 1, 1)]);
            let again = again.into_iter().map(|skus| refusal(vendor_of(&world, 0), add_product(skus), now));
            let twice = [refusal(vendor_of(&world, 0), add_product(skus), now)];
            again.chain(twice).collect()
        }
        Reject::StockNegative { .. } => {
            let (mut world, _) = checked_out(SILENT);
            world.settle();
            // Of ten pieces two are held: eight may go.
            vec![
                refusal(vendor_of(&world, 0), adjust(0, -(STOCK - 1)), now),
                refusal(vendor_of(&world, 0), adjust(0, i64::MIN), now),
            ]
        }
        Reject::SkuUnavailable { .. } => {
            let mut archived = vendor_of(&world, 0).clone();
            let status = GoodsStatus::Archived;
            archived.apply(&VendorEvent::SkuStatusSet { sku: sku(0, 0), status, by: None }, now);
            // The vendor's other SKUs are sold as before.
            assert!(
                archived.decide(&reserve(&[(sku(0, 1), 1)], later, Currency::BDT), &Knowledge::NOTHING, now).is_ok()
            );
            let mut suspended = vendor_of(&world, 0).clone();
            let (status, reason) = (VendorStatus::Suspended, "no papers".to_owned());
            suspended.apply(&VendorEvent::VendorStatusSet { status, reason, by: None }, now);
            // Before the shortage.
            let wanted = || reserve(&[(sku(0, 1), STOCK + 1), (sku(0, 0), 1)], later, Currency::BDT);
            vec![refusal(&archived, wanted(), now), refusal(&suspended, wanted(), now)]
        }
        Reject::SkuSuspended => {
            let mut state = vendor_of(&world, 0).clone();
            let breach =
                Breach::new("stock_adds_up", vendor(0).entity(), "as found by the online check").of_sku(sku(0, 0));
            assert!(state.suspend(&breach));
            // The vendor's other SKUs are sold as before.
            assert!(state.decide(&reserve(&[(sku(0, 1), 1)], later, Currency::BDT), &Knowledge::NOTHING, now).is_ok());
            // Before the closed hold and the shortage.
            vec![refusal(&state, reserve(&[(sku(0, 1), STOCK + 1), (sku(0, 0), 1)], now, Currency::BDT), now)]
        }
        Reject::HoldClosed => {
            let mut state = vendor_of(&world, 0).clone();
            let order = OrderId::from_uuid(Uuid::from_u128(9));
            let past = refusal(&state, reserve(&[(sku(0, 0), STOCK + 1)], now, Currency::BDT), now);
            let events =
                state.decide(&VendorCommand::Release { order, until: later }, &Knowledge::NOTHING, now).unwrap();
            events.iter().for_each(|event| state.apply(event, now));
            vec![past, refusal(&state, reserve(&[(sku(0, 0), STOCK + 1)], later, Currency::BDT), now)]
        }
        Reject::HoldUnknown => {
            let order = OrderId::from_uuid(Uuid::from_u128(9));
            vec![refusal(vendor_of(&world, 0), VendorCommand::Commit { order, strict: true }, now)]
        }
        Reject::OutOfTurn => {
            let (mut world, order) = checked_out(APPROVE);
            while !world.orders.contains_key(&order) {
                assert!(world.deliver());
            }
            vec![refusal(&world.orders[&order].entity, OrderCommand::CartReopened, now)]
        }
        Reject::OutOfStock { .. } => {
            let mut world = world;
            world.set_line(0, (0, 0), 1).unwrap();
            let both = [(sku(0, 0), STOCK + 1), (sku(0, 1), 1), (sku(0, 2), STOCK + 5)];
            let given = refusal(vendor_of(&world, 0), reserve(&both, later, Currency::BDT), now);
            let Reject::OutOfStock { skus } = &given else { panic!("{given:?}") };
            // All that is short is told, with the figures, and nothing else.
            assert_eq!(skus.iter().map(|short| short.requested).collect::<Vec<_>>(), [STOCK + 1, STOCK + 5]);
            let of_cart = refusal_when_sold_out(&world.carts[&cart(0)].entity, check_out(buyer(0), None), now);
            let (mut world, order) = checked_out(APPROVE);
            world.adjust((0, 0), 1 - STOCK).unwrap();
            vec![of_cart, given, told(world, order)]
        }
        Reject::PriceChanged { .. } => {
            let (mut world, order) = checked_out(APPROVE);
            world.set_price((0, 0), 1);
            vec![told(world, order)]
        }
        Reject::QuoteExpired { .. } => {
            let mut world = world;
            world.set_line(0, (0, 0), 1).unwrap();
            let quote = haat::domain::cart::Quote {
                cart: cart(0),
                contents: 0,
                total: Money::new(1, Currency::BDT),
                shipping: Vec::new(),
                points: None,
                method: None,
                country: "BD".into(),
                region: None,
                postcode: None,
                expires_at: later,
            };
            let details =
                haat::domain::cart::CheckoutRequest { quote: Some(Box::new(quote)), ..details(APPROVE, None) };
            let command = CartCommand::CheckOut { by: buyer(0), details: Box::new(details) };
            // Before the shortage.
            vec![refusal_when_sold_out(&world.carts[&cart(0)].entity, command, now)]
        }
        // Given by the bill.
        Reject::CodNotAvailable { .. } => {
            // Before the vendor that does not ship there.
            // An order that comes to too much: see `an_order_that_comes_to_more_than_the_shop_takes_at_the_door_is_refused`.
            vec![billed(&[(0, "BD"), (1, "IN")], 1, false, true)]
        }
        // Before what is too large, and before a coupon that takes nothing off.
        Reject::AddressNotServed { .. } => {
            vec![billed(&[(0, "IN")], 1, false, false), billed(&[(0, "IN")], 1, true, false)]
        }
        Reject::AmountTooLarge => vec![billed(&[], i64::MAX, false, false)],
        Reject::CouponNotApplicable { .. } => vec![billed(&[], 1, true, false)],
        // Given by an order that is priced: see `amounts_below_the_least_that_a_method_takes`.
        Reject::AmountBelowMinimum { .. } => vec![reject.clone()],
        Reject::EmailRequired => [sales::rows(reject), coupons::rows(reject)].concat(),
        Reject::RoomUnknown | Reject::NotCalled | Reject::RoomClosed => rooms::rows(reject),
        Reject::CouponUnknown
        | Reject::CouponMalformed { .. }
        | Reject::CouponCodeTaken
        | Reject::CouponInUse { .. }
        | Reject::CouponExpired
        | Reject::CouponTermsChanged
        | Reject::CouponExhausted
        | Reject::CouponLimitReached { .. } => coupons::rows(reject),
        // Before the answer to a release that came first.
        Reject::PointsInsufficient { .. } => {
            let mut customer = Customer::new(CustomerId::from_uuid(Uuid::from_u128(6)));
            let order = OrderId::from_uuid(Uuid::from_u128(7));
            let points = |command| CustomerCommand::Points(command);
            let release = points(PointCommand::ReleasePoints { order, until: later });
            let released = customer.decide(&release, &Knowledge::NOTHING, now).expect("a release");
            released.iter().for_each(|event| customer.apply(event, now));
            let hold = points(PointCommand::HoldPoints { order, until: later, points: 1 });
            let told = refusal(&customer, hold, now);
            assert_eq!(told, Reject::PointsInsufficient { available: 0 });
            vec![told]
        }
        Reject::OrderCancelled => {
            let (mut world, order) = checked_out(APPROVE);
            world.deliver();
            world.cancel(0, order).unwrap();
            vec![told(world, order)]
        }
        Reject::OrderExpired => {
            let (mut world, order) = checked_out(APPROVE);
            world.deliver();
            world.pass(limits::PAYMENT_MS);
            vec![told(world, order)]
        }
        Reject::OrderNotCancellable { .. } => {
            let (mut paid, paid_order) = checked_out(APPROVE);
            paid.settle();
            let (mut expired, expired_order) = checked_out(SILENT);
            expired.settle();
            expired.pass(limits::PAYMENT_MS);
            let mut undone = expired.orders[&expired_order].entity.clone();
            let events = undone.decide(&OrderCommand::NotCaptured, &Knowledge::NOTHING, expired.now);
            events.expect("its deadline has passed").iter().for_each(|event| undone.apply(event, expired.now));
            let voiding = refusal(&undone, OrderCommand::Cancel { by: buyer(0) }, now);
            assert_eq!(voiding, Reject::OrderNotCancellable { status: OrderStatus::AwaitingPayment });
            expired.settle();
            let ended = refusal(&expired.orders[&expired_order].entity, OrderCommand::Cancel { by: buyer(0) }, now);
            assert_eq!(ended, Reject::OrderNotCancellable { status: OrderStatus::Expired });
            let unpaid = refusal(&paid.orders[&paid_order].entity, OrderCommand::Cancel { by: Principal::SHOP }, now);
            [voiding, ended, unpaid].into_iter().chain(refunds::rows(reject)).collect()
        }
    }
}

#[test]
fn every_refusal_is_given_where_it_should_be() {
    for reject in Reject::samples() {
        let given = row(&reject);
        assert!(!given.is_empty());
        for (number, given) in given.iter().enumerate() {
            assert_eq!(given.kind(), reject.kind(), "example {number}: {given:?}");
        }
    }
}
