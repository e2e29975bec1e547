//! Whether the lines of a scenario fit together. Nothing is played here: what is found wrong is
//! wrong whatever happens.

use super::repeat::{NUMBER, STEPS_MAX};
use super::{Action, HostSpec, Scenario, ScenarioError, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use tripline_sansio::Duration;

/// The most NATs behind each other, as in the world.
const DEPTH_MAX: usize = 8;

/// What begins a step that is of no host; no host has such a name.
const RESERVED: [&str; 6] = ["link", "cut", "heal", "nat", "reboot-nat", "readdress-nat"];

fn sense(what: String) -> Result<(), ScenarioError> {
    Err(ScenarioError::Sense(what))
}

impl Scenario {
    /// Whether the lines fit together: names that exist, each once, hosts where they can be, and
    /// steps in the order of their times.
    ///
    /// # Errors
    /// [`ScenarioError::Sense`] says what does not fit.
    pub fn check(&self) -> Result<(), ScenarioError> {
        let names = self.check_hosts()?;
        check_order(&self.steps)?;
        if self.steps_in_all() > STEPS_MAX || self.steps.iter().any(|step| step.times() == 0) {
            return sense(format!("a step happens once at least, all {STEPS_MAX} times at most"));
        }
        let unrolled = self.unrolled();
        self.check_nats(&unrolled.steps)?;
        let ways = self.links.iter().flat_map(|link| [link.way.from.as_str(), &link.way.to]);
        let used = ways.chain(unrolled.steps.iter().flat_map(|step| step.action.hosts()));
        match used.into_iter().find(|name| !names.contains(name)) {
            Some(name) => sense(format!("there is no host `{name}`")),
            None => Ok(()),
        }
    }

    /// The names of the hosts.
    fn check_hosts(&self) -> Result<BTreeSet<&str>, ScenarioError> {
        let mut names = BTreeSet::new();
        let mut addresses = BTreeSet::new();
        for host in &self.hosts {
            if !names.insert(host.name.as_str()) {
                sense(format!("there are two hosts `{}`", host.name))?;
            }
            if host.name.contains(NUMBER) {
                sense(format!("`{}`: `{NUMBER}` is for steps that repeat", host.name))?;
            }
            if RESERVED.contains(&host.name.as_str()) {
                sense(format!("no host can be called `{}`: steps begin so", host.name))?;
            }
            if !addresses.insert(host.address) {
                sense(format!("two hosts have the address {}", host.address))?;
            }
        }
        Ok(names)
    }

    /// Names and addresses of NATs, who is behind which, and that steps name those that exist.
    fn check_nats(&self, steps: &[Step]) -> Result<(), ScenarioError> {
        let mut outsides: BTreeMap<&str, IpAddr> = BTreeMap::new();
        let mut taken: BTreeSet<_> = self.hosts.iter().map(|host| host.address.ip()).collect();
        for nat in &self.nats {
            if outsides.insert(&nat.name, nat.outside).is_some() {
                return sense(format!("there are two NATs `{}`", nat.name));
            }
            if nat.name.contains(NUMBER) {
                return sense(format!("`{}`: `{NUMBER}` is for steps that repeat", nat.name));
            }
            if !taken.insert(nat.outside) {
                return sense(format!("the address {} of `{}` is taken", nat.outside, nat.name));
            }
        }
        for nat in &self.nats {
            check_place(&outsides, &nat.name, nat.outside, nat.behind.as_deref())?;
            self.check_depth(&nat.name)?;
        }
        for HostSpec { name, kind, address, behind, .. } in &self.hosts {
            check_place(&outsides, name, address.ip(), behind.as_deref())?;
            // Nobody could call it.
            if behind.is_some() && kind.is_server() {
                return sense(format!("the server `{name}` is behind a NAT: no client finds it"));
            }
        }
        let named = steps.iter().filter_map(|step| match &step.action {
            Action::Nat(name, _) => Some(name),
            _ => None,
        });
        match named.into_iter().find(|name| !outsides.contains_key(name.as_str())) {
            Some(name) => sense(format!("there is no NAT `{name}`")),
            None => Ok(()),
        }
    }

    /// NATs behind each other come to an end.
    fn check_depth(&self, name: &str) -> Result<(), ScenarioError> {
        let behind = |name: &str| {
            let nat = self.nats.iter().find(|nat| nat.name == name);
            nat.and_then(|nat| nat.behind.as_deref())
        };
        let mut place = behind(name);
        for _ in 1..DEPTH_MAX {
            let Some(next) = place else { return Ok(()) };
            place = behind(next);
        }
        if place.is_none() {
            return Ok(());
        }
        sense(format!("`{name}` is behind itself, or behind more than {DEPTH_MAX} NATs"))
    }
}

/// Whether somebody with this address can be behind the NAT that it names.
fn check_place(
    outsides: &BTreeMap<&str, IpAddr>,
    name: &str,
    address: IpAddr,
    behind: Option<&str>,
) -> Result<(), ScenarioError> {
    let Some(nat) = behind else { return Ok(()) };
    match outsides.get(nat) {
        None => sense(format!("there is no NAT `{nat}`")),
        Some(outside) if outside.is_ipv4() != address.is_ipv4() => {
            sense(format!("`{name}` and the NAT `{nat}` have addresses of different kinds"))
        }
        Some(_) => Ok(()),
    }
}

/// Steps stand in the order of their times.
fn check_order(steps: &[Step]) -> Result<(), ScenarioError> {
    let mut last = Duration::ZERO;
    for step in steps {
        if step.at < last {
            return sense(format!("\"{step}\" comes too late: steps stand in order of time"));
        }
        last = step.at;
    }
    Ok(())
}
