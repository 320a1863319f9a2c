//! Orders that were paid before their node went down, and come back after days: what was committed meanwhile is not known to them.

use super::silence::{Town, give};
use crate::actors::shop::Shop;
use crate::domain::cart::Cart;
use crate::domain::entity::Message;
use crate::domain::ids::{CartId, EntityId, EntityRef, OrderId, VendorId};
use crate::domain::order::{Order, OrderCommand};
use crate::domain::time::Timestamp;
use crate::domain::vendor::{Vendor, VendorCommand};
use crate::limits;
use std::time::Duration;
use tokio::task::LocalSet;
use tokio::time::sleep;
use uuid::Uuid;

/// Orders of one vendor. In debug builds each of their ends checks all others.
const ORDERS: u128 = if cfg!(debug_assertions) { 4_000 } else { 10_000 };
const THREE_DAYS_MS: i64 = 3 * 24 * 3_600 * 1_000;

fn vendor() -> VendorId {
    VendorId::from_uuid(Uuid::from_u128(1))
}

impl Town {
    /// A vendor and its orders, paid three days ago. Of every other one the vendor has committed the hold, and the order has not heard it.
    fn was_paid_by(&self, orders: u128) -> Vec<OrderId> {
        let then = self.node.clock.now().plus_millis(-THREE_DAYS_MS);
        let mut vendor_of = self.opens_a_shop(vendor(), orders, then);
        let mut placed = Vec::new();
        for number in 0..orders {
            let cart_id = CartId::from_uuid(Uuid::from_u128((1 << 32) + number));
            let (cart, mut order) = self.places(cart_id, vendor(), "other", &mut vendor_of, then);
            let id = cart.order().expect("it checks out");
            give(&mut order, &OrderCommand::Charged { amount: None }, then);
            if number % 2 == 0 {
                give(&mut vendor_of, &VendorCommand::Commit { order: id, strict: true }, then);
            }
            self.hosts::<Cart>(cart_id, cart);
            self.hosts::<Order>(id, order);
            placed.push(id);
        }
        self.hosts::<Vendor>(vendor(), vendor_of);
        placed
    }

    async fn summary(&self, entity: EntityRef) -> serde_json::Value {
        Shop::on(self.node.clone()).inspect(entity).await.expect("it is shown").state
    }

    /// Nothing is held any more two seconds after everybody came to rest.
    async fn assert_at_rest(&self) {
        sleep(Duration::from_secs(2)).await;
        let vendor = self.summary(vendor().entity()).await;
        assert_eq!((&vendor["holds"], &vendor["committed_holds"]), (&0.into(), &0.into()), "{vendor}");
    }
}

#[tokio::test(start_paused = true)]
async fn orders_that_were_paid_before_their_node_was_down_for_days_all_settle() {
    let run = async {
        let town = Town::new();
        let orders = town.was_paid_by(ORDERS);
        sleep(Duration::from_secs(10)).await;
        for order in orders {
            let shown = town.summary(order.entity()).await;
            assert_eq!(shown["phase"], "settled", "{order}: {shown}");
        }
        town.assert_at_rest().await;
    };
    LocalSet::new().run_until(run).await;
}

/// A vendor that knows nothing of a paid order's hold says so: that is no answer to be taken for a sale.
#[tokio::test(start_paused = true)]
async fn a_commit_of_what_was_never_held_fails() {
    let run = async {
        let town = Town::new();
        let [lost, sound] = town.was_paid_by(2)[..] else { panic!("two orders") };
        // Planted: somebody let go what the order had paid for.
        let until = Timestamp::from_millis(i64::MAX / 2);
        let stranger = VendorCommand::Release { order: sound, until };
        town.node.tell(Message::Vendor { id: vendor(), command: stranger }, false, None);
        sleep(Duration::from_millis(limits::RESEND_BACKOFF_MS)).await;
        let shown = town.summary(sound.entity()).await;
        assert_eq!(shown["phase"], "quarantined", "{shown}");
        assert_eq!(shown["stuck"]["reason"], "hold_unknown", "{shown}");
        let shown = town.summary(lost.entity()).await;
        assert_eq!(shown["phase"], "settled", "{shown}");
    };
    LocalSet::new().run_until(run).await;
}
