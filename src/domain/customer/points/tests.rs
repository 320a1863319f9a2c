//! What becomes of points, as a table: what happened, and what there is then.

use super::*;
use uuid::Uuid;

const DAY: i64 = limits::POINTS_EXTENDED_MS;
/// Until when every order needs what it holds.
const UNTIL: i64 = 1_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn order(number: u128) -> OrderId {
    OrderId::from_uuid(Uuid::from_u128(number))
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many, until then; below zero they are taken.
    Give(i64, i64),
    Hold(u128, i64),
    Spend(u128),
    Release(u128),
    /// By an order under a name: what is earned until then, what comes back, and what is taken back.
    Post(u128, u128, Option<(i64, i64)>, i64, i64),
    Tick,
}

/// What it comes to: the number of records, or the refusal.
fn does(points: &mut Points, step: Step, now: i64) -> Result<usize, Reject> {
    let now = at(now);
    let decided = match step {
        Step::Give(points, ends) => {
            let (expires_at, reason, by) = (at(ends), GivenFor::Other, None);
            vec![PointEvent::PointsGiven { points, expires_at, reason, by }]
        }
        Step::Hold(number, wanted) => points.decide_hold(order(number), at(UNTIL), wanted, now)?,
        Step::Spend(number) => points.decide_spend(order(number))?,
        Step::Release(number) => points.decide_release(order(number), at(UNTIL), now),
        Step::Post(number, name, earned, restored, taken_back) => {
            let (id, vendor) = (CreditId::from_uuid(Uuid::from_u128(name)), VendorId::from_uuid(Uuid::from_u128(3)));
            let (earned, expires_at) = earned.map_or((0, None), |(points, ends)| (points, Some(at(ends))));
            let posting = Posting { id, vendor, earned, expires_at, restored, taken_back, bought: 0 };
            points.decide_post(order(number), &[posting], |_| None, now)
        }
        Step::Tick => Vec::new(),
    };
    // As every record begins.
    let expired = if decided.is_empty() && !matches!(step, Step::Tick) { None } else { points.decide_expire(now) };
    let events: Vec<PointEvent> = expired.into_iter().chain(decided).collect();
    for event in &events {
        points.apply(event, now);
        assert_eq!(points.is_wrong(), None, "{step:?}: {event:?}");
    }
    Ok(events.len())
}

type Lots = &'static [(i64, bool, i64)];

/// What happened and when; what they have then, what is held, what they owe; what was earned, given, restored, spent, expired and taken back.
type Story = (&'static str, &'static [(i64, Step)], Lots, (i64, i64), [i64; 6]);

const STORIES: &[Story] = &[
    (
        "those that expire first are held first",
        &[(1, Step::Give(10, 500)), (1, Step::Give(10, 300)), (2, Step::Hold(1, 15))],
        &[(500, false, 5)],
        (15, 0),
        [0, 20, 0, 0, 0, 0],
    ),
    (
        "an echo holds nothing more, nor what is spent",
        &[
            (1, Step::Give(30, 500)),
            (2, Step::Hold(1, 10)),
            (3, Step::Hold(1, 10)),
            (4, Step::Spend(1)),
            (5, Step::Hold(1, 10)),
            (5, Step::Spend(1)),
        ],
        &[(500, false, 20)],
        (0, 0),
        [0, 30, 0, 10, 0, 0],
    ),
    (
        "what was released comes back as it was",
        &[(1, Step::Give(10, 500)), (2, Step::Hold(1, 10)), (3, Step::Release(1)), (4, Step::Release(1))],
        &[(500, false, 10)],
        (0, 0),
        [0, 10, 0, 0, 0, 0],
    ),
    (
        "what expired while it was held lives a day longer",
        &[(1, Step::Give(10, 500)), (2, Step::Hold(1, 10)), (600, Step::Tick), (700, Step::Release(1))],
        &[(700 + DAY, true, 10)],
        (0, 0),
        [0, 10, 0, 0, 0, 0],
    ),
    (
        "once",
        &[
            (1, Step::Give(10, 500)),
            (2, Step::Hold(1, 10)),
            (700, Step::Release(1)),
            (800, Step::Hold(2, 10)),
            (701 + DAY, Step::Release(2)),
        ],
        &[],
        (0, 0),
        [0, 10, 0, 0, 10, 0],
    ),
    (
        "what is not used in time is gone",
        &[(1, Step::Give(10, 500)), (1, Step::Give(5, 501)), (500, Step::Tick)],
        &[(501, false, 5)],
        (0, 0),
        [0, 15, 0, 0, 10, 0],
    ),
    (
        "what is missing is owed, and paid first by what comes in",
        &[
            (1, Step::Give(10, 500)),
            (2, Step::Post(1, 1, Some((4, 600)), 0, 0)),
            (3, Step::Give(-20, 0)),
            (4, Step::Post(2, 2, Some((9, 700)), 0, 0)),
        ],
        &[(700, false, 3)],
        (0, 0),
        [13, -10, 0, 0, 0, 0],
    ),
    (
        "also by what is released",
        &[
            (1, Step::Give(100, 500)),
            (2, Step::Hold(1, 100)),
            (3, Step::Post(2, 2, None, 0, 50)),
            (4, Step::Release(1)),
        ],
        &[(500, false, 50)],
        (0, 0),
        [0, 100, 0, 0, 0, 50],
    ),
    (
        "and by what comes back of what was spent",
        &[
            (1, Step::Give(10, 500)),
            (2, Step::Hold(1, 10)),
            (3, Step::Spend(1)),
            (4, Step::Give(-4, 0)),
            (5, Step::Post(1, 1, None, 6, 0)),
        ],
        &[(500, false, 2)],
        (0, 0),
        [0, 6, 6, 10, 0, 0],
    ),
    (
        "a posting counts once",
        &[
            (1, Step::Post(1, 1, Some((8, 500)), 0, 0)),
            (2, Step::Post(1, 1, Some((8, 500)), 0, 0)),
            (3, Step::Post(1, 2, None, 0, 3)),
            (4, Step::Post(1, 2, None, 0, 3)),
            // Another order's of the same name is another one.
            (5, Step::Post(2, 1, Some((1, 500)), 0, 0)),
        ],
        &[(500, false, 6)],
        (0, 0),
        [9, 0, 0, 0, 0, 3],
    ),
    (
        "those that expire last come back first, and what expired lives a day",
        &[
            (1, Step::Give(10, 300)),
            (1, Step::Give(10, 900)),
            (2, Step::Hold(1, 20)),
            (3, Step::Spend(1)),
            (400, Step::Post(1, 1, None, 5, 0)),
            (401, Step::Post(1, 2, None, 10, 0)),
        ],
        &[(900, false, 10), (401 + DAY, true, 5)],
        (0, 0),
        [0, 20, 15, 20, 0, 0],
    ),
    (
        "also when nobody remembers it",
        &[
            (1, Step::Give(10, 300)),
            (2, Step::Hold(1, 10)),
            (3, Step::Spend(1)),
            (400, Step::Give(1, 10 * DAY)),
            (401, Step::Post(1, 1, None, 10, 0)),
        ],
        &[(401 + DAY, true, 10), (10 * DAY, false, 1)],
        (0, 0),
        [0, 11, 10, 10, 0, 0],
    ),
    (
        "but not what has lived for that day, whatever happened meanwhile",
        &[
            (1, Step::Give(10, 300)),
            (1, Step::Give(10, 10 * DAY)),
            (2, Step::Hold(1, 10)),
            (400, Step::Release(1)),
            (500, Step::Hold(2, 20)),
            (501, Step::Spend(2)),
            (2 * DAY, Step::Give(1, 11 * DAY)),
            (3 * DAY, Step::Post(2, 1, None, 15, 0)),
            (11 * DAY, Step::Give(1, 12 * DAY)),
            (11 * DAY, Step::Post(2, 2, None, 5, 0)),
        ],
        &[(12 * DAY, false, 1)],
        (0, 0),
        [0, 22, 10, 20, 11, 0],
    ),
    (
        "what is gone for good is not asked for again",
        &[
            (1, Step::Give(10, 300)),
            (1, Step::Give(10, 900)),
            (2, Step::Hold(1, 10)),
            (400, Step::Release(1)),
            (500, Step::Hold(2, 20)),
            (501, Step::Spend(2)),
            (2 * DAY, Step::Post(2, 1, None, 10, 0)),
            (2 * DAY + 1, Step::Post(2, 2, None, 10, 0)),
        ],
        &[(3 * DAY + 1, true, 10)],
        (0, 0),
        [0, 20, 10, 20, 0, 0],
    ),
];

#[test]
fn points_come_and_go_as_the_table_says() {
    for (name, steps, lots, (held, debt), totals) in STORIES {
        let mut points = Points::default();
        for (now, step) in *steps {
            does(&mut points, *step, *now).unwrap_or_else(|reject| panic!("{name}: {step:?}: {reject:?}"));
            // As a snapshot has it, it goes on in the same way.
            points = serde_json::from_value(serde_json::to_value(&points).unwrap()).unwrap();
        }
        let has: Vec<(i64, bool, i64)> =
            points.lots().map(|lot| (lot.expires_at.as_millis(), lot.extended, lot.points)).collect();
        assert_eq!(has, *lots, "{name}");
        assert_eq!((points.held(), points.debt()), (*held, *debt), "{name}");
        let PointTotals { earned, restored, spent, expired, taken_back, given } = points.totals();
        assert_eq!([earned, given, restored, spent, expired, taken_back], *totals, "{name}");
    }
}

#[test]
fn what_cannot_be_held_or_spent_is_refused() {
    let short = |available| Err(Reject::PointsInsufficient { available });
    for (steps, now, step, told) in [
        (vec![], 1, Step::Hold(1, 1), short(0)),
        (vec![(1, Step::Give(5, 500))], 1, Step::Hold(1, 6), short(5)),
        // What has expired cannot be spent, whether or not that is recorded.
        (vec![(1, Step::Give(5, 500))], 500, Step::Hold(1, 1), short(0)),
        // What is held cannot be held for another.
        (vec![(1, Step::Give(5, 500)), (1, Step::Hold(1, 3))], 1, Step::Hold(2, 3), short(2)),
        (
            vec![(1, Step::Give(5, 5_000)), (1, Step::Hold(1, 3)), (1, Step::Release(1))],
            1,
            Step::Hold(1, 3),
            Err(Reject::HoldClosed),
        ),
        (vec![(1, Step::Give(5, 5_000))], UNTIL, Step::Hold(1, 3), Err(Reject::HoldClosed)),
        (vec![(1, Step::Give(5, 500))], 1, Step::Spend(1), Err(Reject::HoldUnknown)),
        (
            vec![(1, Step::Give(5, 500)), (1, Step::Hold(1, 3)), (1, Step::Release(1))],
            1,
            Step::Spend(1),
            Err(Reject::HoldUnknown),
        ),
    ] {
        let mut points = Points::default();
        for (now, step) in steps.iter().copied() {
            does(&mut points, step, now).unwrap();
        }
        assert_eq!(does(&mut points, step, now), told, "{steps:?} {step:?}");
    }
}
