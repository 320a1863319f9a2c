//! The scenarios that the command line describes, as the structure that a file is read into.

use super::arrivals::{Spacing, Stage};
use super::cli::{BuiltIn, Cli, Gaps};
use super::coupon::Coupon;
use super::members::Wholesale;
use super::points::Points;
use super::room::Room;
use super::sale::Sale;
use super::scenario::{Arrival, Basket, Connections, Objectives, RetryWhen, Scenario, Shop, Step};
use super::think::ThinkTime;
use super::values::{Share, Time};

/// Connections of the closed loops when none are asked for.
const CLOSED_LOOP: u32 = 64;

/// The scenario of a command line without a file.
pub fn scenario(cli: &Cli) -> Scenario {
    let (name, arrival, reuse, steps) = match cli.scenario {
        BuiltIn::Rush => ("rush", rush(cli), cli.reuse_connections, rush_steps(cli)),
        BuiltIn::Checkout => ("checkout", closed(cli), true, checkout_steps(cli)),
        BuiltIn::Browse => ("browse", closed(cli), true, vec![browse()]),
    };
    Scenario {
        name: name.into(),
        shop: Shop {
            vendors: cli.vendors,
            skus: cli.skus,
            stock: stock_per_sku(cli),
            price: cli.price.clone(),
            currency: cli.currency.clone(),
            sale: cli.sale_allotment.map(|allotment| Sale {
                allotment,
                limit: cli.sale_limit,
                aliases: cli.aliases,
                patience: Time(cli.sale_patience),
                room: cli.room_capacity.map(|capacity| Room {
                    capacity,
                    admit_per_minute: cli.room_per_minute,
                    claim: Time(cli.room_claim),
                    slot: Time(cli.room_slot),
                    opens_in: Time(cli.room_opens_in),
                }),
            }),
            wholesale: (cli.wholesale > 0.0)
                .then_some(Wholesale { share: Share(cli.wholesale), from: cli.wholesale_from }),
            accounts: Share(cli.accounts),
            coupon: cli.coupon_uses.map(|uses| Coupon {
                uses,
                per_customer: cli.coupon_per_customer,
                budget: cli.coupon_budget.clone(),
                aliases: cli.aliases,
                patience: Time(cli.coupon_patience),
                or_without: cli.coupon_or_without,
            }),
            points: cli.points.map(|each| Points { each, twice: Share(cli.points_twice) }),
        },
        cart: Basket { lines: cli.lines, quantity: cli.quantity },
        arrival,
        connections: Connections {
            at_most: cli.connections,
            reuse,
            timeout: Time(cli.timeout),
            repeats: cli.repeats,
            ..Connections::default()
        },
        steps,
        objectives: Objectives::default(),
    }
}

/// Pieces to put in stock for each SKU that is made.
fn stock_per_sku(cli: &Cli) -> u32 {
    match (cli.stock, cli.scenario) {
        (Some(stock), _) => stock,
        // A use is asked for when the pieces are held: they are not to run out before the coupon does.
        (None, BuiltIn::Rush) if cli.coupon_uses.is_some() && cli.sale_allotment.is_none() => {
            cli.sessions.saturating_mul(cli.quantity.max)
        }
        // Nor before points do; some come with two carts.
        (None, BuiltIn::Rush) if cli.points.is_some() && cli.sale_allotment.is_none() => {
            cli.sessions.saturating_mul(2).saturating_mul(cli.quantity.max)
        }
        (None, BuiltIn::Checkout) => cli.requests.saturating_mul(cli.quantity.max),
        (None, _) => cli.sale_allotment.unwrap_or_default().max(100),
    }
}

/// Sessions that come at a rate are an open model. Without one, and with fewer connections than sessions, each connection takes the next
/// session when it is done: a closed model.
fn rush(cli: &Cli) -> Arrival {
    let sessions = cli.sessions;
    match cli.connections {
        Some(connections) if cli.ramp.is_zero() && connections < sessions => {
            Arrival::Closed { users: connections, sessions: Some(sessions), lasts: None, ramp: Time::default() }
        }
        _ => Arrival::Open {
            spacing: match cli.arrival {
                Gaps::Even => Spacing::Even,
                Gaps::Exponential => Spacing::Exponential,
            },
            stages: vec![match cli.ramp.is_zero() {
                true => Stage::Spike { sessions },
                false => Stage::Steady { rate: None, sessions: Some(sessions), lasts: Time(cli.ramp) },
            }],
        },
    }
}

fn closed(cli: &Cli) -> Arrival {
    let users = cli.connections.unwrap_or(CLOSED_LOOP).min(cli.requests);
    Arrival::Closed { users, sessions: Some(cli.requests), lasts: None, ramp: Time::default() }
}

fn browse() -> Step {
    Step::Browse { think: ThinkTime::default(), abandon: Share::default(), times: 1 }
}

fn check_out(cli: &Cli, think: ThinkTime) -> Step {
    Step::CheckOut {
        think,
        abandon: Share::default(),
        decline: Share(cli.decline),
        retry: Share(cli.retry),
        retry_when: RetryWhen::AtOnce,
        key: cli.keys,
        wait: cli.wait,
        token: cli.token.clone(),
    }
}

fn rush_steps(cli: &Cli) -> Vec<Step> {
    let think = ThinkTime::from(cli.think);
    let fill = Step::Fill { think, abandon: Share::default(), between: think, beforehand: false };
    let mut steps = vec![browse(), fill];
    if cli.room_capacity.is_some() {
        steps.push(Step::WaitInLine { think, abandon: Share::default(), patience: Time(cli.room_patience) });
    }
    steps.push(check_out(cli, think));
    steps.push(Step::Poll {
        think: ThinkTime::default(),
        abandon: Share::default(),
        every: Time(cli.poll),
        up_to: Time(cli.poll.max(std::time::Duration::from_secs(1))),
        patience: Time(cli.patience),
    });
    steps
}

fn checkout_steps(cli: &Cli) -> Vec<Step> {
    let none = ThinkTime::default();
    vec![Step::Fill { think: none, abandon: Share::default(), between: none, beforehand: true }, check_out(cli, none)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn built(arguments: &[&str]) -> Scenario {
        let scenario = scenario(&Cli::parse_from([&["haat-load"], arguments].concat()));
        assert_eq!(scenario.validate(), Ok(()));
        scenario
    }

    #[test]
    fn checkouts_do_not_run_out_of_stock_unless_asked_to() {
        let measured = ["--scenario", "checkout", "--requests", "500"];
        assert_eq!(built(&measured).shop.stock, 500);
        assert!(built(&measured).prepares());
        assert_eq!(built(&[]).shop.stock, 100);
        assert_eq!(built(&["--stock", "7"]).shop.stock, 7);
        assert_eq!(built(&["--sale-allotment", "500"]).shop.stock, 500);
        assert_eq!(built(&["--sessions", "300", "--points", "5"]).shop.stock, 600);
        assert_eq!(built(&["--sessions", "300", "--coupon-uses", "5", "--quantity", "1..2"]).shop.stock, 600);
    }

    #[test]
    fn a_rush_is_open_unless_connections_are_its_bound() {
        let spike = |sessions| Arrival::Open { spacing: Spacing::Even, stages: vec![Stage::Spike { sessions }] };
        assert_eq!(built(&["--sessions", "5"]).arrival, spike(5));
        assert_eq!(built(&["--sessions", "5", "--connections", "5"]).arrival, spike(5));
        let bound = built(&["--sessions", "5", "--connections", "2"]).arrival;
        assert!(matches!(bound, Arrival::Closed { users: 2, sessions: Some(5), .. }));
        let ramp =
            built(&["--sessions", "5", "--connections", "2", "--ramp", "1s", "--arrival", "exponential"]).arrival;
        assert!(matches!(ramp, Arrival::Open { spacing: Spacing::Exponential, .. }));
        assert_eq!(ramp.sessions(), Some(5));
        assert_eq!(built(&["--scenario", "browse", "--requests", "7"]).arrival.sessions(), Some(7));
    }
}
