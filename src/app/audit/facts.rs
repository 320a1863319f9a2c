//! What an audit knows of the whole store, and of the carts and orders at hand: the checks see this and nothing else.

use super::super::text::{count, counted};
use super::details::DetailFacts;
use super::disputes::GivenBack;
use super::history::HistoryFacts;
use super::jobs::JobFacts;
use super::merges::MergeFacts;
use super::{Breaches, Finding};
use crate::domain::buyer::Mint;
use crate::domain::cart::CartStatus;
use crate::domain::customer::PointTotals;
use crate::domain::ids::{CartId, CouponId, CreditId, CustomerId, EntityRef, Kind, OrderId, SkuId, VendorId};
use crate::domain::money::Money;
use crate::domain::order::{CountedOpen, LegState, Phase, PointFacts};
use crate::domain::rows::{CouponRow, CustomerRow, OrderRow, ProductRow, Rows, SaleRow, SkuRow, VendorRow};
use crate::domain::vendor::{HeldLine, SlotId, VendorEvent};
use crate::ports::{ChargeLogEntry, Frame, Partition};
use crate::services::accounts::Looked;
use crate::services::categories::Category;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of the whole store, and of the orders, or the carts, that are at hand: of these there are too many to have them all at once.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The frames and records as they stand in the journal.
    pub(super) journal: JournalFacts,
    /// Every entity's own invariants and whether it can be made at all.
    pub(super) entities: Breaches,
    /// Entities that cannot be made from their records: what concerns them is not judged any further.
    pub(super) broken: BTreeSet<EntityRef>,
    /// How many there are of each kind, whether they can be made or not.
    pub(super) replayed: BTreeMap<Kind, u64>,
    /// Carts at hand.
    pub(super) carts: BTreeMap<CartId, CartFacts>,
    /// The orders that came from them.
    pub(super) placed: BTreeMap<OrderId, Placed>,
    /// What they gave, and who took it.
    pub(super) merges: MergeFacts,
    /// Orders at hand.
    pub(super) orders: BTreeMap<OrderId, OrderFacts>,
    /// What they say that they give back, one record after the other, of those that ever gave anything back.
    pub(super) given_back: BTreeMap<OrderId, GivenBack>,
    /// What vendors did for them.
    pub(super) trades: BTreeMap<VendorId, Trades>,
    /// Carts that are checked out with them.
    pub(super) checked_out: Vec<(CartId, OrderId)>,
    /// Who counts them among the open orders of their buyers that are to be paid at the door.
    pub(super) counted: Vec<(CustomerId, OrderId)>,
    /// Who holds points for them.
    pub(super) point_holds: Vec<(CustomerId, OrderId)>,
    /// Everything that ever came and went of customers' points, of those who have any.
    pub(super) point_totals: BTreeMap<CustomerId, PointTotals>,
    /// Jobs about them.
    pub(super) jobs: JobFacts,
    /// Their details, beside the journal.
    pub(super) details: DetailFacts,
    /// Vendors.
    pub(super) vendors: BTreeMap<VendorId, VendorFacts>,
    /// Customers of whom anybody has ever said what they are: their rows, and whether these are of the newest version.
    pub(super) customers: BTreeMap<CustomerId, (CustomerRow, bool)>,
    /// Coupons: their rows, and whether these are of the newest version.
    pub(super) coupons: BTreeMap<CouponId, (CouponRow, bool)>,
    /// Snapshots, compared with the states that the records make.
    pub(super) snapshots: SnapshotFacts,
    /// The read tables; of orders those at hand.
    pub(super) rows: Rows,
    /// Kinds of which the rows are still being remade in another shape: theirs are not compared.
    pub(super) remaking: BTreeSet<Kind>,
    /// The history of stock.
    pub(super) history: HistoryFacts,
    /// What the rows of accounts are like.
    pub(super) accounts: Looked,
    /// The categories that were read.
    pub(super) categories: Vec<Category>,
    /// The sandbox's books; of charges those of the orders at hand.
    pub(super) charge_log: ChargeLogFacts,
}

impl Facts {
    /// Whether this entity's records make no state.
    pub(super) fn is_broken(&self, entity: EntityRef) -> bool {
        self.broken.contains(&entity)
    }

    /// Whether the rows of this kind are all in the newest shape.
    pub(super) fn are_made(&self, kind: Kind) -> bool {
        !self.remaking.contains(&kind)
    }

    /// Lets go of the carts and the orders at hand.
    pub(super) fn let_go(&mut self) {
        self.carts.clear();
        self.placed.clear();
        self.merges = MergeFacts::default();
        self.orders.clear();
        self.given_back.clear();
        self.trades.clear();
        self.checked_out.clear();
        self.counted.clear();
        self.point_holds.clear();
        self.jobs.clear();
        self.details = DetailFacts::default();
        self.rows.orders.clear();
        self.charge_log.charged_before.clear();
        self.charge_log.entries.clear();
    }

    /// What was found of the entities, each on its own.
    pub(super) fn entities_finding(&self) -> Finding {
        let of = |kind: Kind| counted(self.replayed.get(&kind).copied().unwrap_or_default(), kind.name());
        let [others @ .., last] = Kind::ALL.map(of);
        let looked_at =
            format!("{} and {last}: made anew from their records, each in itself as it must be", others.join(", "));
        Finding::new("entities", looked_at, self.entities.clone())
    }
}

/// How the journal's frames follow each other.
#[derive(Debug, Default)]
pub(super) struct JournalFacts {
    partitions: u64,
    frames: u64,
    records: u64,
    breaches: Breaches,
}

impl JournalFacts {
    /// Takes over one partition that was read to its tail.
    pub(super) fn add(&mut self, order: FrameOrder) {
        self.partitions += 1;
        self.frames += order.frames;
        self.records += order.records;
        self.breaches.absorb(order.finish());
    }

    /// What was found.
    pub(super) fn finding(&self) -> Finding {
        let looked_at = format!(
            "{} in {} of {}: dense, in order",
            counted(self.records, "record"),
            counted(self.frames, "frame"),
            counted(self.partitions, "partition")
        );
        Finding::new("journal", looked_at, self.breaches.clone())
    }
}

/// Whether the frames of one partition follow each other, up to its tail.
#[derive(Debug)]
pub(super) struct FrameOrder {
    head: Partition,
    seq: u64,
    epoch: u64,
    frames: u64,
    records: u64,
    breaches: Breaches,
}

impl FrameOrder {
    /// Before the first frame of the partition with this head.
    pub(super) fn new(head: Partition) -> Self {
        Self { head, seq: 0, epoch: 0, frames: 0, records: 0, breaches: Breaches::default() }
    }

    /// The next frame, in which so many records were found, or why it cannot be read.
    pub(super) fn frame(&mut self, frame: &Frame, found: Result<u64, String>) {
        let Self { head: Partition { id, .. }, seq, epoch, .. } = *self;
        if frame.seq != seq + 1 {
            let missing = format!("partition {id}: frame {} follows frame {seq}: frames are missing", frame.seq);
            self.breaches.add(missing);
        }
        if frame.epoch < epoch {
            let older = format!("partition {id}: frame {} has epoch {} after epoch {epoch}", frame.seq, frame.epoch);
            self.breaches.add(older);
        }
        self.frames += 1;
        self.records += u64::from(frame.records);
        match found {
            Ok(found) if found == u64::from(frame.records) => {}
            Ok(found) => self.breaches.add(format!(
                "partition {id}: frame {} says it has {} and has {}",
                frame.seq,
                counted(u64::from(frame.records), "record"),
                count(found)
            )),
            Err(error) => self.breaches.add(error),
        }
        self.seq = frame.seq;
        self.epoch = self.epoch.max(frame.epoch);
    }

    /// A record that does not belong here.
    pub(super) fn stranger(&mut self, entity: EntityRef) {
        let id = self.head.id;
        self.breaches
            .add(format!("partition {id}: frame {} has a record of {entity}, which lives elsewhere", self.seq));
    }

    fn finish(mut self) -> Breaches {
        let Partition { id, epoch, tail_seq, checkpoint_seq, base_seq } = self.head;
        if self.seq < tail_seq {
            self.breaches.add(format!("partition {id}: it ends at frame {} and should have {tail_seq}", self.seq));
        }
        if self.epoch > epoch {
            self.breaches.add(format!("partition {id}: its term is {epoch}, and a frame has epoch {}", self.epoch));
        }
        if checkpoint_seq > tail_seq {
            let beyond =
                format!("partition {id}: its checkpoint is {checkpoint_seq}, beyond its last frame {tail_seq}");
            self.breaches.add(beyond);
        }
        if base_seq > checkpoint_seq {
            self.breaches.add(format!(
                "partition {id}: its frames up to {base_seq} were dropped, and its checkpoint is {checkpoint_seq}: a rebuild did not end"
            ));
        }
        self.breaches
    }
}

/// A cart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CartFacts {
    /// Where it stands.
    pub(super) status: CartStatus,
    /// The order that is live or paid.
    pub(super) order: Option<OrderId>,
}

/// An order, as its cart has to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    /// The cart that it came from.
    pub(super) cart: CartId,
    /// Where its saga stands.
    pub(super) phase: Phase,
}

/// A vendor's share of an order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// The vendor.
    pub(super) vendor: VendorId,
    /// How far it is.
    pub(super) state: LegState,
}

/// An order that came into being.
#[derive(Clone, Debug)]
pub(super) struct OrderFacts {
    /// Its row as its records make it.
    pub(super) row: OrderRow,
    /// Where its saga stands.
    pub(super) phase: Phase,
    /// Its shares.
    pub(super) shares: Vec<Share>,
    /// What the gateway says that it has taken, when the order is stuck for it.
    pub(super) told: Option<Money>,
    /// Whether what became of its money is what someone said who resolved it.
    pub(super) by_hand: bool,
    /// Its version.
    pub(super) version: u64,
    /// Drawn for it: the end of the provider's keys.
    pub(super) mint: Option<Mint>,
    /// Whether a call may still be made that needs its means of payment.
    pub(super) needs_token: bool,
    /// Whether its snapshot and its rows are of the newest version.
    pub(super) current: bool,
    /// Units that were cancelled and that their vendors have not said to have back.
    pub(super) coming_back: Vec<(VendorId, SkuId, i64)>,
    /// The slots in which its shares are to be brought, and whether a share does not need its own any more.
    pub(super) slots: BTreeMap<VendorId, (SlotId, bool)>,
    /// Who has to count it among the open orders of its buyer that are to be paid at the door.
    pub(super) counted_open: CountedOpen,
    /// What it says of its buyer's points.
    pub(super) points: Option<PointFacts>,
    /// What of it somebody has to look at.
    pub(super) attention: Vec<&'static str>,
    /// What its provider has given back of it, as it was told, and what it may have given back since, in minor units.
    pub(super) refunds: (i64, i64),
}

impl OrderFacts {
    /// Whether it is paid and sold, whatever was taken back of it since.
    pub(super) fn is_sold(&self) -> bool {
        self.row.columns.status.is_paid() || self.phase == Phase::Settled
    }

    /// What was taken and not given back, in minor units.
    pub(super) fn net(&self) -> i64 {
        self.row.amounts.paid.saturating_sub(self.row.amounts.refunded)
    }
}

/// What a vendor did for one order, from its own records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trade {
    /// What it holds now.
    pub(super) holding: Option<Vec<HeldLine>>,
    /// What it sold; once, if all is well.
    pub(super) sold: Vec<Vec<HeldLine>>,
    /// Whether it was told that the order is settled, and has forgotten what it sold to it.
    pub(super) closed: bool,
    /// What it took back of what it sold, and by which credits.
    pub(super) returned: BTreeMap<SkuId, i64>,
    /// The credits, each of which counts once.
    pub(super) credits: Vec<CreditId>,
    /// The slot of what it holds, and that of what it sold, until it has it back.
    pub(super) slots: [Option<SlotId>; 2],
}

impl Trade {
    /// One thing more.
    pub(super) fn see(&mut self, dealt: Dealt) {
        match dealt {
            Dealt::Held(lines, slot) => (self.holding, self.slots[0]) = (Some(lines), slot),
            Dealt::Sold => {
                let lines = self.holding.take().unwrap_or_default();
                self.sold.push(lines);
                self.slots = [None, self.slots[0]];
            }
            Dealt::Released => (self.holding, self.slots[0]) = (None, None),
            Dealt::SlotBack => self.slots[1] = None,
            Dealt::Closed => self.closed = true,
            Dealt::Restocked(credit, lines) => {
                self.credits.push(credit);
                for (sku, quantity) in lines {
                    *self.returned.entry(sku).or_default() += quantity;
                }
            }
        }
    }
}

/// A vendor.
#[derive(Clone, Debug, Default)]
pub(super) struct VendorFacts {
    /// Its row.
    pub(super) row: Option<VendorRow>,
    /// Its products.
    pub(super) products: Vec<ProductRow>,
    /// Its SKUs.
    pub(super) skus: Vec<SkuRow>,
    /// Its sales.
    pub(super) sales: Vec<SaleRow>,
    /// How many orders hold or have each slot that it remembers.
    pub(super) slots: Vec<(SlotId, i64)>,
    /// Its version.
    pub(super) version: u64,
    /// Whether its snapshot and its rows are of the newest version.
    pub(super) current: bool,
}

/// What a vendor did for each order.
#[derive(Clone, Debug, Default)]
pub(super) struct Trades(pub(super) BTreeMap<OrderId, Trade>);

impl Trades {
    /// One event more.
    #[cfg(test)]
    pub(super) fn see(&mut self, event: &VendorEvent) {
        Dealt::of(event, |order, dealt| self.0.entry(order).or_default().see(dealt));
    }
}

/// What a vendor recorded of one order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Dealt {
    /// It holds this, with this slot.
    Held(Vec<HeldLine>, Option<SlotId>),
    /// It sold what it held.
    Sold,
    /// It holds nothing any more.
    Released,
    /// It was told that the order is settled.
    Closed,
    /// It took this back, for this credit.
    Restocked(CreditId, Vec<(SkuId, i64)>),
    /// It has the slot back of what it sold.
    SlotBack,
}

impl Dealt {
    /// Tells `each` of every order that the event is about.
    pub(super) fn of(event: &VendorEvent, mut each: impl FnMut(OrderId, Dealt)) {
        match event {
            VendorEvent::StockHeld { order, lines, slot, .. } => {
                each(*order, Dealt::Held(lines.clone(), slot.as_ref().map(|slot| slot.id)));
            }
            VendorEvent::StockCommitted { order } | VendorEvent::HoldCommitted { order, .. } => {
                each(*order, Dealt::Sold);
            }
            VendorEvent::HoldsClosed { orders } => orders.iter().for_each(|order| each(*order, Dealt::Closed)),
            VendorEvent::StockReleased { order, .. } => each(*order, Dealt::Released),
            VendorEvent::Restocked { order, credit, lines, slot, .. } => {
                let lines = lines.iter().map(|line| (line.sku, line.quantity)).collect();
                each(*order, Dealt::Restocked(*credit, lines));
                slot.iter().for_each(|_| each(*order, Dealt::SlotBack));
            }
            VendorEvent::VendorCreated { .. }
            | VendorEvent::VendorRenamed { .. }
            | VendorEvent::VendorStatusSet { .. }
            | VendorEvent::ProductAdded { .. }
            | VendorEvent::ProductChanged { .. }
            | VendorEvent::SkuAdded { .. }
            | VendorEvent::SkuStatusSet { .. }
            | VendorEvent::SkuPriceChanged { .. }
            | VendorEvent::DeliveryPlanSet { .. }
            | VendorEvent::SaleScheduled { .. }
            | VendorEvent::SaleChanged { .. }
            | VendorEvent::SaleCancelled { .. }
            | VendorEvent::SkuTermsChanged { .. }
            | VendorEvent::CreditsClosed { .. }
            | VendorEvent::StockAdjusted { .. } => {}
        }
    }
}

/// What came of comparing snapshots with the journal.
#[derive(Debug, Default)]
pub(super) struct SnapshotFacts {
    /// How many there are.
    pub(super) count: u64,
    /// How many of them hold their entity's newest state.
    pub(super) current: u64,
    /// What differs.
    pub(super) breaches: Breaches,
}

/// The sandbox's books.
#[derive(Debug, Default)]
pub(super) struct ChargeLogFacts {
    /// Why there is nothing to look at, in words.
    pub(super) absent: Option<String>,
    /// What is wrong with the books themselves.
    pub(super) damaged: Option<String>,
    /// Keys under which something had been charged before the journal's tails were read.
    pub(super) charged_before: BTreeSet<(OrderId, Option<Mint>)>,
    /// How the charge under each key stood after the journal was read.
    pub(super) entries: BTreeMap<(OrderId, Option<Mint>), ChargeLogEntry>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::EntityId;
    use crate::domain::time::Timestamp;
    use crate::ports::Codec;
    use uuid::Uuid;

    fn frame(seq: u64, epoch: u64, records: u32) -> Frame {
        Frame {
            partition: 3,
            seq,
            epoch,
            at: Timestamp::from_millis(1),
            batch: Uuid::nil(),
            records,
            codec: Codec::Plain,
            payload: Vec::new(),
        }
    }

    fn judged(tail_seq: u64, frames: &[(u64, u64, u32, u64)]) -> Vec<String> {
        let mut order = FrameOrder::new(Partition { id: 3, epoch: 2, tail_seq, checkpoint_seq: 0, base_seq: 0 });
        for (seq, epoch, says, has) in frames {
            order.frame(&frame(*seq, *epoch, *says), Ok(*has));
        }
        order.finish().told().to_vec()
    }

    #[test]
    fn frames_that_follow_each_other_are_in_order() {
        assert_eq!(judged(3, &[(1, 1, 0, 0), (2, 1, 2, 2), (3, 2, 0, 0)]), Vec::<String>::new());
        let mut journal = JournalFacts::default();
        let mut order = FrameOrder::new(Partition { id: 3, epoch: 1, tail_seq: 1, checkpoint_seq: 1, base_seq: 0 });
        order.frame(&frame(1, 1, 1_200), Ok(1_200));
        journal.add(order);
        let finding = journal.finding();
        assert_eq!(finding.looked_at, "1,200 records in 1 frame of 1 partition: dense, in order");
        assert_eq!(finding.breaches.count(), 0);
    }

    #[test]
    fn frames_that_do_not_are_told() {
        for (frames, tail, word) in [
            (&[(1, 1, 0, 0), (3, 1, 0, 0)][..], 3, "frame 3 follows frame 1"),
            (&[(1, 2, 0, 0), (2, 1, 0, 0)], 2, "epoch 1 after epoch 2"),
            (&[(1, 1, 2, 1)], 1, "says it has 2 records and has 1"),
            (&[(1, 1, 0, 0)], 2, "it ends at frame 1 and should have 2"),
            (&[(1, 3, 0, 0)], 1, "its term is 2, and a frame has epoch 3"),
        ] {
            let told = judged(tail, frames);
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].contains(word), "{told:?}");
        }
    }

    #[test]
    fn a_checkpoint_beyond_the_tail_is_told() {
        let order = FrameOrder::new(Partition { id: 0, epoch: 0, tail_seq: 0, checkpoint_seq: 4, base_seq: 0 });
        assert_eq!(order.finish().told(), ["partition 0: its checkpoint is 4, beyond its last frame 0"]);
    }

    #[test]
    fn a_trade_is_held_and_then_sold_or_let_go() {
        let order = OrderId::from_uuid(Uuid::from_u128(1));
        let sku = crate::domain::ids::SkuId::from_uuid(Uuid::from_u128(2));
        let lines = vec![HeldLine::at_list_price(sku, 2, 10)];
        let until = Timestamp::from_millis(9);
        let held = VendorEvent::StockHeld {
            order,
            until,
            lines: lines.clone(),
            keys: Vec::new(),
            account_keys: 0,
            slot: None,
        };
        let mut trades = Trades::default();
        trades.see(&held);
        assert_eq!(trades.0[&order], Trade { holding: Some(lines.clone()), ..Trade::default() });
        trades.see(&VendorEvent::StockCommitted { order });
        assert_eq!(trades.0[&order], Trade { sold: vec![lines.clone()], ..Trade::default() });
        trades.see(&held);
        trades.see(&VendorEvent::StockReleased { order, until, skus: vec![sku] });
        assert_eq!(trades.0[&order], Trade { sold: vec![lines], ..Trade::default() });
        assert_eq!(order.entity().kind, Kind::Order);
    }
}

/// Facts for the tests of the checks: a vendor with one SKU of 10 pieces, of which a paid order has bought 2 at 10 each.
#[cfg(test)]
pub(super) mod samples {
    use super::*;
    use crate::domain::ids::{ProductId, SkuId, SubOrderId};
    use crate::domain::money::Currency;
    use crate::domain::order::{Amounts, OrderStatus, PaymentStatus, SubOrderStatus};
    use crate::domain::rows::{OrderLineRow, SubOrderRow};
    use crate::domain::time::Timestamp;
    use crate::domain::vendor::VendorStatus;
    use uuid::Uuid;

    pub(in super::super) fn cart() -> CartId {
        CartId::from_uuid(Uuid::from_u128(1))
    }

    pub(in super::super) fn vendor() -> VendorId {
        VendorId::from_uuid(Uuid::from_u128(2))
    }

    pub(in super::super) fn sku() -> SkuId {
        SkuId::from_uuid(Uuid::from_u128(3))
    }

    pub(in super::super) fn order_id(attempt: u32) -> OrderId {
        OrderId::for_attempt(cart(), attempt)
    }

    pub(in super::super) fn lines() -> Vec<HeldLine> {
        vec![HeldLine::at_list_price(sku(), 2, 10)]
    }

    /// An order that was just placed.
    pub(in super::super) fn order(attempt: u32) -> OrderFacts {
        let at = Timestamp::from_millis(1);
        let row = OrderRow {
            id: order_id(attempt),
            cart_id: cart(),
            attempt,
            customer_id: None,
            mail_key: None,
            columns: OrderStatus::Placed.into(),
            currency: Currency::BDT,
            amounts: Amounts { total: 20, total_due: 20, ..Amounts::default() },
            placed_at: at,
            payment_due_at: at.plus_millis(1_000),
            bill: None,
            outside: Some(0),
            points_pending: None,
            payment_method: "sandbox".into(),
            payment_status: PaymentStatus::None,
            sub_orders: vec![SubOrderRow {
                id: SubOrderId::of(order_id(attempt), vendor()),
                vendor_id: vendor(),
                status: SubOrderStatus::Placed,
                amounts: Amounts { total: 20, total_due: 20, ..Amounts::default() },
                to_pack: None,
                overdue_since: None,
            }],
            shipments: Vec::new(),
            returns: Vec::new(),
            lines: vec![OrderLineRow {
                sku_id: sku(),
                vendor_id: vendor(),
                title: "Quilt".into(),
                quantity: 2,
                unit_price: 10,
                line_total: 20,
                list_price: None,
                sale_id: None,
                credited: 0,
                credited_amount: 0,
                goods: None,
                billed: None,
            }],
        };
        let shares = vec![Share { vendor: vendor(), state: LegState::Asked }];
        OrderFacts {
            row,
            phase: Phase::Gathering,
            shares,
            told: None,
            by_hand: false,
            version: 1,
            mint: None,
            coming_back: Vec::new(),
            slots: BTreeMap::new(),
            counted_open: CountedOpen::No,
            points: None,
            attention: Vec::new(),
            refunds: (0, 0),
            needs_token: false,
            current: true,
        }
    }

    /// An order that is paid and settled.
    pub(in super::super) fn paid(attempt: u32) -> OrderFacts {
        let mut order = order(attempt);
        order.phase = Phase::Settled;
        order.shares[0].state = LegState::Committed;
        order.row.columns.status = OrderStatus::Paid;
        order.row.payment_status = PaymentStatus::Captured;
        order.row.sub_orders[0].status = SubOrderStatus::Paid;
        order.row.amounts = Amounts { total: 20, paid: 20, ..Amounts::default() };
        order.row.sub_orders[0].amounts = order.row.amounts;
        order
    }

    pub(in super::super) fn entry(attempt: u32, status: &'static str, minor: i64) -> ChargeLogEntry {
        let amount = Money::new(minor, Currency::BDT);
        let refunded = Money::new(0, amount.currency);
        ChargeLogEntry { order: order_id(attempt), mint: None, amount, refunded, status, at: Timestamp::from_millis(2) }
    }

    pub(in super::super) fn facts() -> Facts {
        let mut facts = Facts::default();
        facts.carts.insert(cart(), CartFacts { status: CartStatus::CheckedOut, order: Some(order_id(1)) });
        facts.checked_out.push((cart(), order_id(1)));
        facts.rows.orders.push(paid(1).row);
        facts.orders.insert(order_id(1), paid(1));
        let row = VendorRow { id: vendor(), name: "Nakshi".into(), status: VendorStatus::Active };
        let sku = SkuRow {
            id: sku(),
            vendor_id: vendor(),
            product_id: ProductId::from_uuid(Uuid::from_u128(4)),
            code: "Q1".into(),
            title: "Quilt".into(),
            price_minor: 10,
            currency: Currency::BDT,
            received: 10,
            on_hand: 8,
            held: 0,
            terms: None,
            archived: false,
            suspended: false,
        };
        facts.rows.vendors.push(row.clone());
        facts.rows.skus.push(sku.clone());
        let mut trades = Trades::default();
        trades.0.insert(order_id(1), Trade { sold: vec![lines()], ..Trade::default() });
        let vendor_facts =
            VendorFacts { row: Some(row), skus: vec![sku], version: 3, current: true, ..VendorFacts::default() };
        facts.vendors.insert(vendor(), vendor_facts);
        facts.trades.insert(vendor(), trades);
        facts.charge_log.charged_before.insert((order_id(1), None));
        facts.charge_log.entries.insert((order_id(1), None), entry(1, "charged", 20));
        facts
    }
}
