//! A coupon against a plain model, which keeps what is counted of each use and sums it up anew. It calls nothing of the code that it judges. A
//! refusal must be one of those that the model finds.

use crate::kept::{Kept, Tally};
use crate::random::config;
use haat::domain::buyer::BuyerKey;
use haat::domain::coupon::{
    Coupon, CouponChange, CouponCode, CouponCommand, CouponTerms, RestoresOn, ReturnedPart, ReturnedUse,
};
use haat::domain::entity::Principal;
use haat::domain::ids::{CouponId, CreditId, OrderId};
use haat::domain::money::{Currency, Money};
use haat::domain::pricing::{NotApplicable, Promotion, PromotionKind, Scope};
use haat::domain::reject::Reject;
use haat::domain::time::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

const BEGIN: i64 = 1_700_000_000_000;
const ORDERS: usize = 24;
const KEYS: u8 = 4;
/// How long an order has for its payment.
const ORDER_MS: i64 = 20_000;
const CODE: &str = "EID10";

fn order_id(number: usize) -> OrderId {
    OrderId::from_uuid(Uuid::from_u128(0x30 + number as u128))
}

fn credit_id(number: usize, at: usize) -> CreditId {
    CreditId::from_uuid(Uuid::from_u128(((number as u128) << 32) + at as u128))
}

fn key(number: u8) -> BuyerKey {
    BuyerKey([number; 8])
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn bdt(minor: i64) -> Money {
    Money::new(minor, Currency::BDT)
}

/// The terms, as far as they count.
#[derive(Clone, Debug, PartialEq)]
struct Terms {
    starts: i64,
    ends: i64,
    uses: Option<u64>,
    each: Option<u32>,
    budget: Option<i64>,
    restores: RestoresOn,
}

#[derive(Clone, Debug)]
struct Asked {
    serial: Option<u32>,
    keys: Vec<u8>,
    /// Versions before the newest.
    behind: u64,
    amount: i64,
    yen: bool,
}

#[derive(Clone, Debug)]
enum Edit {
    Nothing,
    Starts(i64),
    Ends(i64),
    Uses(Option<u64>),
    Each(Option<u32>),
    Budget(Option<i64>),
    Restores(RestoresOn),
}

#[derive(Clone, Debug)]
enum Do {
    Edit(Edit),
    Issue(u32),
    Hold(usize, Asked),
    Commit(usize),
    Release(usize),
    Close(usize),
    /// A paid order was cancelled: so much of its discount, or all that is left of it.
    Return(usize, i64, bool),
    /// It says what it said last of that.
    ReturnAgain(usize),
    /// It has heard.
    CloseReturns(usize),
    Pass(i64),
    /// To the start or the end, or a millisecond before or after it.
    PassToTheNext(i64),
    Checkpoint,
    Crash,
}

fn terms() -> impl Strategy<Value = Terms> {
    let limits = (prop::option::of(1..12_u64), prop::option::of(1..4_u32), prop::option::of(1..200_i64));
    (-2..3_i64, 4..40_i64, limits, restores()).prop_map(|(starts, lasts, (uses, each, budget), restores)| {
        let starts = BEGIN + starts * 500;
        Terms { starts, ends: starts + lasts * 500, uses, each, budget, restores }
    })
}

fn restores() -> impl Strategy<Value = RestoresOn> {
    prop::sample::select(vec![RestoresOn::Cancel, RestoresOn::Cancel, RestoresOn::Refund, RestoresOn::Never])
}

fn what() -> impl Strategy<Value = Do> {
    let order = || 0..ORDERS;
    let edit = prop_oneof![
        1 => Just(Edit::Nothing),
        1 => (-4..3_i64).prop_map(|halves| Edit::Starts(halves * 500)),
        1 => (-1..20_i64).prop_map(|halves| Edit::Ends(halves * 500)),
        2 => prop::option::weighted(0.8, 0..16_u64).prop_map(Edit::Uses),
        2 => prop::option::weighted(0.8, 0..5_u32).prop_map(Edit::Each),
        2 => prop::option::weighted(0.8, 0..300_i64).prop_map(Edit::Budget),
        1 => restores().prop_map(Edit::Restores),
    ];
    let keys = prop_oneof![1 => Just(Vec::new()), 8 => prop::sample::subsequence((0..KEYS).collect::<Vec<_>>(), 1..=2)];
    let behind = prop::sample::select(vec![0, 0, 0, 0, 0, 0, 1]);
    // What is kept has its borders at multiples of 4,096, and there the codes that were made often end.
    let serial = prop::option::weighted(
        0.95,
        (0..3_u32, 0..3_u32).prop_map(|(block, at)| (block * 4_096 + at).saturating_sub(1)),
    );
    let asked = (serial, keys, behind, 0..60_i64, prop::bool::weighted(0.05))
        .prop_map(|(serial, keys, behind, amount, yen)| Asked { serial, keys, behind, amount, yen });
    prop_oneof![
        3 => edit.prop_map(Do::Edit),
        1 => prop::sample::select(vec![0, 1, 2, 4_000, 4_096, 10_000, 10_001]).prop_map(Do::Issue),
        12 => (order(), asked).prop_map(|(order, asked)| Do::Hold(order, asked)),
        3 => order().prop_map(Do::Commit),
        4 => order().prop_map(Do::Release),
        1 => order().prop_map(Do::Close),
        4 => (order(), 0..60_i64, any::<bool>()).prop_map(|(order, amount, whole)| Do::Return(order, amount, whole)),
        2 => order().prop_map(Do::ReturnAgain),
        1 => order().prop_map(Do::CloseReturns),
        1 => prop::sample::select(vec![1, 500, 1_000, ORDER_MS]).prop_map(Do::Pass),
        1 => (-1..2_i64).prop_map(Do::PassToTheNext),
        1 => Just(Do::Checkpoint),
        1 => Just(Do::Crash),
    ]
}

/// What is counted of a use. What nobody counted when it was held is not counted afterwards, whatever the terms are then.
#[derive(Clone, Debug)]
struct Use {
    serial: Option<u32>,
    keys: Vec<u8>,
    amount: i64,
    paid: bool,
}

/// A credit of a paid order, as the order says it: with what was counted, and what was not given back before.
#[derive(Clone, Debug)]
struct Returned {
    serial: Option<u32>,
    keys: Vec<u8>,
    amount: i64,
    whole: bool,
    /// Whether it was seen to.
    done: bool,
}

/// What an order has said of its credits.
#[derive(Clone, Debug)]
struct Returns {
    /// What of the discount it has not credited yet.
    left: i64,
    credits: Vec<Returned>,
    /// Whether it has heard of the last.
    closed: bool,
}

/// The oracle.
#[derive(Debug)]
struct Model {
    now: i64,
    single_use: bool,
    terms: Terms,
    version: u64,
    issued: u32,
    uses: BTreeMap<usize, Use>,
    until: BTreeMap<usize, i64>,
    released: BTreeSet<usize>,
    /// Those that are settled ask for nothing any more.
    settled: BTreeSet<usize>,
    returns: BTreeMap<usize, Returns>,
    /// What of the budget is taken by orders whose use is free again: parts that were cancelled while nothing came back.
    kept: i64,
}

impl Model {
    fn amount(&self, paid: bool) -> i64 {
        let kept = if paid { self.kept } else { 0 };
        self.uses.values().filter(|used| used.paid == paid).map(|used| used.amount).sum::<i64>() + kept
    }

    fn of(&self, key: u8) -> u32 {
        self.uses.values().filter(|used| used.keys.contains(&key)).count() as u32
    }

    /// All that is wrong with one use more.
    fn refuse(&self, number: usize, asked: &Asked) -> Vec<Reject> {
        let Terms { starts, ends, uses, each, budget, .. } = self.terms;
        let not = |why| Reject::CouponNotApplicable { coupon: CODE.into(), why };
        let spent = self.amount(false) + self.amount(true);
        let is_unknown = self.single_use && asked.serial.is_none_or(|serial| serial >= self.issued);
        let same = |used: &Use| self.single_use && used.serial == asked.serial;
        let is_used = self.uses.values().any(same);
        let is_full = uses.is_some_and(|uses| self.uses.len() as u64 >= uses);
        let is_spent = budget.is_some_and(|budget| spent + asked.amount > budget);
        let have_theirs = each.is_some_and(|each| asked.keys.iter().any(|key| self.of(*key) >= each));
        let all = [
            (is_unknown, Reject::CouponUnknown),
            (each.is_some() && asked.keys.is_empty(), Reject::EmailRequired),
            (self.now >= ends, Reject::CouponExpired),
            (self.now < starts, not(NotApplicable::NotStarted)),
            (asked.behind > 0, Reject::CouponTermsChanged),
            (asked.yen && budget.is_some(), not(NotApplicable::Currency)),
            (is_used || is_full || is_spent, Reject::CouponExhausted),
            (have_theirs, Reject::CouponLimitReached { limit: each.unwrap_or(0) }),
            (self.released.contains(&number) || self.until[&number] <= self.now, Reject::HoldClosed),
        ];
        all.into_iter().filter(|(is, _)| *is).map(|(_, reject)| reject).collect()
    }

    /// Why the terms cannot become these: the field that makes no sense, or what was taken already.
    fn refuse_terms(&self, terms: &Terms) -> Vec<&'static str> {
        let makes_sense = terms.starts < terms.ends
            && terms.uses != Some(0)
            && terms.each != Some(0)
            && terms.budget.is_none_or(|budget| budget > 0);
        let spent = self.amount(false) + self.amount(true);
        let most = (0..KEYS).map(|key| self.of(key)).max().unwrap_or(0);
        // What was taken of a budget stays in it, in its currency.
        let other_budget = spent > 0 && terms.budget.is_some() != self.terms.budget.is_some();
        let in_use = terms.uses.is_some_and(|uses| uses < self.uses.len() as u64)
            || terms.each.is_some_and(|each| each < most)
            || terms.budget.is_some_and(|budget| budget < spent)
            || other_budget;
        let all = [(!makes_sense, "coupon_malformed"), (in_use && *terms != self.terms, "coupon_in_use")];
        all.into_iter().filter(|(is, _)| *is).map(|(_, code)| code).collect()
    }
}

fn written(terms: &Terms) -> CouponTerms {
    CouponTerms {
        promotion: Promotion {
            kind: PromotionKind::Percent { basis_points: 1_000 },
            scope: Scope::default(),
            min_subtotal: None,
            max_discount: None,
            excludes_sale_items: false,
            platform_bp: 10_000,
        },
        starts_at: at(terms.starts),
        ends_at: at(terms.ends),
        usage_limit: terms.uses,
        limit_per_customer: terms.each,
        budget: terms.budget.map(bdt),
        combines: false,
        restores_on: terms.restores,
    }
}

/// What was told is what the model says: done, or one of the refusals that it found.
fn agree(told: Result<(), &'static str>, wrong: &[&'static str], what: &Do) -> Result<(), TestCaseError> {
    let is_one = told.map_or_else(|told| wrong.contains(&told), |()| wrong.is_empty());
    prop_assert!(is_one, "{:?}: it said {:?}, and of it should be said {:?}", what, told, wrong);
    Ok(())
}

fn code<T>(told: &Result<T, Reject>) -> Result<(), &'static str> {
    told.as_ref().map(|_| ()).map_err(Reject::code)
}

/// Does it in both, and compares what is told.
fn act(coupon: &mut Kept<Coupon>, model: &mut Model, what: &Do, tally: &Tally) -> Result<(), TestCaseError> {
    let (by, now) = (Principal::SHOP, at(model.now));
    match what {
        Do::Edit(edit) => {
            let mut terms = model.terms.clone();
            let mut change = CouponChange::default();
            match edit {
                Edit::Nothing => {}
                Edit::Starts(after) => {
                    terms.starts = model.now + after;
                    change.starts_at = Some(at(terms.starts));
                }
                Edit::Ends(after) => {
                    terms.ends = model.now + after;
                    change.ends_at = Some(at(terms.ends));
                }
                Edit::Uses(uses) => (terms.uses, change.usage_limit) = (*uses, Some(*uses)),
                Edit::Each(each) => (terms.each, change.limit_per_customer) = (*each, Some(*each)),
                Edit::Restores(restores) => (terms.restores, change.restores_on) = (*restores, Some(*restores)),
                Edit::Budget(budget) => (terms.budget, change.budget) = (*budget, Some(budget.map(bdt))),
            }
            let wrong = model.refuse_terms(&terms);
            let told = coupon.ask(&CouponCommand::Edit { by, change: Box::new(change) }, now);
            tally.count_told("edit", &told);
            agree(code(&told), &wrong, what)?;
            if wrong.is_empty() && terms != model.terms {
                (model.terms, model.version) = (terms, model.version + 1);
            }
        }
        Do::Issue(count) => {
            let told = coupon.ask(&CouponCommand::IssueCodes { by, count: *count }, now);
            tally.count_told("issue", &told);
            let mut wrong = Vec::new();
            if !model.single_use {
                wrong.push("coupon_not_applicable");
            }
            if *count < 1 || *count > 10_000 {
                wrong.push("coupon_malformed");
            }
            agree(code(&told), &wrong, what)?;
            model.issued += if wrong.is_empty() { *count } else { 0 };
        }
        Do::Hold(number, asked) => {
            if model.settled.contains(number) {
                return Ok(());
            }
            let until = *model.until.entry(*number).or_insert(model.now + ORDER_MS);
            let currency = if asked.yen { "JPY".parse().expect("a currency") } else { Currency::BDT };
            let command = CouponCommand::HoldUse {
                order: order_id(*number),
                until: at(until),
                serial: asked.serial,
                keys: asked.keys.iter().map(|number| key(*number)).collect(),
                version: model.version.wrapping_sub(asked.behind),
                amount: Money::new(asked.amount, currency),
            };
            let wrong = model.refuse(*number, asked);
            let told = coupon.ask(&command, now);
            if model.uses.contains_key(number) {
                prop_assert_eq!(told, Ok(Vec::new()), "it is the echo of an old request");
                return Ok(());
            }
            tally.count_told("hold", &told);
            // The refusal itself, not its name alone: a limit is told with it.
            let is_one = told.as_ref().map_or_else(|told| wrong.contains(told), |_| wrong.is_empty());
            prop_assert!(is_one, "{:?}: it said {:?}, and of it should be said {:?}", what, told, wrong);
            if told.is_ok() {
                let serial = asked.serial.filter(|_| model.single_use);
                let keys = if model.terms.each.is_some() { asked.keys.clone() } else { Vec::new() };
                let amount = if model.terms.budget.is_some() { asked.amount } else { 0 };
                model.uses.insert(*number, Use { serial, keys, amount, paid: false });
            }
        }
        Do::Commit(number) => {
            if model.settled.contains(number) {
                return Ok(());
            }
            let told = coupon.ask(&CouponCommand::CommitUse { order: order_id(*number) }, now);
            tally.count_told("commit", &told);
            let used = model.uses.get_mut(number);
            let wrong: &[_] = if used.is_some() { &[] } else { &["hold_unknown"] };
            used.into_iter().for_each(|used| used.paid = true);
            agree(code(&told), wrong, what)?;
        }
        Do::Release(number) => {
            // No order that is paid gives anything back so.
            let Some(until) = model.until.get(number) else { return Ok(()) };
            if model.uses.get(number).is_some_and(|used| used.paid) {
                return Ok(());
            }
            let told = coupon.ask(&CouponCommand::ReleaseUse { order: order_id(*number), until: at(*until) }, now);
            agree(code(&told), &[], what)?;
            if model.uses.remove(number).is_some() {
                tally.count("released");
            }
            model.released.insert(*number);
        }
        Do::Close(number) => {
            if model.uses.get(number).is_some_and(|used| used.paid) {
                let told = coupon.ask(&CouponCommand::Close { order: order_id(*number) }, now);
                agree(code(&told), &[], what)?;
                model.settled.insert(*number);
            }
        }
        Do::Return(number, amount, whole) => {
            let Some(used) = model.uses.get(number).filter(|used| used.paid) else { return Ok(()) };
            let first = Returns { left: used.amount, credits: Vec::new(), closed: true };
            let returns = model.returns.entry(*number).or_insert(first);
            if returns.credits.last().is_some_and(|last| last.whole) {
                return Ok(());
            }
            let amount = if *whole { returns.left } else { (*amount).min(returns.left) };
            returns.left -= amount;
            let Use { serial, keys, .. } = used.clone();
            returns.credits.push(Returned { serial, keys, amount, whole: *whole, done: false });
            returns.closed = false;
            // Only a settled order takes anything back; what it says of being settled may have been lost.
            model.settled.insert(*number);
            give_back(coupon, model, *number, tally)?;
        }
        Do::ReturnAgain(number) => {
            if model.returns.get(number).is_some_and(|returns| !returns.closed) {
                tally.count("returned again");
                give_back(coupon, model, *number, tally)?;
            }
        }
        Do::CloseReturns(number) => {
            let Some(returns) = model.returns.get_mut(number).filter(|returns| !returns.closed) else { return Ok(()) };
            returns.closed = true;
            let credits = (0..returns.credits.len()).map(|at| credit_id(*number, at)).collect();
            let told = coupon.ask(&CouponCommand::CloseReturns { order: order_id(*number), credits }, now);
            agree(code(&told), &[], what)?;
        }
        Do::Pass(millis) => {
            model.now += millis;
            coupon.ask(&CouponCommand::Tick, at(model.now)).expect("time passes");
        }
        Do::PassToTheNext(beside) => {
            let next = [model.terms.starts, model.terms.ends].into_iter().filter(|moment| *moment > model.now).min();
            model.now = next.map_or(model.now, |moment| (moment + beside).max(model.now));
        }
        Do::Checkpoint => coupon.checkpoint(),
        Do::Crash => coupon.crash(),
    }
    Ok(())
}

/// The order says its last credit, for the first time or again.
fn give_back(coupon: &mut Kept<Coupon>, model: &mut Model, number: usize, tally: &Tally) -> Result<(), TestCaseError> {
    let returns = model.returns.get_mut(&number).expect("it has credits");
    let at_last = returns.credits.len() - 1;
    let last = &mut returns.credits[at_last];
    let returned = Box::new(ReturnedUse {
        order: order_id(number),
        credits: vec![(
            credit_id(number, at_last),
            ReturnedPart { amount: last.amount, whole: last.whole, ..ReturnedPart::default() },
        )],
        serial: last.serial,
        keys: last.keys.iter().map(|number| key(*number)).collect(),
    });
    let told = coupon.ask(&CouponCommand::ReturnUse { returned }, at(model.now));
    prop_assert!(told.is_ok(), "{:?}", told);
    let is_over = model.now >= model.terms.ends;
    if model.terms.restores == RestoresOn::Never || is_over {
        tally.count(if is_over { "returned too late" } else { "never returned" });
    } else if !last.done {
        last.done = true;
        tally.count(if last.whole { "returned whole" } else { "returned in part" });
        let used = model.uses.get_mut(&number).expect("a use");
        used.amount -= last.amount;
        if last.whole {
            model.kept += used.amount;
            model.uses.remove(&number);
        }
    }
    Ok(())
}

/// Compares every figure.
fn compare(coupon: &Coupon, model: &Model) -> Result<(), TestCaseError> {
    let row = coupon.row().expect("a coupon");
    let used = model.uses.values().filter(|used| used.paid).count() as u64;
    let held = model.uses.len() as u64 - used;
    prop_assert_eq!((row.held, row.used), (held, used));
    prop_assert_eq!((row.amount_held, row.amount_used), (model.amount(false), model.amount(true)));
    prop_assert_eq!((row.version, row.issued), (model.version, model.issued));
    prop_assert_eq!(row.terms, written(&model.terms));
    for number in model.until.keys() {
        let open = coupon.holds().open(order_id(*number)).map(|hold| {
            let held = &hold.what;
            (held.serial, held.keys.clone(), held.amount)
        });
        let says = model.uses.get(number).filter(|used| !used.paid).map(|used| {
            let keys: Vec<BuyerKey> = used.keys.iter().map(|number| key(*number)).collect();
            (used.serial, keys, used.amount)
        });
        prop_assert_eq!(open, says, "what is held for order {}", number);
    }
    Ok(())
}

/// What must have come of it, or the runs show nothing.
const DRAWN: [&str; 23] = [
    "edit: done",
    "edit: coupon_malformed",
    "edit: coupon_in_use",
    "issue: done",
    "issue: coupon_malformed",
    "issue: coupon_not_applicable",
    "hold: done",
    "hold: coupon_unknown",
    "hold: email_required",
    "hold: coupon_expired",
    "hold: coupon_not_applicable",
    "hold: coupon_terms_changed",
    "hold: coupon_exhausted",
    "hold: coupon_limit_reached",
    "hold: hold_closed",
    "commit: done",
    "commit: hold_unknown",
    "released",
    "returned in part",
    "returned whole",
    "returned again",
    "returned too late",
    "never returned",
];

#[test]
fn a_coupon_agrees_with_the_model() {
    let tally = Tally::default();
    let run = |(single_use, terms, steps): (bool, Terms, Vec<Do>)| {
        let mut coupon = Kept::new(CouponId::of_code("E1D10"));
        let code = CouponCode::new(CODE).expect("a code");
        let create = CouponCommand::Create { by: Principal::SHOP, code, single_use, terms: Box::new(written(&terms)) };
        coupon.ask(&create, at(BEGIN)).expect("a coupon");
        let (uses, until) = (BTreeMap::new(), BTreeMap::new());
        let (released, settled) = (BTreeSet::new(), BTreeSet::new());
        let (version, issued, returns, kept) = (1, 0, BTreeMap::new(), 0);
        let mut model =
            Model { now: BEGIN, single_use, terms, version, issued, uses, until, released, settled, returns, kept };
        if single_use {
            act(&mut coupon, &mut model, &Do::Issue(4_096), &tally)?;
        }
        for what in &steps {
            act(&mut coupon, &mut model, what, &tally)?;
            compare(&coupon.entity, &model)?;
        }
        coupon.checkpoint();
        coupon.crash();
        compare(&coupon.entity, &model)
    };
    let steps = (any::<bool>(), terms(), prop::collection::vec(what(), 1..120));
    TestRunner::new(config(1024)).run(&steps, run).unwrap_or_else(|why| panic!("{why}"));
    tally.check(&DRAWN);
}
