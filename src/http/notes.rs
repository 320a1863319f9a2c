//! Words about refunds and returns of an order, as those see them who may: a buyer what buyers said, a vendor what was said about its share, the staff
//! all of it.

use crate::actors::Readiness;
use crate::actors::shop::Shop;
use crate::domain::details::{Note, NotedOn, Words};
use crate::domain::entity::Principal;
use crate::domain::ids::{OrderId, RefundId, ReturnId};
use crate::domain::order::OrderView;
use crate::domain::text::TextKind;
use crate::domain::who::By;
use crate::http::checkout::no_card;
use crate::http::error::Result;
use crate::http::orders::OrderBody;
use crate::http::valid::Faults;
use crate::http::{Settings, query};
use crate::limits;
use std::collections::BTreeMap;

/// What was said about one order, as far as whoever asks may read it.
#[derive(Debug, Default)]
pub struct Notes(Vec<Note>);

impl Notes {
    fn shown_to(by: Principal, mut all: Vec<Note>) -> Self {
        let is_buyer = By::of(by).is_none();
        all.retain(|note| !is_buyer || note.by.is_none());
        Self(all)
    }

    fn of(&self, on: NotedOn) -> impl DoubleEndedIterator<Item = String> {
        self.0.iter().filter(move |note| note.on == on).map(|note| note.words.0.clone())
    }

    /// What was said about a refund.
    pub fn of_refund(&self, id: RefundId) -> Option<String> {
        self.of(NotedOn::Refund(id)).next()
    }

    /// What was said about a return: by whoever asked for it, and last by whoever decided about it.
    pub fn of_return(&self, id: ReturnId) -> (Option<String>, Option<String>) {
        (self.of(NotedOn::Return(id)).next(), self.of(NotedOn::ReturnStep(id)).next_back())
    }
}

impl OrderBody<'_> {
    /// With what was said about its refunds and returns.
    pub(super) fn with_notes(mut self, notes: &Notes) -> Self {
        self.refunds = std::mem::take(&mut self.refunds).into_iter().map(|refund| refund.with_note(notes)).collect();
        self.returns = std::mem::take(&mut self.returns).into_iter().map(|known| known.with_notes(notes)).collect();
        self
    }
}

/// What was said about an order. Nothing is read for one of which there is nothing to say, and one is shown also while the store cannot be asked.
pub async fn notes(shop: &Shop, settings: &Settings, by: Principal, order: &OrderView) -> Notes {
    let is_quiet = order.refunds.is_empty() && order.returns.is_empty();
    if is_quiet || shop.readiness() == Readiness::StoreUnavailable {
        return Notes::default();
    }
    match query(settings, shop.notes(order.id)).await {
        Ok(all) => Notes::shown_to(by, all),
        Err(problem) => {
            tracing::warn!(order = %order.id, ?problem, "an order is shown without its notes");
            Notes::default()
        }
    }
}

/// What was said about several orders.
pub async fn notes_of_several(
    shop: &Shop,
    settings: &Settings,
    by: Principal,
    orders: &[OrderId],
) -> Result<BTreeMap<OrderId, Notes>> {
    let all = query(settings, shop.notes_of_several(orders)).await?;
    Ok(all.into_iter().map(|(order, notes)| (order, Notes::shown_to(by, notes))).collect())
}

/// Checks what somebody says; nothing where they say nothing.
///
/// # Errors
/// When it seems to hold the number of a card. What else is wrong with it is one of the faults.
pub fn said(faults: &mut Faults, field: &'static str, words: Option<Words>) -> Result<Option<Words>> {
    let Some(Words(mut text)) = words.filter(|words| !words.0.is_empty()) else { return Ok(None) };
    no_card(field, &text)?;
    faults.optional(field, Some(&mut text), TextKind::Lines, limits::NOTE);
    Ok(Some(Words(text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::who::ByKind;
    use uuid::Uuid;

    fn refund(number: u128) -> RefundId {
        RefundId::from_uuid(Uuid::from_u128(number))
    }

    fn note(on: NotedOn, words: &str, by: Option<ByKind>) -> Note {
        Note { on, words: Words(words.into()), by: by.map(|kind| By { kind, account: None }) }
    }

    #[test]
    fn a_buyer_reads_what_buyers_said_and_others_read_all() {
        let back = ReturnId::from_uuid(Uuid::from_u128(1));
        let all = || {
            vec![
                note(NotedOn::Return(back), "it is torn", None),
                note(NotedOn::ReturnStep(back), "send it to the shop", Some(ByKind::Vendor)),
                note(NotedOn::Refund(refund(1)), "as on the phone", Some(ByKind::Staff)),
                note(NotedOn::ReturnStep(back), "it came wet", Some(ByKind::Staff)),
                // The same record, of a life that a backup took back.
                note(NotedOn::Refund(refund(1)), "later", Some(ByKind::Staff)),
            ]
        };
        let read = |by| {
            let notes = Notes::shown_to(by, all());
            let (comment, note) = notes.of_return(back);
            [comment, note, notes.of_refund(refund(1)), notes.of_refund(refund(2))]
        };
        let some = |text: &str| Some(text.to_owned());
        let buyer = Principal::Customer(crate::domain::ids::CustomerId::from_uuid(Uuid::from_u128(7)));
        assert_eq!(read(buyer), [some("it is torn"), None, None, None]);
        let told = [some("it is torn"), some("it came wet"), some("as on the phone"), None];
        assert_eq!(read(Principal::SHOP), told);
    }

    #[test]
    fn what_is_said_is_a_text_of_many_lines_and_no_card() {
        let check = |text: &str| {
            let mut faults = Faults::default();
            let words = said(&mut faults, "note", Some(Words(text.to_owned())));
            let is_sound = faults.done(&crate::http::error::INVALID_BODY).is_ok();
            words.map(|words| (words.map(|words| words.0), is_sound)).map_err(|_| "a card")
        };
        let long = |characters| "ঢ".repeat(characters);
        for (text, words) in [
            ("", Ok((None, true))),
            ("two\nlines", Ok((Some("two\nlines"), true))),
            (&long(1_000), Ok((Some(long(1_000).as_str()), true))),
            (&long(1_001), Ok((Some(long(1_001).as_str()), false))),
            (" ", Ok((Some(" "), false))),
            ("a\u{0}b", Ok((Some("a\u{0}b"), false))),
            ("my card 4242 4242-4242 4242, 12/34", Err("a card")),
        ] {
            let words = words.map(|(words, is_sound)| (words.map(str::to_owned), is_sound));
            assert_eq!(check(text), words, "{text:?}");
        }
    }
}
