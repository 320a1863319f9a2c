//! What of one cart fits into another, as a table; and what a merge does to both.

use super::*;
use crate::domain::buyer::Audience;
use crate::domain::ids::{CustomerId, ProductId};
use crate::domain::reject::RejectKind;
use crate::domain::vendor::{BreakScope, PriceBreak, QuantityRules, SkuTerms};
use std::sync::Arc;
use uuid::Uuid;

/// The shop's goods: every SKU costs its own number, those from 200 on in yen; from 1,000 on there is none.
struct Goods;

impl Availability for Goods {
    fn available(&self, sku: SkuId) -> Option<i64> {
        self.price(sku).map(|_| 5)
    }
    fn price(&self, sku: SkuId) -> Option<Money> {
        let number = i64::try_from(sku.uuid().as_u128()).expect("a small number");
        let currency = if number < 300 { Currency::BDT } else { "JPY".parse().expect("a currency") };
        (number < 1_000).then(|| Money::new(number, currency))
    }
    /// 250 is sold in fours, at most eight at a time; 260 and 261 cost less from five on of both together, 262 from five on of itself.
    fn terms(&self, sku: SkuId) -> Option<Arc<SkuTerms>> {
        let rung = |price_minor, audience| PriceBreak { min_quantity: 5, price_minor, audience };
        let price_breaks = vec![rung(40, None), rung(30, Some(Audience::Wholesale))];
        let terms = match sku.uuid().as_u128() {
            250 => {
                let quantities = QuantityRules { min_quantity: Some(8), quantity_step: Some(4), max_quantity: Some(8) };
                SkuTerms { quantities, ..SkuTerms::default() }
            }
            260 | 261 => SkuTerms { price_breaks, break_scope: BreakScope::Product, ..SkuTerms::default() },
            262 => SkuTerms { price_breaks, ..SkuTerms::default() },
            _ => return None,
        };
        Some(Arc::new(terms))
    }
    fn product(&self, sku: SkuId) -> Option<ProductId> {
        Some(ProductId::from_uuid(Uuid::from_u128(sku.uuid().as_u128() / 10)))
    }
    fn audience(&self, customer: CustomerId) -> Audience {
        if customer == wholesaler() { Audience::Wholesale } else { Audience::Retail }
    }
}

/// Number and pieces.
type Pieces = (u128, i64);

fn cart_id(number: u128) -> CartId {
    CartId::from_uuid(Uuid::from_u128(number))
}

fn line((number, quantity): Pieces) -> CartLine {
    let (sku, vendor) = (SkuId::from_uuid(Uuid::from_u128(number)), VendorId::from_uuid(Uuid::from_u128(1)));
    // Not what it costs today.
    CartLine { sku, vendor, title: format!("SKU {number}"), quantity, unit_price: 77, sale: None }
}

fn wholesaler() -> CustomerId {
    CustomerId::from_uuid(Uuid::from_u128(6))
}

fn customer() -> Principal {
    Principal::Customer(CustomerId::from_uuid(Uuid::from_u128(5)))
}

fn cart(number: u128, owner: Owner, lines: &[Pieces]) -> Cart {
    let mut cart = Cart::new(cart_id(number));
    let currency = lines.first().and_then(|first| Goods.price(line(*first).sku)).map_or(Currency::BDT, |p| p.currency);
    let created = CartEvent::CartCreated { owner, currency };
    let set = lines.iter().map(|pieces| CartEvent::LineSet { line: line(*pieces), currency });
    std::iter::once(created).chain(set).for_each(|event| cart.apply(&event, Timestamp::default()));
    cart
}

fn own(lines: &[Pieces]) -> Cart {
    cart(2, Owner::Customer(CustomerId::from_uuid(Uuid::from_u128(5))), lines)
}

fn guests(lines: &[Pieces]) -> Cart {
    cart(1, Owner::Guest, lines)
}

fn ask(cart: &mut Cart, command: &CartCommand) -> Result<Vec<CartEvent>, Reject> {
    let knowledge = Knowledge { availability: &Goods, ..Knowledge::NOTHING };
    let events = cart.decide(command, &knowledge, Timestamp::default())?;
    for event in &events {
        cart.apply(event, Timestamp::default());
        cart.check().expect("what must hold");
    }
    Ok(events)
}

fn give(from: &[Pieces]) -> CartCommand {
    CartCommand::MergeIn {
        from: cart_id(1),
        lines: from.iter().map(|pieces| line(*pieces)).collect(),
        coupons: Vec::new(),
    }
}

fn pieces(lines: &[CartLine]) -> Vec<Pieces> {
    lines.iter().map(|line| (line.sku.uuid().as_u128(), line.quantity)).collect()
}

fn left_out(left_out: &[LeftOut]) -> Vec<(u128, i64, &'static str)> {
    left_out.iter().map(|left| (left.sku.uuid().as_u128(), left.quantity, left.why.code())).collect()
}

#[test]
fn what_fits_is_taken_and_the_rest_left_out() {
    let most = limits::LINE_QUANTITY;
    let many: Vec<Pieces> = (1..).take(limits::CART_LINES).map(|number| (number, 1)).collect();
    let nearly: Vec<Pieces> = many[..limits::CART_LINES - 1].to_vec();
    let new = limits::CART_LINES as u128;
    // Its own lines, the guest's; its lines then, and what was left out.
    type Row = (Vec<Pieces>, Vec<Pieces>, Vec<Pieces>, Vec<(u128, i64, &'static str)>);
    let rows: Vec<Row> = vec![
        (vec![], vec![], vec![], vec![]),
        (vec![(1, 2)], vec![], vec![(1, 2)], vec![]),
        (vec![], vec![(1, 2), (2, 1)], vec![(1, 2), (2, 1)], vec![]),
        (vec![(1, 2)], vec![(2, 1), (1, 3)], vec![(1, 5), (2, 1)], vec![]),
        // Quantities add up to the limit.
        (vec![(1, most - 1)], vec![(1, 1)], vec![(1, most)], vec![]),
        (vec![(1, most - 1)], vec![(1, 3)], vec![(1, most)], vec![(1, 2, "quantity_out_of_range")]),
        (vec![(1, most)], vec![(1, 3)], vec![(1, most)], vec![(1, 3, "quantity_out_of_range")]),
        // As many as the SKU's own rules let in.
        (vec![(250, 4)], vec![(250, 4)], vec![(250, 8)], vec![]),
        (vec![(250, 4)], vec![(250, 3)], vec![(250, 4)], vec![(250, 3, "quantity_step")]),
        (vec![], vec![(250, 7)], vec![(250, 4)], vec![(250, 3, "quantity_step")]),
        (vec![(250, 4)], vec![(250, 12)], vec![(250, 8)], vec![(250, 8, "quantity_out_of_range")]),
        (vec![(250, 4)], vec![(250, 3), (1, 1)], vec![(250, 4), (1, 1)], vec![(250, 3, "quantity_step")]),
        // It was sold in other packs when it was put there: what comes makes whole ones of it, or stays out.
        (vec![(250, 3)], vec![(250, 1)], vec![(250, 4)], vec![]),
        (vec![(250, 3)], vec![(250, 6)], vec![(250, 8)], vec![(250, 1, "quantity_out_of_range")]),
        (vec![(250, 3)], vec![(250, 2)], vec![(250, 4)], vec![(250, 1, "quantity_step")]),
        (vec![(250, 2)], vec![(250, 1)], vec![(250, 2)], vec![(250, 1, "quantity_step")]),
        // One more line, and no more; what has a line there needs none.
        (nearly.clone(), vec![(new, 1), (new + 1, 4)], many.clone(), vec![(new + 1, 4, "too_many_lines")]),
        (many.clone(), vec![(new + 1, 1)], many.clone(), vec![(new + 1, 1, "too_many_lines")]),
        // One currency: that of what is there, or of what comes first.
        (vec![(1, 1)], vec![(400, 1)], vec![(1, 1)], vec![(400, 1, "currency_mismatch")]),
        (vec![], vec![(400, 1), (1, 2)], vec![(400, 1)], vec![(1, 2, "currency_mismatch")]),
        (vec![(400, 1)], vec![(401, 1), (400, 1)], vec![(400, 2), (401, 1)], vec![]),
        // What is sold no more, before anything else that would be wrong with it.
        (vec![(1, 1)], vec![(1_000, 2), (2, 1)], vec![(1, 1), (2, 1)], vec![(1_000, 2, "sku_unknown")]),
        (many.clone(), vec![(1_000, 2)], many.clone(), vec![(1_000, 2, "sku_unknown")]),
    ];
    for (before, from, after, left) in rows {
        let mut cart = own(&before);
        let events = ask(&mut cart, &give(&from)).expect("it is never refused");
        let [CartEvent::MergedIn { lines, left_out: told, .. }, ..] = &events[..] else { panic!("{events:?}") };
        assert_eq!(pieces(&cart.lines), after, "{before:?} + {from:?}");
        assert_eq!(left_out(told), left, "{before:?} + {from:?}");
        let count = |pieces: &[Pieces]| pieces.iter().map(|(_, quantity)| quantity).sum::<i64>();
        let left: i64 = told.iter().map(|left| left.quantity).sum();
        assert_eq!(count(&pieces(lines)) + left, count(&from), "{before:?} + {from:?}");
        // The answer shows all lines, and so at today's prices.
        let today = |line: &CartLine| Goods.price(line.sku).is_some_and(|price| price.minor == line.unit_price);
        assert!(cart.lines.iter().all(today), "{:?}", cart.lines);
        assert_eq!(ask(&mut cart, &give(&from)), Ok(Vec::new()), "twice is once");
    }
}

#[test]
fn a_cart_that_was_closed_meanwhile_leaves_all_out() {
    let order = OrderId::for_attempt(cart_id(2), 1);
    let terms = CheckoutTerms {
        payment: super::super::order::PaymentChoice { method: "sandbox".into(), token: String::new() },
        expected_total: None,
        hold_ms: 1,
        payment_ms: 1,
        mint: None,
        buyer: None,
        shipping: Vec::new(),
        slots: Vec::new(),
        email: None,
        shipping_address: None,
    };
    let started = CartEvent::CheckoutStarted { order, attempt: 1, terms: Box::new(terms) };
    let paid = CartEvent::CartCheckedOut { order, prices: Vec::new() };
    for (events, why) in [(vec![started.clone()], "cart_checking_out"), (vec![started, paid], "cart_checked_out")] {
        let mut cart = own(&[(1, 2)]);
        events.iter().for_each(|event| cart.apply(event, Timestamp::default()));
        let may = CartCommand::MayMerge { by: customer(), from: cart_id(1) };
        assert_eq!(ask(&mut cart, &may).expect_err("it is closed").code(), why);
        let events = ask(&mut cart, &give(&[(1, 1), (2, 4)])).expect("the guest's cart is closed, too");
        let [CartEvent::MergedIn { lines, left_out: left, .. }] = &events[..] else { panic!("{events:?}") };
        assert_eq!((pieces(lines), left_out(left)), (vec![], vec![(1, 1, why), (2, 4, why)]));
        assert_eq!(pieces(&cart.lines), [(1, 2)], "its order is about what was in it");
        // From then on it may be asked again, and says the same.
        assert_eq!(ask(&mut cart, &may), Ok(Vec::new()));
        let asked = CartCommand::AwaitMerge { by: customer(), from: cart_id(1), refused: Some(Reject::CartCheckedOut) };
        let Some(Ok(CartReply::Merged { left_out: told, .. })) = cart.reply(&asked, false) else { panic!("an answer") };
        assert_eq!(told, *left);
    }
}

#[test]
fn a_guests_cart_is_given_once_and_gives_until_it_has_heard() {
    let mut guest = guests(&[(1, 2)]);
    let by = Principal::Guest(cart_id(1));
    let into = |number| CartCommand::MergeInto { by, into: cart_id(number) };
    assert_eq!(guest.outstanding(Timestamp::default()), []);
    assert_eq!(ask(&mut guest, &into(2)).map(|events| events.len()), Ok(1));
    assert_eq!(ask(&mut guest, &into(2)), Ok(Vec::new()));
    assert_eq!(ask(&mut guest, &into(3)), Err(Reject::CartMerged));
    let view = guest.view().expect("a cart");
    assert_eq!((view.status, view.order, view.merged_into), (CartStatus::Merged, None, Some(cart_id(2))));
    let [key] = guest.outstanding(Timestamp::default())[..] else { panic!("it gives its lines") };
    let Some(Effect::Tell(Message::Cart { id, command })) = guest.effect(key) else { panic!("to a cart") };
    assert_eq!((id, &command), (cart_id(2), &give(&[(1, 2)])));
    // Of another cart it hears nothing.
    assert_eq!(ask(&mut guest, &CartCommand::AcknowledgeMerge { into: cart_id(3) }), Ok(Vec::new()));
    let mut cart = own(&[]);
    ask(&mut cart, &command).expect("it takes them");
    let Some(Message::Cart { id, command }) = cart.respond(&command, Ok(())) else { panic!("an answer") };
    assert_eq!(id, cart_id(1));
    assert_eq!(ask(&mut guest, &command), Ok(vec![CartEvent::MergeAcknowledged]));
    assert_eq!(ask(&mut guest, &command), Ok(Vec::new()));
    assert_eq!(guest.outstanding(Timestamp::default()), []);
    // What is kept of both says the same.
    for cart in [&mut guest, &mut cart] {
        let parts = cart.delta().parts;
        let mut again = Cart::restore(cart.id, &parts).expect("a snapshot");
        assert_eq!(again.delta().parts, parts);
        assert_eq!(again.view(), cart.view());
    }
}

#[test]
fn so_many_carts_are_merged_into_one_and_those_are_known_for_ever() {
    let mut cart = own(&[]);
    let may = |number| CartCommand::MayMerge { by: customer(), from: cart_id(number) };
    for number in (10..).take(limits::CART_MERGES) {
        assert_eq!(ask(&mut cart, &may(number)), Ok(Vec::new()));
        ask(&mut cart, &CartCommand::MergeIn { from: cart_id(number), lines: vec![line((1, 1))], coupons: Vec::new() })
            .expect("taken");
    }
    assert_eq!(ask(&mut cart, &may(9)).map_err(|reject| reject.kind()), Err(RejectKind::TooMany));
    assert_eq!(ask(&mut cart, &may(10)), Ok(Vec::new()), "the first is shown again");
    // One that was let in before is taken all the same.
    ask(&mut cart, &CartCommand::MergeIn { from: cart_id(9), lines: vec![line((1, 1))], coupons: Vec::new() })
        .expect("taken");
    assert_eq!(pieces(&cart.lines), [(1, limits::CART_MERGES as i64 + 1)]);
}

fn prices(cart: &Cart) -> Vec<(u128, i64)> {
    cart.lines.iter().map(|line| (line.sku.uuid().as_u128(), line.unit_price)).collect()
}

fn set(by: Principal, (number, quantity): Pieces) -> CartCommand {
    let list = Goods.price(line((number, 1)).sku).expect("a price");
    let line = CartLine { unit_price: list.minor, ..line((number, quantity)) };
    CartCommand::SetLine { by, line, currency: list.currency }
}

#[test]
fn a_line_costs_what_its_pieces_or_those_of_its_product_come_to_for_its_owner() {
    // For whom; the cart's lines, one change after the other; the prices of all lines then.
    type Row = (CustomerId, Vec<Pieces>, Vec<(u128, i64)>);
    let (retail, wholesale) = (CustomerId::from_uuid(Uuid::from_u128(5)), wholesaler());
    let rows: Vec<Row> = vec![
        (retail, vec![(262, 4)], vec![(262, 262)]),
        (retail, vec![(262, 5)], vec![(262, 40)]),
        (wholesale, vec![(262, 5)], vec![(262, 30)]),
        (wholesale, vec![(262, 5), (262, 4)], vec![(262, 262)]),
        // Two colours of one product count together, and each change prices both; another SKU of it has a ladder of its own.
        (retail, vec![(260, 3), (261, 1)], vec![(260, 260), (261, 261)]),
        (retail, vec![(260, 3), (261, 2)], vec![(260, 40), (261, 40)]),
        (wholesale, vec![(260, 3), (261, 2)], vec![(260, 30), (261, 30)]),
        (retail, vec![(260, 3), (261, 2), (261, 1)], vec![(260, 260), (261, 261)]),
        (retail, vec![(260, 3), (261, 2), (1, 9)], vec![(260, 40), (261, 40), (1, 1)]),
        (retail, vec![(260, 3), (262, 2)], vec![(260, 40), (262, 262)]),
    ];
    for (owner, changes, expected) in rows {
        let by = Principal::Customer(owner);
        let mut cart = cart(2, Owner::Customer(owner), &[]);
        for change in &changes {
            ask(&mut cart, &set(by, *change)).expect("it is put there");
        }
        assert_eq!(prices(&cart), expected, "{owner} {changes:?}");
        let last = *changes.last().expect("a change");
        assert_eq!(ask(&mut cart, &set(by, last)), Ok(Vec::new()), "the same again changes nothing: {changes:?}");
        // What goes counts no more.
        let last_sku = line(last).sku;
        ask(&mut cart, &CartCommand::RemoveLine { by, sku: last_sku }).expect("it goes");
        for line in &cart.lines {
            let alone = Today::new(&Goods, Goods.audience(owner), &cart.lines, Timestamp::default())
                .price(line)
                .expect("a price")
                .price;
            assert_eq!(line.unit_price, alone.minor, "{changes:?}");
        }
    }
    // And so do pieces of another cart that come to it.
    let mut cart = own(&[(260, 3)]);
    ask(&mut cart, &give(&[(261, 2), (262, 4), (260, 1)])).expect("it takes them");
    assert_eq!(prices(&cart), [(260, 40), (261, 40), (262, 262)]);
}

#[test]
fn the_next_price_break_counts_what_is_there() {
    let cart = own(&[(260, 3), (261, 1), (262, 3), (1, 3)]);
    let today = Today::new(&Goods, Audience::Retail, &cart.lines, Timestamp::default());
    let next = |line: &CartLine| today.next_break(line).map(|rung| (rung.min_quantity, rung.price_minor));
    // 260, 261 and 262 are of one product: seven pieces of it are enough for the first two.
    let reached: Vec<_> = cart.lines.iter().map(next).collect();
    assert_eq!(reached, [None, None, Some((5, 40)), None]);
}
