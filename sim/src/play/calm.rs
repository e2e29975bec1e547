//! The second phase: all is healed, and everything that was promised has to come true.
//!
//! Cuts end, links are perfect, crashed hosts come back, attackers go home, everybody reads. Then,
//! each within a bound of virtual time: what is owed on living connections arrives (L2), dead ones
//! are found to be dead (L6), a new connection comes about and carries a message (L1), all streams
//! end, all connections close on both sides, and in the end nobody sends anything and nobody has a
//! deadline (L8). In goes a run after its first phase, out comes a verdict.

use super::app::Job;
use super::deeds::usual_link;
use super::fault::{Fault, Verdict};
use super::pact::Phase;
use super::player::{Place, Player};
use super::stage;
use crate::inspect::Occasion;
use crate::scenario::Reading;
use std::collections::BTreeSet;
use tripline::{Order, SendOptions, State, StreamOptions};
use tripline_sansio::{DatagramMachine, Duration};

/// How long what is owed may take, beyond its transfer: L2 of the reliability page.
const SETTLE: Duration = Duration::from_secs(30);
/// The slowest transfer that counts as one, in bytes per second: below the rate of the profile
/// *limp*.
const TRANSFER: u64 = 10_000;
/// How long the second phase may wait for one thing, however much comes.
const PROGRESS: Duration = Duration::from_secs(7_200);
/// How long a handshake may take: L1.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long closing may take: ten probe timeouts of a path that was slow before it was healed.
const CLOSE: Duration = Duration::from_secs(600);
/// In what time everything falls idle after the last connection is gone: half-opens live 30 s.
const IDLE: Duration = Duration::from_secs(120);
/// A way there and back once all is healed, and some more.
const STEP: Duration = Duration::from_millis(100);
/// How often it is looked whether something has come true.
const LOOK: Duration = Duration::from_millis(100);
/// Longer idle limits than this are not waited for: such a connection is killed instead.
const PATIENCE: Duration = Duration::from_secs(600);
/// The first words on a new connection, in bytes.
const HELLO: usize = 5;
/// How many connections begin before what they say is looked at.
const TOGETHER: usize = 1_000;
/// The most rounds of ending streams: each lets those begin that waited for room.
const ROUNDS: usize = 200;

impl Player<'_> {
    /// The second phase.
    pub(super) fn calm(&mut self) -> Verdict {
        self.heal_everything()?;
        self.until("L2", SETTLE + self.transfer_time(), Self::what_is_owed)?;
        self.audit_all(Occasion::Midway)?;
        self.bury_the_dead()?;
        self.judge_states()?;
        self.begin_anew()?;
        self.end_streams()?;
        self.audit_all(Occasion::Midway)?;
        self.close_all()?;
        self.fall_silent()
    }

    fn heal_everything(&mut self) -> Verdict {
        self.end_attacks();
        self.world.heal_all(usual_link());
        self.heal_nats();
        self.heal_systems();
        for host in 0..self.actors.len() {
            self.world.resume(self.actors[host].id);
            self.restart(host);
            self.actors[host].reading = Reading::All;
        }
        for outbox in self.outboxes.iter_mut().flatten().flatten() {
            for job in &mut outbox.jobs {
                // What is sent now and then goes on forever; what is sent at once is sent.
                match job.every {
                    Some(_) => job.left = job.due,
                    None => job.due = job.left,
                }
            }
        }
        if let Some(onlooker) = &self.onlooker {
            onlooker.borrow_mut().on_calm(self.world.now());
        }
        // Who has moved and has nothing to say is not found by a peer who has: its user tells it.
        for actor in self.actors.iter().filter(|actor| actor.has_moved) {
            self.world.with(actor.id, |endpoint, now| endpoint.network_changed(now, None)).ok();
        }
        self.audit.on_network_changed();
        self.part_the_lost();
        self.pump()?;
        self.push_all()?;
        for host in 0..self.actors.len() {
            self.read_all(host)?;
        }
        self.pump()
    }

    /// Who was referred to its server knows no name of it. If both have moved since, nobody can
    /// tell one where the other is: their users end it.
    fn part_the_lost(&mut self) {
        for pact in 0..self.pacts.len() {
            let model = &self.pacts[pact];
            let moved = model.ends.iter().all(|end| self.actors[end.host].has_moved);
            let lost = model.front.is_some() && moved;
            for side in [0, 1] {
                if lost && self.pacts[pact].ends[side].is_live() {
                    self.kill((pact, side));
                }
            }
        }
    }

    fn push_all(&mut self) -> Verdict {
        for pact in 0..self.pacts.len() {
            for stream in 0..self.pacts[pact].streams.len() {
                for side in [0, 1] {
                    if self.pacts[pact].streams[stream].is_known(side) {
                        self.push(Place { pact, stream, side })?;
                    }
                }
            }
        }
        Ok(())
    }

    /// How long the rest may take to cross a slow network.
    fn transfer_time(&self) -> Duration {
        let queued = self.outboxes.iter().flatten().flatten().flat_map(|outbox| &outbox.jobs);
        let queued: u64 = queued.map(|job| job.left.saturating_mul(job.bytes as u64)).sum();
        let out = self.deeds.sent_bytes.saturating_sub(self.deeds.received_bytes);
        // Where the engine keeps no more than one message, each waits for the one before.
        let one_by_one = self.pacts_are_small().then(|| {
            let left: u64 = self
                .outboxes
                .iter()
                .flatten()
                .flatten()
                .flat_map(|outbox| &outbox.jobs)
                .map(|job| job.left)
                .sum();
            let slowest = self.actors.iter().map(|actor| stage::ack_delay(actor.spec)).max();
            (slowest.unwrap_or_default() + STEP) * u32::try_from(left).unwrap_or(u32::MAX)
        });
        Duration::from_secs((queued + out) / TRANSFER) + one_by_one.unwrap_or_default()
    }

    fn pacts_are_small(&self) -> bool {
        self.actors.iter().any(|actor| stage::is_narrow(actor.spec))
    }

    /// How much has been sent and read.
    const fn done(&self) -> (u64, u64) {
        (self.deeds.sent, self.deeds.received_bytes)
    }

    /// Runs until `missing` finds nothing, at most for `limit` without any message.
    fn until(
        &mut self,
        oracle: &'static str,
        limit: Duration,
        missing: impl Fn(&Self) -> Option<String>,
    ) -> Verdict {
        let last = self.world.now() + PROGRESS;
        let mut end = self.world.now() + limit;
        let mut done = self.done();
        while let Some(what) = missing(self) {
            // As long as messages come, slow credit is no fault.
            if self.done() != done {
                done = self.done();
                end = end.max(self.world.now() + limit).min(last.max(end));
            }
            if self.world.now() >= end {
                let what = format!("nothing came for {limit:?}, and there is owed: {what}");
                return Err(Fault::new(oracle, what));
            }
            // Not before anything happens. The agenda is not asked: onlookers have a place in it.
            let next = self.world.next_time().unwrap_or(end);
            self.run_until(end.min(next.max(self.world.now() + LOOK)))?;
        }
        Ok(())
    }

    /// Something that is owed on a connection that lives on both sides.
    fn what_is_owed(&self) -> Option<String> {
        (0..self.pacts.len()).find_map(|pact| self.owed_by(pact))
    }

    fn owed_by(&self, pact: usize) -> Option<String> {
        let model = &self.pacts[pact];
        let lives = model.ends.iter().all(|end| end.phase == Phase::Connected);
        let what = model.owed().or_else(|| {
            let outboxes = self.outboxes[pact].iter().zip(&model.streams);
            let waits = outboxes.into_iter().any(|(outboxes, stream)| {
                let queued = |side: usize| outboxes[side].jobs.iter().any(|job| job.due > 0);
                stream.told && [0, 1].into_iter().any(queued)
            });
            waits.then(|| "messages to be handed in".into())
        });
        what.filter(|_| lives).map(|what| {
            let explanations = [0, 1].map(|side| self.explain((pact, side)));
            format!(
                "{}: {what}\nclient: {}\nserver: {}",
                model.name, explanations[0], explanations[1]
            )
        })
    }

    /// What the engine says of an end, for reports.
    fn explain(&self, (pact, side): (usize, usize)) -> String {
        let end = &self.pacts[pact].ends[side];
        let machine = self.world.machine(self.actors[end.host].id);
        let said = end.handle.and_then(|handle| machine.explain(self.world.now(), handle));
        said.map_or_else(|| "nothing".into(), |said| said.to_string())
    }

    /// Connections of which one end is over: the other has to notice, or is killed if it would take
    /// longer than anybody waits.
    fn bury_the_dead(&mut self) -> Verdict {
        let limit = |pact: &super::pact::Pact| {
            let idle = pact.idle.map_or(PATIENCE, |idle| idle.min(PATIENCE));
            idle.max(pact.deadline)
        };
        let half_dead = |player: &Self| {
            player.pacts.iter().find_map(|pact| {
                let tries = pact.ends[0].phase == Phase::Opening;
                let dead = pact.ends.iter().any(|end| !end.is_live());
                let alive = pact.ends.iter().any(|end| end.phase == Phase::Connected);
                // Who probes for ever never gives up.
                let gives_up = pact
                    .ends
                    .iter()
                    .all(|end| !end.is_live() || !stage::probes(player.actors[end.host].spec));
                let bounded = gives_up && pact.idle.is_some_and(|idle| idle < PATIENCE);
                let waits = tries || dead && alive && bounded;
                waits.then(|| format!("{} is half dead: {:?}", pact.name, pact.ends))
            })
        };
        let most = self.pacts.iter().map(limit).max().unwrap_or_default();
        self.until("L6", most + SETTLE, half_dead)?;
        for pact in 0..self.pacts.len() {
            let ends = &self.pacts[pact].ends;
            let dead = ends.iter().any(|end| end.phase != Phase::Connected);
            for side in [0, 1] {
                if dead && self.pacts[pact].ends[side].is_live() {
                    self.kill((pact, side));
                }
            }
        }
        self.pump()
    }

    /// Connections that live are ready.
    fn judge_states(&self) -> Verdict {
        for pact in &self.pacts {
            for end in pact.ends.iter().filter(|end| end.phase == Phase::Connected) {
                let machine = self.world.machine(self.actors[end.host].id);
                let state = end.handle.and_then(|handle| machine.state(handle));
                if !matches!(state, Some(State::Ready | State::Leaving | State::Closing)) {
                    return Err(Fault::new("L1", format!("{} is {state:?}, not ready", pact.name)));
                }
            }
        }
        Ok(())
    }

    /// Each pair that was ever connected connects once more, and a message crosses.
    fn begin_anew(&mut self) -> Verdict {
        let pairs: BTreeSet<_> =
            self.pacts.iter().map(|pact| pact.ends.each_ref().map(|end| end.host)).collect();
        let mut begun = Vec::new();
        for [client, server] in pairs {
            let refused = self.actors[server].is_leaving || self.actors[client].is_leaving;
            let bounded =
                [client, server].iter().any(|host| stage::is_bounded(self.actors[*host].spec));
            if refused || bounded {
                continue;
            }
            let Some(direction) = stage::open_direction(self.actors[server].spec) else { continue };
            let Some(pact) = self.begin(client, server, "anew", HANDSHAKE)? else { continue };
            if begun.len() % TOGETHER == TOGETHER - 1 {
                self.pump()?;
            }
            if self.pacts[pact].excuses.refusing[1] {
                continue;
            }
            // A few bytes on a stream of bytes: no agreed limit is too small for them.
            let options = StreamOptions { direction, ..StreamOptions::one_way(Order::Bytes) };
            if let Some(stream) = self.open_on((pact, 0), options)? {
                let job = Job {
                    bytes: HELLO,
                    left: 1,
                    due: 1,
                    every: None,
                    options: SendOptions::default(),
                };
                self.add_job(Place { pact, stream, side: 0 }, job)?;
                begun.push(pact);
            }
        }
        self.until("L1", HANDSHAKE, |player| {
            begun.iter().find_map(|pact| {
                let model = &player.pacts[*pact];
                let half = model.streams.first().and_then(|stream| stream.halves[0].as_ref());
                // With a short idle limit the first may be over before the last has begun.
                let both = model.ends.iter().all(|end| end.phase != Phase::Opening);
                let there = both && half.is_some_and(|half| half.got_bytes() == HELLO as u64);
                (!there).then(|| format!("a first message ({})", player.explain((*pact, 0))))
            })
        })
    }

    /// Ends all streams: those that waited for room begin then, and end too.
    fn end_streams(&mut self) -> Verdict {
        for _ in 0..ROUNDS {
            let mut any = false;
            for pact in 0..self.pacts.len() {
                for stream in 0..self.pacts[pact].streams.len() {
                    for side in [0, 1] {
                        any |= self.end_one(Place { pact, stream, side })?;
                    }
                }
            }
            // Also if none was left to end: who became ready a moment ago owes what it has.
            self.until("L2", SETTLE + self.transfer_time(), Self::what_is_owed)?;
            if !any {
                return Ok(());
            }
        }
        Err(Fault::new("L2", "streams still begin after all have ended".into()))
    }

    /// Ends a half, if that is still to be done.
    fn end_one(&mut self, place: Place) -> Verdict<bool> {
        let Place { pact, stream, side } = place;
        let model = &mut self.pacts[pact];
        let lives = model.ends.iter().all(|end| end.phase == Phase::Connected);
        let known = &mut model.streams[stream];
        let open =
            known.is_known(side) && known.sending(side).is_some_and(|half| !half.has_ended());
        if !lives || !open {
            return Ok(false);
        }
        self.end_half(place, None)?;
        let half = self.pacts[pact].streams[stream].sending(side);
        Ok(half.is_some_and(|half| half.has_ended()))
    }

    /// Closes all connections; both sides learn of it, once, and both are gone.
    fn close_all(&mut self) -> Verdict {
        for pact in 0..self.pacts.len() {
            let side = pact % 2;
            if self.pacts[pact].ends.iter().all(|end| end.phase == Phase::Connected) {
                self.close((pact, side), Duration::from_secs(10));
            }
            self.pump()?;
        }
        self.until("L6", CLOSE, |player| player.not_gone(true))?;
        // Who probes for ever and was not reached by the end (a peer that has moved, and speaks
        // from an address that is no more) is ended by its user.
        for pact in 0..self.pacts.len() {
            for side in [0, 1] {
                if self.pacts[pact].ends[side].is_live() {
                    self.kill((pact, side));
                }
            }
        }
        self.pump()?;
        self.until("L6", CLOSE, |player| player.not_gone(false))
    }

    /// An end that is not gone; not one that probes for ever while its peer is gone, if `patient`.
    fn not_gone(&self, patient: bool) -> Option<String> {
        self.pacts.iter().find_map(|pact| {
            let here = |side: &usize| {
                let [end, peer] = [&pact.ends[*side], &pact.ends[1 - *side]];
                let forever = stage::probes(self.actors[end.host].spec) || pact.idle.is_none();
                let probes = patient && forever;
                let waits = end.is_live() && (peer.is_live() || !probes);
                end.handle.is_some() && (waits || end.phase == Phase::Over)
            };
            let side = [0, 1].into_iter().find(here)?;
            Some(format!("{} is not gone: {:?}", pact.name, pact.ends[side]))
        })
    }

    /// Nobody sends, nobody has a deadline, nobody holds a connection.
    fn fall_silent(&mut self) -> Verdict {
        self.until("L8", IDLE.max(CLOSE), |player| {
            let waits = |actor: &super::player::Actor<'_>| {
                let at = player.world.machine(actor.id).poll_timeout();
                let what = at.map(|at| format!("{at:?}"));
                let blocked = || player.world.is_blocked(actor.id).then(|| "its turn".to_owned());
                let what = what.or_else(blocked)?;
                Some(format!("silence; {} waits for {what}", actor.spec.name))
            };
            let moving = player.world.in_flight() > 0;
            let moving = moving.then(|| "silence; something is on its way".to_owned());
            moving.or_else(|| player.actors.iter().find_map(waits))
        })?;
        // What ended with something unread is kept until somebody lets go of it.
        for pact in 0..self.pacts.len() {
            for end in &self.pacts[pact].ends {
                let id = self.actors[end.host].id;
                if let Some(handle) = end.handle.filter(|_| end.phase == Phase::Gone) {
                    self.world.with(id, |endpoint, now| endpoint.kill(now, handle)).ok();
                }
            }
        }
        self.pump()?;
        for actor in &self.actors {
            let left = self.world.machine(actor.id).connections();
            if left > 0 {
                let what = format!("{} still holds {left} connections", actor.spec.name);
                return Err(Fault::new("I13", what));
            }
            // Nobody has a deadline any more, so none of them waits for its end.
            let left = self.world.machine(actor.id).half_opens();
            if left > 0 {
                let what = format!("{} still holds {left} half-open connections", actor.spec.name);
                return Err(Fault::new("I13", what));
            }
        }
        self.audit_all(Occasion::End)?;
        self.weigh_all()
    }
}
