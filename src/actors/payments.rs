//! What orders want of payment providers: effects that leave the node, and so wait until their cause is durable. What follows from an
//! answer stands in [`crate::domain::payment`].

use crate::actors::envelope::Envelope;
use crate::actors::gate::{Entry, Gate, Pass, Wish};
use crate::actors::metrics::{PaymentMetrics, notice as notice_counter, shed};
use crate::actors::node::{Node, NodeSettings};
use crate::actors::shop::{Failure, Shop};
use crate::actors::turn::NotLetIn;
use crate::domain::entity::{EffectKey, Message, PaymentCall, Step};
use crate::domain::ids::{EntityId, EntityRef, OrderId};
use crate::domain::kinds::for_kind;
use crate::domain::money::Currency;
use crate::domain::order::{DisputeTold, Order, OrderCommand, PaymentChoice};
use crate::domain::payment::{
    Aim, Next, NextAction, Progress, RefundCall, RefundProgress, Verb, after_refund, after_refund_look_up,
};
use crate::domain::pricing::ON_DELIVERY;
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::limits;
use crate::ports::trace::TraceContext;
use crate::ports::{Changed, Headers, NoAnswer, NoNotice, Notice, Payment, PaymentProvider, Position, Prepared};
use foldhash::{HashMap, HashSet};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tracing::field::display;

impl Shop {
    /// Whether this can be paid for in this way, as far as anybody knows now.
    ///
    /// # Errors
    /// Why not: a refusal, or that the provider gives no answers.
    pub(crate) fn check_payment(&self, choice: &PaymentChoice, points_alone: bool) -> Result<(), NotLetIn> {
        let node = self.node();
        if choice.method == ON_DELIVERY && node.settings.shop.cash_open_orders > 0 {
            return Ok(());
        }
        let provider = node.provider(&choice.method).ok_or_else(|| {
            let reason = "this shop does not take this payment method".into();
            NotLetIn::Refused(Reject::PaymentUnsupported { reason, token: false })
        })?;
        // Where points are to pay all of it no provider is asked for anything.
        if points_alone {
            return Ok(());
        }
        provider.port.check(choice).map_err(NotLetIn::Refused)?;
        if node.is_silent(provider) {
            shed("payment_provider");
            let retry_after_s = limits::GATEWAY_SILENCE_RETRY_S;
            return Err(NotLetIn::Failed(Failure::ProviderSilent { retry_after_s }));
        }
        Ok(())
    }

    /// What the buyer of an order has to do, as far as this node has heard since it was started. Only buyers may see it.
    pub(crate) fn next_action(&self, order: OrderId) -> Option<NextAction> {
        self.node().calls.state.lock().actions.get(&order).cloned()
    }

    /// A buyer comes back from where the provider had sent it: an order that waits for that, as far as this node has heard, looks its payment up.
    /// Anybody may say so, of any order: nothing is read for it, and it comes to no more than one look-up in a while.
    pub(crate) fn buyer_is_back(&self, order: OrderId) -> bool {
        self.node().buyer_is_back(order)
    }

    /// Takes what the provider of this method says by itself: the order that it is about looks its payment up.
    ///
    /// # Errors
    /// See [`NoNotice`].
    pub(crate) fn notice(&self, method: &str, header: Headers<'_>, body: &[u8]) -> Result<Notice, NoNotice> {
        let node = self.node();
        let provider = node.provider(method).ok_or(NoNotice::NotTaken)?;
        let notice = provider.port.notice(header, body, node.clock.wall());
        let outcome = match notice {
            Ok(Notice::Order(order)) => match node.hint(order) {
                true => "order",
                false => "coalesced",
            },
            Ok(Notice::After(ref payment)) => {
                // What is given back may be all of an order that ends unpaid, which waits for that itself.
                if let Payment::Of(order) = payment {
                    node.hint(*order);
                }
                "after"
            }
            Ok(Notice::Other) => "other",
            Err(NoNotice::Forged) => "forged",
            Err(NoNotice::NotTaken) => return notice,
        };
        notice_counter(provider.port.method(), outcome).increment(1);
        notice
    }
}

/// What an order wants of its provider.
pub(super) struct Wanted {
    /// The effect.
    pub(super) key: EffectKey,
    pub(super) aim: Aim,
    /// Whether the provider has said that it is at it.
    pub(super) begun: bool,
    pub(super) call: PaymentCall,
    /// Which try to give the money back comes next.
    pub(super) attempt: u32,
    /// The trace of the request that it comes of, if that is sampled.
    pub(super) trace: Option<TraceContext>,
}

/// What is under way or waits to be made. An order asks again when it hears nothing; while the first call waits for the store, or for its
/// turn, a second would only wait behind it, and so without end.
#[derive(Default)]
pub(super) struct Calls {
    state: Mutex<CallState>,
}

#[derive(Default)]
struct CallState {
    under_way: HashSet<EffectKey>,
    /// Orders whose payment was prepared by this node and not asked about since: nobody else can have charged it.
    fresh: HashSet<OrderId>,
    /// What buyers have to do.
    actions: HashMap<OrderId, NextAction>,
    /// Orders that are looked up because of a notice, or were just now; and whether another came meanwhile.
    hints: HashMap<OrderId, bool>,
}

impl CallState {
    /// Whether anything of an order's payment is being asked.
    fn is_asked(&self, order: OrderId) -> bool {
        let steps = [Step::Charge, Step::ChargePrepared, Step::LookUp, Step::Void];
        steps.into_iter().any(|step| self.under_way.contains(&EffectKey::new(step, order)))
    }
}

impl Calls {
    /// Begins a call, unless it is under way already.
    fn begin(self: &Arc<Self>, key: EffectKey) -> Option<Call> {
        let begun = self.state.lock().under_way.insert(key);
        begun.then(|| Call { calls: self.clone(), key })
    }

    fn is_under_way(&self, key: EffectKey) -> bool {
        self.state.lock().under_way.contains(&key)
    }
}

/// A payment provider, and the way to it.
pub(super) struct Provider {
    port: Arc<dyn PaymentProvider>,
    gate: Arc<Gate>,
    metrics: PaymentMetrics,
}

impl Provider {
    pub(super) fn new(port: Arc<dyn PaymentProvider>, settings: &NodeSettings) -> Self {
        let gate = Gate::new(port.method(), settings.payment_calls_per_second, settings.silent_orders);
        let metrics = PaymentMetrics::new(port.method());
        Self { port, gate, metrics }
    }

    /// The method by which it is asked for, and the least that it takes.
    pub(super) fn least(&self, method: &str, currency: Currency) -> Option<i64> {
        (self.port.method() == method).then(|| self.port.least(currency))
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }
}

/// A call, under way for as long as this lives.
struct Call {
    calls: Arc<Calls>,
    key: EffectKey,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.calls.state.lock().under_way.remove(&self.key);
    }
}

impl Node {
    fn provider(&self, method: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.port.method() == method)
    }

    /// Whether this provider has given no answers for so long that nothing more is sold on its word.
    fn is_silent(&self, provider: &Provider) -> bool {
        provider.gate.silent_for(Instant::now()).is_some_and(|silence| silence >= self.settings.silence)
    }

    /// Asks the provider once everything up to `after` is durable. Whatever comes of it comes back to the order as a command. What is under
    /// way is not asked a second time: its answer comes.
    pub(super) fn pay(self: &Arc<Self>, wanted: Wanted, after: Position) {
        let Some(under_way) = self.calls.begin(wanted.key) else {
            return;
        };
        let node = self.clone();
        self.log_writer.when_durable(
            after,
            Box::new(move || {
                let (outside, runtime) = (node.outside.clone(), node.runtime.clone());
                outside.spawn_on(
                    async move {
                        let (key, order, trace) = (wanted.key, wanted.call.order, wanted.trace);
                        // What is cut off is asked again after the next start.
                        let asked = node.outbound_calls.run_until_cancelled(node.ask_provider(wanted));
                        let Some(outcome) = asked.await else { return };
                        // Whoever hears that there was no outcome may ask again at once.
                        drop(under_way);
                        match outcome {
                            Outcome::Known(command) => {
                                node.calls.state.lock().actions.remove(&order);
                                node.tell(Message::Order { id: order, command }, false, trace);
                            }
                            Outcome::Begun => {
                                node.calls.state.lock().actions.remove(&order);
                                node.no_outcome(order.entity(), key, true);
                            }
                            Outcome::Buyer(action) => {
                                // Before it is told: whoever hears of it asks for this.
                                node.calls.state.lock().actions.insert(order, action);
                                let command = OrderCommand::BuyerNeeded;
                                node.tell(Message::Order { id: order, command }, false, trace);
                                node.no_outcome(order.entity(), key, true);
                            }
                            Outcome::Unknown => node.no_outcome(order.entity(), key, false),
                        }
                    },
                    &runtime,
                );
            }),
        );
    }

    fn no_outcome(self: &Arc<Self>, entity: EntityRef, key: EffectKey, begun: bool) {
        for_kind!(entity.kind, E => {
            let envelope = Envelope::NoOutcome { key, begun };
            let _ = self.deliver::<E>(EntityId::from_uuid(entity.uuid), envelope, None, false);
        });
    }

    /// See [`Shop::buyer_is_back`].
    pub(super) fn buyer_is_back(self: &Arc<Self>, order: OrderId) -> bool {
        let is_awaited = matches!(self.calls.state.lock().actions.get(&order), Some(NextAction::Redirect { .. }));
        is_awaited && self.hint(order)
    }

    /// Has an order look its payment up, now or when the look-up that runs has ended; false where one waits already. What is left out here
    /// comes to nothing but a wait: each order looks its payment up by itself.
    pub(super) fn hint(self: &Arc<Self>, order: OrderId) -> bool {
        {
            let mut state = self.calls.state.lock();
            if let Some(another) = state.hints.get_mut(&order) {
                return !std::mem::replace(another, true);
            }
            if state.hints.len() >= limits::PAYMENT_HINTS {
                return false;
            }
            state.hints.insert(order, true);
        }
        let node = self.clone();
        let looks = async move {
            loop {
                {
                    let mut state = node.calls.state.lock();
                    let asked = state.is_asked(order);
                    match state.hints.get_mut(&order) {
                        Some(another) if *another => *another = asked,
                        _ => {
                            state.hints.remove(&order);
                            break;
                        }
                    }
                    if !asked {
                        drop(state);
                        let _ = node.deliver::<Order>(order, Envelope::Hint, None, false);
                    }
                }
                tokio::time::sleep(Duration::from_millis(limits::PAYMENT_HINT_MS)).await;
            }
        };
        let (node, outside) = (self.clone(), self.outside.clone());
        let looks = async move {
            node.outbound_calls.run_until_cancelled(looks).await;
        };
        outside.spawn_on(looks, &self.runtime);
        true
    }

    /// Whether this call is still to be made: no charge past its time, or when it is being undone already.
    fn is_wanted(&self, wish: &Wish) -> bool {
        let is_undone = || self.calls.is_under_way(EffectKey::new(Step::Void, wish.order));
        !wish.charges || (self.clock.now() < wish.not_after && !is_undone())
    }

    /// Waits until this call may be made; `None` when it is not wanted any more by then.
    async fn let_in(self: &Arc<Self>, gate: &Arc<Gate>, wish: Wish) -> Option<Pass> {
        let pass = match gate.enter(wish, Instant::now()) {
            Entry::Now(pass) => pass,
            Entry::Later(pass, undriven) => {
                if undriven {
                    let (node, gate) = (self.clone(), gate.clone());
                    let drive = async move {
                        let drive = gate.drive(|wish| node.is_wanted(wish));
                        node.outbound_calls.run_until_cancelled(drive).await;
                    };
                    self.outside.spawn_on(drive, &self.runtime);
                }
                pass.await.ok()?
            }
        };
        self.is_wanted(&wish).then_some(pass)
    }

    /// Asks the provider until it is known what the order is told, or that this is not known yet.
    async fn ask_provider(self: &Arc<Self>, wanted: Wanted) -> Outcome {
        let Wanted { mut aim, mut begun, mut call, attempt, trace, .. } = wanted;
        let Some(provider) = self.provider(&call.method) else {
            tracing::error!(order = %call.order, method = call.method, "an order's payment provider is not configured");
            return Outcome::Unknown;
        };
        let prepares = provider.port.prepares();
        if prepares {
            let fresh = self.calls.state.lock().fresh.remove(&call.order);
            if matches!(aim, Aim::Charge { .. }) && call.reference.is_some() {
                // What was prepared is charged without the buyer's means of payment. Only what this node prepared just now is known not to
                // be charged yet: of all else the provider tells first how it stands.
                aim = Aim::Charge { token: true };
                begun |= !fresh;
            }
        }
        if aim == (Aim::Charge { token: false }) {
            match self.payment_token(call.order).await {
                Ok(token) => call.token = token,
                Err(error) => {
                    tracing::warn!(order = %call.order, %error, "a buyer's means of payment cannot be read");
                    return Outcome::Unknown;
                }
            }
            aim = Aim::Charge { token: call.token.is_some() };
        }
        if prepares && call.reference.is_none() && aim == (Aim::Charge { token: true }) {
            aim = Aim::Prepare;
        }
        let mut verb = aim.begins(begun);
        loop {
            let next = match self.asks(provider, &verb, &call, attempt, trace).await {
                Some(Answer::Payment(progress)) => aim.after(&verb, progress),
                Some(Answer::Refund(found)) => match (&verb, found) {
                    (Verb::Refund { captured }, Some(progress)) => after_refund(Some(*captured), progress),
                    (Verb::LookUpRefund { captured }, found) => after_refund_look_up(*captured, found),
                    _ => Next::Later,
                },
                Some(Answer::Prepared(Prepared::Ready { reference })) => {
                    self.calls.state.lock().fresh.insert(call.order);
                    Next::Tell(OrderCommand::PaymentPrepared { reference: reference.into() })
                }
                // Nothing is there that could be charged, or cancelled.
                Some(Answer::Prepared(Prepared::Refused { reason })) => Next::Tell(OrderCommand::Declined { reason }),
                None => return Outcome::Unknown,
            };
            match next {
                Next::Ask(more) => verb = more,
                Next::Tell(command) => return Outcome::Known(command),
                Next::Later => return Outcome::Begun,
                Next::Buyer(action) => return Outcome::Buyer(action),
            }
        }
    }

    /// One call, when its turn has come; `None` when it is not wanted any more by then, or has no answer.
    async fn asks(
        self: &Arc<Self>,
        provider: &Provider,
        verb: &Verb,
        call: &PaymentCall,
        attempt: u32,
        trace: Option<TraceContext>,
    ) -> Option<Answer> {
        let held_back = trace.map(|context| context.begin("payment.queue", Instant::now()));
        let charges = matches!(verb, Verb::Prepare | Verb::Charge);
        let wish = Wish { order: call.order, charges, not_after: call.not_after };
        let pass = self.let_in(&provider.gate, wish).await?;
        let started = Instant::now();
        let traced = trace.map(|context| context.begin("payment.call", started).calls());
        if let Some(held_back) = held_back {
            held_back.end(started, false);
        }
        let within = provider.port.patience();
        let answer = timeout(within, provider.answers(verb, call, attempt)).await;
        pass.ends(matches!(answer, Ok(Ok(_))));
        let (outcome, answer) = match answer {
            Ok(Ok(answer)) => (answer.name(), Some(answer)),
            Ok(Err(error)) => {
                let trace_id = trace.map(|context| display(context.trace()));
                tracing::debug!(order = %call.order, call = verb.name(), %error, trace_id, "a payment provider gave no answer");
                ("no_answer", None)
            }
            Err(_) => ("timed_out", None),
        };
        if let Some(mut traced) = traced {
            traced.says("haat.payment.method", provider.port.method().to_owned());
            traced.says("haat.payment.call", verb.name());
            traced.says("haat.payment.outcome", outcome);
            traced.says("haat.entity", call.order.entity().to_string());
            traced.end(Instant::now(), answer.is_none());
        }
        provider.metrics.called(verb.name(), outcome, started.elapsed());
        answer
    }
}

impl Shop {
    /// By which methods can be paid.
    pub(crate) fn payment_methods(&self) -> Vec<&'static str> {
        self.node().providers.iter().map(|provider| provider.port.method()).collect()
    }

    /// Sees to a refund of a paid order at its provider: looks it up, and asks for it where it was never asked for. `None` where no answer came.
    pub(crate) async fn refund(&self, method: &str, call: &RefundCall) -> Option<RefundProgress> {
        let provider = self.node().provider(method)?;
        match self.look_up_refund(method, call).await? {
            Some(known) => Some(known),
            None => {
                let asked = provider.port.refund(call);
                provider.asked(self.node(), call.order, "refund", asked, RefundProgress::name).await
            }
        }
    }

    /// How a refund stands at its provider. `None` where no answer came.
    pub(crate) async fn look_up_refund(&self, method: &str, call: &RefundCall) -> Option<Option<RefundProgress>> {
        let provider = self.node().provider(method)?;
        let name = |found: &Option<RefundProgress>| found.as_ref().map_or("not_started", RefundProgress::name);
        let asked = provider.port.look_up_refund(call);
        provider.asked(self.node(), call.order, "look_up_refund", asked, name).await
    }

    /// All disputes of a payment. `None` where no answer came.
    pub(crate) async fn disputes(&self, call: &PaymentCall) -> Option<Vec<DisputeTold>> {
        let provider = self.node().provider(&call.method)?;
        let asked = provider.port.disputes(call);
        provider.asked(self.node(), call.order, "disputes", asked, |_| "told").await
    }

    /// Whose payment the provider of this method calls so. The outer `None` where no answer came.
    pub(crate) async fn order_of_payment(&self, method: &str, reference: &str) -> Option<Option<OrderId>> {
        let provider = self.node().provider(method)?;
        let asked = provider.port.order_of(reference);
        provider.asked(self.node(), nobodys(), "order_of", asked, |_| "told").await
    }

    /// Which payments have changed at a provider. `None` where no answer came.
    pub(crate) async fn payments_changed(
        &self,
        method: &str,
        since: Timestamp,
        cursor: Option<&str>,
    ) -> Option<Changed> {
        let provider = self.node().provider(method)?;
        let asked = provider.port.changed(since, cursor);
        provider.asked(self.node(), nobodys(), "changed", asked, |_| "told").await
    }
}

/// In the place of an order, for a call that is about none.
fn nobodys() -> OrderId {
    OrderId::from_uuid(uuid::Uuid::nil())
}

impl Provider {
    /// One call about what comes after a payment, when its turn has come. `None` where no answer came.
    async fn asked<T>(
        &self,
        node: &Arc<Node>,
        order: OrderId,
        verb: &'static str,
        asked: impl Future<Output = Result<T, NoAnswer>>,
        name: impl FnOnce(&T) -> &'static str,
    ) -> Option<T> {
        let wish = Wish { order, charges: false, not_after: node.clock.now() };
        let pass = node.let_in(&self.gate, wish).await?;
        let started = Instant::now();
        let answer = timeout(self.port.patience(), asked).await;
        pass.ends(matches!(answer, Ok(Ok(_))));
        let (outcome, answer) = match answer {
            Ok(Ok(found)) => (name(&found), Some(found)),
            Ok(Err(error)) => {
                tracing::debug!(%order, call = verb, %error, "a payment provider gave no answer");
                ("no_answer", None)
            }
            Err(_) => ("timed_out", None),
        };
        self.metrics.called(verb, outcome, started.elapsed());
        answer
    }
}

/// What has come of it all.
enum Outcome {
    /// The order is told this.
    Known(OrderCommand),
    /// Nothing yet: the provider is at it.
    Begun,
    /// Nothing yet: the buyer has to do this.
    Buyer(NextAction),
    /// Nobody knows.
    Unknown,
}

/// What a provider answers.
enum Answer {
    Prepared(Prepared),
    Payment(Progress),
    /// `None` where there is no such refund.
    Refund(Option<RefundProgress>),
}

impl Answer {
    /// By this it is counted.
    fn name(&self) -> &'static str {
        match self {
            Answer::Prepared(Prepared::Ready { .. }) => "prepared",
            Answer::Prepared(Prepared::Refused { .. }) => "refused",
            Answer::Payment(progress) => progress.name(),
            Answer::Refund(found) => found.as_ref().map_or("not_started", RefundProgress::name),
        }
    }
}

impl Provider {
    async fn answers(&self, verb: &Verb, call: &PaymentCall, attempt: u32) -> Result<Answer, NoAnswer> {
        let (reference, order, mint) = (&call.reference, call.order, call.mint);
        let refund = |amount| RefundCall { order, mint, reference: reference.clone(), attempt, amount, of: None };
        Ok(match verb {
            Verb::Prepare => Answer::Prepared(self.port.prepare(call).await?),
            Verb::Charge => Answer::Payment(self.port.charge(call).await?),
            Verb::LookUp => Answer::Payment(self.port.look_up(call).await?),
            Verb::Cancel { .. } => Answer::Payment(self.port.cancel(call).await?),
            Verb::LookUpRefund { captured } => {
                Answer::Refund(self.port.look_up_refund(&refund(captured.unwrap_or(call.amount))).await?)
            }
            Verb::Refund { captured } => Answer::Refund(Some(self.port.refund(&refund(*captured)).await?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::testing::Bench;
    use crate::domain::ids::OrderId;
    use crate::domain::money::{Currency, Money};
    use crate::domain::time::Timestamp;
    use std::sync::atomic::Ordering;
    use uuid::Uuid;

    fn key(number: u128, void: bool) -> EffectKey {
        EffectKey::new(if void { Step::Void } else { Step::Charge }, OrderId::from_uuid(Uuid::from_u128(number)))
    }

    fn wanted(number: u128, void: bool) -> Wanted {
        let order = OrderId::from_uuid(Uuid::from_u128(number));
        let (amount, not_after) = (Money::new(1_000, Currency::BDT), Timestamp::from_millis(i64::MAX));
        let call = PaymentCall {
            order,
            amount,
            mint: None,
            method: "hangs".into(),
            token: Some("tok".into()),
            reference: None,
            not_after,
        };
        let aim = if void { Aim::Undo } else { Aim::Charge { token: true } };
        Wanted { key: key(number, void), aim, begun: false, call, attempt: 1, trace: None }
    }

    /// However often an order asks while the store or the gateway hangs, one call waits.
    #[tokio::test(start_paused = true)]
    async fn a_call_under_way_is_not_made_a_second_time() {
        let bench = Bench::new();
        let node = &bench.node;
        let ask = |void| node.pay(wanted(1, void), Position::TAIL);
        for _ in 0..3 {
            ask(false);
        }
        assert_eq!(bench.log_writer.waiting(), 1, "the first waits for the store");
        bench.log_writer.let_go();
        bench.world.called.notified().await;
        for _ in 0..3 {
            ask(false);
        }
        assert_eq!(bench.log_writer.waiting(), 0, "the first waits for the gateway");
        ask(true);
        assert_eq!(bench.log_writer.waiting(), 1, "a void is another call");
        bench.log_writer.let_go();
        bench.world.called.notified().await;
        assert_eq!(bench.world.calls.load(Ordering::SeqCst), 2);
        // The gateway's time is over: now it may be asked again.
        while !node.calls.state.lock().under_way.is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        ask(false);
        assert_eq!(bench.log_writer.waiting(), 1);
    }

    /// A call that the log writer lets go of, as it does when it is closed, is not under way.
    #[tokio::test]
    async fn a_call_that_is_dropped_may_be_made_again() {
        let bench = Bench::new();
        for _ in 0..2 {
            bench.node.pay(wanted(1, false), Position::TAIL);
            assert_eq!(bench.log_writer.waiting(), 1);
            bench.log_writer.forget();
        }
    }

    fn slow_bench() -> Bench {
        Bench::with_settings(NodeSettings { payment_calls_per_second: 1, ..NodeSettings::default() })
    }

    fn asks(bench: &Bench, number: u128, void: bool) {
        bench.node.pay(wanted(number, void), Position::TAIL);
        bench.log_writer.let_go();
    }

    /// A stop does not wait for what is held back, and makes none of it.
    #[tokio::test(start_paused = true)]
    async fn a_stop_cuts_off_calls_that_are_held_back() {
        let bench = slow_bench();
        (1..=50).for_each(|number| asks(&bench, number, false));
        bench.world.called.notified().await;
        bench.node.outbound_calls.cancel();
        while !bench.node.calls.state.lock().under_way.is_empty() {
            tokio::task::yield_now().await;
        }
        bench.node.outside.close();
        bench.node.outside.wait().await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(bench.world.calls.load(Ordering::SeqCst), 1, "the one that was made before");
    }

    /// What was wanted when it came into line need not be when its turn comes.
    #[tokio::test(start_paused = true)]
    async fn a_charge_that_is_being_undone_by_its_turn_is_not_made() {
        let bench = slow_bench();
        (1..=3).for_each(|number| asks(&bench, number, false));
        bench.world.called.notified().await;
        asks(&bench, 2, true);
        let is_under_way = |number, void| bench.node.calls.is_under_way(key(number, void));
        assert!(
            [(1, false), (2, false), (2, true), (3, false)]
                .into_iter()
                .all(|(number, void)| is_under_way(number, void))
        );
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        assert!(!is_under_way(2, false) && is_under_way(2, true) && is_under_way(3, false));
        assert_eq!(bench.world.calls.load(Ordering::SeqCst), 3);
    }
}
