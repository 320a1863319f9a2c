//! The simulated payment provider. It keeps to the port's word: every call is idempotent by the order's id. Its charge log survives
//! every crash, and each movement of money stands in it by itself, so that a second charge cannot hide.

use crate::judges::Oracle;
use crate::notices::{self, Outbox};
use crate::store::Way;
use crate::world::{World, lock};
use async_trait::async_trait;
use haat::domain::entity::PaymentCall;
use haat::domain::ids::{OrderId, RefundId};
use haat::domain::money::{Currency, Money};
use haat::domain::order::{DisputeStatus, DisputeTold, PaymentChoice, ResolveAs};
use haat::domain::payment::{Progress, RefundCall, RefundOf, RefundProgress};
use haat::domain::reject::Reject;
use haat::domain::time::Timestamp;
use haat::ports::{Changed, Clock, Headers, NoAnswer, NoNotice, Notice, PaymentProvider};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

pub const METHOD: &str = "sandbox";
/// Takes the money.
pub const APPROVE: &str = "tok_approve";
/// Refuses.
pub const DECLINE: &str = "tok_decline";
/// Takes the money, but the first answer never arrives.
pub const LOST_REPLY: &str = "tok_lost_reply";
/// Takes the money, late.
pub const SLOW: &str = "tok_slow";
/// Never takes anything and never answers a charge.
pub const SILENT: &str = "tok_silent";

/// The longest that a slow call takes, in milliseconds: longer than a call may.
const SLOW_MS: u64 = 9_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Charged,
    Declined,
    Voided,
    Refunded,
}

/// A part of what was taken that is given back: one attempt of one refund.
struct Part {
    amount: i64,
    progress: RefundProgress,
}

#[derive(Default)]
struct Account {
    standing: Option<Standing>,
    moves: Vec<i64>,
    /// Of which currency they are, where it is not the shop's.
    currency: Option<Currency>,
    /// Whether it will not be undone, however often that is asked for.
    refuses: bool,
    lost_once: bool,
    /// Whether a charge is being carried out.
    begun: bool,
    /// Whether someone who looked it up past its time was told that it is not taken.
    told_untaken: bool,
    /// Parts that are given back, by the refund and its attempt: the provider's keys.
    parts: BTreeMap<(RefundId, u32), Part>,
    disputes: Vec<DisputeTold>,
}

impl Account {
    /// What was given back in parts.
    fn in_parts(&self) -> impl Iterator<Item = i64> {
        let given_back = |part: &&Part| matches!(part.progress, RefundProgress::Succeeded { .. });
        self.parts.values().filter(given_back).map(|part| part.amount)
    }

    /// What banks took.
    fn lost(&self) -> impl Iterator<Item = i64> {
        self.disputes.iter().filter(|dispute| dispute.status == DisputeStatus::Lost).map(|dispute| dispute.amount.minor)
    }

    /// Whether a bank decides whose the money is.
    fn is_disputed(&self) -> bool {
        self.disputes.iter().any(|dispute| dispute.status == DisputeStatus::Open)
    }

    /// What was taken, given back or not.
    fn taken(&self) -> Money {
        Money::new(self.moves.first().copied().unwrap_or(0), self.currency.unwrap_or(Currency::BDT))
    }

    fn progress(&self) -> Progress {
        match self.standing {
            Some(Standing::Charged) => Progress::Succeeded { reference: None, amount: self.taken(), fee: None },
            Some(Standing::Declined) => Progress::Declined { reason: "no funds".into() },
            Some(Standing::Voided | Standing::Refunded) => Progress::Cancelled,
            None if self.begun => Progress::Processing,
            None => Progress::NotStarted,
        }
    }
}

/// The provider's books.
pub struct Books {
    accounts: Mutex<BTreeMap<OrderId, Account>>,
    silent_until: Mutex<Instant>,
    /// What it tells by itself.
    pub outbox: Outbox,
    world: Arc<World>,
}

impl Books {
    pub fn new(world: Arc<World>) -> Arc<Self> {
        let (silent_until, outbox) = (Mutex::new(Instant::now()), Outbox::default());
        Arc::new(Self { accounts: Mutex::default(), silent_until, outbox, world })
    }

    /// The payments that were taken, of those that have been given back in parts before all others.
    pub fn payments(&self) -> Vec<OrderId> {
        let accounts = lock(&self.accounts);
        let taken = accounts.iter().filter(|(_, account)| account.standing == Some(Standing::Charged));
        let (whole, in_parts): (Vec<_>, Vec<_>) = taken.partition(|(_, account)| account.parts.is_empty());
        in_parts.into_iter().chain(whole).map(|(order, _)| *order).collect()
    }

    /// What banks say of a payment.
    pub fn disputes(&self, order: OrderId) -> Vec<DisputeTold> {
        lock(&self.accounts).get(&order).map(|account| account.disputes.clone()).unwrap_or_default()
    }

    /// The parts that were not given back in the end.
    pub fn failed_parts(&self, order: OrderId) -> Vec<(RefundId, u32)> {
        let accounts = lock(&self.accounts);
        let failed = |(_, part): &(&(RefundId, u32), &Part)| matches!(part.progress, RefundProgress::Failed { .. });
        let parts = accounts.get(&order).into_iter().flat_map(|account| account.parts.iter().filter(failed));
        parts.map(|(key, _)| *key).collect()
    }

    /// All orders that somebody paid for, or tried to.
    pub fn orders(&self) -> Vec<OrderId> {
        lock(&self.accounts).keys().copied().collect()
    }

    /// A bank returns a part that was given back, if there is one.
    pub fn return_part(&self, order: OrderId) {
        let mut accounts = lock(&self.accounts);
        let account = accounts.get_mut(&order).expect("it is known");
        let given_back = |part: &&mut Part| matches!(part.progress, RefundProgress::Succeeded { .. });
        let Some(part) = account.parts.values_mut().find(given_back) else { return };
        part.progress = RefundProgress::Failed { reason: "account_closed".into() };
        self.world.count("refunds that banks return");
        self.outbox.announce(&self.world, order, true);
    }

    /// From now on nobody has an answer, for so long or until nothing goes wrong any more.
    pub fn fall_silent(&self, time: Duration) {
        self.world.note(format_args!("the payment provider is silent for {time:?}"));
        *lock(&self.silent_until) = Instant::now() + time;
    }

    fn is_silent(&self) -> bool {
        !self.world.is_calm() && Instant::now() < *lock(&self.silent_until)
    }

    /// Every movement of money per order, in minor units: taken positive, given back negative.
    pub fn moves(&self) -> BTreeMap<OrderId, Vec<i64>> {
        let all = |account: &Account| {
            let parts = account.in_parts().map(|amount| -amount);
            account.moves.iter().copied().chain(parts).chain(account.lost().map(|amount| -amount)).collect()
        };
        lock(&self.accounts).iter().map(|(order, account)| (*order, all(account))).collect()
    }

    /// What the provider's books say that it took for this order, given back or not.
    pub fn taken(&self, order: OrderId) -> Option<Money> {
        lock(&self.accounts).get(&order).filter(|account| !account.moves.is_empty()).map(Account::taken)
    }

    /// Someone does outside what they say that they did: then the books say so, too.
    pub fn by_hand(&self, order: OrderId, verb: ResolveAs, total: i64) {
        let mut accounts = lock(&self.accounts);
        let account = accounts.entry(order).or_default();
        let net: i64 = account.moves.iter().sum();
        let (is, standing) = match verb {
            ResolveAs::Retry | ResolveAs::WriteOff => return,
            ResolveAs::Paid => (total, Standing::Charged),
            ResolveAs::Voided | ResolveAs::Refunded => (0, Standing::Refunded),
        };
        account.moves.push(is - net);
        account.standing = Some(standing);
    }

    /// How much is charged: at times another amount than was asked for.
    fn amount(&self, account: &mut Account, asked: i64) -> i64 {
        if !self.world.fault("other amounts", self.world.plan.other_amounts) {
            return asked;
        }
        if self.world.chance("amounts").per_mille(200) {
            account.currency = "USD".parse().ok();
            return asked;
        }
        *self.world.chance("amounts").pick(&[asked - 1, asked + 1, asked / 2, asked * 3, 1, 0])
    }

    fn charge(&self, call: &PaymentCall) -> (Progress, bool) {
        let mut accounts = lock(&self.accounts);
        let account = accounts.entry(call.order).or_default();
        match account.standing {
            None => {}
            Some(Standing::Voided) => self.world.count("charges after their void"),
            Some(_) => self.world.count("repeated charges"),
        }
        if account.standing.is_none() {
            account.standing = Some(match call.token.as_deref() {
                Some(DECLINE) => {
                    self.outbox.announce(&self.world, call.order, false);
                    Standing::Declined
                }
                _ => {
                    let amount = self.amount(account, call.amount.minor);
                    account.moves.push(amount);
                    self.world.note(format_args!("{} pays {amount}", call.order));
                    self.outbox.announce(&self.world, call.order, false);
                    Standing::Charged
                }
            });
        }
        account.begun = false;
        let lost = call.token.as_deref() == Some(LOST_REPLY) && !std::mem::replace(&mut account.lost_once, true);
        (account.progress(), lost)
    }

    /// A charge has come in, and is carried out later.
    fn begin(&self, order: OrderId) {
        lock(&self.accounts).entry(order).or_default().begun = true;
    }

    fn look_up(&self, order: OrderId, past_its_time: bool) -> Progress {
        let mut accounts = lock(&self.accounts);
        let account = accounts.entry(order).or_default();
        let progress = match account.progress() {
            // It says otherwise than it did: its answers may be as of before.
            Progress::Succeeded { .. } if self.world.fault("answers as of before", self.world.plan.stale_answers) => {
                Progress::Processing
            }
            progress => progress,
        };
        account.told_untaken |= past_its_time && !matches!(progress, Progress::Succeeded { .. });
        progress
    }

    /// Whether it said, past an order's time, that it has taken nothing for it.
    pub fn told_untaken(&self, order: OrderId) -> bool {
        lock(&self.accounts).get(&order).is_some_and(|account| account.told_untaken)
    }

    fn cancel(&self, order: OrderId) -> Progress {
        let mut accounts = lock(&self.accounts);
        let account = accounts.entry(order).or_default();
        if account.standing.is_none() {
            self.outbox.announce(&self.world, order, false);
        }
        match account.standing.get_or_insert(Standing::Voided) {
            Standing::Declined => Progress::Cancelled,
            Standing::Charged | Standing::Voided | Standing::Refunded => account.progress(),
        }
    }

    fn look_up_refund(&self, order: OrderId) -> Option<RefundProgress> {
        let accounts = lock(&self.accounts);
        let refunded = accounts.get(&order).filter(|account| account.standing == Some(Standing::Refunded));
        refunded.map(|account| RefundProgress::Succeeded { amount: account.taken() })
    }

    fn refund(&self, order: OrderId) -> RefundProgress {
        let mut accounts = lock(&self.accounts);
        let account = accounts.entry(order).or_default();
        match account.standing {
            Some(Standing::Charged)
                if account.refuses || self.world.fault("refused voids", self.world.plan.refused_voids) =>
            {
                account.refuses = true;
                RefundProgress::Failed { reason: "too late".into() }
            }
            Some(Standing::Charged) => {
                let taken: i64 = account.moves.iter().sum();
                account.moves.push(-taken);
                account.standing = Some(Standing::Refunded);
                self.world.count("refunds");
                self.world.note(format_args!("{order} gets {taken} back"));
                RefundProgress::Succeeded { amount: account.taken() }
            }
            Some(Standing::Refunded) => RefundProgress::Succeeded { amount: account.taken() },
            Some(Standing::Declined | Standing::Voided) | None => {
                self.world.breach(format_args!("{order} is to get back what was never taken"));
                RefundProgress::Failed { reason: "nothing to refund".into() }
            }
        }
    }

    /// Gives a part back, once under each key: at times it will not, and at times it takes its time.
    fn refund_part(&self, call: &RefundCall, of: RefundOf) -> (RefundProgress, bool) {
        let (world, order, amount) = (&self.world, call.order, call.amount.minor);
        let mut accounts = lock(&self.accounts);
        let account = accounts.entry(order).or_default();
        let key = (of.refund, call.attempt);
        if let Some(known) = account.parts.get(&key) {
            world.count("repeated refunds of parts");
            return (known.progress.clone(), false);
        }
        let kept = account.moves.iter().sum::<i64>() - account.in_parts().sum::<i64>() - account.lost().sum::<i64>();
        let is_lost = account.lost().next().is_some() && !(1..=kept).contains(&amount);
        if account.is_disputed() || is_lost {
            // The order may not have heard of it when it asked.
            world.count("refunds of what is disputed");
            let progress = RefundProgress::Failed { reason: "charge_disputed".into() };
            account.parts.insert(key, Part { amount, progress: progress.clone() });
            return (progress, false);
        }
        if account.standing != Some(Standing::Charged) || !(1..=kept).contains(&amount) {
            world.breach(format_args!("{order} is to get {amount} back of the {kept} that are left"));
        }
        let progress = if world.fault("refused refunds", world.plan.refused_refunds) {
            RefundProgress::Failed { reason: "refund_refused".into() }
        } else if world.fault("pending refunds", world.plan.pending_refunds) {
            RefundProgress::Pending
        } else {
            RefundProgress::Succeeded { amount: call.amount }
        };
        world.count("refunds of parts");
        world.note(format_args!("{order} gets {amount} back as {}: {progress:?}", of.refund));
        account.parts.insert(key, Part { amount, progress: progress.clone() });
        (progress, world.fault("lost replies of refunds", world.plan.failing_gateway))
    }

    /// How such a part stands by now.
    fn look_up_part(&self, call: &RefundCall, of: RefundOf) -> Option<RefundProgress> {
        let mut accounts = lock(&self.accounts);
        let part = accounts.get_mut(&call.order)?.parts.get_mut(&(of.refund, call.attempt))?;
        let chance = self.world.chance("pending refunds");
        if part.progress == RefundProgress::Pending && (chance.per_mille(500) || self.world.is_calm()) {
            part.progress = match chance.per_mille(200) && !self.world.is_calm() {
                true => RefundProgress::Failed { reason: "expired_card".into() },
                false => RefundProgress::Succeeded { amount: call.amount },
            };
            self.outbox.announce(&self.world, call.order, true);
        }
        let is_late = self.world.fault("answers as of before", self.world.plan.stale_answers);
        match part.progress {
            RefundProgress::Succeeded { .. } if is_late => Some(RefundProgress::Pending),
            _ => Some(part.progress.clone()),
        }
    }

    /// A bank disputes so much of what was taken for an order, unless it does so already or nothing was.
    pub fn dispute(&self, order: OrderId, minor: i64) -> Option<DisputeTold> {
        let mut accounts = lock(&self.accounts);
        let account = accounts.get_mut(&order).filter(|account| account.standing == Some(Standing::Charged))?;
        let is_other = account.currency.is_some() || account.is_disputed() || account.disputes.len() > 3;
        if is_other || minor < 1 {
            return None;
        }
        let (id, amount) = (format!("dp_{}", account.disputes.len()), Money::new(minor, Currency::BDT));
        let told = DisputeTold { id, status: DisputeStatus::Open, amount, reason: "fraudulent".into() };
        account.disputes.push(told.clone());
        self.world.note(format_args!("{minor} of {order} are disputed"));
        self.outbox.announce(&self.world, order, true);
        Some(told)
    }

    /// The bank has decided, or decides otherwise than before.
    pub fn close_dispute(&self, order: OrderId, id: &str, won: bool) -> DisputeTold {
        let mut accounts = lock(&self.accounts);
        let account = accounts.get_mut(&order).expect("it is disputed");
        let dispute = account.disputes.iter_mut().find(|dispute| dispute.id == id).expect("this one");
        dispute.status = if won { DisputeStatus::Won } else { DisputeStatus::Lost };
        self.world.note(format_args!("{id} of {order} is {}", dispute.status.name()));
        self.outbox.announce(&self.world, order, true);
        dispute.clone()
    }

    fn is_declined(&self, order: OrderId) -> bool {
        lock(&self.accounts).get(&order).is_some_and(|account| account.standing == Some(Standing::Declined))
    }
}

/// The provider as one node reaches it.
pub struct Gateway {
    pub books: Arc<Books>,
    pub oracle: Arc<Oracle>,
    pub clock: Arc<dyn Clock>,
    pub way: Way,
}

impl Gateway {
    /// What the provider does, whatever has become of whoever asked.
    async fn ask<T: Send + 'static>(
        &self,
        order: OrderId,
        slow: bool,
        act: impl FnOnce(&Books) -> (T, bool) + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let world = self.way.world.clone();
        self.way.point();
        if self.books.is_silent() {
            world.count("calls into the silence");
            std::future::pending::<()>().await;
        }
        if world.fault("lost payment calls", world.plan.failing_gateway) {
            world.chance("gateway").pause(50).await;
            return Err(NoAnswer("the call was lost".into()));
        }
        let lost = world.fault("lost payment answers", world.plan.failing_gateway);
        let slow = slow || world.fault("slow payment calls", world.plan.slow_gateway);
        let (books, way, oracle) = (self.books.clone(), self.way.clone(), self.oracle.clone());
        let (send, receive) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let world = &way.world;
            world.chance("gateway").pause(20).await;
            if slow && world.chance("gateway").per_mille(500) {
                sleep(Duration::from_millis(world.chance("gateway").below(SLOW_MS))).await;
            }
            let (answer, lost_now) = act(&books);
            way.point();
            world.chance("gateway").pause(20).await;
            if slow {
                sleep(Duration::from_millis(world.chance("gateway").below(SLOW_MS))).await;
            }
            if lost || lost_now {
                return;
            }
            if send.send(answer).is_err() {
                way.world.count("payment answers that nobody waits for");
            } else if oracle.replayed(|replay| replay.is_over(order)) {
                way.world.count("payment answers after the end");
            }
        });
        receive.await.map_err(|_| NoAnswer("the answer was lost".into()))
    }
}

#[async_trait]
impl PaymentProvider for Gateway {
    fn method(&self) -> &'static str {
        METHOD
    }

    fn check(&self, _: &PaymentChoice) -> Result<(), Reject> {
        Ok(())
    }

    async fn charge(&self, call: &PaymentCall) -> Result<Progress, NoAnswer> {
        self.way.world.note(format_args!("charge {}", call.order));
        self.oracle.charge_asked(call, self.clock.now());
        if call.token.as_deref() == Some(SILENT) {
            self.way.world.count("silence");
            self.way.world.chance("gateway").pause(SLOW_MS).await;
            return Err(NoAnswer("silence".into()));
        }
        if call.token.is_none() {
            self.way.world.breach(format_args!("{} is to be paid, and its token is lost", call.order));
        }
        let slow = call.token.as_deref() == Some(SLOW);
        if slow && self.way.world.chance("payments under way").per_mille(300) {
            self.way.world.count("payments under way");
            self.books.begin(call.order);
            let (books, call, way) = (self.books.clone(), call.clone(), self.way.clone());
            tokio::spawn(async move {
                way.world.chance("payments under way").pause(SLOW_MS).await;
                books.charge(&call);
            });
            return Ok(Progress::Processing);
        }
        let call = call.clone();
        self.ask(call.order, slow, move |books| books.charge(&call)).await
    }

    async fn look_up(&self, call: &PaymentCall) -> Result<Progress, NoAnswer> {
        self.way.world.note(format_args!("look up {}", call.order));
        self.way.world.count("payments looked up");
        let (order, past_its_time) = (call.order, self.clock.now() >= call.not_after);
        self.ask(order, false, move |books| (books.look_up(order, past_its_time), false)).await
    }

    async fn cancel(&self, call: &PaymentCall) -> Result<Progress, NoAnswer> {
        self.way.world.note(format_args!("cancel {}", call.order));
        // What was declined is cancelled before the order hears of it.
        if !self.books.is_declined(call.order) {
            self.oracle.void_asked(call.order);
        }
        let order = call.order;
        self.ask(order, false, move |books| (books.cancel(order), false)).await
    }

    async fn refund(&self, call: &RefundCall) -> Result<RefundProgress, NoAnswer> {
        self.way.world.note(format_args!("refund {}", call.order));
        let order = call.order;
        if let Some(of) = call.of {
            self.oracle.refund_asked(call, of);
            let call = call.clone();
            return self.ask(order, false, move |books| books.refund_part(&call, of)).await;
        }
        self.oracle.void_asked(order);
        self.ask(order, false, move |books| (books.refund(order), false)).await
    }

    async fn look_up_refund(&self, call: &RefundCall) -> Result<Option<RefundProgress>, NoAnswer> {
        self.way.world.note(format_args!("look up the refund of {}", call.order));
        let order = call.order;
        if let Some(of) = call.of {
            let call = call.clone();
            return self.ask(order, false, move |books| (books.look_up_part(&call, of), false)).await;
        }
        self.ask(order, false, move |books| (books.look_up_refund(order), false)).await
    }

    fn notice(&self, header: Headers<'_>, body: &[u8], _: Timestamp) -> Result<Notice, NoNotice> {
        notices::read(header, body)
    }

    async fn disputes(&self, call: &PaymentCall) -> Result<Vec<DisputeTold>, NoAnswer> {
        let order = call.order;
        self.way.world.note(format_args!("disputes of {order}"));
        self.ask(order, false, move |books| (books.disputes(order), false)).await
    }

    async fn order_of(&self, reference: &str) -> Result<Option<OrderId>, NoAnswer> {
        let Some(order) = notices::order_named(reference) else { return Ok(None) };
        self.ask(order, false, move |_| (Some(order), false)).await
    }

    async fn changed(&self, since: Timestamp, cursor: Option<&str>) -> Result<Changed, NoAnswer> {
        let world = &self.way.world;
        if !world.plan.lists_changes {
            return Ok(Changed::default());
        }
        world.count("lists of what has changed");
        world.note(format_args!("what has changed since {since}, from {cursor:?} on"));
        let cursor = cursor.map(str::to_owned);
        let nobody = OrderId::from_uuid(uuid::Uuid::nil());
        self.ask(nobody, false, move |books| (books.outbox.changed(since, cursor.as_deref()), false)).await
    }
}
