//! E-mail addresses by which people sign in: one form for each, so that a constraint can decide whose it is.

use crate::domain::ids::AccountId;
use std::fmt;

/// The most bytes of an address (RFC 5321, 4.5.3.1.3, without the angle brackets).
const LONGEST: usize = 254;
/// How the address of an account ends that was erased.
const ERASED: &str = "@erased.invalid";
/// The most bytes before the `@` (RFC 5321, 4.5.3.1.1).
const LONGEST_NAME: usize = 64;
/// The most bytes of one label of a domain (RFC 1035, 2.3.4).
const LONGEST_LABEL: usize = 63;

/// An address that can have an account: in small letters, and of ASCII alone. An address that looks like another, such as one with the letter
/// `ﬁ`, is therefore no address of an account, and never becomes another's by being brought into one form.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

/// The address cannot have an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an address of letters of ASCII with one @ is expected")]
pub struct NoEmail;

impl Email {
    /// As people type it.
    ///
    /// # Errors
    /// When it cannot have an account.
    pub fn new(typed: &str) -> Result<Self, NoEmail> {
        let typed = typed.trim_matches(' ');
        let (name, domain) = typed.split_once('@').ok_or(NoEmail)?;
        // What may stand there without quotation marks (RFC 5322, 3.2.3).
        let may_be_in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-.".contains(&byte);
        let is_name = (1..=LONGEST_NAME).contains(&name.len())
            && name.bytes().all(may_be_in_name)
            && !name.starts_with('.')
            && !name.ends_with('.')
            && !name.contains("..");
        let is_label = |label: &str| {
            (1..=LONGEST_LABEL).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let is_domain =
            domain.contains('.') && domain.split('.').all(is_label) && !typed.to_ascii_lowercase().ends_with(ERASED);
        if is_name && is_domain && typed.len() <= LONGEST {
            return Ok(Self(typed.to_ascii_lowercase()));
        }
        Err(NoEmail)
    }

    /// In place of the address of an account that was erased: one that nobody can have (RFC 2606), and no other account has.
    pub fn erased(account: AccountId) -> Self {
        Self(format!("{}{ERASED}", account.uuid().simple()))
    }

    /// Whether it stands for one that was erased.
    pub fn is_erased(&self) -> bool {
        self.0.ends_with(ERASED)
    }

    /// As it stands in a table.
    pub fn of_table(text: String) -> Self {
        Self(text)
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the `@`.
    pub fn name(&self) -> &str {
        self.0.split_once('@').map_or("", |(name, _)| name)
    }
}

/// It tells who a person is: no log shows it.
impl fmt::Debug for Email {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Email")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_form() {
        for typed in ["fina@example.com", "FINA@Example.COM", " Fina@example.com "] {
            assert_eq!(Email::new(typed).unwrap().as_str(), "fina@example.com");
        }
        assert_eq!(Email::new("rina+shop@example.com").unwrap().as_str(), "rina+shop@example.com");
        assert_eq!(Email::new("r.i.na@example.com").unwrap().name(), "r.i.na");
        assert_eq!(format!("{:?}", Email::new("rina@example.com")), "Ok(Email)");
    }

    #[test]
    fn what_looks_like_an_address_is_none() {
        let long = |name: usize, label: usize| format!("{}@{}.com", "a".repeat(name), "b".repeat(label));
        assert!(Email::new(&long(64, 63)).is_ok());
        let three = format!("{}@{}", "a".repeat(64), ["b".repeat(63), "c".repeat(63), "d".repeat(61)].join("."));
        assert_eq!(three.len(), 254);
        assert!(Email::new(&three).is_ok());
        let bad = [
            "",
            "@",
            "fina",
            "fina@",
            "@example.com",
            "fina@example",
            "fina@.com",
            "fina@example.",
            "fina@exa mple.com",
            "fi na@example.com",
            "fina@@example.com",
            "fina@a@b.com",
            ".fina@example.com",
            "fina.@example.com",
            "fi..na@example.com",
            "\u{fb01}na@example.com",
            "fina@ex\u{e4}mple.com",
            "fina@-a.com",
            "fina@a-.com",
            "\"fina\"@example.com",
            "fina@[127.0.0.1]",
            "fina@example.com\n",
            "fina\0@example.com",
        ];
        for typed in bad.iter().map(|typed| (*typed).to_owned()).chain([long(65, 9), long(9, 64), format!("{three}d")])
        {
            assert_eq!(Email::new(&typed), Err(NoEmail), "{typed:?}");
        }
    }
}
