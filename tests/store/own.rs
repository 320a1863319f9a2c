//! What an account has of its own, the service with its rows: addresses that several change at once.

use crate::accounts::Desk;
use crate::on_both_stores;
use haat::domain::ids::{AccountId, AddressId};
use haat::domain::order::Address;
use haat::persistence::services::Repositories;
use haat::services::accounts::{Kept, KeptAddress, Refusal, Wrote};
use std::cell::Cell;
use std::convert::Infallible;
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
    async fn keeps(&self, account: AccountId, line1: &str) -> Kept {
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
        assert_eq!(desk.accounts.addresses(account).await.expect("addresses"), [changed.clone()]);
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
}
