//! Who of the staff sees to points: gives some, takes some back, more than there are at times, and says anew what orders earn.

use super::pricer::tell_of_tables;
use super::saver::{SAVERS, saver};
use super::shopper::{OFFICE, shopper};
use super::{Day, Person};
use crate::node::Town;
use haat::domain::customer::{Customer, CustomerCommand, GivenFor, PointCommand};
use haat::domain::entity::Principal;
use haat::domain::loyalty::WHOLE;
use haat::domain::money::{Currency, Money};
use haat::domain::pricing::Tables;
use std::sync::Arc;

/// One, in a shop that has a programme.
pub fn come(town: &Arc<Town>) -> Vec<Day> {
    let day = |_: &_| Box::pin(give(Person::new(town, "giver".to_owned()))) as Day;
    town.world.plan.programme.iter().map(day).collect()
}

async fn give(mut person: Person) {
    for turn in 0..person.world().plan.actions {
        person.pause(2 * person.world().plan.think_ms).await;
        if person.chance.per_mille(50) {
            change(&person).await;
        }
        let (tag, chance) = (person.tag(), &person.chance);
        let customer = match chance.per_mille(800) {
            true => saver(chance.below(SAVERS)),
            false => shopper(*chance.pick(&[0, 1, OFFICE])),
        };
        // Worth up to a few pieces; first of all they have to have some.
        let points = chance.between(1, 40) as i64 * *chance.pick(&[1, 1, 10]);
        let takes = turn > 10 && chance.per_mille(250);
        let points = if takes { -2 * points } else { points };
        let until = chance.below(2 * 24 * 3_600_000) as i64;
        let expires_at = chance.per_mille(400).then(|| person.world().now().plus_millis(until));
        let (by, reason) = (Principal::SHOP, *chance.pick(&[GivenFor::Goodwill, GivenFor::Correction]));
        let command = CustomerCommand::Points(PointCommand::GivePoints { by, points, reason, expires_at });
        let key = chance.per_mille(500).then(|| Person::key(&tag));
        let again = key.is_some() && chance.per_mille(300);
        person.ask::<Customer>(customer, "give points", command.clone(), person.how(key, false)).await;
        if again {
            person.ask::<Customer>(customer, "give points again", command, person.how(key, false)).await;
        }
    }
}

/// Orders earn something else from now on, and points are worth something else.
async fn change(person: &Person) {
    let (earns, worth) = (*person.chance.pick(&[0, 500, WHOLE]), *person.chance.pick(&[1, 7, 100]));
    let next = person.world().next_programme(|programme| {
        programme.earn_basis_points = earns;
        programme.point_values = vec![Money::new(worth, Currency::BDT)];
    });
    person.town.write_tables(|before| Tables { loyalty: next, ..before });
    tell_of_tables(person).await;
}
