//! Those who work, the service with its rows: what an owner may not undo, and how long an invitation counts.

use crate::accounts::{Desk, GOOD, OTHER, email, home, refused};
use crate::on_both_stores;
use haat::domain::entity::Principal;
use haat::domain::ids::{AccountId, VendorId};
use haat::domain::job::JobKind;
use haat::domain::who::{Member, Permissions, Seat, VendorRole};
use haat::limits;
use haat::ports::Clock;
use haat::services::accounts::{Account, Refusal, SeatChange};
use uuid::Uuid;

fn vendor() -> VendorId {
    VendorId::from_uuid(Uuid::from_u128(77))
}

fn owner() -> Principal {
    Principal::Member(Member { account: None, vendor: vendor(), role: VendorRole::Owner })
}

impl Desk {
    async fn invites_member(&self, address: &str) -> String {
        let id = AccountId::from_uuid(self.clock.new_uuid());
        let seat = (vendor(), VendorRole::Packer);
        self.accounts.invite_member(owner(), id, email(address), seat, None).await.expect("taken");
        self.token_of(JobKind::InvitationMail).await
    }

    async fn members(&self) -> Vec<Account> {
        self.accounts.members(owner(), vendor(), None, 10).await.expect("members")
    }

    async fn owner_says(&self, id: AccountId, disabled: bool) -> Result<Account, Refusal> {
        self.accounts.change_member(owner(), vendor(), id, None, Some(disabled)).await
    }

    async fn administrator_says(&self, id: AccountId, change: SeatChange) -> Account {
        self.accounts.change_anyone(Principal::SHOP, id, change).await.expect("changed")
    }
}

on_both_stores! {
    /// Whoever disabled it first: once an administrator has, no owner enables it.
    async fn what_an_administrator_disabled_no_owner_enables(fixture) {
        let desk = Desk::new(&fixture).await;
        let invitation = desk.invites_member("fina@example.com").await;
        desk.accounts.reset(&invitation, GOOD).await.expect("taken");
        let id = desk.members().await[0].id;
        let said = |disabled| SeatChange { disabled: Some(disabled), ..SeatChange::default() };
        let is_barred = async || match desk.owner_says(id, false).await {
            Ok(account) => {
                assert!(!account.disabled);
                false
            }
            Err(Refusal::Barred) => true,
            Err(other) => panic!("{other}"),
        };
        desk.owner_says(id, true).await.expect("disabled");
        assert!(!is_barred().await, "it was the owner who disabled it");
        desk.administrator_says(id, said(true)).await;
        assert!(is_barred().await);
        // An owner who says the same takes nothing over.
        desk.owner_says(id, true).await.expect("as it is");
        assert!(is_barred().await);
        desk.administrator_says(id, said(false)).await;
        desk.owner_says(id, true).await.expect("disabled");
        // An administrator changes something else: that bars nobody. And then the administrator says so, too.
        let manager = SeatChange { vendor_role: Some(VendorRole::Manager), ..SeatChange::default() };
        assert!(!desk.administrator_says(id, manager).await.is_barred);
        assert!(desk.administrator_says(id, said(true)).await.is_barred);
        assert!(is_barred().await);
        assert_eq!(refused(desk.log_in(GOOD, "203.0.113.7").await), "invalid");
    }

    /// A forgotten password neither shortens an invitation nor makes a reset of it; one that nobody takes is forgotten.
    async fn an_invitation_counts_for_seven_days(fixture) {
        let desk = Desk::new(&fixture).await;
        for address in ["fina@example.com", "rina@example.com"] {
            desk.invites_member(address).await;
            desk.accounts.forgot(address).await.expect("taken");
            assert_eq!(desk.mails().await.last().map(|mail| mail.1), Some(JobKind::InvitationMail));
        }
        let rinas = desk.token().await;
        assert!(desk.members().await.is_empty(), "the list tells of nobody who has taken nothing");
        desk.clock.moves(limits::INVITATION_MS - 1);
        desk.accounts.reset(&rinas, OTHER).await.expect("it is not over");
        assert_eq!(desk.members().await.iter().map(|member| member.email.as_str()).collect::<Vec<_>>(), ["rina@example.com"]);
        desk.clock.moves(1);
        desk.accounts.forget_old().await.expect("looked");
        assert_eq!(fixture.number("SELECT count(*) FROM accounts").await, 2);
        desk.clock.moves(limits::SESSION_KEPT_MS + 1);
        desk.accounts.forget_old().await.expect("forgotten");
        assert_eq!(fixture.number("SELECT count(*) FROM accounts").await, 1);
        // So it can be invited again.
        let invitation = desk.invites_member("fina@example.com").await;
        desk.accounts.reset(&invitation, OTHER).await.expect("taken");
        assert_eq!(desk.members().await.len(), 2);
    }

    /// Only those who buy keep addresses.
    async fn addresses_go_with_the_role_that_keeps_them(fixture) {
        let desk = Desk::new(&fixture).await;
        let account = desk.has_account("fina@example.com").await.account.id;
        desk.keeps(account, "12 Lake Road").await;
        let staff = SeatChange { role: Some("staff"), permissions: Some(Permissions::USUAL), ..SeatChange::default() };
        assert_eq!(desk.administrator_says(account, staff).await.seat, Seat::Staff(Permissions::USUAL));
        assert_eq!(desk.accounts.addresses(account).await.expect("addresses"), []);
        // And nobody but who buys is erased at their wish.
        assert_eq!(refused(desk.accounts.erase(account).await), "unknown");
        desk.accounts.log_in("fina@example.com", GOOD, &home()).await.expect("in");
    }
}
