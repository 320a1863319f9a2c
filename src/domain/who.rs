//! Who asks, and what they may do: roles, permissions, and the one function that every entity and service asks.
//!
//! What may be done is an [`Action`], and one table says who may do it at all. Whether it may be done to this thing follows from whose it is:
//! [`may`] asks both. The doors of the API ask the first alone, before they read anything of a request ([`Action::is_for`]).

use super::ids::{AccountId, CartId, CustomerId, VendorId};
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};

/// On whose behalf a command is given. Entities refuse what a principal may not know of as if it did not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Principal {
    /// The bearer of the guest token of one cart.
    Guest(CartId),
    /// A customer with an account.
    Customer(CustomerId),
    /// One of a vendor's own people.
    Member(Member),
    /// One of the shop's own people.
    Staff(Staff),
}

/// One of a vendor's own people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Member {
    /// Their account; none where a token names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// Whose.
    pub vendor: VendorId,
    /// What they are there.
    pub role: VendorRole,
}

/// One of the shop's own people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Staff {
    /// Their account; none where a token names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// What they may do.
    pub powers: Powers,
}

/// What one of the shop's own people may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Powers {
    /// This.
    Only(Permissions),
    /// All that staff and vendors may, and more.
    Admin,
}

impl Principal {
    /// The shop itself, in what runs by itself; and administrators whose token names no account.
    pub const SHOP: Self = Self::Staff(Staff { account: None, powers: Powers::Admin });

    /// An owner of this vendor whose token names no account.
    pub const fn vendor(vendor: VendorId) -> Self {
        Self::Member(Member { account: None, vendor, role: VendorRole::Owner })
    }

    /// Whether it is one of the shop's own people.
    pub const fn is_staff(self) -> bool {
        matches!(self, Self::Staff(_))
    }

    /// The account, of whoever has one.
    pub fn account(self) -> Option<AccountId> {
        match self {
            Self::Guest(_) => None,
            // A customer is the account that buys.
            Self::Customer(customer) => Some(AccountId::from_uuid(customer.uuid())),
            Self::Member(Member { account, .. }) | Self::Staff(Staff { account, .. }) => account,
        }
    }
}

/// A closed list of names: an enum that is written, read and stored by them.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident: $($(#[$each:meta])* $variant:ident $text:literal,)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$each])* $variant,)*
        }

        impl $name {
            /// All there are.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name in tokens, in the store and in the API.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// The one of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.name() == name)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            /// From its name alone: what serde derives also takes `{"owner": null}`.
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Name;

                impl serde::de::Visitor<'_> for Name {
                    type Value = $name;
                    fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        to.write_str("a name that is known here")
                    }
                    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<$name, E> {
                        $name::from_name(name).ok_or_else(|| E::custom("no such name is known here"))
                    }
                }

                from.deserialize_str(Name)
            }
        }
    };
}
pub(crate) use named;

named!(
    /// What somebody is at a vendor.
    VendorRole:
    /// May do all that concerns the vendor.
    Owner "owner",
    /// Looks after goods, prices and orders.
    Manager "manager",
    /// Packs and ships: sees orders and stock.
    Packer "packer",
    /// Keeps the books: sees orders and money.
    Finance "finance",
);

named!(
    /// What staff may be let do, one by one.
    Permission:
    /// See all orders.
    OrdersRead "orders.read",
    /// Cancel and change orders.
    OrdersEdit "orders.edit",
    /// Give money back.
    OrdersRefund "orders.refund",
    /// See customers.
    CustomersRead "customers.read",
    /// Change what customers are: their group, their tax number.
    CustomersEdit "customers.edit",
    /// Change categories, and see goods as their vendors do.
    CatalogEdit "catalog.edit",
    /// Suspend vendors and change what is agreed with them.
    VendorsEdit "vendors.edit",
    /// Change sales, coupons, waiting rooms, taxes and shipping.
    PricesEdit "prices.edit",
    /// See the books.
    MoneyRead "money.read",
    /// Write in the books, and end orders whose payment nobody knows of.
    MoneyEdit "money.edit",
    /// Take part in chats.
    ChatJoin "chat.join",
    /// See who works when.
    StaffRead "staff.read",
    /// Bring files in.
    FilesImport "files.import",
    /// Take files out.
    FilesExport "files.export",
    /// Change who is told of events.
    WebhooksEdit "webhooks.edit",
    /// See what the server does.
    OpsRead "ops.read",
    /// Have the server do things again.
    OpsAct "ops.act",
    /// Read the audit log.
    AuditRead "audit.read",
);

/// Some permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Permissions(u32);

impl Permissions {
    /// None.
    pub const NONE: Self = Self(0);

    /// All.
    pub const ALL: Self = Self((1 << Permission::ALL.len()) - 1);

    /// What staff may whose token does not say.
    pub const USUAL: Self = Self(1 << Permission::OrdersRead as u32 | 1 << Permission::OrdersEdit as u32);

    /// Whether this is one of them.
    pub const fn have(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u32) != 0
    }

    /// Each of them, in the order of their list.
    pub fn each(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.have(*permission))
    }

    /// Reads a list such as `orders.read,money.read`; an empty text is none.
    pub fn parse(list: &str) -> Option<Self> {
        list.split(',').filter(|_| !list.is_empty()).map(Permission::from_name).collect()
    }

    /// As [`Permissions::parse`] reads it.
    pub fn list(self) -> String {
        self.each().map(Permission::name).collect::<Vec<_>>().join(",")
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |bits, permission| bits | 1 << permission as u32))
    }
}

impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.each())
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let list = Vec::<Permission>::deserialize(from)?;
        let permissions: Self = list.iter().copied().collect();
        if permissions.each().count() != list.len() {
            return Err(D::Error::custom("a permission stands here twice"));
        }
        Ok(permissions)
    }
}

/// What an account is for. It has one of these at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    /// Buys.
    Customer,
    /// Is one of a vendor's own people.
    Member(VendorId, VendorRole),
    /// Is one of the shop's own people.
    Staff(Permissions),
    /// May do all that staff and vendors may.
    Admin,
}

impl Seat {
    /// The names of all roles of accounts.
    pub const ROLES: [&'static str; 4] = ["customer", "vendor", "staff", "admin"];

    /// The names of those to which somebody is invited.
    pub const INVITED: [&'static str; 3] = ["vendor", "staff", "admin"];

    /// The name of its role in the store, in tokens and in the API.
    pub const fn role(self) -> &'static str {
        match self {
            Seat::Customer => "customer",
            Seat::Member(..) => "vendor",
            Seat::Staff(_) => "staff",
            Seat::Admin => "admin",
        }
    }

    /// The seat that these say together, as a store or a request has them; `None` where they do not fit.
    pub fn from_parts(
        role: &str,
        vendor: Option<VendorId>,
        vendor_role: Option<VendorRole>,
        permissions: Option<Permissions>,
    ) -> Option<Self> {
        match (role, vendor, vendor_role, permissions) {
            ("customer", None, None, None) => Some(Seat::Customer),
            ("vendor", Some(vendor), Some(role), None) => Some(Seat::Member(vendor, role)),
            ("staff", None, None, Some(permissions)) => Some(Seat::Staff(permissions)),
            ("admin", None, None, None) => Some(Seat::Admin),
            _ => None,
        }
    }

    /// The vendor whose people it is one of.
    pub fn vendor(self) -> Option<VendorId> {
        match self {
            Seat::Member(vendor, _) => Some(vendor),
            Seat::Customer | Seat::Staff(_) | Seat::Admin => None,
        }
    }

    /// Whoever holds it, with this account.
    pub const fn principal(self, account: AccountId) -> Principal {
        match self {
            Seat::Customer => Principal::Customer(CustomerId::from_uuid(account.uuid())),
            Seat::Member(vendor, role) => Principal::Member(Member { account: Some(account), vendor, role }),
            Seat::Staff(permissions) => {
                Principal::Staff(Staff { account: Some(account), powers: Powers::Only(permissions) })
            }
            Seat::Admin => Principal::Staff(Staff { account: Some(account), powers: Powers::Admin }),
        }
    }
}

/// One sort of people whom something is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Whoever comes, with a token or without.
    Anyone,
    /// The guest or the customer whose cart or order it is.
    Owner,
    /// A customer who is signed in, of what is their own.
    Customer,
    /// Whoever is signed in, of what is their own.
    Account,
    /// A vendor's own people in this role, of what is the vendor's.
    Vendor(VendorRole),
    /// Staff with this permission.
    Staff(Permission),
    /// Administrators.
    Admin,
}

impl Who {
    /// As the API document writes it, in `x-haat-who`.
    pub fn name(self) -> String {
        match self {
            Who::Anyone => "anyone".to_owned(),
            Who::Owner => "owner".to_owned(),
            Who::Customer => "customer".to_owned(),
            Who::Account => "account".to_owned(),
            Who::Vendor(role) => format!("vendor:{}", role.name()),
            Who::Staff(permission) => format!("staff:{}", permission.name()),
            Who::Admin => "admin".to_owned(),
        }
    }

    /// Whether this is one of them, as far as roles go: whose something is, is not asked.
    fn takes(self, by: Principal) -> bool {
        match (self, by) {
            (Who::Anyone, _) | (Who::Owner, Principal::Guest(_)) => true,
            (Who::Owner | Who::Customer, Principal::Customer(_)) => true,
            (Who::Account, by) => by.account().is_some(),
            (Who::Vendor(role), Principal::Member(member)) => member.role == role,
            (Who::Staff(wanted), Principal::Staff(Staff { powers: Powers::Only(permissions), .. })) => {
                permissions.have(wanted)
            }
            (Who::Admin, Principal::Staff(Staff { powers: Powers::Admin, .. })) => true,
            _ => false,
        }
    }
}

const OWNER: Who = Who::Vendor(VendorRole::Owner);
const MANAGER: Who = Who::Vendor(VendorRole::Manager);
const PACKER: Who = Who::Vendor(VendorRole::Packer);
const FINANCE: Who = Who::Vendor(VendorRole::Finance);

macro_rules! actions {
    ($($(#[$doc:meta])* $action:ident: $($who:expr),+;)*) => {
        /// What may be done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Action {
            $($(#[$doc])* $action,)*
        }

        impl Action {
            /// All there are.
            pub const ALL: &'static [Self] = &[$(Self::$action),*];

            /// Who may do it, to what is theirs.
            pub const fn who(self) -> &'static [Who] {
                match self {
                    $(Self::$action => &[$($who),+],)*
                }
            }
        }
    };
}

actions!(
    /// Look at what is in the window, sign up and in, begin a cart.
    Visit: Who::Anyone;
    /// Look into a cart, fill it, buy what is in it.
    UseCart: Who::Owner;
    /// Wait in the line of a waiting room, and come in.
    WaitInLine: Who::Owner;
    /// Have a guest's cart taken into one's own.
    MergeCarts: Who::Customer;
    /// Look at an order: also for whoever may change one.
    SeeOrder: Who::Owner, OWNER, MANAGER, PACKER, FINANCE, Who::Staff(Permission::OrdersRead),
        Who::Staff(Permission::OrdersEdit), Who::Staff(Permission::MoneyEdit), Who::Admin;
    /// Cancel an order as a whole.
    CancelOrder: Who::Owner, Who::Staff(Permission::OrdersEdit), Who::Admin;
    /// Cancel units of one share.
    CancelShare: Who::Owner, OWNER, MANAGER, Who::Staff(Permission::OrdersEdit), Who::Admin;
    /// Pack one share, ship it, and say what became of its parcels.
    FulfilOrder: OWNER, MANAGER, PACKER, Who::Staff(Permission::OrdersEdit), Who::Admin;
    /// Correct what was said to have become of a parcel.
    CorrectParcel: Who::Staff(Permission::OrdersEdit), Who::Admin;
    /// Ask for a return of what has arrived, and take that back.
    AskReturn: Who::Owner, OWNER, MANAGER, Who::Staff(Permission::OrdersEdit), Who::Admin;
    /// Allow a return or not, and close it.
    DecideReturn: OWNER, MANAGER, Who::Staff(Permission::OrdersEdit), Who::Admin;
    /// Give money of one share back, and see to it that it arrives.
    RefundShare: OWNER, MANAGER, FINANCE, Who::Staff(Permission::MoneyEdit), Who::Admin;
    /// Look at the orders of a vendor.
    SeeVendorOrders: OWNER, MANAGER, PACKER, FINANCE, Who::Staff(Permission::OrdersRead), Who::Admin;
    /// Look at the orders that cannot go on by themselves.
    SeeStuckOrders: Who::Staff(Permission::OrdersRead), Who::Staff(Permission::MoneyEdit), Who::Admin;
    /// Decide what becomes of such an order.
    ResolveOrder: Who::Staff(Permission::MoneyEdit), Who::Admin;
    /// Look at what couriers have collected and not handed on.
    SeeRemittances: Who::Staff(Permission::MoneyRead), Who::Staff(Permission::MoneyEdit), Who::Admin;
    /// Note what couriers hand on.
    EditRemittances: Who::Staff(Permission::MoneyEdit), Who::Admin;
    /// Let a vendor sell here.
    AddVendor: Who::Admin;
    /// Change what a vendor is called.
    EditVendor: OWNER, MANAGER, Who::Staff(Permission::VendorsEdit), Who::Admin;
    /// Suspend vendors, and let them sell again.
    SuspendVendors: Who::Staff(Permission::VendorsEdit), Who::Admin;
    /// Look at a vendor's goods as the vendor does.
    SeeGoods: OWNER, MANAGER, PACKER, FINANCE, Who::Staff(Permission::CatalogEdit), Who::Admin;
    /// Change a vendor's goods, their prices and their stock.
    EditGoods: OWNER, MANAGER, Who::Admin;
    /// Look at what was done to the stock.
    SeeStockHistory: OWNER, MANAGER, PACKER, Who::Staff(Permission::CatalogEdit), Who::Admin;
    /// Change categories.
    EditCategories: Who::Staff(Permission::CatalogEdit), Who::Admin;
    /// Look at the shop's taxes, and change them.
    EditTaxes: Who::Staff(Permission::MoneyEdit), Who::Admin;
    /// Look at the programme of points, and change it.
    EditLoyalty: Who::Staff(Permission::MoneyEdit), Who::Admin;
    /// Look at one's own account and where it is signed in, and change it.
    UseAccount: Who::Account;
    /// Look at coupons, and at what is counted of them.
    SeeCoupons: OWNER, MANAGER, FINANCE, Who::Staff(Permission::PricesEdit), Who::Admin;
    /// Make coupons and their codes, and change their terms.
    EditCoupons: OWNER, MANAGER, Who::Staff(Permission::PricesEdit), Who::Admin;
    /// Open waiting rooms.
    EditRooms: Who::Staff(Permission::PricesEdit), Who::Admin;
    /// Use what an account that buys has: addresses, all that is known of it, its end.
    UseCustomer: Who::Customer;
    /// Look at a vendor's own people, invite some, change what they are.
    EditMembers: OWNER, Who::Admin;
    /// Look at all accounts, invite staff, change what accounts are for.
    EditAccounts: Who::Admin;
    /// Look at what a customer is: their group, their tax number.
    SeeCustomers: Who::Staff(Permission::CustomersRead), Who::Staff(Permission::CustomersEdit), Who::Admin;
    /// Look at one's own points.
    SeeOwnPoints: Who::Customer;
    /// Change it.
    EditCustomers: Who::Staff(Permission::CustomersEdit), Who::Admin;
    /// Look at actors and jobs.
    SeeOperation: Who::Staff(Permission::OpsRead), Who::Admin;
    /// Have jobs done again.
    Operate: Who::Staff(Permission::OpsAct), Who::Admin;
    /// Look into the books of the sandbox.
    SeeSandbox: Who::Admin;
    /// Have happen in them what a bank does.
    DriveSandbox: Who::Admin;
);

impl Action {
    /// Whether somebody like this may do it at all, to whatever is theirs.
    pub fn is_for(self, by: Principal) -> bool {
        self.who().iter().any(|who| who.takes(by))
    }

    /// Whether whoever brings no token may do it.
    pub fn is_for_anyone(self) -> bool {
        self.who().contains(&Who::Anyone)
    }
}

/// Something that is somebody's.
pub trait Belongs {
    /// Whether it is theirs, as far as there are people to whom it can belong. The shop's own people are not asked.
    fn belongs_to(&self, by: Principal) -> bool;
}

/// What is nobody's but the shop's.
#[derive(Clone, Copy, Debug)]
pub struct TheShop;

impl Belongs for TheShop {
    fn belongs_to(&self, _: Principal) -> bool {
        false
    }
}

impl Belongs for VendorId {
    fn belongs_to(&self, by: Principal) -> bool {
        matches!(by, Principal::Member(member) if member.vendor == *self)
    }
}

impl Belongs for AccountId {
    fn belongs_to(&self, by: Principal) -> bool {
        by.account() == Some(*self)
    }
}

/// Whether somebody may do this to this thing. Whoever may not is told that there is no such thing, unless their role alone forbids it:
/// that is told at the door.
pub fn may(by: Principal, action: Action, thing: &impl Belongs) -> bool {
    action.is_for(by) && (by.is_staff() || thing.belongs_to(by))
}

/// Who did something, as events record it: of which sort they are, with which account, and never what they were allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// Of which sort.
    pub kind: ByKind,
    /// With which account; none in early versions, and where a token names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
}

named!(
    /// Of which sort those are who may change what is sold.
    ByKind:
    /// A vendor's own people.
    Vendor "vendor",
    /// The shop's staff, or an administrator.
    Staff "staff",
);

impl By {
    /// Those who may change what is sold; `None` for buyers.
    pub const fn of(principal: Principal) -> Option<Self> {
        match principal {
            Principal::Member(Member { account, .. }) => Some(By { kind: ByKind::Vendor, account }),
            Principal::Staff(Staff { account, .. }) => Some(By { kind: ByKind::Staff, account }),
            Principal::Guest(_) | Principal::Customer(_) => None,
        }
    }
}

/// Who a cart and its orders belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// Whoever holds the cart's guest token.
    Guest,
    /// A customer with an account.
    Customer(CustomerId),
}

impl Owner {
    /// The customer, of one who has an account.
    pub const fn customer(self) -> Option<CustomerId> {
        match self {
            Owner::Guest => None,
            Owner::Customer(customer) => Some(customer),
        }
    }

    /// Whether `principal` is the owner of `cart` (or of one of its orders).
    pub fn is(self, principal: Principal, cart: CartId) -> bool {
        match (self, principal) {
            (Owner::Guest, Principal::Guest(held)) => held == cart,
            (Owner::Customer(owner), Principal::Customer(customer)) => owner == customer,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
