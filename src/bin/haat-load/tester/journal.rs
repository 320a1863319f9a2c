//! Promises: what buyers were told, kept as JSON lines so that a server can be held to it after a crash.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context as _, bail};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::points::Paying;
use super::stats::locked;
use super::wire::Status;

/// One answer that promised something about an order. The line carries no token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Promise {
    /// When the answer came, RFC 3339 in UTC.
    pub at: String,
    /// The order that was named.
    pub order: String,
    /// The cart it came from.
    pub cart: String,
    /// The person whose cart it is, where some come more than once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<u64>,
    /// The status that was told.
    pub status: Status,
    /// What the cart held.
    pub lines: Vec<PromisedLine>,
    /// The coupon in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon: Option<PromisedCoupon>,
    /// With what points it is to be paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<Paying>,
    /// The checkout's `Idempotency-Key`; absent for what a poll told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// One line of a promised order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PromisedLine {
    /// `sku_…`
    pub sku: String,
    /// Pieces.
    pub quantity: u32,
}

/// The coupon of a promised order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PromisedCoupon {
    /// `coupon_…`
    pub id: String,
    /// Its code.
    pub code: String,
    /// What it takes off.
    pub discount: Decimal,
}

/// The file that promises are appended to.
pub struct Journal(Mutex<File>);

impl Journal {
    /// Opens or makes the file; what it holds already is kept.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("could not open the journal {}", path.display()))?;
        Ok(Journal(Mutex::new(file)))
    }

    /// Writes one line, whole, to the operating system before it returns: it outlives this process, as the order
    /// it speaks of must outlive the server's.
    pub fn keep(&self, promise: &Promise) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(promise)?;
        line.push(b'\n');
        locked(&self.0).write_all(&line)?;
        Ok(())
    }
}

/// The present moment as RFC 3339.
pub fn now() -> String {
    OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}

/// Reads a file of promises. A torn last line (this program was killed too) is left out.
pub fn read(text: &str) -> anyhow::Result<Vec<Promise>> {
    let mut promises = Vec::new();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        match serde_json::from_str(line) {
            Ok(promise) => promises.push(promise),
            Err(_) if !line.ends_with('\n') => break,
            Err(error) => bail!("line {} is no promise: {error}", number + 1),
        }
    }
    Ok(promises)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promise() -> Promise {
        Promise {
            at: now(),
            order: "order_1".into(),
            cart: "cart_1".into(),
            person: Some(7),
            status: Status::PaymentFailed,
            lines: vec![PromisedLine { sku: "sku_1".into(), quantity: 2 }],
            coupon: Some(PromisedCoupon {
                id: "coupon_1".into(),
                code: "TEST-1".into(),
                discount: Decimal::new(1250, 2),
            }),
            points: Some(Paying { customer: "customer_1".into(), given: 500, wanted: 20 }),
            key: Some("k".into()),
        }
    }

    #[test]
    fn promises_are_read_as_they_were_written_and_a_torn_end_is_left_out() {
        let line = serde_json::to_string(&promise()).expect("a line");
        assert!(line.contains("payment_failed"));
        let text = format!("{line}\n{line}\n{}", &line[..20]);
        let read = read(&text).expect("two promises");
        assert_eq!(read.len(), 2);
        assert_eq!((&*read[0].order, read[0].person), ("order_1", Some(7)));
        assert_eq!((&read[0].coupon, &read[0].points), (&promise().coupon, &promise().points));
        assert_eq!(read[1].status, Status::PaymentFailed);
    }

    #[test]
    fn a_broken_line_in_the_middle_is_an_error_that_names_it() {
        let line = serde_json::to_string(&promise()).expect("a line");
        let error = read(&format!("{line}\nnonsense\n{line}\n")).expect_err("an error");
        assert!(error.to_string().contains("line 2"));
    }
}
