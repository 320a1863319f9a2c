//! Who may do what.

use super::*;
use uuid::Uuid;

fn vendor(number: u128) -> VendorId {
    VendorId::from_uuid(Uuid::from_u128(number))
}

fn member(number: u128, role: VendorRole) -> Principal {
    Principal::Member(Member { account: None, vendor: vendor(number), role })
}

fn staff(permissions: &[Permission]) -> Principal {
    let powers = Powers::Only(permissions.iter().copied().collect());
    Principal::Staff(Staff { account: None, powers })
}

/// What each role may do to what is its vendor's, and to what is another's.
#[test]
fn a_vendors_people_may_what_their_role_is_for() {
    let may_all = |role| {
        let own = Action::ALL.iter().filter(|action| may(member(1, role), **action, &vendor(1)));
        own.copied().filter(|action| !action.is_for_anyone()).collect::<Vec<_>>()
    };
    use Action::{
        AskReturn, CancelShare, DecideReturn, EditCoupons, EditGoods, EditMembers, EditVendor, FulfilOrder,
        RefundShare, SeeCoupons, SeeGoods, SeeOrder, SeeStockHistory, SeeVendorOrders,
    };
    assert_eq!(
        may_all(VendorRole::Owner),
        [
            SeeOrder,
            CancelShare,
            FulfilOrder,
            AskReturn,
            DecideReturn,
            RefundShare,
            SeeVendorOrders,
            EditVendor,
            SeeGoods,
            EditGoods,
            SeeStockHistory,
            SeeCoupons,
            EditCoupons,
            EditMembers
        ]
    );
    assert_eq!(
        may_all(VendorRole::Manager),
        [
            SeeOrder,
            CancelShare,
            FulfilOrder,
            AskReturn,
            DecideReturn,
            RefundShare,
            SeeVendorOrders,
            EditVendor,
            SeeGoods,
            EditGoods,
            SeeStockHistory,
            SeeCoupons,
            EditCoupons
        ]
    );
    assert_eq!(may_all(VendorRole::Packer), [SeeOrder, FulfilOrder, SeeVendorOrders, SeeGoods, SeeStockHistory]);
    assert_eq!(may_all(VendorRole::Finance), [SeeOrder, RefundShare, SeeVendorOrders, SeeGoods, SeeCoupons]);
    for role in VendorRole::ALL {
        for action in Action::ALL.iter().filter(|action| !action.is_for_anyone()) {
            assert!(!may(member(2, *role), *action, &vendor(1)), "{role:?} {action:?}");
        }
    }
}

/// Each permission is for something or for what is still to come, and none for more than its actions.
#[test]
fn staff_may_what_they_are_let_do_and_administrators_all_of_it() {
    for action in Action::ALL.iter().filter(|action| !action.is_for_anyone()) {
        assert!(!action.is_for(staff(&[])), "{action:?}");
        for permission in Permission::ALL {
            let said = action.who().contains(&Who::Staff(*permission));
            assert_eq!(may(staff(&[*permission]), *action, &TheShop), said, "{action:?} {permission:?}");
        }
        let for_workers = action.who().iter().any(|who| matches!(who, Who::Vendor(_) | Who::Staff(_) | Who::Admin));
        assert_eq!(action.is_for(Principal::SHOP), for_workers, "{action:?}: an administrator may all they may");
    }
}

#[test]
fn an_account_is_its_owners_and_a_cart_its_buyers() {
    let (own, other) = (AccountId::from_uuid(Uuid::from_u128(5)), AccountId::from_uuid(Uuid::from_u128(6)));
    for seat in
        [Seat::Customer, Seat::Member(vendor(1), VendorRole::Packer), Seat::Staff(Permissions::NONE), Seat::Admin]
    {
        assert!(Action::UseAccount.is_for(seat.principal(own)), "{seat:?}");
        assert!(own.belongs_to(seat.principal(own)) && !own.belongs_to(seat.principal(other)), "{seat:?}");
        assert_eq!(Action::UseCustomer.is_for(seat.principal(own)), seat == Seat::Customer);
        assert_eq!(Action::UseCart.is_for(seat.principal(own)), seat == Seat::Customer);
        assert_eq!(Action::MergeCarts.is_for(seat.principal(own)), seat == Seat::Customer);
    }
    assert!(!Action::UseAccount.is_for(Principal::Guest(CartId::from_uuid(Uuid::nil()))));
    assert!(!Action::UseAccount.is_for(Principal::SHOP), "a token of the command line has no account");
}

#[test]
fn permissions_are_written_and_read() {
    let some: Permissions = [Permission::OpsRead, Permission::OrdersRead].into_iter().collect();
    assert_eq!(some.list(), "orders.read,ops.read");
    assert_eq!(Permissions::parse(&some.list()), Some(some));
    assert_eq!(Permissions::parse(""), Some(Permissions::NONE));
    assert_eq!(Permissions::parse(&Permissions::ALL.list()), Some(Permissions::ALL));
    assert_eq!(Permissions::ALL.each().count(), Permission::ALL.len());
    assert_eq!(serde_json::to_string(&some).unwrap(), r#"["orders.read","ops.read"]"#);
    assert_eq!(serde_json::from_str::<Permissions>(r#"["ops.read","orders.read"]"#).unwrap(), some);
    for bad in ["orders", "orders.read,", ",", "orders.read, ops.read", "ORDERS.READ"] {
        assert_eq!(Permissions::parse(bad), None, "{bad}");
    }
}

/// Early versions wrote that it was a vendor or the staff, and nothing else.
#[test]
fn who_did_it_is_read_as_early_versions_wrote_it() {
    let by: By = serde_json::from_str(r#"{"kind":"staff"}"#).unwrap();
    assert_eq!(by, By { kind: ByKind::Staff, account: None });
    assert_eq!(serde_json::to_string(&by).unwrap(), r#"{"kind":"staff"}"#);
    let account = AccountId::from_uuid(Uuid::from_u128(5));
    let by = By::of(Seat::Member(vendor(1), VendorRole::Owner).principal(account)).unwrap();
    let written = serde_json::to_string(&by).unwrap();
    assert!(written.contains(&account.to_string()) && !written.contains("owner"), "{written}");
    assert_eq!(serde_json::from_str::<By>(&written).unwrap(), by);
}

#[test]
fn a_seat_is_what_fits_together() {
    let (vendor, role) = (Some(vendor(1)), Some(VendorRole::Packer));
    assert_eq!(Seat::from_parts("customer", None, None, None), Some(Seat::Customer));
    assert!(Seat::from_parts("vendor", vendor, role, None).is_some());
    assert!(Seat::from_parts("staff", None, None, Some(Permissions::NONE)).is_some());
    for (name, vendor, role, permissions) in [
        ("vendor", None, role, None),
        ("vendor", vendor, None, None),
        ("vendor", vendor, role, Some(Permissions::NONE)),
        ("staff", None, None, None),
        ("staff", vendor, None, Some(Permissions::NONE)),
        ("admin", None, None, Some(Permissions::ALL)),
        ("customer", vendor, role, None),
        ("guest", None, None, None),
    ] {
        assert_eq!(Seat::from_parts(name, vendor, role, permissions), None, "{name}");
    }
}
