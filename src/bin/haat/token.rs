//! `haat token`: prints a bearer token, and nothing else, to stdout.

use crate::tester::out;
use crate::tools;
use clap::{Args, ValueEnum};
use haat::app::token::{
    CustomerId, Permissions, VendorId, VendorRole, Whom, mint, now, parse_permissions, parse_ttl, parse_vendor_role,
};
use haat::config::{SecretArgs, StoreArgs};
use std::process::ExitCode;
use std::time::Duration;

/// The arguments of `haat token`.
#[derive(Args)]
pub struct TokenArgs {
    /// What the bearer may do.
    #[arg(long, value_enum)]
    role: Role,
    /// The vendor that a token of the role vendor is for.
    #[arg(long, value_name = "ID", required_if_eq("role", "vendor"))]
    vendor: Option<VendorId>,
    /// What the bearer of a token of the role vendor is there: owner, manager, packer or finance; an owner when left out.
    #[arg(long, value_name = "ROLE", value_parser = parse_vendor_role)]
    vendor_role: Option<VendorRole>,
    /// What the bearer of a token of the role staff may do, with commas between; orders.read,orders.edit when left out.
    #[arg(long, value_name = "PERMISSIONS", value_parser = parse_permissions)]
    permissions: Option<Permissions>,
    /// The customer that a token of the role customer is for; a new one when left out.
    #[arg(long, value_name = "ID")]
    customer: Option<CustomerId>,
    /// The name of whom a token of the role admin or staff is for: with the same name, idempotency keys are the same. A new one when left
    /// out.
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    name: Option<String>,
    /// How long it is good for: a number and s, m, h or d.
    #[arg(long, default_value = "12h", value_name = "TIME", value_parser = parse_ttl)]
    ttl: Duration,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    secret: SecretArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    Admin,
    Staff,
    Vendor,
    Customer,
}

impl TokenArgs {
    fn whom(&self) -> anyhow::Result<Whom> {
        if self.vendor_role.is_some() && self.role != Role::Vendor {
            anyhow::bail!("--vendor-role belongs to --role vendor");
        }
        if self.permissions.is_some() && self.role != Role::Staff {
            anyhow::bail!("--permissions belongs to --role staff");
        }
        match (self.role, self.vendor, self.customer, self.name.clone()) {
            (Role::Admin, None, None, name) => Ok(Whom::Admin(name)),
            (Role::Staff, None, None, name) => Ok(Whom::Staff(name, self.permissions.unwrap_or(Permissions::USUAL))),
            (Role::Vendor, Some(vendor), None, None) => {
                Ok(Whom::Member(vendor, self.vendor_role.unwrap_or(VendorRole::Owner)))
            }
            (Role::Customer, None, customer, None) => Ok(Whom::Customer(customer)),
            (Role::Vendor, None, _, _) => anyhow::bail!("--role vendor needs --vendor"),
            (Role::Vendor | Role::Customer, _, _, Some(_)) => anyhow::bail!("--name belongs to --role admin or staff"),
            (_, Some(_), _, _) => anyhow::bail!("--vendor belongs to --role vendor"),
            (_, _, Some(_), _) => anyhow::bail!("--customer belongs to --role customer"),
        }
    }
}

/// Prints the token.
pub fn run(args: &TokenArgs) -> anyhow::Result<ExitCode> {
    let whom = args.whom()?;
    let keys = args.secret.keys(&args.store, false, now()?)?;
    tools::written(out::print(&format!("{}\n", mint(&keys, whom, args.ttl)?)))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        args: TokenArgs,
    }

    fn whom(arguments: &[&str]) -> Result<Whom, String> {
        let arguments = [&["token"], arguments].concat();
        let only = Only::try_parse_from(arguments).map_err(|error| error.to_string())?;
        only.args.whom().map_err(|error| error.to_string())
    }

    #[test]
    fn a_role_goes_with_its_own_id() {
        let vendor = "vendor_01h2xcejqtf2nbrexx3vqjhp41";
        let customer = "customer_01h2xcejqtf2nbrexx3vqjhp41";
        assert_eq!(whom(&["--role", "admin"]), Ok(Whom::Admin(None)));
        assert_eq!(whom(&["--role", "admin", "--name", "rahima"]), Ok(Whom::Admin(Some("rahima".into()))));
        assert!(matches!(whom(&["--role", "vendor", "--vendor", vendor]), Ok(Whom::Member(_, VendorRole::Owner))));
        let packer = ["--role", "vendor", "--vendor", vendor, "--vendor-role", "packer"];
        assert!(matches!(whom(&packer), Ok(Whom::Member(_, VendorRole::Packer))));
        assert_eq!(whom(&["--role", "staff"]), Ok(Whom::Staff(None, Permissions::USUAL)));
        let some = whom(&["--role", "staff", "--permissions", "ops.read,money.edit"]);
        assert_eq!(some, Ok(Whom::Staff(None, parse_permissions("money.edit,ops.read").expect("two"))));
        assert_eq!(whom(&["--role", "customer"]), Ok(Whom::Customer(None)));
        assert!(matches!(whom(&["--role", "customer", "--customer", customer]), Ok(Whom::Customer(Some(_)))));
        for (arguments, word) in [
            (&["--role", "vendor"][..], "--vendor <ID>"),
            (&["--role", "vendor", "--vendor", customer], "is no vendor id"),
            (&["--role", "staff", "--vendor", vendor], "belongs to --role vendor"),
            (&["--role", "admin", "--customer", customer], "belongs to --role customer"),
            (&["--role", "admin", "--ttl", "12"], "is not a time such as"),
            (&["--role", "vendor", "--vendor", vendor, "--name", "x"], "belongs to --role admin or staff"),
            (&["--role", "customer", "--name", "x"], "belongs to --role admin or staff"),
            (&["--role", "admin", "--name", ""], "a value is required"),
            (&["--role", "guest"], "possible values"),
            (&["--role", "admin", "--permissions", "ops.read"], "belongs to --role staff"),
            (&["--role", "staff", "--permissions", "ops.everything"], "is no list of permissions"),
            (&["--role", "staff", "--vendor-role", "owner"], "belongs to --role vendor"),
            (&["--role", "vendor", "--vendor", vendor, "--vendor-role", "king"], "is no role at a vendor"),
        ] {
            let error = whom(arguments).expect_err("a refusal");
            assert!(error.contains(word), "{error}");
        }
    }
}
