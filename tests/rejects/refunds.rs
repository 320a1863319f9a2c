//! Refusals of cancels and refunds of orders that are paid.

use super::{checked_out, refusal};
use crate::world::gateway::{APPROVE, SILENT};
use crate::world::shop::{buyer, sku, vendor};
use haat::domain::buyer::Mint;
use haat::domain::entity::Principal;
use haat::domain::entity::concerns::*;
use haat::domain::ids::{CreditId, RefundId};
use haat::domain::knowledge::Knowledge;
use haat::domain::money::{Currency, Money};
use haat::domain::order::{
    CreditReason, CreditSeed, DisputeStatus, DisputeTold, Order, OrderCommand, OrderStatus, RefundStatus, RefundTold,
    Wanted,
};
use haat::domain::reject::Reject;
use haat::domain::time::Timestamp;
use haat::domain::vendor::WantedLine;
use uuid::Uuid;

fn seed(number: u128) -> CreditSeed {
    let id = CreditId::from_uuid(Uuid::from_u128(number));
    CreditSeed { id, mint: Mint([1; 4]), reason: CreditReason::Goodwill }
}

fn credit(by: Principal, wanted: Wanted, number: u128) -> OrderCommand {
    OrderCommand::Credit { by, vendor: vendor(0), wanted, seed: seed(number) }
}

fn amount(minor: i64) -> Wanted {
    Wanted::Amount { minor, shipping: false }
}

fn units(quantity: i64) -> Wanted {
    Wanted::Units(vec![WantedLine { sku: sku(0, 0), quantity }])
}

/// An order of 2 pieces that is paid.
fn paid() -> (Order, i64, Timestamp) {
    let (mut world, order) = checked_out(APPROVE);
    world.settle();
    let total = world.order_view(order).amounts.total;
    (world.orders[&order].entity.clone(), total, world.now)
}

fn after(mut order: Order, commands: &[OrderCommand], now: Timestamp) -> Order {
    for command in commands {
        let events = order.decide(command, &Knowledge::NOTHING, now).expect("it is taken");
        events.iter().for_each(|event| order.apply(event, now));
    }
    order
}

/// The rows of these refusals.
pub fn rows(reject: &Reject) -> Vec<Reject> {
    let (order, total, now) = paid();
    let shop = Principal::SHOP;
    match reject {
        Reject::PaymentInProgress => {
            let (mut world, waiting) = checked_out(SILENT);
            world.settle();
            let state = &world.orders[&waiting].entity;
            // Before the amount, which is too high.
            vec![
                refusal(state, credit(shop, amount(total + 1), 1), now),
                refusal(state, credit(buyer(0), units(1), 1), now),
            ]
        }
        Reject::UnitsCredited { .. } => {
            let one_left = after(order.clone(), &[credit(buyer(0), units(1), 1)], now);
            let refused = refusal(&one_left, credit(buyer(0), units(2), 2), now);
            assert_eq!(refused, Reject::UnitsCredited { sku_id: sku(0, 0), left: 1 });
            vec![refused, refusal(&order, credit(shop, units(3), 2), now)]
        }
        Reject::RefundUnknown => {
            let refund = RefundId::from_uuid(Uuid::from_u128(7));
            vec![
                refusal(&order, OrderCommand::RetryRefund { by: shop, refund, attempt: 1 }, now),
                refusal(&order, OrderCommand::MarkRefundPaid { by: shop, refund, reference: "x".into() }, now),
            ]
        }
        Reject::RefundNotPositive => [0, -1].map(|minor| refusal(&order, credit(shop, amount(minor), 1), now)).to_vec(),
        Reject::RefundExceedsPayment { .. } => {
            let half = after(order.clone(), &[credit(shop, amount(total / 2), 1)], now);
            let refused = refusal(&half, credit(shop, amount(total - total / 2 + 1), 2), now);
            let refundable = Money::new(total - total / 2, Currency::BDT);
            assert_eq!(refused, Reject::RefundExceedsPayment { refundable });
            vec![refused, refusal(&order, credit(shop, amount(total + 1), 1), now)]
        }
        Reject::RefundNotOpen { .. } => {
            let asked = after(order, &[credit(shop, amount(1), 1)], now);
            let refund = RefundId::from_uuid(Uuid::from_u128(1));
            let told = RefundTold::Succeeded { amount: Money::new(1, Currency::BDT), reference: None };
            let succeeded = after(asked.clone(), &[OrderCommand::RefundTold { refund, attempt: 1, told }], now);
            let again = OrderCommand::RetryRefund { by: shop, refund, attempt: 1 };
            let by_hand = OrderCommand::MarkRefundPaid { by: shop, refund, reference: "x".into() };
            let refused = refusal(&asked, again.clone(), now);
            assert_eq!(refused, Reject::RefundNotOpen { status: RefundStatus::Requested });
            vec![refused, refusal(&succeeded, again, now), refusal(&succeeded, by_hand, now)]
        }
        Reject::PaymentDisputed => {
            let asked = after(order, &[credit(shop, amount(1), 1), OrderCommand::OpenRefunds], now);
            let refund = RefundId::from_uuid(Uuid::from_u128(1));
            let (reason, reference) = ("lost_card".to_owned(), "x".to_owned());
            let failed = OrderCommand::RefundTold { refund, attempt: 1, told: RefundTold::Failed { reason } };
            let (id, reason) = ("dp_1".to_owned(), "general".to_owned());
            let told =
                DisputeTold { id, status: DisputeStatus::Open, amount: Money::new(total, Currency::BDT), reason };
            let disputed = after(asked, &[failed, OrderCommand::DisputeTold { told, mint: Mint([2; 4]) }], now);
            vec![
                // Before the amount, which is too high.
                refusal(&disputed, credit(shop, amount(total + 1), 2), now),
                refusal(&disputed, credit(buyer(0), units(1), 3), now),
                refusal(&disputed, OrderCommand::CancelAll { by: buyer(0), seed: seed(4) }, now),
                refusal(&disputed, OrderCommand::MarkRefundPaid { by: shop, refund, reference }, now),
            ]
        }
        Reject::OrderNotCancellable { .. } => {
            let all = OrderCommand::CancelAll { by: buyer(0), seed: seed(1) };
            let cancelled = after(order, &[all], now);
            let again = OrderCommand::CancelAll { by: buyer(0), seed: seed(2) };
            let refused = refusal(&cancelled, again, now);
            assert_eq!(refused, Reject::OrderNotCancellable { status: OrderStatus::Refunded });
            vec![refused, refusal(&cancelled, credit(shop, Wanted::Units(Vec::new()), 3), now)]
        }
        other => panic!("{other:?} is none of these"),
    }
}
