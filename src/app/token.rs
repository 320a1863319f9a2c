//! `haat token`: bearer tokens for those who operate and try out a shop. Opens no store.

use super::{AppError, clocks};
use crate::adapters::clock::SystemClock;
use crate::domain::time::Timestamp;
use crate::http::auth::{Auth, Bearer};
use crate::limits;
use crate::ports::Clock;
use crate::ports::keys::SigningKeys;
use std::time::Duration;

pub use crate::domain::ids::{CustomerId, VendorId};
pub use crate::domain::who::{Permission, Permissions, VendorRole};

/// The longest that a token may last.
const LONGEST: Duration = Duration::from_secs(limits::TOKEN_SECONDS as u64);

/// Whom a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// An administrator, by name; a new name without one.
    Admin(Option<String>),
    /// One of the staff, by name (a new name without one), who may do so much.
    Staff(Option<String>, Permissions),
    /// One of a vendor's own people.
    Member(VendorId, VendorRole),
    /// A customer; a new one without an id.
    Customer(Option<CustomerId>),
}

/// A token signed with the newest of `keys` that lasts from now for `ttl`.
///
/// # Errors
/// When it cannot be signed.
pub fn mint(keys: &SigningKeys, whom: Whom, ttl: Duration) -> Result<String, AppError> {
    let clock = SystemClock::new();
    clocks::check_wall(&clock)?;
    let bearer = match whom {
        // Idempotency keys are told apart by name: two people with one name would get each other's answers.
        Whom::Admin(name) => Bearer::Admin(name.unwrap_or_else(|| clock.new_uuid().to_string())),
        Whom::Staff(name, permissions) => {
            Bearer::Staff(name.unwrap_or_else(|| clock.new_uuid().to_string()), permissions)
        }
        Whom::Member(vendor, role) => Bearer::Member(vendor, role),
        Whom::Customer(customer) => {
            Bearer::Customer(customer.unwrap_or_else(|| CustomerId::from_uuid(clock.new_uuid())))
        }
    };
    Ok(Auth::of(keys).mint(&bearer, clock.wall(), ttl)?)
}

/// What the machine's clock says.
///
/// # Errors
/// When it cannot be right.
pub fn now() -> Result<Timestamp, AppError> {
    let clock = SystemClock::new();
    clocks::check_wall(&clock)?;
    Ok(clock.wall())
}

/// Reads what staff may do: permissions with commas between them.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse_permissions(text: &str) -> Result<Permissions, String> {
    Permissions::parse(text).ok_or_else(|| {
        let names: Vec<&str> = Permission::ALL.iter().copied().map(Permission::name).collect();
        format!("'{text}' is no list of permissions; these are known: {}", names.join(", "))
    })
}

/// Reads what somebody is at a vendor.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse_vendor_role(text: &str) -> Result<VendorRole, String> {
    VendorRole::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = VendorRole::ALL.iter().copied().map(VendorRole::name).collect();
        format!("'{text}' is no role at a vendor; these are known: {}", names.join(", "))
    })
}

/// Reads how long a token is to last: a whole number and `s`, `m`, `h` or `d`.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse_ttl(text: &str) -> Result<Duration, String> {
    let malformed = || format!("'{text}' is not a time such as 30s, 15m, 12h or 7d");
    let unit = text.chars().last().ok_or_else(malformed)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(malformed()),
    };
    let digits = &text[..text.len() - unit.len_utf8()];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed());
    }
    let too_long = || format!("'{text}' is longer than 31 days, the longest that a server takes");
    let number: u64 = digits.parse().map_err(|_| too_long())?;
    match number.checked_mul(seconds).map(Duration::from_secs) {
        Some(Duration::ZERO) => Err("a token must last for a while".into()),
        Some(ttl) if ttl <= LONGEST => Ok(ttl),
        _ => Err(too_long()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::entity::Principal;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        for (text, seconds) in [("30s", 30), ("15m", 900), ("12h", 43_200), ("7d", 604_800), ("31d", 2_678_400)] {
            assert_eq!(parse_ttl(text), Ok(Duration::from_secs(seconds)));
        }
        for text in [
            "",
            "h",
            "12",
            "-1h",
            "1.5h",
            "12 h",
            "12H",
            "+1h",
            "1é",
            "0s",
            "32d",
            "745h",
            "2678401s",
            "4000d",
            "99999999999999999999d",
        ] {
            assert!(parse_ttl(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_is_for_whom_it_was_asked() {
        let secret = b"a secret that is long enough for a test";
        let vendor = VendorId::from_uuid(uuid::Uuid::from_u128(5));
        let now = SystemClock::new().now();
        let caller = |whom| {
            let token = mint(&SigningKeys::of(secret), whom, Duration::from_secs(60)).unwrap();
            Auth::new(secret).verify(&token, now).unwrap()
        };
        assert_eq!(caller(Whom::Admin(None)).principal, Principal::SHOP);
        assert_ne!(caller(Whom::Admin(None)).subject, caller(Whom::Admin(None)).subject, "each has keys of its own");
        assert_ne!(
            caller(Whom::Staff(None, Permissions::USUAL)).subject,
            caller(Whom::Staff(None, Permissions::USUAL)).subject,
            "each has keys of its own"
        );
        assert_eq!(caller(Whom::Admin(Some("rahima".into()))).subject, "rahima");
        assert_eq!(caller(Whom::Staff(Some("karim".into()), Permissions::USUAL)).subject, "karim");
        assert_eq!(caller(Whom::Member(vendor, VendorRole::Owner)).principal, Principal::vendor(vendor));
        let new = Whom::Customer(None);
        assert_ne!(caller(new.clone()).principal, caller(new).principal);
    }
}
