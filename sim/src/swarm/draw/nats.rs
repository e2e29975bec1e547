//! NATs: who of the clients is behind which, what they are like, and what happens to them.

use super::Feature as F;
use super::hosts::{Cast, address};
use super::{Plan, fate, step};
use crate::nat::{Dependence, PortChoice};
use crate::scenario::{Action, NatDeed, NatKind, NatKnob, NatSpec, Step};
use crate::swarm::dice::Dice;
use std::net::IpAddr;
use tripline_sansio::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// Networks of outside addresses: at the start, and of NATs that get another one.
const NETWORKS: [u8; 2] = [200, 201];

/// Draws them, and puts most clients behind one. Routers come first, a carrier's last.
pub(super) fn draw(plan: &Plan, cast: &mut Cast) -> Vec<NatSpec> {
    if !plan.has(F::Nats) {
        return Vec::new();
    }
    let mut dice = plan.dice("nats");
    let routers = dice.log(1, cast.clients().len().clamp(1, 8) as u64);
    let has_carrier = dice.percent(30);
    let mut nats: Vec<_> = (0..routers).map(|at| nat(plan, &format!("router{at}"), at)).collect();
    for nat in &mut nats {
        let behind = has_carrier && plan.dice(format!("{} carrier", nat.name)).percent(80);
        nat.behind = behind.then(|| "carrier".to_owned());
    }
    let servers = cast.servers;
    for host in cast.hosts.iter_mut().skip(servers) {
        let mut dice = plan.dice(format!("{} behind", host.name));
        if dice.percent(75) {
            host.behind = Some(format!("router{}", dice.between(0, routers - 1)));
        }
    }
    if has_carrier {
        nats.push(nat(plan, "carrier", routers));
    }
    nats
}

fn nat(plan: &Plan, name: &str, number: u64) -> NatSpec {
    let mut dice = plan.dice(format!("nat {name}"));
    let kinds = [NatKind::WellBehaved, NatKind::Home, NatKind::Open, NatKind::Symmetric];
    let kind = dice.pick(kinds);
    let knobs = knobs(&mut dice);
    NatSpec { name: name.to_owned(), outside: outside(plan, 0, number), kind, behind: None, knobs }
}

/// An address that no host and no other NAT has.
fn outside(plan: &Plan, network: usize, number: u64) -> IpAddr {
    address(plan, NETWORKS[network], number + 1, 0).ip()
}

/// Each of them now and then. Ports may be so few that some find none.
fn knobs(dice: &mut Dice) -> Vec<NatKnob> {
    let mut knobs = Vec::new();
    let dependences = [Dependence::Endpoint, Dependence::Address, Dependence::AddressAndPort];
    let choices = [PortChoice::Random, PortChoice::Preserve, PortChoice::Sequential];
    let all = [
        (60, NatKnob::Timeout(dice.time(SECOND, SECOND * 600))),
        (25, NatKnob::Mapping(dice.pick(dependences))),
        (25, NatKnob::Filtering(dice.pick(dependences))),
        (40, NatKnob::RefreshInbound(false)),
        (25, NatKnob::Choice(dice.pick(choices))),
        (10, NatKnob::FirstPort(u16::try_from(dice.log(1_024, 60_000)).unwrap_or(1_024))),
        (15, NatKnob::Ports(u16::try_from(dice.log(1, 1_000)).unwrap_or(1))),
        (10, NatKnob::Hairpin(true)),
    ];
    for (often, knob) in all {
        if dice.percent(often) {
            knobs.push(knob);
        }
    }
    knobs
}

/// What happens to NATs: they forget, get another address, become others.
pub(super) fn steps(plan: &Plan, nats: &[NatSpec]) -> Vec<Step> {
    let mut steps = Vec::new();
    for (at, nat) in nats.iter().enumerate() {
        let mut count = 0;
        fate::strikes(plan, F::NatChanges, &nat.name, |time, dice| {
            let deed = match dice.between(0, 9) {
                0..=5 => NatDeed::Reboot,
                6..=7 => {
                    count += 1;
                    NatDeed::Readdress(outside(plan, 1, at as u64 * 100 + count))
                }
                _ => NatDeed::Turn(knobs(dice)),
            };
            steps.push(step(time, Action::Nat(nat.name.clone(), deed)));
        });
    }
    steps
}
