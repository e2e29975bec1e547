//! Audits: what engines say of themselves, held against what the network and the applications saw.
//!
//! In go the run as it is, out come faults; nothing is changed by it. Looked at are: whoever has
//! just sent payload (I9, its window); a few connections with each step, and each whenever it ends
//! and when all has settled (I9, I13, I25); endpoints when their host acts, crashes, and in the end
//! (I13, I14, I25). What is known of a connection comes from the inspector, what messages there
//! were from the models.

use super::fault::{Fault, Verdict, ensure};
use super::pact::Phase;
use super::player::Player;
use super::stage;
use crate::inspect::{Circumstances, HostLedger, Occasion, judge_connection, judge_endpoint};
use crate::scenario::{Action, Deed, Scenario};
use tripline::{ConnectionStats, State};

/// Connections that are looked at with one step.
const WITH_A_STEP: usize = 8;
/// How often an endpoint may touch connections for each datagram that comes: a RESET concerns four
/// at most, all else one (PROTOCOL.md §11).
const TOUCHED_BY_ONE: u64 = 4;

/// What auditors remember.
#[derive(Debug)]
pub(super) struct Audit {
    /// By host: what was known, and how many turns there were, when its machine came.
    since: Vec<(HostLedger, u64)>,
    /// By connection and side.
    probes: Vec<[Probing; 2]>,
    /// By host: how many connections it may hold.
    connections_max: Vec<u64>,
    /// By host: whether it asks on and on where others give up.
    asks_on: Vec<bool>,
    /// The next connection to be looked at.
    next: usize,
    /// All is healed, and nothing is owed on connections that live.
    is_settled: bool,
    /// Nobody moves, nor is told that he has.
    stays: bool,
}

impl Audit {
    pub(super) fn of(scenario: &Scenario) -> Self {
        let moves = |action: &Action| {
            matches!(action, Action::Host(_, Deed::Move(_) | Deed::NetworkChanged))
        };
        let stays = !scenario.steps.iter().any(|step| moves(&step.action));
        let since = vec![<(HostLedger, u64)>::default(); scenario.hosts.len()];
        let hosts = scenario.hosts.iter();
        let connections_max = hosts.map(|host| stage::connections_max(scenario, host)).collect();
        let asks_on = scenario.hosts.iter().map(stage::probes).collect();
        Self {
            since,
            connections_max,
            asks_on,
            probes: Vec::new(),
            next: 0,
            is_settled: false,
            stays,
        }
    }

    /// Whether a probe timeout since the last acknowledgement may let packets pass the window.
    /// What was held for lost and came all the same ends no probe.
    fn probes(
        &mut self,
        (pact, side): (usize, usize),
        stats: &ConnectionStats,
        acked: u64,
    ) -> bool {
        if self.probes.len() <= pact {
            self.probes.resize(pact + 1, Default::default());
        }
        let seen = &mut self.probes[pact][side];
        let acked = acked.saturating_sub(stats.packets_spurious);
        if seen.count != Some(stats.probes) {
            *seen = Probing { count: Some(stats.probes), acked, is_open: true };
        } else if seen.acked != acked {
            seen.is_open = false;
        }
        seen.is_open
    }

    /// A user said that its network changed: what follows may pass the window, as probes do.
    pub(super) fn on_network_changed(&mut self) {
        self.probes.iter_mut().flatten().for_each(|seen| seen.count = None);
    }
}

/// The probe timeouts of one end.
#[derive(Clone, Copy, Debug, Default)]
struct Probing {
    /// How many were counted; `None`: it may probe for another reason.
    count: Option<u64>,
    /// How much was acknowledged when that was seen.
    acked: u64,
    /// Nothing was acknowledged since.
    is_open: bool,
}

impl Player<'_> {
    /// Whoever has sent payload last: it is within its window.
    pub(super) fn audit_talker(&mut self) -> Verdict {
        let Some((user, side)) = self.inspector.take_talker() else { return Ok(()) };
        match usize::try_from(user) {
            Ok(pact) if pact < self.pacts.len() => self.audit_figures((pact, side)),
            _ => Ok(()),
        }
    }

    /// Before a step: a few connections, in turn, and the host that it is about, whose machine may
    /// be gone after it.
    pub(super) fn audit_some(&mut self, step: usize) -> Verdict {
        if let Action::Host(name, _) = &self.scenario.steps[step].action
            && let Some(host) = self.names.get(name.as_str())
        {
            self.audit_host(*host, Occasion::Midway)?;
        }
        for _ in 0..self.pacts.len().min(WITH_A_STEP) {
            let pact = self.audit.next % self.pacts.len();
            self.audit.next = pact + 1;
            self.audit_pact(pact)?;
        }
        Ok(())
    }

    /// All connections and all endpoints, at a time when all is settled.
    pub(super) fn audit_all(&mut self, occasion: Occasion) -> Verdict {
        self.audit.is_settled = true;
        for pact in 0..self.pacts.len() {
            self.audit_pact(pact)?;
            self.audit_words(pact)?;
        }
        self.audit.is_settled = false;
        (0..self.actors.len()).try_for_each(|host| self.audit_host(host, occasion))
    }

    fn audit_pact(&mut self, pact: usize) -> Verdict {
        for side in [0, 1] {
            self.audit_end((pact, side))?;
        }
        if self.pacts[pact].lives() { self.audit_buffers(pact) } else { Ok(()) }
    }

    /// One end: its figures, and the messages that went through its user's hands.
    pub(super) fn audit_end(&mut self, (pact, side): (usize, usize)) -> Verdict {
        let end = &self.pacts[pact].ends[side];
        let machine = self.world.machine(self.actors[end.host].id);
        let lives = !matches!(end.phase, Phase::Gone | Phase::Crashed);
        let Some(stats) =
            end.handle.filter(|_| lives).and_then(|handle| machine.connection_stats(handle))
        else {
            return Ok(());
        };
        let name = || format!("{} at {}", self.pacts[pact].name, self.actors[end.host].spec.name);
        let (sent, got) = (end.handed_in(), end.got);
        ensure((stats.messages_sent, stats.messages_received) == (sent, got), "I25", || {
            format!(
                "{}: {} messages taken and {} handed out, it says; they were {sent} and {got}",
                name(),
                stats.messages_sent,
                stats.messages_received
            )
        })?;
        self.audit_figures((pact, side))
    }

    /// I9, I25: the figures of one end.
    fn audit_figures(&mut self, (pact, side): (usize, usize)) -> Verdict {
        let now = self.world.now();
        let Some(ledgers) = self.inspector.ledgers(pact as u64, now) else { return Ok(()) };
        let end = &self.pacts[pact].ends[side];
        let actor = &self.actors[end.host];
        let machine = self.world.machine(actor.id);
        let live = end.handle.filter(|_| !matches!(end.phase, Phase::Gone | Phase::Crashed));
        let Some(handle) = live else { return Ok(()) };
        // In a drain that was broken off, figures are ahead of what was seen.
        if machine.stats().datagrams_waiting > 0 {
            return Ok(());
        }
        let Some(stats) = machine.connection_stats(handle) else { return Ok(()) };
        let is_ready = end.phase == Phase::Connected
            && matches!(machine.state(handle), Some(State::Ready | State::Leaving));
        let missing = stage::is_bounded(actor.spec) || actor.is_leaving;
        let around = Circumstances {
            is_ready,
            is_settled: self.audit.is_settled && self.pacts[pact].is_told(),
            stays: self.audit.stays,
            may_have_missed: side == 1 && missing,
            probes: self.audit.asks_on[end.host]
                || self.audit.probes((pact, side), &stats, ledgers[side].acked),
            has_least_window: true,
        };
        let found = judge_connection(&stats, &ledgers[side], &ledgers[1 - side], around);
        found.map_or(Ok(()), |(invariant, what)| {
            let name = &self.pacts[pact].name;
            Err(Fault::new(invariant, format!("{name} at {}: {what}", actor.spec.name)))
        })
    }

    /// I13: what was handed in and not read fits into what both engines say that they keep.
    fn audit_buffers(&self, pact: usize) -> Verdict {
        let model = &self.pacts[pact];
        for stream in &model.streams {
            for side in [0, 1] {
                let Some(half) = &stream.halves[side] else { continue };
                let specs = [side, 1 - side].map(|side| self.actors[model.ends[side].host].spec);
                let most = stage::buffered(specs[0], specs[1], half.longest());
                let Some(kept) = half.kept() else { continue };
                ensure(kept <= most, "I13", || {
                    let name = &model.name;
                    format!("{} of {name}: {kept} bytes are kept, at most {most} may", stream.id)
                })?;
            }
        }
        Ok(())
    }

    /// I13, I14, I25: an endpoint.
    pub(super) fn audit_host(&self, host: usize, occasion: Occasion) -> Verdict {
        let actor = &self.actors[host];
        if !actor.is_up {
            return Ok(());
        }
        let machine = self.world.machine(actor.id);
        let name = &actor.spec.name;
        let most = self.audit.connections_max[host];
        let live = machine.connections() as u64;
        ensure(live <= most, "I13", || format!("{name} holds {live} connections of {most}"))?;
        let (since, turns) = self.audit.since[host];
        let known = self.inspector.host_ledger(actor.id).since(&since);
        let stats = machine.stats();
        let segments = stage::segments(actor.spec);
        if let Some((invariant, what)) = judge_endpoint(&stats, &known, segments, occasion) {
            return Err(Fault::new(invariant, format!("{name}: {what}")));
        }
        // In each turn something may fall due at each connection; what was touched is then asked
        // for packets once, and once more for each train.
        let turns = self.world.turns(actor.id) - turns;
        let given = TOUCHED_BY_ONE * known.came.packets + stats.transmits;
        // Each message is a call of its own, and there may be many of them in a turn.
        let calls = 2 * (self.deeds.sent + self.deeds.received);
        let most = 2 * given + 2 * calls + turns.saturating_mul(4 * (actor.pacts.len() as u64 + 1));
        ensure(stats.connections_touched <= most, "I14", || {
            format!(
                "{name} touched connections {} times for {} datagrams and {turns} turns",
                stats.connections_touched, known.came.packets
            )
        })
    }

    /// A host's machine is another one from now on.
    pub(super) fn audit_anew(&mut self, host: usize) {
        let id = self.actors[host].id;
        self.audit.since[host] = (self.inspector.host_ledger(id), self.world.turns(id));
    }
}
