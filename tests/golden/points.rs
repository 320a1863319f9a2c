//! Samples of points: what customers have, and what orders say of them.

use super::{at, credit_id, customer, order, uuid, vendor};
use haat::domain::buyer::PointsWanted;
use haat::domain::customer::{
    Bought, CustomerCommand, CustomerEvent, CustomerReply, GivenFor, NEVER, PointCommand, PointEvent, PointItem,
    PointKind, PointLot, PointsView, Standing,
};
use haat::domain::entity::{By, Principal};
use haat::domain::hold::CreditKey;
use haat::domain::ids::CreditId;
use haat::domain::loyalty::EarnTerms;
use haat::domain::money::Currency;
use haat::domain::order::{OrderCommand, OrderEvent, OrderView, Party, PointsShown, Posting};
use haat::domain::reject::Reject;

fn party() -> Party {
    Party::Points(customer())
}

fn posting() -> CreditId {
    CreditId::from_uuid(uuid(0x5001))
}

fn lots() -> Vec<PointLot> {
    vec![
        PointLot { expires_at: at(1), extended: true, points: 20 },
        PointLot { expires_at: NEVER, extended: false, points: 5 },
    ]
}

fn standing(full: bool) -> Standing {
    let (tier, until) = (full.then(|| "gold".into()), full.then(|| at(1_000)));
    Standing { tier, multiplier: if full { 15_000 } else { 10_000 }, until }
}

pub fn wanted() -> PointsWanted {
    PointsWanted { points: 500, beside: true, alone: true }
}

pub fn earns(full: bool) -> EarnTerms {
    EarnTerms {
        version: 3,
        basis_points: 100,
        multiplier: if full { 15_000 } else { 10_000 },
        worth: 100,
        after_days: 14,
        expires_days: 365,
        zone: "Asia/Kolkata".into(),
    }
}

pub fn events() -> Vec<OrderEvent> {
    let (vendor, posting, credits) = (vendor(), posting(), vec![posting(), credit_id()]);
    vec![
        OrderEvent::PointsTaken { spent: 500, value: 100, earns: Some(Box::new(earns(true))) },
        OrderEvent::PointsTaken { spent: 0, value: 0, earns: Some(Box::new(earns(false))) },
        OrderEvent::PointsTaken { spent: 1, value: 1, earns: None },
        OrderEvent::LegAsked { with: party() },
        OrderEvent::LegRefused { with: party(), reason: Reject::PointsInsufficient { available: 12 } },
        OrderEvent::PointsEarned { vendor, posting, points: 25, expires_at: at(5) },
        OrderEvent::LegReturned { with: party(), credits, whole: false },
    ]
}

pub fn commands() -> Vec<OrderCommand> {
    vec![
        OrderCommand::LegHeld { with: party() },
        OrderCommand::LegReturned { with: party(), credits: vec![posting()], whole: false },
        OrderCommand::ReturnDue { with: party(), credits: vec![posting()] },
    ]
}

pub fn shown(view: OrderView) -> OrderView {
    OrderView { points: PointsShown { spent: 500, value: 50_000, restored: 20, earned: 25, pending: 5 }, ..view }
}

pub fn customer_events() -> Vec<CustomerEvent> {
    let (order, vendor, posting, credit, by) = (order(), vendor(), posting(), credit_id(), By::of(Principal::SHOP));
    let bought = Some(Bought { day: 20_785, minor: 125_000 });
    let events = vec![
        PointEvent::PointsHeld { order, until: at(1), lots: lots() },
        PointEvent::PointsSpent { order },
        PointEvent::PointsReleased { order, until: at(1), lots: lots(), expired: 3 },
        PointEvent::PointsReleased { order, until: at(1), lots: Vec::new(), expired: 0 },
        PointEvent::PointHoldsClosed { orders: vec![order] },
        PointEvent::PointsEarned { order, vendor, posting, points: 25, expires_at: at(5), bought },
        PointEvent::PointsEarned { order, vendor, posting, points: 25, expires_at: at(5), bought: None },
        PointEvent::PointsRestored { order, credit, lots: lots(), expired: 0 },
        PointEvent::PointsTakenBack { order, credit, points: 5, bought },
        PointEvent::PointsTakenBack { order, credit, points: 5, bought: None },
        PointEvent::PostingsClosed { postings: vec![CreditKey(order, credit)] },
        PointEvent::PointsGiven { points: 50, expires_at: at(5), reason: GivenFor::Goodwill, by },
        PointEvent::PointsGiven { points: -50, expires_at: NEVER, reason: GivenFor::Correction, by: None },
        PointEvent::PointsExpired { points: 7 },
        PointEvent::TierChanged { standing: standing(true) },
        PointEvent::TierChanged { standing: standing(false) },
    ];
    events.into_iter().map(CustomerEvent::Points).collect()
}

pub fn customer_commands() -> Vec<CustomerCommand> {
    let (order, vendor, by) = (order(), vendor(), Principal::SHOP);
    let earned =
        Posting { id: posting(), vendor, earned: 25, expires_at: Some(at(5)), restored: 0, taken_back: 0, bought: 9 };
    let back =
        Posting { id: credit_id(), earned: 0, expires_at: None, restored: 20, taken_back: 5, bought: -9, ..earned };
    let (reason, expires_at) = (GivenFor::Apology, Some(at(5)));
    let commands = vec![
        PointCommand::HoldPoints { order, until: at(1), points: 25 },
        PointCommand::SpendPoints { order },
        PointCommand::ReleasePoints { order, until: at(1) },
        PointCommand::ClosePoints { order },
        PointCommand::PostPoints { order, currency: Currency::BDT, postings: vec![earned, back] },
        PointCommand::ClosePostings { order, postings: vec![posting()] },
        PointCommand::GivePoints { by, points: 50, reason, expires_at },
        PointCommand::GivePoints { by, points: -50, reason, expires_at: None },
        PointCommand::SeePoints { by },
        PointCommand::Tick,
    ];
    commands.into_iter().map(CustomerCommand::Points).collect()
}

pub fn customer_replies() -> Vec<CustomerReply> {
    let item = |kind, points, full: bool| PointItem {
        at: at(0),
        kind,
        points,
        order: full.then(order),
        expires_at: full.then(|| at(5)),
    };
    let view = |full: bool| PointsView {
        customer: customer(),
        lots: if full { lots() } else { Vec::new() },
        held: 3,
        debt: if full { 0 } else { 4 },
        standing: full.then(|| standing(true)),
        bought: if full { vec![Bought { day: 20_785, minor: 125_000 }] } else { Vec::new() },
        items: PointKind::ALL.iter().map(|kind| item(*kind, 5, full)).collect(),
    };
    [true, false].map(|full| CustomerReply::Points { points: Box::new(view(full)) }).into()
}
