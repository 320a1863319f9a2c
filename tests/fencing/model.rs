//! The model itself: what a server knows, what the store holds, and the steps that either can take.

use stateright::{Model, Property};

const SERVERS: usize = 2;
const PARTITIONS: usize = 2;
/// How long a lease lasts, in ticks.
const LEASE: u8 = 2;

/// Names a batch: its term, and its number in it. The epoch frames of a term are its batch 0.
type Batch = (u8, u8);

/// A protection that can be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Without {
    /// A taker only raises epochs: no frame stands in the old owner's way.
    EpochFrames,
    /// A taker fences only one partition of two.
    EveryPartition,
    /// After an unknown outcome the records go into a new batch.
    SameBatchAgain,
    /// Any collision is taken for one's own work.
    BatchIds,
    /// A second batch is sent before the first is known to be durable.
    OneInFlight,
    /// A taker does not wait until the old owner's lease has run out.
    LeaseWait,
    /// An owner answers from memory whatever its lease.
    LeaseCheck,
}

/// How far a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    /// Not running, or ended.
    Down,
    /// It has raised the epochs and appends epoch frames; the tails it has read, and what is done.
    Fencing { tail: [Option<u8>; PARTITIONS], done: [bool; PARTITIONS] },
    /// It writes.
    Active,
}

/// Frames to be inserted together: the place of each (partition by partition; none where the batch has no frame).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Insert {
    batch: Batch,
    /// The records in it, by the number that they had when they were first sent.
    records: u8,
    at: [Option<u8>; PARTITIONS],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Server {
    phase: Phase,
    term: u8,
    /// Until when the former owner may answer without a record.
    wait_until: u8,
    /// Until when this one may.
    lease_until: u8,
    /// The frames it knows of, by partition.
    known: [u8; PARTITIONS],
    written: u8,
    /// Sent, and not known to be durable.
    in_flight: Vec<Insert>,
}

/// A frame as the store keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Frame {
    batch: Batch,
    records: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    now: u8,
    servers: [Server; SERVERS],
    epoch: u8,
    owner_until: u8,
    journal: [Vec<Frame>; PARTITIONS],
    /// Inserts whose connection broke before anybody knew whether the store would carry them out; it may yet.
    ghosts: Vec<Insert>,
    /// What clients were told is durable: a batch of a term, and in which partitions it has frames.
    answered: Vec<(Batch, u8, [bool; PARTITIONS])>,
    /// A server became active without knowing something that was answered.
    forgot: bool,
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    Tick,
    /// A server begins a term: it raises all epochs in one transaction.
    Raise(usize),
    /// It reads a partition's tail.
    ReadTail(usize, usize),
    /// It appends its epoch frame behind the tail it read.
    AppendEpochFrame(usize, usize),
    /// All is fenced and waited out: it replays, and writes from now on.
    Open(usize),
    /// It sends a batch with frames in one or in both partitions.
    Send(usize, bool),
    /// The store carries the batch out and the server hears of it, or hears of the collision.
    Commit(usize),
    /// The store carries it out, and the answer is lost.
    CommitUnheard(usize),
    /// The connection breaks first: the store may carry it out later, or never.
    Lose(usize),
    /// It does, now.
    Late(usize),
    /// The server asks for its lease again.
    Renew(usize),
    /// It dies.
    Die(usize),
}

#[derive(Clone, Copy)]
pub struct Protocol {
    pub without: Option<Without>,
    /// Take-overs in all.
    pub terms: u8,
    /// Batches that one term may write.
    pub batches: u8,
    /// Ticks of time in all.
    pub ticks: u8,
}

impl Protocol {
    fn lacks(&self, protection: Without) -> bool {
        self.without == Some(protection)
    }

    /// Inserts all frames, or none when a place is taken; whether it did.
    fn insert(&self, state: &mut State, insert: &Insert) -> bool {
        let free = (0..PARTITIONS)
            .all(|partition| insert.at[partition].is_none_or(|at| usize::from(at) == state.journal[partition].len()));
        if free {
            for partition in 0..PARTITIONS {
                if insert.at[partition].is_some() {
                    state.journal[partition].push(Frame { batch: insert.batch, records: insert.records });
                }
            }
        }
        free
    }

    /// Whether the places of this insert hold this very batch.
    fn landed(state: &State, insert: &Insert) -> bool {
        (0..PARTITIONS).all(|partition| {
            insert.at[partition].is_none_or(|at| {
                state.journal[partition].get(usize::from(at)).is_some_and(|frame| frame.batch == insert.batch)
            })
        })
    }

    fn answer(state: &mut State, server: usize, insert: Insert) {
        state.servers[server].in_flight.retain(|sent| *sent != insert);
        for partition in 0..PARTITIONS {
            if let Some(at) = insert.at[partition] {
                let known = &mut state.servers[server].known[partition];
                *known = (*known).max(at + 1);
            }
        }
        state.answered.push((insert.batch, insert.records, insert.at.map(|at| at.is_some())));
        state.answered.sort_unstable();
    }

    /// The server hears what became of its oldest batch.
    fn hear(&self, state: &mut State, server: usize, inserted: bool) {
        let insert = state.servers[server].in_flight[0];
        if inserted || Self::landed(state, &insert) || self.lacks(Without::BatchIds) {
            Self::answer(state, server, insert);
        } else {
            // A place is taken, and not by this batch: another owns the store now.
            state.servers[server].down();
        }
    }

    /// The outcome is not known: the same again, or (without that) the records in a batch of another name, behind the tail as it is now.
    fn again(&self, state: &mut State, server: usize) {
        if self.lacks(Without::SameBatchAgain) {
            let tails: Vec<u8> = state.journal.iter().map(|frames| frames.len() as u8).collect();
            let server = &mut state.servers[server];
            if server.written < self.batches {
                server.written += 1;
                let number = server.written;
                let insert = &mut server.in_flight[0];
                insert.batch.1 = number;
                insert.at = [0, 1].map(|partition| insert.at[partition].map(|_| tails[partition]));
            }
        }
    }
}

impl Server {
    fn down(&mut self) {
        self.phase = Phase::Down;
        self.in_flight.clear();
    }

    /// Whether it would answer a read from memory.
    fn reads(&self, now: u8, without: Option<Without>) -> bool {
        self.phase == Phase::Active && (now < self.lease_until || without == Some(Without::LeaseCheck))
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        let server = || Server {
            phase: Phase::Down,
            term: 0,
            wait_until: 0,
            lease_until: 0,
            known: [0; PARTITIONS],
            written: 0,
            in_flight: Vec::new(),
        };
        vec![State {
            now: 0,
            servers: [server(), server()],
            epoch: 0,
            owner_until: 0,
            journal: [Vec::new(), Vec::new()],
            ghosts: Vec::new(),
            answered: Vec::new(),
            forgot: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Event>) {
        if state.now < self.ticks {
            actions.push(Event::Tick);
        }
        actions.extend((0..state.ghosts.len()).map(Event::Late));
        for (index, server) in state.servers.iter().enumerate() {
            match server.phase {
                Phase::Down if state.epoch < self.terms => actions.push(Event::Raise(index)),
                Phase::Down => {}
                Phase::Fencing { tail, done } => {
                    for partition in (0..PARTITIONS).filter(|partition| !done[*partition]) {
                        actions.push(match tail[partition] {
                            None => Event::ReadTail(index, partition),
                            Some(_) => Event::AppendEpochFrame(index, partition),
                        });
                    }
                    let fenced = done.iter().all(|done| *done) || self.lacks(Without::EpochFrames);
                    let fenced = fenced || (self.lacks(Without::EveryPartition) && done[0]);
                    if fenced && (state.now >= server.wait_until || self.lacks(Without::LeaseWait)) {
                        actions.push(Event::Open(index));
                    }
                }
                Phase::Active => {
                    let most = if self.lacks(Without::OneInFlight) { 2 } else { 1 };
                    if server.in_flight.len() < most && server.written < self.batches {
                        actions.extend([Event::Send(index, false), Event::Send(index, true)]);
                    }
                    if !server.in_flight.is_empty() {
                        actions.extend([Event::Commit(index), Event::CommitUnheard(index)]);
                        if state.ghosts.is_empty() {
                            actions.push(Event::Lose(index));
                        }
                    }
                    actions.extend([Event::Renew(index), Event::Die(index)]);
                }
            }
        }
    }

    fn next_state(&self, before: &State, event: Event) -> Option<State> {
        let mut state = before.clone();
        match event {
            Event::Tick => state.now += 1,
            Event::Raise(index) => {
                state.epoch += 1;
                let wait_until = state.owner_until;
                state.owner_until = wait_until.max(state.now + LEASE);
                let server = &mut state.servers[index];
                server.phase = Phase::Fencing { tail: [None; PARTITIONS], done: [false; PARTITIONS] };
                (server.term, server.wait_until, server.written) = (state.epoch, wait_until, 0);
            }
            Event::ReadTail(index, partition) => {
                let at = state.journal[partition].len() as u8;
                if let Phase::Fencing { tail, .. } = &mut state.servers[index].phase {
                    tail[partition] = Some(at);
                }
            }
            Event::AppendEpochFrame(index, partition) => {
                let term = state.servers[index].term;
                if term != state.epoch {
                    state.servers[index].down();
                    return Some(state);
                }
                let Phase::Fencing { tail, done } = &mut state.servers[index].phase else { return None };
                let at = tail[partition].take()?;
                let frames = &mut state.journal[partition];
                // Where the former owner was first, the tail is read again.
                if usize::from(at) == frames.len() {
                    frames.push(Frame { batch: (term, 0), records: 0 });
                    done[partition] = true;
                }
            }
            Event::Open(index) => {
                let term = state.servers[index].term;
                if term != state.epoch {
                    state.servers[index].down();
                    return Some(state);
                }
                state.owner_until = state.owner_until.max(state.now + LEASE);
                let tails = [state.journal[0].len() as u8, state.journal[1].len() as u8];
                let has =
                    |batch: Batch, partition: usize| state.journal[partition].iter().any(|frame| frame.batch == batch);
                let lost = |(batch, _, places): &(Batch, u8, [bool; PARTITIONS])| {
                    (0..PARTITIONS).any(|partition| places[partition] && !has(*batch, partition))
                };
                state.forgot |= state.answered.iter().any(lost);
                let server = &mut state.servers[index];
                (server.phase, server.known) = (Phase::Active, tails);
                server.lease_until = state.now + LEASE;
            }
            Event::Send(index, both) => {
                let server = &mut state.servers[index];
                server.written += 1;
                let mut at = server.known.map(Some);
                // Behind what is in flight, should there be any.
                for sent in &server.in_flight {
                    at = [0, 1].map(|partition| at[partition].map(|at| at + u8::from(sent.at[partition].is_some())));
                }
                if !both {
                    // One partition or the other, so that a batch need not touch what a taker fenced first.
                    at[usize::from(server.written % 2)] = None;
                }
                let batch = (server.term, server.written);
                server.in_flight.push(Insert { batch, records: server.written, at });
            }
            Event::Commit(index) => {
                let insert = state.servers[index].in_flight[0];
                let inserted = self.insert(&mut state, &insert);
                self.hear(&mut state, index, inserted);
            }
            Event::CommitUnheard(index) => {
                // The second of two may be carried out before the first.
                let insert = *state.servers[index].in_flight.last()?;
                if !self.insert(&mut state, &insert) {
                    return None;
                }
                self.again(&mut state, index);
            }
            Event::Lose(index) => {
                let insert = state.servers[index].in_flight[0];
                state.ghosts.push(insert);
                self.again(&mut state, index);
            }
            Event::Late(ghost) => {
                let insert = state.ghosts.remove(ghost);
                self.insert(&mut state, &insert);
            }
            Event::Renew(index) => {
                if state.servers[index].term == state.epoch {
                    state.owner_until = state.owner_until.max(state.now + LEASE);
                    state.servers[index].lease_until = state.now + LEASE;
                } else {
                    state.servers[index].down();
                }
            }
            Event::Die(index) => state.servers[index].down(),
        }
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("an answer stays true", |_: &Self, state: &State| {
                !state.forgot
                    && state.answered.iter().all(|(batch, _, places)| {
                        (0..PARTITIONS).all(|partition| {
                            !places[partition] || state.journal[partition].iter().any(|frame| frame.batch == *batch)
                        })
                    })
            }),
            Property::always("nothing is written twice", |_: &Self, state: &State| {
                state.journal.iter().all(|frames| {
                    let twice = |(index, frame): (usize, &Frame)| {
                        let same = |other: &Frame| other.batch.0 == frame.batch.0 && other.records == frame.records;
                        frames[..index].iter().any(same)
                    };
                    !frames.iter().enumerate().any(twice)
                })
            }),
            Property::always("nothing is written out of order", |_: &Self, state: &State| {
                // A batch stands nowhere before one that the same term sent earlier is known or written.
                state.servers.iter().all(|server| {
                    let missing = |sent: &Insert| !Self::landed(state, sent);
                    let is_later =
                        |frame: &Frame, sent: &Insert| frame.batch.0 == sent.batch.0 && frame.batch.1 > sent.batch.1;
                    !server
                        .in_flight
                        .iter()
                        .filter(|sent| missing(sent))
                        .any(|sent| state.journal.iter().flatten().any(|frame| is_later(frame, sent)))
                })
            }),
            Property::always("nobody answers from a state that is overtaken", |protocol: &Self, state: &State| {
                // Whatever anyone was answered, whoever reads from memory knows it.
                let knows = |server: &Server, partition: usize, batch: Batch| {
                    let place = state.journal[partition].iter().position(|frame| frame.batch == batch);
                    place.is_none_or(|place| place < usize::from(server.known[partition]))
                };
                state.servers.iter().filter(|server| server.reads(state.now, protocol.without)).all(|server| {
                    state.answered.iter().all(|(batch, _, places)| {
                        (0..PARTITIONS).all(|partition| !places[partition] || knows(server, partition, *batch))
                    })
                })
            }),
            Property::sometimes("both servers get answers", |_: &Self, state: &State| {
                let mut terms: Vec<u8> = state.answered.iter().map(|(batch, ..)| batch.0).collect();
                terms.dedup();
                terms.len() >= 2
            }),
            Property::sometimes(
                "an old owner still reads while the next one fences",
                |protocol: &Self, state: &State| {
                    state.servers.iter().any(|server| matches!(server.phase, Phase::Fencing { .. }))
                        && state.servers.iter().any(|server| server.reads(state.now, protocol.without))
                },
            ),
        ]
    }
}
