//! Identities: `TypeIDs` (<https://github.com/jetify-com/typeid>) over 16 bytes, one newtype per kind.
//!
//! The text form (`order_01j…`) is for people and for JSON; inside, an id is a [`Uuid`]. Nothing here mints a random id:
//! whoever may read a clock does, and passes the UUID in.

use super::json::verbatim;
use super::kinds::kinds;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use typeid_suffix::prelude::TypeIdSuffix;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

macro_rules! kind {
    ([$($(#[$doc:meta])* $kind:ident $name:literal $slots:ident $type:ty, $unknown:ident;)*]) => {
        /// The kinds of entity, each with an actor of its own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        impl Kind {
            /// How many kinds there are.
            pub const COUNT: usize = [$(Kind::$kind),*].len();
            /// Every kind, in a fixed order.
            pub const ALL: [Kind; Self::COUNT] = [$(Kind::$kind),*];

            /// The kind's name: the prefix of its ids and the value of metric labels.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Kind::$kind => $name,)*
                }
            }

            /// The kind with this name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|kind| kind.name() == name)
            }
        }

    };
}

kinds!(kind);

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no {expected} id")]
pub struct IdError {
    text: String,
    expected: Cow<'static, str>,
}

impl IdError {
    fn new(text: &str, expected: impl Into<Cow<'static, str>>) -> Self {
        // The text comes from outside: what is echoed of it is bounded.
        let text = text.chars().take(64).collect();
        Self { text, expected: expected.into() }
    }
}

/// The digits of a `TypeID`: Crockford's base 32 in lower case.
const BASE32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// As many of them are 128 bits.
const SUFFIX_BYTES: usize = 26;
/// The longest prefix that the specification allows.
pub const PREFIX_BYTES: usize = 63;
/// The longest prefix, the underscore, and the suffix.
const TYPEID_BYTES: usize = PREFIX_BYTES + 1 + SUFFIX_BYTES;

/// Whether the specification allows this prefix: 1 to 63 letters of `a` to `z`, and underscores between them.
const fn is_prefix(prefix: &str) -> bool {
    let (bytes, mut index) = (prefix.as_bytes(), 0);
    while index < bytes.len() {
        let inner = index > 0 && index + 1 < bytes.len();
        if !(bytes[index].is_ascii_lowercase() || (bytes[index] == b'_' && inner)) {
            return false;
        }
        index += 1;
    }
    !bytes.is_empty() && bytes.len() <= PREFIX_BYTES
}

/// The text form of an id, without an allocation: a busy node writes hundreds of thousands of them a second.
pub struct TypeIdText {
    bytes: [u8; TYPEID_BYTES],
    length: usize,
}

impl TypeIdText {
    /// The id of these 16 bytes with a prefix; `None` when the specification does not allow that prefix.
    pub fn of(prefix: &str, uuid: Uuid) -> Option<Self> {
        is_prefix(prefix).then(|| Self::new(prefix, uuid))
    }

    /// For prefixes that were looked at when this was compiled.
    fn new(prefix: &str, uuid: Uuid) -> Self {
        let (mut bytes, length) = ([b'_'; TYPEID_BYTES], prefix.len() + 1 + SUFFIX_BYTES);
        bytes[..prefix.len()].copy_from_slice(prefix.as_bytes());
        write_suffix(&mut bytes[prefix.len() + 1..length], uuid);
        Self { bytes, length }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // Prefixes and base 32 are ASCII.
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

/// Two digits for each ten bits.
const PAIRS: [[u8; 2]; 1024] = {
    let (mut pairs, mut bits) = ([[0; 2]; 1024], 0);
    while bits < pairs.len() {
        pairs[bits] = [BASE32[bits >> 5], BASE32[bits & 31]];
        bits += 1;
    }
    pairs
};

/// The digits of 16 bytes, into as much room.
fn write_suffix(into: &mut [u8], uuid: Uuid) {
    let (pairs, _) = into.as_chunks_mut::<2>();
    let Some((first, pairs)) = pairs.split_first_mut() else { return };
    let bits = uuid.as_u128();
    *first = PAIRS[(bits >> 120) as usize];
    // 60 bits are six pairs, and fit into a register.
    for (pairs, mut bits) in pairs.chunks_mut(6).zip([(bits >> 60) as u64, bits as u64]) {
        for pair in pairs.iter_mut().rev() {
            *pair = PAIRS[(bits & 1023) as usize];
            bits >>= 10;
        }
    }
}

/// The JSON of an id, in so much room: a record has a dozen of them, and an order that is shown more.
#[repr(align(16))]
struct IdJson<const ROOM: usize> {
    bytes: [u8; ROOM],
    length: usize,
}

impl<const ROOM: usize> IdJson<ROOM> {
    /// `head` is a quote, the prefix and the underscore.
    #[inline(always)]
    fn new(head: &str, uuid: Uuid) -> Self {
        let (mut bytes, end) = ([b'"'; ROOM], head.len() + SUFFIX_BYTES);
        bytes[..head.len()].copy_from_slice(head.as_bytes());
        write_suffix(&mut bytes[head.len()..end], uuid);
        Self { bytes, length: end + 1 }
    }

    fn as_str(&self) -> &str {
        // All of it is ASCII, and none of it is escaped in JSON. To look at the whole room takes fewer steps than to look at a part.
        std::str::from_utf8(&self.bytes).unwrap_or_default().get(..self.length).unwrap_or_default()
    }
}

/// Room for the JSON of an id with this prefix, in whole blocks of the check for UTF-8.
const fn json_room(prefix: &str) -> usize {
    (1 + prefix.len() + 1 + SUFFIX_BYTES + 1).next_multiple_of(16)
}

fn write_typeid(f: &mut fmt::Formatter<'_>, prefix: &str, uuid: Uuid) -> fmt::Result {
    f.write_str(TypeIdText::new(prefix, uuid).as_str())
}

fn parse_typeid(text: &str, prefix: &'static str) -> Result<Uuid, IdError> {
    text.strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'))
        .and_then(|suffix| TypeIdSuffix::from_str(suffix).ok())
        .map(|suffix| suffix.to_uuid())
        .ok_or_else(|| IdError::new(text, prefix))
}

/// Gives 128 hashed bits the layout of a `UUIDv7`: the first six bytes (a time) and the last byte come from `model`.
fn shaped_like(model: Uuid, hash: u128) -> Uuid {
    let mut bytes = hash.to_be_bytes();
    bytes[..6].copy_from_slice(&model.as_bytes()[..6]);
    bytes[6] = 0x70 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    bytes[15] = model.as_bytes()[15];
    Uuid::from_bytes(bytes)
}

/// What every id type can do; lets generic code hold ids of any kind.
pub trait EntityId:
    Copy + Eq + Ord + std::hash::Hash + fmt::Debug + fmt::Display + Send + Sync + 'static + FromStr<Err = IdError>
{
    /// The kind of entity this id names.
    const KIND: Kind;
    /// The 16 bytes inside.
    fn uuid(self) -> Uuid;
    /// The id over these 16 bytes.
    fn from_uuid(uuid: Uuid) -> Self;
    /// The id together with its kind.
    fn entity(self) -> EntityRef {
        EntityRef { kind: Self::KIND, uuid: self.uuid() }
    }
}

macro_rules! typeid {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        const _: () = assert!(is_prefix($prefix), "a prefix that no TypeID may have");

        impl $name {
            /// The prefix of the text form.
            pub const PREFIX: &'static str = $prefix;

            /// The id over these 16 bytes.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The 16 bytes inside.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_typeid(f, $prefix, self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_typeid(f, $prefix, self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_typeid(text, $prefix).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match verbatim(serializer) {
                    Ok(verbatim) => {
                        let json = IdJson::<{ json_room($prefix) }>::new(concat!("\"", $prefix, "_"), self.0);
                        verbatim.put([json.as_str()])
                    }
                    Err(serializer) => serializer.serialize_str(TypeIdText::new($prefix, self.0).as_str()),
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

macro_rules! entity_id {
    ($name:ident, $kind:ident) => {
        impl EntityId for $name {
            const KIND: Kind = Kind::$kind;
            fn uuid(self) -> Uuid {
                self.0
            }
            fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }
    };
}

typeid!(
    /// A cart.
    CartId, "cart");
typeid!(
    /// An order.
    OrderId, "order");
typeid!(
    /// A vendor.
    VendorId, "vendor");
typeid!(
    /// A customer: the owner of carts and orders who has an account, whose number it has.
    CustomerId, "customer");
typeid!(
    /// A product: what a vendor describes and sells as one or more SKUs.
    ProductId, "product");
typeid!(
    /// A stock keeping unit: what is counted, priced and held.
    SkuId, "sku");
typeid!(
    /// A vendor's share of an order.
    SubOrderId, "suborder");
typeid!(
    /// What an order takes back of what was to be paid.
    CreditId, "credit");
typeid!(
    /// Money that an order gives back.
    RefundId, "refund");
typeid!(
    /// A parcel: some of one vendor's share of an order.
    ShipmentId, "shipment");
typeid!(
    /// What a buyer sends back of an order.
    ReturnId, "return");
typeid!(
    /// A sale of a vendor: prices and pieces for a while.
    SaleId, "sale");
typeid!(
    /// A way in which a vendor ships.
    ShippingMethodId, "shipping_method");
typeid!(
    /// Something that is to be done outside, which nobody waits for.
    JobId, "job");
typeid!(
    /// A category of products.
    CategoryId, "category");
typeid!(
    /// Somebody who can sign in.
    AccountId, "account");
typeid!(
    /// Where somebody has things sent.
    AddressId, "address");
typeid!(
    /// A sign-up whose address is not verified yet.
    SignUpId, "signup");
typeid!(
    /// Where somebody is signed in.
    SessionId, "session");
entity_id!(CartId, Cart);
entity_id!(OrderId, Order);
entity_id!(VendorId, Vendor);
entity_id!(CustomerId, Customer);
typeid!(
    /// A coupon.
    CouponId, "coupon");
entity_id!(CouponId, Coupon);
typeid!(
    /// A waiting room.
    RoomId, "room");
entity_id!(RoomId, Room);

impl OrderId {
    /// The order that attempt number `attempt` of this cart makes. Checking out twice cannot make two orders, because the
    /// id follows from cart and attempt; the last byte is the cart's, so that both live in one partition.
    pub fn for_attempt(cart: CartId, attempt: u32) -> Self {
        let mut input = [0u8; 20];
        input[..16].copy_from_slice(cart.0.as_bytes());
        input[16..].copy_from_slice(&attempt.to_be_bytes());
        Self(shaped_like(cart.0, xxh3_128(&input)))
    }
}

impl CartId {
    /// The cart number `number` of this customer, from 0. The last byte is the customer's, so that both live in one
    /// partition.
    pub fn of_customer(customer: CustomerId, number: u32) -> Self {
        // Longer than what an order's id is made of, so that no cart of a customer has the number of an order.
        const LABEL: &[u8; 4] = b"cart";
        let mut input = [0u8; 24];
        input[..16].copy_from_slice(customer.0.as_bytes());
        input[16..20].copy_from_slice(&number.to_be_bytes());
        input[20..].copy_from_slice(LABEL);
        Self(shaped_like(customer.0, xxh3_128(&input)))
    }
}

impl CouponId {
    /// The coupon of this code, or with this prefix of its codes, in the form in which codes are compared. No two coupons have the same code,
    /// because the id follows from it.
    pub fn of_code(compared: &str) -> Self {
        let mut bytes = xxh3_128(&[b"coupon ", compared.as_bytes()].concat()).to_be_bytes();
        // Of version 8 (RFC 9562, 5.8): there is no time in it.
        bytes[6] = 0x80 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        Self(Uuid::from_bytes(bytes))
    }
}

impl SubOrderId {
    /// The share that `vendor` has in `order`.
    pub fn of(order: OrderId, vendor: VendorId) -> Self {
        let mut input = [0u8; 32];
        input[..16].copy_from_slice(order.0.as_bytes());
        input[16..].copy_from_slice(vendor.0.as_bytes());
        Self(shaped_like(order.0, xxh3_128(&input)))
    }
}

impl CreditId {
    /// The credit of one share, of an order that is cancelled as a whole.
    pub fn of_share(self, vendor: VendorId) -> Self {
        let mut input = [0u8; 32];
        input[..16].copy_from_slice(self.0.as_bytes());
        input[16..].copy_from_slice(vendor.0.as_bytes());
        Self(shaped_like(self.0, xxh3_128(&input)))
    }

    /// What a share of an order has earned.
    pub fn of_earning(order: OrderId, vendor: VendorId) -> Self {
        let input = [b"earning ", order.0.as_bytes().as_slice(), vendor.0.as_bytes()].concat();
        Self(shaped_like(order.0, xxh3_128(&input)))
    }

    /// What a courier tells that was not accepted of a parcel.
    pub fn of_refusal(shipment: ShipmentId) -> Self {
        Self(shaped_like(shipment.0, xxh3_128(&[b"refused ", shipment.0.as_bytes().as_slice()].concat())))
    }

    /// What was collected for a parcel beyond what was due.
    pub fn of_collection(shipment: ShipmentId) -> Self {
        Self(shaped_like(shipment.0, xxh3_128(&[b"collected ", shipment.0.as_bytes().as_slice()].concat())))
    }

    /// What was not collected for a parcel, and is the shop's loss.
    pub fn of_loss(shipment: ShipmentId) -> Self {
        Self(shaped_like(shipment.0, xxh3_128(&[b"lost cash ", shipment.0.as_bytes().as_slice()].concat())))
    }

    /// What of a parcel comes back into stock.
    pub fn of_shipment(shipment: ShipmentId) -> Self {
        Self(shaped_like(shipment.0, xxh3_128(&[b"back ", shipment.0.as_bytes().as_slice()].concat())))
    }

    /// What of a parcel comes back into stock that was said to have come to another end.
    pub fn of_correction(shipment: ShipmentId) -> Self {
        Self(shaped_like(shipment.0, xxh3_128(&[b"corrected ", shipment.0.as_bytes().as_slice()].concat())))
    }

    /// The credit of one share of what a dispute took, which its provider knows under this name.
    pub fn of_dispute(order: OrderId, dispute: &str, vendor: VendorId) -> Self {
        let input = [b"dispute ", order.0.as_bytes().as_slice(), vendor.0.as_bytes(), dispute.as_bytes()].concat();
        Self(shaped_like(order.0, xxh3_128(&input)))
    }
}

impl JobId {
    /// The job by which an order hears what a courier tells of this parcel under this name.
    pub fn of_courier_event(shipment: ShipmentId, event: &str) -> Self {
        let input = [b"courier ".as_slice(), shipment.0.as_bytes(), event.as_bytes()].concat();
        Self(shaped_like(shipment.0, xxh3_128(&input)))
    }

    /// The job that has an order look, in this turn, whether its vendors have begun in time.
    pub fn of_acceptance(order: OrderId, turn: i64) -> Self {
        let input = [b"accept".as_slice(), order.0.as_bytes(), &turn.to_be_bytes()].concat();
        Self(shaped_like(order.0, xxh3_128(&input)))
    }

    /// The job that looks an order's parcels up of which nothing was told up to this moment.
    pub fn of_silence(order: OrderId, millis: i64) -> Self {
        Self(shaped_like(
            order.0,
            xxh3_128(&[b"silent".as_slice(), order.0.as_bytes(), &millis.to_be_bytes()].concat()),
        ))
    }

    /// The job that takes the place of one of this kind that an order of this version wants, and that is not there.
    pub fn put_back(order: OrderId, kind: &str, version: u64) -> Self {
        let input = [b"back ".as_slice(), order.0.as_bytes(), &version.to_be_bytes(), kind.as_bytes()].concat();
        Self(shaped_like(order.0, xxh3_128(&input)))
    }

    /// The job that looks an order's payment up in this minute.
    pub fn of_look(order: OrderId, minute: i64) -> Self {
        Self(shaped_like(order.0, xxh3_128(&[b"look".as_slice(), order.0.as_bytes(), &minute.to_be_bytes()].concat())))
    }
}

// The names of kinds are prefixes, too.
const _: () = {
    let mut index = 0;
    while index < Kind::ALL.len() {
        assert!(is_prefix(Kind::ALL[index].name()), "a kind whose name is no prefix");
        index += 1;
    }
};

/// The kinds' names, in words.
fn any_kind() -> String {
    let [others @ .., last] = Kind::ALL.map(Kind::name);
    format!("{} or {last}", others.join(", "))
}

/// Any entity: its kind and its 16 bytes. The text form is the kind's `TypeID`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityRef {
    /// The entity's kind.
    pub kind: Kind,
    /// The id's 16 bytes.
    pub uuid: Uuid,
}

impl EntityRef {
    /// The slice of all entities this one belongs to, of `partitions` (at most 256).
    pub fn partition(self, partitions: u16) -> u16 {
        u16::from(self.uuid.as_bytes()[15]) % partitions
    }
}

impl fmt::Display for EntityRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_typeid(f, self.kind.name(), self.uuid)
    }
}

impl fmt::Debug for EntityRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EntityRef {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let kind = text
            .split_once('_')
            .and_then(|(prefix, _)| Kind::from_name(prefix))
            .ok_or_else(|| IdError::new(text, any_kind()))?;
        Ok(Self { kind, uuid: parse_typeid(text, kind.name())? })
    }
}

impl Serialize for EntityRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = TypeIdText::new(self.kind.name(), self.uuid);
        match verbatim(serializer) {
            Ok(verbatim) => verbatim.put(["\"", text.as_str(), "\""]),
            Err(serializer) => serializer.serialize_str(text.as_str()),
        }
    }
}

impl<'de> Deserialize<'de> for EntityRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::json;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const UUID: Uuid = Uuid::from_u128(0x0188_bac7_4afa_78aa_bc3b_bd1e_ef28_d881);

    #[test]
    fn text_form_is_the_typeid_of_the_specification() {
        let order = OrderId::from_uuid(UUID);
        assert_eq!(order.to_string(), "order_01h2xcejqtf2nbrexx3vqjhp41");
        assert_eq!("order_01h2xcejqtf2nbrexx3vqjhp41".parse(), Ok(order));
        assert_eq!(serde_json::to_string(&order).unwrap(), "\"order_01h2xcejqtf2nbrexx3vqjhp41\"");
    }

    proptest! {
        #[test]
        fn ids_are_written_as_the_library_writes_them(bits in any::<u128>()) {
            let uuid = Uuid::from_u128(bits);
            let (suffix, written) = (TypeIdSuffix::from(uuid), CustomerId::from_uuid(uuid).to_string());
            prop_assert_eq!(&written, &format!("customer_{suffix}"));
            prop_assert_eq!(written.parse(), Ok(CustomerId::from_uuid(uuid)));
            // As values and as keys, of ids and of references.
            let reference = VendorId::from_uuid(uuid).entity();
            let all = (BTreeMap::from([(CustomerId::from_uuid(uuid), Longest::from_uuid(uuid))]), reference);
            prop_assert_eq!(json::written(&all).unwrap(), serde_json::to_vec(&all).unwrap());
        }
    }

    typeid!(
        /// As long as a prefix may be.
        Longest, "a_prefix_of_sixty_three_letters_is_as_long_as_any_typeid_may_ha");
    typeid!(
        /// Longer than those of the shop.
        Longer, "longer_than_customer");

    #[test]
    fn a_prefix_may_have_63_letters() {
        assert_eq!(Longest::PREFIX.len(), PREFIX_BYTES);
        let longest = format!("{}_01h2xcejqtf2nbrexx3vqjhp41", Longest::PREFIX);
        assert_eq!(Longest::from_uuid(UUID).to_string(), longest);
        assert_eq!(longest.parse(), Ok(Longest::from_uuid(UUID)));
        assert_eq!((Longest::from_uuid(UUID).uuid(), Longer::from_uuid(UUID).uuid()), (UUID, UUID));
        assert_eq!(serde_json::to_string(&Longer::from_uuid(UUID)).unwrap().len(), 2 + Longer::PREFIX.len() + 27);
        for prefix in ["", "_a", "a_", "A", "1", "é", &"a".repeat(64), &"a".repeat(1_000)] {
            assert!(TypeIdText::of(prefix, UUID).is_none(), "{prefix}");
        }
        assert!(TypeIdText::of("a_b", UUID).is_some());
    }

    #[test]
    fn what_is_not_an_id_of_the_kind_is_refused() {
        for text in [
            "",
            "order",
            "order_",
            "cart_01h2xcejqtf2nbrexx3vqjhp41",
            "order_01h2xcejqtf2nbrexx3vqjhp4",
            "order_81h2xcejqtf2nbrexx3vqjhp41",
            "order_01H2XCEJQTF2NBREXX3VQJHP41",
            "order_01h2xcejqtf2nbrexx3vqjhpl1",
            "order_01h2xcejqtf2nbrexx3vqjhp\u{e9}",
        ] {
            assert!(text.parse::<OrderId>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_order_lives_where_its_cart_lives_and_follows_from_the_attempt() {
        let cart = CartId::from_uuid(UUID);
        let (first, again, second) =
            (OrderId::for_attempt(cart, 1), OrderId::for_attempt(cart, 1), OrderId::for_attempt(cart, 2));
        assert_eq!(first, again);
        assert_ne!(first, second);
        assert_eq!(first.entity().partition(16), cart.entity().partition(16));
        assert_eq!(first.uuid().get_version_num(), 7);
    }

    #[test]
    fn an_entity_reference_keeps_its_kind() {
        let entity = VendorId::from_uuid(UUID).entity();
        assert_eq!(entity.to_string().parse(), Ok(entity));
        assert!("suborder_01h2xcejqtf2nbrexx3vqjhp41".parse::<EntityRef>().is_err());
    }
}
