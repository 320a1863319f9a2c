//! How often somebody may ask. Each route has a class (`routes` says which), and each class a quota. A request with a bearer counts for the bearer, and
//! for all bearers of its address together; one without counts for its address. What is too much gets 429 `rate_limited` before anything
//! else of it is looked at. Fields as draft-ietf-httpapi-ratelimit-headers-10 has them.

use crate::domain::ids::CartId;
use crate::domain::time::Timestamp;
use crate::http::HttpState;
use crate::http::auth::Role;
use crate::http::caller::{Caller, Known};
use crate::http::client;
use crate::http::error::{Problem, RATE_LIMITED};
use crate::http::metrics::rate_limited;
use crate::http::routes;
use crate::limits;
use crate::ports::rates::{Answer, Key, Network, Quota, RateLimiter, Taken, Who};
use axum::extract::{FromRequestParts, MatchedPath, OptionalFromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// What may be asked how often.
pub const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// How often it may still be asked.
pub const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// What guests' carts are counted as.
pub const GUEST_CARTS: &str = "guest_carts";
/// How many carts guests of one address may make.
const GUEST_CARTS_QUOTA: Quota = Quota { count: limits::QUOTA_GUEST_CARTS, seconds: limits::QUOTA_GUEST_CARTS_SECONDS };

/// What unknown codes of coupons are counted as.
pub const COUPON_GUESSES: &str = "coupon_guesses";
/// How many may be tried in one cart, and from one address.
const COUPON_GUESSES_QUOTA: Quota =
    Quota { count: limits::QUOTA_COUPON_GUESSES, seconds: limits::QUOTA_COUPON_GUESSES_SECONDS };

/// What streams of live stock, and of places in a line, are counted as: those that are open at a time from one address.
pub const STREAMS: &str = "live_streams";

/// What is limited together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// What is in memory, and what is one's own.
    Reads,
    /// Lists.
    Search,
    /// Carts, and what is in them.
    Carts,
    /// Checkouts, and what is done with an order.
    Checkout,
    /// Signing up and in.
    SignIn,
    /// What vendors, staff and administrators do.
    Staff,
    /// Files.
    Files,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Reads, Self::Search, Self::Carts, Self::Checkout, Self::SignIn, Self::Staff, Self::Files];

    /// Its name, in the setting and in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Search => "search",
            Self::Carts => "carts",
            Self::Checkout => "checkout",
            Self::SignIn => "sign_in",
            Self::Staff => "staff",
            Self::Files => "files",
        }
    }
}

/// How often each class may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table([Quota; Class::ALL.len()]);

impl Default for Table {
    /// As Haat is shipped.
    fn default() -> Self {
        Self(limits::RATES.map(|(count, seconds)| Quota { count, seconds }))
    }
}

impl Table {
    /// How often one bearer may ask, or an address without one.
    pub fn quota(&self, class: Class) -> Quota {
        self.0[class as usize]
    }

    /// The longest window, in seconds.
    pub fn longest_seconds(&self) -> u32 {
        self.0.iter().map(|quota| quota.seconds).fold(GUEST_CARTS_QUOTA.seconds, u32::max)
    }
}

impl FromStr for Table {
    type Err = String;

    /// Reads `class=count/seconds`, with commas between; a class that is not named is as shipped.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut table = Self::default();
        let mut named = Vec::new();
        for part in text.split(',').map(str::trim) {
            let expected = || {
                let names = Class::ALL.map(Class::name).join(", ");
                format!(
                    "'{part}' is no rate: off, or class=count/seconds with commas between is expected, such as carts=120/60; classes are {names}"
                )
            };
            let (name, rate) = part.split_once('=').ok_or_else(expected)?;
            let (count, seconds) = rate.split_once('/').ok_or_else(expected)?;
            let class = Class::ALL.into_iter().find(|class| class.name() == name).ok_or_else(expected)?;
            if named.contains(&class) {
                return Err(format!("the class {name} stands there twice"));
            }
            named.push(class);
            // A sign is none that `parse` would miss.
            let number = |text: &str, most: u32| {
                let number = text.parse().ok().filter(|number| (1..=most).contains(number));
                number.filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
            };
            let between = |what: &str, most| format!("of the class {name} {what} must be from 1 to {most}");
            table.0[class as usize] = Quota {
                count: number(count, limits::RATE_COUNT).ok_or_else(|| between("the count", limits::RATE_COUNT))?,
                seconds: number(seconds, limits::RATE_SECONDS)
                    .ok_or_else(|| between("the seconds", limits::RATE_SECONDS))?,
            };
        }
        Ok(table)
    }
}

/// What is limited, and who counts.
pub struct Rates {
    table: Table,
    limiter: Arc<dyn RateLimiter>,
    /// The policies of one's own, and of all bearers of an address, made ready: they are the same for everybody.
    policies: [[HeaderValue; 2]; Class::ALL.len()],
    /// The policy of guests' carts.
    guest_carts: HeaderValue,
}

/// What is told of a quota: its name, the count and the seconds.
fn policy(name: &str, quota: Quota) -> HeaderValue {
    let text = format!("\"{name}\";q={};w={}", quota.count, quota.seconds);
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// What all bearers of an address together may ask.
fn of_address(quota: Quota) -> Quota {
    Quota { count: quota.count.saturating_mul(limits::RATE_BEARERS_PER_ADDRESS), ..quota }
}

impl Rates {
    /// Limits by this table, counted by that one.
    pub fn new(table: Table, limiter: Arc<dyn RateLimiter>) -> Self {
        let policies = Class::ALL.map(|class| {
            let quota = table.quota(class);
            [policy(class.name(), quota), policy(class.name(), of_address(quota))]
        });
        Self { table, limiter, policies, guest_carts: policy(GUEST_CARTS, GUEST_CARTS_QUOTA) }
    }
}

/// How often somebody may still ask for something.
struct Standing<'a> {
    /// What.
    name: &'static str,
    policy: &'a HeaderValue,
    /// What is said of it where it is too much.
    detail: &'static str,
    taken: Taken,
}

impl Standing<'_> {
    /// Seconds until the window is over, rounded up: who waits for so long is let in.
    fn seconds(&self) -> u64 {
        self.taken.over_in_ms.max(1).unsigned_abs().div_ceil(1000)
    }

    fn write(&self, response: &mut Response) {
        let headers = response.headers_mut();
        headers.insert(RATELIMIT_POLICY, self.policy.clone());
        let mut text = String::with_capacity(48);
        // Writing to a text cannot fail.
        let _ = write!(text, "\"{}\";r={};t={}", self.name, self.taken.left, self.seconds());
        headers.insert(RATELIMIT, HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("")));
    }
}

/// One who says who it is, and whose token is right.
fn bearer(caller: &Caller) -> Who {
    Who::Bearer(xxh3_128_with_seed(caller.subject.as_bytes(), caller.role as u64))
}

impl Rates {
    async fn take(&self, what: &'static str, who: Who, quota: Quota, now: Timestamp) -> Taken {
        match self.limiter.take(Key { what, who }, quota, now) {
            Answer::Now(taken) => taken,
            Answer::Later(taken) => taken.await,
        }
    }

    /// Whether one more code of a coupon may be tried in this cart, from this address: not once so many were tried that there are not. One that
    /// `is_unknown` counts.
    ///
    /// # Errors
    /// The problem that says when to try again.
    pub async fn guess(&self, cart: CartId, from: Network, is_unknown: bool, now: Timestamp) -> Result<(), Problem> {
        let cart = Who::Bearer(xxh3_128_with_seed(cart.uuid().as_bytes(), 0));
        for who in [cart, Who::Address(from)] {
            let (key, quota) = (Key { what: COUPON_GUESSES, who }, COUPON_GUESSES_QUOTA);
            let answer = match is_unknown {
                true => self.limiter.take(key, quota, now),
                false => self.limiter.look(key, quota, now),
            };
            let taken = match answer {
                Answer::Now(taken) => taken,
                Answer::Later(taken) => taken.await,
            };
            if !taken.let_in {
                rate_limited(COUPON_GUESSES);
                let detail = "too many codes were tried that there are not";
                let seconds = taken.over_in_ms.max(1).unsigned_abs().div_ceil(1000);
                return Err(Problem::new(&RATE_LIMITED, detail).retry_after(seconds));
            }
        }
        Ok(())
    }

    /// Counts a request of this class: the quota that was full, or else its own. `makes_cart` is whether it makes a cart.
    async fn count(&self, state: &HttpState, class: Class, makes_cart: bool, parts: &mut Parts) -> Standing<'_> {
        let network = Network::from(client::address(parts, &state.settings));
        // A token that is not right is nobody's: it counts for its address, and its handler refuses it.
        let caller = <Caller as OptionalFromRequestParts<HttpState>>::from_request_parts(parts, state).await;
        let caller = caller.ok().flatten();
        if let Some(caller) = &caller {
            // The door behind this need not look at the token again.
            parts.extensions.insert(Known(caller.clone()));
        }
        let (own, now) = (self.table.quota(class), state.shop.clock().now());
        let [of_one, of_all] = &self.policies[class as usize];
        // Whoever signs in brings no token of use: one of a guest's would only make a fresh count.
        let counted = caller.as_ref().filter(|_| class != Class::SignIn);
        let who = counted.map_or(Who::Address(network), bearer);
        let taken = self.take(class.name(), who, own, now).await;
        let standing = Standing { name: class.name(), policy: of_one, detail: "this was asked too often", taken };
        if !taken.let_in {
            return standing;
        }
        if counted.is_some() {
            let taken = self.take(class.name(), Who::BearersOf(network), of_address(own), now).await;
            if !taken.let_in {
                let detail = "too much is asked from this address";
                return Standing { policy: of_all, detail, taken, ..standing };
            }
        }
        let is_guest = caller.is_none_or(|caller| caller.role != Role::Customer);
        if makes_cart && is_guest {
            let taken = self.take(GUEST_CARTS, Who::Address(network), GUEST_CARTS_QUOTA, now).await;
            if !taken.let_in {
                let detail = "guests of this address have made as many carts as they may";
                return Standing { name: GUEST_CARTS, policy: &self.guest_carts, detail, taken };
            }
        }
        standing
    }
}

/// See the file's head.
pub async fn limit(State((state, rates)): State<(HttpState, Arc<Rates>)>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let Some(class) = routes::class_of(request.method(), route) else { return next.run(request).await };
    let makes_cart = request.method() == Method::POST && route == Some(routes::CARTS);
    let (mut parts, body) = request.into_parts();
    let standing = rates.count(&state, class, makes_cart, &mut parts).await;
    let mut response = match standing.taken.let_in {
        true => next.run(Request::from_parts(parts, body)).await,
        false => {
            rate_limited(standing.name);
            Problem::new(&RATE_LIMITED, standing.detail).retry_after(standing.seconds()).into_response()
        }
    };
    standing.write(&mut response);
    response
}

/// From where a request comes, where somebody counts.
pub struct AskedFrom(pub Option<Network>);

impl FromRequestParts<HttpState> for AskedFrom {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Infallible> {
        Ok(Self(state.rates.is_some().then(|| client::address(parts, &state.settings).into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_names_classes_and_leaves_the_others_as_they_are() {
        let table: Table = "carts=3/60, sign_in=1/86400".parse().unwrap();
        assert_eq!(table.quota(Class::Carts), Quota { count: 3, seconds: 60 });
        assert_eq!(table.quota(Class::SignIn), Quota { count: 1, seconds: 86_400 });
        assert_eq!(table.quota(Class::Reads), Table::default().quota(Class::Reads));
        assert_eq!((table.longest_seconds(), Table::default().longest_seconds()), (86_400, 3_600));
        for class in Class::ALL {
            let said: Table = format!("{}=7/9", class.name()).parse().unwrap();
            let changed = Class::ALL.into_iter().filter(|other| said.quota(*other) == Quota { count: 7, seconds: 9 });
            assert_eq!(changed.collect::<Vec<_>>(), [class]);
        }
    }

    #[test]
    fn what_is_no_table_is_refused_in_words() {
        for (text, says) in [
            ("", "is no rate"),
            (" ", "is no rate"),
            ("on", "is no rate"),
            ("carts", "is no rate"),
            ("carts=5", "is no rate"),
            ("carts=5/60,", "is no rate"),
            ("Carts=5/60", "is no rate"),
            ("carts =5/60", "is no rate"),
            ("cart=5/60", "classes are reads, search, carts, checkout, sign_in, staff, files"),
            ("carts=0/60", "the count must be from 1 to 1000000000"),
            ("carts=1000000001/60", "the count"),
            ("carts=+5/60", "the count"),
            ("carts=-5/60", "the count"),
            ("carts=5.0/60", "the count"),
            ("carts=5/0", "the seconds must be from 1 to 86400"),
            ("carts=5/86401", "the seconds"),
            ("carts=5/60/2", "the seconds"),
            ("carts=5/60,carts=6/60", "twice"),
        ] {
            let error = text.parse::<Table>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    /// Somebody else may count, who takes a moment.
    #[tokio::test]
    async fn whoever_counts_may_answer_later() {
        struct Elsewhere;

        impl RateLimiter for Elsewhere {
            fn look(&self, key: Key, quota: Quota, now: Timestamp) -> Answer {
                self.take(key, quota, now)
            }

            fn take(&self, key: Key, _: Quota, _: Timestamp) -> Answer {
                Answer::Later(Box::pin(async move {
                    tokio::task::yield_now().await;
                    Taken { let_in: key.what == "reads", left: 0, over_in_ms: 7 }
                }))
            }
        }

        let rates = Rates::new(Table::default(), Arc::new(Elsewhere));
        for (what, let_in) in [("reads", true), ("carts", false)] {
            let taken = rates.take(what, Who::Bearer(1), Quota { count: 1, seconds: 1 }, Timestamp::default()).await;
            assert_eq!(taken, Taken { let_in, left: 0, over_in_ms: 7 });
        }
    }

    #[test]
    fn a_quota_is_told_as_the_draft_has_it() {
        assert_eq!(policy("carts", Quota { count: 120, seconds: 60 }), "\"carts\";q=120;w=60");
        let nothing = HeaderValue::from_static("");
        let of = |over_in_ms| {
            let taken = Taken { let_in: false, left: 0, over_in_ms };
            Standing { name: "sign_in", policy: &nothing, detail: "", taken }
        };
        for (over_in_ms, seconds) in [(-5, 1), (0, 1), (1, 1), (1_000, 1), (1_001, 2), (41_500, 42)] {
            assert_eq!(of(over_in_ms).seconds(), seconds, "{over_in_ms}");
        }
    }
}
