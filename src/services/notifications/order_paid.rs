//! That an order is paid.

use super::{Text, escaped};
use crate::domain::money::Money;
use crate::domain::order::OrderView;
use std::fmt::Write as _;

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
    let (id, total, paid) = (order.id, money(order.amounts.total), money(order.amounts.paid));
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
