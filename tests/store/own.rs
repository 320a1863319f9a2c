//! What an account has of its own, the service with its rows: addresses that several change at once, another e-mail address, and what becomes of
//! all of it when its owner wants to be forgotten.

use crate::accounts::{Desk, GOOD, email, home, refused};
use crate::fixture::take;
use crate::on_both_stores;
use crate::samples::{at, frame, of_customer, order_delta, order_id, order_row, paid, write_all};
use haat::domain::details::{Contact, Detail, DetailName};
use haat::domain::entity::Principal;
use haat::domain::ids::{AccountId, AddressId, JobId, OrderId};
use haat::domain::job::{About, JobKind};
use haat::domain::order::{Address, OrderStatus};
use haat::domain::rows::OrderRow;
use haat::limits;
use haat::persistence::services::Repositories;
use haat::ports::jobs::NewJob;
use haat::ports::units::{Statement, Unit, UnitEnd, Value};
use haat::ports::{Clock, EntityDelta};
use haat::services::accounts::{Account, Kept, KeptAddress, NewEmail, Nonce, Person, Refusal, SeatChange, Wrote};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::slice::from_ref;
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use uuid::Uuid;

fn address(line1: &str) -> Address {
    Address {
        name: "Fina".into(),
        line1: line1.into(),
        line2: None,
        city: "Dhaka".into(),
        postcode: None,
        region: None,
        country: "BD".into(),
        phone: Some("+8801712345678".into()),
    }
}

impl Desk {
    pub async fn keeps(&self, account: AccountId, line1: &str) -> Kept {
        let id = AddressId::from_uuid(Uuid::from_u128(7));
        self.accounts.keep_address(account, id, address(line1), None).await.expect("an answer")
    }

    async fn changes(&self, kept: &KeptAddress, change: impl Fn(&mut Address)) -> Result<KeptAddress, Refusal> {
        let changed = |now: &mut Address| {
            change(now);
            Ok::<_, Infallible>(())
        };
        let changed = self.accounts.change_address(kept.account, kept.id, changed).await?;
        Ok(changed.unwrap_or_else(|never| match never {}))
    }
}

on_both_stores! {
    /// The second is decided anew of what the first has left, and both are there.
    async fn of_two_changes_of_one_address_none_is_lost(fixture) {
        let desk = Desk::new(&fixture).await;
        let account = desk.has_account("fina@example.com").await.account.id;
        let Kept::Done(kept) = desk.keeps(account, "12 Lake Road").await else { panic!("it is kept") };
        let seen = Cell::new(0);
        // Another change comes after this one has read the address, and before it writes.
        let changed = desk.changes(&kept, |now| {
            seen.set(seen.get() + 1);
            if seen.get() == 1 {
                let other = desk.changes(&kept, |now| now.postcode = Some("1205".into()));
                block_in_place(|| Handle::current().block_on(other)).expect("changed");
            }
            now.line1 = "14 Lake Road".into();
        });
        let changed = changed.await.expect("changed");
        assert_eq!((seen.get(), changed.version), (2, 3));
        let expected = Address { postcode: Some("1205".into()), ..address("14 Lake Road") };
        assert_eq!(changed.address, expected);
        assert_eq!(desk.accounts.addresses(account).await.expect("addresses"), from_ref(&changed));
        // What was decided on is another by now.
        let own = Repositories::new(&desk.store.units).own;
        for (version, wrote) in [(1, Wrote::Moved), (2, Wrote::Moved), (3, Wrote::Done)] {
            let after = KeptAddress { version: version + 1, ..changed.clone() };
            assert_eq!(own.change_address(&after, version).await, Ok(wrote), "{version}");
        }
        // One that changes nothing writes nothing.
        assert_eq!(desk.changes(&kept, |_| {}).await.expect("as it is").version, 4);
    }

    /// An address that is let go of while it is changed is gone, and one that is refused stays as it was.
    async fn what_comes_between_may_be_the_end_of_an_address(fixture) {
        let desk = Desk::new(&fixture).await;
        let account = desk.has_account("fina@example.com").await.account.id;
        let Kept::Done(kept) = desk.keeps(account, "12 Lake Road").await else { panic!("it is kept") };
        let refused = desk.accounts.change_address(account, kept.id, |_| Err("no")).await.expect("an answer");
        assert_eq!((refused, desk.accounts.addresses(account).await.expect("addresses")), (Err("no"), vec![*kept.clone()]));
        let gone = desk.changes(&kept, |now| {
            let other = desk.accounts.drop_address(account, kept.id);
            block_in_place(|| Handle::current().block_on(other)).expect("gone");
            now.line1 = "14 Lake Road".into();
        });
        assert!(matches!(gone.await, Err(Refusal::Unknown)));
        assert_eq!(desk.accounts.addresses(account).await.expect("addresses"), []);
    }

    /// The notice of another e-mail address goes to the one that there was, also when the new one is verified before it is sent.
    async fn the_notice_of_another_address_goes_to_the_one_before(fixture) {
        let desk = Desk::new(&fixture).await;
        let account = desk.has_account("fina@example.com").await.account.id;
        desk.accounts.change_email(account, email("new@example.com"), GOOD, &home()).await.expect("taken");
        let notice = desk.mails().await.into_iter().find(|mail| mail.1 == JobKind::EmailChangeMail).expect("a notice");
        let token = desk.token_of(JobKind::NewEmailMail).await;
        desk.accounts.verify(&token, GOOD, &home()).await.expect("changed");
        let letter = desk.letter(notice).await.expect("a letter");
        assert_eq!((letter.to.as_str(), letter.token), ("fina@example.com", None));
        assert_eq!(refused(desk.accounts.verify(&token, GOOD, &home()).await), "invalid");
    }

    /// Whatever was decided on an account before its owner was erased writes nothing of them.
    async fn what_comes_late_writes_nothing_of_who_was_erased(fixture) {
        let desk = Desk::new(&fixture).await;
        let session = desk.has_account("fina@example.com").await;
        let before = session.account;
        let id = before.id;
        desk.accounts.change_email(id, email("new@example.com"), GOOD, &home()).await.expect("taken");
        let token = desk.token_of(JobKind::NewEmailMail).await;
        desk.accounts.erase(id).await.expect("erased");
        let fina = Person { name: Some("Fina".into()), phone: Some("+8801712345678".into()) };
        assert_eq!(refused(desk.accounts.describe(id, Some(fina.name.clone()), None).await), "unknown");
        let change = SeatChange { disabled: Some(false), ..SeatChange::default() };
        assert_eq!(refused(desk.accounts.change_anyone(Principal::SHOP, id, change).await), "unknown");
        assert_eq!(refused(desk.accounts.erase(id).await), "unknown");
        assert_eq!(refused(desk.accounts.verify(&token, GOOD, &home()).await), "invalid");
        // What has passed all of that a moment earlier is stopped where it is written.
        let repositories = Repositories::new(&desk.store.units);
        let (rows, own) = (repositories.accounts, repositories.own);
        let described = Account { person: fina, version: before.version + 1, ..before.clone() };
        assert_eq!(rows.change(&described, before.version, None, None).await, Ok(Wrote::Moved));
        desk.keeps(id, "12 Lake Road").await;
        let mails = desk.mails().await.len();
        let mail = |number| {
            let (id, at) = (JobId::from_uuid(Uuid::from_u128(number)), desk.clock.now());
            NewJob { id, kind: JobKind::NewEmailMail, about: About::Account(before.id), version: 0, at }
        };
        let nonce = Nonce { nonce: Uuid::from_u128(9), until: desk.clock.now().plus_millis(1_000_000) };
        let new = NewEmail { account: id, email: email("late@example.com"), former: before.email.clone(), nonce };
        own.begin_email(&new, [&mail(900), &mail(901)]).await.expect("an answer");
        assert_eq!(desk.mails().await.len(), mails);
        for what in ["addresses", "new_emails", "accounts WHERE name IS NOT NULL OR email LIKE '%example.com'"] {
            assert_eq!(fixture.number(&format!("SELECT count(*) FROM {what}")).await, 0, "{what}");
        }
    }

    /// Many whose orders still need their details keep nobody else's from being erased. What may still be paid, or is stuck, keeps them.
    async fn erasures_that_wait_hold_up_no_other(fixture) {
        let desk = Desk::new(&fixture).await;
        let owned = take(&desk.store, "test").await;
        let (settled, waiting) = (at(1_000), limits::ERASURES_AT_ONCE + 6);
        let of = |seed: &str, placed: i64, status| {
            let mut row = of_customer(order_row(seed, at(placed)), seed);
            if status == OrderStatus::Paid {
                row = paid(row);
            }
            row.columns.status = status;
            row
        };
        let long_ago = [OrderStatus::Placed, OrderStatus::AwaitingPayment, OrderStatus::Paid];
        let mut orders: Vec<_> =
            (0..waiting).map(|number| of(&format!("waits {number}"), 2_000, OrderStatus::Paid)).collect();
        orders.extend(long_ago.map(|status| of(&format!("long ago {status:?}"), 10, status)));
        let unpaid = [OrderStatus::Rejected, OrderStatus::Cancelled, OrderStatus::Expired, OrderStatus::PaymentFailed];
        orders.extend(unpaid.map(|status| of(&format!("lately {status:?}"), 2_000, status)));
        let deltas: Vec<EntityDelta> = orders.iter().map(|row| order_delta(1, row.clone())).collect();
        write_all(&desk.store, &owned, &deltas).await;
        let contact = |row: &OrderRow| {
            Detail::contact(row.id, &Contact { email: Some("fina@example.com".into()), shipping_address: address("1") })
        };
        let details: Vec<Detail> = orders.iter().map(contact).collect();
        desk.store.journal.append(&[frame(&owned[0], 1, "details", b"x")], &details).await.expect("appended");
        let long_before = desk.clock.now().plus_millis(-2 * limits::ERASURE_OPEN_MS);
        let erasure = |row: &OrderRow| {
            let customer = row.customer_id.expect("a customer").uuid();
            let values = vec![Value::Uuid(Some(customer)), Value::Moment(long_before)];
            Statement::new("INSERT INTO erasures (account_id, at) VALUES ($1, $2)", values)
        };
        let unit = Unit::new(orders.iter().map(erasure).collect());
        assert_eq!(desk.store.units.run(unit).await, Ok(UnitEnd::Done));

        let mut erased = BTreeSet::new();
        loop {
            let some = desk.accounts.erase_details(settled).await.expect("erased");
            if some.is_empty() {
                break;
            }
            erased.extend(some);
        }
        let due: BTreeSet<OrderId> =
            ["long ago Paid", "lately Rejected", "lately Cancelled", "lately Expired", "lately PaymentFailed"]
                .map(order_id)
                .into();
        assert_eq!(erased, due);
        let all: Vec<OrderId> = orders.iter().map(|row| row.id).collect();
        let kept = desk.store.details.details(&all, DetailName::Contact).await.expect("details");
        let gone: BTreeSet<OrderId> = kept.iter().filter(|kept| kept.body.is_none()).map(|kept| kept.order).collect();
        assert_eq!((gone, kept.len()), (due, all.len()));
        assert_eq!(fixture.number("SELECT count(*) FROM erasures WHERE done_at IS NOT NULL").await, 5);
    }
}
