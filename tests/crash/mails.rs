//! Mails to a mail server that somebody else wrote: down, slow, and losing its answers, while the shop is killed.

use crate::on_both_stores;
use crate::process::{Haat, end_lease, free_address, haat, until};
use crate::support::client::{Client, checkout_body};
use crate::support::{Kind, TestStore, token};
use haat::http::auth::Bearer;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::{Child, Command};

/// Debian's: where others come first in the path, they have no aiosmtpd.
const PYTHON: &str = "/usr/bin/python3";

/// Whether aiosmtpd is there; where it must be, that it is not is a failure.
fn has_aiosmtpd() -> bool {
    let found = std::process::Command::new(PYTHON)
        .args(["-c", "import aiosmtpd"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    assert!(found || std::env::var_os("HAAT_REQUIRE_AIOSMTPD").is_none(), "aiosmtpd is not there");
    found
}

struct Mailbox {
    address: SocketAddr,
    file: PathBuf,
}

impl Mailbox {
    fn in_directory(directory: &Path) -> Self {
        Self { address: free_address(), file: directory.join("mails.jsonl") }
    }

    /// Starts it: of so many messages one loses its answer, and each takes so many seconds.
    async fn open(&self, every: u32, slow: &str, certificate: &[&Path]) -> Child {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/mailbox.py");
        let mut command = Command::new(PYTHON);
        command.arg(script).arg(self.address.port().to_string()).arg(&self.file).arg(every.to_string()).arg(slow);
        command.args(certificate);
        let mailbox = command.stdin(Stdio::null()).kill_on_drop(true).spawn().expect("Python runs");
        until("the mail server", async || tokio::net::TcpStream::connect(self.address).await.ok()).await;
        mailbox
    }

    /// What came, in its order.
    fn mails(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        // The last one may be on its way.
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole.map(|line| serde_json::from_str(line).expect("a line")).collect()
    }
}

/// A server that sends mails there and lets idle actors go at once.
async fn start(store: &TestStore, address: SocketAddr, mailbox: SocketAddr) -> Haat {
    start_with(haat(), store, address, &format!("smtp://{mailbox}")).await
}

async fn start_with(mut command: Command, store: &TestStore, address: SocketAddr, url: &str) -> Haat {
    command.env("HAAT_SMTP_URL", url).env("HAAT_MAIL_FROM", "Shop <shop@example.com>");
    command.env("HAAT_IDLE_SECONDS", "1");
    let mut server = Haat::begin_as(command, store, store.data_dir(), address);
    server.ready().await;
    server
}

/// An order that is paid, by this buyer. Gives its id.
async fn pays(client: &Client, sku: &str, number: usize) -> String {
    let buyer = client.buyer(sku, 1).await;
    let mut body = checkout_body("tok_approve");
    body["email"] = json!(format!("buyer{number}@example.com"));
    let path = format!("/v1/carts/{}/checkout", buyer.cart);
    let order = client.post(&path, &body).bearer(&buyer.token).header("prefer", "wait=30").send().await.expect(201);
    assert_eq!(order.field("status"), "paid");
    order.field("id").to_owned()
}

async fn jobs(client: &Client, admin: &str, state: &str) -> usize {
    let list = client.get(&format!("/v1/admin/jobs?limit=200&state={state}")).bearer(admin).send().await.expect(200);
    list.body["items"].as_array().expect("a list").len()
}

on_both_stores! {
    async fn every_mail_comes_and_none_twice_but_where_an_answer_was_lost(store) {
        if !has_aiosmtpd() {
            return;
        }
        let (mailbox, address) = (Mailbox::in_directory(store.data_dir()), free_address());
        let admin = token(&Bearer::Admin("root".into()));
        let mut server = start(&store, address, mailbox.address).await;
        let (_, sku) = server.client.shop(&admin, "10.00", 1_000).await;
        let mut orders = BTreeMap::new();
        // Nobody listens there yet: buyers hear nothing of it, and no order stays in memory for its mail.
        for number in 0..20 {
            orders.insert(pays(&server.client, &sku, number).await, number);
        }
        let live = async || {
            let actors = server.client.get("/v1/admin/actors").bearer(&admin).send().await.expect(200);
            let kinds = actors.body["items"].as_array().expect("a list").clone();
            let order = kinds.iter().find(|kind| kind["kind"] == "order").expect("a kind");
            (order["live"] == 0).then_some(())
        };
        until("orders to leave memory", live).await;
        assert_eq!(jobs(&server.client, &admin, "done").await, 0);
        until("the jobs", async || (jobs(&server.client, &admin, "due").await == 20).then_some(())).await;

        // It comes up, slow, and loses every fifth answer; the shop is killed twice meanwhile, and more is bought.
        let open = mailbox.open(5, "0.05", &[]).await;
        for (number, delivered) in [(20, 3), (30, 10)] {
            until("some mails", async || (mailbox.mails().len() >= delivered).then_some(())).await;
            server.kill().await;
            end_lease(&store).await;
            server = start(&store, address, mailbox.address).await;
            for number in number..number + 10 {
                orders.insert(pays(&server.client, &sku, number).await, number);
            }
        }
        until("all jobs", async || (jobs(&server.client, &admin, "done").await == 40).then_some(())).await;
        drop(open);

        let mut came: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for mail in mailbox.mails() {
            let id = mail["message_id"].as_str().expect("an id").to_owned();
            came.entry(id).or_default().push(mail);
        }
        assert_eq!(came.len(), orders.len(), "one Message-ID for each order");
        let mut twice = 0;
        for (id, mails) in &came {
            assert!(id.starts_with("<job_") && id.ends_with("@example.com>"), "{id}");
            let mail = &mails[0];
            let subject = mail["subject"].as_str().expect("a subject");
            let order = subject.strip_prefix("Your order ").and_then(|rest| rest.strip_suffix(" is paid"));
            let number = orders.remove(order.expect("an order")).expect("each order once");
            let buyer = format!("buyer{number}@example.com");
            assert_eq!((&mail["to"], &mail["header_to"]), (&json!([buyer]), &json!(buyer)), "{mail}");
            assert_eq!((&mail["from"], &mail["event"]), (&json!("shop@example.com"), &json!("order.paid")));
            assert_eq!(mail["defects"], json!([]));
            assert!(mail["text"].as_str().is_some_and(|text| text.contains("Total: 10.00 BDT")), "{mail}");
            assert!(mail["html"].as_str().is_some_and(|html| html.contains("10.00 BDT")), "{mail}");
            // All but the last were of those whose answers were lost, or of a server that was killed before it had written what it was told.
            let known = mails[..mails.len() - 1].iter().filter(|mail| mail["lost"] == false).count();
            twice += known;
        }
        // Two servers were killed, each with what one turn had under way.
        assert!(twice <= 2 * haat::limits::JOBS_UNDER_WAY, "{twice} came twice though they were answered");
        let lost = came.values().flatten().filter(|mail| mail["lost"] == true).count();
        assert!(lost > 0, "answers were lost");
        server.said_no_error();
    }
}

/// A certificate of one's own, and its key, for 127.0.0.1.
fn certificate(directory: &Path) -> [PathBuf; 2] {
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| directory.join(name));
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=mail server of a test", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    [certificate, key]
}

/// Where encryption is asked for nothing is sent without it, nor to a server whose certificate nobody vouches for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_are_encrypted_or_not_sent() {
    if !has_aiosmtpd() {
        return;
    }
    let store = TestStore::new(Kind::Sqlite).await;
    let (mailbox, address) = (Mailbox::in_directory(store.data_dir()), free_address());
    let [certificate, key] = certificate(store.data_dir());
    let admin = token(&Bearer::Admin("root".into()));
    let url = format!("smtp://{}?tls=required", mailbox.address);

    // A server without encryption, and one that this machine does not know.
    let mut server = start_with(haat(), &store, address, &url).await;
    let (_, sku) = server.client.shop(&admin, "10.00", 10).await;
    pays(&server.client, &sku, 1).await;
    for (certificate, said) in [(&[][..], "STARTTLS"), (&[&*certificate, &*key], "certificate")] {
        let open = mailbox.open(0, "0", certificate).await;
        let path = "/v1/admin/jobs?state=due";
        let noted = async || {
            let list = server.client.get(path).bearer(&admin).send().await.expect(200);
            let note = list.body["items"][0]["note"].as_str().map(ToOwned::to_owned)?;
            note.contains(said).then_some(())
        };
        until(said, noted).await;
        drop(open);
    }
    assert_eq!(mailbox.mails(), Vec::<Value>::new());
    server.signal("TERM").await;
    assert!(server.ended().await.success(), "{}", server.log());

    let mut command = haat();
    command.env("SSL_CERT_FILE", &certificate);
    let _open = mailbox.open(0, "0", &[&certificate, &key]).await;
    let server = start_with(command, &store, address, &url).await;
    until("the job", async || (jobs(&server.client, &admin, "done").await == 1).then_some(())).await;
    let mails = mailbox.mails();
    assert_eq!((mails.len(), &mails[0]["encrypted"]), (1, &json!(true)), "{mails:?}");
    server.said_no_error();
}
