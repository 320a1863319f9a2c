//! Where an order is shipped to, as those see it who may.

use crate::actors::Readiness;
use crate::actors::shop::{Ask, Shop};
use crate::domain::details::{Contact, Known};
use crate::domain::entity::Principal;
use crate::domain::order::{Address, Order, OrderCommand, OrderReply, OrderView};
use crate::http::answer::ask;
use crate::http::error::Result;
use crate::http::{Settings, query};
use serde::Serialize;
use utoipa::ToSchema;

/// What is shown in place of what was erased.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Erased {
    /// It was erased.
    Erased,
}

/// An address, or `erased` when it was.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(example = json!({
    "name": "Rahim Uddin", "line1": "12 Mirpur Road", "city": "Dhaka", "postcode": "1205", "country": "BD",
    "phone": "+8801712345678"
}))]
pub enum AddressShown<'a> {
    /// It was erased.
    Erased(Erased),
    /// Where to ship to.
    Here(AddressBody<'a>),
}

/// Where to ship to.
#[derive(Debug, Serialize, ToSchema)]
pub struct AddressBody<'a> {
    #[schema(example = "Rahim Uddin")]
    name: &'a str,
    #[schema(example = "12 Mirpur Road")]
    line1: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line2: Option<&'a str>,
    #[schema(example = "Dhaka")]
    city: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "1205")]
    postcode: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    #[schema(example = "BD")]
    country: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "+8801712345678")]
    phone: Option<&'a str>,
}

impl<'a> AddressBody<'a> {
    pub(super) fn new(address: &'a Address) -> Self {
        let Address { name, line1, line2, city, postcode, region, country, phone } = address;
        let [line2, postcode, region, phone] = [line2, postcode, region, phone].map(Option::as_deref);
        Self { name, line1, line2, city, postcode, region, country, phone }
    }
}

/// A contact as an order shows it: the address, and where to write to.
pub(super) fn shown(contact: &Known<Contact>) -> (Option<AddressShown<'_>>, Option<&str>) {
    match contact {
        Known::Here(Contact { email, shipping_address }) => {
            (Some(AddressShown::Here(AddressBody::new(shipping_address))), email.as_deref())
        }
        Known::Erased => (Some(AddressShown::Erased(Erased::Erased)), Some("erased")),
        Known::Nothing => (None, None),
    }
}

/// Where an order is to be shipped to, for those who may see the order.
pub async fn contact(shop: &Shop, settings: &Settings, by: Principal, order: &OrderView) -> Result<Known<Contact>> {
    if let Some(inline) = &order.inline_contact {
        return Ok(Known::Here(Contact::clone(inline)));
    }
    // An order is shown also while the store cannot be asked, without this.
    if shop.readiness() == Readiness::StoreUnavailable {
        return Ok(Known::Nothing);
    }
    match query(settings, shop.contact(order.id)).await {
        Ok(Known::Nothing) => {}
        Ok(known) => return Ok(known),
        Err(problem) => {
            tracing::warn!(order = %order.id, ?problem, "an order is shown without its contact");
            return Ok(Known::Nothing);
        }
    }
    // An order of an early version shows it itself, but for an answer that was kept.
    let how = Ask { within: settings.request_timeout, key: None, fresh: false };
    Ok(match ask::<Order>(shop, order.id, OrderCommand::Get { by }, how).await? {
        (OrderReply::Order { order }, _) => order.inline_contact.map_or(Known::Nothing, |inline| Known::Here(*inline)),
        _ => Known::Nothing,
    })
}
