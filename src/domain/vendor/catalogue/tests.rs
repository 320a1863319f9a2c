//! What is recorded of a mended catalogue, what its rows say then, and that a snapshot keeps all of it.

use super::*;
use crate::domain::entity::concerns::*;
use crate::domain::entity::{Part, Principal};
use crate::domain::ids::{OrderId, VendorId};
use crate::domain::knowledge::Knowledge;
use crate::domain::money::{Currency, Money};
use crate::domain::time::Timestamp;
use crate::domain::vendor::{HeldLine, NewProduct, SkuChange, VendorCommand};
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn id() -> VendorId {
    VendorId::from_uuid(Uuid::from_u128(1))
}

fn product() -> ProductId {
    ProductId::from_uuid(Uuid::from_u128(2))
}

fn sku(number: u128) -> SkuId {
    SkuId::from_uuid(Uuid::from_u128(0x10 + number))
}

fn new_sku(number: u128, price_minor: i64, on_hand: i64) -> NewSku {
    NewSku { id: sku(number), code: format!("C-{number}"), price_minor, currency: Currency::BDT, on_hand }
}

/// A vendor with a product of two SKUs, of which the second is dearer and sold out.
fn vendor() -> Vendor {
    let mut vendor = Vendor::new(id());
    vendor.apply(&VendorEvent::VendorCreated { name: "A shop".into() }, NOW);
    let skus = vec![new_sku(1, 100, 5), new_sku(2, 200, 0)];
    let (title, description) = ("Cup".into(), Some("of clay".into()));
    let product = NewProduct { id: product(), title, description, category: None, skus };
    vendor.apply(&VendorEvent::ProductAdded { product }, NOW);
    vendor
}

fn decided(vendor: &Vendor, command: &VendorCommand) -> Result<Vec<VendorEvent>, Reject> {
    vendor.decide(command, &Knowledge::NOTHING, NOW)
}

/// Decides and applies; how many events it came to.
fn done(vendor: &mut Vendor, command: &VendorCommand) -> usize {
    let events = decided(vendor, command).expect("it is decided");
    events.iter().for_each(|event| vendor.apply(event, NOW));
    events.len()
}

fn by() -> Principal {
    Principal::vendor(id())
}

fn edit(change: ProductChange) -> VendorCommand {
    VendorCommand::EditProduct { by: by(), product: product(), change: Box::new(change) }
}

fn set(number: u128, status: GoodsStatus) -> VendorCommand {
    let change = SkuChange { status: Some(status), ..SkuChange::default() };
    VendorCommand::EditSku { by: by(), sku: sku(number), change: Box::new(change) }
}

#[test]
fn a_change_names_what_is_another_and_nothing_else() {
    let mut vendor = vendor();
    let same = ProductChange {
        title: Some("Cup".into()),
        description: Some(Some("of clay".into())),
        category: Some(None),
        status: Some(GoodsStatus::Active),
    };
    assert_eq!(decided(&vendor, &edit(same.clone())), Ok(Vec::new()));
    let change = ProductChange { title: Some("Mug".into()), description: Some(None), ..same };
    let named = ProductChange { title: Some("Mug".into()), description: Some(None), ..ProductChange::default() };
    let expected = VendorEvent::ProductChanged { product: product(), change: Box::new(named), by: By::of(by()) };
    assert_eq!(decided(&vendor, &edit(change.clone())), Ok(vec![expected]));
    assert_eq!(done(&mut vendor, &edit(change.clone())), 1);
    assert_eq!(done(&mut vendor, &edit(change)), 0, "again it is nothing new");
    let row = vendor.product_row(product()).expect("a row");
    assert_eq!((row.title.as_str(), row.description), ("Mug", None));
    assert_eq!(vendor.sku_row(sku(1)).expect("a row").title, "Mug");
    for (command, events) in [
        (VendorCommand::Rename { by: by(), name: "A shop".into() }, 0),
        (VendorCommand::Rename { by: by(), name: "Another".into() }, 1),
        (set(1, GoodsStatus::Active), 0),
        (set(1, GoodsStatus::Archived), 1),
        (set(1, GoodsStatus::Archived), 0),
    ] {
        assert_eq!(done(&mut vendor, &command), events, "{command:?}");
    }
}

#[test]
fn a_vendor_does_not_end_its_own_suspension() {
    let mut vendor = vendor();
    let set = |by, status| VendorCommand::SetStatus { by, status, reason: "papers".into() };
    assert_eq!(done(&mut vendor, &set(Principal::SHOP, VendorStatus::Suspended)), 1);
    assert_eq!(decided(&vendor, &set(by(), VendorStatus::Active)), Err(Reject::VendorUnknown));
    assert!(!vendor.is_for_sale(sku(1)));
    assert_eq!(vendor.row().expect("a row").status, VendorStatus::Suspended);
    assert_eq!(done(&mut vendor, &set(Principal::SHOP, VendorStatus::Active)), 1);
    assert!(vendor.is_for_sale(sku(1)));
}

#[test]
fn a_product_and_its_skus_are_archived_each_by_itself() {
    let mut vendor = vendor();
    let whole = |status| edit(ProductChange { status: Some(status), ..ProductChange::default() });
    done(&mut vendor, &set(1, GoodsStatus::Archived));
    assert_eq!([1, 2].map(|number| vendor.is_for_sale(sku(number))), [false, true]);
    done(&mut vendor, &whole(GoodsStatus::Archived));
    assert_eq!([1, 2].map(|number| vendor.sku_row(sku(number)).expect("a row").archived), [true, true]);
    done(&mut vendor, &whole(GoodsStatus::Active));
    assert_eq!([1, 2].map(|number| vendor.is_for_sale(sku(number))), [false, true], "each is what it was");
}

#[test]
fn a_sku_is_added_once_and_within_what_may_be() {
    let mut vendor = vendor();
    let add = |sku| VendorCommand::AddSku { by: by(), product: product(), sku };
    assert_eq!(done(&mut vendor, &add(new_sku(3, 50, 1))), 1);
    assert_eq!(done(&mut vendor, &add(new_sku(3, 50, 1))), 0, "a repeat");
    assert_eq!(vendor.product_row(product()).expect("a row").sku_ids, [sku(1), sku(2), sku(3)]);
    let other =
        VendorCommand::AddSku { by: by(), product: ProductId::from_uuid(Uuid::from_u128(9)), sku: new_sku(4, 1, 1) };
    assert_eq!(decided(&vendor, &other), Err(Reject::ProductUnknown));
    let taken = NewSku { code: " C-1".into(), ..new_sku(4, 1, 1) };
    assert_eq!(decided(&vendor, &add(taken)), Err(Reject::SkuCodeTaken { sku_code: " C-1".into(), index: None }));
    assert_eq!(
        decided(&vendor, &add(new_sku(4, 0, 1))),
        Err(Reject::PriceOutOfRange { limit: limits::PRICE_MINOR, index: None, rung: None })
    );
    assert_eq!(
        decided(&vendor, &add(new_sku(4, 1, -1))),
        Err(Reject::StockOutOfRange { limit: limits::SKU_PIECES, index: None })
    );
    for number in 4..=limits::PRODUCT_SKUS as u128 {
        assert_eq!(done(&mut vendor, &add(new_sku(number, 1, 1))), 1);
    }
    assert!(matches!(decided(&vendor, &add(new_sku(999, 1, 1))), Err(Reject::TooMany { .. })));
}

/// What lists are filtered by is written anew when it is another, and not with each piece that goes.
#[test]
fn a_products_row_follows_its_skus() {
    let mut vendor = vendor();
    let price = |minor| Some(Money::new(minor, Currency::BDT));
    let rows = |vendor: &mut Vendor| {
        let products = vendor.delta().rows.products;
        products.into_iter().map(|row| (row.price, row.in_stock, row.words)).collect::<Vec<_>>()
    };
    let words = "1 2 c clay cup of".to_owned();
    assert_eq!(rows(&mut vendor), [(price(100), true, words.clone())]);
    let adjust = |number, delta| VendorCommand::AdjustStock { by: by(), sku: sku(number), delta, reason: "r".into() };
    done(&mut vendor, &adjust(1, -1));
    assert_eq!(rows(&mut vendor), [], "some are left, as before");
    let held = VendorEvent::StockHeld {
        order: OrderId::from_uuid(Uuid::from_u128(7)),
        until: NOW,
        lines: vec![HeldLine::at_list_price(sku(1), 4, 100)],
        keys: Vec::new(),
        account_keys: 0,
        slot: None,
    };
    vendor.apply(&held, NOW);
    assert_eq!(rows(&mut vendor), [(price(100), false, words.clone())], "the last are held");
    done(&mut vendor, &adjust(2, 1));
    assert_eq!(rows(&mut vendor), [(price(100), true, words.clone())]);
    done(&mut vendor, &set(2, GoodsStatus::Archived));
    assert_eq!(rows(&mut vendor), [(price(100), false, words.clone())]);
    done(&mut vendor, &set(1, GoodsStatus::Archived));
    assert_eq!(rows(&mut vendor), [(None, false, words)], "nothing of it is for sale");
}

#[test]
fn a_snapshot_keeps_what_is_archived_and_suspended() {
    let mut vendor = vendor();
    done(&mut vendor, &set(1, GoodsStatus::Archived));
    done(&mut vendor, &edit(ProductChange { status: Some(GoodsStatus::Archived), ..ProductChange::default() }));
    let suspend = VendorCommand::SetStatus { by: Principal::SHOP, status: VendorStatus::Suspended, reason: "r".into() };
    done(&mut vendor, &suspend);
    let parts: Vec<Part> = vendor.delta().parts;
    let back = Vendor::restore(id(), &parts).expect("it comes back");
    assert_eq!(back.rows(), vendor.rows());
    assert!(back.head.suspended && back.products[&product()].archived && back.skus[&sku(1)].archived);
}
