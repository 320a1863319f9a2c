//! What buyers did at a server of an earlier version, as that version wrote it: records, snapshots and rows. They are copies of one order of
//! its golden store, under other ids and at a later time.

use crate::old_statements::{ORDER_ROWS, Table, VENDOR_ROWS};
use crate::support::fresh_uuid;
use crate::told::{Seen, Told, ToldOrder};
use haat::domain::ids::{CartId, OrderId, SubOrderId, VendorId};
use lz4_flex::block::decompress_size_prepended;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, Row};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The order that is copied: nobody but its cart has heard of it, so its first record and the cart's are all that was written of it.
const COPIED: &str = "two vendors hold, and no acknowledgement is in";
/// Of its cart the records before the checkout.
const OPENING: usize = 3;

/// The columns of a table, each the texts of all its rows: a statement takes them as arrays.
pub type Columns = Vec<Vec<Option<String>>>;

/// The head of a snapshot.
pub struct Part<'a> {
    pub kind: &'static str,
    pub entity: Uuid,
    pub partition: i16,
    pub version: i64,
    pub wake_at: Option<&'a str>,
    pub state: String,
}

/// One who fills a cart, and may check out: all by one frame.
#[derive(Clone, Copy)]
pub struct Buyer {
    pub cart: CartId,
    pub order: OrderId,
    pub partition: i16,
    pub seq: i64,
    pub checks_out: bool,
}

impl Buyer {
    fn new(cart: Uuid, seq: i64, checks_out: bool) -> Self {
        let (cart, partition) = (CartId::from_uuid(cart), i16::from(cart.as_bytes()[15] % 16));
        Self { cart, order: OrderId::for_attempt(cart, 1), partition, seq, checks_out }
    }

    /// Somebody who was not there yet.
    pub fn fresh(partition: i16, seq: i64, checks_out: bool) -> Self {
        let mut id = fresh_uuid().into_bytes();
        id[15] = u8::try_from(partition).expect("a partition's number");
        Self::new(Uuid::from_bytes(id), seq, checks_out)
    }

    /// All that is another's in a copy.
    fn names(&self, vendors: &[Uuid]) -> Vec<String> {
        let share = |vendor: &Uuid| SubOrderId::of(self.order, VendorId::from_uuid(*vendor)).uuid().to_string();
        let (cart, order) = (self.cart, self.order);
        let own = [cart.to_string(), order.to_string(), cart.uuid().to_string(), order.uuid().to_string()];
        own.into_iter().chain(vendors.iter().map(share)).collect()
    }
}

/// What is copied, later by as long as its store has been at rest.
pub struct Template {
    told: ToldOrder,
    vendors: Vec<Uuid>,
    names: Vec<String>,
    records: Vec<String>,
    cart: String,
    order: String,
    /// The moment at which it was copied.
    pub now: String,
    /// By table. Those of vendors are written again as they are.
    pub vendor_rows: Vec<Columns>,
    order_rows: Vec<Columns>,
}

impl Template {
    pub async fn read(database: &mut PgConnection, told: &Told) -> Self {
        let copied = told.orders.iter().find(|order| order.what == COPIED).expect("it is there");
        let cart: CartId = copied.cart.parse().expect("a cart");
        let original = Buyer::new(cart.uuid(), 0, true);
        assert_eq!(original.order.to_string(), copied.order);
        let clock = "SELECT now::text, (EXTRACT(EPOCH FROM now) * 1000)::bigint FROM clock_timestamp() AS now";
        let clock = sqlx::query_as(clock).fetch_one(&mut *database).await;
        let (now, millis): (String, i64) = clock.expect("a clock");
        let shift = millis - told.made_at;

        let frames = "SELECT codec, payload FROM journal WHERE partition = $1 AND records > 0 ORDER BY seq";
        let frames = sqlx::query_as(frames).bind(original.partition).fetch_all(&mut *database);
        let frames: Vec<(i16, Vec<u8>)> = frames.await.expect("frames");
        let own = [&copied.cart, &copied.order].map(|id| format!("{{\"e\":\"{id}\""));
        let mut records = Vec::new();
        for (codec, payload) in frames {
            let plain = if codec == 0 { Ok(payload) } else { decompress_size_prepended(&payload) };
            let lines = String::from_utf8(plain.expect("a block")).expect("JSON");
            let lines = lines.lines().filter(|line| own.iter().any(|own| line.starts_with(own)));
            records.extend(lines.map(|line| format!("{}\n", later(line, shift))));
        }
        assert_eq!(records.len(), OPENING + 2, "{records:?}");

        let state = |id: &String| later(&told.entities[id].parts[""].to_string(), shift);
        let (cart, order) = (state(&copied.cart), state(&copied.order));
        let vendors = sqlx::query_scalar("SELECT vendor_id FROM sub_orders WHERE order_id = $1");
        let vendors = vendors.bind(original.order.uuid()).fetch_all(&mut *database).await;
        let vendors: Vec<Uuid> = vendors.expect("vendors");
        let (vendor_rows, order_rows) = (
            read_rows(database, &VENDOR_ROWS, &vendors, shift).await,
            read_rows(database, &ORDER_ROWS, &[original.order.uuid()], shift).await,
        );
        let (told, names) = (copied.clone(), original.names(&vendors));
        Self { told, vendors, names, records, cart, order, now, vendor_rows, order_rows }
    }

    /// The same text of this buyer.
    fn of(&self, buyer: &Buyer, text: &str) -> String {
        let names = buyer.names(&self.vendors);
        self.names.iter().zip(&names).fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    /// What stands in this buyer's frame.
    pub fn records(&self, buyer: &Buyer) -> String {
        let many = if buyer.checks_out { self.records.len() } else { OPENING };
        self.of(buyer, &self.records[..many].concat())
    }

    /// The snapshots then. What is in checkout is woken as soon as it may be.
    pub fn parts(&self, buyer: &Buyer) -> Vec<Part<'_>> {
        let part = |kind, entity, version, wake_at, state: &str| {
            let state = self.of(buyer, state);
            Part { kind, entity, partition: buyer.partition, version, wake_at, state }
        };
        let (id, version, wake_at) = (buyer.cart.uuid(), OPENING as i64, Some(&*self.now));
        if buyer.checks_out {
            let order = part("order", buyer.order.uuid(), 1, wake_at, &self.order);
            return vec![part("cart", id, version + 1, wake_at, &self.cart), order];
        }
        let mut open: Value = serde_json::from_str(&self.cart).expect("JSON");
        (open["status"], open["attempt"], open["details"]) = ("open".into(), 0.into(), Value::Null);
        vec![part("cart", id, version, None, &open.to_string())]
    }

    /// The rows of these orders, by table.
    pub fn order_rows(&self, buyers: &[Buyer]) -> Vec<Columns> {
        let cell = |cell: &Option<String>, buyer| cell.as_deref().map(|cell| self.of(buyer, cell));
        let column = |column: &Vec<Option<String>>| {
            buyers.iter().flat_map(|buyer| column.iter().map(move |of| cell(of, buyer))).collect()
        };
        self.order_rows.iter().map(|columns| columns.iter().map(column).collect()).collect()
    }

    /// Adds to what was told how this one stands.
    pub fn tell(&self, told: &mut Told, buyer: &Buyer) {
        let (cart, order) = (buyer.cart.to_string(), buyer.order.to_string());
        for part in self.parts(buyer) {
            let id = if part.kind == "cart" { &cart } else { &order };
            let parts = BTreeMap::from([(String::new(), serde_json::from_str(&part.state).expect("JSON"))]);
            told.entities.insert(id.clone(), Seen { version: part.version.unsigned_abs(), parts });
        }
        if buyer.checks_out {
            // It is in time. The last ones may find nothing left.
            let (due, ends) = (i64::MAX, "rejected".to_owned());
            told.orders.push(ToldOrder { cart, order, due, ends, ..self.told.clone() });
        }
    }
}

/// The rows of these entities in these tables, later by so many milliseconds.
async fn read_rows(database: &mut PgConnection, tables: &[Table], of: &[Uuid], shift: i64) -> Vec<Columns> {
    let mut all = Vec::new();
    for (table, key, upsert) in tables {
        let (_, columns) = upsert.split_once('(').expect("columns");
        let (columns, _) = columns.split_once(')').expect("columns");
        let text = |column: &str| match column.trim() {
            "sku_ids" => "array_to_string(sku_ids, ',')".to_owned(),
            column if column.ends_with("_at") => format!("({column} + {shift} * interval '1 millisecond')::text"),
            column => format!("{column}::text"),
        };
        let texts: Vec<String> = columns.split(',').map(text).collect();
        let select = format!("SELECT {} FROM {table} WHERE {key} = ANY($1)", texts.join(", "));
        let rows = sqlx::query(AssertSqlSafe(select)).bind(of).fetch_all(&mut *database).await.expect("rows");
        assert!(!rows.is_empty(), "{table}");
        let column = |place: usize| rows.iter().map(|row| row.get(place)).collect();
        all.push((0..texts.len()).map(column).collect());
    }
    all
}

/// Every moment in this JSON, in milliseconds since 1970, moved by so many.
fn later(json: &str, shift: i64) -> String {
    let moved = |piece: &str| {
        let digits = piece.find(|next: char| !next.is_ascii_digit()).unwrap_or(piece.len());
        match piece[..digits].parse::<i64>() {
            Ok(moment) if digits == 13 => format!("{}{}", moment + shift, &piece[digits..]),
            _ => piece.to_owned(),
        }
    };
    json.split(':').map(moved).collect::<Vec<_>>().join(":")
}
