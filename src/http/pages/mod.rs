//! The shop's own pages: static, the same for everybody, without anything that would have to be kept from anybody. What they show they ask for, with the
//! token of whoever signs in on them. A page is one HTML file and modules of JavaScript, all of them in the binary, under names that change with
//! what is in them. Nothing is asked of any other host.
//!
//! A file in `web/` is served when it is there: `build.rs` finds it.

use crate::http::HttpState;
use crate::http::answer::Shared;
use crate::http::error::{NOT_FOUND, Problem, Result};
use aws_lc_rs::digest;
use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderValue, StatusCode};
use std::fmt::Write as _;
use std::sync::LazyLock;

include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// What a page may do in a browser: nothing with anybody but this host, and nothing that does not stand in a file of its own.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

/// The operators' page, with marks where the names of other files go.
const OPS: &str = include_str!("web/ops.html");
/// Where the directory of the files is named.
const HERE: &str = "{{here}}";
/// Where the modules are named that are loaded ahead, so that none waits for another to name it.
const AHEAD: &str = "{{ahead}}";

/// What is in all files: a part of their names.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut all = digest::Context::new(&digest::SHA256);
    for (name, content) in FILES {
        for part in [name.as_bytes(), content] {
            all.update(&part.len().to_be_bytes());
            all.update(part);
        }
    }
    all.finish().as_ref()[..8].iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
});

/// The operators' page as it is served. Links are relative, so that it does not matter behind which prefix it stands.
static OPS_PAGE: LazyLock<Bytes> = LazyLock::new(|| {
    let here = format!("assets/{}", *VERSION);
    let modules = FILES.iter().map(|(name, _)| name).filter(|name| {
        name.ends_with(".js") && ["ops/", "shared/", "vendor/"].iter().any(|directory| name.starts_with(directory))
    });
    let ahead = modules.fold(String::new(), |mut links, name| {
        let _ = write!(links, "<link rel=\"modulepreload\" href=\"{here}/{name}\">");
        links
    });
    OPS.replace(HERE, &here).replace(AHEAD, &ahead).into()
});

/// The pages, and the files that they are made of.
pub fn pages() -> Router<HttpState> {
    Router::new()
        .route("/ops", get(|| async { page(OPS_PAGE.clone()) }))
        .route("/ops/", get(|| async { elsewhere("../ops") }))
        .route("/assets/{version}/{*file}", get(file))
}

/// An answer that is the same for everybody, with what a browser is told of every page.
fn shared(content_type: &'static str, cache: &'static str, body: Bytes) -> Response {
    let mut answer = Response::new(Body::from(body));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer.extensions_mut().insert(Shared);
    answer
}

pub(super) fn page(html: Bytes) -> Response {
    shared("text/html; charset=utf-8", "no-store", html)
}

/// Sends whoever has added a slash to where the page is, behind whatever prefix.
fn elsewhere(path: &'static str) -> Response {
    let mut answer = page(Bytes::new());
    *answer.status_mut() = StatusCode::PERMANENT_REDIRECT;
    answer.headers_mut().insert(LOCATION, HeaderValue::from_static(path));
    answer
}

/// A file that pages are made of. What is under this name never changes.
async fn file(path: Result<Path<(String, String)>, PathRejection>) -> Result<Response> {
    let missing = || Problem::new(&NOT_FOUND, "there is no such file in this version");
    let Path((version, name)) = path.map_err(|_| missing())?;
    if version != *VERSION {
        return Err(missing());
    }
    let (name, content) = FILES.iter().find(|(known, _)| *known == name).ok_or_else(missing)?;
    let content_type = content_type(name).ok_or_else(missing)?;
    Ok(shared(content_type, "public, max-age=31536000, immutable", Bytes::from_static(content)))
}

/// As what a file is served, by its name; `None` for what is none of a page.
fn content_type(name: &str) -> Option<&'static str> {
    match name.rsplit_once('.')?.1 {
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        "LICENSE" => Some("text/plain; charset=utf-8"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_has_a_type_and_is_known_by_one_name() {
        assert!(FILES.len() > 10);
        for (name, _) in FILES {
            assert!(content_type(name).is_some(), "{name}");
            assert!(!name.contains(['"', '<', '&', ' ']), "{name}");
            assert_eq!(FILES.iter().filter(|(other, _)| other == name).count(), 1, "{name}");
        }
    }

    /// What the policy forbids would not run, and would only be found in a browser.
    #[test]
    fn nothing_of_a_page_stands_in_the_page_or_comes_from_elsewhere() {
        let page = String::from_utf8(OPS_PAGE.to_vec()).expect("a text");
        for forbidden in ["<script>", "<style", " style=", " onclick", "javascript:", "http://", "https://", "{{"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        let ours = FILES.iter().filter(|(name, _)| !name.starts_with("vendor/"));
        for (name, content) in ours {
            let text = str::from_utf8(content).expect("a text");
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for forbidden in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "http://", "https://"]
            {
                assert!(!text.contains(forbidden), "{name}: {forbidden}");
            }
        }
    }

    /// Whoever is told to read on finds it.
    #[test]
    fn what_troubles_refer_to_is_in_the_runbook() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
        let runbook = std::fs::read_to_string(path).expect("the runbook");
        let headings: Vec<&str> = runbook.lines().filter_map(|line| line.strip_prefix("### ")).collect();
        let mut found = 0;
        for (name, content) in FILES.iter().filter(|(name, _)| name.starts_with("ops/tiles/")) {
            let text = str::from_utf8(content).expect("a text");
            for named in text.split('"').filter(|text| text.starts_with("Haat")) {
                assert!(headings.contains(&named), "{name}: {named}");
                found += 1;
            }
        }
        assert!(found > 20);
    }

    /// Every module that is named is there, so that none is missing in a browser alone.
    #[test]
    fn what_modules_import_is_there() {
        for (name, content) in FILES.iter().filter(|(name, _)| name.ends_with(".js") && !name.starts_with("vendor/")) {
            let text = str::from_utf8(content).expect("a text");
            let imports = text.lines().filter(|line| line.starts_with("import ") || line.starts_with("} from "));
            for path in imports.filter_map(|line| line.split('"').nth(1)) {
                let base = url::Url::parse(&format!("file:///{name}")).expect("a URL");
                let target = base.join(path).expect("a path").path().trim_start_matches('/').to_owned();
                assert!(FILES.iter().any(|(known, _)| *known == target), "{name} imports {path}");
            }
        }
    }
}
