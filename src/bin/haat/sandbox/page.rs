//! The page on which a buyer pays: a form, and no script.

use super::Sandbox;
use super::api::{Problem, undone};
use super::payment::{Act, Payment, Status};
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use url::form_urlencoded;

/// The forms lead to the shop at last, wherever that is: only what is loaded is forbidden.
const POLICY: &str = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'";

fn field(form: &str, name: &str) -> String {
    let mut fields = form_urlencoded::parse(form.as_bytes());
    fields.find(|(known, _)| known == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// The payment, for whoever has its key.
async fn opened(sandbox: &Sandbox, reference: &str, form: &str) -> Result<Payment, Problem> {
    let payment = sandbox.books.find(reference).await.map_err(undone)?;
    let opens = |payment: &Payment| {
        let (key, given) = (payment.key.as_bytes(), field(form, "key"));
        aws_lc_rs::constant_time::verify_slices_are_equal(key, given.as_bytes()).is_ok()
    };
    payment.filter(|payment| payment.reference == reference && opens(payment)).ok_or(Problem(404, "unknown_payment"))
}

fn html(status: StatusCode, body: &str) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
    ];
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Sandbox payment</title></head><body><main>{body}</main></body></html>"
    );
    (status, headers, page).into_response()
}

/// Shows what is to be paid.
pub(super) async fn show(
    State(sandbox): State<Arc<Sandbox>>,
    Path(reference): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let payment = opened(&sandbox, &reference, query.as_deref().unwrap_or_default()).await?;
    // Digits, a point, and three letters: nothing of it needs to be escaped. Nothing else of what the shop sent is shown.
    let amount = format!("{} {}", payment.input.amount, payment.input.currency);
    let body = match payment.status {
        Status::RequiresAction | Status::Declined => {
            let failed = if payment.status == Status::Declined { "<p>The last try failed.</p>" } else { "" };
            format!(
                "<h1>Pay {amount}</h1><p>This is a sandbox: no money moves.</p>{failed}\
                 <form method=\"post\" action=\"/pay/{reference}\"><input type=\"hidden\" name=\"key\" value=\"{}\">\
                 <button name=\"do\" value=\"pay\">Pay</button> <button name=\"do\" value=\"fail\">Fail</button> \
                 <button name=\"do\" value=\"abandon\">Abandon</button></form>",
                payment.key
            )
        }
        Status::Processing => format!("<h1>{amount} is being paid</h1>"),
        Status::Succeeded => format!("<h1>{amount} is paid</h1>"),
        Status::Cancelled => format!("<h1>{amount} need not be paid any more</h1>"),
    };
    Ok(html(StatusCode::OK, &body))
}

/// Does what the buyer says, and sends the buyer back to the shop; who abandons the payment goes nowhere.
pub(super) async fn act(
    State(sandbox): State<Arc<Sandbox>>,
    Path(reference): Path<String>,
    form: String,
) -> Result<Response, Problem> {
    let payment = opened(&sandbox, &reference, &form).await?;
    let act = match field(&form, "do").as_str() {
        "pay" => Act::Pay,
        "fail" => Act::Fail,
        "abandon" => Act::Abandon,
        _ => return Err(Problem(422, "invalid")),
    };
    let changed = sandbox.books.change(&payment.name, |payment, now| Ok(((), payment.act(act, now)))).await;
    let ((), payment) = changed.map_err(undone)?;
    if act == Act::Abandon {
        return Ok(html(StatusCode::OK, "<h1>You have left</h1><p>The shop is not told.</p>"));
    }
    let mut back = url::Url::parse(&payment.input.return_url).map_err(|_| Problem(500, "internal"))?;
    back.query_pairs_mut().append_pair("payment", &payment.reference);
    let location = HeaderValue::from_str(back.as_str()).map_err(|_| Problem(500, "internal"))?;
    Ok((StatusCode::SEE_OTHER, [(LOCATION, location), (REFERRER_POLICY, HeaderValue::from_static("no-referrer"))])
        .into_response())
}
