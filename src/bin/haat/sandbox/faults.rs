//! What a payment or a parcel of the sandbox meets, as a word says: a payment's token (`tok_<fault>[.refund_<fault>][.notice_<fault>]`), or a word in
//! a parcel's address (`tok_<fault>[.cancel_<fault>][.notice_<fault>]`).

/// The longest time of a fault, in milliseconds.
const LONGEST_MS: u64 = 600_000;
/// The most copies of a notice.
const COPIES: u64 = 100;

/// How a word begins that is the sandbox's.
const WORD: &str = "tok_";

/// One of the faults that all doubles of outside services know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// All is well.
    Ok,
    /// It is refused.
    Refuse,
    /// Each answer takes so many milliseconds.
    Slow(u64),
    /// It is done, and the first answer breaks off.
    LostReply,
    /// The first time it is not done, and answered with 500.
    FiveHundredThenOk,
    /// It is done, and answered with 500 however often it is asked.
    FiveHundredSticky,
    /// The first time it is answered with 429, and to be left alone for so many seconds.
    Busy(u64),
    /// Each notice is sent so many times.
    DuplicateNotice(u64),
    /// Each notice is sent after the one that comes after it.
    Reorder,
    /// It takes so many milliseconds until it is done; of a notice, until it is sent.
    Late(u64),
    /// Notices are signed with nothing that anybody knows.
    BadSignature,
    /// Notices say that they are an hour old.
    Stale,
    /// It is neither done nor answered; a refund stays pending, a notice is not sent.
    Never,
    /// It succeeds, and fails so many milliseconds later.
    FailLate(u64),
    /// The buyer fails at the bank.
    ActionFail,
    /// The buyer leaves at the bank.
    ActionAbandon,
    /// One minor unit less is taken than was asked for.
    Other,
}

/// What is met by a parcel, by the wish to cancel it, and by its notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ParcelFaults {
    pub(super) booking: Fault,
    pub(super) cancel: Fault,
    pub(super) notice: Fault,
}

/// What is met by a payment, by its refunds, and by its notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Faults {
    pub(super) payment: Fault,
    pub(super) refund: Fault,
    pub(super) notice: Fault,
}

impl Fault {
    /// Reads one; `None` for what is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let plain = match text {
            "ok" | "approve" | "action_pass" => Fault::Ok,
            "refuse" | "decline" => Fault::Refuse,
            "lost_reply" => Fault::LostReply,
            "500_then_ok" => Fault::FiveHundredThenOk,
            "500_sticky" => Fault::FiveHundredSticky,
            "reorder" => Fault::Reorder,
            "bad_signature" => Fault::BadSignature,
            "stale" => Fault::Stale,
            "never" => Fault::Never,
            "other" => Fault::Other,
            "action_fail" => Fault::ActionFail,
            "action_abandon" => Fault::ActionAbandon,
            _ => return Self::parse_measured(text),
        };
        Some(plain)
    }

    fn parse_measured(text: &str) -> Option<Self> {
        let (name, digits) = text.rsplit_once('_')?;
        let number: u64 = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
        let (fault, most) = match name {
            "slow" => (Fault::Slow(number), LONGEST_MS),
            "late" => (Fault::Late(number), LONGEST_MS),
            "fail_late" => (Fault::FailLate(number), LONGEST_MS),
            "429" => (Fault::Busy(number), LONGEST_MS / 1_000),
            "duplicate_notice" => (Fault::DuplicateNotice(number), COPIES),
            _ => return None,
        };
        (number <= most).then_some(fault)
    }

    /// Whether it is of notices alone, so that it may stand where a payment's does.
    const fn is_of_notices(self) -> bool {
        matches!(self, Fault::DuplicateNotice(_) | Fault::Reorder | Fault::BadSignature | Fault::Stale)
    }

    fn is_of_payments(self) -> bool {
        !self.is_of_notices() && !matches!(self, Fault::FailLate(_))
    }

    fn is_of_bookings(self) -> bool {
        self.is_of_cancels() || self == Fault::Other
    }

    fn is_of_cancels(self) -> bool {
        let is_of_buyers = matches!(self, Fault::ActionFail | Fault::ActionAbandon);
        !self.is_of_notices() && !is_of_buyers && !matches!(self, Fault::FailLate(_) | Fault::Late(_) | Fault::Other)
    }

    fn is_of_refunds(self) -> bool {
        !self.is_of_notices() && !matches!(self, Fault::ActionFail | Fault::ActionAbandon | Fault::Other)
    }
}

impl Faults {
    const NONE: Self = Self { payment: Fault::Ok, refund: Fault::Ok, notice: Fault::Ok };

    /// Reads a token; `None` where it is one of the sandbox's and says nothing that the sandbox knows. Any other word is a way of paying.
    pub(super) fn parse(token: &str) -> Option<Self> {
        let Some(said) = token.strip_prefix(WORD) else { return Some(Self::NONE) };
        let [payment, refund, notice] = parts(said, "refund_", Fault::is_of_payments, Fault::is_of_refunds)?;
        Some(Self { payment, refund, notice })
    }
}

impl ParcelFaults {
    pub(super) const NONE: Self = Self { booking: Fault::Ok, cancel: Fault::Ok, notice: Fault::Ok };

    /// Reads the lines of an address; `None` where a word of it is the sandbox's and says nothing that the sandbox knows.
    pub(super) fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Self> {
        let said = lines.flat_map(str::split_whitespace).find_map(|word| word.strip_prefix(WORD));
        let Some(said) = said else { return Some(Self::NONE) };
        let [booking, cancel, notice] = parts(said, "cancel_", Fault::is_of_bookings, Fault::is_of_cancels)?;
        Some(Self { booking, cancel, notice })
    }
}

/// Reads what is behind `tok_`: what the thing itself meets, what that meets which comes after it and begins with this, and what its notices do.
fn parts(
    said: &str,
    after: &str,
    is_own: impl Fn(Fault) -> bool,
    is_after: impl Fn(Fault) -> bool,
) -> Option<[Fault; 3]> {
    let mut faults = [Fault::Ok; 3];
    let [own, later, notices] = &mut faults;
    for (place, part) in said.split('.').enumerate() {
        let of_after = part.strip_prefix(after).and_then(Fault::parse).filter(|fault| is_after(*fault));
        let of_notices =
            |fault: &Fault| fault.is_of_notices() || matches!(fault, Fault::Never | Fault::Late(_) | Fault::Ok);
        let notice = part.strip_prefix("notice_").and_then(Fault::parse).filter(of_notices);
        match (of_after, notice, Fault::parse(part)) {
            (Some(fault), None, None) => *later = fault,
            (None, Some(fault), None) => *notices = fault,
            (None, None, Some(fault)) if place == 0 && fault.is_of_notices() => *notices = fault,
            (None, None, Some(fault)) if place == 0 && is_own(fault) => *own = fault,
            _ => return None,
        }
    }
    Some(faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_what_a_payment_meets() {
        let payment = |payment| Some(Faults { payment, ..Faults::NONE });
        let notice = |notice| Some(Faults { notice, ..Faults::NONE });
        for (token, faults) in [
            ("wallet", Some(Faults::NONE)),
            ("tok_ok", Some(Faults::NONE)),
            ("tok_refuse", payment(Fault::Refuse)),
            ("tok_slow_500", payment(Fault::Slow(500))),
            ("tok_lost_reply", payment(Fault::LostReply)),
            ("tok_500_then_ok", payment(Fault::FiveHundredThenOk)),
            ("tok_500_sticky", payment(Fault::FiveHundredSticky)),
            ("tok_429_2", payment(Fault::Busy(2))),
            ("tok_duplicate_notice_5", notice(Fault::DuplicateNotice(5))),
            ("tok_reorder", notice(Fault::Reorder)),
            ("tok_late_1500", payment(Fault::Late(1_500))),
            ("tok_bad_signature", notice(Fault::BadSignature)),
            ("tok_never", payment(Fault::Never)),
            ("tok_action_abandon", payment(Fault::ActionAbandon)),
            ("tok_ok.notice_never", notice(Fault::Never)),
            ("tok_ok.notice_late_50", notice(Fault::Late(50))),
            (
                "tok_late_10.refund_fail_late_20.notice_stale",
                Some(Faults { payment: Fault::Late(10), refund: Fault::FailLate(20), notice: Fault::Stale }),
            ),
            ("tok_", None),
            ("tok_nonsense", None),
            ("tok_slow_", None),
            ("tok_slow_-1", None),
            ("tok_slow_600001", None),
            ("tok_ok.refund_reorder", None),
            ("tok_ok.notice_refuse", None),
            ("tok_fail_late_5", None),
            ("tok_ok.refuse", None),
        ] {
            assert_eq!(Faults::parse(token), faults, "{token}");
        }
    }

    #[test]
    fn a_word_in_an_address_says_what_a_parcel_meets() {
        let (none, ok) = (ParcelFaults::NONE, Fault::Ok);
        for (lines, faults) in [
            (&["1 Mirpur Road", "Dhaka"][..], Some(none)),
            (
                &["1 Mirpur Road", "Flat 4 tok_lost_reply", "Dhaka"],
                Some(ParcelFaults { booking: Fault::LostReply, ..none }),
            ),
            (&["tok_reorder"], Some(ParcelFaults { notice: Fault::Reorder, ..none })),
            (
                &["tok_other.cancel_refuse"],
                Some(ParcelFaults { booking: Fault::Other, cancel: Fault::Refuse, notice: ok }),
            ),
            (
                &["tok_ok.cancel_lost_reply.notice_late_50"],
                Some(ParcelFaults { booking: ok, cancel: Fault::LostReply, notice: Fault::Late(50) }),
            ),
            (&["tok_nonsense"], None),
            (&["tok_ok.refund_refuse"], None),
            (&["tok_ok.cancel_other"], None),
            (&["tok_action_fail"], None),
            (&["tok_late_50"], None),
        ] {
            assert_eq!(ParcelFaults::parse(lines.iter().copied()), faults, "{lines:?}");
        }
    }
}
