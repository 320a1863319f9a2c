//! A client of the HTTP contract, as small as tests need it.

use bytes::Bytes;
use haat::http::auth::Bearer;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// The longest wait for an answer: longer than the server's own limit on requests, and than any wait that a test asks for.
const BOUND: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Value,
    pub text: String,
}

impl Answer {
    /// The answer, which must have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    pub fn field(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_else(|| panic!("no text '{name}' in {}", self.text))
    }

    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// One request.
pub struct Request {
    client: Client,
    builder: http::request::Builder,
    body: Bytes,
}

impl Request {
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    pub fn json(mut self, body: &Value) -> Self {
        self.body = Bytes::from(body.to_string());
        self.header("content-type", "application/json")
    }

    pub fn raw(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The answer, or why there is none.
    pub async fn try_send(self) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        tokio::time::timeout(BOUND, self.try_send_unbounded()).await?
    }

    async fn try_send_unbounded(self) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(self.client.address).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = self.builder.body(Full::new(self.body))?;
        let response = sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        let goes_on = head.headers.get("content-type").is_some_and(|it| it == "text/event-stream");
        let text = if goes_on {
            first_event(body).await?
        } else {
            String::from_utf8_lossy(&body.collect().await?.to_bytes()).into_owned()
        };
        drop(sender);
        connection.abort();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body, text })
    }

    pub async fn send(self) -> Answer {
        self.try_send().await.expect("an answer")
    }
}

/// What a stream of events says up to the end of its first event.
async fn first_event(mut body: hyper::body::Incoming) -> Result<String, hyper::Error> {
    let mut text = String::new();
    while !text.split_once("event: ").is_some_and(|(_, event)| event.contains("\n\n")) {
        let Some(frame) = body.frame().await else { break };
        text.push_str(&String::from_utf8_lossy(&frame?.into_data().unwrap_or_default()));
    }
    Ok(text)
}

/// A client of one server; each request has a connection of its own.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    address: SocketAddr,
}

/// A cart with its owner's token.
#[derive(Clone, Debug)]
pub struct Buyer {
    pub cart: String,
    pub token: String,
}

/// A shop of one SKU, and a buyer with one piece of it in the cart.
#[derive(Clone, Debug)]
pub struct Market {
    pub admin: String,
    pub vendor: String,
    pub sku: String,
    pub buyer: Buyer,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn request(&self, method: &str, path: &str) -> Request {
        let builder = http::Request::builder().method(method).uri(path).header("host", self.address.to_string());
        Request { client: *self, builder, body: Bytes::new() }
    }

    pub fn get(&self, path: &str) -> Request {
        self.request("GET", path)
    }

    pub fn post(&self, path: &str, body: &Value) -> Request {
        self.request("POST", path).json(body)
    }

    /// A vendor with one product of one SKU: their ids.
    pub async fn shop(&self, admin: &str, price: &str, on_hand: i64) -> (String, String) {
        let vendor = self.post("/v1/vendors", &json!({"name": "Nakshi"})).bearer(admin).send().await.expect(201);
        let vendor = vendor.field("id").to_owned();
        let price = json!({"amount": price, "currency": "BDT"});
        let product = json!({"title": "Quilt", "skus": [{"code": "Q1", "price": price, "on_hand": on_hand}]});
        let path = format!("/v1/vendors/{vendor}/products");
        let product = self.post(&path, &product).bearer(admin).send().await.expect(201);
        let sku = product.body["skus"][0]["id"].as_str().expect("a SKU").to_owned();
        (vendor, sku)
    }

    /// A guest with so much of a SKU in the cart.
    pub async fn buyer(&self, sku: &str, quantity: i64) -> Buyer {
        let cart = self.post("/v1/carts", &json!({})).send().await.expect(201);
        let buyer = Buyer { cart: cart.field("id").to_owned(), token: cart.field("token").to_owned() };
        self.set_line(&buyer, sku, quantity).await.expect(200);
        buyer
    }

    /// Opens a shop with so many pieces, and fills a cart in it.
    pub async fn market(&self, pieces: i64) -> Market {
        let admin = super::token(&Bearer::Admin("root".into()));
        let (vendor, sku) = self.shop(&admin, "10.00", pieces).await;
        let buyer = self.buyer(&sku, 1).await;
        Market { admin, vendor, sku, buyer }
    }

    pub async fn set_line(&self, buyer: &Buyer, sku: &str, quantity: i64) -> Answer {
        let path = format!("/v1/carts/{}/lines/{sku}", buyer.cart);
        self.request("PUT", &path).json(&json!({"quantity": quantity})).bearer(&buyer.token).send().await
    }

    /// The mails of this event to this address, the newest first, once there are so many.
    pub async fn mailed_times(&self, admin: &str, to: &str, event: &str, times: usize) -> Vec<String> {
        let look = async {
            loop {
                let list = self.get("/v1/admin/sandbox/mails").bearer(admin).send().await.expect(200);
                let is_it = |mail: &&Value| mail["to"] == to && mail["event"] == event;
                let mails = list.body["items"].as_array().expect("mails").iter().filter(is_it);
                let texts: Vec<String> =
                    mails.filter_map(|mail| mail["text"].as_str().map(ToOwned::to_owned)).collect();
                if texts.len() >= times {
                    return texts;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(BOUND, look).await.unwrap_or_else(|_| panic!("no {times} mails of {event} come"))
    }

    /// Waits for a mail of this event to this address.
    pub async fn noticed(&self, admin: &str, to: &str, event: &str) {
        self.mailed_times(admin, to, event, 1).await;
    }

    /// The tokens of the mails of this event to this address, once there are so many.
    pub async fn mailed_tokens(&self, admin: &str, to: &str, event: &str, times: usize) -> Vec<String> {
        let texts = self.mailed_times(admin, to, event, times).await;
        let link = |text: &String| {
            let link = text.lines().find(|line| line.starts_with("https://shop.example/dashboard#token="));
            link.and_then(|link| link.split_once('=')).expect("a link").1.to_owned()
        };
        texts.iter().map(link).collect()
    }

    /// The token in the newest mail of this event to this address.
    pub async fn mailed(&self, admin: &str, to: &str, event: &str) -> String {
        self.mailed_tokens(admin, to, event, 1).await.swap_remove(0)
    }

    /// A session of somebody who has just signed up with this address, and whose name is Fina.
    pub async fn signed_up(&self, admin: &str, email: &str, password: &str) -> Answer {
        let body = json!({"email": email, "password": password, "name": "Fina"});
        self.post("/v1/auth/sign-up", &body).send().await.expect(202);
        let token = self.mailed(admin, &email.to_lowercase(), "account.sign_up").await;
        self.post("/v1/auth/verify", &json!({"token": token, "password": password})).send().await.expect(200)
    }

    pub fn checkout(&self, buyer: &Buyer, token: &str) -> Request {
        let path = format!("/v1/carts/{}/checkout", buyer.cart);
        self.post(&path, &checkout_body(token)).bearer(&buyer.token)
    }

    pub async fn order(&self, bearer: &str, order: &str) -> Answer {
        self.get(&format!("/v1/orders/{order}")).bearer(bearer).send().await
    }

    pub async fn stock(&self, admin: &str, vendor: &str, sku: &str) -> Value {
        self.get(&format!("/v1/vendors/{vendor}/skus/{sku}")).bearer(admin).send().await.expect(200).body
    }
}

pub fn checkout_body(token: &str) -> Value {
    json!({
        "shipping_address": {"name": "Rahima", "line1": "12 Lake Road", "city": "Dhaka", "country": "BD"},
        "payment": {"method": "sandbox", "token": token},
    })
}
