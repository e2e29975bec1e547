//! Plays a scenario: one loop over what the world and the agenda have next.
//!
//! In goes a scenario, out comes a verdict. The player holds the world, the applications and the
//! models of all connections, and lets each of them see what the others did: steps and timers come
//! from the agenda, events from the world; calls go to the endpoints and into the models. It
//! decides nothing by chance but through generators of the scenario's seed.

use super::app::Outbox;
use super::attack::Attackers;
use super::audit::Audit;
use super::fault::{Fault, Verdict};
use super::heap::HeapProbe;
use super::hearing::Hearing;
use super::nats::Router;
use super::pact::{Pact, Phase, Surroundings};
use super::watcher::{End, Watcher};
use super::{Deeds, Failure, Outcome, stage};
use crate::host::HostId;
use crate::inspect::Inspector;
use crate::link::LinkConfig;
use crate::queue::EventQueue;
use crate::scenario::{HostSpec, Reading, Scenario};
use crate::trace::mix;
use crate::world::World;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use tripline::{ConnectionData, ConnectionHandle, Endpoint, Event};
use tripline_sansio::Instant;

/// Somebody who looks on, shared with the world's taps.
pub(super) type Onlooker = Rc<RefCell<dyn Watcher>>;

/// A host and its application.
pub(super) struct Actor<'a> {
    pub(super) id: HostId,
    pub(super) spec: &'a HostSpec,
    pub(super) reading: Reading,
    /// Bytes that may be read at once, while reading has a rate.
    pub(super) allowance: u64,
    /// The longest message that it takes.
    pub(super) message_max: u64,
    /// All connections of which it has an end, in their order.
    pub(super) pacts: Vec<usize>,
    /// The connection of each handle, and which side this host is.
    pub(super) ends: ConnectionData<(usize, usize)>,
    /// How often it has come up.
    pub(super) life: u64,
    pub(super) is_up: bool,
    pub(super) is_leaving: bool,
    pub(super) has_moved: bool,
}

/// Where a half is: connection, stream, sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) pact: usize,
    pub(super) stream: usize,
    pub(super) side: usize,
}

/// Something the agenda holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Task {
    /// The step with this number.
    Step(usize),
    /// The next message of a job is due.
    Job(Place, usize),
    /// A host that reads at a rate may read again.
    Read(usize),
    /// Onlookers want to see how connections are doing.
    Sample,
    /// A host wakes up.
    Resume(usize),
    /// The attacker with this number sends.
    Attack(usize),
}

/// A run under way.
pub(super) struct Player<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) world: World<Endpoint>,
    pub(super) actors: Vec<Actor<'a>>,
    /// The hosts' numbers by their names.
    pub(super) names: BTreeMap<&'a str, usize>,
    pub(super) pacts: Vec<Pact>,
    /// How many connections each client has begun with each server.
    pub(super) pairs: BTreeMap<[usize; 2], u32>,
    /// By connection and stream, of both sides.
    pub(super) outboxes: Vec<Vec<[Outbox; 2]>>,
    /// The newest connection of each name.
    pub(super) connections: BTreeMap<&'a str, usize>,
    /// The newest stream of each name.
    pub(super) streams: BTreeMap<&'a str, (usize, usize)>,
    pub(super) agenda: EventQueue<Task>,
    /// The links that the scenario names, by hosts, as they are now.
    pub(super) links: BTreeMap<(usize, usize), LinkConfig>,
    /// The NATs, in the scenario's order.
    pub(super) nats: Vec<Router<'a>>,
    pub(super) inspector: Inspector,
    pub(super) hearing: Hearing,
    pub(super) attackers: Attackers,
    pub(super) audit: Audit,
    pub(super) deeds: Deeds,
    pub(super) onlooker: Option<Onlooker>,
    pub(super) probe: Option<&'a dyn HeapProbe>,
    /// Of all events, in their order.
    pub(super) event_hash: u64,
    /// What was found where nobody asks, until somebody does.
    pub(super) late: Option<Fault>,
    /// Hosts with news, in turn; empty between calls, and kept for its memory.
    noisy: Vec<HostId>,
}

impl<'a> Actor<'a> {
    /// In its first life, with nothing begun.
    fn new(id: HostId, spec: &'a HostSpec) -> Self {
        Self {
            id,
            spec,
            reading: Reading::All,
            allowance: 0,
            message_max: stage::message_max(spec),
            pacts: Vec::new(),
            ends: ConnectionData::new(),
            life: 0,
            is_up: true,
            is_leaving: false,
            has_moved: false,
        }
    }
}

/// A pair of hosts, whoever of them called the other.
pub(super) fn unordered([one, other]: [usize; 2]) -> [usize; 2] {
    [one.min(other), one.max(other)]
}

impl<'a> Player<'a> {
    /// Everybody in place, nothing begun.
    pub(super) fn new(
        scenario: &'a Scenario,
        onlooker: Option<Onlooker>,
        probe: Option<&'a dyn HeapProbe>,
    ) -> Self {
        let mut world = World::new(scenario.seed);
        world.set_rerun(format!("the scenario `{}`", scenario.name));
        world.set_discipline(stage::discipline(scenario));
        let inspector = stage::inspector(scenario);
        let mut actors = Vec::new();
        for spec in &scenario.hosts {
            let first = stage::Life { number: 0, now: world.now() };
            let endpoint = stage::endpoint(scenario, spec, first, &inspector, onlooker.as_ref());
            let id = world.add_host(spec.address, endpoint);
            if stage::demands_tokens(scenario, spec) {
                inspector.demand_tokens(id);
            }
            actors.push(Actor::new(id, spec));
        }
        if let Some(onlooker) = &onlooker {
            let names: Vec<_> = scenario.hosts.iter().map(|host| host.name.clone()).collect();
            onlooker.borrow_mut().on_start(&names);
            let onlooker = onlooker.clone();
            world.add_tap(move |packet| onlooker.borrow_mut().on_packet(packet));
        }
        world.add_tap(inspector.tap());
        let hearing = Hearing::of(scenario);
        hearing.attach(&mut world);
        let attackers = Attackers::of(scenario);
        attackers.attach(&mut world);
        let names = scenario.hosts.iter().map(|host| host.name.as_str()).zip(0..);
        let mut player = Self {
            scenario,
            world,
            actors,
            names: names.collect(),
            pacts: Vec::new(),
            pairs: BTreeMap::new(),
            outboxes: Vec::new(),
            connections: BTreeMap::new(),
            streams: BTreeMap::new(),
            agenda: EventQueue::new(),
            links: BTreeMap::new(),
            nats: Vec::new(),
            inspector,
            hearing,
            attackers,
            audit: Audit::of(scenario),
            deeds: Deeds::default(),
            onlooker,
            probe,
            event_hash: 0,
            late: None,
            noisy: Vec::new(),
        };
        player.set_systems();
        player.set_nats();
        player.set_links();
        player.write_agenda();
        player
    }

    fn write_agenda(&mut self) {
        for (number, step) in self.scenario.steps.iter().enumerate() {
            self.agenda.push(Instant::ZERO + step.at, Task::Step(number));
        }
        let every = self.onlooker.as_ref().and_then(|onlooker| onlooker.borrow().sample_every());
        if every.is_some() {
            self.agenda.push(Instant::ZERO, Task::Sample);
        }
    }

    /// Both phases.
    pub(super) fn play(&mut self) -> Result<Outcome, Failure> {
        let last = self.scenario.steps.iter().map(|step| step.at).max().unwrap_or_default();
        let end = Instant::ZERO + self.scenario.lasts.max(last);
        let result = self.run_until(end).and_then(|()| self.calm());
        let at = self.world.now();
        result.map_err(|Fault { oracle, what }| Failure { oracle: oracle.into(), at, what })?;
        Ok(Outcome {
            trace_hash: mix(self.world.trace_hash(), self.event_hash),
            simulated: at - Instant::ZERO,
            totals: self.world.totals(),
            deeds: self.deeds,
            marks: self.inspector.marks(),
        })
    }

    /// The time in the world.
    pub(super) fn now(&self) -> Instant {
        self.world.now()
    }

    /// Everything up to `end`, itself included; then it is that time.
    pub(super) fn run_until(&mut self, end: Instant) -> Verdict {
        self.pump()?;
        loop {
            let task = self.agenda.next_time().filter(|at| *at <= end);
            let round = self.world.next_time().filter(|at| *at <= end);
            match (task, round) {
                (None, None) => {
                    self.world.run_until(end);
                    return Ok(());
                }
                (Some(task), round) if round.is_none_or(|round| task <= round) => {
                    // Whatever the world does at this very instant comes first.
                    self.world.run_until(task);
                    self.pump()?;
                    while let Some(task) = self.agenda.pop_due(task) {
                        self.perform(task)?;
                        self.pump()?;
                    }
                }
                _ => {
                    self.world.step();
                    self.pump()?;
                }
            }
        }
    }

    fn perform(&mut self, task: Task) -> Verdict {
        match task {
            Task::Step(number) => {
                self.audit_some(number)?;
                self.step(number)
            }
            Task::Job(place, job) => self.tick(place, job),
            Task::Read(host) => self.read_on(host),
            Task::Resume(host) => {
                self.world.resume(self.actors[host].id);
                self.pump()?;
                self.go_on(host)
            }
            Task::Attack(number) => {
                self.attack(number);
                Ok(())
            }
            Task::Sample => {
                self.sample();
                Ok(())
            }
        }
    }

    /// Shows the models all new events and lets the applications answer, until there are none.
    pub(super) fn pump(&mut self) -> Verdict {
        loop {
            let mut noisy = std::mem::take(&mut self.noisy);
            self.world.swap_noisy(&mut noisy);
            if noisy.is_empty() {
                self.noisy = noisy;
                self.ask_inspector()?;
                return self.audit_talker();
            }
            for host in noisy.drain(..) {
                while let Some((at, event)) = self.world.next_event(host) {
                    self.on_event(host.index(), at, event)?;
                }
            }
            self.noisy = noisy;
        }
    }

    /// What the inspector found, if anything.
    fn ask_inspector(&mut self) -> Verdict {
        if let Some(late) = self.late.take() {
            return Err(late);
        }
        if self.inspector.violations_total() == 0 {
            return Ok(());
        }
        let first = self.inspector.take_violations().into_iter().next();
        first.map_or(Ok(()), |found| Err(Fault::new(found.invariant, found.to_string())))
    }

    fn on_event(&mut self, host: usize, at: Instant, event: Event) -> Verdict {
        let name = &self.actors[host].spec.name;
        let end = match connection_of(&event) {
            Some(handle) => {
                let end = self.end_of(host, handle, &event);
                let what = || format!("{name} has no such connection: {event:?}");
                Some(end.ok_or_else(|| Fault::new("M03", what()))?)
            }
            None => None,
        };
        let kind = (kind_of(&event), host as u64);
        self.event_hash = mix(self.event_hash, at.as_nanos() << 8 | kind.0);
        self.event_hash = mix(self.event_hash, kind.1);
        if let Some(onlooker) = &self.onlooker {
            let end = end.map(|end| self.name_end(end));
            onlooker.borrow_mut().on_event(at, end, &event);
        }
        let Some((pact, side)) = end else {
            self.send_on(host, &event);
            return Ok(());
        };
        let around = self.surroundings(pact, at, &event);
        let judged = self.pacts[pact].on_event(side, &event, around);
        judged.map_err(|fault| fault.about(format_args!("{} at {name}", self.pacts[pact].name)))?;
        if matches!(event, Event::Failed { .. } | Event::Closed { .. } | Event::Lost { .. }) {
            self.audit_end((pact, side))?;
            self.audit_event(pact, &event)?;
        }
        self.answer((pact, side), &event)
    }

    /// Which end an event is about. A server learns of a connection by its first event, which says
    /// the number that the client sent along.
    fn end_of(
        &mut self,
        host: usize,
        handle: ConnectionHandle,
        event: &Event,
    ) -> Option<(usize, usize)> {
        if let Some(known) = self.actors[host].ends.get(handle) {
            return Some(*known);
        }
        let Event::Connected { user_id, .. } = event else { return None };
        let pact = usize::try_from(u64::from_be_bytes(*user_id)).ok()?;
        let model = self.pacts.get_mut(pact)?;
        // What a client said before it gave up may come late.
        let opening = !model.ends[0].was_connected;
        let end = &mut model.ends[1];
        let again = matches!(end.phase, Phase::Crashed | Phase::Over | Phase::Gone) && opening;
        if end.host != host || !(end.phase == Phase::Opening && end.handle.is_none() || again) {
            return None;
        }
        end.begin(handle);
        model.void_streams_of(1);
        self.actors[host].ends.insert(handle, (pact, 1));
        Some((pact, 1))
    }

    /// What the network's side knows of a connection. Silence is a reason for ends alone: of other
    /// events nobody asks.
    fn surroundings(&self, pact: usize, now: Instant, event: &Event) -> Surroundings {
        if !matches!(event, Event::Failed { .. } | Event::Lost { .. }) {
            return Surroundings { now, silence: [None; 2] };
        }
        let pair = self.pacts[pact].ends.each_ref().map(|end| end.host);
        let hosts = pair.map(|host| self.actors[host].id);
        // Of two connections between the same hosts nobody can say which one was heard.
        let alone = self.pairs.get(&unordered(pair)).is_none_or(|count| *count < 2);
        let silence = [0, 1]
            .map(|side| self.hearing.silence(hosts[side], hosts[1 - side], now).filter(|_| alone));
        Surroundings { now, silence }
    }

    /// The end's names, for onlookers.
    pub(super) fn name_end(&self, (pact, side): (usize, usize)) -> End<'_> {
        let model = &self.pacts[pact];
        let host = self.actors[model.ends[side].host].spec.name.as_str();
        End { connection: &model.name, host, is_client: side == 0 }
    }

    /// Calls the endpoint of an end that is live.
    pub(super) fn call<R>(
        &mut self,
        (pact, side): (usize, usize),
        act: impl FnOnce(&mut Endpoint, Instant, ConnectionHandle) -> R,
    ) -> Option<R> {
        let end = &self.pacts[pact].ends[side];
        let handle = end.handle.filter(|_| end.is_live())?;
        let host = self.actors[end.host].id;
        Some(self.world.with(host, |endpoint, now| act(endpoint, now, handle)))
    }

    /// Whether the engine no longer knows the connection.
    pub(super) fn is_over(&self, (pact, side): (usize, usize)) -> bool {
        let end = &self.pacts[pact].ends[side];
        let machine = self.world.machine(self.actors[end.host].id);
        end.handle.is_none_or(|handle| machine.state(handle).is_none())
    }

    fn sample(&mut self) {
        let Some(onlooker) = self.onlooker.clone() else { return };
        let now = self.world.now();
        for pact in 0..self.pacts.len() {
            for side in [0, 1] {
                let end = &self.pacts[pact].ends[side];
                let Some(handle) = end.handle.filter(|_| end.is_live()) else { continue };
                let machine = self.world.machine(self.actors[end.host].id);
                if let Some(stats) = machine.connection_stats(handle) {
                    onlooker.borrow_mut().on_sample(now, self.name_end((pact, side)), &stats);
                }
            }
        }
        let every = onlooker.borrow().sample_every();
        if let Some(every) = every.filter(|every| !every.is_zero()) {
            self.agenda.push(now + every, Task::Sample);
        }
    }
}

/// The connection that an event is about.
fn connection_of(event: &Event) -> Option<ConnectionHandle> {
    match event {
        Event::Resolve { connection, .. }
        | Event::ServerKey { connection, .. }
        | Event::Connected { connection, .. }
        | Event::Failed { connection, .. }
        | Event::Opened { connection, .. }
        | Event::Readable { connection, .. }
        | Event::Writable { connection, .. }
        | Event::Stopped { connection, .. }
        | Event::StreamsAvailable { connection, .. }
        | Event::Message { connection, .. }
        | Event::Leaving { connection, .. }
        | Event::Moved { connection, .. }
        | Event::Unlinked { connection, .. }
        | Event::UmtuChanged { connection, .. }
        | Event::Quiet { connection, .. }
        | Event::Unsafe { connection, .. }
        | Event::Closed { connection, .. }
        | Event::Lost { connection, .. }
        | Event::Drained { connection }
        | Event::Forward { connection, .. } => Some(*connection),
        Event::Incoming(_) | Event::ShutDown => None,
    }
}

/// A number for each kind of event, for the hash.
const fn kind_of(event: &Event) -> u64 {
    match event {
        Event::Resolve { .. } => 0,
        Event::ServerKey { .. } => 1,
        Event::Incoming(_) => 2,
        Event::Connected { .. } => 3,
        Event::Failed { .. } => 4,
        Event::Opened { .. } => 5,
        Event::Readable { .. } => 6,
        Event::Writable { .. } => 7,
        Event::Stopped { .. } => 8,
        Event::StreamsAvailable { .. } => 9,
        Event::Message { .. } => 10,
        Event::Leaving { .. } => 11,
        Event::Moved { .. } => 12,
        Event::Unlinked { .. } => 13,
        Event::UmtuChanged { .. } => 14,
        Event::Quiet { .. } => 15,
        Event::Unsafe { .. } => 16,
        Event::Closed { .. } => 17,
        Event::Lost { .. } => 18,
        Event::Drained { .. } => 19,
        Event::Forward { .. } => 20,
        Event::ShutDown => 21,
    }
}
