//! Who buys, as far as it is recorded: hashes by which a buyer is known again, made with the store's own key.
//!
//! An e-mail address is brought into one form first: NFKC, lower case, without what follows a `+`, and without a dot at the end of its domain; of
//! gmail.com and googlemail.com, which are one domain, without dots in the name. A phone number is read as the country of the address writes it, and
//! hashed in E.164. What cannot be read is no key. What finds the orders of an address strips nothing: `a+x@` and `a@` may be two people.

use crate::domain::buyer::{Audience, Buyer, BuyerKey, MailKey, Mint};
use crate::domain::coupon::Single;
use crate::domain::details::Contact;
use crate::domain::entity::Principal;
use crate::domain::ids::{CouponId, CustomerId};
use crate::ports::{Clock, StoreKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use phonenumber::{Mode, country};
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;

/// Hashes with the store's own key.
pub struct BuyerKeys(hmac::Key);

impl BuyerKeys {
    /// Of the store with this key.
    pub fn new(key: StoreKey) -> Self {
        Self(hmac::Key::new(HMAC_SHA256, &key.0))
    }

    /// HMAC-SHA256 over what sort of thing it is and what it is.
    pub(super) fn hash(&self, sort: &str, value: &[u8]) -> Tag {
        // No sort is the beginning of another with this byte after it.
        let text = [sort.as_bytes(), &[0], value].concat();
        Tag(hmac::sign(&self.0, &text))
    }

    /// The key of an account's verified e-mail address: the same that a guest has who gives the address.
    pub fn of_account(&self, email: &str) -> BuyerKey {
        self.hash("mail", stripped(&folded(email)).as_bytes()).buyer_key()
    }

    /// Who buys. `account_mail` is the key of the customer's verified address, where that is known.
    pub fn buyer(&self, by: Principal, account_mail: Option<BuyerKey>, contact: &Contact) -> Buyer {
        let Contact { email, shipping_address } = contact;
        let email = email.as_deref().map(folded);
        let mut keys = Vec::with_capacity(2);
        let mut of_account = None;
        if let Principal::Customer(customer) = by {
            keys.push(self.hash("customer", customer.uuid().as_bytes()).buyer_key());
            of_account = account_mail;
            keys.extend(of_account);
        }
        let mut mail_key = None;
        if let Some(email) = &email {
            let (tag, stripped) = (self.hash("mail", email.as_bytes()), stripped(email));
            mail_key = has_ascii_name(contact.email.as_deref()).then(|| tag.mail_key());
            // From most addresses there is nothing to strip.
            let key = if stripped == *email { tag } else { self.hash("mail", stripped.as_bytes()) };
            let key = key.buyer_key();
            if of_account != Some(key) {
                keys.push(key);
            }
        }
        if let Some(phone) = shipping_address.phone.as_deref().and_then(|phone| e164(phone, &shipping_address.country))
        {
            keys.push(self.hash("phone", phone.as_bytes()).buyer_key());
        }
        let account_mail = of_account.is_some();
        Buyer { keys, account_mail, mail_key, audience: Audience::Retail, ..shipping_address.buyer() }
    }

    /// Who counts how many orders a buyer has open that are to be paid at the door: the customer, and for a guest a customer whose id follows
    /// from the phone number and belongs to no account. `None` where the number cannot be called.
    pub fn at_door(&self, by: Principal, contact: &Contact) -> Option<CustomerId> {
        let address = &contact.shipping_address;
        let phone = e164(address.phone.as_deref()?, &address.country)?;
        match by {
            Principal::Customer(customer) => Some(customer),
            _ => {
                let hash = self.hash("at the door", phone.as_bytes()).half();
                Some(CustomerId::from_uuid(uuid::Builder::from_custom_bytes(hash).into_uuid()))
            }
        }
    }

    /// What follows the serial number in a coupon's code for one use: so nobody makes one up.
    pub fn coupon_hash(&self, coupon: CouponId, serial: u32) -> u64 {
        let what = [coupon.uuid().as_bytes().as_slice(), &serial.to_be_bytes()].concat();
        u64::from_be_bytes(self.hash("coupon", &what).bytes(0)) & Single::HASH_MASK
    }

    /// Whether a code for one use is the coupon's.
    pub fn has_made(&self, coupon: CouponId, single: Single) -> bool {
        let hash = self.coupon_hash(coupon, single.serial);
        verify_slices_are_equal(&hash.to_be_bytes(), &single.hash.to_be_bytes()).is_ok()
    }

    /// By which the orders are found that were placed with this address; none of one that can have no account.
    pub fn mail_key(&self, email: &str) -> Option<MailKey> {
        has_ascii_name(Some(email)).then(|| self.hash("mail", folded(email).as_bytes()).mail_key())
    }
}

/// Whether what stands before the `@` is of ASCII, as with each address that can have an account. Brought into one form, another may become
/// somebody else's: `ﬁna@` is not `fina@`.
fn has_ascii_name(email: Option<&str>) -> bool {
    email.is_some_and(|email| email.split('@').next().is_some_and(str::is_ascii))
}

/// A hash, of which each sort of key takes bytes of its own.
pub(super) struct Tag(hmac::Tag);

impl Tag {
    /// All of it.
    pub(super) fn all(&self) -> [u8; 32] {
        self.bytes(0)
    }

    fn bytes<const BYTES: usize>(&self, from: usize) -> [u8; BYTES] {
        std::array::from_fn(|at| self.0.as_ref()[from + at])
    }

    fn buyer_key(&self) -> BuyerKey {
        BuyerKey(self.bytes(0))
    }

    fn mail_key(&self) -> MailKey {
        MailKey(self.bytes(8))
    }

    /// Its first half.
    pub(super) fn half(&self) -> [u8; 16] {
        self.bytes(0)
    }
}

/// Draws a mint: the last bits of a fresh id, which are chance.
pub fn mint(clock: &dyn Clock) -> Mint {
    let [.., a, b, c, d] = clock.new_uuid().into_bytes();
    Mint([a, b, c, d])
}

/// In one form, with nothing stripped.
fn folded(email: &str) -> String {
    match email.is_ascii() {
        true => email.to_ascii_lowercase(),
        false => email.nfkc().collect::<String>().to_lowercase(),
    }
}

/// Without what the owner of an address may add or leave out, and still be written to.
fn stripped(email: &str) -> Cow<'_, str> {
    let Some((name, written)) = email.split_once('@') else { return Cow::Borrowed(email) };
    // A domain may be written with the dot of the root behind it (RFC 1034, section 3.1).
    let domain = written.trim_end_matches('.');
    let plain = name.split_once('+').map_or(name, |(name, _)| name);
    match domain {
        "gmail.com" | "googlemail.com" => Cow::Owned(format!("{}@gmail.com", plain.replace('.', ""))),
        _ if (plain.len(), domain.len()) == (name.len(), written.len()) => Cow::Borrowed(email),
        _ => Cow::Owned(format!("{plain}@{domain}")),
    }
}

/// The most digits that a number has which is worth reading (ITU-T E.164 has 15; a prefix may come before them).
const PHONE_DIGITS: usize = 24;

/// A phone number in E.164, as people of this country write it.
fn e164(phone: &str, country: &str) -> Option<String> {
    let digit = |character: char| character.to_digit(10).or_else(|| bengali_digit(character));
    let mut plain = String::with_capacity(phone.len());
    for character in phone.nfkc() {
        match character {
            '+' if plain.is_empty() => plain.push('+'),
            _ if digit(character).is_some() => {
                plain.extend(digit(character).and_then(|digit| char::from_digit(digit, 10)))
            }
            ' ' | '-' | '.' | '(' | ')' | '/' | '\u{2010}'..='\u{2015}' => {}
            _ => return None,
        }
    }
    if plain.len() > PHONE_DIGITS {
        return None;
    }
    let country: Option<country::Id> = country.parse().ok();
    let number = phonenumber::parse(country, &plain).ok().filter(phonenumber::is_valid)?;
    Some(number.format().mode(Mode::E164).to_string())
}

fn bengali_digit(character: char) -> Option<u32> {
    ('০'..='৯').contains(&character).then(|| u32::from(character) - u32::from('০'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{CartId, CustomerId};
    use crate::domain::order::Address;
    use uuid::Uuid;

    fn keys() -> BuyerKeys {
        BuyerKeys::new(StoreKey([7; 32]))
    }

    fn contact(email: Option<&str>, phone: Option<&str>) -> Contact {
        let shipping_address = Address {
            name: "Rahim".into(),
            line1: "12 Mirpur Road".into(),
            line2: None,
            city: "Dhaka".into(),
            postcode: Some("1205".into()),
            region: None,
            country: "BD".into(),
            phone: phone.map(str::to_owned),
        };
        Contact { email: email.map(str::to_owned), shipping_address }
    }

    fn guest(email: Option<&str>, phone: Option<&str>) -> Buyer {
        keys().buyer(Principal::Guest(CartId::from_uuid(Uuid::nil())), None, &contact(email, phone))
    }

    #[test]
    fn one_person_in_many_spellings_has_one_key() {
        for (spellings, differs) in [
            (
                &[
                    "rahim@example.com",
                    "Rahim@Example.COM",
                    "rahim+sale@example.com",
                    "ｒahim@example.com",
                    "rahim@example.com.",
                ][..],
                "rahim.u@example.com",
            ),
            (
                &["ra.him@gmail.com", "rahim@googlemail.com", "RAHIM+1@gmail.com", "ra.him@gmail.com."][..],
                "rahim2@gmail.com",
            ),
        ] {
            let of = |email: &str| guest(Some(email), None).keys;
            assert!(spellings.iter().all(|email| of(email) == of(spellings[0])), "{spellings:?}");
            assert_ne!(of(differs), of(spellings[0]));
            // To be written to they stay apart, but for their case.
            let mail = |email: &str| guest(Some(email), None).mail_key;
            assert_eq!(mail(spellings[0]), mail(&spellings[0].to_uppercase()));
            assert_ne!(mail(spellings[0]), mail(spellings[2]));
            assert!(spellings.iter().all(|email| mail(email) == keys().mail_key(email)), "{spellings:?}");
        }
        let of = |phone: &str| guest(None, Some(phone)).keys;
        let spellings = ["+8801712345678", "01712345678", "০১৭১২-৩৪৫৬৭৮", "(+880) 1712 345678", "00880 1712-345678"];
        for phone in spellings {
            assert_eq!(of(phone), of(spellings[0]), "{phone}");
            assert_eq!(of(phone).len(), 1, "{phone}");
        }
        assert_ne!(of("01712345679"), of(spellings[0]));
    }

    /// Brought into one form it would be an address of somebody else, who could have its orders attached.
    #[test]
    fn orders_of_an_address_that_only_looks_like_another_are_not_found() {
        for like in ["ﬁna@example.com", "ｆina@example.com", "fin\u{aa}@example.com"] {
            assert_eq!((guest(Some(like), None).mail_key, keys().mail_key(like)), (None, None), "{like}");
            assert_eq!(
                guest(Some(like), None).keys,
                guest(Some("fina@example.com"), None).keys,
                "{like}: limits count it"
            );
        }
        assert!(keys().mail_key("fina@example.com").is_some());
    }

    #[test]
    fn what_cannot_be_read_is_no_key() {
        for phone in ["call me", "12", "+", "01712345678 ext. 4", &"9".repeat(200), "\u{202e}0171"] {
            assert_eq!(guest(None, Some(phone)).keys, [], "{phone}");
        }
        let nobody = guest(None, None);
        assert_eq!((nobody.keys.len(), nobody.mail_key), (0, None));
        assert_eq!((nobody.country.as_str(), nobody.postcode.as_deref()), ("BD", Some("1205")));
    }

    #[test]
    fn a_customer_is_known_by_the_account_and_by_what_it_gives() {
        let customer = |number| Principal::Customer(CustomerId::from_uuid(Uuid::from_u128(number)));
        let of = |number| keys().buyer(customer(number), None, &contact(Some("a@b.c"), None)).keys;
        assert_eq!(of(1).len(), 2);
        assert!(of(1)[0] != of(2)[0] && of(1)[1] == of(2)[1]);
        let others = BuyerKeys::new(StoreKey([8; 32]));
        let theirs = others.buyer(customer(1), None, &contact(Some("a@b.c"), None)).keys;
        assert!(theirs.iter().all(|key| !of(1).contains(key)));
    }

    /// What the account has verified comes before what is typed in, and once where both are one mailbox.
    #[test]
    fn the_accounts_own_address_is_its_second_key() {
        let customer = Principal::Customer(CustomerId::from_uuid(Uuid::from_u128(1)));
        let verified = keys().of_account("fina+1@example.com");
        assert_eq!(verified, keys().of_account("Fina+2@Example.com"));
        let of = |by, mail, typed| keys().buyer(by, mail, &contact(typed, Some("01712345678")));
        let plain = of(customer, None, Some("rina@example.com"));
        let with = of(customer, Some(verified), Some("rina@example.com"));
        assert_eq!((plain.account_mail, plain.keys.len(), with.account_mail, with.keys.len()), (false, 3, true, 4));
        assert_eq!((with.keys[0], with.keys[1]), (plain.keys[0], verified));
        assert_eq!(with.keys[2..], plain.keys[1..]);
        let same = of(customer, Some(verified), Some("fina@example.com"));
        assert_eq!((same.account_mail, &same.keys[..]), (true, &[with.keys[0], verified, with.keys[3]][..]));
        // A guest has no account, whatever a token says.
        let guest = of(Principal::Guest(CartId::from_uuid(Uuid::nil())), Some(verified), Some("rina@example.com"));
        assert_eq!((guest.account_mail, &guest.keys[..]), (false, &plain.keys[1..]));
        assert_eq!(
            of(Principal::Guest(CartId::from_uuid(Uuid::nil())), None, Some("fina@example.com")).keys[0],
            verified
        );
    }
}
