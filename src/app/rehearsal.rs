//! What a rehearsal needs to know of a sale: what it promises of which SKUs, the room before it, and when people came to the one before. It is read
//! beside a running server, as of its last checkpoint.

use super::{AppError, open_for_tools};
use crate::adapters::clock::SystemClock;
use crate::domain::entity::Keeps as _;
use crate::domain::ids::{EntityId as _, OrderId, RoomId, VendorId};
use crate::domain::money::Money;
use crate::domain::order::columns::OrderFilter;
use crate::domain::room::Room;
use crate::domain::rows::{Rows, SaleRow, SkuRow};
use crate::domain::vendor::{Requires, SaleItem, WhenExhausted};
use crate::persistence::StoreConfig;
use crate::ports::{Clock as _, OrdersOf, Store};
use std::time::Duration;
use uuid::Uuid;

pub use crate::domain::ids::SaleId;
pub use crate::domain::room::RoomTerms;
pub use crate::domain::time::Timestamp;

/// Orders that are read at a time.
const PAGE: u32 = 500;

/// A sale that is rehearsed.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Which.
    pub sale: SaleId,
    /// What it is called.
    pub name: String,
    /// Who puts it on.
    pub vendor: String,
    /// What it promises.
    pub items: Vec<Item>,
    /// Pieces that one buyer can have of all its SKUs together.
    pub limit: Option<i64>,
    /// What comes after the allotment, as the contract says it: `stop` or `regular_price`.
    pub when_exhausted: &'static str,
    /// Whether one needs an account.
    pub needs_account: bool,
    /// Whether it says how one may pay.
    pub names_methods: bool,
    /// The terms of the room by which one comes to it.
    pub room: Option<RoomTerms>,
    /// The crowd of the sale that was asked for, or of the vendor's last that has ended; `None` where none has.
    pub like: Option<Crowd>,
}

/// What a sale promises of a SKU. Amounts are decimal texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The product's title.
    pub title: String,
    /// ISO 4217.
    pub currency: String,
    /// What one piece costs outside of the sale.
    pub price: String,
    /// Pieces in the house: as many as there are, and no fewer than are promised.
    pub on_hand: i64,
    /// What one piece costs in the sale.
    pub sale_price: String,
    /// Pieces that can be had in it.
    pub allotment: i64,
    /// Pieces that one buyer can have in it.
    pub limit: Option<i64>,
    /// How long after the sale's beginning so many pieces are opened; all at once where there are none.
    pub tranches: Vec<(Duration, i64)>,
}

impl Item {
    fn of(item: &SaleItem, row: &SkuRow, starts_at: Timestamp) -> Self {
        let text = |minor| Money::new(minor, row.currency).amount_text();
        let after = |opens_at: Timestamp| Duration::from_millis(opens_at.millis_since(starts_at).max(0).unsigned_abs());
        Self {
            title: row.title.clone(),
            currency: row.currency.to_string(),
            // It may have become cheaper than the sale, which would be refused.
            price: text(row.price_minor.max(item.price_minor)),
            on_hand: row.available().max(item.allotment),
            sale_price: text(item.price_minor),
            allotment: item.allotment,
            limit: item.limit_per_customer,
            tranches: item.tranches.iter().map(|tranche| (after(tranche.opens_at), tranche.quantity)).collect(),
        }
    }
}

/// When orders were placed in a sale that has been.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// Which sale.
    pub sale: SaleId,
    /// The moments, the earliest first.
    pub placed_at: Vec<Timestamp>,
}

/// Reads a sale, and when people came to `like`, or else to the vendor's last sale that has ended.
///
/// # Errors
/// When the store cannot be read, or knows no such sale.
pub async fn read(config: &StoreConfig, sale: SaleId, like: Option<SaleId>) -> Result<Subject, AppError> {
    let store = open_for_tools(config).await?;
    let catalog = store.queries.catalog().await?;
    let sale = find(&catalog, sale)?;
    let like = match like {
        Some(like) => Some(find(&catalog, like)?),
        None => last_ended(&catalog, sale.vendor_id, SystemClock::default().now()),
    };
    let vendor = catalog.vendors.iter().find(|vendor| vendor.id == sale.vendor_id);
    let item = |item: &SaleItem| {
        let row = catalog.skus.iter().find(|row| row.id == item.sku);
        let row = row.ok_or_else(|| AppError::Asked(format!("the store has no {}, which is in the sale", item.sku)))?;
        Ok(Item::of(item, row, sale.terms.starts_at))
    };
    let terms = &sale.terms;
    Ok(Subject {
        sale: sale.id,
        name: terms.name.clone(),
        vendor: vendor.map_or_else(String::new, |vendor| vendor.name.clone()),
        items: terms.items.iter().map(item).collect::<Result<_, AppError>>()?,
        limit: terms.limit_per_customer,
        when_exhausted: match terms.when_exhausted {
            WhenExhausted::Stop => "stop",
            WhenExhausted::RegularPrice => "regular_price",
        },
        needs_account: terms.requires != Requires::Nothing,
        names_methods: !terms.payment_methods.is_empty(),
        room: match terms.room {
            Some(room) => Some(terms_of(&store, room).await?),
            None => None,
        },
        like: match like {
            Some(like) => Some(Crowd { placed_at: placed_in(&store, &like).await?, sale: like.id }),
            None => None,
        },
    })
}

fn find(catalog: &Rows, sale: SaleId) -> Result<SaleRow, AppError> {
    let found = catalog.sales.iter().find(|row| row.id == sale).cloned();
    found.ok_or_else(|| AppError::Asked(format!("the store has no {sale}, as of its last checkpoint")))
}

/// The vendor's sale that ended last, and was not cancelled.
fn last_ended(catalog: &Rows, vendor: VendorId, now: Timestamp) -> Option<SaleRow> {
    let of_vendor = catalog.sales.iter().filter(|row| row.vendor_id == vendor && row.cancelled_at.is_none());
    of_vendor.filter(|row| row.terms.ends_at <= now).max_by_key(|row| (row.terms.ends_at, row.id)).cloned()
}

/// The terms of a room do not change: the newest snapshot has them.
async fn terms_of(store: &Store, room: RoomId) -> Result<RoomTerms, AppError> {
    let unknown = || AppError::Asked(format!("the store has no {room}, as of its last checkpoint"));
    let snapshot = store.snapshots.load(room.entity()).await?.ok_or_else(unknown)?;
    let wrong = |error| AppError::Asked(format!("{room}: its snapshot makes no state: {error}"));
    let room = Room::restore(room, &snapshot.parts).map_err(wrong)?;
    room.terms().cloned().ok_or_else(unknown)
}

/// When the orders of a sale were placed.
async fn placed_in(store: &Store, sale: &SaleRow) -> Result<Vec<Timestamp>, AppError> {
    let (of, filter) = (OrdersOf::Vendor(sale.vendor_id), OrderFilter::ANY);
    let mut after = Some((sale.terms.ends_at, OrderId::from_uuid(Uuid::max())));
    let mut placed = Vec::new();
    while let Some(place) = after {
        let page = store.queries.orders(of, &filter, Some(place), PAGE).await?;
        after = page.last().map(|row| (row.placed_at, row.id)).filter(|(at, _)| *at >= sale.terms.starts_at);
        let in_sale = page.iter().filter(|row| row.lines.iter().any(|line| line.sale_id == Some(sale.id)));
        placed.extend(in_sale.map(|row| row.placed_at));
    }
    placed.sort_unstable();
    Ok(placed)
}
