//! A coupon by itself, and beside a plain model of what may be held and used.

use super::*;
use crate::domain::money::Currency;
use crate::domain::pricing::{Promotion, PromotionKind, Scope};
use crate::domain::who::{Member, VendorRole};
use proptest::prelude::*;
use std::collections::HashMap;
use uuid::Uuid;

fn order(number: u128) -> OrderId {
    OrderId::from_uuid(Uuid::from_u128(number))
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn bdt(minor: i64) -> Money {
    Money::new(minor, Currency::BDT)
}

fn key(number: u8) -> BuyerKey {
    BuyerKey([number, 0, 0, 0, 0, 0, 0, number])
}

/// A tenth off, from 10 to 1,000.
fn terms() -> CouponTerms {
    CouponTerms {
        promotion: Promotion {
            kind: PromotionKind::Percent { basis_points: 1_000 },
            scope: Scope::default(),
            min_subtotal: None,
            max_discount: None,
            excludes_sale_items: false,
            platform_bp: 10_000,
        },
        starts_at: at(10),
        ends_at: at(1_000),
        usage_limit: None,
        limit_per_customer: None,
        budget: None,
        combines: false,
        restores_on: RestoresOn::Cancel,
    }
}

fn coupon() -> Coupon {
    Coupon::new(CouponId::of_code("E1D10"))
}

fn create(single_use: bool, terms: CouponTerms) -> CouponCommand {
    let code = CouponCode::new("EID10").expect("a code");
    CouponCommand::Create { by: Principal::SHOP, code, single_use, terms: Box::new(terms) }
}

fn ask(coupon: &mut Coupon, command: &CouponCommand, now: i64) -> Result<usize, Reject> {
    coupon.heard(command, at(now));
    let events = coupon.decide(command, &Knowledge::NOTHING, at(now))?;
    for event in &events {
        coupon.apply(event, at(now));
        coupon.check().expect("it adds up");
    }
    Ok(events.len())
}

fn made(single_use: bool, terms: CouponTerms) -> Coupon {
    let mut coupon = coupon();
    assert_eq!(ask(&mut coupon, &create(single_use, terms), 1), Ok(1));
    coupon
}

fn hold(number: u128) -> CouponCommand {
    CouponCommand::HoldUse {
        order: order(number),
        until: at(500),
        serial: None,
        keys: vec![key(1)],
        version: 1,
        amount: bdt(10),
    }
}

fn release(number: u128) -> CouponCommand {
    CouponCommand::ReleaseUse { order: order(number), until: at(500) }
}

fn commit(number: u128) -> CouponCommand {
    CouponCommand::CommitUse { order: order(number) }
}

fn edit(change: CouponChange) -> CouponCommand {
    CouponCommand::Edit { by: Principal::SHOP, change: Box::new(change) }
}

#[test]
fn a_place_that_is_given_back_is_had_by_the_next_and_one_that_is_paid_is_gone() {
    let mut coupon = made(false, CouponTerms { usage_limit: Some(2), ..terms() });
    assert_eq!(ask(&mut coupon, &hold(1), 20), Ok(1));
    assert_eq!(ask(&mut coupon, &hold(1), 20), Ok(0), "once");
    assert_eq!(ask(&mut coupon, &hold(2), 20), Ok(1));
    assert_eq!(ask(&mut coupon, &hold(3), 20), Err(Reject::CouponExhausted));
    assert_eq!(ask(&mut coupon, &release(2), 21), Ok(1));
    assert_eq!(ask(&mut coupon, &hold(2), 22), Err(Reject::HoldClosed), "it comes late");
    assert_eq!(ask(&mut coupon, &hold(3), 22), Ok(1));
    for number in [1, 3] {
        assert_eq!(ask(&mut coupon, &commit(number), 23), Ok(1));
        assert_eq!(ask(&mut coupon, &commit(number), 24), Ok(0), "it is heard again");
        assert_eq!(ask(&mut coupon, &hold(number), 24), Ok(0), "it is the echo of an old request");
    }
    assert_eq!(ask(&mut coupon, &commit(9), 24), Err(Reject::HoldUnknown));
    // It is closed with the next record, or a second later, and stays used.
    assert_eq!(ask(&mut coupon, &CouponCommand::Close { order: order(1) }, 30), Ok(0));
    let due = at(30).plus_millis(limits::HOLD_CLOSE_MS);
    assert_eq!(coupon.timer().expect("something to close").0, due.min(at(500)));
    assert_eq!(ask(&mut coupon, &CouponCommand::Tick, due.as_millis()), Ok(1));
    assert_eq!(ask(&mut coupon, &hold(4), 40), Err(Reject::CouponExhausted));
    let row = coupon.row().expect("a coupon");
    assert_eq!((row.held, row.used), (0, 2));
}

#[test]
fn refusals_go_in_their_order() {
    let limited = CouponTerms { usage_limit: Some(1), limit_per_customer: Some(1), budget: Some(bdt(100)), ..terms() };
    let mut full = made(false, limited);
    let with = |change: fn(&mut CouponCommand)| {
        let mut command = hold(7);
        change(&mut command);
        command
    };
    let nobody = with(|command| {
        if let CouponCommand::HoldUse { keys, .. } = command {
            keys.clear();
        }
    });
    let other_version = with(|command| {
        if let CouponCommand::HoldUse { version, .. } = command {
            *version = 2;
        }
    });
    let yen = with(|command| {
        if let CouponCommand::HoldUse { amount, .. } = command {
            *amount = Money::new(10, "JPY".parse().expect("a currency"));
        }
    });
    assert_eq!(ask(&mut coupon(), &hold(7), 20), Err(Reject::CouponUnknown));
    assert_eq!(ask(&mut full, &hold(1), 20), Ok(1));
    // What is asked, when, what is told: the use that there is is held.
    let not = |why| Reject::CouponNotApplicable { coupon: "EID10".into(), why };
    for (command, now, told) in [
        (&nobody, 2_000, Reject::EmailRequired),
        (&other_version, 1_000, Reject::CouponExpired),
        (&hold(7), 9, not(NotApplicable::NotStarted)),
        (&other_version, 20, Reject::CouponTermsChanged),
        (&yen, 20, not(NotApplicable::Currency)),
        (&hold(7), 999, Reject::CouponExhausted),
    ] {
        assert_eq!(ask(&mut full, command, now), Err(told), "{command:?}");
    }
    assert_eq!(ask(&mut full, &edit(CouponChange { usage_limit: Some(None), ..Default::default() }), 21), Ok(1));
    let again = with(|command| {
        if let CouponCommand::HoldUse { version, .. } = command {
            *version = 2;
        }
    });
    assert_eq!(ask(&mut full, &again, 22), Err(Reject::CouponLimitReached { limit: 1 }));
}

#[test]
fn a_budget_is_taken_whole_or_not_at_all() {
    let mut coupon = made(false, CouponTerms { budget: Some(bdt(25)), ..terms() });
    assert_eq!(ask(&mut coupon, &hold(1), 20), Ok(1));
    assert_eq!(ask(&mut coupon, &hold(2), 20), Ok(1));
    assert_eq!(ask(&mut coupon, &hold(3), 20), Err(Reject::CouponExhausted), "5 are left of it");
    assert_eq!(ask(&mut coupon, &commit(1), 21), Ok(1));
    assert_eq!(ask(&mut coupon, &release(2), 21), Ok(1));
    assert_eq!(ask(&mut coupon, &hold(3), 22), Ok(1));
    let row = coupon.row().expect("a coupon");
    assert_eq!((row.amount_held, row.amount_used), (10, 10));
}

/// The limit holds by any key: an alias brings nothing, and a second key does not either.
#[test]
fn a_buyer_is_known_by_any_key() {
    let mut coupon = made(false, CouponTerms { limit_per_customer: Some(1), ..terms() });
    let by = |number, keys: &[u8]| {
        let keys = keys.iter().map(|number| key(*number)).collect();
        let CouponCommand::HoldUse { order, until, serial, version, amount, .. } = hold(number) else { unreachable!() };
        CouponCommand::HoldUse { order, until, serial, version, amount, keys }
    };
    assert_eq!(ask(&mut coupon, &by(1, &[1, 2]), 20), Ok(1));
    let reached = Err(Reject::CouponLimitReached { limit: 1 });
    for keys in [&[1][..], &[2], &[2, 3], &[3, 1]] {
        assert_eq!(ask(&mut coupon, &by(2, keys), 20), reached, "{keys:?}");
    }
    assert_eq!(ask(&mut coupon, &by(2, &[3]), 20), Ok(1));
    assert_eq!(ask(&mut coupon, &release(1), 21), Ok(1));
    assert_eq!(ask(&mut coupon, &by(3, &[1, 2]), 22), Ok(1), "what was not paid counts no more");
}

#[test]
fn a_code_for_one_use_is_good_once_and_only_if_it_was_made() {
    let mut coupon = made(true, terms());
    let of = |number, serial| {
        let CouponCommand::HoldUse { order, until, keys, version, amount, .. } = hold(number) else { unreachable!() };
        CouponCommand::HoldUse { order, until, keys, version, amount, serial }
    };
    let issue = |count| CouponCommand::IssueCodes { by: Principal::SHOP, count };
    assert_eq!(ask(&mut coupon, &of(1, Some(0)), 20), Err(Reject::CouponUnknown));
    assert_eq!(ask(&mut coupon, &issue(5_000), 20), Ok(1));
    let Some(Ok(CouponReply::Codes { from: 0, upto: 5_000, .. })) = coupon.reply(&issue(5_000), true) else {
        panic!("the first codes")
    };
    assert_eq!(ask(&mut coupon, &of(1, Some(4_999)), 20), Ok(1));
    assert_eq!(ask(&mut coupon, &of(2, Some(4_999)), 20), Err(Reject::CouponExhausted));
    assert_eq!(ask(&mut coupon, &of(2, Some(5_000)), 20), Err(Reject::CouponUnknown));
    assert_eq!(ask(&mut coupon, &of(2, None), 20), Err(Reject::CouponUnknown));
    assert_eq!(ask(&mut coupon, &release(1), 21), Ok(1));
    assert_eq!(ask(&mut coupon, &of(2, Some(4_999)), 21), Ok(1));
    assert_eq!(ask(&mut coupon, &commit(2), 22), Ok(1));
    assert_eq!(ask(&mut coupon, &of(3, Some(4_999)), 23), Err(Reject::CouponExhausted));
    for (count, is_much) in [(0, false), (10_001, true)] {
        assert!(matches!(ask(&mut coupon, &issue(count), 24), Err(Reject::CouponMalformed { .. })), "{is_much}");
    }
    let mut many = made(false, terms());
    let told = Reject::CouponNotApplicable { coupon: "EID10".into(), why: NotApplicable::NotSingleUse };
    assert_eq!(ask(&mut many, &issue(1), 20), Err(told));
}

#[test]
fn an_edit_is_another_version_and_never_below_what_was_given() {
    let mut coupon = made(false, CouponTerms { usage_limit: Some(3), budget: Some(bdt(30)), ..terms() });
    assert_eq!(ask(&mut coupon, &hold(1), 20), Ok(1));
    assert_eq!(ask(&mut coupon, &hold(2), 20), Ok(1));
    assert_eq!(ask(&mut coupon, &commit(2), 20), Ok(1));
    let limit = |limit| edit(CouponChange { usage_limit: Some(limit), ..Default::default() });
    let budget = |budget| edit(CouponChange { budget: Some(budget), ..Default::default() });
    let in_use = Err(Reject::CouponInUse { uses: 2 });
    assert_eq!(ask(&mut coupon, &limit(Some(1)), 21), in_use);
    assert_eq!(ask(&mut coupon, &budget(Some(bdt(19))), 21), in_use);
    assert_eq!(ask(&mut coupon, &budget(Some(Money::new(19, "JPY".parse().expect("a currency")))), 21), in_use);
    assert_eq!(ask(&mut coupon, &limit(Some(3)), 21), Ok(0), "it is so already");
    assert_eq!(ask(&mut coupon, &limit(Some(2)), 21), Ok(1));
    assert_eq!(coupon.row().expect("a coupon").version, 2);
    assert_eq!(ask(&mut coupon, &hold(3), 21), Err(Reject::CouponTermsChanged));
    // What was held by the old terms is committed all the same.
    assert_eq!(ask(&mut coupon, &commit(1), 22), Ok(1));
}

#[test]
fn terms_that_cannot_be_are_refused() {
    let with = |change: fn(&mut CouponTerms)| {
        let mut changed = terms();
        change(&mut changed);
        changed
    };
    for (wrong, field) in [
        (with(|terms| terms.promotion.kind = PromotionKind::Percent { basis_points: 0 }), "basis_points"),
        (with(|terms| terms.promotion.kind = PromotionKind::Percent { basis_points: 10_001 }), "basis_points"),
        (with(|terms| terms.promotion.kind = PromotionKind::Amount { amount: bdt(0) }), "amount"),
        (with(|terms| terms.promotion.platform_bp = 10_001), "funded_by"),
        (with(|terms| terms.ends_at = terms.starts_at), "ends_at"),
        (with(|terms| terms.usage_limit = Some(0)), "usage_limit"),
        (with(|terms| terms.limit_per_customer = Some(0)), "limit_per_customer"),
        (with(|terms| terms.budget = Some(bdt(-1))), "budget"),
        (with(|terms| terms.promotion.min_subtotal = Some(bdt(0))), "min_subtotal"),
        (
            with(|terms| {
                terms.promotion.kind = PromotionKind::FreeShipping;
                terms.promotion.max_discount = Some(bdt(1));
            }),
            "max_discount",
        ),
        (with(|terms| terms.promotion.scope.vendors = vec![VendorId::from_uuid(Uuid::nil()); 201]), "scope"),
    ] {
        match ask(&mut coupon(), &create(false, wrong), 1) {
            Err(Reject::CouponMalformed { field: told, .. }) => assert_eq!(told, field),
            other => panic!("{field}: {other:?}"),
        }
    }
    let two = with(|terms| {
        terms.budget = Some(bdt(1));
        terms.promotion.min_subtotal = Some(Money::new(1, "JPY".parse().expect("a currency")));
    });
    assert!(matches!(ask(&mut coupon(), &create(false, two), 1), Err(Reject::CurrencyMismatch { .. })));
    let mut taken = made(false, terms());
    assert_eq!(ask(&mut taken, &create(false, terms()), 2), Err(Reject::CouponCodeTaken));
}

#[test]
fn a_vendors_coupon_is_about_its_own_goods_and_is_shown_to_no_other() {
    let vendor = |number| VendorId::from_uuid(Uuid::from_u128(number));
    let member = |number, role| Principal::Member(Member { account: None, vendor: vendor(number), role });
    let mut own = coupon();
    let CouponCommand::Create { code, single_use, mut terms, .. } = create(false, terms()) else { unreachable!() };
    terms.promotion.scope.vendors = vec![vendor(2)];
    let by = member(1, VendorRole::Manager);
    assert_eq!(ask(&mut own, &CouponCommand::Create { by, code, single_use, terms }, 1), Ok(1));
    let row = own.row().expect("a coupon");
    assert_eq!((row.vendor_id, row.terms.promotion.platform_bp), (Some(vendor(1)), 0));
    assert_eq!(row.terms.promotion.scope.vendors, [vendor(1)]);
    for (by, told) in [
        (Principal::SHOP, Ok(0)),
        (member(1, VendorRole::Finance), Ok(0)),
        (member(1, VendorRole::Packer), Err(Reject::CouponUnknown)),
        (member(2, VendorRole::Owner), Err(Reject::CouponUnknown)),
    ] {
        assert_eq!(ask(&mut own, &CouponCommand::Get { by }, 2), told, "{by:?}");
    }
    let change = CouponChange {
        platform_bp: Some(5_000),
        scope: Some(Scope::default()),
        combines: Some(true),
        ..Default::default()
    };
    let change = Box::new(change);
    let by = member(2, VendorRole::Owner);
    assert_eq!(ask(&mut own, &CouponCommand::Edit { by, change: change.clone() }, 2), Err(Reject::CouponUnknown));
    let by = member(1, VendorRole::Owner);
    assert_eq!(ask(&mut own, &CouponCommand::Edit { by, change }, 2), Ok(1));
    let row = own.row().expect("a coupon");
    assert_eq!((row.terms.promotion.platform_bp, row.terms.promotion.scope.vendors), (0, vec![vendor(1)]));
}

/// What a use takes, in the model.
#[derive(Clone, Debug)]
struct Use {
    keys: Vec<BuyerKey>,
    serial: u32,
    amount: i64,
    paid: bool,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Hold { order: u8, serial: u32, keys: (u8, u8), amount: i64 },
    Commit(u8),
    Release(u8),
    Close(u8),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..24u8, 0..9_000u32, (0..6u8, 0..6u8), 0..40i64)
            .prop_map(|(order, serial, keys, amount)| Step::Hold { order, serial: serial % 12 * 700, keys, amount }),
        2 => (0..24u8).prop_map(Step::Commit),
        2 => (0..24u8).prop_map(Step::Release),
        1 => (0..24u8).prop_map(Step::Close),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    /// Whatever is asked and however often, no limit is passed, and what the model has room for is held.
    #[test]
    fn it_holds_what_a_plain_model_would(
        steps in prop::collection::vec(step(), 1..120),
        single_use: bool,
        usage_limit in prop::option::of(1..12u64),
        limit_per_customer in prop::option::of(1..4u32),
        budget in prop::option::of(1..200i64),
    ) {
        let limited = CouponTerms { usage_limit, limit_per_customer, budget: budget.map(bdt), ..terms() };
        let mut coupon = made(single_use, limited);
        if single_use {
            ask(&mut coupon, &CouponCommand::IssueCodes { by: Principal::SHOP, count: 9_000 }, 2).expect("codes");
        }
        let mut uses: HashMap<u8, Use> = HashMap::new();
        let (mut released, mut closed): (Vec<u8>, Vec<u8>) = Default::default();
        let mut parts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for (now, step) in (20..).zip(steps) {
            match step {
                // An order that is settled asks for nothing any more.
                Step::Hold { order: number, .. } if closed.contains(&number) => {}
                Step::Hold { order: number, serial, keys: (one, other), amount } => {
                    let mut keys = vec![key(one), key(other)];
                    keys.dedup();
                    let command = CouponCommand::HoldUse {
                        order: order(number.into()), until: at(500), serial: Some(serial), keys: keys.clone(), version: 1,
                        amount: bdt(amount),
                    };
                    let told = ask(&mut coupon, &command, now);
                    let of = |key: &BuyerKey| uses.values().filter(|used| used.keys.contains(key)).count() as u32;
                    let spent: i64 = uses.values().map(|used| used.amount).sum();
                    let is_taken = single_use && uses.values().any(|used| used.serial == serial);
                    let fits = !released.contains(&number)
                        && !is_taken
                        && usage_limit.is_none_or(|limit| (uses.len() as u64) < limit)
                        && budget.is_none_or(|budget| spent + amount <= budget)
                        && limit_per_customer.is_none_or(|limit| keys.iter().all(|key| of(key) < limit));
                    let has_one = uses.contains_key(&number);
                    if has_one {
                        prop_assert_eq!(told, Ok(0));
                    } else {
                        prop_assert_eq!(told.is_ok(), fits, "{:?}", told);
                        if fits {
                            uses.insert(number, Use { keys, serial, amount, paid: false });
                        }
                    }
                }
                Step::Commit(number) => {
                    let told = ask(&mut coupon, &commit(number.into()), now);
                    match uses.get_mut(&number) {
                        Some(used) => {
                            // Once it is closed nobody asks any more.
                            prop_assert!(told.is_ok() || used.paid, "{:?}", told);
                            used.paid = true;
                        }
                        None => prop_assert_eq!(told, Err(Reject::HoldUnknown)),
                    }
                }
                // No order that is paid gives anything back.
                Step::Release(number) if uses.get(&number).is_none_or(|used| !used.paid) => {
                    ask(&mut coupon, &release(number.into()), now).expect("a release");
                    uses.remove(&number);
                    if !released.contains(&number) {
                        released.push(number);
                    }
                }
                Step::Close(number) if uses.get(&number).is_some_and(|used| used.paid) => {
                    ask(&mut coupon, &CouponCommand::Close { order: order(number.into()) }, now).expect("a close");
                    closed.push(number);
                }
                Step::Release(_) | Step::Close(_) => {}
                Step::Restart => {
                    for Part { name, state } in coupon.delta().parts {
                        match state {
                            Some(state) => drop(parts.insert(name, state)),
                            None => drop(parts.remove(&name)),
                        }
                    }
                    let all: Vec<Part> =
                        parts.iter().map(|(name, state)| Part { name: name.clone(), state: Some(state.clone()) }).collect();
                    let again = Coupon::restore(coupon.id, &all).expect("a snapshot");
                    prop_assert_eq!(again.row(), coupon.row());
                    prop_assert!(again.check().is_ok());
                    coupon = again;
                    // What was restored has given its parts.
                    coupon.gave_delta = true;
                }
            }
            let row = coupon.row().expect("a coupon");
            let held = uses.values().filter(|used| !used.paid).count() as u64;
            prop_assert_eq!((row.held, row.used), (held, uses.len() as u64 - held));
            if budget.is_some() {
                let spent: i64 = uses.values().map(|used| used.amount).sum();
                prop_assert_eq!(row.amount_held + row.amount_used, spent);
            }
        }
    }
}
