//! What is sold behind a waiting room, as far as those who wait must know: whether anything is left. It is looked up at most every two seconds for each
//! room, however many ask, and nobody waits for it.

use crate::actors::shop::{Ask, Shop};
use crate::domain::entity::Principal;
use crate::domain::ids::RoomId;
use crate::domain::vendor::{SaleItem, Vendor, VendorCommand, VendorReply};
use crate::http::server::now;
use foldhash::HashMap;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How old it may be.
const FRESH: Duration = Duration::from_secs(2);
/// How long a vendor may take.
const WITHIN: Duration = Duration::from_secs(5);
/// Rooms of which it is kept. Of others it is not known.
const ROOMS: usize = 1_024;

/// What is left of all that is sold behind a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stock {
    /// Something, or nobody knows: there may be no sale yet.
    #[default]
    Left,
    /// Nothing, but so many pieces are held for orders that are not paid: some may come back.
    HoldsOpen(i64),
    /// Nothing.
    SoldOut,
}

struct Known {
    stock: Stock,
    /// When it was looked up, or begun to be.
    at: Instant,
}

/// What is known of each room.
#[derive(Clone, Default)]
pub(super) struct Behind(Arc<Mutex<HashMap<RoomId, Known>>>);

impl Behind {
    /// As it was up to two seconds before somebody last asked.
    pub(super) fn stock(&self, shop: &Shop, room: RoomId) -> Stock {
        let at = now();
        let stock = {
            let mut all = self.0.lock();
            let is_full = all.len() >= ROOMS;
            match all.get_mut(&room) {
                Some(known) if at.duration_since(known.at) < FRESH => return known.stock,
                Some(known) => {
                    known.at = at;
                    known.stock
                }
                None if is_full => return Stock::Left,
                None => {
                    all.insert(room, Known { stock: Stock::Left, at });
                    Stock::Left
                }
            }
        };
        let (behind, shop) = (self.clone(), shop.clone());
        tokio::spawn(async move {
            if let Some(stock) = look(&shop, room).await
                && let Some(known) = behind.0.lock().get_mut(&room)
            {
                known.stock = stock;
            }
        });
        stock
    }
}

/// `None` while nobody may say.
async fn look(shop: &Shop, room: RoomId) -> Option<Stock> {
    let now = shop.clock().now();
    let sales = {
        let catalog = shop.catalog().ok()?;
        let of_room = catalog
            .sales(|sale| sale.terms.room == Some(room) && sale.cancelled_at.is_none() && now < sale.terms.ends_at);
        // What opens later is not sold out either.
        let is_left = |(item, taken): (&SaleItem, &i64)| item.allotment > *taken;
        let some_left = of_room
            .iter()
            .filter_map(|sale| catalog.sale(sale.id))
            .any(|(sale, taken)| sale.terms.items.iter().zip(&taken).any(is_left));
        if of_room.is_empty() || some_left {
            return Some(Stock::Left);
        }
        of_room
    };
    let mut held = 0;
    for sale in sales {
        let command = VendorCommand::GetSale { by: Principal::SHOP, sale: sale.id };
        let how = Ask { within: WITHIN, key: None, fresh: false };
        match shop.ask::<Vendor>(sale.vendor_id, command, how).await.ok()?.outcome.ok()? {
            VendorReply::Sale { sale } => {
                held += sale.items.iter().map(|item| item.count.held).sum::<i64>();
            }
            _ => return None,
        }
    }
    Some(if held > 0 { Stock::HoldsOpen(held) } else { Stock::SoldOut })
}
