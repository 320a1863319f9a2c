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
    /// An append does not look at the epoch.
    EpochCheck,
    /// Frames are dropped while an append that has looked at the epoch is still under way.
    AppendsWait,
    /// Frames are dropped that no checkpoint holds.
    CheckpointFirst,
    /// The newest frame is dropped, too.
    NewestStays,
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
    /// The store has begun to carry it out, and has seen that its term is not over.
    begun: bool,
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

/// A frame as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Frame {
    batch: Batch,
    records: u8,
}

/// A place of the journal that was filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    /// The frame that came there first, which checkpoint and archive keep.
    first: Frame,
    /// What the store has there now: nothing once it was dropped, and then whatever comes.
    stands: Option<Frame>,
}

/// The journal of one partition, from its first frame on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Journal(Vec<Place>);

impl Journal {
    /// The place behind the newest frame that the store has.
    fn tail(&self) -> u8 {
        self.0.iter().rposition(|place| place.stands.is_some()).map_or(0, |newest| newest as u8 + 1)
    }

    fn is_free(&self, at: u8) -> bool {
        let at = usize::from(at);
        at == self.0.len() || self.0.get(at).is_some_and(|place| place.stands.is_none())
    }

    /// Fills a free place.
    fn put(&mut self, at: u8, frame: Frame) {
        match self.0.get_mut(usize::from(at)) {
            Some(place) => place.stands = Some(frame),
            None => self.0.push(Place { first: frame, stands: Some(frame) }),
        }
    }

    /// Where this batch came first.
    fn place_of(&self, batch: Batch) -> Option<usize> {
        self.0.iter().position(|place| place.first.batch == batch)
    }

    fn frames(&self) -> impl Iterator<Item = &Frame> {
        self.0.iter().map(|place| &place.first)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    now: u8,
    servers: [Server; SERVERS],
    epoch: u8,
    owner_until: u8,
    journal: [Journal; PARTITIONS],
    /// Frames before these places are in snapshots and read tables.
    checkpoint: [u8; PARTITIONS],
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
    /// The store begins to carry the batch out: it looks at the epoch, and the rest comes later.
    Begin(usize),
    /// The store carries the batch out and the server hears of it, or hears of the collision.
    Commit(usize),
    /// The store carries it out, and the answer is lost.
    CommitUnheard(usize),
    /// The connection breaks first: the store may carry it out later, or never.
    Lose(usize),
    /// It does, now; where appends look at the epoch, it begins to.
    Late(usize),
    /// The server asks for its lease again.
    Renew(usize),
    /// It dies.
    Die(usize),
    /// It writes a checkpoint, which its epoch must be good for, of all it knows of.
    Checkpoint(usize),
    /// An archive has the frames of a partition that a checkpoint holds: the store drops them.
    Drop(usize),
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
    /// Whether old frames are moved to an archive. Where none are, a fence is all that is needed: appends do not look at the epoch there.
    pub archive: bool,
}

impl Protocol {
    fn lacks(&self, protection: Without) -> bool {
        self.without == Some(protection)
    }

    /// Whether an append looks at the epoch before it writes.
    fn looks_at_epochs(&self) -> bool {
        self.archive && !self.lacks(Without::EpochCheck)
    }

    /// Inserts all frames, or none when a place is taken; whether it did.
    fn insert(&self, state: &mut State, insert: &Insert) -> bool {
        let free =
            (0..PARTITIONS).all(|partition| insert.at[partition].is_none_or(|at| state.journal[partition].is_free(at)));
        if free {
            for partition in 0..PARTITIONS {
                if let Some(at) = insert.at[partition] {
                    let frame = Frame { batch: insert.batch, records: insert.records };
                    state.journal[partition].put(at, frame);
                }
            }
        }
        free
    }

    /// Whether the places of this insert hold this very batch.
    fn committed(state: &State, insert: &Insert) -> bool {
        (0..PARTITIONS).all(|partition| {
            insert.at[partition].is_none_or(|at| {
                let place = state.journal[partition].0.get(usize::from(at));
                place.and_then(|place| place.stands).is_some_and(|frame| frame.batch == insert.batch)
            })
        })
    }

    /// Before which place frames may be dropped.
    fn droppable(&self, state: &State, partition: usize) -> u8 {
        let newest = (state.journal[partition].0.len() as u8).saturating_sub(1);
        match self.without {
            Some(Without::CheckpointFirst) => newest,
            Some(Without::NewestStays) => state.checkpoint[partition],
            _ => newest.min(state.checkpoint[partition]),
        }
    }

    /// Whether the store carries something out that has looked at the epoch.
    fn appends(state: &State) -> bool {
        let sent = state.servers.iter().flat_map(|server| &server.in_flight);
        sent.chain(&state.ghosts).any(|insert| insert.begun)
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
        if inserted || Self::committed(state, &insert) || self.lacks(Without::BatchIds) {
            Self::answer(state, server, insert);
        } else {
            // A place is taken, and not by this batch: another owns the store now.
            state.servers[server].down();
        }
    }

    /// The outcome is not known: the same again, or (without that) the records in a batch of another name, behind the tail as it is now.
    fn again(&self, state: &mut State, server: usize) {
        state.servers[server].in_flight[0].begun = !self.looks_at_epochs();
        if self.lacks(Without::SameBatchAgain) {
            let tails: Vec<u8> = state.journal.iter().map(Journal::tail).collect();
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
            journal: [Journal::default(), Journal::default()],
            checkpoint: [0; PARTITIONS],
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
        if self.archive && (!Self::appends(state) || self.lacks(Without::AppendsWait)) {
            actions.extend((0..PARTITIONS).map(Event::Drop));
        }
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
                    if let Some(sent) = server.in_flight.first() {
                        match sent.begun {
                            true => actions.extend([Event::Commit(index), Event::CommitUnheard(index)]),
                            false => actions.push(Event::Begin(index)),
                        }
                        if state.ghosts.is_empty() {
                            actions.push(Event::Lose(index));
                        }
                    }
                    actions.extend([Event::Renew(index), Event::Die(index)]);
                    if self.archive && server.term == state.epoch {
                        actions.push(Event::Checkpoint(index));
                    }
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
                let at = state.journal[partition].tail();
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
                // Where the former owner was first, the tail is read again.
                if state.journal[partition].is_free(at) {
                    state.journal[partition].put(at, Frame { batch: (term, 0), records: 0 });
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
                let tails = [0, 1].map(|partition| state.journal[partition].tail());
                // What no checkpoint holds, it reads in the journal.
                let has = |batch: Batch, partition: usize| {
                    let journal = &state.journal[partition];
                    journal.place_of(batch).is_some_and(|at| {
                        let place = journal.0[at];
                        at < usize::from(state.checkpoint[partition]) || place.stands == Some(place.first)
                    })
                };
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
                let begun = !self.looks_at_epochs();
                server.in_flight.push(Insert { batch, records: server.written, at, begun });
            }
            Event::Begin(index) => {
                let server = &mut state.servers[index];
                match server.term == state.epoch {
                    true => server.in_flight[0].begun = true,
                    false => server.down(),
                }
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
                if insert.begun {
                    self.insert(&mut state, &insert);
                } else if insert.batch.0 == state.epoch {
                    state.ghosts.insert(ghost, Insert { begun: true, ..insert });
                }
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
            Event::Checkpoint(index) => {
                for partition in 0..PARTITIONS {
                    let checkpoint = &mut state.checkpoint[partition];
                    *checkpoint = (*checkpoint).max(state.servers[index].known[partition]);
                }
            }
            Event::Drop(partition) => {
                let up_to = usize::from(self.droppable(&state, partition));
                state.journal[partition].0[..up_to].iter_mut().for_each(|place| place.stands = None);
            }
        }
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("an answer stays true", |_: &Self, state: &State| {
                !state.forgot
                    && state.answered.iter().all(|(batch, _, places)| {
                        (0..PARTITIONS)
                            .all(|partition| !places[partition] || state.journal[partition].place_of(*batch).is_some())
                    })
            }),
            Property::always("nothing is written twice", |_: &Self, state: &State| {
                state.journal.iter().all(|journal| {
                    let frames: Vec<&Frame> = journal.frames().collect();
                    let twice = |(index, frame): (usize, &&Frame)| {
                        let same = |other: &&Frame| other.batch.0 == frame.batch.0 && other.records == frame.records;
                        frames[..index].iter().any(same)
                    };
                    !frames.iter().enumerate().any(twice)
                })
            }),
            Property::always("nothing is written out of order", |_: &Self, state: &State| {
                // A batch stands nowhere before one that the same term sent earlier is known or written.
                state.servers.iter().all(|server| {
                    let missing = |sent: &Insert| !Self::committed(state, sent);
                    let is_later =
                        |frame: &Frame, sent: &Insert| frame.batch.0 == sent.batch.0 && frame.batch.1 > sent.batch.1;
                    !server
                        .in_flight
                        .iter()
                        .filter(|sent| missing(sent))
                        .any(|sent| state.journal.iter().flat_map(Journal::frames).any(|frame| is_later(frame, sent)))
                })
            }),
            Property::always("nobody answers from a state that is overtaken", |protocol: &Self, state: &State| {
                // Whatever anyone was answered, whoever reads from memory knows it.
                let knows = |server: &Server, partition: usize, batch: Batch| {
                    let place = state.journal[partition].place_of(batch);
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
        ];
        if self.archive {
            properties.extend([
                // Where a frame was dropped nobody reads any more.
                Property::always("nothing is written where it is not read", |_: &Self, state: &State| {
                    let mut places = state.journal.iter().flat_map(|journal| &journal.0);
                    places.all(|place| place.stands.is_none_or(|frame| frame == place.first))
                }),
                Property::sometimes("an old owner comes to a place that was dropped", |_: &Self, state: &State| {
                    let dropped = |partition: usize, at: u8| {
                        let place = state.journal[partition].0.get(usize::from(at));
                        place.is_some_and(|place| place.stands.is_none())
                    };
                    state.servers.iter().filter(|server| server.term < state.epoch).any(|server| {
                        let places = server.in_flight.first().map_or([None; PARTITIONS], |sent| sent.at);
                        (0..PARTITIONS).any(|partition| places[partition].is_some_and(|at| dropped(partition, at)))
                    })
                }),
            ]);
        }
        properties
    }
}
