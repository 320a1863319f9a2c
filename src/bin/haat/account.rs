//! `haat account`: makes accounts for those who work, as an administrator's client of a running server. The embedded store belongs to the server
//! that runs, so this opens no store: it makes a token of a minute and asks the server.

use crate::tester::out;
use crate::tools;
use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use haat::app::token::{Permissions, VendorId, VendorRole, Whom, mint, now, parse_permissions, parse_vendor_role};
use haat::config::{SecretArgs, StoreArgs};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long the token lasts that the server is asked with.
const TOKEN: Duration = Duration::from_secs(60);
/// How long the server is waited for.
const WAIT: Duration = Duration::from_secs(30);
/// The most bytes of its answer.
const ANSWER: usize = 64 * 1024;

/// What to do with accounts.
#[derive(Subcommand)]
pub enum AccountCommand {
    /// Invite somebody by mail: an administrator, one of the staff, or one of a vendor's own people.
    Create(CreateArgs),
}

/// The arguments of `haat account create`.
#[derive(Args)]
pub struct CreateArgs {
    /// Whose address the invitation goes to.
    #[arg(long, value_name = "ADDRESS")]
    email: String,
    /// What the account is for.
    #[arg(long, value_enum)]
    role: Role,
    /// The vendor whose people it is one of.
    #[arg(long, value_name = "ID", required_if_eq("role", "vendor"))]
    vendor: Option<VendorId>,
    /// What it is there: owner, manager, packer or finance; an owner when left out.
    #[arg(long, value_name = "ROLE", value_parser = parse_vendor_role)]
    vendor_role: Option<VendorRole>,
    /// What staff may do, with commas between; orders.read,orders.edit when left out.
    #[arg(long, value_name = "PERMISSIONS", value_parser = parse_permissions)]
    permissions: Option<Permissions>,
    /// Where the server listens: http:// and its address. For TLS there is curl.
    #[arg(long, default_value = "http://127.0.0.1:8080", value_name = "URL")]
    url: String,
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
}

impl CreateArgs {
    fn body(&self) -> anyhow::Result<serde_json::Value> {
        if self.role != Role::Vendor && (self.vendor.is_some() || self.vendor_role.is_some()) {
            anyhow::bail!("--vendor and --vendor-role belong to --role vendor");
        }
        if self.role != Role::Staff && self.permissions.is_some() {
            anyhow::bail!("--permissions belongs to --role staff");
        }
        Ok(match self.role {
            Role::Admin => json!({"email": self.email, "role": "admin"}),
            Role::Staff => {
                let permissions = self.permissions.unwrap_or(Permissions::USUAL);
                json!({"email": self.email, "role": "staff", "permissions": permissions})
            }
            Role::Vendor => {
                let role = self.vendor_role.unwrap_or(VendorRole::Owner);
                json!({"email": self.email, "role": "vendor", "vendor_id": self.vendor, "vendor_role": role})
            }
        })
    }
}

/// Asks the server, and prints the account.
pub async fn run(command: &AccountCommand) -> anyhow::Result<ExitCode> {
    let AccountCommand::Create(args) = command;
    let body = args.body()?.to_string();
    let token = mint(&args.secret.keys(&args.store, false, now()?)?, Whom::Admin(None), TOKEN)?;
    let answer = tokio::time::timeout(WAIT, ask(&args.url, &token, body));
    let (status, answer) = answer.await.context("the server gives no answer")??;
    if status != 201 {
        anyhow::bail!("the server answered {status}: {answer}");
    }
    tools::written(out::print(&format!("{answer}\n")))?;
    Ok(ExitCode::SUCCESS)
}

async fn ask(url: &str, token: &str, body: String) -> anyhow::Result<(u16, String)> {
    let host = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    let host = host.filter(|host| !host.is_empty() && !host.contains('/'));
    let Some(host) = host else { anyhow::bail!("'{url}' is not http:// and the address of a server") };
    let address = if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let stream = TcpStream::connect(&address).await.with_context(|| format!("no server at {address}"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = http::Request::post("/v1/admin/accounts")
        .header("host", host)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), ANSWER).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!("the answer cannot be read: {error}"))?.to_bytes();
    connection.abort();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
