//! Personal data of an order: kept beside the journal, never in it, so that a person can be erased.
//!
//! One row holds one sort of it under the order's id. It is written in the transaction of the frame whose record begins the checkout, and never
//! at another time: what was erased must not come back. Notes alone are added to later, each in the transaction of the record that it is about, and
//! only while the order's contact was not erased. Replay, audit and every decision go on without it.

use super::ids::{OrderId, RefundId, ReturnId};
use super::json;
use super::order::Address;
use super::who::By;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A sort of personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DetailName {
    /// Where to ship to and to write to.
    Contact,
    /// The buyer's means of payment; gone as soon as the payment has ended.
    Payment,
    /// Words about what became of the order, one after the other.
    Notes,
}

impl DetailName {
    /// All of them.
    pub const ALL: [DetailName; 3] = [DetailName::Contact, DetailName::Payment, DetailName::Notes];
    /// Those that come with each checkout.
    pub const OF_CHECKOUTS: [DetailName; 2] = [DetailName::Contact, DetailName::Payment];

    /// Its name in the store.
    pub const fn name(self) -> &'static str {
        match self {
            DetailName::Contact => "contact",
            DetailName::Payment => "payment",
            DetailName::Notes => "notes",
        }
    }

    /// The sort of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// Personal data of one sort, on its way to the store: bytes of which nothing there may depend.
#[derive(Clone, PartialEq, Eq)]
pub struct Detail {
    /// Whose.
    pub order: OrderId,
    /// Of which sort.
    pub name: DetailName,
    /// JSON of a [`Contact`], the payment provider's name for the buyer's means of payment as it is, or a [`Note`] as a line of JSON, which goes
    /// behind those that are there.
    pub body: Arc<[u8]>,
}

impl Detail {
    /// Where an order is to be shipped to.
    pub fn contact(order: OrderId, contact: &Contact) -> Self {
        let mut body = Vec::with_capacity(CONTACT_BYTES);
        // Texts in structs: this cannot fail.
        json::write(&mut body, contact).expect("a contact is serializable");
        Self { order, name: DetailName::Contact, body: body.into() }
    }

    /// How an order is to be paid.
    pub fn payment(order: OrderId, token: &str) -> Self {
        Self { order, name: DetailName::Payment, body: token.as_bytes().into() }
    }

    /// What somebody says about what becomes of an order.
    pub fn note(order: OrderId, note: &Note) -> Self {
        let mut body = Vec::new();
        // Texts and ids in structs: this cannot fail.
        json::write(&mut body, note).expect("a note is serializable");
        body.push(b'\n');
        Self { order, name: DetailName::Notes, body: body.into() }
    }
}

/// What somebody wrote in their own words: personal data, which has no place in a record or a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Words(pub String);

impl fmt::Debug for Words {
    /// Without what they say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Words")
    }
}

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotedOn {
    /// A refund, or a credit that gives nothing back.
    Refund(RefundId),
    /// A return, by whoever asked for it.
    Return(ReturnId),
    /// What was decided about a return.
    ReturnStep(ReturnId),
}

/// Words about what became of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// About what.
    pub on: NotedOn,
    /// What was said.
    pub words: Words,
    /// Who said it; none where the buyer did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
}

impl Note {
    /// Those that stand in a detail.
    ///
    /// # Errors
    /// What serde says of the first that cannot be read.
    pub fn all(body: &[u8]) -> serde_json::Result<Vec<Self>> {
        serde_json::Deserializer::from_slice(body).into_iter().collect()
    }
}

impl fmt::Debug for Detail {
    /// Without the body, which has no place in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detail").field("order", &self.order).field("name", &self.name).finish_non_exhaustive()
    }
}

/// Room that a contact is given before it is written, in bytes: most need no more.
const CONTACT_BYTES: usize = 256;

/// Where to ship to, and where to write to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Where to write to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Where to ship to.
    pub shipping_address: Address,
}

impl fmt::Debug for Contact {
    /// Without what it says, which has no place in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contact").finish_non_exhaustive()
    }
}

/// What is known of a detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known<T> {
    /// This.
    Here(T),
    /// It was erased.
    Erased,
    /// There never was one, or it is not needed any more.
    Nothing,
}
