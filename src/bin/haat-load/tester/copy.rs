//! A copy of a shop's sale on a server of its own: the same SKUs, prices, allotments, limits and room, running at once.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::room::{self, Opened, Room};
use super::sale::{OnSale, WINDOW, moment};
use super::shop::{Desk, Sku};
use super::wire::{Made, Money, ProductMade, Whatever};

/// A SKU that is copied.
#[derive(Clone, Debug)]
pub struct CopiedSku {
    /// What its product is called.
    pub title: String,
    /// What one piece costs outside of the sale.
    pub price: Money,
    /// Pieces in the house.
    pub on_hand: i64,
    /// What one piece costs in the sale.
    pub sale_price: Money,
    /// Pieces that can be had in it.
    pub allotment: i64,
    /// Pieces that one buyer can have in it.
    pub limit: Option<i64>,
    /// How long after the sale's beginning so many pieces are opened; all at once where there are none.
    pub tranches: Vec<(Duration, i64)>,
}

/// A sale that is copied.
#[derive(Clone, Debug)]
pub struct Copied {
    /// Its vendor's name.
    pub vendor: String,
    /// Its own.
    pub name: String,
    /// Its SKUs.
    pub skus: Vec<CopiedSku>,
    /// Pieces that one buyer can have of all of them.
    pub limit: Option<i64>,
    /// What comes after the allotment, as the contract says it.
    pub when_exhausted: &'static str,
    /// The room by which one comes to it.
    pub room: Option<Room>,
}

/// A shop that is there already when a run begins, and nobody else's.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// The SKUs that are bought.
    pub skus: Vec<Sku>,
    /// The sales that they are in.
    pub sales: Vec<OnSale>,
    /// The room before them.
    pub room: Option<Opened>,
}

/// A list, as far as one needs to know whether anything is in it.
#[derive(Deserialize)]
struct Items {
    items: Vec<Whatever>,
}

/// Makes the copy on a shop that has nothing yet.
pub async fn make(desk: &mut Desk, copied: &Copied) -> anyhow::Result<Prepared> {
    let there: Items = desk.get("/v1/products?limit=1".into()).await.context("could not look at the copy's shop")?;
    if !there.items.is_empty() {
        bail!("a sale is rehearsed on a server with a store of its own: this one has products");
    }
    let vendor = serde_json::json!({ "name": copied.vendor });
    let vendor: Made = desk.post("/v1/vendors".into(), &vendor).await.context("could not make the vendor")?;
    let mut skus = Vec::with_capacity(copied.skus.len());
    for (number, sku) in (1..).zip(&copied.skus) {
        let code = format!("COPY-{number}");
        let body = serde_json::json!({
            "title": sku.title,
            "skus": [{"code": code, "price": sku.price, "on_hand": sku.on_hand}],
        });
        let path = format!("/v1/vendors/{}/products", vendor.id);
        let product: ProductMade = desk.post(path, &body).await.context("could not make a product")?;
        let Some(made) = product.skus.into_iter().next() else { bail!("a product was made without its SKU") };
        skus.push(Sku { id: made.id, vendor: vendor.id.clone(), before: None });
    }
    let room = match &copied.room {
        Some(room) => Some(room::make(desk, room).await.context("could not open the room")?),
        None => None,
    };
    let mut body = written(copied, &skus, &moment(WINDOW.0)?, &moment(WINDOW.1)?)?;
    if let Some(room) = &room {
        body["room_id"] = room.id.clone().into();
    }
    let path = format!("/v1/vendors/{}/sales", vendor.id);
    let sale: Made = desk.post(path, &body).await.context("could not put on the sale")?;
    Ok(Prepared { skus, sales: vec![OnSale { id: sale.id, vendor: vendor.id }], room })
}

fn written(copied: &Copied, skus: &[Sku], starts_at: &str, ends_at: &str) -> anyhow::Result<serde_json::Value> {
    let item = |(made, sku): (&Sku, &CopiedSku)| {
        let mut item = serde_json::json!({"sku_id": made.id, "price": sku.sale_price, "allotment": sku.allotment});
        if let Some(limit) = sku.limit {
            item["limit_per_customer"] = limit.into();
        }
        if !sku.tranches.is_empty() {
            let tranche = |(after, quantity): &(Duration, i64)| {
                let opens_at = moment(time::Duration::try_from(*after)?)?;
                anyhow::Ok(serde_json::json!({"opens_at": opens_at, "quantity": quantity}))
            };
            item["tranches"] = sku.tranches.iter().map(tranche).collect::<anyhow::Result<Vec<_>>>()?.into();
        }
        anyhow::Ok(item)
    };
    let mut body = serde_json::json!({
        "name": copied.name, "starts_at": starts_at, "ends_at": ends_at, "time_zone": "UTC",
        "items": skus.iter().zip(&copied.skus).map(item).collect::<anyhow::Result<Vec<_>>>()?,
        "when_exhausted": copied.when_exhausted,
    });
    if let Some(limit) = copied.limit {
        body["limit_per_customer"] = limit.into();
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(amount: &str) -> Money {
        Money { amount: amount.into(), currency: "BDT".into() }
    }

    #[test]
    fn a_copy_is_written_as_the_contract_has_it() {
        let sku = |limit, tranches| CopiedSku {
            title: "Saree".into(),
            price: money("10.00"),
            on_hand: 7,
            sale_price: money("6.00"),
            allotment: 5,
            limit,
            tranches,
        };
        let copied = Copied {
            vendor: "A".into(),
            name: "11.11".into(),
            skus: vec![sku(Some(2), Vec::new()), sku(None, vec![(Duration::ZERO, 3), (Duration::from_secs(60), 2)])],
            limit: Some(3),
            when_exhausted: "stop",
            room: None,
        };
        let made = |id: &str| Sku { id: id.into(), vendor: "vendor_1".into(), before: None };
        let body = written(&copied, &[made("sku_1"), made("sku_2")], "2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z");
        let body = body.expect("a sale");
        assert_eq!(
            (&body["name"], &body["limit_per_customer"], &body["when_exhausted"]),
            (&"11.11".into(), &3.into(), &"stop".into())
        );
        assert_eq!(
            body["items"][0],
            serde_json::json!({
                "sku_id": "sku_1", "price": {"amount": "6.00", "currency": "BDT"}, "allotment": 5, "limit_per_customer": 2,
            })
        );
        let tranches = body["items"][1]["tranches"].as_array().expect("tranches");
        assert_eq!(tranches.iter().map(|tranche| &tranche["quantity"]).collect::<Vec<_>>(), [3, 2]);
        assert!(tranches[0]["opens_at"].as_str() < tranches[1]["opens_at"].as_str());
    }
}
