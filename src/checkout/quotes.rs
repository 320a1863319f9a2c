//! Quotes: what a cart would come to, by the function that makes bills, without holding anything. What a buyer was quoted stands in a text that is
//! signed and kept nowhere; a checkout that names it agrees to its total.

use crate::actors::{Ask, Failure, Shop};
use crate::domain::buyer::{Audience, Buyer};
use crate::domain::cart::quote::contents;
use crate::domain::cart::{Cart, CartCommand, CartLine, CartReply, CartView, Quote, Today};
use crate::domain::coupon::Judged;
use crate::domain::entity::Principal;
use crate::domain::ids::{CartId, ShippingMethodId, VendorId};
use crate::domain::loyalty::{EarnTerms, Goods, WHOLE};
use crate::domain::money::Money;
use crate::domain::order::{no_points, within_maximum};
use crate::domain::pricing::{Basket, Bill, Destination, Good, ON_DELIVERY, ShippingMethod, Tables, bill, offers};
use crate::domain::reject::Reject;
use crate::limits;
use crate::ports::keys::{SigningKey, SigningKeys};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use parking_lot::RwLock;
use std::time::Duration;

/// How the text of a quote begins.
const PREFIX: &str = "quote_";

/// The keys that quotes are signed with. They follow from the secrets that sign access tokens (RFC 5869).
pub struct QuoteKeys(RwLock<SigningKeys>);

fn key_of(secret: &SigningKey) -> Option<hmac::Key> {
    let from = Salt::new(HKDF_SHA256, b"haat quotes").extract(&secret.secret);
    // The lengths are fixed: none of this fails.
    from.expand(&[b"quote"], HMAC_SHA256).ok().map(hmac::Key::from)
}

impl QuoteKeys {
    /// Of a server with these secrets.
    pub fn of(secrets: &SigningKeys) -> Self {
        Self(RwLock::new(secrets.clone()))
    }

    /// Other secrets from now on.
    pub fn set(&self, secrets: &SigningKeys) {
        *self.0.write() = secrets.clone();
    }

    /// The text of a quote: what it says, the name of the key, and its signature.
    pub fn seal(&self, quote: &Quote) -> Option<String> {
        let newest = self.0.read().newest().clone();
        let says = BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(quote).ok()?);
        let tag = BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&key_of(&newest)?, says.as_bytes()));
        Some(format!("{PREFIX}{says}.{}.{tag}", newest.kid))
    }

    /// What the text of a quote says; nothing unless it is one of ours.
    pub fn open(&self, text: &str) -> Option<Quote> {
        let mut parts = text.strip_prefix(PREFIX)?.split('.');
        let (says, kid, tag) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let tag = BASE64_URL_SAFE_NO_PAD.decode(tag).ok()?;
        let key = self.0.read().all().iter().find(|key| key.is_called(kid)).and_then(key_of)?;
        hmac::verify(&key, says.as_bytes(), &tag).ok()?;
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(says).ok()?).ok()
    }
}

/// What a buyer asks to be quoted.
#[derive(Clone, Debug)]
pub struct QuoteAsked {
    /// Where to.
    pub to: Buyer,
    /// The methods of shipping that were chosen.
    pub shipping: Vec<(VendorId, ShippingMethodId)>,
    /// With how many points.
    pub points: Option<i64>,
    /// How it is to be paid, where that is said.
    pub method: Option<String>,
}

/// What a cart would come to.
#[derive(Clone, Debug)]
pub struct Quoted {
    /// The cart, with today's prices.
    pub cart: CartView,
    /// What each line costs in the list, in minor units.
    pub list_prices: Vec<i64>,
    /// What it comes to.
    pub bill: Bill,
    /// What each of its coupons takes off, in minor units, or why it cannot be used. The bill is without those that cannot.
    pub coupons: Vec<Result<i64, Reject>>,
    /// How each vendor could ship it, and for how much in minor units, in the order of the shares.
    pub offers: Vec<Vec<(ShippingMethod, i64)>>,
    /// How many points are spent.
    pub points: i64,
    /// How many it earns; `None` where nothing does.
    pub earns: Option<i64>,
    /// What the buyer is given.
    pub quote: Quote,
}

impl Shop {
    /// What a cart would come to now. Nothing is held, and neither stock nor limits are looked at.
    ///
    /// # Errors
    /// Why there is no answer; a refusal is an answer.
    pub async fn quote(
        &self,
        by: Principal,
        cart: CartId,
        asked: QuoteAsked,
        within: Duration,
    ) -> Result<Result<Quoted, Reject>, Failure> {
        let how = Ask { within, key: None, fresh: false };
        match self.ask::<Cart>(cart, CartCommand::Get { by }, how).await?.outcome {
            Ok(CartReply::Cart { cart }) if cart.lines.is_empty() => Ok(Err(Reject::CartEmpty)),
            Ok(CartReply::Cart { cart }) => Ok(self.quoted(by, *cart, asked)),
            Ok(_) => Ok(Err(Reject::CartUnknown)),
            Err(reject) => Ok(Err(reject)),
        }
    }

    fn quoted(&self, by: Principal, mut cart: CartView, asked: QuoteAsked) -> Result<Quoted, Reject> {
        let (knowledge, now) = (self.knowledge(), self.clock().now());
        let known = knowledge.availability;
        let (audience, exempt) = match by {
            Principal::Customer(customer) => (known.audience(customer), known.exemption(customer)),
            _ => (Audience::Retail, None),
        };
        let today = Today::new(known, audience, &cart.lines, now);
        let price = |line: &CartLine| match known.price(line.sku) {
            Some(list) => (today.price_at(line.sku, line.quantity, list.minor), list.minor),
            None => ((line.unit_price, line.sale), line.unit_price),
        };
        let prices: Vec<_> = cart.lines.iter().map(price).collect();
        for (line, (price, _)) in cart.lines.iter_mut().zip(&prices) {
            (line.unit_price, line.sale) = *price;
        }
        let mut judged = Judged::new(&cart.coupons, known, now);
        let tables = knowledge.prices.tables();
        let nothing = Tables::default();
        let tables = tables.as_deref().unwrap_or(&nothing);
        let wanted = asked.points.unwrap_or(0);
        let terms = match by {
            Principal::Customer(customer) => {
                let multiplier = known.multiplier(customer).unwrap_or(WHOLE);
                tables.loyalty.as_ref().and_then(|programme| programme.terms(cart.currency, multiplier))
            }
            _ if wanted > 0 => return Err(Reject::AccountRequired),
            _ => None,
        };
        let worth = terms.as_ref().map_or(0, |terms| terms.worth);
        if wanted > 0 && worth == 0 {
            return Err(no_points(Some(tables), cart.currency));
        }
        let good = |line: &CartLine| {
            tables.good((line.sku, line.vendor), line.quantity, line.unit_price, line.sale.is_some(), known)
        };
        let goods: Vec<Good<'_>> = cart.lines.iter().map(good).collect();
        let basket = Basket {
            currency: cart.currency,
            goods: &goods,
            promotions: &[],
            shipping: &tables.shipping,
            chosen: &asked.shipping,
            to: Destination::of(&asked.to),
            on_delivery: asked.method.as_deref() == Some(ON_DELIVERY),
            tax: tables.tax.as_ref(),
            exempt,
            placed_at: now,
            points: wanted,
            point_value: worth,
        };
        let bill = judged.billed(|promotions| bill(&Basket { promotions, ..basket }))?;
        // As the order will say it, once all is held.
        within_maximum(asked.method.as_deref().unwrap_or_default(), bill.total(), cart.currency, knowledge.prices)?;
        let coupons = judged.told(&bill);
        let mut all = Vec::with_capacity(bill.shares.len());
        for share in &bill.shares {
            let offered = offers(&basket, &bill, share.vendor)?;
            all.push(offered.into_iter().map(|(method, price)| (method.clone(), price)).collect());
        }
        let Buyer { country, region, postcode, .. } = asked.to;
        let quote = Quote {
            cart: cart.id,
            contents: contents(&cart.lines, &cart.coupons),
            total: Money::new(bill.total(), cart.currency),
            shipping: asked.shipping,
            points: asked.points.filter(|points| *points > 0),
            method: asked.method,
            country,
            region,
            postcode,
            expires_at: now.plus_millis(limits::QUOTE_MS),
        };
        let list_prices = prices.into_iter().map(|(_, list)| list).collect();
        let points = if worth > 0 { bill.points() / worth } else { 0 };
        // Each share by itself, as its order will.
        let goods = |vendor| Goods::of(bill.prices_include_tax, bill.lines.iter().filter(|line| line.vendor == vendor));
        let earned = |terms: &EarnTerms| bill.shares.iter().map(|share| terms.earned(&goods(share.vendor))).sum();
        let earns = terms.as_ref().filter(|terms| terms.basis_points > 0).map(earned);
        Ok(Quoted { cart, list_prices, bill, coupons, offers: all, points, earns, quote })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Currency;
    use crate::domain::time::Timestamp;
    use uuid::Uuid;

    fn quote() -> Quote {
        Quote {
            cart: CartId::from_uuid(Uuid::from_u128(1)),
            contents: 2,
            total: Money::new(3, Currency::BDT),
            shipping: vec![(VendorId::from_uuid(Uuid::from_u128(4)), ShippingMethodId::from_uuid(Uuid::from_u128(5)))],
            points: None,
            method: None,
            country: "BD".into(),
            region: None,
            postcode: Some("1205".into()),
            expires_at: Timestamp::from_millis(6),
        }
    }

    #[test]
    fn a_quote_is_read_as_it_was_given_and_nothing_else_is() {
        let keys = QuoteKeys::of(&SigningKeys::of(b"a secret that is long enough for a test"));
        let text = keys.seal(&quote()).unwrap();
        assert_eq!(keys.open(&text), Some(quote()));
        for place in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[place] = if other[place] == b'A' { b'B' } else { b'A' };
            let read = keys.open(&String::from_utf8(other).unwrap());
            // The last character of a base64 text has bits that mean nothing; those are refused, too.
            assert_eq!(read, None, "{place}");
        }
        assert_eq!(keys.open(&format!("{text}.")), None);
        let others = QuoteKeys::of(&SigningKeys::of(b"another secret that is long enough for a test"));
        assert_eq!(others.open(&text), None);
    }

    #[test]
    fn a_quote_outlives_the_secret_that_signed_it_until_that_retires() {
        let (old, new) = (SigningKey::of(b"a secret that is long enough for a test"), SigningKey::of(&[7; 32]));
        let keys = QuoteKeys::of(&SigningKeys::of(&old.secret));
        let text = keys.seal(&quote()).unwrap();
        keys.set(&SigningKeys::new(vec![new.clone(), old]).unwrap());
        assert_eq!(keys.open(&text), Some(quote()));
        keys.set(&SigningKeys::new(vec![new]).unwrap());
        assert_eq!(keys.open(&text), None);
    }
}
