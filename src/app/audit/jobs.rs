//! Jobs: none is about what did not happen, and none was made twice.

use super::super::text::counted;
use super::facts::Facts;
use super::{Breaches, Finding};
use crate::domain::ids::{EntityRef, JobId, Kind, OrderId};
use crate::domain::job::{About, JobKind};
use std::collections::BTreeMap;

/// The jobs about the orders at hand. They were read before the journal: what they follow from is in it. What ended long ago is forgotten.
pub(super) type JobFacts = Vec<(JobId, JobKind, About)>;

/// Holds jobs against their orders.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    count: u64,
    breaches: Breaches,
}

impl Jobs {
    /// Counts jobs of which nothing is to be said.
    pub(super) fn pass_over(&mut self, jobs: u64) {
        self.count += jobs;
    }

    /// Looks at those about the orders at hand.
    pub(super) fn look(&mut self, facts: &Facts) {
        self.count += facts.jobs.len() as u64;
        judge(facts, &mut self.breaches);
    }

    /// What was found.
    pub(super) fn finish(self) -> Finding {
        let looked_at = format!("{} about what happened, each once", counted(self.count, "job"));
        Finding::new("jobs", looked_at, self.breaches)
    }
}

fn judge(facts: &Facts, breaches: &mut Breaches) {
    let mut first: BTreeMap<(JobKind, EntityRef), JobId> = BTreeMap::new();
    let mut refunds: BTreeMap<EntityRef, usize> = BTreeMap::new();
    for (id, kind, about) in &facts.jobs {
        // What is about an account may come to it again.
        let Some(about) = about.entity() else { continue };
        let order = facts.orders.get(&OrderId::from_uuid(about.uuid)).filter(|_| about.kind == Kind::Order);
        if kind.comes_again() {
            // An order may be looked at, and look at itself, however often, a courier may tell of whatever it likes, and a parcel is known by
            // its name.
            continue;
        }
        if *kind == JobKind::RefundOrder {
            // One for each time that a refund was asked for, and those that took the place of a missing one; those that were done long ago are
            // forgotten.
            let versions = order.map_or(0, |order| order.version);
            let put_back = |version| JobId::put_back(OrderId::from_uuid(about.uuid), kind.name(), version);
            if (0..=versions).any(|version| put_back(version) == *id) {
                continue;
            }
            let jobs = refunds.entry(about).or_insert(0usize);
            *jobs += 1;
            let asked = facts.given_back.get(&OrderId::from_uuid(about.uuid)).map_or(0, |given_back| given_back.asked);
            if *jobs > asked && !facts.is_broken(about) {
                breaches.add(format!("{id}: {jobs} jobs give money of {about} back, which asked for {asked}"));
            }
            continue;
        }
        if let Some(other) = first.insert((*kind, about), *id) {
            breaches.add(format!("{id} and {other}: both are the {} of {about}", kind.name()));
        }
        if facts.is_broken(about) {
            continue;
        }
        match (kind, order) {
            (JobKind::OrderPaidMail, None) => {
                breaches.add(format!("{id}: it is about {about}, and there is no such order"));
            }
            (JobKind::OrderPaidMail, Some(order)) => {
                // One that cost nothing was paid, too, and may be cancelled since.
                if order.row.amounts.paid == 0 && !order.is_sold() {
                    breaches.add(format!("{id}: it says that {about} is paid, and it never was"));
                }
            }
            (_, _) => breaches.add(format!("{id}: a {} is not about {about}", kind.name())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::samples::{facts, order, order_id};
    use super::*;
    use crate::domain::ids::EntityId;
    use crate::domain::order::Phase;
    use uuid::Uuid;

    fn check(facts: &Facts) -> Finding {
        let mut jobs = Jobs::default();
        jobs.look(facts);
        jobs.finish()
    }

    fn job(number: u128, about: EntityRef) -> (JobId, JobKind, About) {
        (JobId::from_uuid(Uuid::from_u128(number)), JobKind::OrderPaidMail, about.into())
    }

    #[test]
    fn money_is_given_back_as_often_as_it_was_asked_for() {
        let mut facts = facts();
        let about = order_id(1).entity();
        let refund = |number| (JobId::from_uuid(Uuid::from_u128(number)), JobKind::RefundOrder, about.into());
        facts.given_back.entry(order_id(1)).or_default().asked = 2;
        facts.jobs = vec![refund(1), refund(2)];
        assert_eq!(check(&facts).breaches.told(), &[] as &[String]);
        facts.jobs.push(refund(3));
        assert!(check(&facts).breaches.told()[0].contains("3 jobs give money"));
    }

    #[test]
    fn a_job_is_about_an_order_that_was_paid_and_there_is_one() {
        let mut facts = facts();
        let about = order_id(1).entity();
        facts.jobs = vec![job(1, about)];
        assert_eq!(check(&facts).breaches.told(), &[] as &[String]);
        facts.jobs.push(job(2, about));
        assert!(check(&facts).breaches.told()[0].contains("both are the order_paid_mail of"));
        facts.jobs = vec![job(3, order_id(77).entity())];
        assert!(check(&facts).breaches.told()[0].contains("there is no such order"));
        facts.jobs = vec![job(1, about)];
        facts.orders.insert(order_id(1), order(1));
        assert!(check(&facts).breaches.told()[0].contains("and it never was"));
        // One that cost nothing was paid, and is cancelled since.
        facts.orders.get_mut(&order_id(1)).unwrap().phase = Phase::Settled;
        assert_eq!(check(&facts).breaches.count(), 0);
        facts.orders.insert(order_id(1), order(1));
        facts.broken.insert(about);
        assert_eq!(check(&facts).breaches.count(), 0);
    }
}
