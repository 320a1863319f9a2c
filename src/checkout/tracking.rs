//! By what whoever waits for a parcel finds it: a text that says which parcel it is of, and that is signed with the store's own key, so that nobody
//! finds a parcel by trying. It is the same for ever, stands in no record, and tells nothing of who gets the parcel.

use super::buyers::BuyerKeys;
use crate::domain::ids::ShipmentId;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use uuid::Uuid;

/// How it begins.
const PREFIX: &str = "track_";
/// As many characters are 128 bits, as ids write them.
const HALF: usize = 26;

/// 128 bits, as ids write them.
fn written(uuid: Uuid) -> String {
    ShipmentId::from_uuid(uuid).to_string().split_off(ShipmentId::PREFIX.len() + 1)
}

fn read(text: &str) -> Option<Uuid> {
    let id: ShipmentId = format!("{}_{text}", ShipmentId::PREFIX).parse().ok()?;
    Some(id.uuid())
}

impl BuyerKeys {
    /// By what a parcel is found.
    pub fn tracking_token(&self, shipment: ShipmentId) -> String {
        let tag = self.hash("track", shipment.uuid().as_bytes()).half();
        format!("{PREFIX}{}{}", written(shipment.uuid()), written(Uuid::from_bytes(tag)))
    }

    /// The parcel that is found by this; `None` where it is none of ours.
    pub fn tracked_shipment(&self, token: &str) -> Option<ShipmentId> {
        let (shipment, tag) = token.strip_prefix(PREFIX)?.split_at_checked(HALF)?;
        let (shipment, tag) = (read(shipment)?, read(tag)?);
        let expected = self.hash("track", shipment.as_bytes()).half();
        verify_slices_are_equal(&expected, tag.as_bytes()).ok().map(|()| ShipmentId::from_uuid(shipment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::StoreKey;

    #[test]
    fn a_parcel_is_found_by_its_own_token_and_by_no_other() {
        let (keys, others) = (BuyerKeys::new(StoreKey([7; 32])), BuyerKeys::new(StoreKey([8; 32])));
        let shipment = ShipmentId::from_uuid(Uuid::from_u128(u128::MAX / 3));
        let token = keys.tracking_token(shipment);
        assert_eq!((token.len(), keys.tracked_shipment(&token)), (58, Some(shipment)));
        assert_eq!(others.tracked_shipment(&token), None);
        for place in 0..token.len() {
            let mut wrong = token.clone().into_bytes();
            wrong[place] = if wrong[place] == b'1' { b'2' } else { b'1' };
            let wrong = String::from_utf8(wrong).expect("text");
            assert_eq!(keys.tracked_shipment(&wrong), None, "{wrong}");
        }
        let upper = token.to_uppercase();
        for wrong in [
            "",
            "x",
            &token[..26],
            &token[..57],
            &token[6..],
            &format!("{token}0"),
            &upper,
            &format!("{PREFIX}{}", "\u{e9}".repeat(26)),
        ] {
            assert_eq!(keys.tracked_shipment(wrong), None, "{wrong}");
        }
    }
}
