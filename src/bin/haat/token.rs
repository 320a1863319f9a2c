//! `haat token`: prints a bearer token, and nothing else, to stdout.

use crate::tester::out;
use crate::tools;
use clap::{Args, ValueEnum};
use haat::app::token::{CustomerId, VendorId, Whom, mint, parse_ttl};
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
        match (self.role, self.vendor, self.customer, self.name.clone()) {
            (Role::Admin, None, None, name) => Ok(Whom::Admin(name)),
            (Role::Staff, None, None, name) => Ok(Whom::Staff(name)),
            (Role::Vendor, Some(vendor), None, None) => Ok(Whom::Vendor(vendor)),
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
    let secret = args.secret.secret(&args.store, false)?;
    tools::written(out::print(&format!("{}\n", mint(&secret, whom, args.ttl)?)))?;
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
        assert!(matches!(whom(&["--role", "vendor", "--vendor", vendor]), Ok(Whom::Vendor(_))));
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
        ] {
            let error = whom(arguments).expect_err("a refusal");
            assert!(error.contains(word), "{error}");
        }
    }
}
