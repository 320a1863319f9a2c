//! Calls of payment gateways: effects that leave the node, and so wait until their cause is durable.

use crate::actors::node::Node;
use crate::actors::shell::Envelope;
use crate::domain::entity::{EffectKey, Message, PaymentCall};
use crate::domain::ids::OrderId;
use crate::domain::order::{Order, OrderCommand, PaymentChoice};
use crate::domain::reject::Reject;
use crate::limits;
use crate::ports::{ChargeOutcome, PaymentGateway, Place, VoidOutcome};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, timeout};

impl Node {
    fn gateway(&self, method: &str) -> Option<&Arc<dyn PaymentGateway>> {
        self.gateways.iter().find(|gateway| gateway.method() == method)
    }

    /// Whether the shop takes this payment.
    pub(super) fn check_payment(&self, choice: &PaymentChoice) -> Result<(), Reject> {
        let gateway = self.gateway(&choice.method).ok_or_else(|| Reject::PaymentUnsupported {
            reason: "this shop does not take this payment method".into(),
        })?;
        gateway.check_token(&choice.token).map_err(|reason| Reject::PaymentUnsupported { reason })
    }

    /// Calls the gateway once everything up to `after` is durable. Whatever comes of it comes back to the order as a command.
    pub(super) fn pay(self: &Arc<Self>, call: PaymentCall, void: bool, key: EffectKey, after: Place) {
        let node = self.clone();
        self.lane.when_durable(
            after,
            Box::new(move || {
                let (outside, runtime) = (node.outside.clone(), node.runtime.clone());
                outside.spawn_on(
                    async move {
                        let order = call.order;
                        // A call that is cut off is made again after the next start.
                        let call = node.stop.run_until_cancelled(node.call_gateway(&call, void));
                        let Some(answer) = call.await else { return };
                        match answer {
                            Some(command) => node.tell(Message::Order { id: order, command }, false),
                            None => node.not_answered(order, key),
                        }
                    },
                    &runtime,
                );
            }),
        );
    }

    fn not_answered(self: &Arc<Self>, order: OrderId, key: EffectKey) {
        let _ = self.deliver::<Order>(order, Envelope::NotAnswered(key), None, false);
    }

    /// The answer as a command to the order; `None` while it is not known.
    async fn call_gateway(&self, call: &PaymentCall, void: bool) -> Option<OrderCommand> {
        let _permit = self.payment_calls.acquire().await.ok()?;
        let too_late = !void && self.clock.now() >= call.not_after;
        if too_late || self.quiet.load(Ordering::Acquire) {
            return None;
        }
        let Some(gateway) = self.gateway(&call.method) else {
            tracing::error!(order = %call.order, method = call.method, "an order's payment gateway is not configured");
            return None;
        };
        let started = Instant::now();
        let within = Duration::from_millis(limits::GATEWAY_CALL_MS);
        let answer = async {
            Ok(match void {
                true => match gateway.void(call).await? {
                    VoidOutcome::Voided => ("voided", OrderCommand::Voided),
                    VoidOutcome::Refunded => ("refunded", OrderCommand::Refunded),
                },
                false => match gateway.charge(call).await? {
                    ChargeOutcome::Charged => ("charged", OrderCommand::Charged),
                    ChargeOutcome::Declined(reason) => ("declined", OrderCommand::Declined { reason }),
                    // Only a void of ours makes this: its own answer tells the order.
                    ChargeOutcome::Voided => ("voided", OrderCommand::Tick),
                },
            })
        };
        let (outcome, command) = match timeout(within, answer).await {
            Ok(Ok((outcome, command))) => (outcome, Some(command)),
            Ok(Err::<_, crate::ports::GatewayError>(error)) => {
                tracing::debug!(order = %call.order, %error, "a payment gateway gave no answer");
                ("failed", None)
            }
            Err(_) => ("timed_out", None),
        };
        self.payment_metrics.called(void, outcome, started.elapsed());
        command
    }
}
