//! The rows of the refusals that sales give.

use super::*;
use haat::domain::buyer::{BuyerKey, Entry, HeldFor};
use haat::domain::ids::{RoomId, SaleId};
use haat::domain::vendor::{ItemChange, Requires, SaleChange, SaleItem, SaleTerms, WhenExhausted};

fn sale(number: u128) -> SaleId {
    SaleId::from_uuid(Uuid::from_u128(number))
}

/// One that runs until then, of all the pieces of SKU 0 but one, at half its price.
fn terms(starts_at: Timestamp, ends_at: Timestamp) -> SaleTerms {
    let item = SaleItem {
        sku: sku(0, 0),
        price_minor: 500,
        currency: Currency::BDT,
        allotment: STOCK - 1,
        limit_per_customer: None,
        tranches: Vec::new(),
    };
    SaleTerms {
        name: "11.11".into(),
        starts_at,
        ends_at,
        time_zone: "UTC".into(),
        items: vec![item],
        limit_per_customer: None,
        requires: Requires::Nothing,
        when_exhausted: WhenExhausted::Stop,
        payment_methods: Vec::new(),
        room: None,
    }
}

fn schedule(number: u128, terms: SaleTerms) -> VendorCommand {
    VendorCommand::ScheduleSale { by: Principal::SHOP, sale: sale(number), terms: Box::new(terms) }
}

fn edit(number: u128, change: SaleChange) -> VendorCommand {
    VendorCommand::EditSale { by: Principal::SHOP, sale: sale(number), change: Box::new(change) }
}

/// The shop's first vendor with this sale.
fn with(world: &World, terms: SaleTerms) -> Vendor {
    let mut shop = vendor_of(world, 0).clone();
    let command = schedule(1, terms);
    let events = shop.decide(&command, &Knowledge::NOTHING, world.now).expect("it can be made");
    events.iter().for_each(|event| shop.apply(event, world.now));
    shop
}

fn buy(quantity: i64, until: Timestamp, held_for: HeldFor) -> VendorCommand {
    let command = reserve(&[(sku(0, 0), quantity), (sku(0, 1), STOCK + 1)], until, Currency::BDT);
    let VendorCommand::Reserve { order, until, currency, lines, .. } = command else { unreachable!() };
    VendorCommand::Reserve { order, until, currency, lines, held_for: Box::new(held_for) }
}

/// The rows. All that is bought comes with another line that is short, before which the sale's refusal goes.
pub fn rows(reject: &Reject) -> Vec<Reject> {
    let world = World::shop(2);
    let now = world.now;
    let (later, end) = (now.plus_millis(1), now.plus_millis(1_000));
    let nobody = HeldFor::default;
    let known = || HeldFor { keys: vec![BuyerKey([1; 8])], ..HeldFor::default() };
    let running = terms(now, end);
    let limited = SaleTerms { limit_per_customer: Some(2), ..running.clone() };
    match reject {
        Reject::SaleUnknown => {
            let shop = vendor_of(&world, 0);
            let (by, sale) = (Principal::SHOP, sale(9));
            vec![
                refusal(shop, VendorCommand::GetSale { by, sale }, now),
                refusal(shop, VendorCommand::CancelSale { by, sale }, now),
                refusal(shop, edit(9, SaleChange::default()), now),
            ]
        }
        Reject::AllotmentReserved { .. } => {
            let shop = with(&world, running.clone());
            let more = ItemChange {
                sku: sku(0, 0),
                removed: false,
                price: None,
                allotment: Some(STOCK + 1),
                limit_per_customer: None,
                tranches: None,
            };
            vec![
                refusal(&shop, adjust(0, -2), now),
                refusal(&shop, schedule(2, terms(end, end.plus_millis(1))), now),
                refusal(&shop, edit(1, SaleChange { items: vec![more], ..SaleChange::default() }), now),
            ]
        }
        Reject::SaleInvalid { .. } => {
            let shop = vendor_of(&world, 0);
            // Before a SKU that is not there.
            let mut of_nothing = terms(now, now);
            of_nothing.items[0].sku = sku(0, 9);
            vec![
                refusal(shop, schedule(1, of_nothing), now),
                refusal(shop, schedule(1, SaleTerms { items: Vec::new(), ..running.clone() }), now),
            ]
        }
        Reject::SaleOverlap { .. } => {
            // Before the pieces that are not there.
            vec![refusal(&with(&world, running.clone()), schedule(2, running.clone()), now)]
        }
        Reject::SaleRunning => {
            // Before a window that makes no sense.
            let change = SaleChange { starts_at: Some(end), ends_at: Some(now), ..SaleChange::default() };
            vec![refusal(&with(&world, running.clone()), edit(1, change), now)]
        }
        Reject::SaleEnded { .. } => {
            let shop = with(&world, running.clone());
            let cancel = VendorCommand::CancelSale { by: Principal::SHOP, sale: sale(1) };
            vec![refusal(&shop, edit(1, SaleChange::default()), end), refusal(&shop, cancel, end)]
        }
        Reject::EntryRequired { .. } => {
            // Before the account that is missing; and an entry of another room is none.
            let by_room = |number| RoomId::from_uuid(Uuid::from_u128(number));
            let of_room = SaleTerms { room: Some(by_room(1)), requires: Requires::Account, ..limited };
            let elsewhere = HeldFor { entries: vec![Entry { room: by_room(2), slot: 1 }], ..nobody() };
            let shop = with(&world, of_room);
            vec![refusal(&shop, buy(1, later, nobody()), now), refusal(&shop, buy(1, later, elsewhere), now)]
        }
        Reject::AccountRequired => {
            // Before the key that is missing.
            let of_accounts = SaleTerms { requires: Requires::Account, ..limited };
            vec![refusal(&with(&world, of_accounts), buy(1, later, nobody()), now)]
        }
        Reject::EmailRequired => {
            // Before the way of paying.
            let paid = SaleTerms { payment_methods: vec!["stripe".into()], ..limited };
            vec![refusal(&with(&world, paid), buy(1, later, nobody()), now)]
        }
        Reject::PaymentMethodNotAllowed { .. } => {
            // Before the limit.
            let paid = SaleTerms { payment_methods: vec!["stripe".into()], ..limited };
            vec![refusal(&with(&world, paid), buy(3, later, known()), now)]
        }
        Reject::SaleNotStarted { .. } => {
            vec![refusal(&with(&world, terms(end, end.plus_millis(1))), buy(2, later, nobody()), now)]
        }
        Reject::SaleSoldOut { .. } => vec![refusal(&with(&world, running), buy(STOCK, later, nobody()), now)],
        Reject::PurchaseLimit { .. } => vec![refusal(&with(&world, limited), buy(3, later, known()), now)],
        other => panic!("{other:?} is none of a sale's"),
    }
}
