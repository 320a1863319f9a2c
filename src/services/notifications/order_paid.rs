//! That an order is paid, or accepted to be paid at the door.

use super::{Text, escaped};
use crate::domain::money::{Money, sum};
use crate::domain::order::{OrderView, PaymentStatus};
use crate::domain::pricing::{BillLine, BillShare};
use std::fmt::Write as _;

/// What makes the total another than the lines', as far as there is any: in minor units, with its name.
fn besides(order: &OrderView) -> Vec<(&'static str, i64)> {
    let shares = || order.sub_orders.iter().filter_map(|share| share.billed.as_deref());
    let discounts = order.lines.iter().filter_map(|line| line.billed.as_deref()).map(BillLine::discount);
    let included = order.bill.as_ref().is_some_and(|bill| bill.prices_include_tax);
    let rows = [
        ("Discount", sum(discounts).saturating_neg()),
        ("Shipping", sum(shares().map(|share| share.shipping))),
        ("Fees", sum(shares().map(|share| share.fees))),
        (if included { "Tax included" } else { "Tax" }, sum(shares().map(BillShare::tax))),
    ];
    rows.into_iter().filter(|(_, amount)| *amount != 0).collect()
}

/// What the buyer of a paid order reads.
pub(super) fn text(order: &OrderView) -> Text {
    let money = |minor| Money::new(minor, order.currency).to_string();
    let (mut text, mut rows) = (String::new(), String::new());
    for line in &order.lines {
        let (quantity, title, total) = (line.quantity, &line.title, money(line.total()));
        // Writing to a text cannot fail.
        let _ = writeln!(text, "  {quantity} x {title}: {total}");
        let title = escaped(title);
        let _ = write!(rows, "<tr><td>{quantity}</td><td>{title}</td><td>{total}</td></tr>");
    }
    for (name, amount) in besides(order) {
        let amount = money(amount);
        let _ = writeln!(text, "  {name}: {amount}");
        let _ = write!(rows, "<tr><td></td><td>{name}</td><td>{amount}</td></tr>");
    }
    let (id, total, paid) = (order.id, money(order.amounts.total), money(order.amounts.paid));
    if order.payment_status == PaymentStatus::DueOnDelivery {
        let due = money(sum(order.sub_orders.iter().map(|share| share.to_collect)));
        return Text {
            event: "order.confirmed",
            subject: format!("Your order {id} is confirmed"),
            text: format!(
                "Thank you. Your order {id} is confirmed.\n\n{text}\nTotal: {total}\nTo pay at the door: {due}\n"
            ),
            html: format!(
                "<!doctype html><html lang=\"en\"><body><p>Thank you. Your order {id} is confirmed.</p><table>{rows}</table>\
                 <p>Total: {total}<br>To pay at the door: {due}</p></body></html>"
            ),
        };
    }
    Text {
        event: "order.paid",
        subject: format!("Your order {id} is paid"),
        text: format!("Thank you. Your order {id} is paid.\n\n{text}\nTotal: {total}\nPaid: {paid}\n"),
        html: format!(
            "<!doctype html><html lang=\"en\"><body><p>Thank you. Your order {id} is paid.</p><table>{rows}</table>\
             <p>Total: {total}<br>Paid: {paid}</p></body></html>"
        ),
    }
}
