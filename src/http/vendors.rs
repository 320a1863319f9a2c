//! Vendors: who they are, and whether they may sell.

use crate::actors::shop::{Ask, Shop};
use crate::domain::entity::Principal;
use crate::domain::ids::VendorId;
use crate::domain::reject::Reject;
use crate::domain::rows::VendorRow;
use crate::domain::text::TextKind;
use crate::domain::time::Timestamp;
use crate::domain::vendor::{Vendor, VendorCommand, VendorReply, VendorStatus, VendorView};
use crate::domain::who::{Action, may};
use crate::http::answer::{ask, json, mark_replayed, ok, unexpected};
use crate::http::caller::Caller;
use crate::http::error::{FORBIDDEN, INVALID_BODY, Problem, Result};
use crate::http::extract::{Id, JsonBody, Query};
use crate::http::idempotency::{IdempotencyHeader, Mint, RequestKey};
use crate::http::money::Page;
use crate::http::object::only_objects;
use crate::http::openapi::{ACTOR, AUTH, BODY, KEYED, LISTS, READS, problems};
use crate::http::page::{List, PageQuery};
use crate::http::valid::{Faults, Named, given};
use crate::http::{Settings, error};
use crate::limits;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A vendor to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"name": "Dhaka Textiles"}))]
pub struct VendorInput {
    /// The vendor's name.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    name: String,
}

/// A change of a vendor: its name, which its own people may change; or its status with the reason, which the shop's staff alone may.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"name": "Dhaka Textiles Ltd."}))]
pub struct VendorPatch {
    /// The vendor's name.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    name: Option<String>,
    /// Whether it may sell. Orders that were placed before go on.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<VendorStatus>, nullable = false)]
    status: Option<Named<VendorStatus>>,
    /// Why it is suspended, or may sell again.
    #[serde(default, deserialize_with = "given")]
    #[schema(
        nullable = false,
        min_length = 1,
        max_length = 4000,
        pattern = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$"
    )]
    reason: Option<String>,
}

/// A vendor.
#[derive(Debug, Serialize, ToSchema)]
pub struct VendorBody {
    id: VendorId,
    #[schema(example = "Dhaka Textiles")]
    name: String,
    status: VendorStatus,
}

only_objects!(VendorInput, VendorPatch);

impl From<VendorView> for VendorBody {
    fn from(VendorView { id, name, suspended }: VendorView) -> Self {
        Self { id, name, status: VendorStatus::of(suspended) }
    }
}

impl From<&VendorRow> for VendorBody {
    fn from(row: &VendorRow) -> Self {
        Self { id: row.id, name: row.name.clone(), status: row.status }
    }
}

impl VendorPatch {
    /// What the vendor is asked for.
    fn checked(self, by: Principal) -> Result<VendorCommand> {
        let Self { mut name, status, mut reason } = self;
        let mut faults = Faults::default();
        if let Some(name) = &mut name {
            faults.text("name", name, TextKind::Line, limits::SHORT_TEXT);
        }
        if let Some(reason) = &mut reason {
            faults.text("reason", reason, TextKind::Lines, limits::LONG_TEXT);
        }
        match (&name, &status, &reason) {
            (Some(_), None, None) | (None, Some(_), Some(_)) => {}
            (_, None, Some(_)) => faults.add("reason", "it goes with a status"),
            (None, Some(_), None) => faults.add("reason", "it is expected with a status"),
            (Some(_), Some(_), _) => faults.add("name", "it is changed apart from the status"),
            (None, None, None) => faults.add("name", "a name is expected, or a status with its reason"),
        }
        faults.done(&INVALID_BODY)?;
        match (name, status, reason) {
            (_, Some(Named(status)), Some(reason)) => Ok(VendorCommand::SetStatus { by, status, reason }),
            (name, ..) => Ok(VendorCommand::Rename { by, name: name.unwrap_or_default() }),
        }
    }
}

problems!(ListVendorsProblems: LISTS);

/// Vendors, in the order of their ids
#[utoipa::path(get, path = "/v1/vendors", tag = "catalog", params(PageQuery),
    responses((status = 200, description = "A page of vendors.", body = Page<VendorBody>), ListVendorsProblems))]
pub async fn list_vendors(State(shop): State<Shop>, Query(asked): Query<PageQuery>) -> Result<Response> {
    let paging = asked.paging(List::new("/v1/vendors", &()))?;
    let after = paging.after.map(|(_, id)| VendorId::from_uuid(id));
    let mut rows = shop.catalog()?.vendors();
    rows.retain(|row| after.is_none_or(|after| row.id > after));
    rows.sort_unstable_by_key(|row| row.id);
    rows.truncate(paging.to_ask() as usize);
    let place = |row: &Arc<VendorRow>| (Timestamp::default(), row.id.uuid());
    Ok(ok(&paging.page(rows, shop.clock().now(), place, |row| VendorBody::from(&*row))))
}

problems!(GetVendorProblems: READS, &[&error::UNAVAILABLE]; VendorUnknown);

/// A vendor
#[utoipa::path(get, path = "/v1/vendors/{vendor}", tag = "catalog",
    params(("vendor" = VendorId, Path, description = "The vendor")),
    responses((status = 200, description = "The vendor.", body = VendorBody), GetVendorProblems))]
pub async fn get_vendor(State(shop): State<Shop>, Id(id): Id<VendorId>) -> Result<Response> {
    let row = shop.catalog()?.vendor(id).ok_or(Reject::VendorUnknown)?;
    Ok(ok(&VendorBody::from(&*row)))
}

problems!(PatchVendorProblems: AUTH, BODY, ACTOR; VendorUnknown);

/// Change a vendor's name, or whether it may sell
///
/// A vendor's own people change its name; its status, with the reason, is changed by the shop's staff alone: nobody ends their own suspension.
#[utoipa::path(patch, path = "/v1/vendors/{vendor}", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor")), request_body = VendorPatch,
    responses((status = 200, description = "The vendor.", body = VendorBody), PatchVendorProblems))]
pub async fn patch_vendor(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Id(vendor): Id<VendorId>,
    body: JsonBody<VendorPatch>,
) -> Result<Response> {
    may_know_of(caller.principal, Action::EditVendor, vendor)?;
    if body.value.status.is_some() && !Action::SuspendVendors.is_for(caller.principal) {
        return Err(Problem::new(&FORBIDDEN, "the shop's staff alone says whether a vendor may sell"));
    }
    let command = body.value.checked(caller.principal)?;
    let how = Ask { within: settings.request_timeout, key: None, fresh: false };
    match ask::<Vendor>(&shop, vendor, command, how).await? {
        (VendorReply::Vendor { vendor }, _) => Ok(ok(&VendorBody::from(vendor))),
        (other, _) => Err(unexpected(&other)),
    }
}

problems!(CreateVendorProblems: KEYED, BODY, ACTOR, &[&error::INVALID_BODY]);

/// Make a vendor
#[utoipa::path(post, path = "/v1/vendors", tag = "vendors", security(("bearer" = [])), params(IdempotencyHeader),
    request_body = VendorInput,
    responses((status = 201, description = "The vendor.", body = VendorBody), CreateVendorProblems))]
pub async fn create_vendor(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    body: JsonBody<VendorInput>,
) -> Result<Response> {
    let mut faults = Faults::default();
    let mut name = body.value.name;
    faults.text("name", &mut name, TextKind::Line, limits::SHORT_TEXT);
    faults.done(&INVALID_BODY)?;
    let key = key.of(&caller, &body.raw);
    let mint = Mint::new(shop.clock(), key);
    let id = VendorId::from_uuid(mint.uuid(VendorId::PREFIX, 0));
    let how = Ask { within: settings.request_timeout, key, fresh: mint.is_fresh() };
    match ask::<Vendor>(&shop, id, VendorCommand::Create { name }, how).await? {
        (VendorReply::Vendor { vendor }, replayed) => {
            Ok(mark_replayed(json(StatusCode::CREATED, &VendorBody::from(vendor)), replayed))
        }
        (other, _) => Err(unexpected(&other)),
    }
}

/// A vendor's own people know of no other. The entity says so too; here it is said before the body is looked at.
pub fn may_know_of(by: Principal, action: Action, vendor: VendorId) -> Result<()> {
    match may(by, action, &vendor) {
        true => Ok(()),
        false => Err(Reject::VendorUnknown.into()),
    }
}
