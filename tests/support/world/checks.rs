//! What must hold between entities: after every command, and more strictly when nothing is under way.

use super::World;
use super::gateway::Standing;
use haat::domain::cart::CartStatus;
use haat::domain::ids::{CartId, OrderId, SkuId};
use haat::domain::order::{Amounts, LegState, OrderStatus, Phase, SubOrderStatus};
use haat::domain::rows::OrderRow;
use std::collections::BTreeMap;

/// Pieces per SKU.
type Pieces = BTreeMap<SkuId, i64>;

fn add(pieces: &mut Pieces, row: &OrderRow) {
    for line in &row.lines {
        *pieces.entry(line.sku_id).or_default() += line.quantity;
    }
}

impl World {
    fn order_rows(&self) -> impl Iterator<Item = (OrderId, Phase, OrderRow)> {
        self.orders.iter().filter_map(|(id, slot)| Some((*id, slot.entity.phase()?, slot.entity.row()?)))
    }

    /// Whether nobody waits any longer for an answer of one of its vendors.
    fn is_given_up(&self, order: OrderId) -> bool {
        let state = self.orders.get(&order).map(|slot| &slot.entity);
        state.is_some_and(|state| state.legs().any(|leg| leg.state == LegState::Unanswered))
    }

    /// What holds after every command, whatever is under way.
    pub fn check_always(&self) {
        let (mut paid, mut settled) = (Pieces::new(), Pieces::new());
        let mut live: BTreeMap<CartId, OrderId> = BTreeMap::new();
        let mut statuses: BTreeMap<OrderStatus, i64> = BTreeMap::new();
        for (id, phase, row) in self.order_rows() {
            *statuses.entry(row.columns.status).or_default() += 1;
            if row.columns.status.is_paid() {
                add(&mut paid, &row);
            }
            if phase == Phase::Settled && !self.is_given_up(id) {
                add(&mut settled, &row);
            }
            let cart = &self.carts[&row.cart_id].entity;
            let own = cart.order() == Some(id);
            let cart_status = cart.view().map(|view| view.status);
            match phase {
                Phase::Ended => assert!(!own, "{id} has ended and is still its cart's order"),
                Phase::Reopening(_) => {}
                Phase::Settled => assert!(own && cart_status != Some(CartStatus::Open), "{id}: {cart:?}"),
                _ => assert!(own, "{id} is {phase:?}, and its cart has {:?}", cart.order()),
            }
            if !matches!(phase, Phase::Reopening(_) | Phase::Ended) {
                let other = live.insert(row.cart_id, id);
                assert_eq!(other, None, "two orders of {} are live or paid", row.cart_id);
            }
            self.check_money(id, phase, &row);
        }
        let counted: BTreeMap<_, _> = self.statuses.iter().filter(|(_, count)| **count != 0).collect();
        assert_eq!(counted, statuses.iter().collect(), "orders by status, as published and as they are");

        for (cart, slot) in &self.carts {
            if slot.entity.view().is_some_and(|view| view.status == CartStatus::CheckedOut) {
                let order = slot.entity.order().expect("a cart that is checked out has an order");
                let status = self.orders[&order].entity.status();
                assert!(status.is_some_and(OrderStatus::is_paid), "{cart} is closed for {status:?}");
            }
        }
        for vendor in self.vendors.values() {
            for sku in vendor.entity.sku_rows() {
                let of = |pieces: &Pieces| pieces.get(&sku.id).copied().unwrap_or(0);
                let received = self.received.get(&sku.id).copied().unwrap_or(0);
                assert_eq!(sku.received, received, "{}: received", sku.id);
                let (least, sold, most) = (of(&settled), sku.sold(), of(&paid));
                assert!(least <= sold && sold <= most, "{}: {sold} sold, orders say {least} to {most}", sku.id);
                assert_eq!(
                    self.availability.available.get(&sku.id).copied(),
                    Some(sku.available()),
                    "{}: published",
                    sku.id
                );
            }
        }
        self.check_holds();
    }

    fn check_money(&self, id: OrderId, phase: Phase, row: &OrderRow) {
        let amounts = &row.amounts;
        assert_eq!(
            *amounts,
            Amounts::sum(row.sub_orders.iter().map(|share| share.amounts)),
            "{id}: sums of its shares"
        );
        for share in row.sub_orders.iter().map(|share| share.amounts) {
            assert!(share.adds_up() && (share.total_due == 0 || share.refund_due == 0), "{id}: {share:?}");
        }
        if self.orders[&id].entity.is_settled_by_hand() {
            // What the provider's books say is a part of it.
            assert!(amounts.refunded <= amounts.paid && amounts.total_due >= 0, "{id}: {row:?}");
            return;
        }
        let account = self.gateway.account(id);
        let net = self.gateway.net(id);
        assert!(account.moves.len() <= 2, "{id}: {:?}", account.moves);
        // Another amount than what was asked for waits for someone.
        let waits = matches!(phase, Phase::Paying | Phase::Voiding(_) | Phase::Stuck);
        assert!(net == 0 || net == amounts.total || waits, "{id}: {net} was taken for {}", amounts.total);
        match phase {
            Phase::Gathering => assert_eq!(account.calls, 0, "{id} was charged before its stock was held"),
            Phase::Confirming | Phase::Settled => {
                assert_eq!(account.moves, [amounts.total], "{id} is paid");
                let paid = Amounts { total: amounts.total, paid: amounts.total, ..Amounts::default() };
                assert_eq!(*amounts, paid, "{id} is paid");
            }
            Phase::Cancelling(_) | Phase::Reopening(_) | Phase::Ended => {
                assert_eq!(net, 0, "{id} ends unpaid");
                assert_ne!(account.standing, Some(Standing::Charged), "{id} ends unpaid");
                assert_eq!(amounts.refunded, account.moves.first().copied().unwrap_or(0), "{id}: given back");
            }
            Phase::Paying | Phase::Voiding(_) | Phase::Stuck => {}
        }
    }

    fn check_holds(&self) {
        for (vendor_id, vendor) in &self.vendors {
            for (order, hold) in vendor.entity.holds().all_open() {
                let row = self.orders.get(&order).and_then(|slot| slot.entity.row());
                let row = row.unwrap_or_else(|| panic!("{order} holds stock and was never placed"));
                let share = row.sub_orders.iter().find(|sub| sub.vendor_id == *vendor_id).expect("a share");
                let wanted = row.lines.iter().filter(|line| line.vendor_id == *vendor_id);
                let wanted: Pieces = wanted.map(|line| (line.sku_id, line.quantity)).collect();
                let held: Pieces = hold.what.lines.iter().map(|line| (line.sku, line.quantity)).collect();
                assert_eq!(held, wanted, "{order} holds");
                // The one hold without a living order: made by an echo after its refusal, until the order hears of it.
                let stray = share.status == SubOrderStatus::Rejected;
                // And the one that nobody waits for any longer, until its vendor asks about it.
                assert!(
                    stray || self.is_given_up(order) || !row.columns.status.is_end(),
                    "{order} is {} and holds",
                    row.columns.status
                );
            }
        }
    }

    /// What holds when nothing is under way, and all that is outstanding waits for the gateway or for time.
    pub fn check_at_rest(&self) {
        assert!(self.queue.is_empty() && self.echoes.is_empty(), "not at rest");
        self.check_always();
        let (mut sold, mut held) = (Pieces::new(), Pieces::new());
        for (id, phase, row) in self.order_rows() {
            match phase {
                Phase::Settled => {
                    let cart = self.carts[&row.cart_id].entity.view();
                    assert!(
                        cart.is_some_and(|cart| cart.status == CartStatus::CheckedOut),
                        "{id}: its cart is not closed"
                    );
                    add(&mut sold, &row);
                }
                Phase::Paying | Phase::Voiding(_) => add(&mut held, &row),
                Phase::Stuck if self.alarms.iter().any(|(of, _)| *of == id) => add(&mut held, &row),
                Phase::Ended => {}
                _ => panic!("{id} is stuck: {phase:?}"),
            }
        }
        // What nobody waits for any longer is held until its vendor asks, also for an order that counts as settled.
        for (order, hold) in self.vendors.values().flat_map(|vendor| vendor.entity.holds().all_open()) {
            if self.is_given_up(order) {
                let settled = self.orders[&order].entity.phase() == Some(Phase::Settled);
                for line in &hold.what.lines {
                    *held.entry(line.sku).or_default() += line.quantity;
                    *sold.entry(line.sku).or_default() -= if settled { line.quantity } else { 0 };
                }
            }
        }
        for slot in self.vendors.values() {
            for sku in slot.entity.sku_rows() {
                let of = |pieces: &Pieces| pieces.get(&sku.id).copied().unwrap_or(0);
                assert_eq!((sku.sold(), sku.held), (of(&sold), of(&held)), "{}: sold and held", sku.id);
            }
        }
        for (cart, slot) in self.carts.iter().filter(|(_, slot)| slot.entity.order().is_some()) {
            let order = slot.entity.order().and_then(|order| self.orders.get(&order));
            assert!(order.is_some_and(|order| order.entity.status().is_some()), "{cart} waits for no order");
        }
    }

    /// Right after a checkpoint the read tables hold what the entities say.
    pub(super) fn check_tables(&self) {
        let orders: BTreeMap<_, _> = self.order_rows().map(|(id, _, row)| (id, row)).collect();
        assert_eq!(self.tables.orders, orders);
        let rows = |slot: &super::Slot<haat::domain::vendor::Vendor>| slot.entity.sku_rows();
        let skus: BTreeMap<_, _> = self.vendors.values().flat_map(rows).map(|row| (row.id, row)).collect();
        assert_eq!(self.tables.skus, skus);
        let rows = |slot: &super::Slot<haat::domain::vendor::Vendor>| slot.entity.product_rows();
        let products: BTreeMap<_, _> = self.vendors.values().flat_map(rows).map(|row| (row.id, row)).collect();
        assert_eq!(self.tables.products, products);
    }
}
