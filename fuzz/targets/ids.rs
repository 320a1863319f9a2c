//! Ids: a text has one id at most, an id has one text, and one kind is never taken for another.
#![no_main]

use haat::domain::ids::{
    CartId, CategoryId, CouponId, CreditId, CustomerId, EntityId, EntityRef, Kind, OrderId, PREFIX_BYTES, ProductId,
    RefundId, RoomId, SaleId, ShippingMethodId, SkuId, SubOrderId, TypeIdText, VendorId,
};
use haat_fuzz::fuzz_target;
use std::fmt::{Debug, Display};
use std::str::FromStr;
use uuid::Uuid;

/// Whether the text is an id of this type; then it is exactly what the id is printed as, in JSON too.
fn read<T>(text: &str, prefix: &str) -> bool
where
    T: FromStr + Display + Debug + PartialEq + serde::Serialize + serde::de::DeserializeOwned,
{
    let Ok(id) = text.parse::<T>() else {
        let json = serde_json::to_string(text).expect("a text is JSON");
        assert!(serde_json::from_str::<T>(&json).is_err(), "{text}");
        return false;
    };
    assert!(text.starts_with(prefix) && text.len() == prefix.len() + 27, "{text}");
    assert_eq!(id.to_string(), text);
    let json = serde_json::to_string(&id).expect("an id is JSON");
    assert_eq!(serde_json::from_str::<T>(&json).expect("its own JSON is read"), id);
    assert_eq!(json, format!("\"{text}\""));
    true
}

/// How many types of id a text can be read as.
fn types(text: &str) -> usize {
    [
        read::<CartId>(text, CartId::PREFIX),
        read::<OrderId>(text, OrderId::PREFIX),
        read::<VendorId>(text, VendorId::PREFIX),
        read::<CustomerId>(text, CustomerId::PREFIX),
        read::<ProductId>(text, ProductId::PREFIX),
        read::<SkuId>(text, SkuId::PREFIX),
        read::<SubOrderId>(text, SubOrderId::PREFIX),
        read::<CreditId>(text, CreditId::PREFIX),
        read::<RefundId>(text, RefundId::PREFIX),
        read::<CouponId>(text, CouponId::PREFIX),
        read::<SaleId>(text, SaleId::PREFIX),
        read::<RoomId>(text, RoomId::PREFIX),
        read::<CategoryId>(text, CategoryId::PREFIX),
        read::<ShippingMethodId>(text, ShippingMethodId::PREFIX),
    ]
    .into_iter()
    .filter(|is_one| *is_one)
    .count()
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(types(text) <= 1, "{text}");
        if let Ok(entity) = text.parse::<EntityRef>() {
            assert!(read::<EntityRef>(text, entity.kind.name()) && types(text) == 1);
        }
    }
    let Some((bytes, rest)) = data.split_first_chunk::<16>() else { return };
    let uuid = Uuid::from_bytes(*bytes);
    for kind in Kind::ALL {
        let entity = EntityRef { kind, uuid };
        let text = entity.to_string();
        assert_eq!(text.parse(), Ok(entity));
        assert_eq!(types(&text), 1);
        for partitions in [1, 16, 256] {
            assert!(entity.partition(partitions) < partitions);
        }
    }
    // Any prefix makes a text or is refused; the text ends as those of the shop's ids do.
    if let Ok(prefix) = std::str::from_utf8(rest) {
        match TypeIdText::of(prefix, uuid) {
            Some(text) => {
                let suffix = text.as_str().strip_prefix(prefix).expect("it begins with its prefix");
                assert!(prefix.len() <= PREFIX_BYTES && suffix == &CartId::from_uuid(uuid).to_string()[4..]);
            }
            None => assert!(
                prefix.len() > PREFIX_BYTES
                    || !prefix.bytes().all(|byte| byte.is_ascii_lowercase())
                    || prefix.is_empty()
            ),
        }
    }
    let attempt = rest.first_chunk::<4>().map_or(1, |attempt| u32::from_be_bytes(*attempt));
    let (cart, vendor) = (CartId::from_uuid(uuid), VendorId::from_uuid(uuid));
    let order = OrderId::for_attempt(cart, attempt);
    assert_eq!(order.entity().partition(16), cart.entity().partition(16));
    assert_ne!(order, OrderId::for_attempt(cart, attempt.wrapping_add(1)));
    assert_eq!(types(&order.to_string()), 1);
    assert_eq!(types(&SubOrderId::of(order, vendor).to_string()), 1);
});
