//! Two carts become one, and every message is lost, every one comes twice, and the node or the actor crashes at every record:
//! no piece is lost, and none is there twice.

use crate::world::shop::{buyer, cart, sku, vendor};
use crate::world::{CrashOf, Faults, World};
use haat::domain::cart::{Cart, CartCommand, CartLine, CartReply, CartStatus, LeftOut};
use haat::domain::entity::Principal;
use haat::domain::ids::{CartId, CustomerId, EntityId};
use haat::domain::money::Currency;
use haat::domain::reject::{Reject, RejectKind};
use haat::limits;
use uuid::Uuid;

/// What the guest has: the last of it is not sold here.
const GUESTS: [((usize, usize), i64); 3] = [((0, 0), 2), ((1, 0), 3), ((1, 9), 4)];

fn customer() -> CustomerId {
    CustomerId::from_uuid(Uuid::from_u128(0x0188_bac7_4afa_7000_8000_0000_0000_0500))
}

fn own() -> CartId {
    CartId::of_customer(customer(), 0)
}

fn set(world: &mut World, of: (usize, usize), quantity: i64) {
    let (line, by) = (line(of, quantity), Principal::Customer(customer()));
    let set = CartCommand::SetLine { by, line, currency: Currency::BDT };
    world.ask::<Cart>(own(), set).expect("a cart answers").expect("it is open");
}

fn line(of: (usize, usize), quantity: i64) -> CartLine {
    let title = format!("SKU {}/{}", of.0, of.1);
    CartLine { sku: sku(of.0, of.1), vendor: vendor(of.0), title, quantity, unit_price: 1_000, sale: None }
}

/// Two carts, of which one has nearly as much of a SKU as it may have.
fn ready() -> World {
    let mut world = World::shop(1);
    for (of, quantity) in GUESTS {
        world.set_line(0, of, quantity).unwrap();
    }
    let open = CartCommand::Open { customer: customer(), currency: Currency::BDT };
    world.ask::<Cart>(own(), open).unwrap().unwrap();
    set(&mut world, (0, 0), limits::LINE_QUANTITY - 1);
    set(&mut world, (0, 1), 7);
    world
}

fn ask_for(world: &mut World) -> Option<Result<CartReply, Reject>> {
    let by = Principal::Customer(customer());
    world.ask::<Cart>(own(), CartCommand::MayMerge { by, from: cart(0) }).unwrap().unwrap();
    let given = world.ask::<Cart>(cart(0), CartCommand::MergeInto { by: buyer(0), into: own() }).unwrap();
    assert_eq!(given, Ok(CartReply::Merging { into: own() }));
    world.ask::<Cart>(own(), CartCommand::AwaitMerge { by, from: cart(0), refused: None })
}

fn pieces(lines: &[CartLine]) -> Vec<(String, i64)> {
    lines.iter().map(|line| (line.title.clone(), line.quantity)).collect()
}

fn assert_merged(world: &mut World, case: &str) {
    assert!(!world.anything_outstanding(), "{case}: something is outstanding");
    let Some(Ok(CartReply::Merged { cart: view, left_out })) = ask_for(world) else { panic!("{case}: no answer") };
    let all = [("SKU 0/0", limits::LINE_QUANTITY), ("SKU 0/1", 7), ("SKU 1/0", 3)];
    assert_eq!(pieces(&view.lines), all.map(|(title, quantity)| (title.to_owned(), quantity)), "{case}");
    let left = [
        LeftOut { sku: sku(0, 0), quantity: 1, why: RejectKind::QuantityOutOfRange },
        LeftOut { sku: sku(1, 9), quantity: 4, why: RejectKind::SkuUnknown },
    ];
    assert_eq!(left_out, left, "{case}");
    let guests = world.cart_view(0);
    assert_eq!((guests.status, guests.merged_into), (CartStatus::Merged, Some(own())), "{case}");
    assert_eq!(world.history(cart(0).entity()).iter().filter(|event| *event == "merged").count(), 1, "{case}");
    assert_eq!(world.history(own().entity()).iter().filter(|event| *event == "merged_in").count(), 1, "{case}");
}

/// A merge, with faults from its beginning on: where it begins, records and messages.
fn run(faults: impl Fn(usize, u64) -> Faults) -> (World, usize, u64) {
    let mut world = ready();
    let (records, sent) = (world.records, world.sent);
    world.faults = faults(records, sent);
    assert_eq!(ask_for(&mut world), None, "the lines are on their way");
    world.settle();
    let (records, sent) = (world.records - records, world.sent - sent);
    world.faults = Faults::default();
    (world, records, sent)
}

#[test]
fn a_merge_comes_to_the_same_whatever_is_lost_repeated_or_crashes() {
    let (mut plain, records, messages) = run(|_, _| Faults::default());
    assert_merged(&mut plain, "nothing goes wrong");
    assert!(records >= 3 && messages >= 2, "{records} records, {messages} messages");
    for (twice, echo) in [(true, false), (false, true), (true, true)] {
        let (mut world, ..) = run(|_, _| Faults { twice, echo, ..Faults::default() });
        assert_merged(&mut world, &format!("twice {twice}, echo {echo}"));
        assert_eq!(world.happened(), plain.happened());
    }
    for number in 0..messages {
        let (mut world, ..) = run(|_, sent| Faults { lose: Some(sent + number), ..Faults::default() });
        assert_merged(&mut world, &format!("message {number} lost"));
        assert_eq!(world.happened(), plain.happened());
    }
    for number in 1..=records {
        for of in [CrashOf::Node, CrashOf::Actor] {
            for (echo, checkpoint) in [(false, None), (true, None), (true, Some(number))] {
                let (mut world, ..) = run(|records, _| {
                    let checkpoint = checkpoint.map(|number| records + number);
                    Faults { echo, crash: Some((records + number, of)), checkpoint, ..Faults::default() }
                });
                assert_merged(&mut world, &format!("{of:?} crashed at record {number}, echo {echo}, {checkpoint:?}"));
                world.checkpoint();
            }
        }
    }
}

#[test]
fn whoever_waits_for_a_merge_is_told_when_it_is_done() {
    let (world, ..) = run(|_, _| Faults::default());
    let told = &world.carts[&own()].told;
    assert!(matches!(&told[..], [(CartCommand::AwaitMerge { .. }, answer)] if answer.outcome.is_ok()), "{told:?}");
}

#[test]
fn what_is_given_to_a_cart_that_is_bought_is_left_out_and_told() {
    let mut world = ready();
    world.availability_blind = true;
    assert_eq!(ask_for(&mut world), None);
    // The lines are under way when the cart is checked out.
    let by = Principal::Customer(customer());
    let details = Box::new(crate::world::shop::details(crate::world::gateway::APPROVE, None));
    world.ask::<Cart>(own(), CartCommand::CheckOut { by, details }).unwrap().unwrap();
    world.settle();
    let Some(Ok(CartReply::Merged { cart: view, left_out })) = ask_again(&mut world) else { panic!("no answer") };
    assert_eq!(pieces(&view.lines).len(), 2, "its order is about what was in it");
    let all: Vec<_> = left_out.iter().map(|left| (left.quantity, left.why)).collect();
    assert_eq!(all, [2, 3, 4].map(|quantity| (quantity, RejectKind::CartCheckingOut)));
}

fn ask_again(world: &mut World) -> Option<Result<CartReply, Reject>> {
    let by = Principal::Customer(customer());
    world.ask::<Cart>(own(), CartCommand::AwaitMerge { by, from: cart(0), refused: None })
}
