//! What the steps of a scenario do.

use super::app::{Job, Outbox};
use super::attack::Kind;
use super::fault::{Fault, Verdict};
use super::pact::{End, Pact, Phase};
use super::player::unordered;
use super::player::{Place, Player, Task};
use super::stage;
use crate::host::{AsleepClock, AsleepSocket};
use crate::link::LinkConfig;
use crate::scenario::{Action, Deed, HostKind, LinkSpec, Reading, Scenario, Way};
use tripline::{
    Code, Config, ConnectOptions, Endpoint, OpenError, Order, SendOptions, StartError,
    StreamOptions, Target,
};
use tripline_sansio::Duration;

/// How long clients try to connect if the step does not say.
const DEADLINE: Duration = Duration::from_secs(30);
/// The socket buffer of a host that sleeps, in bytes.
const SOCKET: usize = 212_992;
/// A host whose clock jumps by more has forgotten who asked to come in.
const FORGETS: Duration = Duration::from_secs(15);
/// The most streams of a connection, so that models stay small.
const STREAMS_MAX: usize = 4_096;
/// The longest message that is asked for; longer ones are cut, so that no scenario takes all the
/// memory.
const BYTES_MAX: u64 = 4_000_000;

impl<'a> Player<'a> {
    /// The links as they are at the start.
    pub(super) fn set_links(&mut self) {
        self.world.set_default_link(usual_link());
        for link in &self.scenario.links {
            self.turn_knobs(link);
        }
    }

    /// Does a step, if it fits.
    pub(super) fn step(&mut self, number: usize) -> Verdict {
        let scenario: &'a Scenario = self.scenario;
        let step = &scenario.steps[number];
        let fits = match &step.action {
            Action::Host(host, deed) => {
                let host = self.host(host);
                host.map_or(Ok(false), |host| self.deed(host, deed))?
            }
            Action::Link(link) => {
                self.turn_knobs(link);
                true
            }
            Action::Cut(way) => self.for_way(way, |player, from, to| player.cut(from, to)),
            Action::Heal(way) => self.for_way(way, |player, from, to| player.heal(from, to)),
            Action::Nat(name, deed) => self.nat_deed(name, deed),
        };
        self.deeds.steps += u64::from(fits);
        self.deeds.passed_over += u64::from(!fits);
        if let Some(onlooker) = &self.onlooker {
            onlooker.borrow_mut().on_step(self.world.now(), step, fits);
        }
        Ok(())
    }

    pub(super) fn host(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// Does something for one way, or for both.
    fn for_way(&mut self, way: &Way, act: impl Fn(&mut Self, usize, usize)) -> bool {
        let (Some(from), Some(to)) = (self.host(&way.from), self.host(&way.to)) else {
            return false;
        };
        act(self, from, to);
        if way.both {
            act(self, to, from);
        }
        true
    }

    fn turn_knobs(&mut self, link: &LinkSpec) {
        self.for_way(&link.way, |player, from, to| {
            let config = player.links.entry((from, to)).or_insert_with(usual_link);
            *config = link.apply(*config);
            let [from, to] = [from, to].map(|host| player.actors[host].id);
            player.world.set_link(from, to, *config);
        });
    }

    fn cut(&mut self, from: usize, to: usize) {
        self.world.cut(self.actors[from].id, self.actors[to].id);
    }

    fn heal(&mut self, from: usize, to: usize) {
        self.world.heal(self.actors[from].id, self.actors[to].id);
    }

    /// Does what a host does; whether it fits.
    fn deed(&mut self, host: usize, deed: &'a Deed) -> Verdict<bool> {
        let asleep = self.world.is_asleep(self.actors[host].id);
        let fate = matches!(deed, Deed::Crash | Deed::Restart | Deed::Move(_) | Deed::Jump(_));
        if asleep && !fate || !self.actors[host].is_up && !matches!(deed, Deed::Restart) {
            return Ok(false);
        }
        match deed {
            Deed::Connect { to, name, deadline } => self.connect(host, to, name, *deadline),
            Deed::Open { stream, order, direction, on, priority } => {
                let mut options =
                    StreamOptions { direction: *direction, ..StreamOptions::one_way(*order) };
                options.priority = priority.unwrap_or(options.priority);
                self.open(host, stream, on, options)
            }
            Deed::Send { stream, bytes, times, every, reliability, expires } => {
                let Some(place) = self.sending(host, stream) else { return Ok(false) };
                let options = SendOptions { reliability: *reliability, expires_after: *expires };
                let order = self.pacts[place.pact].streams[place.stream].id.order();
                // A stream of bytes has no empty chunks, and the newest has to be told from others.
                let least =
                    u64::from(order == Order::Bytes) + 4 * u64::from(order == Order::Latest);
                let job = Job {
                    bytes: (*bytes).clamp(least, BYTES_MAX) as usize,
                    left: *times,
                    due: if every.is_some() { (*times).min(1) } else { *times },
                    every: every.filter(|every| !every.is_zero()),
                    options: Self::options_for(order, options),
                };
                self.add_job(place, job).map(|()| true)
            }
            Deed::Finish(stream) => match self.sending(host, stream) {
                Some(place) => self.finish(place).map(|()| true),
                None => Ok(false),
            },
            Deed::CloseStream(stream, code) => match self.sending(host, stream) {
                Some(place) => self.end_half(place, Some(Code::application(*code))).map(|()| true),
                None => Ok(false),
            },
            Deed::Stop(stream, code) => self.stop(host, stream, Code::application(*code)),
            Deed::Priority(stream, priority) => self.set_priority(host, stream, *priority),
            Deed::Read(stream, times) => match self.receiving(host, stream) {
                Some(place) => self.read(place, *times).map(|()| true),
                None => Ok(false),
            },
            Deed::Reading(reading) => self.set_reading(host, *reading),
            Deed::Renew(name) => Ok(self.on_connection(host, name, |player, end| {
                player.call(end, |endpoint, now, handle| endpoint.renew(now, handle)).is_some()
            })),
            Deed::Refer(name, to) => {
                let Some(to) = self.host(to) else { return Ok(false) };
                Ok(self.on_connection(host, name, |player, end| player.refer(end, to)))
            }
            Deed::Close(name, grace) => {
                Ok(self.on_connection(host, name, |player, end| player.close(end, *grace)))
            }
            Deed::Kill(name) => Ok(self.on_connection(host, name, Self::kill)),
            Deed::NetworkChanged => {
                let id = self.actors[host].id;
                let told = self.world.with(id, |endpoint, now| endpoint.network_changed(now, None));
                self.audit.on_network_changed();
                Ok(told.is_ok())
            }
            Deed::ShutDown(grace) => {
                self.shut_down(host, *grace);
                Ok(true)
            }
            fate => Ok(self.fate(host, fate)),
        }
    }

    fn connect(
        &mut self,
        host: usize,
        to: &str,
        name: &'a str,
        deadline: Option<Duration>,
    ) -> Verdict<bool> {
        let Some(server) = self.host(to).filter(|server| *server != host) else { return Ok(false) };
        if !self.actors[server].spec.kind.is_server() {
            return Ok(false);
        }
        let begun = self.begin(host, server, name, deadline.unwrap_or(DEADLINE))?;
        if let Some(pact) = begun {
            self.connections.insert(name, pact);
        }
        Ok(begun.is_some())
    }

    /// Begins a connection; its index.
    pub(super) fn begin(
        &mut self,
        host: usize,
        server: usize,
        name: &str,
        deadline: Duration,
    ) -> Verdict<Option<usize>> {
        let Some(key) = stage::identity(self.scenario, self.actors[server].spec) else {
            return Ok(None);
        };
        let pact = self.pacts.len();
        // A private server shows its key to nobody: who knows it has been told.
        let is_private = self.actors[server].spec.kind == HostKind::Private;
        let asks = stage::asks(self.actors[host].spec) && !is_private;
        let server_key = (!asks).then(|| key.public_key());
        let user_id = (pact as u64).to_be_bytes();
        let options = ConnectOptions { deadline, user_id, server_key, ..ConnectOptions::default() };
        let id = self.actors[host].id;
        let target = Target::Name {
            host: self.actors[server].spec.name.clone(),
            port: self.world.address(self.actors[server].id).port(),
        };
        let front = self.behind(server).map(|_| server);
        let server = self.behind(server).unwrap_or(server);
        let begun = self.world.with(id, |endpoint, now| endpoint.connect(now, target, options));
        let handle = match begun {
            Ok(handle) => handle,
            // The user's own doing.
            Err(StartError::TooMany { .. } | StartError::ShuttingDown) => return Ok(None),
            Err(error) => return Err(Fault::new("T10", format!("connect: {error}"))),
        };
        let idle = stage::idle(self.actors[host].spec, self.actors[server].spec);
        let mut model = Pact::new(name, [host, server], (self.world.now(), deadline), idle);
        model.ends[0].handle = Some(handle);
        (model.front, model.key) = (front, Some(key.public_key()));
        let refuses = |at: usize| {
            let server = &self.actors[at];
            let stranger = self.actors[host].spec.kind != HostKind::Known
                && server.spec.kind == HostKind::Private;
            stage::is_bounded(server.spec) || stranger || server.is_leaving
        };
        // Who asked a front for its key is told of the other one together with a refusal.
        let told_off = front.is_some_and(|front| asks || refuses(front));
        model.excuses.refusing[1] = refuses(server) || told_off;
        let sides = [host, server];
        model.excuses.lying = sides.iter().any(|side| stage::lies(self.actors[*side].spec));
        model.excuses.wearing = sides.iter().any(|side| stage::wears(self.actors[*side].spec));
        self.actors[host].ends.insert(handle, (pact, 0));
        for end in [host, server] {
            self.actors[end].pacts.push(pact);
        }
        *self.pairs.entry(unordered([host, server])).or_default() += 1;
        self.pacts.push(model);
        self.outboxes.push(Vec::new());
        self.deeds.connections += 1;
        Ok(Some(pact))
    }

    /// The newest connection of that name, if the host is one of its ends and that is live.
    fn on_connection(
        &mut self,
        host: usize,
        name: &str,
        act: impl FnOnce(&mut Self, (usize, usize)) -> bool,
    ) -> bool {
        self.end(host, name).is_some_and(|end| act(self, end))
    }

    fn end(&self, host: usize, name: &str) -> Option<(usize, usize)> {
        let pact = *self.connections.get(name)?;
        let ends = &self.pacts[pact].ends;
        let side = ends.iter().position(|end| end.host == host && end.is_live())?;
        Some((pact, side))
    }

    fn open(
        &mut self,
        host: usize,
        stream: &'a str,
        on: &str,
        options: StreamOptions,
    ) -> Verdict<bool> {
        let Some((pact, side)) = self.end(host, on) else { return Ok(false) };
        let opened = self.open_on((pact, side), options)?;
        if let Some(index) = opened {
            self.streams.insert(stream, (pact, index));
        }
        Ok(opened.is_some())
    }

    /// Opens a stream; its index.
    pub(super) fn open_on(
        &mut self,
        (pact, side): (usize, usize),
        options: StreamOptions,
    ) -> Verdict<Option<usize>> {
        if self.pacts[pact].streams.len() >= STREAMS_MAX {
            return Ok(None);
        }
        let opened =
            self.call((pact, side), |endpoint, now, handle| endpoint.open(now, handle, options));
        match opened {
            None | Some(Err(OpenError::Closing)) => Ok(None),
            Some(Ok(id)) => {
                let index = self.pacts[pact].on_open(side, id, options)?;
                self.outboxes[pact].push(<[Outbox; 2]>::default());
                self.deeds.streams += 1;
                Ok(Some(index))
            }
            Some(Err(OpenError::Limit { .. })) => {
                self.pacts[pact].on_limit(side, options.direction);
                Ok(None)
            }
            Some(Err(error)) => Err(Fault::new("T44", format!("open: {error}"))),
        }
    }

    /// The half of the named stream on which a host sends.
    fn sending(&self, host: usize, stream: &str) -> Option<Place> {
        let (pact, stream) = *self.streams.get(stream)?;
        let model = &self.pacts[pact];
        let side = model.ends.iter().position(|end| end.host == host && end.is_live())?;
        let known = &model.streams[stream];
        let fits = known.halves[side].is_some() && known.is_known(side);
        fits.then_some(Place { pact, stream, side })
    }

    /// The half of the named stream that a host reads, named by who reads.
    fn receiving(&self, host: usize, stream: &str) -> Option<Place> {
        let (pact, stream) = *self.streams.get(stream)?;
        let model = &self.pacts[pact];
        let side = model.ends.iter().position(|end| end.host == host && end.is_live())?;
        let known = &model.streams[stream];
        let fits = known.halves[1 - side].is_some() && known.is_known(side);
        fits.then_some(Place { pact, stream, side })
    }

    fn stop(&mut self, host: usize, stream: &str, code: Code) -> Verdict<bool> {
        let Some(place) = self.receiving(host, stream) else { return Ok(false) };
        let Place { pact, stream, side } = place;
        let id = self.pacts[pact].streams[stream].id;
        let done =
            self.call((pact, side), |endpoint, now, handle| endpoint.stop(now, handle, id, code));
        let model = &mut self.pacts[pact].streams[stream];
        let may_be_gone = model.may_be_gone(side);
        match (done, model.receiving(side)) {
            (Some(Ok(())), Some(half)) => {
                if half.end.is_none() {
                    half.stop.get_or_insert(code);
                    half.readable = false;
                }
                Ok(true)
            }
            (Some(Err(error)), _) if !may_be_gone => {
                Err(Fault::new("M03", format!("stop {id}: {error}")))
            }
            _ => Ok(false),
        }
    }

    fn set_priority(&mut self, host: usize, stream: &str, priority: u8) -> Verdict<bool> {
        let Some(place) = self.sending(host, stream) else { return Ok(false) };
        let Place { pact, stream, side } = place;
        let model = &self.pacts[pact].streams[stream];
        let (id, may_be_gone) = (model.id, model.may_be_gone(side));
        let done = self.call((pact, side), |endpoint, now, handle| {
            endpoint.set_priority(now, handle, id, priority)
        });
        match done {
            Some(Err(error)) if !may_be_gone => {
                Err(Fault::new("M03", format!("priority of {id}: {error}")))
            }
            done => Ok(matches!(done, Some(Ok(())))),
        }
    }

    fn set_reading(&mut self, host: usize, reading: Reading) -> Verdict<bool> {
        let actor = &mut self.actors[host];
        let ticks = matches!(actor.reading, Reading::Rate(_));
        actor.reading = reading;
        match reading {
            Reading::All => self.read_all(host)?,
            Reading::Rate(_) if !ticks => {
                self.actors[host].allowance = 0;
                self.agenda.push(self.world.now(), Task::Read(host));
            }
            Reading::Nothing | Reading::Rate(_) => {}
        }
        Ok(true)
    }

    /// Closes a connection in an orderly way.
    pub(super) fn close(&mut self, (pact, side): (usize, usize), grace: Duration) -> bool {
        self.pacts[pact].excuses.closing = true;
        let code = Code::application(1);
        let done = self.call((pact, side), |endpoint, now, handle| {
            endpoint.close(now, handle, grace, code, "bye").is_ok()
        });
        done == Some(true)
    }

    /// Frees a connection in silence.
    pub(super) fn kill(&mut self, (pact, side): (usize, usize)) -> bool {
        self.pacts[pact].excuses.killed[side] = true;
        let done =
            self.call((pact, side), |endpoint, now, handle| endpoint.kill(now, handle).is_ok());
        done == Some(true)
    }

    fn shut_down(&mut self, host: usize, grace: Duration) {
        self.actors[host].is_leaving = true;
        for pact in &self.actors[host].pacts {
            let pact = &mut self.pacts[*pact];
            // Who is still opening may come back although its server forgot it.
            let opening = pact.ends[0].phase == Phase::Opening;
            let ends = |end: &End| end.host == host && (opening || end.phase != Phase::Gone);
            for side in [0, 1] {
                if ends(&pact.ends[side]) {
                    pact.excuses.closing = true;
                    pact.excuses.refusing[side] = true;
                }
            }
        }
        for pact in self.pacts.iter_mut().filter(|pact| pact.front == Some(host)) {
            pact.excuses.refusing[1] = true;
        }
        let id = self.actors[host].id;
        self.world.with(id, |endpoint, now| {
            endpoint.shut_down(now, grace, Code::SHUTTING_DOWN, "maintenance");
        });
    }

    /// What happens to a host.
    fn fate(&mut self, host: usize, fate: &Deed) -> bool {
        let id = self.actors[host].id;
        match fate {
            Deed::Move(address) => {
                let taken = self.world.hosts().any(|other| self.world.address(other) == *address);
                let free = !taken && self.may_move_to(host, *address);
                if free {
                    self.world.readdress(id, *address);
                    self.actors[host].has_moved = true;
                }
                free
            }
            Deed::Crash => self.crash(host),
            Deed::Restart => self.restart(host),
            Deed::Pause(time) => {
                self.world.pause(id, AsleepSocket::Keep(SOCKET), AsleepClock::Runs);
                self.agenda.push(self.world.now() + *time, Task::Resume(host));
                true
            }
            Deed::Jump(by) => {
                self.world.jump_clock(id, *by);
                // By its clock everything that was under way is long over.
                if *by >= FORGETS {
                    self.inspector.restarted(id);
                }
                true
            }
            Deed::Clock(pace) => {
                self.world.set_clock(id, pace.config());
                true
            }
            Deed::Refuses(refusal) => {
                self.world.set_send_faults(id, refusal.faults());
                true
            }
            Deed::Block(time) => {
                self.world.block_sending(id, *time);
                true
            }
            Deed::Replay(count, over) => self.begin_attack(host, Kind::Replay, *count, *over),
            Deed::Garbage(count, over) => self.begin_attack(host, Kind::Garbage, *count, *over),
            Deed::Flood(count, over) => self.begin_attack(host, Kind::Flood, *count, *over),
            _ => false,
        }
    }

    /// The host is gone, and all its ends with it; before, its books were looked at.
    fn crash(&mut self, host: usize) -> bool {
        self.actors[host].is_up = false;
        self.inspector.restarted(self.actors[host].id);
        for pact in &self.actors[host].pacts {
            let ends = &mut self.pacts[*pact].ends;
            ends.iter_mut().filter(|end| end.host == host).for_each(End::crash);
        }
        self.actors[host].ends = tripline::ConnectionData::new();
        // Nobody there: an endpoint that knows nothing, takes nothing and answers nothing.
        let silence =
            Endpoint::new(Config::client(), &stage::seed(self.scenario), self.world.now());
        let old = self.world.replace(self.actors[host].id, silence);
        self.audit_anew(host);
        self.late = self.weigh_crashed(host, old).err();
        true
    }

    /// A host that crashed comes back, knowing its key.
    pub(super) fn restart(&mut self, host: usize) -> bool {
        let actor = &mut self.actors[host];
        if actor.is_up {
            return false;
        }
        (actor.is_up, actor.is_leaving) = (true, false);
        actor.life += 1;
        let now = self.world.local_time(actor.id);
        let (inspector, onlooker) = (&self.inspector, self.onlooker.as_ref());
        let lives = stage::Life { number: actor.life, now };
        let endpoint = stage::endpoint(self.scenario, actor.spec, lives, inspector, onlooker);
        self.world.replace(actor.id, endpoint);
        self.audit_anew(host);
        true
    }
}

/// What links are like if nothing is said of them, and when all is healed.
pub(super) const fn usual_link() -> LinkConfig {
    LinkConfig::perfect().delay(Duration::from_millis(10))
}
