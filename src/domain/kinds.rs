//! The list of kinds of entity. Whatever must know all of them is made from it: the ids' kinds, the messages, the registry's
//! slots, recovery, the sweep, the tools. One more kind is one more row here, and what the compiler then asks for.

/// Calls the macro `$with` with the list, and with what stands behind the name. A row: docs, the kind, its name (the prefix of its
/// ids, and the value of metric labels), the registry's slots, the entity's type, the refusal of one that is not there.
macro_rules! kinds {
    ($with:ident) => {
        $crate::domain::kinds::kinds! { [$with] }
    };
    ([$($with:tt)+] $($more:tt)*) => {
        $($with)+! {
            [
                /// A buyer's cart.
                Cart "cart" carts $crate::domain::cart::Cart, CartUnknown;
                /// An order and its checkout saga.
                Order "order" orders $crate::domain::order::Order, OrderUnknown;
                /// A vendor with its SKUs and holds.
                Vendor "vendor" vendors $crate::domain::vendor::Vendor, VendorUnknown;
                /// A customer, who knows which of their carts is open.
                Customer "customer" customers $crate::domain::customer::Customer, CustomerUnknown;
                /// A coupon with its terms, and the uses that are counted of it.
                Coupon "coupon" coupons $crate::domain::coupon::Coupon, CouponUnknown;
                /// A waiting room, and who was let in.
                Room "room" rooms $crate::domain::room::Room, RoomUnknown;
            ]
            $($more)*
        }
    };
}
pub(crate) use kinds;

/// Calls `$body` with `$entity` bound to the entity type of `$kind`.
macro_rules! for_kind {
    ($kind:expr, $entity:ident => $body:expr) => {
        $crate::domain::kinds::kinds!([$crate::domain::kinds::for_kind_of] ($kind) $entity ($body))
    };
}
pub(crate) use for_kind;

/// The arms of [`for_kind`].
macro_rules! for_kind_of {
    (
        [$($(#[$doc:meta])* $kind:ident $name:literal $slots:ident $type:ty, $unknown:ident;)*]
        ($of:expr) $entity:ident ($body:expr)
    ) => {
        match $of {
            $($crate::domain::ids::Kind::$kind => {
                type $entity = $type;
                $body
            })*
        }
    };
}
pub(crate) use for_kind_of;
