//! An independent book of money and stock. It reads the journal's lines as plain JSON, knows each event by the name it has there, and
//! keeps its own accounts with its own arithmetic (`book/accounts.rs`): per SKU what was received, is on hand, held and sold, and per
//! order what its lines cost, what was charged and what was given back. A rule that the domain gets wrong in the same way wherever
//! it is applied deceives a replay, an audit and the entities alike; here it differs.
//!
//! After every batch the accounts that it touched must be those of the entities. At rest every piece and every minor unit must be
//! accounted for, with the payment provider's own log. When a node has stopped, the read tables must say the same.

mod accounts;
mod bill;
mod cash;
mod credits;
mod disputes;
mod goods;

use super::replay::Recorded;
use super::{Causes, Judge, Replay};
use crate::gateway::Books;
use crate::store::Tables;
use crate::world::{World, lock};
use accounts::{Accounts, Bill, Line, Pieces, Posted, Share, sorted, text};
use haat::domain::ids::{EntityId, EntityRef, Kind, OrderId, VendorId};
use haat::domain::order::Amounts;
use haat::domain::rows::{OrderRow, SkuRow};
use haat::domain::vendor::Vendor;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;
use std::sync::{Arc, Mutex};

/// What an event of the entity with this id does to the accounts.
type Posting = fn(&mut Accounts, &str, &Value) -> Posted;

/// Every event that there is, by the kind of its entity and its name in the journal, and what it does to the accounts. An event
/// without a line here is a breach: whoever adds one decides here what it means for money and stock.
const EVENTS: &[(&str, &str, Posting)] = &[
    ("cart", "cart_created", Accounts::own),
    ("cart", "line_set", nothing),
    ("cart", "line_removed", nothing),
    ("cart", "repriced", nothing),
    ("cart", "checkout_started", Accounts::begin),
    ("cart", "cart_reopened", nothing),
    ("cart", "cart_checked_out", nothing),
    // Pieces in carts are nobody's yet: what is given and taken is judged in `merges.rs`.
    ("cart", "merged", nothing),
    ("cart", "merged_in", nothing),
    ("cart", "merge_acknowledged", nothing),
    ("cart", "coupon_put", nothing),
    ("cart", "coupon_removed", nothing),
    ("cart", "discounted", nothing),
    ("customer", "cart_followed", nothing),
    ("customer", "customer_edited", Accounts::regroup),
    // Who counts open orders is judged in `doors.rs`.
    ("customer", "cash_opened", nothing),
    ("customer", "cash_closed", nothing),
    // Points are counted in `points.rs`.
    ("customer", "points_held", nothing),
    ("customer", "points_spent", nothing),
    ("customer", "points_released", nothing),
    ("customer", "point_holds_closed", nothing),
    ("customer", "points_earned", nothing),
    ("customer", "points_restored", nothing),
    ("customer", "points_taken_back", nothing),
    ("customer", "postings_closed", nothing),
    ("customer", "points_given", nothing),
    ("customer", "points_expired", nothing),
    ("customer", "tier_changed", nothing),
    ("order", "points_taken", nothing),
    ("order", "points_earned", nothing),
    ("order", "leg_asked", nothing),
    ("order", "confirmed", Accounts::accept),
    ("order", "cash_collected", Accounts::collect),
    ("order", "cash_remitted", Accounts::hand_on),
    ("coupon", "coupon_created", Accounts::promise),
    ("coupon", "coupon_edited", Accounts::promise),
    // Of uses no more is asked here than what they take off: `coupons.rs` counts them.
    ("coupon", "codes_issued", nothing),
    ("coupon", "use_held", nothing),
    ("coupon", "use_committed", nothing),
    ("coupon", "use_released", nothing),
    ("coupon", "holds_closed", nothing),
    ("coupon", "use_returned", nothing),
    ("coupon", "returns_closed", nothing),
    // Nothing is sold in a line: `rooms.rs` judges who comes in.
    ("room", "room_made", nothing),
    ("room", "numbers_reserved", nothing),
    ("room", "admitted", nothing),
    ("room", "slot_freed", nothing),
    ("order", "coupons_taken", Accounts::take_coupons),
    ("order", "leg_held", nothing),
    ("order", "leg_refused", nothing),
    ("order", "leg_committed", nothing),
    ("order", "leg_released", nothing),
    ("order", "leg_quarantined", nothing),
    ("vendor", "vendor_created", nothing),
    ("vendor", "product_added", Accounts::open),
    ("vendor", "vendor_renamed", nothing),
    // Whether anything was sold that was not for sale is judged in `catalogue.rs`.
    ("vendor", "vendor_status_set", nothing),
    ("vendor", "product_changed", nothing),
    ("vendor", "sku_status_set", nothing),
    ("vendor", "sku_added", Accounts::add),
    ("vendor", "sku_price_changed", Accounts::price),
    ("vendor", "sku_terms_changed", Accounts::set_terms),
    ("vendor", "sale_scheduled", Accounts::offer),
    ("vendor", "sale_changed", Accounts::offer),
    ("vendor", "sale_cancelled", nothing),
    ("vendor", "delivery_plan_set", nothing),
    ("vendor", "stock_adjusted", Accounts::adjust),
    ("vendor", "stock_held", Accounts::hold),
    ("vendor", "stock_committed", Accounts::sell),
    ("vendor", "hold_committed", Accounts::sell),
    ("vendor", "holds_closed", Accounts::close),
    ("vendor", "stock_released", Accounts::release),
    ("vendor", "restocked", Accounts::restock),
    ("vendor", "credits_closed", Accounts::close_credits),
    ("order", "placed", Accounts::place),
    ("order", "stock_held", Accounts::take_prices),
    ("order", "stock_refused", nothing),
    ("order", "priced", Accounts::priced),
    ("order", "price_differed", Accounts::price_differed),
    ("order", "bill_refused", nothing),
    ("order", "payment_requested", nothing),
    ("order", "payment_prepared", nothing),
    ("order", "payment_action_required", nothing),
    ("order", "paid", Accounts::charge),
    ("order", "payment_failed", nothing),
    ("order", "payment_voided", nothing),
    ("order", "payment_refunded", Accounts::give_back),
    ("order", "payment_differed", nothing),
    ("order", "void_refused", nothing),
    ("order", "resolved", Accounts::resolve),
    ("order", "cancel_requested", nothing),
    ("order", "payment_deadline_passed", nothing),
    ("order", "stock_committed", Accounts::hear_of_sale),
    ("order", "settled", Accounts::settle),
    ("order", "stock_released", nothing),
    ("order", "cart_reopened", nothing),
    ("order", "cart_closed", nothing),
    ("order", "attached", nothing),
    ("order", "ended", Accounts::end),
    ("order", "quarantined", nothing),
    ("order", "credited", Accounts::credit),
    ("order", "refund_pending", Accounts::send_part),
    ("order", "refund_succeeded", Accounts::give_part_back),
    ("order", "refund_failed", Accounts::keep_part),
    ("order", "refund_retried", Accounts::ask_again),
    ("order", "refund_marked_paid", Accounts::give_part_back_by_hand),
    ("order", "packed", Accounts::pack),
    ("order", "unpacked", Accounts::unpack),
    ("order", "share_put_on_hold", Accounts::stop),
    ("order", "share_resumed", Accounts::go_on),
    ("order", "shipment_made", Accounts::make_parcel),
    ("order", "shipment_moved", Accounts::move_parcel),
    // Nothing moves before couriers have answered.
    ("order", "cancel_wished", nothing),
    ("order", "acceptance_overdue", nothing),
    ("order", "cancel_wish_dropped", nothing),
    ("order", "return_requested", Accounts::ask_return),
    ("order", "return_moved", Accounts::move_return),
    ("order", "credits_settled", Accounts::hear_of_restock),
    ("order", "leg_returned", nothing),
    ("order", "dispute_opened", Accounts::open_dispute),
    ("order", "dispute_won", Accounts::win_dispute),
    ("order", "dispute_lost", Accounts::lose_dispute),
];

/// It moves neither money nor pieces.
fn nothing(_: &mut Accounts, _: &str, _: &Value) -> Posted {
    Ok(())
}

fn posting_of(kind: &str, name: &str) -> Result<Posting, String> {
    let posting = EVENTS.iter().find(|(of, event, _)| (*of, *event) == (kind, name)).map(|(_, _, posting)| *posting);
    posting.ok_or_else(|| format!("no line for the event {name} of a {kind}"))
}

/// Enters a record of the journal.
fn post(accounts: &mut Accounts, record: &[u8]) -> Posted {
    let record: Value = serde_json::from_slice(record).map_err(|error| error.to_string())?;
    let entity = text(&record, "/e")?;
    let kind = entity.split('_').next().unwrap_or_default();
    for event in record.get("ev").and_then(Value::as_array).into_iter().flatten() {
        let posting = posting_of(kind, &text(event, "/type")?)?;
        posting(accounts, &entity, event).map_err(|wrong| format!("{entity}: {wrong}"))?;
    }
    Ok(())
}

/// How a SKU's row differs from its account, or from what any account must be.
fn differs_from_sku(accounts: &Accounts, row: &SkuRow) -> Option<String> {
    let account = accounts.skus.get(&row.id.to_string());
    let fits = account.is_some_and(|account| {
        let Pieces { ref vendor, price, received, on_hand, held, sold } = *account;
        let is_sane = 0 <= held && held <= on_hand && 0 <= sold && received == on_hand + sold;
        let said = (row.price_minor, row.received, row.on_hand, row.held);
        is_sane && *vendor == row.vendor_id.to_string() && said == (price, received, on_hand, held)
    });
    (!fits).then(|| format!("{row:?}, and in the book {account:?}"))
}

/// What is said of an order's money: its currency; its figures; those of its vendors' shares; its lines with their totals, what is to be paid for
/// them, and what of them was credited; what is to be paid beside them.
type Statement = (String, Figures, BTreeMap<String, Figures>, Vec<(String, Line, [i64; 2], (i64, i64))>, i64);

/// A total; what of it was taken, given back and credited, and what cash was rounded by; what is due of it, and what is due back.
type Figures = [i64; 7];

fn figures_of(amounts: &Amounts) -> Figures {
    let Amounts { total, credited, rounding, paid, refunded, total_due, refund_due } = *amounts;
    [total, paid, refunded, credited, rounding, total_due, refund_due]
}

fn statement_of(bill: &Bill) -> Statement {
    let whole = bill.total();
    let figures = |total: i64, vendor: Option<&str>| {
        // All shares are paid for at once. What is another amount is in none.
        let of_all = |moved: i64| if moved == whole { total } else { 0 };
        let doors = bill.till.shares.iter().filter(|(of, _)| vendor.is_none_or(|vendor| of.as_str() == vendor));
        let (taken, rounding) = doors.fold((0, 0), |sums, (_, share)| (sums.0 + share.0, sums.1 + share.1));
        let refunded = of_all(bill.refunded) + bill.given_back(vendor) + bill.lost(vendor);
        let paid = of_all(bill.charged) + taken;
        let credited = if bill.has_ended { total } else { bill.credited(vendor) };
        // What is due of several is due of each, and never netted.
        let balance = total - credited + rounding - (paid - refunded);
        let (mut due, mut back) = (balance.max(0), (-balance).max(0));
        if vendor.is_none() && bill.till.at_door && !bill.has_ended {
            let each = || bill.vendors().into_iter().map(|vendor| bill.balance(vendor));
            due = each().map(|balance| balance.max(0)).sum();
            back = each().map(|balance| (-balance).max(0)).sum();
        }
        [total, paid, refunded, credited, rounding, due, back]
    };
    let share = |vendor: &String| (vendor.clone(), figures(bill.share(vendor), Some(vendor)));
    let line = |(at, (vendor, line)): (usize, &(String, Line))| {
        let payable = bill.payable(at);
        let credited = if bill.has_ended { (line.quantity, payable) } else { bill.credited_lines[at] };
        (vendor.clone(), line.clone(), [line.quantity * line.price, payable], credited)
    };
    (
        bill.currency.clone(),
        figures(whole, None),
        bill.vendors().into_iter().map(share).collect(),
        bill.lines.iter().enumerate().map(line).collect(),
        bill.vendors().into_iter().map(|vendor| bill.besides(vendor)).sum(),
    )
}

fn differs_from_order(accounts: &Accounts, row: &OrderRow) -> Option<String> {
    let lines = row.lines.iter().map(|line| {
        let own = Line { sku: line.sku_id.to_string(), quantity: line.quantity, price: line.unit_price };
        let payable = line.billed.as_ref().map_or(line.line_total, |billed| billed.payable);
        (line.vendor_id.to_string(), own, [line.line_total, payable], (line.credited, line.credited_amount))
    });
    let said: Statement = (
        row.currency.to_string(),
        figures_of(&row.amounts),
        row.sub_orders.iter().map(|sub| (sub.vendor_id.to_string(), figures_of(&sub.amounts))).collect(),
        lines.collect(),
        row.bill.as_ref().map_or(0, |bill| bill.besides),
    );
    let bill = accounts.bills.get(&row.id.to_string());
    let is_sane = |bill: &Bill| bill.refunded >= 0 && (0..=bill.total()).contains(&bill.net());
    let piles = row.lines.iter().map(|line| {
        let goods = line.goods.as_deref().copied().unwrap_or_default();
        goods::Pile {
            packed: goods.packed,
            boxed: goods.in_parcels,
            shipped: goods.shipped,
            accepted: goods.delivered,
            refused: goods.refused,
            lost: goods.lost,
            sent_back: goods.returned,
            after: goods.credited,
            here: goods.restocked,
        }
    });
    let has_piles = |bill: &Bill| piles.clone().eq(bill.goods.piles.iter().copied());
    let fits = bill.is_some_and(|bill| is_sane(bill) && statement_of(bill) == said && has_piles(bill));
    (!fits).then(|| format!("{row:?}, and in the book {bill:?}"))
}

/// How a vendor's SKUs and holds differ from their accounts.
fn differs_from_vendor(accounts: &Accounts, id: VendorId, vendor: &Vendor) -> Vec<String> {
    let mut wrong: Vec<String> = vendor.sku_rows().iter().filter_map(|row| differs_from_sku(accounts, row)).collect();
    let holds = vendor.holds().all_open().map(|(order, hold)| {
        let line = hold.what.lines.iter().map(|line| (line.sku, line.quantity, line.unit_price));
        let lines = line.map(|(sku, quantity, price)| Line { sku: sku.to_string(), quantity, price });
        ((id.to_string(), order.to_string()), sorted(lines))
    });
    let holds: BTreeMap<Share, Vec<Line>> = holds.collect();
    let own = accounts.held.iter().filter(|((vendor, _), _)| *vendor == id.to_string());
    if !own.eq(holds.iter()) {
        wrong.push(format!("{id} holds {holds:?}, and in the book {:?}", accounts.held));
    }
    wrong
}

/// The shares of paid orders are sold, or held still by a vendor that waits for someone; those of others are not sold, and once the
/// order has ended not held.
fn wrong_shares(accounts: &Accounts) -> Vec<String> {
    let mut wrong = Vec::new();
    for (order, bill) in &accounts.bills {
        for vendor in bill.vendors() {
            let share = (vendor.clone(), order.clone());
            let fits = match (accounts.sold.get(&share), accounts.held.get(&share)) {
                (Some(_), Some(_)) => false,
                (Some(lines), None) => bill.is_paid() && *lines == bill.left_of(vendor),
                (None, Some(lines)) => {
                    // An order that came into quarantine before it heard of its hold knows no price of it.
                    let own = bill.lines_of(vendor);
                    let same_pieces = own.iter().map(Line::pieces).eq(lines.iter().map(Line::pieces));
                    !bill.has_ended && if bill.heard.contains(vendor) { *lines == own } else { same_pieces }
                }
                (None, None) => !bill.is_paid(),
            };
            if !fits {
                wrong.push(format!("the share {share:?} of {bill:?}"));
            }
        }
    }
    wrong
}

/// Every piece that a SKU says is held or sold is held for an order or sold to one.
fn wrong_counts(accounts: &Accounts) -> Vec<String> {
    let count = |shares: &BTreeMap<Share, Vec<Line>>, sku: &String| -> i64 {
        shares.values().flatten().filter(|line| line.sku == *sku).map(|line| line.quantity).sum()
    };
    let counted = accounts.skus.iter().map(|(sku, pieces)| {
        let orders = (count(&accounts.held, sku), count(&accounts.sold, sku));
        (orders != (pieces.held, pieces.sold)).then(|| format!("{sku}: {pieces:?}, and orders have {orders:?}"))
    });
    counted.flatten().collect()
}

/// Every minor unit that the provider moved stands in a bill, and the other way round.
fn wrong_payments(accounts: &Accounts, moves: BTreeMap<OrderId, Vec<i64>>) -> Vec<String> {
    let mut moves: BTreeMap<String, Vec<i64>> =
        moves.into_iter().map(|(order, moves)| (order.to_string(), moves)).collect();
    let mut wrong = Vec::new();
    for (order, bill) in &accounts.bills {
        let moves = moves.remove(order).unwrap_or_default();
        let taken: i64 = moves.iter().filter(|amount| **amount > 0).sum();
        let given_back = taken - moves.iter().sum::<i64>();
        let in_parts = bill.given_back_by_provider();
        let fits = match bill.by_hand {
            // It may have gone to and fro outside.
            true => taken - given_back == bill.net() - in_parts - bill.taken_by_disputes,
            false => (taken, given_back) == (bill.charged, bill.refunded + in_parts + bill.taken_by_disputes),
        };
        if !fits {
            wrong.push(format!("{order}: {bill:?}, and the provider moved {moves:?}"));
        }
    }
    wrong.extend(
        moves.into_iter().map(|(order, moves)| format!("{order} has no bill, and the provider moved {moves:?}")),
    );
    wrong
}

/// The book of one run.
pub struct Book {
    accounts: Mutex<Accounts>,
    /// What the batch under way touches.
    touched: Mutex<BTreeSet<EntityRef>>,
    provider: Arc<Books>,
    world: Arc<World>,
}

impl Book {
    pub fn new(world: Arc<World>, provider: Arc<Books>) -> Self {
        let mut accounts = Accounts::default();
        accounts.has_tables = world.plan.has_tables;
        Self { accounts: Mutex::new(accounts), touched: Mutex::default(), provider, world }
    }

    fn breach(&self, wrong: impl IntoIterator<Item = String>) {
        wrong.into_iter().for_each(|wrong| self.world.breach(format_args!("by the book: {wrong}")));
    }

    fn compare(&self, replay: &Replay, entity: EntityRef) {
        let accounts = &lock(&self.accounts);
        match entity.kind {
            Kind::Order => {
                let row = replay.order_row(OrderId::from_uuid(entity.uuid));
                self.breach(row.and_then(|row| differs_from_order(accounts, &row)));
            }
            Kind::Vendor => {
                let id = VendorId::from_uuid(entity.uuid);
                let wrong = replay.vendor(id).map(|vendor| differs_from_vendor(accounts, id, vendor));
                self.breach(wrong.into_iter().flatten());
            }
            // Nothing else has money or stock.
            _ => {}
        }
    }
}

impl Judge for Book {
    fn record(&self, _: &Replay, record: &Recorded<'_>, _: &mut Causes) {
        self.breach(post(&mut lock(&self.accounts), record.line).err());
        lock(&self.touched).insert(record.entity);
    }

    fn batch(&self, replay: &Replay) {
        self.breach(lock(&self.accounts).unfounded());
        lock(&self.accounts).batches += 1;
        lock(&self.accounts).damaged = self.world.damaged();
        take(&mut *lock(&self.touched)).into_iter().for_each(|entity| self.compare(replay, entity));
    }

    fn at_rest(&self, replay: &Replay) {
        replay.orders().for_each(|(id, _)| self.compare(replay, id.entity()));
        replay.vendors().for_each(|(id, _)| self.compare(replay, id.entity()));
        let accounts = &lock(&self.accounts);
        let all = [wrong_shares(accounts), wrong_counts(accounts), wrong_payments(accounts, self.provider.moves())];
        self.breach(all.into_iter().flatten());
    }

    fn left(&self, tables: &Tables) {
        let accounts = &lock(&self.accounts);
        self.breach(tables.skus.values().filter_map(|row| differs_from_sku(accounts, row)));
        self.breach(tables.orders.values().filter_map(|row| differs_from_order(accounts, row)));
        let (rows, own) = ((tables.skus.len(), tables.orders.len()), (accounts.skus.len(), accounts.bills.len()));
        if rows != own {
            self.breach([format!("{rows:?} SKUs and orders are in the read tables, and in the book {own:?}")]);
        }
    }
}

#[test]
fn the_book_has_a_line_for_every_event_ever_written() {
    let golden = [
        ("coupon", include_str!("../../golden/events/coupon.json")),
        ("room", include_str!("../../golden/events/room.json")),
        ("cart", include_str!("../../golden/events/cart.json")),
        ("customer", include_str!("../../golden/events/customer.json")),
        ("order", include_str!("../../golden/events/order.json")),
        ("vendor", include_str!("../../golden/events/vendor.json")),
    ];
    for (kind, events) in golden {
        for event in events.lines() {
            let event: Value = serde_json::from_str(event).expect("a golden line is JSON");
            assert_eq!(posting_of(kind, &text(&event, "/type").unwrap()).err(), None, "see EVENTS");
        }
    }
}

#[test]
fn an_event_that_the_book_does_not_know_is_a_breach() {
    let line = br#"{"e":"order_01h2xcejqtetzrb4e67qh1h0g1","v":1,"at":1,"ev":[{"type":"given_away"}]}"#;
    assert!(post(&mut Accounts::default(), line).is_err_and(|wrong| wrong.contains("given_away")));
}
