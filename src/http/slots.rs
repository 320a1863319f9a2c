//! When vendors deliver: the plan that a vendor sets, and the slots that follow from it, which buyers choose from.

use crate::actors::shop::{Ask, Shop};
use crate::domain::ids::VendorId;
use crate::domain::reject::RejectKind;
use crate::domain::vendor::{
    Day, DeliveryPlan, DeliveryWindow, Slot, SlotId, SlotView, Vendor, VendorCommand, VendorReply,
};
use crate::domain::who::Action;
use crate::http::Settings;
use crate::http::answer::{ask, ok, unexpected};
use crate::http::caller::Caller;
use crate::http::error::{INVALID_BODY, PRECONDITION_REQUIRED, ProblemKind, Result, VERSION_CONFLICT};
use crate::http::extract::{Id, TableBody};
use crate::http::money::Moment;
use crate::http::object::only_objects;
use crate::http::openapi::{ACTOR, AUTH, BODY, problems};
use crate::http::tables::{IfMatchHeader, if_match, moved, versioned};
use crate::http::valid::{Faults, Whole};
use crate::http::vendors::may_know_of;
use crate::limits;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use utoipa::ToSchema;

const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// For how many days after today slots can be had, where a plan does not say.
const DAYS_AHEAD: u32 = 14;

/// A window in which a vendor delivers on each day of the week that is called so.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct WindowInput {
    /// On which days.
    #[schema(example = "monday", pattern = "^(monday|tuesday|wednesday|thursday|friday|saturday|sunday)$")]
    weekday: String,
    /// Where it begins, by the clocks of the plan's zone.
    #[schema(example = "10:00", pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    from: String,
    /// Where it ends, after its beginning; `24:00` at midnight.
    #[schema(example = "12:00", pattern = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
    to: String,
    /// How many orders can be brought in it.
    #[schema(minimum = 0, maximum = 1_000_000)]
    #[serde(deserialize_with = "crate::http::valid::whole")]
    capacity: i64,
    /// How many minutes before its beginning the last order for it is taken; 0 where this is absent.
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 20160)]
    cut_off_minutes: Option<Whole>,
}

/// When a vendor delivers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({
    "zone": "Asia/Dhaka", "closed": ["2026-12-16"], "days_ahead": 7,
    "days": [{"weekday": "monday", "from": "10:00", "to": "12:00", "capacity": 40, "cut_off_minutes": 120}],
}))]
pub struct PlanInput {
    /// The zone of its days and times, by its IANA name.
    #[schema(example = "Asia/Dhaka", min_length = 1, max_length = 64)]
    zone: String,
    /// All windows, none of them twice; none: it delivers in no slots.
    #[schema(max_items = 84)]
    days: Vec<WindowInput>,
    /// Days on which it does not deliver.
    #[serde(default)]
    #[schema(max_items = 366, value_type = Vec<String>, example = json!(["2026-12-16"]))]
    closed: Vec<String>,
    /// For how many days after today slots can be had; 14 where this is absent.
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 60)]
    days_ahead: Option<Whole>,
}

only_objects!(WindowInput, PlanInput);

/// A window in which a vendor delivers on each day of the week that is called so.
#[derive(Debug, Serialize, ToSchema)]
pub struct WindowBody {
    #[schema(example = "monday")]
    weekday: &'static str,
    #[schema(example = "10:00")]
    from: String,
    #[schema(example = "12:00")]
    to: String,
    capacity: i64,
    cut_off_minutes: u32,
}

/// When a vendor delivers.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanBody {
    /// How often a plan was set; `If-Match` of a change names it.
    version: u64,
    /// The zone of its days and times; none where no plan was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Asia/Dhaka")]
    zone: Option<String>,
    /// All windows.
    days: Vec<WindowBody>,
    /// Days on which it does not deliver.
    #[schema(value_type = Vec<String>, example = json!(["2026-12-16"]))]
    closed: Vec<Day>,
    /// For how many days after today slots can be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    days_ahead: Option<u32>,
}

/// A slot.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliverySlotBody {
    /// Which.
    #[schema(value_type = String, example = "20261201-1000-1200")]
    id: SlotId,
    /// The day.
    #[schema(value_type = String, example = "2026-12-01")]
    date: Day,
    /// Where it begins, by the clocks of its zone.
    #[schema(example = "10:00")]
    from: String,
    /// Where it ends, as above.
    #[schema(example = "12:00")]
    to: String,
    #[schema(example = "Asia/Dhaka")]
    zone: Box<str>,
    starts_at: Moment,
    ends_at: Moment,
}

/// A slot that can be ordered for.
#[derive(Debug, Serialize, ToSchema)]
pub struct OfferedSlotBody {
    #[serde(flatten)]
    slot: DeliverySlotBody,
    /// Until when it can be ordered for.
    cut_off_at: Moment,
    /// How many more orders it has room for.
    left: i64,
}

/// The slots of a vendor.
#[derive(Debug, Serialize, ToSchema)]
pub struct OfferedSlotsBody {
    /// By their days and times.
    items: Vec<OfferedSlotBody>,
}

/// A time of the day, from minutes after midnight.
fn clock(minutes: u16) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Minutes after midnight, of a time of the day that is written as `10:00`.
fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| {
        let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| plain)
    };
    match (number(hours)?, number(minutes)?) {
        (24, 0) => Some(24 * 60),
        (hours @ 0..24, minutes @ 0..60) => Some(hours * 60 + minutes),
        _ => None,
    }
}

impl From<Slot> for DeliverySlotBody {
    fn from(slot: Slot) -> Self {
        let Slot { id, zone, starts_at, ends_at } = slot;
        let (from, to) = (clock(id.from), clock(id.to));
        Self { id, date: id.day, from, to, zone, starts_at: Moment(starts_at), ends_at: Moment(ends_at) }
    }
}

impl From<SlotView> for OfferedSlotBody {
    fn from(SlotView { slot, cut_off_at, left }: SlotView) -> Self {
        Self { slot: slot.into(), cut_off_at: Moment(cut_off_at), left }
    }
}

impl From<&DeliveryWindow> for WindowBody {
    fn from(window: &DeliveryWindow) -> Self {
        let DeliveryWindow { weekday, from, to, capacity, cut_off } = *window;
        let weekday = WEEKDAYS.get(usize::from(weekday).saturating_sub(1)).copied().unwrap_or_default();
        Self { weekday, from: clock(from), to: clock(to), capacity, cut_off_minutes: cut_off }
    }
}

impl PlanBody {
    fn new(version: u64, plan: Option<DeliveryPlan>) -> Self {
        let Some(DeliveryPlan { zone, windows, closed, days_ahead }) = plan else {
            return Self { version, zone: None, days: Vec::new(), closed: Vec::new(), days_ahead: None };
        };
        let days = windows.iter().map(WindowBody::from).collect();
        Self { version, zone: Some(zone), days, closed, days_ahead: Some(days_ahead) }
    }
}

impl WindowInput {
    fn checked(self, faults: &mut Faults, index: usize) -> Option<DeliveryWindow> {
        let field = |name: &str| format!("days[{index}].{name}");
        let weekday = WEEKDAYS.iter().position(|day| *day == self.weekday);
        if weekday.is_none() {
            faults.add(field("weekday"), "a day of the week is expected, such as monday");
        }
        let (from, to) = (minutes(&self.from), minutes(&self.to));
        if from.is_none_or(|from| from >= 24 * 60) {
            faults.add(field("from"), "a time of the day is expected, such as 10:00");
        }
        if to.is_none() || from.zip(to).is_some_and(|(from, to)| from >= to) {
            faults.add(field("to"), "a time after the beginning is expected, at most 24:00");
        }
        if !(0..=limits::SLOT_CAPACITY).contains(&self.capacity) {
            faults.add(field("capacity"), format!("0 to {} orders are possible", limits::SLOT_CAPACITY));
        }
        let cut_off = u32::try_from(self.cut_off_minutes.map_or(0, |Whole(minutes)| minutes)).ok();
        let cut_off = cut_off.filter(|minutes| *minutes <= limits::SLOT_CUT_OFF);
        if cut_off.is_none() {
            faults.add(field("cut_off_minutes"), format!("0 to {} minutes are possible", limits::SLOT_CUT_OFF));
        }
        let weekday = u8::try_from(weekday? + 1).ok()?;
        Some(DeliveryWindow { weekday, from: from?, to: to?, capacity: self.capacity, cut_off: cut_off? })
    }
}

impl PlanInput {
    /// The plan; none where it has no windows.
    fn checked(self) -> Result<Option<Box<DeliveryPlan>>> {
        let Self { zone, days, closed, days_ahead } = self;
        let mut faults = Faults::default();
        if jiff::tz::TimeZone::get(&zone).is_err() {
            faults.add("zone", "there is no such zone");
        }
        let too_many = |limit: usize| format!("there are more than {limit}");
        if days.len() > limits::DELIVERY_WINDOWS {
            faults.add("days", too_many(limits::DELIVERY_WINDOWS));
        }
        let mut windows: Vec<DeliveryWindow> = Vec::new();
        for (index, window) in days.into_iter().take(limits::DELIVERY_WINDOWS).enumerate() {
            let Some(window) = window.checked(&mut faults, index) else { continue };
            let key = |window: &DeliveryWindow| (window.weekday, window.from, window.to);
            if windows.iter().any(|known| key(known) == key(&window)) {
                faults.add(format!("days[{index}]"), "the same window stands there twice");
            }
            windows.push(window);
        }
        if closed.len() > limits::DELIVERY_CLOSED {
            faults.add("closed", too_many(limits::DELIVERY_CLOSED));
        }
        let mut shut = BTreeSet::new();
        for (index, day) in closed.iter().take(limits::DELIVERY_CLOSED).enumerate() {
            match day.parse::<Day>() {
                Ok(day) => drop(shut.insert(day)),
                Err(_) => faults.add(format!("closed[{index}]"), "a day is expected, such as 2026-12-16"),
            }
        }
        let ahead = days_ahead.map_or(Some(DAYS_AHEAD), |Whole(days)| u32::try_from(days).ok());
        let ahead = ahead.filter(|days| *days <= limits::DELIVERY_DAYS_AHEAD);
        if ahead.is_none() {
            faults.add("days_ahead", format!("0 to {} days are possible", limits::DELIVERY_DAYS_AHEAD));
        }
        faults.done(&INVALID_BODY)?;
        let (closed, days_ahead) = (shut.into_iter().collect(), ahead.unwrap_or(DAYS_AHEAD));
        Ok((!windows.is_empty()).then(|| Box::new(DeliveryPlan { zone, windows, closed, days_ahead })))
    }
}

async fn plan(shop: &Shop, settings: &Settings, vendor: VendorId, command: VendorCommand) -> Result<Response> {
    let how = Ask { within: settings.request_timeout, key: None, fresh: false };
    match ask::<Vendor>(shop, vendor, command, how).await {
        Ok((VendorReply::DeliveryPlan { version, plan }, _)) => {
            Ok(versioned(version, &PlanBody::new(version, plan.map(|plan| *plan))))
        }
        Ok((other, _)) => Err(unexpected(&other)),
        // As with every table that is written whole.
        Err(problem) if problem.kind() == ProblemKind::of(RejectKind::DeliveryPlanChanged) => Err(moved()),
        Err(problem) => Err(problem),
    }
}

problems!(GetPlanProblems: AUTH, ACTOR; VendorUnknown);

/// When a vendor delivers
#[utoipa::path(get, path = "/v1/vendors/{vendor}/delivery-plan", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor")),
    responses((status = 200, description = "The plan.", body = PlanBody, headers(("ETag" = String, description = "The version."))),
        GetPlanProblems))]
pub async fn get_delivery_plan(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Id(vendor): Id<VendorId>,
) -> Result<Response> {
    may_know_of(caller.principal, Action::SeeGoods, vendor)?;
    plan(&shop, &settings, vendor, VendorCommand::GetDeliveryPlan { by: caller.principal }).await
}

problems!(PutPlanProblems: AUTH, BODY, ACTOR, &[&VERSION_CONFLICT, &PRECONDITION_REQUIRED]; VendorUnknown, CommandPoisoned);

/// Set when a vendor delivers, as a whole
///
/// Orders that hold a slot, or have one, keep it. A window that stays counts what it has had before.
#[utoipa::path(put, path = "/v1/vendors/{vendor}/delivery-plan", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor"), IfMatchHeader), request_body = PlanInput,
    responses((status = 200, description = "As it is now.", body = PlanBody, headers(("ETag" = String, description = "The version."))),
        PutPlanProblems))]
pub async fn put_delivery_plan(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Id(vendor): Id<VendorId>,
    headers: HeaderMap,
    body: TableBody<PlanInput>,
) -> Result<Response> {
    may_know_of(caller.principal, Action::EditGoods, vendor)?;
    let version = if_match(&headers)?;
    let command = VendorCommand::SetDeliveryPlan { by: caller.principal, version, plan: body.value.checked()? };
    plan(&shop, &settings, vendor, command).await
}

problems!(ListSlotsProblems: ACTOR; VendorUnknown);

/// In which slots a vendor delivers
///
/// Those that can be ordered for at this moment, full ones too. A checkout names one in `delivery_slot`.
#[utoipa::path(get, path = "/v1/vendors/{vendor}/delivery-slots", tag = "vendors",
    params(("vendor" = VendorId, Path, description = "The vendor")),
    responses((status = 200, description = "The slots, by their days and times.", body = OfferedSlotsBody), ListSlotsProblems))]
pub async fn list_delivery_slots(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    Id(vendor): Id<VendorId>,
) -> Result<Response> {
    let command = VendorCommand::GetSlots { at: shop.clock().wall() };
    let how = Ask { within: settings.request_timeout, key: None, fresh: false };
    match ask::<Vendor>(&shop, vendor, command, how).await? {
        (VendorReply::Slots { slots }, _) => {
            Ok(ok(&OfferedSlotsBody { items: slots.into_iter().map(OfferedSlotBody::from).collect() }))
        }
        (other, _) => Err(unexpected(&other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_plan_names_its_field() {
        let window = |change: serde_json::Value| {
            let mut window = serde_json::json!({"weekday": "friday", "from": "10:00", "to": "12:00", "capacity": 4});
            change.as_object().into_iter().flatten().for_each(|(name, value)| window[name] = value.clone());
            serde_json::json!({"zone": "Asia/Dhaka", "days": [window]})
        };
        let fault = |input: serde_json::Value| {
            let problem = serde_json::from_value::<PlanInput>(input).unwrap().checked().unwrap_err();
            let body: serde_json::Value = serde_json::from_slice(&problem.to_json("r")).unwrap();
            let fields = body["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap());
            fields.map(str::to_owned).collect::<Vec<_>>().join(" ")
        };
        for (change, field) in [
            (serde_json::json!({"weekday": "Friday"}), "days[0].weekday"),
            (serde_json::json!({"from": "24:00"}), "days[0].from days[0].to"),
            (serde_json::json!({"from": "9:00"}), "days[0].from"),
            (serde_json::json!({"from": "12:00"}), "days[0].to"),
            (serde_json::json!({"to": "12:60"}), "days[0].to"),
            (serde_json::json!({"to": "24:01"}), "days[0].to"),
            (serde_json::json!({"capacity": -1}), "days[0].capacity"),
            (serde_json::json!({"capacity": 1_000_001}), "days[0].capacity"),
            (serde_json::json!({"cut_off_minutes": -1}), "days[0].cut_off_minutes"),
            (serde_json::json!({"cut_off_minutes": 20_161}), "days[0].cut_off_minutes"),
        ] {
            assert_eq!(fault(window(change.clone())), field, "{change}");
        }
        let plan = |name: &str, value: serde_json::Value| {
            let mut plan = window(serde_json::json!({}));
            plan[name] = value;
            plan
        };
        assert_eq!(fault(plan("zone", "Asia/Atlantis".into())), "zone");
        assert_eq!(fault(plan("closed", serde_json::json!(["2026-12-16", "2026-02-29"]))), "closed[1]");
        assert_eq!(fault(plan("days_ahead", 61.into())), "days_ahead");
        let twice = window(serde_json::json!({}))["days"][0].clone();
        assert_eq!(fault(plan("days", serde_json::json!([twice, twice]))), "days[1]");
        assert_eq!(fault(plan("days", vec![twice; 85].into())).split(' ').next(), Some("days"));
        let none = serde_json::from_value::<PlanInput>(plan("days", serde_json::json!([]))).unwrap().checked();
        assert_eq!(none.unwrap(), None, "no window, no plan");
        let open = serde_json::from_value::<PlanInput>(window(serde_json::json!({"to": "24:00"}))).unwrap().checked();
        assert_eq!(open.unwrap().map(|plan| plan.windows[0].to), Some(1440));
    }
}
