//! Who comes: some are one person in several sessions, each time under another address of one mailbox.

/// A name before the `@` with dots in it has so many places for one.
pub const MOST_ALIASES: u32 = 16;

/// Whose sessions are whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct People {
    /// So many sessions are one person.
    pub aliases: u32,
}

impl People {
    /// The person who comes in this session.
    pub fn person(&self, session: u64) -> u64 {
        session / u64::from(self.aliases)
    }

    /// The address that the person gives in this session: another one of the same mailbox in each. Half of the persons have theirs where a name
    /// goes on behind a `+`, the others where dots in it do not count.
    pub fn address(&self, session: u64) -> String {
        let (person, alias) = (self.person(session), session % u64::from(self.aliases));
        if person.is_multiple_of(2) {
            return format!("load.{person}+{}@example.com", alias + 1);
        }
        let mut name = String::new();
        for (place, letter) in format!("load{person}").chars().enumerate() {
            // Behind each of the first four letters of any name, as the bits of the alias say.
            if place > 0 && alias >> (place - 1) & 1 == 1 {
                name.push('.');
            }
            name.push(letter);
        }
        format!("{name}@gmail.com")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn so_many_sessions_are_one_person_with_addresses_of_one_mailbox() {
        let people = People { aliases: 3 };
        let addresses: Vec<_> = (0..6).map(|session| people.address(session)).collect();
        assert_eq!(addresses[..3], ["load.0+1@example.com", "load.0+2@example.com", "load.0+3@example.com"]);
        assert_eq!(addresses[3..], ["load1@gmail.com", "l.oad1@gmail.com", "lo.ad1@gmail.com"]);
        let persons: Vec<_> = (0..6).map(|session| people.person(session)).collect();
        assert_eq!(persons, [0, 0, 0, 1, 1, 1]);
    }

    #[test]
    fn no_two_sessions_give_the_same_address_and_no_two_persons_have_one_mailbox() {
        let people = People { aliases: MOST_ALIASES };
        let mut addresses = BTreeSet::new();
        let mut mailboxes: BTreeMap<String, u64> = BTreeMap::new();
        for session in 0..1_000 {
            let address = people.address(session);
            let (name, domain) = address.split_once('@').expect("an @");
            let name = name.split('+').next().expect("a name");
            let mailbox = if domain == "gmail.com" { name.replace('.', "") } else { name.to_owned() };
            let person = *mailboxes.entry(format!("{mailbox}@{domain}")).or_insert(people.person(session));
            assert_eq!(person, people.person(session), "{address}");
            assert!(addresses.insert(address.clone()), "{address}");
            assert!(!address.contains("..") && !address.contains(".@"), "{address}");
        }
        assert_eq!(mailboxes.len(), 1_000_usize.div_ceil(MOST_ALIASES as usize));
    }
}
