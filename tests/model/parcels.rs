//! Packing, parcels, cancels and returns of one paid order, in any order of steps, against a warehouse that knows where each single piece is. The
//! warehouse calls nothing of the code that it judges: it says what may be done, where every piece is then, and how many need not be paid.

use crate::random::config;
use crate::world::World;
use crate::world::gateway::APPROVE;
use crate::world::shop::{buyer, sku, vendor};
use haat::domain::buyer::Mint;
use haat::domain::courier::CourierStatus;
use haat::domain::entity::Principal;
use haat::domain::entity::concerns::*;
use haat::domain::ids::{CreditId, ReturnId, ShipmentId, SkuId};
use haat::domain::knowledge::Knowledge;
use haat::domain::money::slice;
use haat::domain::order::{
    Condition, CourierSays, CreditReason, CreditSeed, HoldReason, NewParcel, NewReturn, Order, OrderCommand,
    OrderStatus, OrderView, ParcelEnd, ParcelStep, ReceivedLine, ReturnStep, Wanted,
};
use haat::domain::reject::Reject;
use haat::domain::time::Timestamp;
use haat::domain::vendor::WantedLine;
use haat::limits;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;
use uuid::Uuid;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What somebody does. Numbers choose among what there is; 0 pieces means all of them.
#[derive(Clone, Debug)]
enum Op {
    Pack { of: usize, pieces: i64 },
    Unpack { of: usize },
    Hold(usize),
    Resume(usize),
    Ship { of: usize, pieces: i64, booked: bool },
    Says { which: usize, what: usize },
    Told { which: usize, what: usize },
    HandOver(usize),
    Deliver { which: usize, accepted: i64 },
    Unbox(usize),
    Back(usize),
    Lost(usize),
    Correct { which: usize, to: ParcelEnd },
    Cancel { of: usize, pieces: i64 },
    CancelAll,
    Refund { of: usize, pieces: i64, restock: bool },
    Ask { of: usize, pieces: i64, by_shop: bool },
    Approve(usize),
    Deny(usize),
    Receive { which: usize, good: i64, damaged: i64 },
    Close(usize),
    Keep(usize),
    Wait(i64),
}

fn op() -> impl Strategy<Value = Op> {
    let of = || 0..2usize;
    let which = || 0..8usize;
    prop_oneof![
        2 => (of(), 0..4i64).prop_map(|(of, pieces)| Op::Pack { of, pieces }),
        1 => of().prop_map(|of| Op::Unpack { of }),
        1 => of().prop_map(Op::Hold),
        2 => of().prop_map(Op::Resume),
        5 => (of(), 0..4i64, any::<bool>()).prop_map(|(of, pieces, booked)| Op::Ship { of, pieces, booked }),
        5 => (which(), 0..4usize).prop_map(|(which, what)| Op::Says { which, what }),
        4 => (which(), 0..6usize).prop_map(|(which, what)| Op::Told { which, what }),
        4 => which().prop_map(Op::HandOver),
        4 => (which(), 0..4i64).prop_map(|(which, accepted)| Op::Deliver { which, accepted }),
        1 => which().prop_map(Op::Unbox),
        2 => which().prop_map(Op::Back),
        1 => which().prop_map(Op::Lost),
        3 => (which(), 0..3usize).prop_map(|(which, to)| Op::Correct { which, to: ParcelEnd::ALL[to] }),
        3 => (of(), 0..4i64).prop_map(|(of, pieces)| Op::Cancel { of, pieces }),
        1 => Just(Op::CancelAll),
        2 => (of(), 1..4i64, any::<bool>()).prop_map(|(of, pieces, restock)| Op::Refund { of, pieces, restock }),
        3 => (of(), 1..4i64, any::<bool>()).prop_map(|(of, pieces, by_shop)| Op::Ask { of, pieces, by_shop }),
        3 => which().prop_map(Op::Approve),
        1 => which().prop_map(Op::Deny),
        3 => (which(), 0..3i64, 0..3i64).prop_map(|(which, good, damaged)| Op::Receive { which, good, damaged }),
        1 => which().prop_map(Op::Close),
        1 => which().prop_map(Op::Keep),
        1 => (1..20i64).prop_map(Op::Wait),
    ]
}

/// Where a piece is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Shelf,
    Packed,
    Boxed(usize),
    Out(usize),
    Accepted(usize),
    /// Not accepted, and on its way back.
    Refused(usize),
    /// Not accepted, and back.
    Back,
    Lost(usize),
    Cancelled,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Slip {
    Asked,
    Allowed,
    Over,
    Came,
}

/// A return, as the warehouse writes it down: of which line, how many pieces, how it stands, what came.
#[derive(Clone, Copy, Debug)]
struct Paper {
    of: usize,
    pieces: i64,
    slip: Slip,
    came: i64,
    is_closed: bool,
}

/// A parcel.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Crate {
    of: usize,
    delivered: Option<Timestamp>,
    /// Whether a courier may fetch it, and whether it has said so.
    courier: Option<bool>,
    cancelling: bool,
    /// What was put into it, and how often somebody corrected what became of that.
    pieces: i64,
    corrections: u32,
}

/// A cancel that waits for couriers.
#[derive(Clone, Debug)]
struct Wished {
    number: u128,
    of: usize,
    pieces: Vec<i64>,
    waits: Vec<usize>,
}

/// One line of the order.
#[derive(Clone, Debug)]
struct Shelf {
    of: usize,
    sku: SkuId,
    pieces: Vec<At>,
    /// Credited after they were handed over.
    after: i64,
    /// In stock again.
    restocked: i64,
    sent_back: i64,
}

impl Shelf {
    fn count(&self, is: impl Fn(At) -> bool) -> i64 {
        self.pieces.iter().filter(|at| is(**at)).count() as i64
    }

    fn is_inside(at: At) -> bool {
        matches!(at, At::Shelf | At::Packed | At::Boxed(_))
    }

    fn shipped(&self) -> i64 {
        self.count(|at| !Self::is_inside(at) && at != At::Cancelled)
    }

    fn cancelled(&self) -> i64 {
        self.count(|at| at == At::Cancelled)
    }

    /// So many pieces go from the first of these places that has some.
    fn take(&mut self, pieces: i64, from: &[At], to: At) {
        for _ in 0..pieces {
            let place = from.iter().find_map(|from| self.pieces.iter().position(|at| at == from));
            self.pieces[place.expect("there is such a piece")] = to;
        }
    }

    fn all(&mut self, from: At, to: At) {
        self.pieces.iter_mut().filter(|at| **at == from).for_each(|at| *at = to);
    }

    /// So many are in stock again, but for those that somebody said to be before.
    fn restock(&mut self, pieces: i64) {
        self.restocked += pieces.min(self.shipped() - self.restocked);
    }

    /// So many need not be paid, as far as they were not credited before.
    fn credit(&mut self, pieces: i64) {
        self.after += pieces.min(self.shipped() - self.after);
    }
}

struct Story {
    order: Order,
    now: Timestamp,
    number: u128,
    lines: Vec<Shelf>,
    held: [bool; 2],
    parcels: Vec<Crate>,
    wishes: Vec<Wished>,
    papers: Vec<Paper>,
}

impl Story {
    fn new() -> Self {
        let mut world = World::shop(2);
        let quantities = [((0, 0), 5), ((0, 1), 2), ((1, 0), 4)];
        for (of, quantity) in quantities {
            world.set_line(0, of, quantity).unwrap();
        }
        let (order, _) = world.check_out(0, APPROVE, None).unwrap();
        world.settle();
        let line = |((of, number), quantity): ((usize, usize), i64)| Shelf {
            of,
            sku: sku(of, number),
            pieces: vec![At::Shelf; quantity as usize],
            after: 0,
            restocked: 0,
            sent_back: 0,
        };
        Self {
            order: world.orders[&order].entity.clone(),
            now: world.now,
            number: 0,
            lines: quantities.map(line).to_vec(),
            held: [false; 2],
            parcels: Vec::new(),
            wishes: Vec::new(),
            papers: Vec::new(),
        }
    }

    fn view(&self) -> OrderView {
        self.order.view(Principal::SHOP).expect("it is the staff's")
    }

    fn command(&mut self, command: &OrderCommand) -> Result<(), Reject> {
        let events = self.order.decide(command, &Knowledge::NOTHING, self.now)?;
        for event in &events {
            self.order.apply(event, self.now);
            self.order.check().unwrap_or_else(|breach| panic!("{command:?}: {event:?}: {breach:?}"));
        }
        // What was done is not done again.
        let again = self.order.decide(command, &Knowledge::NOTHING, self.now);
        if matches!(command, OrderCommand::Ship { .. } | OrderCommand::MoveParcel { .. } | OrderCommand::Credit { .. })
        {
            assert_eq!(again, Ok(Vec::new()), "{command:?}");
        }
        Ok(())
    }

    fn seed(&mut self) -> CreditSeed {
        self.number += 1;
        let id = CreditId::from_uuid(Uuid::from_u128(self.number));
        CreditSeed { id, mint: Mint([1; 4]), reason: CreditReason::Other }
    }

    /// The first line of a vendor.
    fn first(&mut self, of: usize) -> &mut Shelf {
        self.lines.iter_mut().find(|line| line.of == of).expect("each vendor has a line")
    }

    fn own(&mut self, of: usize) -> impl Iterator<Item = &mut Shelf> {
        self.lines.iter_mut().filter(move |line| line.of == of)
    }

    fn has(&mut self, of: usize, is: impl Fn(At) -> bool) -> bool {
        self.own(of).any(|line| line.count(&is) > 0)
    }

    fn wanted(of: usize, pieces: i64) -> Vec<WantedLine> {
        if pieces == 0 { Vec::new() } else { vec![WantedLine { sku: sku(of, 0), quantity: pieces }] }
    }

    /// Does it, and compares what is answered with what the warehouse says.
    fn ask(&mut self, command: &OrderCommand, may: bool) -> bool {
        let before = self.order.clone();
        let done = self.command(command);
        assert_eq!(done.is_ok(), may, "{command:?}: {done:?}, {:?} {:?}", self.lines, self.parcels);
        if done.is_err() {
            assert_eq!(self.order, before, "what is refused changes nothing");
        }
        may
    }

    fn parcel(&self, which: usize) -> Option<usize> {
        (!self.parcels.is_empty()).then(|| which % self.parcels.len())
    }

    fn step_of(&mut self, parcel: usize, step: ParcelStep, may: bool) -> bool {
        let (by, seed) = (Principal::SHOP, self.seed());
        let shipment = ShipmentId::from_uuid(Uuid::from_u128(parcel as u128));
        self.ask(&OrderCommand::MoveParcel { by, shipment, step: Box::new(step), seed }, may)
    }

    fn paper(&self, which: usize) -> Option<usize> {
        (!self.papers.is_empty()).then(|| which % self.papers.len())
    }

    fn step_of_return(&mut self, paper: usize, step: ReturnStep, may: bool) -> bool {
        let (by, seed) = (Principal::SHOP, self.seed());
        let id = ReturnId::from_uuid(Uuid::from_u128(paper as u128));
        self.ask(&OrderCommand::MoveReturn { by, id, step: Box::new(step), seed }, may)
    }

    /// It is on its way: what waited for its courier is not cancelled.
    fn left(&mut self, parcel: usize) {
        if std::mem::take(&mut self.parcels[parcel].cancelling) {
            self.wishes.retain(|wish| !wish.waits.contains(&parcel));
        }
    }

    /// Parcels that are to be unpacked so that so many pieces of each line can be cancelled, the newest first.
    fn crates_for(&self, of: usize, pieces: &[i64]) -> Vec<usize> {
        let mut crates = Vec::new();
        for (line, pieces) in self.lines.iter().zip(pieces).filter(|(line, _)| line.of == of) {
            let mut free = line.count(|at| matches!(at, At::Shelf | At::Packed));
            for parcel in (0..self.parcels.len()).rev() {
                let there = line.count(|at| at == At::Boxed(parcel));
                if there > 0 && (free < *pieces || crates.contains(&parcel)) {
                    free += there;
                    if !crates.contains(&parcel) {
                        crates.push(parcel);
                    }
                }
            }
        }
        crates
    }

    /// Cancels so many pieces of each line, or waits for couriers.
    fn cancel(&mut self, number: u128, of: usize, pieces: Vec<i64>) {
        let crates = self.crates_for(of, &pieces);
        let waits: Vec<usize> =
            crates.iter().copied().filter(|parcel| self.parcels[*parcel].courier.is_some()).collect();
        if !waits.is_empty() {
            waits.iter().for_each(|parcel| self.parcels[*parcel].cancelling = true);
            self.wishes.push(Wished { number, of, pieces, waits });
            return;
        }
        for parcel in crates {
            self.own(of).for_each(|line| line.all(At::Boxed(parcel), At::Packed));
        }
        for (line, pieces) in self.lines.iter_mut().zip(pieces) {
            line.take(pieces, &[At::Shelf, At::Packed], At::Cancelled);
        }
    }

    /// A courier says that it does not fetch this parcel.
    fn not_fetched(&mut self, parcel: usize) {
        let of = self.parcels[parcel].of;
        self.own(of).for_each(|line| line.all(At::Boxed(parcel), At::Packed));
        self.parcels[parcel].cancelling = false;
        self.wishes.iter_mut().for_each(|wish| wish.waits.retain(|waits| *waits != parcel));
        let granted: Vec<Wished> = self.wishes.iter().filter(|wish| wish.waits.is_empty()).cloned().collect();
        self.wishes.retain(|wish| !wish.waits.is_empty());
        for wish in granted {
            let are_left = |(line, pieces): (&Shelf, &i64)| line.count(Shelf::is_inside) >= *pieces;
            if self.lines.iter().zip(&wish.pieces).all(are_left) {
                self.cancel(wish.number, wish.of, wish.pieces);
            }
        }
    }

    /// Somebody says that in fact something else became of a parcel.
    fn correct(&mut self, which: usize, to: ParcelEnd) {
        let Some(parcel) = self.parcel(which) else { return };
        let Crate { of, pieces, corrections, .. } = self.parcels[parcel];
        let mut count = |is: &dyn Fn(At) -> bool| -> i64 {
            self.own(of).map(|line| line.count(is)).collect::<Vec<_>>().iter().sum()
        };
        let accepted = count(&|at| at == At::Accepted(parcel));
        let lost = count(&|at| at == At::Lost(parcel)) > 0;
        let whole = accepted == pieces;
        let back = self.order.parcels()[parcel].status == haat::domain::order::ShipmentStatus::Returned;
        let is_so = match to {
            ParcelEnd::Delivered => whole,
            ParcelEnd::Returned => back,
            ParcelEnd::Lost => lost,
        };
        // What a buyer sends back is not in a parcel that never arrived.
        let taken = self.taken(of);
        let first = self.first(of);
        let elsewhere = first.count(|at| matches!(at, At::Accepted(_))) - first.count(|at| at == At::Accepted(parcel));
        let may = match to {
            ParcelEnd::Delivered => lost,
            ParcelEnd::Returned => lost || (accepted > 0 && taken <= elsewhere),
            ParcelEnd::Lost => whole && taken <= elsewhere,
        };
        let may = may && corrections < limits::CORRECTIONS_PER_SHIPMENT;
        if !self.step_of(parcel, ParcelStep::Correct { to }, is_so || may) || is_so {
            return;
        }
        self.parcels[parcel].corrections += 1;
        self.parcels[parcel].delivered = (to == ParcelEnd::Delivered).then_some(self.now);
        for line in self.own(of) {
            match to {
                ParcelEnd::Delivered => line.all(At::Lost(parcel), At::Accepted(parcel)),
                ParcelEnd::Lost => line.all(At::Accepted(parcel), At::Lost(parcel)),
                ParcelEnd::Returned => {
                    let came = line.count(|at| at == At::Accepted(parcel) || at == At::Lost(parcel));
                    line.credit(came);
                    line.restock(came + line.count(|at| at == At::Refused(parcel)));
                    for from in [At::Accepted(parcel), At::Lost(parcel), At::Refused(parcel)] {
                        line.all(from, At::Back);
                    }
                }
            }
        }
    }

    /// Pieces of a vendor's first line that are sent back, or were.
    fn taken(&self, of: usize) -> i64 {
        let taken = |paper: &Paper| match paper.slip {
            Slip::Asked | Slip::Allowed => paper.pieces,
            Slip::Came => paper.came,
            Slip::Over => 0,
        };
        self.papers.iter().filter(|paper| paper.of == of).map(taken).sum()
    }

    #[allow(clippy::too_many_lines)]
    fn step(&mut self, op: &Op) {
        let by = Principal::SHOP;
        match *op {
            Op::Pack { of, pieces } => {
                let command = OrderCommand::Pack { by, vendor: vendor(of), lines: Self::wanted(of, pieces) };
                let held = self.held[of];
                let may = match pieces {
                    0 => self.has(of, |at| !matches!(at, At::Cancelled)),
                    pieces => self.first(of).count(|at| at == At::Shelf) >= pieces,
                };
                if self.ask(&command, may && !held) {
                    match pieces {
                        0 => self.own(of).for_each(|line| line.all(At::Shelf, At::Packed)),
                        pieces => self.first(of).take(pieces, &[At::Shelf], At::Packed),
                    }
                }
            }
            Op::Unpack { of } => {
                self.ask(&OrderCommand::Unpack { by, vendor: vendor(of), lines: Vec::new() }, true);
                self.own(of).for_each(|line| line.all(At::Packed, At::Shelf));
            }
            Op::Hold(of) => {
                self.ask(&OrderCommand::HoldShare { by, vendor: vendor(of), reason: HoldReason::Address }, true);
                self.held[of] = true;
            }
            Op::Resume(of) => {
                self.ask(&OrderCommand::ResumeShare { by, vendor: vendor(of) }, true);
                self.held[of] = false;
            }
            Op::Ship { of, pieces, booked } => {
                let parcel = self.parcels.len();
                let id = ShipmentId::from_uuid(Uuid::from_u128(parcel as u128));
                let lines = Self::wanted(of, pieces);
                let new = NewParcel {
                    id,
                    vendor: vendor(of),
                    lines,
                    courier: "own".into(),
                    tracking_number: None,
                    booking: booked.then_some(Mint([2; 4])),
                };
                let is_free = |at| matches!(at, At::Shelf | At::Packed);
                let may = match pieces {
                    0 => self.has(of, is_free),
                    pieces => self.first(of).count(is_free) >= pieces,
                };
                let may = may && !self.held[of] && parcel < limits::SHIPMENTS_PER_ORDER;
                if self.ask(&OrderCommand::Ship { by, parcel: Box::new(new) }, may) {
                    let free = [At::Packed, At::Shelf];
                    match pieces {
                        0 => self.own(of).for_each(|line| line.take(line.count(is_free), &free, At::Boxed(parcel))),
                        pieces => self.first(of).take(pieces, &free, At::Boxed(parcel)),
                    }
                    let courier = booked.then_some(false);
                    let pieces = self.own(of).map(|line| line.count(|at| at == At::Boxed(parcel))).sum();
                    let (delivered, cancelling, corrections) = (None, false, 0);
                    self.parcels.push(Crate { of, delivered, courier, cancelling, pieces, corrections });
                }
            }
            Op::HandOver(which) => {
                let Some(parcel) = self.parcel(which) else { return };
                let of = self.parcels[parcel].of;
                let boxed = self.has(of, |at| at == At::Boxed(parcel));
                let out = self.has(of, |at| at == At::Out(parcel));
                let Crate { courier, cancelling, .. } = self.parcels[parcel];
                let may = (boxed && !self.held[of] && !cancelling && courier != Some(false)) || out;
                if self.step_of(parcel, ParcelStep::HandOver, may) {
                    self.own(of).for_each(|line| line.all(At::Boxed(parcel), At::Out(parcel)));
                    if boxed {
                        self.left(parcel);
                    }
                }
            }
            Op::Deliver { which, accepted } => {
                let Some(parcel) = self.parcel(which) else { return };
                let Crate { of, delivered, courier, .. } = self.parcels[parcel];
                let boxed = self.has(of, |at| at == At::Boxed(parcel));
                let out = self.has(of, |at| matches!(at, At::Out(p) | At::Lost(p) if p == parcel));
                let arrived = delivered.is_some() || self.has(of, |at| matches!(at, At::Refused(p) if p == parcel));
                if arrived {
                    return;
                }
                let is_here = |at| matches!(at, At::Boxed(p) | At::Out(p) | At::Lost(p) if p == parcel);
                let lines: Vec<WantedLine> = self
                    .own(of)
                    .map(|line| WantedLine { sku: line.sku, quantity: accepted.min(line.count(is_here)) })
                    .collect();
                let step = ParcelStep::Deliver { accepted: Some(lines), collected: None };
                if self.step_of(parcel, step, out || (boxed && !self.held[of] && courier != Some(false))) {
                    let mut any = false;
                    for line in self.own(of) {
                        let here = [At::Boxed(parcel), At::Out(parcel), At::Lost(parcel)];
                        let pieces = line.count(is_here);
                        line.take(accepted.min(pieces), &here, At::Accepted(parcel));
                        any |= accepted.min(pieces) > 0;
                        let refused = line.count(is_here);
                        line.take(refused, &here, At::Refused(parcel));
                        line.credit(refused);
                    }
                    self.parcels[parcel].delivered = any.then_some(self.now);
                    self.left(parcel);
                }
            }
            Op::Unbox(which) => {
                let Some(parcel) = self.parcel(which) else { return };
                let of = self.parcels[parcel].of;
                let boxed = self.has(of, |at| at == At::Boxed(parcel));
                // One that is unpacked already may be unpacked again.
                let gone = self.order.parcels()[parcel].status == haat::domain::order::ShipmentStatus::Cancelled;
                if self.step_of(parcel, ParcelStep::Cancel, boxed || gone) && boxed {
                    match self.parcels[parcel].courier {
                        Some(_) => self.parcels[parcel].cancelling = true,
                        None => self.own(of).for_each(|line| line.all(At::Boxed(parcel), At::Packed)),
                    }
                }
            }
            Op::Back(which) => {
                let Some(parcel) = self.parcel(which) else { return };
                let of = self.parcels[parcel].of;
                let out = self.has(of, |at| matches!(at, At::Out(p) | At::Lost(p) if p == parcel));
                let refused = self.has(of, |at| at == At::Refused(parcel));
                let came = self.order.parcels()[parcel].came_back;
                if self.step_of(parcel, ParcelStep::Returned, out || refused || came) {
                    for line in self.own(of) {
                        let all = line.count(|at| matches!(at, At::Out(p) | At::Lost(p) if p == parcel));
                        let back = all + line.count(|at| at == At::Refused(parcel));
                        line.credit(all);
                        line.restock(back);
                        for from in [At::Out(parcel), At::Lost(parcel), At::Refused(parcel)] {
                            line.all(from, At::Back);
                        }
                    }
                }
            }
            Op::Lost(which) => {
                let Some(parcel) = self.parcel(which) else { return };
                let of = self.parcels[parcel].of;
                let may = self.has(of, |at| matches!(at, At::Out(p) | At::Lost(p) if p == parcel));
                if self.step_of(parcel, ParcelStep::Lost, may) {
                    self.own(of).for_each(|line| line.all(At::Out(parcel), At::Lost(parcel)));
                }
            }
            Op::Correct { which, to } => self.correct(which, to),
            Op::Cancel { of, pieces } => {
                let seed = self.seed();
                let wanted = Wanted::Units(Self::wanted(of, pieces));
                let command = OrderCommand::Credit { by, vendor: vendor(of), wanted, seed };
                let may = match pieces {
                    0 => self.has(of, Shelf::is_inside),
                    pieces => self.first(of).count(Shelf::is_inside) >= pieces,
                };
                let number = self.number;
                if self.ask(&command, may) {
                    let first = self.lines.iter().position(|line| line.of == of);
                    let of_line = |(at, line): (usize, &Shelf)| match pieces {
                        0 if line.of == of => line.count(Shelf::is_inside),
                        pieces if Some(at) == first => pieces,
                        _ => 0,
                    };
                    let pieces = self.lines.iter().enumerate().map(of_line).collect();
                    self.cancel(number, of, pieces);
                }
            }
            Op::Says { which, what } => {
                let Some(parcel) = self.parcel(which) else { return };
                let Crate { of, courier, cancelling, .. } = self.parcels[parcel];
                let boxed = self.has(of, |at| at == At::Boxed(parcel));
                let says = [
                    CourierSays::Booked { tracking_number: "P-1".into() },
                    CourierSays::Refused { why: "nobody".into() },
                    CourierSays::NotFetched,
                    CourierSays::TooLate,
                ];
                let shipment = ShipmentId::from_uuid(Uuid::from_u128(parcel as u128));
                // It answers what it was asked alone.
                if courier.is_none() {
                    return;
                }
                self.ask(&OrderCommand::CourierSays { shipment, mint: Mint([2; 4]), says: says[what].clone() }, true);
                match what {
                    _ if !boxed => {}
                    0 if courier == Some(false) => self.parcels[parcel].courier = Some(true),
                    1 | 2 if cancelling => self.not_fetched(parcel),
                    1 if courier == Some(false) => self.parcels[parcel].courier = None,
                    2 => self.parcels[parcel].courier = None,
                    3 => self.left(parcel),
                    _ => {}
                }
            }
            Op::Told { which, what } => {
                let Some(parcel) = self.parcel(which) else { return };
                let of = self.parcels[parcel].of;
                let tells = [
                    CourierStatus::PickedUp,
                    CourierStatus::InTransit,
                    CourierStatus::Delivered,
                    CourierStatus::Refused,
                    CourierStatus::Returned,
                    CourierStatus::Lost,
                ];
                let status = tells[what];
                let shipment = ShipmentId::from_uuid(Uuid::from_u128(parcel as u128));
                // What a courier tells is never refused.
                self.ask(
                    &OrderCommand::CourierTold {
                        shipment,
                        mint: Mint([2; 4]),
                        status,
                        accepted: Vec::new(),
                        collected: None,
                    },
                    true,
                );
                // Of a parcel that no courier was asked for nothing is heard; of one that was corrected nothing is believed.
                if self.parcels[parcel].courier.is_none() || self.parcels[parcel].corrections > 0 {
                    return;
                }
                let boxed = self.has(of, |at| at == At::Boxed(parcel));
                if boxed && status != CourierStatus::InTransit {
                    self.left(parcel);
                    self.own(of).for_each(|line| line.all(At::Boxed(parcel), At::Out(parcel)));
                }
                let is_out = |at| matches!(at, At::Out(p) | At::Lost(p) if p == parcel);
                let out = self.has(of, is_out);
                let lost = self.has(of, |at| at == At::Lost(parcel));
                let now = self.now;
                match status {
                    CourierStatus::Delivered if out => {
                        for line in self.own(of) {
                            line.all(At::Out(parcel), At::Accepted(parcel));
                            line.all(At::Lost(parcel), At::Accepted(parcel));
                        }
                        self.parcels[parcel].delivered = Some(now);
                    }
                    CourierStatus::Refused if out => {
                        for line in self.own(of) {
                            let pieces = line.count(is_out);
                            line.credit(pieces);
                            line.all(At::Out(parcel), At::Refused(parcel));
                            line.all(At::Lost(parcel), At::Refused(parcel));
                        }
                    }
                    CourierStatus::Returned => {
                        for line in self.own(of) {
                            let all = line.count(is_out);
                            let back = all + line.count(|at| at == At::Refused(parcel));
                            line.credit(all);
                            line.restock(back);
                            for from in [At::Out(parcel), At::Lost(parcel), At::Refused(parcel)] {
                                line.all(from, At::Back);
                            }
                        }
                    }
                    CourierStatus::Lost if out && !lost => {
                        self.own(of).for_each(|line| line.all(At::Out(parcel), At::Lost(parcel)));
                    }
                    _ => {}
                }
            }
            Op::CancelAll => {
                let seed = self.seed();
                let any = self.lines.iter().any(|line| line.count(Shelf::is_inside) > 0);
                let shipped = self.lines.iter().any(|line| line.shipped() > 0);
                let number = self.number;
                if self.ask(&OrderCommand::CancelAll { by: buyer(0), seed }, any && !shipped) {
                    for of in 0..2 {
                        let of_line = |line: &Shelf| if line.of == of { line.count(Shelf::is_inside) } else { 0 };
                        let pieces: Vec<i64> = self.lines.iter().map(of_line).collect();
                        if pieces.iter().any(|pieces| *pieces > 0) {
                            self.cancel(number, of, pieces);
                        }
                    }
                }
            }
            Op::Refund { of, pieces, restock } => {
                let seed = self.seed();
                let wanted = Wanted::Shipped { lines: Self::wanted(of, pieces), shipping: false, restock };
                let line = self.first(of);
                let free = line.shipped() - if restock { line.restocked } else { 0 };
                let may = free.min(line.shipped() - line.after) >= pieces;
                if self.ask(&OrderCommand::Credit { by, vendor: vendor(of), wanted, seed }, may) {
                    let line = self.first(of);
                    line.after += pieces;
                    line.restocked += if restock { pieces } else { 0 };
                }
            }
            Op::Ask { of, pieces, by_shop } => {
                let id = ReturnId::from_uuid(Uuid::from_u128(self.papers.len() as u128));
                let (lines, reason) = (Self::wanted(of, pieces), CreditReason::Damaged);
                let wanted = Box::new(NewReturn { id, vendor: vendor(of), lines, reason });
                let open = |parcel: usize| {
                    let until = |at: Timestamp| at.plus_millis(i64::from(limits::RETURN_DAYS) * DAY_MS);
                    self.parcels[parcel].delivered.is_some_and(|at| self.now < until(at))
                };
                let line = self.lines.iter().find(|line| line.of == of).expect("each vendor has a line");
                let arrived = line.count(|at| matches!(at, At::Accepted(_)));
                let in_time = line.count(|at| matches!(at, At::Accepted(parcel) if open(parcel)));
                let taken = self.taken(of);
                let may = arrived - taken >= pieces && (by_shop || in_time >= pieces);
                let may = may && self.papers.len() < limits::RETURNS_PER_ORDER;
                let by = if by_shop { Principal::SHOP } else { buyer(0) };
                if self.ask(&OrderCommand::AskReturn { by, wanted }, may) {
                    self.papers.push(Paper { of, pieces, slip: Slip::Asked, came: 0, is_closed: false });
                }
            }
            Op::Approve(which) => {
                let Some(paper) = self.paper(which) else { return };
                let may = matches!(self.papers[paper].slip, Slip::Asked | Slip::Allowed);
                if self.step_of_return(paper, ReturnStep::Approve, may) {
                    self.papers[paper].slip = Slip::Allowed;
                }
            }
            Op::Deny(which) | Op::Keep(which) => {
                let Some(paper) = self.paper(which) else { return };
                // What is over may be said to be over again, in the same words alone.
                if self.papers[paper].slip == Slip::Over {
                    return;
                }
                let step = if matches!(op, Op::Deny(_)) { ReturnStep::Deny } else { ReturnStep::Cancel };
                let may = matches!(self.papers[paper].slip, Slip::Asked | Slip::Allowed);
                if self.step_of_return(paper, step, may) {
                    self.papers[paper].slip = Slip::Over;
                }
            }
            Op::Receive { which, good, damaged } => {
                let Some(paper) = self.paper(which) else { return };
                if self.papers[paper].slip == Slip::Came {
                    return;
                }
                let Paper { of, pieces, slip, .. } = self.papers[paper];
                let missing = (pieces - good - damaged).max(0);
                let kinds =
                    [(good, Condition::Resellable), (damaged, Condition::Damaged), (missing, Condition::Missing)];
                let line = |(quantity, condition)| ReceivedLine { sku: sku(of, 0), quantity, condition };
                let lines = kinds.map(line).into_iter().filter(|line| line.quantity > 0).collect();
                let may = slip == Slip::Allowed && good + damaged <= pieces;
                if self.step_of_return(paper, ReturnStep::Receive { lines }, may) {
                    (self.papers[paper].slip, self.papers[paper].came) = (Slip::Came, good + damaged);
                    let line = self.first(of);
                    line.credit(good + damaged);
                    line.restock(good);
                    line.sent_back += good + damaged;
                }
            }
            Op::Close(which) => {
                let Some(paper) = self.paper(which) else { return };
                let may = self.papers[paper].slip == Slip::Came;
                if self.step_of_return(paper, ReturnStep::Close, may) {
                    self.papers[paper].is_closed = true;
                }
            }
            Op::Wait(days) => self.now = self.now.plus_millis(days * DAY_MS),
        }
        self.judge();
    }

    /// What holds after every step.
    fn judge(&self) {
        let view = self.view();
        let mut coming_back: BTreeMap<SkuId, i64> = BTreeMap::new();
        for (_, sku, units) in self.order.units_coming_back() {
            *coming_back.entry(sku).or_default() += units;
        }
        for line in &self.lines {
            let shown = view.lines.iter().find(|shown| shown.sku == line.sku).expect("it is shown");
            let goods = shown.moved();
            let said = [goods.packed, goods.in_parcels, goods.shipped, goods.delivered, goods.lost, goods.returned];
            let are = [
                line.count(|at| at == At::Packed),
                line.count(|at| matches!(at, At::Boxed(_))),
                line.shipped(),
                line.count(|at| matches!(at, At::Accepted(_))),
                line.count(|at| matches!(at, At::Lost(_))),
                line.sent_back,
            ];
            assert_eq!(said, are, "{line:?}");
            assert_eq!((shown.cancelled(), goods.credited), (line.cancelled(), line.after), "{line:?}");
            let credited = line.cancelled() + line.after;
            let amount = slice(shown.payable(), 0, credited, shown.quantity);
            assert_eq!((shown.credited, shown.credited_amount), (credited, amount), "{line:?}");
            let back = line.cancelled() + line.restocked;
            assert_eq!(coming_back.get(&line.sku).copied().unwrap_or(0), back, "{line:?}");
        }
        let all = |is: fn(&Shelf) -> bool| self.lines.iter().all(is);
        let has_ended = all(|line| line.cancelled() + line.after == line.pieces.len() as i64);
        let is_complete =
            all(|line| line.count(|at| matches!(at, At::Shelf | At::Packed | At::Boxed(_) | At::Out(_))) == 0);
        let is_begun = !all(|line| line.count(|at| !matches!(at, At::Shelf | At::Cancelled)) == 0);
        let status = match (has_ended, is_complete, is_begun) {
            (true, _, _) => OrderStatus::Refunded,
            (_, true, _) => OrderStatus::Completed,
            (_, _, true) => OrderStatus::Fulfilling,
            _ => OrderStatus::Paid,
        };
        assert_eq!(view.status, status, "{:?}", self.lines);
        assert_eq!(view.cancelling, self.parcels.iter().any(|parcel| parcel.cancelling), "{:?}", self.parcels);
    }
}

#[test]
fn whatever_is_packed_shipped_cancelled_and_sent_back_every_piece_is_somewhere() {
    let mut runner = TestRunner::new(config(1_024));
    runner
        .run(&prop::collection::vec(op(), 1..60), |ops| {
            let mut story = Story::new();
            ops.iter().for_each(|op| story.step(op));
            Ok(())
        })
        .unwrap();
}

/// What chance seldom comes to: corrections beside other parcels of the same line, and couriers that say otherwise afterwards.
#[test]
fn a_correction_moves_the_pieces_of_its_parcel_alone() {
    let ship = |pieces, booked| Op::Ship { of: 0, pieces, booked };
    let deliver = |which, accepted| Op::Deliver { which, accepted };
    let correct = |which, to| Op::Correct { which, to };
    let told = |which, what| Op::Told { which, what };
    let (delivered, returned, lost) = (ParcelEnd::Delivered, ParcelEnd::Returned, ParcelEnd::Lost);
    let two = || vec![ship(3, false), ship(2, false), Op::HandOver(0), Op::HandOver(1), deliver(1, 2)];
    let ways = [
        // Accepted in part; the rest is back, or on its way.
        vec![deliver(0, 1), Op::Back(0), correct(0, returned), Op::Back(0)],
        vec![deliver(0, 1), correct(0, lost), correct(0, delivered), correct(0, returned)],
        // Lost, found, lost again, and given back meanwhile.
        vec![deliver(0, 3), correct(0, lost), correct(0, delivered), correct(0, lost), correct(0, returned)],
        vec![
            deliver(0, 3),
            correct(0, lost),
            Op::Refund { of: 0, pieces: 3, restock: false },
            correct(0, delivered),
            correct(0, returned),
        ],
        vec![Op::Lost(0), correct(0, returned), correct(0, delivered), correct(0, lost)],
        vec![Op::Lost(0), correct(0, delivered), correct(1, returned), Op::Refund { of: 0, pieces: 2, restock: true }],
        // One is being sent back, of whichever parcel.
        vec![
            deliver(0, 3),
            Op::Ask { of: 0, pieces: 3, by_shop: true },
            correct(0, lost),
            correct(1, lost),
            correct(0, returned),
            Op::Keep(0),
            correct(0, returned),
        ],
    ];
    for way in ways {
        let mut story = Story::new();
        two().iter().chain(&way).for_each(|op| story.step(op));
    }
    // What a courier tells after a correction moves nothing, whatever it tells.
    for (end, to) in [(2, lost), (2, returned), (5, delivered), (5, returned)] {
        for what in 0..6 {
            let mut story = Story::new();
            let way = [ship(2, true), told(0, end), correct(0, to), told(0, what), told(0, end), correct(0, returned)];
            way.iter().for_each(|op| story.step(op));
        }
    }
}

/// A cancel, a hand-over by hand, what a courier tells and what it makes of the cancel, in whichever order they come: the pieces are cancelled, or they have
/// left, and never both; and whatever is decided first, nobody waits for ever.
#[test]
fn a_cancel_a_hand_over_and_a_notice_come_to_one_outcome_in_every_order() {
    fn orders(of: &[Op]) -> Vec<Vec<Op>> {
        let Some(last) = of.len().checked_sub(1) else { return vec![Vec::new()] };
        let place = |rest: Vec<Op>| {
            (0..=last).map(move |at| {
                let mut with = rest.clone();
                with.insert(at, of[last].clone());
                with
            })
        };
        orders(&of[..last]).into_iter().flat_map(place).collect()
    }
    let (not_fetched, too_late) = (2, 3);
    let mut outcomes = BTreeMap::new();
    for booked_first in [true, false] {
        for told in 0..6 {
            for pieces in [0, 2] {
                for says in [not_fetched, too_late] {
                    let says = Op::Says { which: 0, what: says };
                    let cancel = Op::Cancel { of: 0, pieces };
                    let at_once = [cancel, Op::HandOver(0), Op::Told { which: 0, what: told }, says.clone()];
                    for order in orders(&at_once) {
                        let mut story = Story::new();
                        story.step(&Op::Ship { of: 0, pieces: 0, booked: true });
                        if booked_first {
                            story.step(&Op::Says { which: 0, what: 0 });
                        }
                        order.iter().for_each(|op| story.step(op));
                        // A cancel that came last is answered, too.
                        story.step(&says);
                        let first = story.first(0);
                        let (cancelled, shipped, credited) = (first.cancelled(), first.shipped(), first.after);
                        let left = story.first(0).count(Shelf::is_inside);
                        assert!(cancelled == 0 || shipped == 0, "{order:?}: {:?}", story.lines);
                        assert!(story.wishes.is_empty() && !story.view().cancelling, "{order:?}: {:?}", story.wishes);
                        // What is given back is what was cancelled, or what did not arrive and is said to come back.
                        let refund: i64 = story.view().refunds.iter().map(|refund| refund.amount).sum();
                        assert_eq!(refund > 0, cancelled + credited > 0, "{order:?}");
                        let outcome = match (cancelled > 0, shipped > 0, left > 0) {
                            (true, _, _) => "cancelled",
                            (_, true, _) => "left",
                            (_, _, _) => "stayed",
                        };
                        *outcomes.entry(outcome).or_insert(0) += 1;
                    }
                }
            }
        }
    }
    assert!(outcomes["cancelled"] > 0 && outcomes["left"] > 0, "{outcomes:?}");
}
