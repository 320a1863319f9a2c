//! Making what was put aside into entities, one after the other, and holding each against whatever was said about it.
//!
//! Three passes, each over what its former ones have put aside, too: carts and customers by themselves; each order with its rows, jobs, details
//! and charges, and with what vendors and carts recorded of it; each cart with its orders, and with who took what it gave.

use super::cash::Cash;
use super::collect::{Books, Collected};
use super::details::{Details, without_token};
use super::disputes::{Disputes, GivenBack};
use super::entries::{Aside, Entry, Said, entry};
use super::facts::{Facts, OrderFacts, Placed};
use super::jobs::Jobs;
use super::merges::{MergeFacts, Merges};
use super::points::Points;
use super::replaying::{Replaying, Seen};
use super::spill::{Room, Spill};
use super::stock::Stock;
use super::tables::{Tables, sorted};
use super::{Finding, Report, accounts, carts, categories, codes, history, money, tables};
use crate::adapters::sandbox::ChargesOf;
use crate::app::AppError;
use crate::domain::cart::{CartEvent, CartStatus};
use crate::domain::ids::{CartId, EntityId as _, EntityRef, OrderId};
use crate::domain::job::JobKind;
use crate::domain::json::written;
use crate::domain::rows::OrderRow;
use crate::ports::Store;
use std::io;
use std::mem::take;

/// So many orders, or carts, are at hand at once: a few at a time take less time than each by itself.
const AT_ONCE: usize = 256;

/// The checks that look at one order, or one cart, after the other.
#[derive(Debug, Default)]
struct Checks {
    stock: Stock,
    carts: carts::Carts,
    merges: Merges,
    tables: Tables,
    jobs: Jobs,
    details: Details,
    money: money::Books,
    disputes: Disputes,
    cash: Cash,
    points: Points,
}

impl Checks {
    /// Looks at the orders at hand.
    fn orders(&mut self, facts: &Facts) {
        self.stock.look(facts);
        self.carts.look_at_orders(facts);
        self.tables.look(facts);
        self.jobs.look(facts);
        self.details.look(facts);
        self.money.look(facts);
        self.disputes.look(facts);
        self.cash.look(facts);
        self.points.look(facts);
    }

    /// Looks at the carts at hand.
    fn carts(&mut self, facts: &Facts) {
        self.carts.look_at_carts(facts);
        self.merges.look(facts);
    }

    /// What all checks have found.
    fn finish(self, facts: &Facts) -> Vec<Finding> {
        vec![
            facts.journal.finding(),
            facts.entities_finding(),
            self.stock.finish(facts),
            self.carts.finish(),
            self.merges.finish(),
            tables::snapshots(facts),
            self.tables.finish(facts),
            history::check(facts),
            self.jobs.finish(),
            self.details.finish(),
            self.money.finish(&facts.charge_log),
            self.disputes.finish(),
            self.cash.finish(),
            self.points.finish(facts),
            categories::check(facts),
            accounts::check(facts),
        ]
    }
}

/// Judges all that was read. The store is asked only about orders of which a detail is missing, as they may have gone on.
///
/// # Errors
/// What cannot be put aside or read back, and what the store says.
pub(super) async fn judge(store: &Store, collected: Collected, room: &Room) -> Result<Report, AppError> {
    let Collected { mut facts, entities, mut orders, other_jobs, mut books } = collected;
    let (mut checks, mut joined) = (Checks::default(), Aside::new(Spill::new(room)?));
    checks.jobs.pass_over(other_jobs);

    let mut buckets = entities.into_spill().read()?;
    while let Some(bucket) = buckets.next()? {
        let mut each = bucket.each().peekable();
        while each.peek().is_some() {
            let mut replaying = Vec::new();
            for (of, entries) in each.by_ref().take(AT_ONCE) {
                replaying.push(alone(of, entries, &mut orders, &mut joined)?);
            }
            replaying.into_iter().for_each(|replaying| replaying.finish(&mut facts));
            for (customer, order) in take(&mut facts.counted) {
                orders.say(order.entity(), &Said::Counted(customer));
            }
            for (customer, order) in take(&mut facts.point_holds) {
                orders.say(order.entity(), &Said::HoldsPoints(customer));
            }
            for (id, cart) in take(&mut facts.carts) {
                joined.say(id.entity(), &Said::Cart(cart));
                if let (CartStatus::CheckedOut, Some(order)) = (cart.status, cart.order) {
                    orders.say(order.entity(), &Said::CheckedOut(id));
                }
            }
        }
        orders.sound()?;
        joined.sound()?;
    }

    let mut buckets = orders.into_spill().read()?;
    while let Some(bucket) = buckets.next()? {
        let mut each = bucket.each().peekable();
        while each.peek().is_some() {
            let mut gathered = Vec::new();
            for (of, entries) in each.by_ref().take(AT_ONCE) {
                gathered.push(order(&mut facts, of, entries, &mut books)?);
            }
            gathered.into_iter().try_for_each(|order| order.finish(&mut facts))?;
            // Whoever goes on meanwhile lets go of its means of payment in the transaction of its next snapshot.
            for order in without_token(&facts).collect::<Vec<_>>() {
                let version = facts.orders.get(&order).map_or(0, |order| order.version);
                let snapshot = store.snapshots.load(order.entity()).await?;
                if snapshot.is_some_and(|snapshot| snapshot.version > version) {
                    facts.details.gone_on.insert(order);
                }
            }
            checks.orders(&facts);
            for (id, order) in &facts.orders {
                joined.say(order.row.cart_id.entity(), &Said::Placed(*id, order.phase));
            }
            facts.let_go();
        }
        joined.sound()?;
    }
    facts.charge_log.damaged = books.damaged();

    let mut buckets = joined.into_spill().read()?;
    while let Some(bucket) = buckets.next()? {
        let mut each = bucket.each().peekable();
        while each.peek().is_some() {
            each.by_ref().take(AT_ONCE).try_for_each(|(of, entries)| cart(&mut facts, of, entries))?;
            checks.carts(&facts);
            facts.let_go();
        }
    }
    Ok(Report { findings: checks.finish(&facts), notes: codes::notes(&facts) })
}

/// What was put aside of an entity, and has to be what it was.
fn read(of: EntityRef, bytes: &[u8]) -> Result<Entry<'_>, AppError> {
    entry(of, bytes).map_err(|error| unreadable(of, &error))
}

fn unreadable(of: EntityRef, error: &str) -> AppError {
    io::Error::other(format!("what was put aside of {of} cannot be read again: {error}")).into()
}

/// Makes a cart or a customer, and puts aside what its orders and other carts have to know of its events.
fn alone<'a>(
    of: EntityRef,
    entries: impl Iterator<Item = &'a [u8]>,
    orders: &mut Aside,
    joined: &mut Aside,
) -> Result<Replaying, AppError> {
    let mut replaying = Replaying::new(of);
    for bytes in entries {
        match read(of, bytes)? {
            Entry::Snapshot(snapshot) => replaying.snapshot(snapshot),
            Entry::Record { line, checkpointed } => replaying.record(line, checkpointed, |seen| {
                let Seen::Cart(cart, event) = seen else { return };
                if let CartEvent::CheckoutStarted { order, terms, .. } = event
                    && terms.buyer.is_some()
                {
                    orders.say(order.entity(), &Said::Detailed);
                }
                if let Some(giver) = MergeFacts::giver(cart, event) {
                    joined.say(giver.entity(), &Said::Merged(cart, Box::new(event.clone())));
                }
            }),
            other => return Err(unreadable(of, &format!("{other:?}"))),
        }
    }
    Ok(replaying)
}

/// An order of which all is read.
struct Gathered<'a> {
    of: EntityRef,
    replaying: Replaying,
    row: Option<&'a [u8]>,
}

impl Gathered<'_> {
    fn finish(self, facts: &mut Facts) -> Result<(), AppError> {
        let Self { of, replaying, row } = self;
        replaying.finish(facts);
        if let Some(json) = row {
            let order = facts.orders.get(&OrderId::from_uuid(of.uuid));
            facts.rows.orders.push(read_row(order, json).map_err(|error| unreadable(of, &error))?);
        }
        Ok(())
    }
}

/// Gathers all that was said of an order, or of another entity that a job is about.
fn order<'a>(
    facts: &mut Facts,
    of: EntityRef,
    entries: impl Iterator<Item = &'a [u8]>,
    books: &mut Books,
) -> Result<Gathered<'a>, AppError> {
    let id = OrderId::from_uuid(of.uuid);
    let (mut replaying, mut charges, mut row) = (Replaying::new(of), Charges::default(), None);
    for bytes in entries {
        match read(of, bytes)? {
            Entry::Snapshot(snapshot) => replaying.snapshot(snapshot),
            Entry::Record { line, checkpointed } => replaying.record(line, checkpointed, |seen| {
                if let Seen::Order(id, event) = seen
                    && GivenBack::concerns(event)
                {
                    facts.given_back.entry(id).or_default().see(event);
                }
            }),
            Entry::Charge { line, number, before } => charges.take(facts, line, number, before, books),
            Entry::Row(json) => row = Some(json),
            Entry::Said(Said::DetailBefore(name)) => facts.details.before.push((id, name.into(), false)),
            Entry::Said(Said::DetailAfter(name, erased)) => {
                facts.details.after.insert((id, name.into()), erased);
            }
            Entry::Said(Said::Job(job, kind)) => {
                let kind = JobKind::from_name(&kind).ok_or_else(|| unreadable(of, &kind))?;
                facts.jobs.push((job, kind, of.into()));
            }
            Entry::Said(Said::Detailed) => _ = facts.details.recorded.insert(id),
            Entry::Said(Said::CheckedOut(cart)) => facts.checked_out.push((cart, id)),
            Entry::Said(Said::Counted(customer)) => facts.counted.push((customer, id)),
            Entry::Said(Said::HoldsPoints(customer)) => facts.point_holds.push((customer, id)),
            Entry::Said(Said::Dealt(vendor, dealt)) => {
                facts.trades.entry(vendor).or_default().0.entry(id).or_default().see(dealt);
            }
            other @ Entry::Said(Said::Cart(_) | Said::Merged(..) | Said::Placed(..)) => {
                return Err(unreadable(of, &format!("{other:?}")));
            }
        }
    }
    charges.finish(facts);
    Ok(Gathered { of, replaying, row })
}

/// The row that was put aside. Nearly always it is what the order says, and this is seen by its JSON.
fn read_row(order: Option<&OrderFacts>, json: &[u8]) -> Result<OrderRow, String> {
    if let Some(order) = order {
        let row = sorted(order.row.clone());
        if written(&row).is_ok_and(|own| own == json) {
            return Ok(row);
        }
    }
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

/// The lines of the sandbox's books about one order.
#[derive(Default)]
struct Charges {
    charges: ChargesOf,
    /// Whether what came after the journal's tails has begun.
    after: bool,
    /// Whether a line was wrong: those that follow it say nothing.
    broken: bool,
}

impl Charges {
    fn take(&mut self, facts: &mut Facts, line: &[u8], number: u64, before: bool, books: &mut Books) {
        if !before && !self.after {
            self.turn(facts);
        }
        if !self.broken
            && let Err(reason) = self.charges.take(line)
        {
            self.broken = true;
            books.broken(number, reason);
        }
    }

    /// What had been charged by then.
    fn turn(&mut self, facts: &mut Facts) {
        self.after = true;
        let charged = self.charges.entries().filter(|entry| entry.status == "charged");
        facts.charge_log.charged_before.extend(charged.map(|entry| (entry.order, entry.mint)));
    }

    fn finish(mut self, facts: &mut Facts) {
        if !self.after {
            self.turn(facts);
        }
        facts.charge_log.entries.extend(self.charges.entries().map(|entry| ((entry.order, entry.mint), entry)));
    }
}

/// Gathers what was said of a cart.
fn cart<'a>(facts: &mut Facts, of: EntityRef, entries: impl Iterator<Item = &'a [u8]>) -> Result<(), AppError> {
    let id = CartId::from_uuid(of.uuid);
    for bytes in entries {
        match read(of, bytes)? {
            Entry::Said(Said::Cart(cart)) => _ = facts.carts.insert(id, cart),
            Entry::Said(Said::Merged(cart, event)) => facts.merges.see(cart, &event),
            Entry::Said(Said::Placed(order, phase)) => _ = facts.placed.insert(order, Placed { cart: id, phase }),
            other => return Err(unreadable(of, &format!("{other:?}"))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::facts::samples::{facts, order_id};
    use super::*;
    use crate::domain::json;
    use std::path::PathBuf;

    const CHARGED: &str = r#"{"order":"$","status":"charged","amount_minor":20,"currency":"BDT","at":1}"#;

    /// What is known of the charges of an order with these lines, each of which was there before or came after.
    fn charged(lines: &[(&str, bool)]) -> (Facts, Books) {
        let (mut facts, mut charges) = (Facts::default(), Charges::default());
        let mut books = Books { path: PathBuf::from("books"), broken: None };
        for (number, (line, before)) in (7..).zip(lines) {
            let line = line.replace('$', &order_id(1).to_string());
            charges.take(&mut facts, line.as_bytes(), number, *before, &mut books);
        }
        charges.finish(&mut facts);
        (facts, books)
    }

    #[test]
    fn what_was_charged_before_is_told_from_what_came_after() {
        let refunded = CHARGED.replace("charged", "refunded");
        for (lines, before, status) in [
            (&[(CHARGED, true)][..], true, "charged"),
            (&[(CHARGED, true), (&refunded, false)], true, "refunded"),
            (&[(CHARGED, true), (&refunded, true)], false, "refunded"),
            (&[(CHARGED, false)], false, "charged"),
        ] {
            let (facts, books) = charged(lines);
            let key = (order_id(1), None);
            assert_eq!(facts.charge_log.charged_before.contains(&key), before, "{lines:?}");
            assert_eq!(facts.charge_log.entries[&key].status, status, "{lines:?}");
            assert_eq!(books.damaged(), None);
        }
        let (_, books) = charged(&[(CHARGED, true), (CHARGED, false), (&refunded, false)]);
        let told = format!("books is damaged at line 8: {} goes from charged to charged", order_id(1));
        assert!(books.damaged().is_some_and(|damaged| damaged.ends_with(&told)), "{:?}", books.damaged());
    }

    #[test]
    fn a_row_is_told_as_it_was_put_aside() {
        let facts = facts();
        let order = &facts.orders[&order_id(1)];
        let mut other = order.row.clone();
        other.amounts.paid += 1;
        other.lines[0].title = "Pillow".into();
        for row in [&order.row, &other] {
            let json = json::written(row).expect("JSON");
            assert_eq!(read_row(Some(order), &json).as_ref(), Ok(row));
            assert_eq!(read_row(None, &json).as_ref(), Ok(row));
        }
        read_row(Some(order), b"{}").expect_err("it is no row");
    }
}
