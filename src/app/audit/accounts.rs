//! Accounts. They follow from no record: their rows are the truth, and the store's constraints hold them together. What no constraint says is looked
//! at here.

use super::super::text::{count, counted};
use super::facts::Facts;
use super::{Breaches, Finding};
use crate::services::accounts::Looked;

/// Looks whether each account can be signed in with by whoever has its address and its password, and by nobody else.
pub(super) fn check(facts: &Facts) -> Finding {
    let Looked { accounts, sessions, strange } = &facts.accounts;
    let mut breaches = Breaches::default();
    for id in strange {
        breaches.add(format!("{id}: its address or what is kept of its password is not as this shop writes it"));
    }
    let looked_at =
        format!("{} with {} sessions, as they are written", counted(*accounts, "account"), count(*sessions));
    Finding::new("accounts", looked_at, breaches)
}

#[cfg(test)]
mod tests {
    use super::super::facts::samples::facts;
    use super::*;
    use crate::domain::ids::AccountId;
    use uuid::Uuid;

    #[test]
    fn an_account_that_nobody_has_written_is_a_breach() {
        let mut facts = facts();
        facts.accounts = Looked { accounts: 2_000, sessions: 3, strange: Vec::new() };
        assert_eq!(check(&facts).breaches.count(), 0);
        assert_eq!(check(&facts).looked_at, "2,000 accounts with 3 sessions, as they are written");
        facts.accounts.strange.push(AccountId::from_uuid(Uuid::from_u128(1)));
        assert_eq!(check(&facts).breaches.count(), 1);
    }
}
