//! Secrets stay out of logs, figures and answers, however much is logged and whatever goes wrong.

use crate::process::{free_address, haat, output, until};
use crate::support::client::{Answer, Client};
use crate::support::{Kind, Server, TestStore, token};
use crate::target::BOUND;
use bytes::Bytes;
use haat::app::Hooks;
use haat::domain::ids;
use haat::http::auth::{Auth, Bearer};
use haat::ports::Clock;
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tracing_subscriber::fmt::MakeWriter;

const SECRET: &str = "jwt-secret-47110815-jwt-secret-47110815";
/// Payment tokens, each for another way to end: taken late, failing, refused, none of the provider's.
const PAYMENTS: [&str; 3] = ["tok_slow_471", "tok_flaky_4", "tok_live_47110815"];

fn mint(bearer: &Bearer, secret: &str, ttl: u64) -> String {
    let now = haat::adapters::clock::SystemClock::default().now();
    Auth::new(secret.as_bytes()).mint(bearer, now, Duration::from_secs(ttl)).expect("a token")
}

/// A checkout in which everything can be recognised.
fn checkout(payment: &str) -> Value {
    json!({
        "email": "secret-mail@example.com",
        "shipping_address": {"name": "Secretname", "line1": "47 Secretstreet", "city": "Secretville", "country": "BD", "phone": "+8801747110815"},
        "payment": {"method": "sandbox", "token": payment},
    })
}

/// Fails when one of `secrets` is in `text`; tells the line.
#[track_caller]
fn tells_none(what: &str, text: &str, secrets: &[String]) {
    for secret in secrets {
        if let Some(line) = text.lines().find(|line| line.contains(secret.as_str())) {
            panic!("{what} tells {secret}: {line:.2000}");
        }
    }
}

/// The real binary, of which everything that it says is kept.
struct Talkative {
    child: Child,
    client: Client,
    said: PathBuf,
}

impl Talkative {
    async fn start(store: &TestStore, format: &str, url: Option<&str>) -> Self {
        let address = free_address();
        let said = store.data_dir().join(format!("said-{format}"));
        let file = File::create(&said).expect("a file");
        let mut command = server(store.data_dir(), url);
        command.env("HAAT_LISTEN", address.to_string()).env("HAAT_LOG_FORMAT", format);
        let copy = file.try_clone().expect("a file");
        let child = command.stdout(Stdio::from(copy)).stderr(Stdio::from(file)).spawn().expect("the binary runs");
        let mut server = Self { child, client: Client::new(address), said };
        until("a server to be ready", async || {
            assert_eq!(server.child.try_wait().expect("a child"), None, "{}", server.said());
            let ready = server.client.get("/readyz").try_send().await;
            ready.is_ok_and(|answer| answer.status == 200).then_some(())
        })
        .await;
        server
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.said).expect("a file")).into_owned()
    }

    /// Stops it; all that it said.
    async fn stop(mut self) -> String {
        let id = self.child.id().expect("it runs").to_string();
        let mut kill = Command::new("sh");
        assert!(kill.args(["-c", &format!("kill -TERM {id}")]).status().await.expect("a shell").success());
        let status = tokio::time::timeout(BOUND, self.child.wait()).await.expect("it ends").expect("a child");
        assert!(status.success(), "{status}");
        self.said()
    }
}

/// A server that says all it can.
fn server(data_dir: &std::path::Path, url: Option<&str>) -> Command {
    let mut command = haat();
    command.arg("--data-dir").arg(data_dir).env("HAAT_JWT_SECRET", SECRET).env("HAAT_LOG", "trace");
    command.env("HAAT_LISTEN", "127.0.0.1:0").env("HAAT_SANDBOX", "on");
    if let Some(url) = url {
        command.env("DATABASE_URL", url);
    }
    command
}

/// The URL with a password in any case: where the server asks for none, it does not mind one.
fn with_password(url: &str) -> (String, String) {
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let (user, place) = rest.split_once('@').unwrap_or(("postgres", rest));
    match user.split_once(':') {
        Some((_, password)) => (url.to_owned(), password.to_owned()),
        None => (format!("{scheme}://{user}:db-password-47110815@{place}"), "db-password-47110815".into()),
    }
}

/// Shopping of every sort, with everything that may go wrong on the way: all answers but those that hand a token out.
async fn shop_and_fail(client: Client, admin: &str, secrets: &mut Vec<String>) -> (Vec<Answer>, Vec<String>) {
    let (_, sku) = client.shop(admin, "10.00", 50).await;
    let (mut answers, mut orders) = (Vec::new(), Vec::new());
    for (number, payment) in PAYMENTS.into_iter().chain(["tok_decline", "tok_lost_reply"]).enumerate() {
        let buyer = client.buyer(&sku, 1).await;
        secrets.push(buyer.token.clone());
        let path = format!("/v1/carts/{}/checkout", buyer.cart);
        let key = format!("secret-key-{number}-47110815");
        let ask = || client.post(&path, &checkout(payment)).bearer(&buyer.token).key(&key).header("prefer", "wait=3");
        for answer in [ask().send().await, ask().send().await] {
            if let Some(order) = answer.body["id"].as_str() {
                orders.push(order.to_owned());
                for path in [format!("/v1/orders/{order}"), format!("/v1/orders/{order}/timeline")] {
                    answers.push(client.get(&path).bearer(&buyer.token).send().await);
                }
                answers.push(
                    client.get(&format!("/v1/admin/actors/order/{order}")).bearer(admin).send().await.expect(200),
                );
            }
            answers.push(answer);
        }
        answers
            .push(client.get(&format!("/v1/admin/actors/cart/{}", buyer.cart)).bearer(admin).send().await.expect(200));
        // The same with something wrong: a token where it does not belong, half a body, another body under the key.
        let body = checkout(payment).to_string();
        for wrong in [
            json!({"payment": payment}).to_string(),
            json!({"shipping_address": checkout(payment)["shipping_address"], "payment": payment}).to_string(),
            json!({"shipping_address": payment, "payment": {"method": payment, "token": payment}}).to_string(),
            json!({"shipping_address": checkout(payment)["shipping_address"], "payment": {"method": payment, "token": 1}}).to_string(),
            json!(payment).to_string(),
            body[..body.len() - 1].to_owned(),
            body.replacen("Secretname", "Secretname of another", 1),
        ] {
            let request = client.request("POST", &path).bearer(&buyer.token).key(&key);
            answers.push(request.header("content-type", "application/json").raw(wrong).send().await);
        }
        answers.push(client.get(&format!("/v1/products?q={payment}&nonsense={payment}")).send().await.expect(422));
        answers.push(client.get("/v1/orders").bearer(&format!("{}x", buyer.token)).send().await.expect(401));
    }
    let bearer = Bearer::Admin("root".into());
    for refused in [mint(&bearer, "another-secret-of-32-characters-or-more", 60), mint(&bearer, SECRET, 0)] {
        answers.push(client.get("/v1/admin/actors").bearer(&refused).send().await.expect(401));
        secrets.push(refused);
    }
    for path in ["/metrics", "/v1/admin/actors", "/v1/admin/sandbox/charges", "/v1/orders", "/openapi.json"] {
        answers.push(client.get(path).bearer(admin).send().await.expect(200));
    }
    orders.dedup();
    (answers, orders)
}

/// The library of HTTP/2 tells of every frame.
async fn over_http_2(client: Client, admin: &str) {
    let stream = TcpStream::connect(client.address()).await.expect("a connection");
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.expect("a handshake");
    let connection = tokio::spawn(connection);
    let request = http::Request::post(format!("http://{}/v1/vendors", client.address()))
        .header("authorization", format!("Bearer {admin}"))
        .header("idempotency-key", "secret-key-47110815")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from("{\"name\": \"Secretname\"}")))
        .expect("a request");
    assert_eq!(sender.send_request(request).await.expect("an answer").status(), 201);
    drop(sender);
    tokio::time::timeout(BOUND, connection).await.expect("it ends").expect("no panic").expect("it ends well");
}

async fn no_secret_is_told(kind: Kind, format: &str) {
    let store = TestStore::new(kind).await;
    let (url, password) = store.url().map(with_password).unzip();
    let server = Talkative::start(&store, format, url.as_deref()).await;
    let admin = mint(&Bearer::Admin("root".into()), SECRET, 600);
    let mut secrets = vec![SECRET.to_owned(), admin.clone()];
    secrets.extend(password);
    secrets.extend(PAYMENTS.map(str::to_owned));
    let (answers, orders) = shop_and_fail(server.client, &admin, &mut secrets).await;
    for answer in &answers {
        tells_none("an answer", &answer.text, &secrets);
        tells_none("a header", &format!("{:?}", answer.headers), &secrets);
    }
    over_http_2(server.client, &admin).await;
    // Tools show what is in the store, and no means of payment.
    for arguments in [vec!["audit"], vec!["journal"], vec!["replay", "--entity", &orders[0]]] {
        let mut command = haat();
        command
            .args(&arguments)
            .arg("--data-dir")
            .arg(store.data_dir())
            .env("RUST_LOG", "trace")
            .env("HAAT_LOG", "trace");
        if let Some(url) = &url {
            command.env("DATABASE_URL", url);
        }
        let output = output(command).await;
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(text.len() > 20, "{arguments:?}: {text}");
        tells_none(&format!("{arguments:?}"), &text, &secrets);
    }
    let said = server.stop().await;
    // That it says much is what this is worth; the trace of the HTTP library is in it.
    assert!(said.contains("/v1/carts/{cart}/checkout") && said.contains("TRACE"), "{} bytes of log", said.len());
    assert!(said.contains("HEADERS") || said.contains("Headers"), "nothing of HTTP/2 is in the log");
    secrets.extend(
        ["secret-mail", "Secretname", "Secretstreet", "Secretville", "+88017471", "secret-key-"].map(str::to_owned),
    );
    tells_none("the log", &said, &secrets);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_tells_no_secrets_as_text_on_the_embedded_store() {
    no_secret_is_told(Kind::Sqlite, "text").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_tells_no_secrets_as_json_on_the_embedded_store() {
    no_secret_is_told(Kind::Sqlite, "json").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_tells_no_secrets_as_text_on_postgres() {
    no_secret_is_told(Kind::Postgres, "text").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_tells_no_secrets_as_json_on_postgres() {
    no_secret_is_told(Kind::Postgres, "json").await;
}

/// Whatever is wrong with the database's URL, its password is not in what is said about it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_cannot_be_used_is_refused_without_its_password() {
    let store = TestStore::new(Kind::Postgres).await;
    let (url, password) = with_password(store.url().expect("a URL"));
    let database = url.rsplit_once('/').expect("a database").1.split('?').next().unwrap_or_default();
    let free = free_address();
    let urls = [
        format!("postgres://root:hunter2@{free}/shop"),
        "postgres://root:hunter2@127.0.0.1:port/shop".to_owned(),
        "postgres://root:hunter2@127.0.0.1:99999/shop".to_owned(),
        "postgres://root:word/hunter2@127.0.0.1:1/shop".to_owned(),
        "postgres://root:word#hunter2@127.0.0.1:1/shop".to_owned(),
        "postgres://root:hunter2%zz@127.0.0.1:1/shop".to_owned(),
        "postgres://root:hunter2@/shop?host=/nowhere".to_owned(),
        format!("postgres://root@{free}/shop?password=hunter2"),
        format!("postgres://root:hunter2@{free}/shop?sslmode=nonsense"),
        "postgres://root:hunter2@[::1/shop".to_owned(),
        "postgres://:hunter2@".to_owned(),
        // A server that answers and does not know this user, or this database.
        url.replacen(&password, "hunter2", 1).replacen("://", "://not_", 1),
        url.replacen(database, "no_such_database", 1),
    ];
    let directory = TempDir::new().expect("a temporary directory");
    for url in urls {
        let output = output(server(directory.path(), Some(&url))).await;
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(!output.status.success() && said.contains("haat: "), "{url}: {said}");
        tells_none(&url, &said, &["hunter2".to_owned(), password.clone(), SECRET.to_owned()]);
    }
}

/// What is logged in this process.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Kept {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// A panic over a command that has secrets in it, which is then refused for good, tells none of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_tells_no_secrets() {
    let kept = Kept::default();
    let logs =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false).with_writer(kept.clone());
    logs.init();
    let store = TestStore::new(Kind::Sqlite).await;
    let on_decide: haat::actors::DecideHook = Arc::new(|entity, command| {
        if entity.kind == ids::Kind::Cart && format!("{command:?}").starts_with("CheckOut") {
            panic!("forced by a test");
        }
    });
    let server = Server::start_with(store.server(), Hooks { on_decide: Some(on_decide), ..Hooks::default() }).await;
    let client = server.client;
    let admin = token(&Bearer::Admin("root".into()));
    let (_, sku) = client.shop(&admin, "10.00", 9).await;
    let buyer = client.buyer(&sku, 1).await;
    let path = format!("/v1/carts/{}/checkout", buyer.cart);
    let mut codes = Vec::new();
    for _ in 0..3 {
        let answer = client.post(&path, &checkout(PAYMENTS[1])).bearer(&buyer.token).send().await;
        tells_none("an answer", &answer.text, &[PAYMENTS[1].to_owned(), buyer.token.clone()]);
        codes.push(answer.code().to_owned());
    }
    assert!(codes.contains(&"command_poisoned".to_owned()), "{codes:?}");
    // Others are served.
    client.buyer(&sku, 1).await;
    server.stop().await;
    let said = String::from_utf8_lossy(&kept.0.lock().expect("no panic")).into_owned();
    assert!(said.contains("panicked twice"), "{said:.2000}");
    let mut secrets = vec![PAYMENTS[1].to_owned(), buyer.token, admin];
    secrets.extend(["secret-mail", "Secretname", "Secretstreet"].map(str::to_owned));
    tells_none("the log", &said, &secrets);
}
