//! What the world must merely hear of: jobs. Nobody waits for them, and no entity stays in memory for one. A job is a row, written in the
//! transaction of what it follows from; what has come of a try is decided here.
//!
//! A try whose outcome nobody knows is not a try that failed: before the job is tried again the target is asked what it has, where it can be
//! asked. Where it cannot, its own rule decides whether to do it twice or not at all.

use super::backoff::backoff_ms;
use super::ids::{AccountId, EntityRef, JobId, Kind, SignUpId};
use super::time::Timestamp;
use crate::limits;
use serde::{Serialize, Serializer};
use std::fmt;
use std::time::Duration;
use uuid::Uuid;

/// Who is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// Whoever takes mails.
    Mail,
    /// This server's own orders.
    Orders,
    /// Whoever gives money back.
    Refunds,
    /// This server's own orders, of what couriers tell, and what is told of parcels instead.
    Couriers,
    /// Whoever fetches parcels. What a courier tells does not wait for its answers, and so has a target of its own.
    Bookings,
}

impl Target {
    /// All there are.
    pub const ALL: [Target; 5] = [Target::Mail, Target::Orders, Target::Refunds, Target::Couriers, Target::Bookings];

    /// Its name in the store and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Target::Mail => "mail",
            Target::Orders => "orders",
            Target::Refunds => "refunds",
            Target::Couriers => "couriers",
            Target::Bookings => "bookings",
        }
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobKind {
    /// The buyer is written to that an order is paid.
    OrderPaidMail,
    /// Whoever signs up is sent what verifies the address.
    SignUpMail,
    /// The owner of an account is told that somebody signed up with its address.
    KnownAddressMail,
    /// The owner of an account is sent what sets another password.
    PasswordResetMail,
    /// The owner of an account is told that a session was ended, since a token of it came twice.
    TokenReusedMail,
    /// The owner of an account is told that many try to guess its password.
    ManyAttemptsMail,
    /// Somebody is invited to work here.
    InvitationMail,
    /// Somebody was invited whose address has an account.
    KnownInviteeMail,
    /// The other address of an account is to be verified.
    NewEmailMail,
    /// An account is to have another address: to the one it has.
    EmailChangeMail,
    /// What was bought as a guest with the verified address of an account is to belong to it.
    AttachOrders,
    /// Money of an order is given back.
    RefundOrder,
    /// The provider of an order's payment is asked what has become of it: whether it is disputed, and whether a bank returned a refund.
    LookAtPayment,
    /// An order hears what a courier told of a parcel of it.
    CourierEvent,
    /// Couriers are asked to fetch parcels of an order, or not to fetch them any more.
    BookParcels,
    /// An order looks whether its vendors have begun in time.
    AcceptanceDue,
    /// Couriers are asked what has become of parcels of an order of which they have told nothing for long.
    LookUpParcels,
    /// Whoever waits for parcels of an order is to see what the staff corrected.
    CorrectTracking,
}

impl JobKind {
    /// All there are.
    pub const ALL: [JobKind; 18] = [
        JobKind::OrderPaidMail,
        JobKind::SignUpMail,
        JobKind::KnownAddressMail,
        JobKind::PasswordResetMail,
        JobKind::TokenReusedMail,
        JobKind::ManyAttemptsMail,
        JobKind::InvitationMail,
        JobKind::KnownInviteeMail,
        JobKind::NewEmailMail,
        JobKind::EmailChangeMail,
        JobKind::AttachOrders,
        JobKind::RefundOrder,
        JobKind::LookAtPayment,
        JobKind::CourierEvent,
        JobKind::BookParcels,
        JobKind::AcceptanceDue,
        JobKind::LookUpParcels,
        JobKind::CorrectTracking,
    ];

    /// Its name in the store, in the API and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            JobKind::OrderPaidMail => "order_paid_mail",
            JobKind::SignUpMail => "sign_up_mail",
            JobKind::KnownAddressMail => "known_address_mail",
            JobKind::PasswordResetMail => "password_reset_mail",
            JobKind::TokenReusedMail => "token_reused_mail",
            JobKind::ManyAttemptsMail => "many_attempts_mail",
            JobKind::InvitationMail => "invitation_mail",
            JobKind::KnownInviteeMail => "known_invitee_mail",
            JobKind::NewEmailMail => "new_email_mail",
            JobKind::EmailChangeMail => "email_change_mail",
            JobKind::AttachOrders => "attach_orders",
            JobKind::RefundOrder => "refund_order",
            JobKind::LookAtPayment => "look_at_payment",
            JobKind::CourierEvent => "courier_event",
            JobKind::BookParcels => "book_parcels",
            JobKind::AcceptanceDue => "acceptance_due",
            JobKind::LookUpParcels => "look_up_parcels",
            JobKind::CorrectTracking => "correct_tracking",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether there may be however many about one order.
    pub const fn comes_again(self) -> bool {
        matches!(
            self,
            JobKind::LookAtPayment
                | JobKind::CourierEvent
                | JobKind::BookParcels
                | JobKind::LookUpParcels
                | JobKind::CorrectTracking
                | JobKind::AcceptanceDue
        )
    }

    /// Who is called for it.
    pub const fn target(self) -> Target {
        match self {
            JobKind::OrderPaidMail
            | JobKind::SignUpMail
            | JobKind::KnownAddressMail
            | JobKind::PasswordResetMail
            | JobKind::TokenReusedMail
            | JobKind::ManyAttemptsMail
            | JobKind::InvitationMail
            | JobKind::KnownInviteeMail
            | JobKind::NewEmailMail
            | JobKind::EmailChangeMail => Target::Mail,
            JobKind::AttachOrders | JobKind::AcceptanceDue => Target::Orders,
            JobKind::RefundOrder | JobKind::LookAtPayment => Target::Refunds,
            JobKind::CourierEvent | JobKind::CorrectTracking => Target::Couriers,
            JobKind::BookParcels | JobKind::LookUpParcels => Target::Bookings,
        }
    }
}

/// What a job is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum About {
    /// An entity.
    Entity(EntityRef),
    /// An account.
    Account(AccountId),
    /// A sign-up.
    SignUp(SignUpId),
}

impl About {
    /// The name of its kind in the store.
    pub fn kind_name(self) -> &'static str {
        match self {
            About::Entity(entity) => entity.kind.name(),
            About::Account(_) => AccountId::PREFIX,
            About::SignUp(_) => SignUpId::PREFIX,
        }
    }

    /// Its id.
    pub fn uuid(self) -> Uuid {
        match self {
            About::Entity(entity) => entity.uuid,
            About::Account(id) => id.uuid(),
            About::SignUp(id) => id.uuid(),
        }
    }

    /// What stands in the store as these.
    pub fn from_parts(kind: &str, uuid: Uuid) -> Option<Self> {
        match kind {
            AccountId::PREFIX => Some(About::Account(AccountId::from_uuid(uuid))),
            SignUpId::PREFIX => Some(About::SignUp(SignUpId::from_uuid(uuid))),
            _ => Kind::from_name(kind).map(|kind| About::Entity(EntityRef { kind, uuid })),
        }
    }

    /// The entity, where it is one.
    pub fn entity(self) -> Option<EntityRef> {
        match self {
            About::Entity(entity) => Some(entity),
            About::Account(_) | About::SignUp(_) => None,
        }
    }
}

impl From<EntityRef> for About {
    fn from(entity: EntityRef) -> Self {
        About::Entity(entity)
    }
}

impl fmt::Display for About {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            About::Entity(entity) => entity.fmt(to),
            About::Account(id) => id.fmt(to),
            About::SignUp(id) => id.fmt(to),
        }
    }
}

impl Serialize for About {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobState {
    /// It waits for its time.
    Due,
    /// It is being done.
    Sending,
    /// Nobody knows whether it was done. It waits for its time to be looked up.
    Unknown,
    /// Its target is being asked whether it was done; where it was not, it is done now.
    LookingUp,
    /// It was done.
    Done,
    /// There is nothing to do any more, or never was.
    Suppressed,
    /// It is not tried any more, until someone says so.
    GaveUp,
}

impl JobState {
    /// All there are.
    pub const ALL: [JobState; 7] = [
        JobState::Due,
        JobState::Sending,
        JobState::Unknown,
        JobState::LookingUp,
        JobState::Done,
        JobState::Suppressed,
        JobState::GaveUp,
    ];

    /// Its name in the store and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            JobState::Due => "due",
            JobState::Sending => "sending",
            JobState::Unknown => "unknown",
            JobState::LookingUp => "looking_up",
            JobState::Done => "done",
            JobState::Suppressed => "suppressed",
            JobState::GaveUp => "gave_up",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether it waits for its time.
    pub const fn is_waiting(self) -> bool {
        matches!(self, JobState::Due | JobState::Unknown)
    }

    /// Whether a worker is at it.
    pub const fn is_under_way(self) -> bool {
        matches!(self, JobState::Sending | JobState::LookingUp)
    }
}

/// A job, as it is handed to whoever does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// Which. It follows from what the job follows from, and is the same at every try: whoever is called knows the job again by it.
    pub id: JobId,
    /// What is to be done.
    pub kind: JobKind,
    /// What it is about.
    pub about: About,
    /// When it came into being.
    pub made_at: Timestamp,
    /// How often it has been tried, this try included.
    pub tries: u32,
    /// Whether nobody knows what came of an earlier try.
    pub unknown: bool,
}

/// What has come of a try. Reasons are shown to operators and kept: they name no person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TryOutcome {
    /// It was done.
    Done,
    /// There is nothing to do.
    Suppressed(&'static str),
    /// It was not done, and may be later.
    Failed {
        /// Why.
        reason: String,
        /// How long to wait at least, where the target says so.
        retry_after: Option<Duration>,
        /// Whether the target gave no answer at all.
        silent: bool,
    },
    /// Nobody knows whether it was done.
    Unknown {
        /// Why.
        reason: String,
    },
    /// It was not done, and will not be.
    Refused {
        /// Why.
        reason: String,
    },
    /// It was not tried.
    NotTried,
}

impl TryOutcome {
    /// Its name in metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            TryOutcome::Done => "done",
            TryOutcome::Suppressed(_) => "suppressed",
            TryOutcome::Failed { .. } => "failed",
            TryOutcome::Unknown { .. } => "unknown",
            TryOutcome::Refused { .. } => "refused",
            TryOutcome::NotTried => "not_tried",
        }
    }

    /// Whether it was to be done, and is not known to have been.
    pub const fn failed(&self) -> bool {
        match self {
            TryOutcome::Failed { .. } | TryOutcome::Unknown { .. } | TryOutcome::Refused { .. } => true,
            TryOutcome::Done | TryOutcome::Suppressed(_) | TryOutcome::NotTried => false,
        }
    }

    /// Whether the target answered; `None` when it was not called.
    pub const fn answered(&self) -> Option<bool> {
        match self {
            TryOutcome::Done | TryOutcome::Refused { .. } => Some(true),
            TryOutcome::Failed { silent, .. } => Some(!*silent),
            TryOutcome::Unknown { .. } => Some(false),
            TryOutcome::Suppressed(_) | TryOutcome::NotTried => None,
        }
    }
}

/// How a job stands after a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Which.
    pub id: JobId,
    /// Which try it was, from 1.
    pub attempt: u32,
    /// Its state.
    pub state: JobState,
    /// How often it has been tried.
    pub tries: u32,
    /// When it is tried again, where it is.
    pub next_at: Option<Timestamp>,
    /// What an operator reads of it.
    pub note: Option<String>,
}

impl Job {
    /// What follows from the outcome of a try that ended now.
    pub fn after(&self, outcome: TryOutcome, now: Timestamp) -> Tried {
        let tried =
            |state, note| Tried { id: self.id, attempt: self.tries, state, tries: self.tries, next_at: None, note };
        let waits = |state: JobState, reason: String, at_least: Duration| {
            if self.tries >= limits::JOB_TRIES {
                return tried(JobState::GaveUp, Some(reason));
            }
            let key = self.id.uuid().as_u128();
            let wait = backoff_ms(limits::JOB_RETRY_MS, limits::JOB_BACKOFF_MS, self.tries.saturating_sub(1), key);
            let wait = wait.max(u64::try_from(at_least.as_millis()).unwrap_or(u64::MAX));
            Tried {
                next_at: Some(now.plus_millis(i64::try_from(wait).unwrap_or(i64::MAX))),
                ..tried(state, Some(reason))
            }
        };
        match outcome {
            TryOutcome::Done => tried(JobState::Done, None),
            TryOutcome::Suppressed(reason) => tried(JobState::Suppressed, Some(reason.to_owned())),
            TryOutcome::Refused { reason } => tried(JobState::GaveUp, Some(reason)),
            TryOutcome::Unknown { reason } => waits(JobState::Unknown, reason, Duration::ZERO),
            TryOutcome::Failed { reason, retry_after, .. } => {
                // What was unknown is known now: a target that can be asked has said no, and one that cannot has been called again.
                waits(JobState::Due, reason, retry_after.unwrap_or_default())
            }
            TryOutcome::NotTried => {
                let state = if self.unknown { JobState::Unknown } else { JobState::Due };
                Tried { next_at: Some(now), tries: self.tries.saturating_sub(1), ..tried(state, None) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{EntityId, OrderId};
    use uuid::Uuid;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn job(tries: u32, unknown: bool) -> Job {
        Job {
            id: JobId::from_uuid(Uuid::from_u128(7)),
            kind: JobKind::OrderPaidMail,
            about: OrderId::from_uuid(Uuid::from_u128(8)).entity().into(),
            made_at: Timestamp::from_millis(1),
            tries,
            unknown,
        }
    }

    fn failed(retry_after: Option<Duration>) -> TryOutcome {
        TryOutcome::Failed { reason: "no".into(), retry_after, silent: false }
    }

    /// State, tries, the earliest and the latest wait, in milliseconds.
    type Row = (Job, TryOutcome, JobState, u32, Option<(i64, i64)>);

    #[test]
    fn what_follows_from_a_try() {
        let unknown = || TryOutcome::Unknown { reason: "lost".into() };
        let refused = || TryOutcome::Refused { reason: "550".into() };
        let last = limits::JOB_TRIES;
        let table: Vec<Row> = vec![
            (job(1, false), TryOutcome::Done, JobState::Done, 1, None),
            (job(2, true), TryOutcome::Done, JobState::Done, 2, None),
            (job(1, false), TryOutcome::Suppressed("erased"), JobState::Suppressed, 1, None),
            (job(1, false), refused(), JobState::GaveUp, 1, None),
            (job(1, false), failed(None), JobState::Due, 1, Some((1_500, 2_000))),
            (job(3, false), failed(None), JobState::Due, 3, Some((6_000, 8_000))),
            (job(1, false), failed(Some(Duration::from_secs(30))), JobState::Due, 1, Some((30_000, 30_000))),
            (job(200, false), failed(None), JobState::Due, 200, Some((675_000, 900_000))),
            (job(last, false), failed(None), JobState::GaveUp, last, None),
            (job(1, false), unknown(), JobState::Unknown, 1, Some((1_500, 2_000))),
            (job(5, true), unknown(), JobState::Unknown, 5, Some((24_000, 32_000))),
            (job(last, true), unknown(), JobState::GaveUp, last, None),
            (job(5, true), failed(None), JobState::Due, 5, Some((24_000, 32_000))),
            (job(4, false), TryOutcome::NotTried, JobState::Due, 3, Some((0, 0))),
            (job(4, true), TryOutcome::NotTried, JobState::Unknown, 3, Some((0, 0))),
        ];
        for (job, outcome, state, tries, wait) in table {
            let name = format!("{job:?} {outcome:?}");
            let tried = job.after(outcome, NOW);
            assert_eq!((tried.id, tried.state, tried.tries), (job.id, state, tries), "{name}");
            let waits = tried.next_at.map(|at| at.millis_since(NOW));
            assert_eq!(waits.is_some(), state.is_waiting(), "{name}");
            match (waits, wait) {
                (Some(waits), Some((least, most))) => assert!((least..=most).contains(&waits), "{name}: {waits}"),
                (waits, wait) => assert_eq!(waits, wait.map(|_| 0), "{name}"),
            }
        }
    }

    #[test]
    fn names_are_read_back() {
        assert!(JobKind::ALL.into_iter().all(|kind| JobKind::from_name(kind.name()) == Some(kind)));
        assert!(JobState::ALL.into_iter().all(|state| JobState::from_name(state.name()) == Some(state)));
    }
}
