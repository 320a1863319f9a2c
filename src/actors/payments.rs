//! Calls of payment gateways: effects that leave the node, and so wait until their cause is durable.

use crate::actors::envelope::Envelope;
use crate::actors::gate::{Entry, Gate, Pass, Wish};
use crate::actors::metrics::shed;
use crate::actors::node::{Node, NodeSettings};
use crate::actors::shop::{Failure, Shop};
use crate::actors::turn::NotLetIn;
use crate::domain::entity::{EffectKey, Message, PaymentCall};
use crate::domain::ids::{EntityId, EntityRef, OrderId};
use crate::domain::kinds::for_kind;
use crate::domain::reject::Reject;
use crate::limits;
use crate::ports::{GatewayError, PaymentGateway, Position};
use foldhash::HashSet;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

impl Shop {
    /// Whether this can be paid for in this way, as far as anybody knows now.
    ///
    /// # Errors
    /// Why not: a refusal, or that the provider gives no answers.
    pub(crate) fn check_payment(&self, method: &str, token: &str) -> Result<(), NotLetIn> {
        let unsupported = |reason, token| NotLetIn::Refused(Reject::PaymentUnsupported { reason, token });
        let node = self.node();
        let provider = node
            .provider(method)
            .ok_or_else(|| unsupported("this shop does not take this payment method".into(), false))?;
        provider.gateway.check_token(token).map_err(|reason| unsupported(reason, true))?;
        if node.is_silent(provider) {
            shed("payment_provider");
            let retry_after_s = limits::GATEWAY_SILENCE_RETRY_S;
            return Err(NotLetIn::Failed(Failure::ProviderSilent { retry_after_s }));
        }
        Ok(())
    }
}

/// Which call: the order, and whether it undoes the payment.
type Which = (OrderId, bool);

/// The calls that are under way or wait to be made. An order asks again when it hears nothing; while the first call waits for the store,
/// or for its turn, a second would only wait behind it, and so without end.
#[derive(Default)]
pub(super) struct Calls {
    under_way: Mutex<HashSet<Which>>,
}

impl Calls {
    /// Begins a call, unless it is under way already.
    fn begin(self: &Arc<Self>, which: Which) -> Option<Call> {
        let begun = self.under_way.lock().insert(which);
        begun.then(|| Call { calls: self.clone(), which })
    }

    fn is_under_way(&self, which: Which) -> bool {
        self.under_way.lock().contains(&which)
    }
}

/// A payment provider, and the way to it.
pub(super) struct Provider {
    gateway: Arc<dyn PaymentGateway>,
    gate: Arc<Gate>,
}

impl Provider {
    pub(super) fn new(gateway: Arc<dyn PaymentGateway>, settings: &NodeSettings) -> Self {
        let gate = Gate::new(gateway.method(), settings.payment_calls_per_second, settings.silent_orders);
        Self { gateway, gate }
    }
}

/// A call, under way for as long as this lives.
struct Call {
    calls: Arc<Calls>,
    which: Which,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.calls.under_way.lock().remove(&self.which);
    }
}

impl Node {
    fn provider(&self, method: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.gateway.method() == method)
    }

    /// Whether this provider has given no answers for so long that nothing more is sold on its word.
    fn is_silent(&self, provider: &Provider) -> bool {
        provider.gate.silent_for(Instant::now()).is_some_and(|silence| silence >= self.settings.silence)
    }

    /// Calls the gateway once everything up to `after` is durable. Whatever comes of it comes back to the order as a command. A call that is
    /// under way is not made a second time: its answer comes.
    pub(super) fn pay(self: &Arc<Self>, call: PaymentCall, void: bool, key: EffectKey, after: Position) {
        let Some(under_way) = self.calls.begin((call.order, void)) else {
            return;
        };
        let node = self.clone();
        self.log_writer.when_durable(
            after,
            Box::new(move || {
                let (outside, runtime) = (node.outside.clone(), node.runtime.clone());
                outside.spawn_on(
                    async move {
                        let order = call.order;
                        // A call that is cut off is made again after the next start.
                        let call = node.outbound_calls.run_until_cancelled(node.call_gateway(&call, void));
                        let Some(answer) = call.await else { return };
                        // Whoever hears that there was no answer may ask again at once.
                        drop(under_way);
                        match answer {
                            Some(message) => node.tell(message, false),
                            None => node.not_answered(order.entity(), key),
                        }
                    },
                    &runtime,
                );
            }),
        );
    }

    fn not_answered(self: &Arc<Self>, entity: EntityRef, key: EffectKey) {
        for_kind!(entity.kind, E => {
            let _ = self.deliver::<E>(EntityId::from_uuid(entity.uuid), Envelope::NotAnswered(key), None, false);
        });
    }

    /// Whether this call is still to be made: no charge past its time, or when it is being undone already.
    fn is_wanted(&self, wish: &Wish) -> bool {
        wish.void || (self.clock.now() < wish.not_after && !self.calls.is_under_way((wish.order, true)))
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

    /// What the order is told of the answer; `None` while it is not known.
    async fn call_gateway(self: &Arc<Self>, call: &PaymentCall, void: bool) -> Option<Message> {
        let Some(Provider { gateway, gate }) = self.provider(&call.method) else {
            tracing::error!(order = %call.order, method = call.method, "an order's payment gateway is not configured");
            return None;
        };
        let mut call = call.clone();
        if !void && call.token.is_none() {
            match self.payment_token(call.order).await {
                Ok(token) => call.token = token,
                Err(error) => {
                    tracing::warn!(order = %call.order, %error, "a buyer's means of payment cannot be read");
                    return None;
                }
            }
        }
        let call = &call;
        let pass = self.let_in(gate, Wish { order: call.order, void, not_after: call.not_after }).await?;
        let started = Instant::now();
        let within = Duration::from_millis(limits::GATEWAY_CALL_MS);
        let answer = async {
            Ok(match void {
                true => {
                    let outcome = gateway.void(call).await?;
                    (outcome.name(), outcome.told(call.order))
                }
                false => {
                    let outcome = gateway.charge(call).await?;
                    (outcome.name(), outcome.told(call.order))
                }
            })
        };
        let answer = timeout(within, answer).await;
        pass.ends(matches!(answer, Ok(Ok(_))));
        let (outcome, message) = match answer {
            Ok(Ok((outcome, message))) => (outcome, Some(message)),
            Ok(Err::<_, GatewayError>(error)) => {
                tracing::debug!(order = %call.order, %error, "a payment gateway gave no answer");
                ("failed", None)
            }
            Err(_) => ("timed_out", None),
        };
        self.payment_metrics.called(void, outcome, started.elapsed());
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::testing::Bench;
    use crate::domain::entity::Step;
    use crate::domain::money::{Currency, Money};
    use crate::domain::time::Timestamp;
    use std::sync::atomic::Ordering;
    use uuid::Uuid;

    fn call(number: u128) -> (PaymentCall, EffectKey) {
        let order = OrderId::from_uuid(Uuid::from_u128(number));
        let (amount, not_after) = (Money::new(1_000, Currency::BDT), Timestamp::from_millis(i64::MAX));
        let call =
            PaymentCall { order, amount, mint: None, method: "hangs".into(), token: Some("tok".into()), not_after };
        (call, EffectKey::new(Step::Charge, order))
    }

    /// However often an order asks while the store or the gateway hangs, one call waits.
    #[tokio::test(start_paused = true)]
    async fn a_call_under_way_is_not_made_a_second_time() {
        let bench = Bench::new();
        let node = &bench.node;
        let ask = |void| {
            let (call, key) = call(1);
            node.pay(call, void, key, Position::TAIL);
        };
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
        while !node.calls.under_way.lock().is_empty() {
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
            let (call, key) = call(1);
            bench.node.pay(call, false, key, Position::TAIL);
            assert_eq!(bench.log_writer.waiting(), 1);
            bench.log_writer.forget();
        }
    }

    fn slow_bench() -> Bench {
        Bench::with_settings(NodeSettings { payment_calls_per_second: 1, ..NodeSettings::default() })
    }

    fn asks(bench: &Bench, number: u128, void: bool) {
        let (call, key) = call(number);
        bench.node.pay(call, void, key, Position::TAIL);
        bench.log_writer.let_go();
    }

    /// A stop does not wait for what is held back, and makes none of it.
    #[tokio::test(start_paused = true)]
    async fn a_stop_cuts_off_calls_that_are_held_back() {
        let bench = slow_bench();
        (1..=50).for_each(|number| asks(&bench, number, false));
        bench.world.called.notified().await;
        bench.node.outbound_calls.cancel();
        while !bench.node.calls.under_way.lock().is_empty() {
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
        let is_under_way = |number, void| {
            let (call, _) = call(number);
            bench.node.calls.is_under_way((call.order, void))
        };
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
