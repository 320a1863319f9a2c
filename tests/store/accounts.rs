//! Accounts and sessions, the service with its rows: who gets in, what ends a session, and what is kept.

use crate::fixture::Fixture;
use crate::on_both_stores;
use haat::domain::entity::Principal;
use haat::domain::ids::{AccountId, JobId, VendorId};
use haat::domain::job::{About, JobKind, Target};
use haat::domain::time::Timestamp;
use haat::domain::who::{Permissions, Seat, VendorRole};
use haat::limits;
use haat::persistence::services::Repositories;
use haat::ports::erased::NoErasedLog;
use haat::ports::jobs::{JobFilter, Letter, Letters};
use haat::ports::{Clock, Store};
use haat::services::accounts::{
    AccountParts, Accounts, Cost, Email, Hashing, Invited, Keys, Person, Refresh, Refusal, SignedIn, Visitor,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use uuid::Uuid;

const SECRET: &[u8] = b"a secret that only these tests use, long enough";
pub const GOOD: &str = "seven boats on the Padma";
pub const OTHER: &str = "eight boats on the Meghna";
pub const HOUR: i64 = 60 * 60 * 1000;

/// A clock that stands, until it is moved.
pub struct Still {
    now: AtomicI64,
    ids: AtomicU64,
}

impl Still {
    pub fn moves(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::SeqCst))
    }
    fn wall(&self) -> Timestamp {
        self.now()
    }
    fn since_boot(&self) -> Duration {
        Duration::ZERO
    }
    fn new_uuid(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.ids.fetch_add(1, Ordering::SeqCst)))
    }
    fn advance_to(&self, floor: Timestamp) {
        self.now.fetch_max(floor.as_millis(), Ordering::SeqCst);
    }
}

/// The service on a store, with a clock of its own.
pub struct Desk {
    pub store: Store,
    pub clock: Arc<Still>,
    pub accounts: Arc<Accounts>,
}

fn service(store: &Store, clock: &Arc<Still>) -> Arc<Accounts> {
    service_of_cost(store, clock, "m=64,t=1,p=1")
}

fn service_of_cost(store: &Store, clock: &Arc<Still>, cost: &str) -> Arc<Accounts> {
    let cost: Cost = cost.parse().expect("a cost");
    Arc::new(Accounts::new(AccountParts {
        rows: Repositories::new(&store.units).accounts,
        own: Repositories::new(&store.units).own,
        erased: Arc::new(NoErasedLog),
        keys: Keys::of(&haat::ports::keys::SigningKeys::of(SECRET)).expect("keys"),
        hashing: Hashing::start(&cost).expect("threads"),
        clock: clock.clone(),
        grace: Duration::from_secs(60),
        mails: true,
        news: Arc::default(),
    }))
}

fn vendor() -> VendorId {
    VendorId::from_uuid(Uuid::from_u128(77))
}

fn visitor(address: &str) -> Visitor {
    Visitor { address: address.parse().expect("an address"), user_agent: "a test".to_owned() }
}

pub fn home() -> Visitor {
    visitor("203.0.113.7")
}

pub fn email(text: &str) -> Email {
    Email::new(text).expect("an address")
}

pub fn refused<T>(outcome: Result<T, Refusal>) -> &'static str {
    match outcome {
        Ok(_) => "nothing",
        Err(Refusal::Invalid) => "invalid",
        Err(Refusal::Reused) => "reused",
        Err(Refusal::TooMany(_)) => "too many",
        Err(Refusal::Weak(_)) => "weak",
        Err(Refusal::Unknown) => "unknown",
        Err(other) => panic!("{other}"),
    }
}

impl Desk {
    pub async fn new(fixture: &Fixture) -> Self {
        let store = fixture.open().await;
        let clock = Arc::new(Still { now: AtomicI64::new(1_800_000_000_000), ids: AtomicU64::new(1) });
        let accounts = service(&store, &clock);
        Self { store, clock, accounts }
    }

    /// The mails that are to be sent, the oldest first.
    pub async fn mails(&self) -> Vec<(JobId, JobKind, About)> {
        let mut jobs = self.store.jobs.list(JobFilter::default(), None, 100).await.expect("jobs");
        jobs.sort_by_key(|job| job.id);
        let mails = jobs.into_iter().filter(|job| job.kind.target() == Target::Mail);
        mails.map(|job| (job.id, job.kind, job.about)).collect()
    }

    /// The accounts for which what guests have bought is looked for, once for each time.
    pub async fn attached(&self) -> Vec<About> {
        let kind = Some(JobKind::AttachOrders);
        let jobs = self.store.jobs.list(JobFilter { kind, ..JobFilter::default() }, None, 100).await.expect("jobs");
        jobs.into_iter().map(|job| job.about).collect()
    }

    pub async fn letter(&self, (_, kind, about): (JobId, JobKind, About)) -> Option<Letter> {
        self.accounts.letter(kind, about).await.expect("it can be read")
    }

    /// The token of the newest mail.
    pub async fn token(&self) -> String {
        let mail = *self.mails().await.last().expect("a mail");
        self.letter(mail).await.expect("a letter").token.expect("a token")
    }

    /// The token of the newest mail of this sort.
    pub async fn token_of(&self, sort: JobKind) -> String {
        let mail = self.mails().await.into_iter().rev().find(|mail| mail.1 == sort).expect("a mail");
        self.letter(mail).await.expect("a letter").token.expect("a token")
    }

    /// Invites somebody, and gives the token of the mail.
    pub async fn invited(&self, address: &str, seat: Seat) -> String {
        let id = AccountId::from_uuid(self.clock.new_uuid());
        let invited = self.accounts.invite_anyone(Principal::SHOP, id, email(address), seat, None).await;
        assert!(matches!(invited, Ok(Invited::Done(_))));
        self.token().await
    }

    pub async fn signs_up(&self, address: &str, password: &str) -> String {
        self.accounts.sign_up(email(address), password, Person::default()).await.expect("taken");
        self.token().await
    }

    pub async fn has_account(&self, address: &str) -> SignedIn {
        let token = self.signs_up(address, GOOD).await;
        self.accounts.verify(&token, GOOD, &home()).await.expect("an account")
    }

    pub async fn log_in(&self, password: &str, from: &str) -> Result<SignedIn, Refusal> {
        self.accounts.log_in("fina@example.com", password, &visitor(from)).await
    }
}

on_both_stores! {
    /// Whoever signs up somebody else's address gets nothing: the owner's click makes no account with another's password.
    async fn an_account_is_made_of_the_sign_up_whose_token_and_password_come_together(fixture) {
        let desk = Desk::new(&fixture).await;
        let attackers = desk.signs_up("fina@example.com", "the password of a thief").await;
        let owners = desk.signs_up("Fina@Example.com", GOOD).await;
        assert_ne!(attackers, owners);
        let verify = async |token: &str, password: &str| desk.accounts.verify(token, password, &home()).await;
        // The owner reads both mails, and knows one password.
        assert_eq!(refused(verify(&attackers, GOOD).await), "invalid");
        assert_eq!(refused(desk.log_in(GOOD, "203.0.113.7").await), "invalid", "there is no account yet");
        let made = verify(&owners, GOOD).await.expect("an account");
        assert_eq!(made.account.email, email("fina@example.com"));
        assert_eq!(desk.attached().await, [About::Account(made.account.id)]);
        // All other sign-ups of the address are gone, and this one, too.
        assert_eq!(refused(verify(&attackers, "the password of a thief").await), "invalid");
        assert_eq!(refused(verify(&owners, GOOD).await), "invalid");
        assert_eq!(desk.log_in(GOOD, "203.0.113.7").await.expect("in").account.id, made.account.id);
        assert_eq!(fixture.number("SELECT count(*) FROM sign_ups").await, 0);
        assert_eq!(fixture.number("SELECT count(*) FROM accounts").await, 1);
    }

    async fn two_who_verify_one_address_at_once_end_as_one_account(fixture) {
        let desk = Desk::new(&fixture).await;
        let tokens = [desk.signs_up("fina@example.com", GOOD).await, desk.signs_up("fina@example.com", OTHER).await];
        let at = home();
        let (one, other) =
            tokio::join!(desk.accounts.verify(&tokens[0], GOOD, &at), desk.accounts.verify(&tokens[1], OTHER, &at));
        let ends = [refused(one), refused(other)];
        assert!(ends == ["nothing", "invalid"] || ends == ["invalid", "nothing"], "{ends:?}");
        let in_with_both = [refused(desk.log_in(GOOD, "203.0.113.7").await), refused(desk.log_in(OTHER, "203.0.113.7").await)];
        assert_eq!(in_with_both, ends, "the password is that of the sign-up that became the account");
    }

    /// Who has an account is told to its owner alone, and no more than three mails an hour.
    async fn an_address_that_has_an_account_is_told_so_by_mail(fixture) {
        let desk = Desk::new(&fixture).await;
        let made = desk.has_account("fina@example.com").await;
        for _ in 0..4 {
            desk.accounts.sign_up(email("fina@example.com"), OTHER, Person::default()).await.expect("taken");
        }
        assert_eq!(fixture.number("SELECT count(*) FROM sign_ups").await, 0, "what only takes time leaves nothing");
        let kinds: Vec<JobKind> = desk.mails().await.into_iter().map(|(_, kind, _)| kind).collect();
        assert_eq!(kinds, [JobKind::SignUpMail, JobKind::KnownAddressMail, JobKind::KnownAddressMail]);
        let told = *desk.mails().await.last().expect("a mail");
        assert_eq!(told.2, About::Account(made.account.id));
        let letter = desk.letter(told).await.expect("a letter");
        assert_eq!((letter.to.as_str(), letter.token), ("fina@example.com", None));
        // That keeps nobody from a reset.
        desk.accounts.forgot("fina@example.com").await.expect("taken");
        assert_eq!(desk.mails().await.last().map(|mail| mail.1), Some(JobKind::PasswordResetMail));
        desk.clock.moves(HOUR);
        desk.accounts.sign_up(email("fina@example.com"), OTHER, Person::default()).await.expect("taken");
        assert_eq!(desk.mails().await.len(), 5);
    }

    /// An invitation is another's wish. Whoever reads the address's mails may take it, or sign up as anybody does, and nobody is told which there was.
    async fn who_was_invited_may_sign_up_instead(fixture) {
        let desk = Desk::new(&fixture).await;
        for (number, seat) in [Seat::Admin, Seat::Member(vendor(), VendorRole::Owner)].into_iter().enumerate() {
            let address = format!("fina{number}@example.com");
            let invitation = desk.invited(&address, seat).await;
            let mail = *desk.mails().await.last().expect("a mail");
            let token = desk.signs_up(&address, GOOD).await;
            assert_eq!(desk.mails().await.last().map(|mail| mail.1), Some(JobKind::SignUpMail));
            // Until it is verified the invitation stands.
            assert!(desk.letter(mail).await.is_some());
            assert_eq!(refused(desk.accounts.verify(&token, OTHER, &home()).await), "invalid");
            let made = desk.accounts.verify(&token, GOOD, &home()).await.expect("an account");
            assert_eq!((made.account.seat, made.account.is_invited()), (Seat::Customer, false));
            assert_eq!(refused(desk.accounts.reset(&invitation, OTHER).await), "invalid");
            assert!(desk.letter(mail).await.is_none(), "there is nothing to write any more");
            let signed_in = desk.accounts.log_in(&address, GOOD, &home()).await.expect("in");
            assert_eq!(signed_in.account.id, made.account.id);
        }
        assert_eq!(fixture.number("SELECT count(*) FROM accounts WHERE role = 'customer'").await, 2);
        assert_eq!(fixture.number("SELECT count(*) FROM accounts").await, 2);
    }

    async fn an_invitation_that_is_taken_in_between_wins(fixture) {
        let desk = Desk::new(&fixture).await;
        let invitation = desk.invited("fina@example.com", Seat::Admin).await;
        let token = desk.signs_up("fina@example.com", GOOD).await;
        desk.accounts.reset(&invitation, OTHER).await.expect("taken");
        assert_eq!(refused(desk.accounts.verify(&token, GOOD, &home()).await), "invalid");
        assert_eq!(desk.log_in(OTHER, "203.0.113.7").await.expect("in").account.seat, Seat::Admin);
        assert_eq!(refused(desk.log_in(GOOD, "203.0.113.7").await), "invalid");
        assert_eq!(desk.attached().await, [], "who works here buys nothing with this account");
        // And whoever signs up from now on is told that there is an account.
        desk.accounts.sign_up(email("fina@example.com"), GOOD, Person::default()).await.expect("taken");
        assert_eq!(desk.mails().await.last().map(|mail| mail.1), Some(JobKind::KnownAddressMail));
    }

    /// Both at once, also where one of them has read what the other is about to write: one of them wins.
    async fn an_invitation_is_taken_or_passed_by_and_never_both(fixture) {
        let desk = Desk::new(&fixture).await;
        for number in 0..10 {
            let address = format!("fina{number}@example.com");
            let invitation = desk.invited(&address, Seat::Staff(Permissions::USUAL)).await;
            let token = desk.signs_up(&address, GOOD).await;
            let at = home();
            let (taken, passed_by) =
                tokio::join!(desk.accounts.reset(&invitation, OTHER), desk.accounts.verify(&token, GOOD, &at));
            let ends = [refused(taken), refused(passed_by)];
            assert!(ends == ["nothing", "invalid"] || ends == ["invalid", "nothing"], "{ends:?}");
            let visitors = (visitor("203.0.113.7"), visitor("203.0.113.8"));
            let in_as_staff = desk.accounts.log_in(&address, OTHER, &visitors.0).await;
            let in_as_customer = desk.accounts.log_in(&address, GOOD, &visitors.1).await;
            assert_eq!([refused(in_as_staff), refused(in_as_customer)], ends);
        }
        assert_eq!(fixture.number("SELECT count(*) FROM accounts").await, 10);
    }

    /// Nor does an invitation keep an address from whoever has an account and wants it for that.
    async fn who_was_invited_may_give_the_address_to_their_account(fixture) {
        let desk = Desk::new(&fixture).await;
        let account = desk.has_account("fina@example.com").await.account.id;
        let invitation = desk.invited("work@example.com", Seat::Admin).await;
        desk.accounts.change_email(account, email("work@example.com"), GOOD, &home()).await.expect("taken");
        let token = desk.token_of(JobKind::NewEmailMail).await;
        let changed = desk.accounts.verify(&token, GOOD, &home()).await.expect("changed");
        assert_eq!((changed.account.id, changed.account.seat), (account, Seat::Customer));
        assert_eq!(refused(desk.accounts.reset(&invitation, OTHER).await), "invalid");
        assert_eq!(fixture.number("SELECT count(*) FROM accounts").await, 1);
    }

    async fn a_sign_up_counts_for_a_day(fixture) {
        let desk = Desk::new(&fixture).await;
        let token = desk.signs_up("fina@example.com", GOOD).await;
        let mail = desk.mails().await[0];
        desk.clock.moves(limits::SIGN_UP_MS);
        assert_eq!(refused(desk.accounts.verify(&token, GOOD, &home()).await), "invalid");
        assert!(desk.letter(mail).await.is_none(), "there is nothing to write any more");
        desk.clock.moves(limits::SESSION_KEPT_MS + 1);
        desk.accounts.forget_old().await.expect("forgotten");
        assert_eq!(fixture.number("SELECT count(*) FROM sign_ups").await, 0);
        assert_eq!(refused(desk.accounts.sign_up(email("fina@example.com"), "1234567890", Person::default()).await), "weak");
    }

    /// One raises the number, and all get its successor, whoever comes first; on a second service over the same store as well.
    async fn ten_tabs_that_refresh_at_once_all_go_on(fixture) {
        let desk = Desk::new(&fixture).await;
        let first = desk.has_account("fina@example.com").await;
        desk.clock.moves(61_000);
        let elsewhere = service(&desk.store, &desk.clock);
        let tabs = (0..10).map(|tab| {
            let accounts = if tab % 2 == 0 { desk.accounts.clone() } else { elsewhere.clone() };
            let token = first.refresh_token.clone();
            tokio::spawn(async move { accounts.refresh(&token).await.map(|signed_in| signed_in.refresh_token) })
        });
        let mut got = Vec::new();
        for tab in tabs.collect::<Vec<_>>() {
            got.push(tab.await.expect("no panic").expect("it goes on"));
        }
        got.sort_unstable();
        got.dedup();
        assert_eq!(got.len(), 1, "one successor");
        assert_ne!(got[0], first.refresh_token);
        assert_eq!(fixture.number("SELECT number FROM sessions").await, 2);
        // Within its first minute a token is not replaced: who asks often writes nothing.
        assert_eq!(desk.accounts.refresh(&got[0]).await.expect("it goes on").refresh_token, got[0]);
        assert_eq!(desk.accounts.refresh(&first.refresh_token).await.expect("a late tab").refresh_token, got[0]);
    }

    async fn a_refresh_token_that_comes_after_its_time_ends_the_session(fixture) {
        let desk = Desk::new(&fixture).await;
        let first = desk.has_account("fina@example.com").await;
        desk.clock.moves(61_000);
        let second = desk.accounts.refresh(&first.refresh_token).await.expect("it goes on");
        desk.clock.moves(60_001);
        assert!(!desk.accounts.is_revoked(first.session));
        assert_eq!(refused(desk.accounts.refresh(&first.refresh_token).await), "reused");
        assert!(desk.accounts.is_revoked(first.session), "its access tokens end at once");
        assert_eq!(refused(desk.accounts.refresh(&second.refresh_token).await), "invalid", "thief or owner: both are out");
        let (_, kind, about) = *desk.mails().await.last().expect("a mail");
        assert_eq!((kind, about), (JobKind::TokenReusedMail, About::Account(first.account.id)));
        // A token of a number that was never given is not one of ours.
        let keys = Keys::of(&haat::ports::keys::SigningKeys::of(b"the secret of somebody else, long enough")).expect("keys");
        let forged = keys.refresh_token(Refresh { session: first.session.uuid(), number: 3 });
        assert_eq!(refused(desk.accounts.refresh(&forged).await), "invalid");
        // Another server learns of it, and forgets it when no access token can be about any more.
        let elsewhere = service(&desk.store, &desk.clock);
        assert!(!elsewhere.is_revoked(first.session));
        elsewhere.learn().await.expect("learnt");
        assert!(elsewhere.is_revoked(first.session));
        desk.clock.moves(limits::REVOKED_KEPT_MS + 1);
        elsewhere.learn().await.expect("learnt");
        assert!(!elsewhere.is_revoked(first.session));
    }

    async fn a_session_ends_when_it_is_not_used_and_after_half_a_year(fixture) {
        let desk = Desk::new(&fixture).await;
        let mut session = desk.has_account("fina@example.com").await;
        let idle = desk.log_in(GOOD, "203.0.113.7").await.expect("in");
        let often = limits::SESSION_IDLE_MS / 4 * 3;
        for _ in 0..7 {
            desk.clock.moves(often);
            session = desk.accounts.refresh(&session.refresh_token).await.expect("it is used");
        }
        assert_eq!(refused(desk.accounts.refresh(&idle.refresh_token).await), "invalid");
        desk.clock.moves(limits::SESSION_MS - 7 * often - 1);
        session = desk.accounts.refresh(&session.refresh_token).await.expect("it is used at the last moment");
        desk.clock.moves(1);
        assert_eq!(refused(desk.accounts.refresh(&session.refresh_token).await), "invalid", "half a year is over");
    }

    async fn a_reset_is_for_once_and_signs_out_everywhere(fixture) {
        let desk = Desk::new(&fixture).await;
        let session = desk.has_account("fina@example.com").await;
        desk.accounts.forgot("FINA@example.com").await.expect("taken");
        let first = desk.token().await;
        desk.accounts.forgot("fina@example.com").await.expect("taken");
        let token = desk.token().await;
        assert_eq!(refused(desk.accounts.reset(&first, OTHER).await), "invalid", "another was asked for");
        assert_eq!(refused(desk.accounts.reset(&token, "1234567890").await), "weak");
        let (one, other) = tokio::join!(desk.accounts.reset(&token, OTHER), desk.accounts.reset(&token, "nine boats on the Jamuna"));
        let ends = [refused(one), refused(other)];
        assert!(ends == ["nothing", "invalid"] || ends == ["invalid", "nothing"], "{ends:?}");
        let password = if ends[0] == "nothing" { OTHER } else { "nine boats on the Jamuna" };
        assert!(desk.accounts.is_revoked(session.session));
        assert_eq!(refused(desk.accounts.refresh(&session.refresh_token).await), "invalid");
        assert_eq!(refused(desk.log_in(GOOD, "203.0.113.7").await), "invalid");
        desk.log_in(password, "203.0.113.7").await.expect("in");
        // The hour of another is over.
        desk.clock.moves(HOUR);
        desk.accounts.forgot("fina@example.com").await.expect("taken");
        let late = desk.token().await;
        desk.clock.moves(limits::RESET_MS);
        assert_eq!(refused(desk.accounts.reset(&late, GOOD).await), "invalid");
        // Of an address that nobody has nothing comes.
        let mails = desk.mails().await.len();
        desk.accounts.forgot("nobody@example.com").await.expect("taken");
        desk.accounts.forgot("\u{fb01}na@example.com").await.expect("taken");
        assert_eq!(desk.mails().await.len(), mails);
    }

    /// A network that guesses waits; the owner, at home, does not.
    async fn wrong_passwords_close_a_network_out_and_nobody_else(fixture) {
        let desk = Desk::new(&fixture).await;
        desk.has_account("fina@example.com").await;
        for number in 0..limits::ATTEMPTS {
            assert_eq!(refused(desk.log_in(OTHER, &format!("198.51.100.{number}")).await), "invalid");
        }
        assert_eq!(refused(desk.log_in(GOOD, "198.51.100.200").await), "too many");
        desk.log_in(GOOD, "203.0.113.7").await.expect("in");
        let of_nobody = desk.accounts.log_in("nobody@example.com", GOOD, &visitor("198.51.100.1")).await;
        assert_eq!(refused(of_nobody), "invalid", "another address is another matter");
        desk.clock.moves(limits::ATTEMPTS_MS);
        desk.log_in(GOOD, "198.51.100.200").await.expect("in");
        // From many networks: nobody is locked out, and the owner is told once.
        for number in 0..limits::ATTEMPTS_ANYWHERE + 2 {
            let from = format!("198.51.{}.1", number / 2);
            assert_eq!(refused(desk.log_in(OTHER, &from).await), "invalid");
        }
        let kinds: Vec<JobKind> = desk.mails().await.into_iter().map(|(_, kind, _)| kind).collect();
        assert_eq!(kinds, [JobKind::SignUpMail, JobKind::ManyAttemptsMail]);
        desk.log_in(GOOD, "203.0.113.7").await.expect("in, after a second");
    }

    /// What is guessed at once counts as what is guessed one after the other.
    async fn many_guesses_at_once_tell_no_more(fixture) {
        let desk = Desk::new(&fixture).await;
        desk.has_account("fina@example.com").await;
        let guesses = (0..40).map(|_| {
            let accounts = desk.accounts.clone();
            tokio::spawn(async move { refused(accounts.log_in("fina@example.com", OTHER, &home()).await) })
        });
        let mut told = Vec::new();
        for guess in guesses.collect::<Vec<_>>() {
            told.push(guess.await.expect("no panic"));
        }
        assert_eq!(told.iter().filter(|told| **told == "invalid").count(), limits::ATTEMPTS, "{told:?}");
        assert_eq!(told.iter().filter(|told| **told == "too many").count(), 40 - limits::ATTEMPTS, "{told:?}");
        assert_eq!(refused(desk.log_in(GOOD, "203.0.113.7").await), "too many");
    }

    async fn twenty_sessions_and_no_more(fixture) {
        let desk = Desk::new(&fixture).await;
        let first = desk.has_account("fina@example.com").await;
        let mut last = None;
        for _ in 0..limits::SESSIONS {
            desk.clock.moves(1);
            last = Some(desk.log_in(GOOD, "203.0.113.7").await.expect("in"));
        }
        assert_eq!(refused(desk.accounts.refresh(&first.refresh_token).await), "invalid", "the oldest ended");
        let sessions = desk.accounts.sessions(first.account.id).await.expect("sessions");
        assert_eq!(sessions.len() as u64, limits::SESSIONS);
        let last = last.expect("a session");
        assert_eq!((sessions[0].id, sessions[0].address.as_str()), (last.session, "203.0.113.7"));
        // One ends one of one's own, and nobody else's.
        let stranger = desk.has_account("rina@example.com").await;
        assert_eq!(refused(desk.accounts.end_session(stranger.account.id, last.session).await), "unknown");
        desk.accounts.end_session(first.account.id, last.session).await.expect("ended");
        assert!(desk.accounts.is_revoked(last.session));
        assert_eq!(refused(desk.accounts.end_session(first.account.id, last.session).await), "unknown");
        assert_eq!(refused(desk.accounts.refresh(&last.refresh_token).await), "invalid");
    }

    async fn another_password_signs_out_everywhere_else(fixture) {
        let desk = Desk::new(&fixture).await;
        let here = desk.has_account("fina@example.com").await;
        let there = desk.log_in(GOOD, "203.0.113.7").await.expect("in");
        let set = async |current: &str, password: &str| {
            desk.accounts.set_password(here.account.id, here.session, current, password, &home()).await
        };
        assert_eq!(refused(set(OTHER, OTHER).await), "invalid");
        assert_eq!(refused(set(GOOD, "fina@example.com").await), "weak");
        set(GOOD, OTHER).await.expect("set");
        assert!(desk.accounts.is_revoked(there.session) && !desk.accounts.is_revoked(here.session));
        desk.accounts.refresh(&here.refresh_token).await.expect("it goes on");
        assert_eq!(refused(desk.log_in(GOOD, "203.0.113.7").await), "invalid");
        desk.log_in(OTHER, "203.0.113.7").await.expect("in");
        let described = desk.accounts.describe(here.account.id, Some(Some("Fina".to_owned())), None).await.expect("described");
        assert_eq!(desk.accounts.account(here.account.id).await.expect("it").person.name, described.person.name);
        assert_eq!(refused(desk.accounts.account(AccountId::from_uuid(Uuid::from_u128(99))).await), "unknown");
        desk.accounts.log_out(&here.refresh_token).await.expect("out");
        desk.accounts.log_out("rt_nonsense").await.expect("nothing");
        // What is over is forgotten a day later, whenever it would have ended by itself.
        desk.clock.moves(limits::SESSION_KEPT_MS + 1);
        let before = fixture.number("SELECT count(*) FROM sessions").await;
        desk.accounts.forget_old().await.expect("forgotten");
        assert_eq!((before, fixture.number("SELECT count(*) FROM sessions").await), (3, 1));
        assert_eq!(refused(desk.accounts.refresh(&here.refresh_token).await), "invalid");
    }

    /// Where hashes cost more than before, each is made anew when its password is known.
    async fn a_hash_of_a_former_cost_is_made_anew(fixture) {
        let desk = Desk::new(&fixture).await;
        desk.has_account("fina@example.com").await;
        let dearer = service_of_cost(&desk.store, &desk.clock, "m=128,t=1,p=1");
        let at = |cost: &str| format!("SELECT count(*) FROM accounts WHERE password_hash LIKE '$argon2id$v=19${cost},%'");
        assert_eq!(refused(dearer.log_in("fina@example.com", OTHER, &home()).await), "invalid");
        assert_eq!(fixture.number(&at("m=64")).await, 1);
        dearer.log_in("fina@example.com", GOOD, &home()).await.expect("in");
        assert_eq!(fixture.number(&at("m=128")).await, 1);
        dearer.log_in("fina@example.com", GOOD, &home()).await.expect("in");
    }

    /// Whoever steals the store has no password, and no token that opens anything.
    async fn nothing_in_the_store_opens_anything(fixture) {
        let desk = Desk::new(&fixture).await;
        let mut secrets = vec![desk.signs_up("rina@example.com", GOOD).await];
        let session = desk.has_account("fina@example.com").await;
        desk.accounts.forgot("fina@example.com").await.expect("taken");
        secrets.extend([desk.token().await, session.refresh_token, GOOD.to_owned()]);
        let secrets: Vec<String> = secrets.iter().map(|secret| secret.rsplit('.').next().expect("a part").to_owned()).collect();
        for (table, columns) in [
            ("sign_ups", "email || password_hash"),
            ("accounts", "email || password_hash || role"),
            ("sessions", "address || user_agent"),
            ("jobs", "kind || state || about_kind || COALESCE(note, '')"),
        ] {
            let rows = fixture.number(&format!("SELECT count(*) FROM {table}")).await;
            assert!(rows > 0, "{table}");
            for secret in &secrets {
                let found = format!("SELECT count(*) FROM {table} WHERE {columns} LIKE '%{secret}%'");
                assert_eq!(fixture.number(&found).await, 0, "{table}");
            }
        }
        assert_eq!(fixture.number("SELECT count(*) FROM accounts WHERE password_hash LIKE '$argon2id$v=19$%'").await, 1);
        let rows = Repositories::new(&desk.store.units).accounts;
        let looked = rows.looked().await.expect("a look");
        assert_eq!((looked.accounts, looked.sessions, looked.strange), (1, 1, Vec::new()));
        fixture.execute("UPDATE accounts SET password_hash = 'seven boats'").await.expect("changed");
        assert_eq!(rows.looked().await.expect("a look").strange.len(), 1);
    }
}
