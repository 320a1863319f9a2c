//! The shop that is bought from: vendors and SKUs made with the admin token, or SKUs that exist.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::client::{Answer, Ask, Caller, Link, Target, Token, Wire};
use super::copy::Prepared;
use super::coupon;
use super::http1::dial;
use super::members;
use super::points;
use super::room;
use super::run::Run;
use super::sale;
use super::scenario::Shop;
use super::stats::{Call, Mishap, Recorder};
use super::wire::{CouponOfShop, Made, Mails, Problem, ProductMade, SaleOfVendor, SkuPublic, Stock};

/// SKUs in one product that is made.
const SKUS_PER_PRODUCT: u32 = 50;

/// A SKU that is bought.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sku {
    /// `sku_…`
    pub id: String,
    /// `vendor_…`
    pub vendor: String,
    /// Its stock before the run, when an admin token could read it.
    pub before: Option<Stock>,
}

/// Whether the server answers at all; said in one sentence when not.
pub async fn reach(run: &Run) -> anyhow::Result<()> {
    // One try: a wrong port should be told at once, whatever the number of repeats for later.
    let wire = Arc::new(Wire {
        target: Target::resolve(&run.cli.target).await?,
        timeout: run.wire.timeout,
        repeats: 0,
        recorder: Recorder::default(),
    });
    let (target, address) = (&run.cli.target, wire.target.address());
    match tokio::time::timeout(wire.timeout, dial(address, None)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => bail!("could not reach {target} ({address}): {error}"),
        Err(_) => bail!("could not reach {target} ({address}): no connection within {:?}", wire.timeout),
    }
    let mut caller = Caller::new(&wire, Link::plain(), 0);
    let ask = Ask::get("/healthz".into(), None)?;
    if caller.call(Call::BackOffice, &ask, Instant::now()).await.is_ok() {
        return Ok(());
    }
    let total = wire.recorder.total();
    match (total.mishaps(Mishap::Busy), total.mishaps(Mishap::Timeout)) {
        (0, 0) => bail!("{target} ({address}) took the connection and gave no answer that is HTTP"),
        (0, _) => bail!("{target} ({address}) took the connection and gave no answer within {:?}", wire.timeout),
        _ => Ok(()),
    }
}

/// Makes the shop that the command line describes, or reads the SKUs it names; or takes one that is there already.
pub async fn open(run: &mut Run, prepared: Option<Prepared>) -> anyhow::Result<()> {
    let mut desk = Desk::of(run);
    run.is_prepared = prepared.is_some();
    let makes = prepared.is_none() && run.cli.existing.is_empty();
    let mut skus = if let Some(prepared) = prepared {
        (run.sales, run.room) = (prepared.sales, prepared.room);
        prepared.skus
    } else if makes {
        desk.make(&run.scenario.shop).await?
    } else {
        let mut skus = Vec::new();
        for id in &run.cli.existing {
            let sku = desk.find(id).await?;
            skus.push(sku.with_context(|| format!("there is no {id}"))?);
        }
        skus
    };
    if run.admin.is_some() {
        for sku in &mut skus {
            sku.before = Some(desk.stock(sku).await?);
        }
    }
    if let (Some(sale), true) = (&run.scenario.shop.sale, makes) {
        run.room = room::open(&mut desk, &run.scenario.shop).await.context("could not open a room")?;
        run.sales = sale::put_on(&mut desk, &run.scenario.shop, sale, run.room.as_ref(), &skus).await?;
    }
    if let (Some(coupon), true) = (&run.scenario.shop.coupon, makes) {
        run.coupons = vec![coupon::make(&mut desk, &run.scenario.shop, coupon).await?];
    }
    if let (Some(wholesale), true) = (&run.scenario.shop.wholesale, makes) {
        let terms = wholesale.terms(&run.scenario)?;
        for sku in &skus {
            let path = format!("/v1/vendors/{}/skus/{}", sku.vendor, sku.id);
            let _: Made = desk.patch(path, &terms).await.context("could not set a price for wholesale buyers")?;
        }
    }
    run.members = members::sign_up(&mut desk, run).await?;
    run.skus = skus;
    points::open(&mut desk, run).await
}

/// The back office: calls that must succeed, one after the other.
pub struct Desk {
    /// Its connection.
    pub caller: Caller,
    /// Its right.
    pub admin: Option<Token>,
}

impl Desk {
    /// The run's.
    pub fn of(run: &Run) -> Self {
        Desk { caller: Caller::new(&run.wire, Link::plain(), 0), admin: run.admin.clone() }
    }

    /// Another one, on a wire of its own.
    pub fn over(wire: &Arc<Wire>, admin: Option<Token>) -> Self {
        Desk { caller: Caller::new(wire, Link::plain(), 3), admin }
    }

    /// A sale as its vendor reads it.
    pub async fn sale(&mut self, vendor: &str, sale: &str) -> anyhow::Result<SaleOfVendor> {
        let sale_read = self.get(format!("/v1/vendors/{vendor}/sales/{sale}")).await;
        sale_read.with_context(|| format!("could not read {sale}"))
    }

    /// A coupon as the shop's staff reads it.
    pub async fn coupon(&mut self, coupon: &str) -> anyhow::Result<CouponOfShop> {
        let coupon_read = self.get(format!("/v1/coupons/{coupon}")).await;
        coupon_read.with_context(|| format!("could not read {coupon}"))
    }

    async fn make(&mut self, shop: &Shop) -> anyhow::Result<Vec<Sku>> {
        let mut skus = Vec::new();
        for vendor in 0..shop.vendors {
            let name = format!("Load vendor {}", vendor + 1);
            let made: Made = self
                .post("/v1/vendors".into(), &serde_json::json!({ "name": name }))
                .await
                .context("could not make a vendor")?;
            // The first vendors take one more where the SKUs do not divide.
            let mut left = shop.skus / shop.vendors + u32::from(vendor < shop.skus % shop.vendors);
            let mut number = 0;
            while left > 0 {
                let batch = left.min(SKUS_PER_PRODUCT);
                let body = product(shop, number, batch);
                let path = format!("/v1/vendors/{}/products", made.id);
                let product: ProductMade = self.post(path, &body).await.context("could not make a product")?;
                if product.skus.len() != batch as usize {
                    bail!("asked for {batch} SKUs and was given {}", product.skus.len());
                }
                for sku in product.skus {
                    skus.push(Sku { id: sku.id, vendor: made.id.clone(), before: None });
                }
                number += batch;
                left -= batch;
            }
        }
        Ok(skus)
    }

    /// The SKU that anyone may read by this id; `None` when the shop knows no such SKU.
    pub async fn find(&mut self, id: &str) -> anyhow::Result<Option<Sku>> {
        let ask = Ask::get(format!("/v1/skus/{id}"), self.admin.as_ref())?;
        let answer = self.answer(&ask).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        let sku: SkuPublic = made(&ask, &answer)?;
        Ok(Some(Sku { id: sku.id, vendor: sku.vendor_id, before: None }))
    }

    /// A SKU's stock as its vendor reads it.
    pub async fn stock(&mut self, sku: &Sku) -> anyhow::Result<Stock> {
        self.get(format!("/v1/vendors/{}/skus/{}", sku.vendor, sku.id))
            .await
            .with_context(|| format!("could not read the stock of {}", sku.id))
    }

    /// What anyone may buy of a SKU now.
    pub async fn available(&mut self, sku: &Sku) -> anyhow::Result<i64> {
        let sku: SkuPublic = self.get(format!("/v1/skus/{}", sku.id)).await?;
        Ok(sku.available.unwrap_or_default())
    }

    /// A GET.
    pub async fn get<T: DeserializeOwned>(&mut self, path: String) -> anyhow::Result<T> {
        let ask = Ask::get(path, self.admin.as_ref())?;
        self.must(&ask).await
    }

    /// A POST under a key of its own.
    pub async fn post<T: DeserializeOwned>(&mut self, path: String, body: &serde_json::Value) -> anyhow::Result<T> {
        let body = Bytes::from(serde_json::to_vec(body)?);
        let mut ask = Ask::post(path, self.admin.as_ref(), body)?;
        ask.key = Some(new_key());
        self.must(&ask).await
    }

    /// A POST of somebody who is not known yet.
    pub async fn public<T: DeserializeOwned>(&mut self, path: &str, body: &serde_json::Value) -> anyhow::Result<T> {
        let ask = Ask::post(path.to_owned(), None, Bytes::from(serde_json::to_vec(body)?))?;
        self.must(&ask).await
    }

    /// A PUT of a table over the version that was read.
    pub async fn put<T: DeserializeOwned>(
        &mut self,
        path: String,
        version: u64,
        body: &serde_json::Value,
    ) -> anyhow::Result<T> {
        let ask = Ask::put(path, self.admin.as_ref(), Bytes::from(serde_json::to_vec(body)?))?;
        self.must(&Ask { if_match: Some(version), ..ask }).await
    }

    /// A PUT.
    pub async fn set<T: DeserializeOwned>(&mut self, path: String, body: &serde_json::Value) -> anyhow::Result<T> {
        let ask = Ask::put(path, self.admin.as_ref(), Bytes::from(serde_json::to_vec(body)?))?;
        self.must(&ask).await
    }

    /// A PATCH.
    pub async fn patch<T: DeserializeOwned>(&mut self, path: String, body: &serde_json::Value) -> anyhow::Result<T> {
        let ask = Ask::patch(path, self.admin.as_ref(), Bytes::from(serde_json::to_vec(body)?))?;
        self.must(&ask).await
    }

    /// The newest mails that the sandbox keeps.
    pub async fn mails(&mut self) -> anyhow::Result<Mails> {
        self.get("/v1/admin/sandbox/mails?limit=100".into()).await
    }

    async fn must<T: DeserializeOwned>(&mut self, ask: &Ask) -> anyhow::Result<T> {
        let answer = self.answer(ask).await?;
        made(ask, &answer)
    }

    async fn answer(&mut self, ask: &Ask) -> anyhow::Result<Answer> {
        match self.caller.call(Call::BackOffice, ask, Instant::now()).await {
            Ok(answer) => Ok(answer),
            Err(_) => bail!("no answer to {} {} after all repeats", ask.method, ask.path),
        }
    }
}

fn made<T: DeserializeOwned>(ask: &Ask, answer: &Answer) -> anyhow::Result<T> {
    if !(200..300).contains(&answer.status) {
        bail!("{} {} was answered {}", ask.method, ask.path, refusal(answer));
    }
    serde_json::from_slice(&answer.body)
        .with_context(|| format!("the answer to {} does not fit the contract", ask.path))
}

/// An idempotency key that was never used before.
pub fn new_key() -> Token {
    Uuid::now_v7().hyphenated().to_string().into()
}

/// A refusal in words: its status, its code and its detail.
pub fn refusal(answer: &Answer) -> String {
    match serde_json::from_slice::<Problem>(&answer.body) {
        Ok(problem) => format!(
            "{} {}{}{}",
            answer.status,
            problem.code,
            if problem.detail.is_some() { ": " } else { "" },
            problem.detail.as_deref().unwrap_or_default()
        ),
        Err(_) => answer.status.to_string(),
    }
}

fn product(shop: &Shop, first: u32, count: u32) -> serde_json::Value {
    let skus: Vec<_> = (first..first + count)
        .map(|number| {
            serde_json::json!({
                "code": format!("LOAD-{}", number + 1),
                "price": {"amount": shop.price.to_string(), "currency": shop.currency},
                "on_hand": shop.stock,
            })
        })
        .collect();
    serde_json::json!({ "title": format!("Load product {}", first + 1), "skus": skus })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_written_as_the_contract_has_it() {
        let shop = Shop { price: "9.50".parse().expect("a price"), stock: 3, ..Shop::default() };
        assert_eq!(
            product(&shop, 50, 1),
            serde_json::json!({
                "title": "Load product 51",
                "skus": [{
                    "code": "LOAD-51",
                    "price": {"amount": "9.50", "currency": "BDT"},
                    "on_hand": 3,
                }],
            })
        );
    }
}
