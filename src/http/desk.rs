//! Requests about what becomes of an order: whose share it is, what a credit needs, what is answered.

use crate::actors::shop::{Ask, Shop};
use crate::checkout::buyers;
use crate::domain::ids::{CreditId, OrderId, SubOrderId, VendorId};
use crate::domain::order::{CreditReason, CreditSeed, Order, OrderCommand, OrderReply, OrderView};
use crate::domain::reject::Reject;
use crate::domain::vendor::WantedLine;
use crate::http::Settings;
use crate::http::answer::{ask, mark_replayed, ok, unexpected};
use crate::http::caller::Caller;
use crate::http::contacts;
use crate::http::error::{Problem, Result};
use crate::http::idempotency::{Mint, RequestKey};
use crate::http::notes::{Notes, notes};
use crate::http::orders::OrderBody;
use crate::http::refunds::UnitsInput;
use crate::http::valid::Faults;
use crate::limits;
use axum::response::Response;

/// Checks units of lines, each SKU once. `least` is the fewest of a line.
pub fn units(faults: &mut Faults, lines: Option<&[UnitsInput]>, least: i64) -> Vec<WantedLine> {
    let given = lines.unwrap_or_default();
    if lines.is_some() && !(1..=limits::CART_LINES).contains(&given.len()) {
        faults.add("lines", format!("1 to {} of them are expected", limits::CART_LINES));
    }
    for (index, line) in given.iter().enumerate().take(limits::CART_LINES) {
        if !(least..=limits::LINE_QUANTITY).contains(&line.quantity) {
            faults.add(format!("lines[{index}].quantity"), format!("{least} to {} is expected", limits::LINE_QUANTITY));
        }
        if given[..index].iter().any(|before| before.sku_id == line.sku_id) {
            faults.add(format!("lines[{index}].sku_id"), "each SKU stands here once");
        }
    }
    given.iter().map(|line| WantedLine { sku: line.sku_id, quantity: line.quantity }).collect()
}

/// A request about an order.
pub struct Desk<'a> {
    /// Who is asked.
    pub shop: &'a Shop,
    /// How long an answer may take.
    pub settings: &'a Settings,
    /// Who asks.
    pub caller: &'a Caller,
    /// About which order.
    pub order: OrderId,
}

impl Desk<'_> {
    /// How long it may take, and under which key.
    pub fn how(&self, key: Option<crate::domain::record::IdempotencyKey>) -> Ask {
        Ask { within: self.settings.request_timeout, key, fresh: false }
    }

    /// The order as the caller sees it.
    pub async fn view(&self) -> Result<OrderView> {
        match ask::<Order>(self.shop, self.order, OrderCommand::Get { by: self.caller.principal }, self.how(None))
            .await?
        {
            (OrderReply::Order { order }, _) => Ok(*order),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Whose share it is. Shares of an order never change.
    pub fn vendor(&self, order: &OrderView, sub: SubOrderId) -> Result<VendorId> {
        let found = order.sub_orders.iter().find(|own| own.id == sub);
        Ok(found.ok_or(Reject::OrderUnknown).map_err(Problem::from)?.vendor)
    }

    /// What a credit needs; its id follows from the request.
    pub fn seed(&self, key: &RequestKey, raw: &[u8], reason: CreditReason) -> CreditSeed {
        let minted = Mint::new(self.shop.clock(), key.of(self.caller, raw)).uuid(CreditId::PREFIX, 0);
        CreditSeed { id: CreditId::from_uuid(minted), mint: buyers::mint(self.shop.clock()), reason }
    }

    /// What the order answers, with whether it was answered before.
    pub async fn order(&self, command: OrderCommand, key: &RequestKey, raw: &[u8]) -> Result<(OrderView, bool)> {
        match ask::<Order>(self.shop, self.order, command, self.how(key.of(self.caller, raw))).await? {
            (OrderReply::Order { order }, replayed) => Ok((*order, replayed)),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// What was said about the order, as far as the caller may read it.
    pub async fn notes(&self, order: &OrderView) -> Notes {
        notes(self.shop, self.settings, self.caller.principal, order).await
    }

    /// The answer that shows the order.
    pub async fn shown(&self, (order, replayed): (OrderView, bool)) -> Result<Response> {
        let contact = contacts::contact(self.shop, self.settings, self.caller.principal, &order).await?;
        let notes = self.notes(&order).await;
        let body = OrderBody::of_view(&order, &contact).with_notes(&notes).with_tracks(self.shop);
        Ok(mark_replayed(ok(&body), replayed))
    }
}
