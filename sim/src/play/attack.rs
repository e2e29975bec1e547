//! Attackers: datagrams from nobody.
//!
//! They see what arrives at their victim, as somebody on its network would, and send copies of it,
//! changed copies, noise, or OPENs with a source that is not theirs. Those who repeat know where it
//! hurts, at the far edge of the replay window, and those who flood answer the RETRYs that they see
//! from where the token was not given. In go steps, out come injected datagrams; each attack draws
//! from a generator of its own. They know no key but public ones.

use super::caller::{Asked, Caller};
use super::player::{Player, Task};
use super::stage;
use crate::rule::{Corruption, Stage};
use crate::scenario::{Action, Deed, Scenario};
use crate::world::World;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use tripline_sansio::{DatagramMachine, Duration, Ecn, Random};

/// How many of a victim's datagrams are kept: more than fit into its replay window.
const KEPT: usize = 4_352;
/// Most copies are of the newest so many.
const FRESH: u64 = 256;
/// How far below the largest number a replay window ends (R-DATA-3b).
const WINDOW: u16 = 4_096;
/// The most OPENs that are made for one flood; then they come again, from other addresses.
const OPENS: u64 = 256;

/// What an attack does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Copies.
    Replay,
    /// Changed copies and noise.
    Garbage,
    /// OPENs from elsewhere.
    Flood,
}

/// An attack under way.
struct Attack {
    kind: Kind,
    victim: usize,
    left: u64,
    every: Duration,
    random: Random,
    /// Who floods.
    caller: Option<Caller>,
}

/// What arrived at a victim: source and bytes, in a ring.
#[derive(Default)]
struct Seen {
    next: usize,
    kept: Vec<(SocketAddr, Vec<u8>)>,
}

impl Seen {
    /// The one that came so many before the newest.
    fn back(&self, by: usize) -> Option<&(SocketAddr, Vec<u8>)> {
        let at = match self.kept.len() {
            KEPT => (self.next + KEPT).checked_sub(1 + by)? % KEPT,
            len => len.checked_sub(1 + by)?,
        };
        self.kept.get(at)
    }

    /// A packet at the far edge of the window of the connection that was heard last, or a step
    /// beyond, if so many have come.
    fn at_the_edge(&self, random: &mut Random) -> Option<(SocketAddr, Vec<u8>)> {
        let all = || (0..self.kept.len()).filter_map(|by| self.back(by));
        let data = || all().filter_map(|one| Some((number_of(&one.1)?, one)));
        let ((id, first), _) = data().next()?;
        let mine = || data().filter(|((other, _), _)| *other == id);
        // Numbers go round; in a window of so few the largest is the one farthest ahead.
        let ahead = |number: u16| number.wrapping_sub(first).wrapping_add(1 << 15);
        let largest = mine().map(|((_, number), _)| number).max_by_key(|number| ahead(*number))?;
        let below = WINDOW - 1 + random.below(3) as u16;
        let edge = largest.wrapping_sub(below);
        mine().find(|((_, number), _)| *number == edge).map(|(_, one)| one.clone())
    }
}

/// The ID of DATA, and the low end of its number.
fn number_of(bytes: &[u8]) -> Option<(u64, u16)> {
    let (first, rest) = bytes.split_first()?;
    let (id, rest) = rest.split_first_chunk::<8>()?;
    let low = match first {
        0x80 => rest.first_chunk::<2>()?,
        0xc0 => rest.get(2..)?.first_chunk::<2>()?,
        _ => return None,
    };
    Some((u64::from_be_bytes(*id), u16::from_be_bytes(*low)))
}

/// By host, what arrived of late; nothing is kept where nobody will attack.
type Sights = Rc<RefCell<Vec<Option<Seen>>>>;

/// All attackers of a run.
pub(super) struct Attackers {
    seen: Sights,
    asked: Asked,
    attacks: Vec<Attack>,
}

impl Attackers {
    /// Nobody attacks yet.
    pub(super) fn of(scenario: &Scenario) -> Self {
        let is_victim = |name: &str| {
            scenario.steps.iter().any(|step| match &step.action {
                Action::Host(host, Deed::Replay(..) | Deed::Garbage(..)) => host == name,
                _ => false,
            })
        };
        let seen = scenario.hosts.iter().map(|host| is_victim(&host.name).then(Default::default));
        let seen = Rc::new(RefCell::new(seen.collect()));
        Self { seen, asked: Asked::of(scenario), attacks: Vec::new() }
    }

    /// Looks at what arrives at the victims, and at what they ask for.
    pub(super) fn attach<M: DatagramMachine>(&self, world: &mut World<M>) {
        self.asked.attach(world);
        if self.seen.borrow().iter().all(Option::is_none) {
            return;
        }
        let seen = self.seen.clone();
        world.add_tap(move |packet| {
            let (Stage::Delivered, Some(to), Some(_)) = (packet.stage, packet.to, packet.from)
            else {
                return;
            };
            if let Some(Some(Seen { next, kept })) = seen.borrow_mut().get_mut(to.index()) {
                let one = (packet.source, packet.bytes.to_vec());
                match kept.get_mut(*next) {
                    Some(place) => *place = one,
                    None => kept.push(one),
                }
                *next = (*next + 1) % KEPT;
            }
        });
    }
}

impl Player<'_> {
    /// Begins an attack on a host; whether there is anything to do.
    pub(super) fn begin_attack(
        &mut self,
        host: usize,
        kind: Kind,
        count: u64,
        over: Duration,
    ) -> bool {
        let number = self.attackers.attacks.len();
        let label = format!("attack {number}");
        let caller = match kind {
            Kind::Flood => self.caller_for(host, count.min(OPENS), &label),
            _ => None,
        };
        let nothing = count == 0 || kind == Kind::Flood && caller.is_none();
        let every = over / u32::try_from(count.max(1)).unwrap_or(u32::MAX);
        let random = stage::seed(self.scenario).random(&label);
        let attack = Attack { kind, victim: host, left: count, every, random, caller };
        self.attackers.attacks.push(attack);
        if !nothing {
            self.agenda.push(self.world.now(), Task::Attack(number));
        }
        !nothing
    }

    /// Somebody who knows a server's public key, with so many OPENs for it.
    fn caller_for(&self, host: usize, count: u64, label: &str) -> Option<Caller> {
        let key = stage::identity(self.scenario, self.actors[host].spec)?;
        let (now, address) = (self.world.now(), self.world.address(self.actors[host].id));
        let seed = stage::seed(self.scenario).child(label);
        Caller::new(&seed, now, (address, key.public_key()), count)
    }

    /// The next datagram of an attack.
    pub(super) fn attack(&mut self, number: usize) {
        let victim = self.attackers.attacks[number].victim;
        let id = self.actors[victim].id;
        let seen = self.attackers.seen.clone();
        let seen = seen.borrow();
        let none = Seen::default();
        let seen = seen.get(victim).and_then(|seen| seen.as_ref()).unwrap_or(&none);
        let attack = &mut self.attackers.attacks[number];
        let drawn = match &mut attack.caller {
            Some(caller) => {
                let asked = self.attackers.asked.take(victim);
                Some(caller.draw(self.world.now(), asked, &mut attack.random))
            }
            None => attack.draw(seen),
        };
        if let Some((source, bytes)) = drawn {
            self.world.inject(Duration::ZERO, source, id, Ecn::NotEct, &bytes);
        }
        let attack = &mut self.attackers.attacks[number];
        attack.left -= 1;
        if attack.left > 0 {
            let at = self.world.now() + attack.every;
            self.agenda.push(at, Task::Attack(number));
        }
    }

    /// No attacker does anything any more.
    pub(super) fn end_attacks(&mut self) {
        self.attackers.attacks.iter_mut().for_each(|attack| attack.left = attack.left.min(1));
    }
}

impl Attack {
    /// Source and bytes of the next datagram, if there is anything to send.
    fn draw(&mut self, seen: &Seen) -> Option<(SocketAddr, Vec<u8>)> {
        let random = &mut self.random;
        let any = |random: &mut Random| {
            let most = (seen.kept.len() as u64).clamp(1, FRESH);
            seen.back(random.below(most) as usize).cloned()
        };
        match self.kind {
            Kind::Replay if random.below(4) == 0 => {
                seen.at_the_edge(random).or_else(|| any(random))
            }
            Kind::Replay => any(random),
            Kind::Flood => None,
            Kind::Garbage => {
                let (source, mut bytes) = any(random)?;
                match random.below(5) {
                    0 => bytes = (0..random.below(1_500)).map(|_| random.bits32() as u8).collect(),
                    1 => Corruption::Truncate(random.below(bytes.len() as u64 + 1) as usize)
                        .apply(&mut bytes),
                    2 => Corruption::Extend(vec![random.bits32() as u8; 3]).apply(&mut bytes),
                    _ => Corruption::FlipBit(random.bits32() as usize).apply(&mut bytes),
                }
                Some((source, bytes))
            }
        }
    }
}
