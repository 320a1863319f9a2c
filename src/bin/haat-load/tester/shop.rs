//! The shop that is bought from: vendors and SKUs made with the admin token, or SKUs that exist.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, Uri};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::cli::Cli;
use super::client::{Answer, Ask, Caller, Wire};
use super::run::Run;
use super::stats::{Call, Timings};
use super::wire::{Made, Problem, ProductMade, SkuPublic, Stock};

/// SKUs in one product that is made.
const SKUS_PER_PRODUCT: u32 = 50;

/// A SKU that is bought.
#[derive(Clone, Debug)]
pub struct Sku {
    /// `sku_…`
    pub id: String,
    /// `vendor_…`
    pub vendor: String,
    /// Where anyone reads it.
    pub path: Uri,
    /// Its stock before the run, when an admin token could read it.
    pub before: Option<Stock>,
}

/// Whether the server answers at all; said in one sentence when not.
pub async fn reach(run: &Run) -> anyhow::Result<()> {
    // One try: a wrong port should be told at once, whatever the number of repeats for later.
    let wire = Arc::new(Wire {
        target: super::client::Target::resolve(&run.cli.target).await?,
        timeout: run.cli.timeout,
        repeats: 0,
        tally: Arc::default(),
    });
    let mut caller = Caller::new(&wire, &Arc::new(Timings::start()?), 0);
    let ask = Ask::get("/healthz".into(), None)?;
    match caller.call(Call::BackOffice, &ask).await {
        Ok(_) => Ok(()),
        Err(_) if wire.tally.busy.get() > 0 => Ok(()),
        Err(_) => bail!("could not reach {}", run.cli.target),
    }
}

/// Makes the shop that the command line describes, or reads the SKUs it names.
pub async fn open(run: &Run) -> anyhow::Result<Vec<Sku>> {
    let timings = Arc::new(Timings::start()?);
    let mut desk = Desk { caller: Caller::new(&run.wire, &timings, 0), admin: run.admin.clone() };
    let mut skus = if run.cli.existing.is_empty() {
        desk.make(&run.cli).await?
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
    Ok(skus)
}

/// The back office: calls that must succeed, one after the other.
pub struct Desk {
    /// Its connection.
    pub caller: Caller,
    /// Its right.
    pub admin: Option<HeaderValue>,
}

impl Desk {
    async fn make(&mut self, cli: &Cli) -> anyhow::Result<Vec<Sku>> {
        let mut skus = Vec::new();
        for vendor in 0..cli.vendors {
            let name = format!("Load vendor {}", vendor + 1);
            let made: Made = self
                .post("/v1/vendors".into(), &serde_json::json!({ "name": name }))
                .await
                .context("could not make a vendor")?;
            // The first vendors take one more where the SKUs do not divide.
            let mut left = cli.skus / cli.vendors + u32::from(vendor < cli.skus % cli.vendors);
            let mut number = 0;
            while left > 0 {
                let batch = left.min(SKUS_PER_PRODUCT);
                let body = product(cli, number, batch);
                let path = format!("/v1/vendors/{}/products", made.id);
                let product: ProductMade = self.post(path, &body).await.context("could not make a product")?;
                if product.skus.len() != batch as usize {
                    bail!("asked for {batch} SKUs and was given {}", product.skus.len());
                }
                for sku in product.skus {
                    skus.push(named(sku.id, made.id.clone())?);
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
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let sku: SkuPublic = made(&ask, &answer)?;
        named(sku.id, sku.vendor_id).map(Some)
    }

    /// A SKU's stock as its vendor reads it.
    pub async fn stock(&mut self, sku: &Sku) -> anyhow::Result<Stock> {
        self.get(format!("/v1/vendors/{}/skus/{}", sku.vendor, sku.id))
            .await
            .with_context(|| format!("could not read the stock of {}", sku.id))
    }

    async fn get<T: DeserializeOwned>(&mut self, path: String) -> anyhow::Result<T> {
        let ask = Ask::get(path, self.admin.as_ref())?;
        self.must(&ask).await
    }

    async fn post<T: DeserializeOwned>(&mut self, path: String, body: &serde_json::Value) -> anyhow::Result<T> {
        let body = Bytes::from(serde_json::to_vec(body)?);
        let mut ask = Ask::post(path, self.admin.as_ref(), body)?;
        ask.key = Some(new_key()?);
        self.must(&ask).await
    }

    async fn must<T: DeserializeOwned>(&mut self, ask: &Ask) -> anyhow::Result<T> {
        let answer = self.answer(ask).await?;
        made(ask, &answer)
    }

    async fn answer(&mut self, ask: &Ask) -> anyhow::Result<Answer> {
        match self.caller.call(Call::BackOffice, ask).await {
            Ok(answer) => Ok(answer),
            Err(_) => bail!("no answer to {} {} after all repeats", ask.method, ask.path),
        }
    }
}

fn made<T: DeserializeOwned>(ask: &Ask, answer: &Answer) -> anyhow::Result<T> {
    if !answer.status.is_success() {
        bail!("{} {} was answered {}", ask.method, ask.path, refusal(answer));
    }
    serde_json::from_slice(&answer.body)
        .with_context(|| format!("the answer to {} does not fit the contract", ask.path))
}

/// An idempotency key that was never used before.
pub fn new_key() -> anyhow::Result<HeaderValue> {
    let key = Uuid::now_v7().hyphenated().to_string();
    Ok(HeaderValue::from_maybe_shared(Bytes::from(key))?)
}

/// A refusal in words: its status, its code and its detail.
pub fn refusal(answer: &Answer) -> String {
    match serde_json::from_slice::<Problem>(&answer.body) {
        Ok(problem) => format!(
            "{} {}{}{}",
            answer.status.as_u16(),
            problem.code,
            if problem.detail.is_some() { ": " } else { "" },
            problem.detail.as_deref().unwrap_or_default()
        ),
        Err(_) => answer.status.as_u16().to_string(),
    }
}

fn named(id: String, vendor: String) -> anyhow::Result<Sku> {
    let path = Uri::try_from(format!("/v1/skus/{id}")).context("a SKU's id that fits no path")?;
    Ok(Sku { id, vendor, path, before: None })
}

fn product(cli: &Cli, first: u32, count: u32) -> serde_json::Value {
    let skus: Vec<_> = (first..first + count)
        .map(|number| {
            serde_json::json!({
                "code": format!("LOAD-{}", number + 1),
                "price": {"amount": cli.price.to_string(), "currency": cli.currency},
                "on_hand": cli.stock_per_sku(),
            })
        })
        .collect();
    serde_json::json!({ "title": format!("Load product {}", first + 1), "skus": skus })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn a_product_is_written_as_the_contract_has_it() {
        let cli = Cli::parse_from(["haat-load", "--price", "9.50", "--stock", "3"]);
        assert_eq!(
            product(&cli, 50, 1),
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
