//! The rows of jobs: begun once, by the owner alone, and ended by whoever began them.

use crate::fixture::take;
use crate::samples::{at, order_id};
use crate::{on_all_stores, on_both_stores};
use haat::domain::ids::{EntityId, JobId};
use haat::domain::job::{Job, JobKind, JobState, Target, TryOutcome};
use haat::domain::time::Timestamp;
use haat::ports::jobs::{JobFilter, JobTurn, JobsBegun, NewJob, Retried, Retry};
use haat::ports::{BeginFrom, Made, Partition, Pass, Store, StoreError};
use uuid::Uuid;

const NAME: &str = "order_mails";

fn id(number: u128) -> JobId {
    JobId::from_uuid(Uuid::from_u128(number))
}

/// Has these jobs come into being, each so many milliseconds after the first moment.
async fn add(store: &Store, place: u64, jobs: &[(u128, i64)]) -> Result<bool, StoreError> {
    let new = |(number, time): &(u128, i64)| NewJob {
        id: id(*number),
        kind: JobKind::OrderPaidMail,
        about: order_id("first").entity().into(),
        version: 3,
        at: at(*time),
    };
    let made = Made { jobs: jobs.iter().map(new).collect(), ..Made::default() };
    store.followers.begin_follower(NAME, BeginFrom::First).await.expect("begun");
    store.followers.pass(Pass { follower: NAME, moves: &[(3, place, place + 1)], made: &made }).await
}

fn turn<'a>(owned: &'a [Partition], begin: &'a [(Target, usize)], now: i64) -> JobTurn<'a> {
    JobTurn { owned, tried: &[], running: None, begin, now: at(now) }
}

fn numbers(begun: &JobsBegun) -> Vec<u128> {
    begun.jobs.iter().map(|job| job.id.uuid().as_u128()).collect()
}

async fn stands(store: &Store, number: u128) -> (JobState, u32, Option<Timestamp>) {
    let row = store.jobs.job(id(number)).await.expect("a row").expect("it is there");
    (row.state, row.tries, row.next_at)
}

const TWO: &[(Target, usize)] = &[(Target::Mail, 2)];
const MANY: &[(Target, usize)] = &[(Target::Mail, 100)];

on_all_stores! {
    async fn the_earliest_jobs_begin_and_none_begins_twice(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        assert_eq!(store.jobs.turn(turn(&owned, MANY, 100)).await.expect("a turn"), JobsBegun::default());
        assert!(add(&store, 0, &[(3, 30), (1, 10), (2, 20)]).await.expect("written"));
        let begun = store.jobs.turn(turn(&owned, TWO, 25)).await.expect("a turn");
        let mut first = numbers(&begun);
        first.sort_unstable();
        assert_eq!(first, [1, 2]);
        assert_eq!(begun.next, [(Target::Mail, at(30))]);
        let whole = begun.jobs.iter().find(|job| job.id == id(1)).copied();
        let about = order_id("first").entity().into();
        let kind = JobKind::OrderPaidMail;
        assert_eq!(whole, Some(Job { id: id(1), kind, about, made_at: at(10), tries: 1, unknown: false }));
        assert_eq!(stands(&store, 1).await, (JobState::Sending, 1, None));
        let none = store.jobs.turn(turn(&owned, MANY, 29)).await.expect("a turn");
        assert_eq!((numbers(&none), none.next), (vec![], vec![(Target::Mail, at(30))]));
        assert_eq!(numbers(&store.jobs.turn(turn(&owned, MANY, 30)).await.expect("a turn")), [3]);
    }

    async fn what_came_of_tries_is_written_by_whoever_made_them(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        assert!(add(&store, 0, &[(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]).await.expect("written"));
        let begun = store.jobs.turn(turn(&owned, MANY, 10)).await.expect("a turn");
        let job = |number| *begun.jobs.iter().find(|job| job.id == id(number)).expect("it was begun");
        let failed = || TryOutcome::Failed { reason: "শব্দ".into(), retry_after: None, silent: false };
        let tried = [
            job(1).after(TryOutcome::Done, at(11)),
            job(2).after(failed(), at(11)),
            job(3).after(TryOutcome::Unknown { reason: "lost".into() }, at(11)),
            job(4).after(TryOutcome::Refused { reason: "550".into() }, at(11)),
            job(5).after(TryOutcome::Suppressed("erased"), at(11)),
        ];
        let ended = JobTurn { tried: &tried, ..turn(&owned, MANY, 11) };
        // Given again, as after an outcome that was unknown, it changes nothing.
        for _ in 0..2 {
            let next = store.jobs.turn(ended).await.expect("a turn");
            assert_eq!(numbers(&next), []);
            for tried in &tried {
                let row = store.jobs.job(tried.id).await.expect("a row").expect("it is there");
                assert_eq!((row.state, row.tries, row.next_at, &row.note), (tried.state, 1, tried.next_at, &tried.note));
            }
        }
        // Past their time those that wait are begun, and what is unknown is known to be.
        let later = 100_000;
        let mut begun = store.jobs.turn(turn(&owned, MANY, later)).await.expect("a turn");
        begun.jobs.sort_unstable_by_key(|job| job.id);
        assert_eq!(begun.jobs.iter().map(|job| (job.tries, job.unknown)).collect::<Vec<_>>(), [(2, false), (2, true)]);
        assert_eq!(stands(&store, 3).await, (JobState::LookingUp, 2, None));
        // What is said of an earlier try comes too late.
        let late = store.jobs.turn(JobTurn { tried: &tried[1..3], ..turn(&owned, MANY, later) }).await.expect("a turn");
        assert_eq!(numbers(&late), []);
        assert_eq!(stands(&store, 2).await, (JobState::Sending, 2, None));
    }

    async fn what_was_never_begun_is_put_back(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        assert!(add(&store, 0, &[(1, 1), (2, 2)]).await.expect("written"));
        // A turn whose answer was lost.
        let lost = store.jobs.turn(turn(&owned, MANY, 10)).await.expect("a turn");
        let unknown = lost.jobs[0].after(TryOutcome::Unknown { reason: "lost".into() }, at(11));
        let (first, second) = (lost.jobs[0].id, lost.jobs[1].id);
        let running = [second];
        let begin: &[(Target, usize)] = &[];
        let put_back = JobTurn { running: Some(&running), ..turn(&owned, begin, 11) };
        store.jobs.turn(put_back).await.expect("a turn");
        let row = async |id| store.jobs.job(id).await.expect("a row").expect("it is there");
        assert_eq!((row(first).await.state, row(first).await.tries), (JobState::Due, 0));
        assert_eq!((row(second).await.state, row(second).await.tries), (JobState::Sending, 1));
        // An unknown one stays unknown.
        let begun = store.jobs.turn(turn(&owned, MANY, 12)).await.expect("a turn");
        assert_eq!(begun.jobs[0].id, first);
        store.jobs.turn(JobTurn { tried: &[unknown], ..turn(&owned, begin, 13) }).await.expect("a turn");
        let looked_up = store.jobs.turn(turn(&owned, MANY, 100_000)).await.expect("a turn");
        assert!(looked_up.jobs[0].unknown);
        store.jobs.turn(JobTurn { running: Some(&running), ..turn(&owned, begin, 100_001) }).await.expect("a turn");
        assert_eq!(row(first).await.state, JobState::Unknown);
    }

    async fn the_next_owner_looks_up_what_was_under_way(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        assert!(add(&store, 0, &[(1, 1), (2, 2)]).await.expect("written"));
        let begun = store.jobs.turn(turn(&owned, &[(Target::Mail, 1)], 10)).await.expect("a turn");
        assert_eq!(store.jobs.take_over(&owned, at(11)).await.expect("an owner"), 0, "what is its own it is at");
        let taken = take(&store, "next").await;
        let fenced = store.jobs.turn(turn(&owned, MANY, 12)).await;
        assert!(matches!(fenced, Err(StoreError::Fenced)), "{fenced:?}");
        assert!(matches!(store.jobs.take_over(&owned, at(12)).await, Err(StoreError::Fenced)));
        assert_eq!(store.jobs.take_over(&taken, at(13)).await.expect("an owner"), 1);
        assert_eq!(stands(&store, 1).await, (JobState::Unknown, 1, Some(at(13))));
        let mut again = store.jobs.turn(turn(&taken, MANY, 13)).await.expect("a turn");
        again.jobs.sort_unstable_by_key(|job| job.id);
        assert_eq!(again.jobs.iter().map(|job| (job.tries, job.unknown)).collect::<Vec<_>>(), [(2, true), (1, false)]);
        // Whatever the former owner still finds out, it is not asked any more.
        let done = begun.jobs[0].after(TryOutcome::Done, at(14));
        let late = store.jobs.turn(JobTurn { tried: &[done], ..turn(&owned, &[], 14) }).await;
        assert!(matches!(late, Err(StoreError::Fenced)), "{late:?}");
        assert_eq!(stands(&store, 1).await, (JobState::LookingUp, 2, None));
    }
}

on_both_stores! {
    async fn a_job_that_comes_twice_is_a_fault_and_leaves_nothing(fixture) {
        let (store, _) = fixture.open_and_take().await;
        assert!(add(&store, 0, &[(1, 1)]).await.expect("written"));
        assert!(matches!(add(&store, 1, &[(4, 40), (1, 10)]).await, Err(StoreError::Invalid(_))));
        assert_eq!(store.jobs.job(id(4)).await.expect("an answer"), None);
        assert!(add(&store, 1, &[(4, 40)]).await.expect("the cursor stands where it stood"));
    }

    async fn more_jobs_than_one_statement_takes_are_all_there(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        let jobs: Vec<(u128, i64)> = (1..=200).map(|number| (number, 1)).collect();
        assert!(add(&store, 0, &jobs).await.expect("written"));
        let begun = store.jobs.turn(turn(&owned, &[(Target::Mail, 150)], 2)).await.expect("a turn");
        let tried: Vec<_> = begun.jobs.iter().map(|job| job.after(TryOutcome::Done, at(3))).collect();
        assert_eq!(tried.len(), 150);
        let rest = store.jobs.turn(JobTurn { tried: &tried, ..turn(&owned, &[(Target::Mail, 100)], 3) }).await;
        assert_eq!(rest.expect("a turn").jobs.len(), 50);
        let kind = JobKind::OrderPaidMail;
        assert_eq!(store.jobs.open().await.expect("counts"), [(kind, JobState::Sending, 50)]);
    }

    async fn operators_find_what_gave_up_and_have_it_tried_anew(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        assert!(add(&store, 0, &[(1, 1), (2, 2), (3, 2), (4, 3), (5, 50)]).await.expect("written"));
        let begun = store.jobs.turn(turn(&owned, MANY, 10)).await.expect("a turn");
        let refused = || TryOutcome::Refused { reason: "550".into() };
        let tried: Vec<_> = begun.jobs.iter().map(|job| match job.id.uuid().as_u128() {
            4 => job.after(TryOutcome::Done, at(11)),
            _ => job.after(refused(), at(11)),
        }).collect();
        store.jobs.turn(JobTurn { tried: &tried, ..turn(&owned, &[], 11) }).await.expect("a turn");

        let list = |state, after, limit| {
            let filter = JobFilter { kind: Some(JobKind::OrderPaidMail), state };
            let rows = store.jobs.list(filter, after, limit);
            async { rows.await.expect("rows").iter().map(|row| row.id.uuid().as_u128()).collect::<Vec<_>>() }
        };
        let gave_up = Some(JobState::GaveUp);
        assert_eq!(list(gave_up, None, 10).await, [3, 2, 1]);
        assert_eq!(list(gave_up, None, 2).await, [3, 2]);
        assert_eq!(list(gave_up, Some((at(2), id(3))), 10).await, [2, 1]);
        assert_eq!(list(gave_up, Some((at(1), id(1))), 10).await, []);
        assert_eq!(list(Some(JobState::Done), None, 10).await, [4]);
        assert_eq!(list(Some(JobState::Due), None, 10).await, [5]);
        assert_eq!(list(None, None, 10).await, [5, 4, 3, 2, 1]);
        let kind = JobKind::OrderPaidMail;
        let mut open = store.jobs.open().await.expect("counts");
        open.sort_unstable();
        assert_eq!(open, [(kind, JobState::Due, 1), (kind, JobState::GaveUp, 3)]);

        let retry = |number, moment| {
            let retry = Retry { at: at(moment), by: "rina".into(), reason: format!("reason {moment}") };
            let retried = store.jobs.retry(id(number), retry);
            async { retried.await.expect("an answer") }
        };
        assert_eq!(retry(2, 20).await, Retried::Due);
        assert_eq!(stands(&store, 2).await, (JobState::Due, 0, Some(at(20))));
        assert_eq!(retry(2, 21).await, Retried::Stands(JobState::Due));
        assert_eq!(retry(4, 21).await, Retried::Stands(JobState::Done));
        assert_eq!(retry(9, 21).await, Retried::Unknown);
        let again = store.jobs.turn(turn(&owned, MANY, 20)).await.expect("a turn");
        assert_eq!((numbers(&again), again.jobs[0].tries), (vec![2], 1));

        // Who wanted it is kept, of the last of them so many.
        let retries = async |number| {
            let row = store.jobs.job(id(number)).await.expect("an answer").expect("a job");
            row.retries.iter().map(|retry| (retry.at, retry.by.clone(), retry.reason.clone())).collect::<Vec<_>>()
        };
        assert_eq!(retries(2).await, [(at(20), "rina".to_owned(), "reason 20".to_owned())]);
        assert_eq!(retries(4).await, []);
        let tried: Vec<_> = again.jobs.iter().map(|job| job.after(refused(), at(21))).collect();
        store.jobs.turn(JobTurn { tried: &tried, ..turn(&owned, &[], 21) }).await.expect("a turn");
        for moment in 30..45 {
            assert_eq!(retry(2, moment).await, Retried::Due);
            let again = store.jobs.turn(turn(&owned, MANY, moment)).await.expect("a turn");
            let tried: Vec<_> = again.jobs.iter().map(|job| job.after(refused(), at(moment))).collect();
            store.jobs.turn(JobTurn { tried: &tried, ..turn(&owned, &[], moment) }).await.expect("a turn");
        }
        let kept: Vec<_> = retries(2).await.into_iter().map(|(at, ..)| at).collect();
        assert_eq!(kept, (35..45).rev().map(at).collect::<Vec<_>>());
        let listed = store.jobs.list(JobFilter::default(), None, 10).await.expect("rows");
        assert!(listed.iter().all(|row| (row.retries.len() == 10) == (row.id == id(2))), "{listed:?}");
    }

    async fn what_is_done_is_forgotten_in_its_time_and_nothing_else(fixture) {
        let (store, owned) = fixture.open_and_take().await;
        assert!(add(&store, 0, &[(1, 1), (2, 2), (3, 3), (4, 4), (5, 1), (6, 1)]).await.expect("written"));
        let begun = store.jobs.turn(turn(&owned, &[(Target::Mail, 5)], 10)).await.expect("a turn");
        let tried: Vec<_> = begun.jobs.iter().map(|job| match job.id.uuid().as_u128() {
            5 => job.after(TryOutcome::Refused { reason: "550".into() }, at(11)),
            3 => job.after(TryOutcome::Suppressed("erased"), at(11)),
            _ => job.after(TryOutcome::Done, at(11)),
        }).collect();
        store.jobs.turn(JobTurn { tried: &tried, ..turn(&owned, &[], 11) }).await.expect("a turn");
        let is_there = |number| {
            let job = store.jobs.job(id(number));
            async { job.await.expect("an answer").is_some() }
        };
        assert_eq!(store.jobs.forget(at(1), 10).await.expect("forgotten"), 0);
        let gone = store.jobs.forget(at(4), 1).await.expect("forgotten");
        assert_eq!(gone, 2, "one that was done, and one that was suppressed");
        while store.jobs.forget(at(4), 1).await.expect("forgotten") > 0 {}
        let mut left = Vec::new();
        for number in 1..=6 {
            if is_there(number).await {
                left.push(number);
            }
        }
        assert_eq!(left.len(), begun_and_kept(&begun), "{left:?}");
        assert!(left.contains(&5), "what gave up is kept");
    }
}

/// Of six jobs of which five were begun: those that gave up, that wait, or that came into being too late to be forgotten.
fn begun_and_kept(begun: &JobsBegun) -> usize {
    let ended = |job: &&Job| job.made_at < at(4) && job.id != id(5);
    6 - begun.jobs.iter().filter(ended).count()
}
