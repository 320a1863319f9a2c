//! Frames, deltas and rows to fill a store with.

use haat::domain::buyer::Audience;
use haat::domain::entity::Part;
use haat::domain::ids::{
    CartId, CustomerId, EntityId, EntityRef, OrderId, ProductId, SaleId, SkuId, SubOrderId, VendorId,
};
use haat::domain::money::{Currency, Money};
use haat::domain::order::{Amounts, Goods, OrderStatus, PaymentStatus, SubOrderStatus};
use haat::domain::rows::{
    CustomerRow, OrderLineRow, OrderRow, ProductRow, Rows, SaleRow, SkuRow, SubOrderRow, VendorRow,
};
use haat::domain::text::words;
use haat::domain::time::Timestamp;
use haat::domain::vendor::{Count, GoodsStatus, Requires, SaleItem, SaleTerms, Tranche, VendorStatus, WhenExhausted};
use haat::limits;
use haat::ports::{CheckpointWrite, Codec, EntityDelta, Frame, Partition, RejectedRows, SearchTerm, Store, StoreError};
use uuid::Uuid;

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_123 + second * 1000)
}

pub fn uuid(seed: &str) -> Uuid {
    uuid::Builder::from_custom_bytes(xxhash_rust::xxh3::xxh3_128(seed.as_bytes()).to_be_bytes()).into_uuid()
}

pub fn order_id(seed: &str) -> OrderId {
    OrderId::from_uuid(uuid(seed))
}

pub fn vendor_id(seed: &str) -> VendorId {
    VendorId::from_uuid(uuid(seed))
}

/// The frame that stands `ahead` places after the tail of this partition (1: the next).
pub fn frame(partition: &Partition, ahead: u64, batch: &str, payload: &[u8]) -> Frame {
    Frame {
        partition: partition.id,
        seq: partition.tail_seq + ahead,
        epoch: partition.epoch,
        at: at(10),
        batch: uuid(batch),
        records: 1,
        codec: Codec::Lz4,
        payload: payload.to_vec(),
    }
}

pub fn part(name: &str, state: &str) -> Part {
    Part { name: name.to_owned(), state: Some(state.as_bytes().to_vec()) }
}

pub fn gone(name: &str) -> Part {
    Part { name: name.to_owned(), state: None }
}

pub fn delta(entity: EntityRef, version: u64, parts: Vec<Part>) -> EntityDelta {
    EntityDelta { entity, version, wake_at: None, parts, rows: Rows::default(), shape: 1, spent: &[], fresh: false }
}

pub fn unpaid(total: i64) -> Amounts {
    Amounts { total, total_due: total, ..Amounts::default() }
}

/// A sale of these SKUs with everything that a sale can have.
fn sale_row(seed: &str, vendor_id: VendorId, skus: &[SkuId]) -> SaleRow {
    let tranche = |millis, quantity| Tranche { opens_at: Timestamp::from_millis(millis), quantity };
    let item = |sku: &SkuId| SaleItem {
        sku: *sku,
        price_minor: 75,
        currency: Currency::BDT,
        allotment: 5,
        limit_per_customer: Some(2),
        tranches: vec![tranche(1_800_000_000_000, 2), tranche(1_800_000_500_000, 3)],
    };
    let terms = SaleTerms {
        name: format!("Sale of {seed} \"<b>\" ্"),
        starts_at: Timestamp::from_millis(1_800_000_000_000),
        ends_at: Timestamp::from_millis(1_800_001_000_000),
        time_zone: "Asia/Dhaka".to_owned(),
        items: skus.iter().map(item).collect(),
        limit_per_customer: Some(3),
        requires: Requires::Account,
        when_exhausted: WhenExhausted::RegularPrice,
        payment_methods: vec!["sandbox".to_owned()],
        room: None,
    };
    let counts = vec![Count { held: 1, sold: 2 }; skus.len()];
    let cancelled_at = Some(Timestamp::from_millis(1_800_000_900_000));
    SaleRow { id: SaleId::from_uuid(uuid(&format!("sale of {seed}"))), vendor_id, terms, cancelled_at, counts }
}

/// An order of 2 × 150 and 3 × 50 from two vendors, not paid yet.
pub fn order_row(seed: &str, placed_at: Timestamp) -> OrderRow {
    let id = order_id(seed);
    let (first, second) = (vendor_id("first"), vendor_id("second"));
    let line = |sku: &str, vendor_id, quantity: i64, unit_price: i64| OrderLineRow {
        sku_id: SkuId::from_uuid(uuid(sku)),
        vendor_id,
        title: format!("What is {sku}"),
        quantity,
        unit_price,
        line_total: quantity * unit_price,
        list_price: Some(unit_price + 25),
        sale_id: Some(SaleId::from_uuid(uuid("11.11"))),
        credited: 0,
        credited_amount: 0,
        billed: None,
        goods: Some(Box::new(Goods { packed: 1, ..Goods::default() })),
    };
    let share = |vendor_id, total| SubOrderRow {
        id: SubOrderId::of(id, vendor_id),
        vendor_id,
        status: SubOrderStatus::Held,
        amounts: unpaid(total),
        to_pack: None,
        overdue_since: None,
    };
    OrderRow {
        id,
        cart_id: CartId::from_uuid(uuid(&format!("cart of {seed}"))),
        attempt: 1,
        customer_id: None,
        mail_key: None,
        columns: OrderStatus::AwaitingPayment.into(),
        currency: Currency::BDT,
        amounts: unpaid(450),
        placed_at,
        payment_due_at: placed_at.plus_millis(600_000),
        bill: None,
        outside: Some(0),
        points_pending: None,
        payment_method: "sandbox".to_owned(),
        payment_status: PaymentStatus::Pending,
        sub_orders: vec![share(first, 300), share(second, 150)],
        lines: vec![line("a cup", first, 2, 150), line("a plate", second, 3, 50)],
        shipments: Vec::new(),
        returns: Vec::new(),
    }
}

/// The same order, paid.
pub fn paid(mut order: OrderRow) -> OrderRow {
    (order.columns.status, order.payment_status) = (OrderStatus::Paid, PaymentStatus::Captured);
    for amounts in order.sub_orders.iter_mut().map(|share| &mut share.amounts).chain([&mut order.amounts]) {
        (amounts.paid, amounts.total_due) = (amounts.total, 0);
    }
    order
}

/// The same order, ended unpaid.
pub fn ended(status: OrderStatus, mut order: OrderRow) -> OrderRow {
    order.columns.status = status;
    for amounts in order.sub_orders.iter_mut().map(|share| &mut share.amounts).chain([&mut order.amounts]) {
        (amounts.credited, amounts.total_due) = (amounts.total, 0);
    }
    for line in &mut order.lines {
        (line.credited, line.credited_amount) = (line.quantity, line.line_total);
    }
    order
}

pub fn of_customer(mut order: OrderRow, customer: &str) -> OrderRow {
    order.customer_id = Some(CustomerId::from_uuid(uuid(customer)));
    order
}

pub fn order_delta(version: u64, row: OrderRow) -> EntityDelta {
    let rows = Rows { orders: vec![row.clone()], ..Rows::default() };
    EntityDelta { rows, ..delta(row.id.entity(), version, vec![part("", "{}")]) }
}

/// A customer of this group.
pub fn customer_row(seed: &str, group: Audience) -> CustomerRow {
    CustomerRow { id: CustomerId::from_uuid(uuid(&format!("customer {seed}"))), group, exempt: None, multiplier: None }
}

/// A vendor with one product of two SKUs.
pub fn vendor_rows(seed: &str, title: &str, created_at: Timestamp) -> Rows {
    let vendor = vendor_id(seed);
    let product_id = ProductId::from_uuid(uuid(&format!("product of {seed}")));
    let sku_ids =
        vec![SkuId::from_uuid(uuid(&format!("large of {seed}"))), SkuId::from_uuid(uuid(&format!("small of {seed}")))];
    let sku = |id: &SkuId| SkuRow {
        id: *id,
        vendor_id: vendor,
        product_id,
        code: "C-1".to_owned(),
        title: title.to_owned(),
        price_minor: 12_500,
        currency: Currency::BDT,
        received: 10,
        on_hand: 8,
        held: 3,
        terms: None,
        archived: false,
        suspended: false,
    };
    Rows {
        vendors: vec![VendorRow { id: vendor, name: format!("The shop of {seed}"), status: VendorStatus::Active }],
        skus: sku_ids.iter().map(sku).collect(),
        sales: vec![sale_row(seed, vendor, &sku_ids)],
        products: vec![ProductRow {
            id: product_id,
            vendor_id: vendor,
            title: title.to_owned(),
            description: None,
            category: Some("kitchen".to_owned()),
            created_at,
            sku_ids,
            status: GoodsStatus::Active,
            price: Some(Money::new(12_500, Currency::BDT)),
            in_stock: true,
            words: words::joined([title, "kitchen", "C-1"].into_iter()),
        }],
        ..Rows::default()
    }
}

pub fn vendor_delta(version: u64, rows: Rows) -> EntityDelta {
    let entity = rows.vendors[0].id.entity();
    EntityDelta { rows, ..delta(entity, version, vec![part("", "{}")]) }
}

pub async fn write(
    store: &Store,
    owned: &[Partition],
    entities: &[EntityDelta],
) -> Result<Vec<RejectedRows>, StoreError> {
    store
        .checkpoints
        .write(CheckpointWrite { owned, entities, advance: &[], remake: None })
        .await
        .map(|written| written.refused)
}

/// Writes what nothing is wrong with.
pub async fn write_all(store: &Store, owned: &[Partition], entities: &[EntityDelta]) {
    assert_eq!(write(store, owned, entities).await.expect("it is written"), []);
}

/// What is looked for by a text, of which the last word may be the beginning of one.
pub fn terms(text: &str) -> Vec<SearchTerm> {
    let words = words::of(text);
    let last = words.len() - 1;
    let is_prefix = |place: usize, word: &str| place == last && word.chars().count() >= limits::SEARCH_PREFIX;
    let term = |(place, word): (usize, String)| SearchTerm {
        is_prefix: is_prefix(place, &word),
        word,
        categories: Vec::new(),
    };
    words.into_iter().enumerate().map(term).collect()
}
