//! What comes of a mail's job, for whatever the order, its buyer and the mail server say.

use super::*;
use crate::domain::ids::{AccountId, SignUpId};
use crate::domain::ids::{CartId, EntityId, JobId, SkuId, SubOrderId, VendorId};
use crate::domain::job::About;
use crate::domain::money::Currency;
use crate::domain::order::{
    Address, Amounts, BillHead, OrderLine, OrderStatus, PaymentStatus, PointsShown, SubOrderStatus, SubOrderView,
};
use crate::domain::pricing::BillShare;
use crate::domain::time::Timestamp;
use crate::ports::jobs::{Letter, NoAccounts, NotNow};
use parking_lot::Mutex;
use uuid::Uuid;

type Found = Result<Option<(OrderView, Known<Contact>)>, NotNow>;

struct Shop(Found);

#[async_trait]
impl Orders for Shop {
    async fn order(&self, _: OrderId) -> Found {
        self.0.clone()
    }
}

/// Takes every mail, and says this when it is asked.
struct Post {
    sent: Mutex<Vec<Mail>>,
    knows: Option<Result<bool, NotNow>>,
}

#[async_trait]
impl Mailer for Post {
    async fn send(&self, mail: &Mail) -> TryOutcome {
        self.sent.lock().push(mail.clone());
        TryOutcome::Done
    }

    async fn has_taken(&self, _: JobId) -> Option<Result<bool, NotNow>> {
        self.knows.clone()
    }
}

fn order(status: OrderStatus) -> OrderView {
    let line = OrderLine {
        sku: SkuId::from_uuid(Uuid::from_u128(3)),
        vendor: VendorId::from_uuid(Uuid::from_u128(4)),
        title: "Saree <b>\"fine\" & more".to_owned(),
        quantity: 2,
        unit_price: 125_050,
        list_price: None,
        sale: None,
        credited: 0,
        credited_amount: 0,
        goods: None,
        billed: None,
    };
    OrderView {
        id: OrderId::from_uuid(Uuid::from_u128(1)),
        cart: CartId::from_uuid(Uuid::from_u128(2)),
        status,
        currency: Currency::BDT,
        lines: vec![line],
        sub_orders: Vec::new(),
        coupons: Vec::new(),
        amounts: Amounts { total: 250_100, paid: 250_100, ..Amounts::default() },
        bill: None,
        points: PointsShown::default(),
        payment_method: "sandbox".to_owned(),
        payment_status: PaymentStatus::Captured,
        placed_at: Timestamp::from_millis(1),
        payment_due_at: Timestamp::from_millis(2),
        inline_contact: None,
        waits: None,
        cancelling: false,
        returns: Vec::new(),
        refunds: Vec::new(),
        disputes: Vec::new(),
        attention: Vec::new(),
    }
}

fn contact(email: Option<&str>) -> Contact {
    let shipping_address: Address =
        serde_json::from_value(serde_json::json!({"name": "A", "line1": "1", "city": "Dhaka", "country": "BD"}))
            .expect("an address");
    Contact { email: email.map(ToOwned::to_owned), shipping_address }
}

fn job(unknown: bool) -> Job {
    Job {
        id: JobId::from_uuid(Uuid::from_u128(9)),
        kind: JobKind::OrderPaidMail,
        about: OrderId::from_uuid(Uuid::from_u128(1)).entity().into(),
        made_at: Timestamp::from_millis(5),
        tries: 1,
        unknown,
    }
}

/// What comes of it, and how many mails are sent.
async fn tried(found: Found, unknown: bool, knows: Option<Result<bool, NotNow>>) -> (TryOutcome, Vec<Mail>) {
    let post = Arc::new(Post { sent: Mutex::default(), knows });
    let worker = MailWorker::new(Some(post.clone()), Arc::new(Shop(found)), Arc::new(NoAccounts), String::new());
    let outcome = worker.try_job(&job(unknown)).await;
    let sent = post.sent.lock().clone();
    (outcome, sent)
}

#[tokio::test]
async fn a_paid_orders_buyer_is_written_to_and_nobody_else() {
    let here = |email| Known::Here(contact(email));
    let paid = || order(OrderStatus::Paid);
    let a = Some("a@example.com");
    for (found, name, mails) in [
        (Ok(Some((paid(), here(a)))), "done", 1),
        (Ok(Some((paid(), here(None)))), "suppressed", 0),
        (Ok(Some((paid(), Known::Erased))), "suppressed", 0),
        (Ok(Some((paid(), Known::Nothing))), "suppressed", 0),
        (Ok(Some((order(OrderStatus::Cancelled), here(a)))), "suppressed", 0),
        (Ok(None), "suppressed", 0),
        (Err(NotNow("the store is away".to_owned())), "failed", 0),
    ] {
        let (outcome, sent) = tried(found, false, None).await;
        assert_eq!((outcome.name(), sent.len()), (name, mails), "{outcome:?}");
    }
    let nobody = Arc::new(Shop(Ok(Some((paid(), here(a))))));
    let without = MailWorker::new(None, nobody, Arc::new(NoAccounts), String::new());
    assert_eq!(without.try_job(&job(false)).await.name(), "suppressed");
}

#[tokio::test]
async fn an_unknown_mail_is_asked_about_before_it_is_sent_again() {
    let found = || Ok(Some((order(OrderStatus::Paid), Known::Here(contact(Some("a@example.com"))))));
    for (knows, name, mails) in [
        (Some(Ok(true)), "done", 0),
        (Some(Ok(false)), "done", 1),
        (Some(Err(NotNow("silent".to_owned()))), "unknown", 0),
        (None, "done", 1),
    ] {
        let (outcome, sent) = tried(found(), true, knows.clone()).await;
        assert_eq!((outcome.name(), sent.len()), (name, mails), "{knows:?}");
    }
}

#[tokio::test]
async fn a_mail_says_what_was_bought_and_shows_no_markup_of_others() {
    let found = Ok(Some((order(OrderStatus::Paid), Known::Here(contact(Some("a@example.com"))))));
    let (_, sent) = tried(found, false, None).await;
    let mail = &sent[0];
    assert_eq!((mail.id, mail.to.as_str(), mail.event), (job(false).id, "a@example.com", "order.paid"));
    let id = OrderId::from_uuid(Uuid::from_u128(1));
    assert_eq!(mail.subject, format!("Your order {id} is paid"));
    assert!(mail.text.contains("2 x Saree <b>\"fine\" & more: 2501.00 BDT"), "{}", mail.text);
    assert!(mail.text.contains("Total: 2501.00 BDT"), "{}", mail.text);
    assert!(mail.html.contains("<td>Saree &lt;b&gt;&quot;fine&quot; &amp; more</td>"), "{}", mail.html);
}

/// One account.
struct Desk(Result<Option<Letter>, NotNow>);

#[async_trait]
impl Letters for Desk {
    async fn letter(&self, _: JobKind, _: About) -> Result<Option<Letter>, NotNow> {
        self.0.clone()
    }
}

/// What comes of a mail about an account, and what it says.
async fn written(kind: JobKind, about: About, desk: Desk) -> (TryOutcome, Option<Mail>) {
    let post = Arc::new(Post { sent: Mutex::default(), knows: None });
    let url = "https://shop.example".to_owned();
    let worker = MailWorker::new(Some(post.clone()), Arc::new(Shop(Ok(None))), Arc::new(desk), url);
    let outcome = worker.try_job(&Job { kind, about, ..job(false) }).await;
    let sent = post.sent.lock().pop();
    (outcome, sent)
}

#[tokio::test]
async fn a_mail_about_an_account_brings_its_link_and_names_nobody() {
    let (account, sign_up) = (AccountId::from_uuid(Uuid::from_u128(3)), SignUpId::from_uuid(Uuid::from_u128(4)));
    let letter = |token: Option<&str>| Letter { to: "a@example.com".to_owned(), token: token.map(ToOwned::to_owned) };
    for (kind, about, token) in [
        (JobKind::SignUpMail, About::SignUp(sign_up), Some("verify_1.2.3")),
        (JobKind::PasswordResetMail, About::Account(account), Some("reset_1.2.3")),
        (JobKind::KnownAddressMail, About::Account(account), None),
        (JobKind::TokenReusedMail, About::Account(account), None),
        (JobKind::ManyAttemptsMail, About::Account(account), None),
    ] {
        let (outcome, mail) = written(kind, about, Desk(Ok(Some(letter(token))))).await;
        let mail = mail.expect("a mail");
        assert_eq!((outcome.name(), mail.to.as_str()), ("done", "a@example.com"), "{kind:?}");
        assert!(mail.event.starts_with("account."), "{}", mail.event);
        let link = token.map(|token| format!("https://shop.example/dashboard#token={token}"));
        for said in [&mail.text, &mail.html] {
            assert_eq!(
                link.as_ref().map_or(0, |link| said.matches(link.as_str()).count()) > 0,
                token.is_some(),
                "{said}"
            );
            assert!(!said.contains("a@example.com"), "{said}");
        }
        assert_eq!(written(kind, about, Desk(Ok(None))).await.0.name(), "suppressed");
        assert_eq!(written(kind, about, Desk(Err(NotNow("away".to_owned())))).await.0.name(), "failed");
    }
}

#[test]
fn what_makes_the_total_another_than_the_lines_stands_in_the_mail() {
    let mut order = order(OrderStatus::Paid);
    let plain = super::order_paid::text(&order).text;
    assert!(!plain.contains("Shipping") && !plain.contains("Tax"), "{plain}");
    let billed: BillShare = serde_json::from_value(serde_json::json!({
        "vendor": order.lines[0].vendor, "shipping": 6_000, "shipping_tax": 900, "total": 294_515,
        "tax_groups": [{"rate_milli_percent": 15_000, "base": 256_100, "amount": 38_415}],
    }))
    .expect("a share");
    order.sub_orders = vec![SubOrderView {
        to_collect: 0,
        slot: None,
        id: SubOrderId::of(order.id, billed.vendor),
        vendor: billed.vendor,
        status: SubOrderStatus::Paid,
        amounts: Amounts::default(),
        parcels: Vec::new(),
        on_hold: None,
        billed: Some(Box::new(billed)),
    }];
    order.bill = Some(Box::new(BillHead { codes: Vec::new(), prices_include_tax: false }));
    let text = super::order_paid::text(&order).text;
    assert!(text.contains("  Shipping: 60.00 BDT\n  Tax: 384.15 BDT\n"), "{text}");
}
