//! Who sends clients elsewhere: fronts that let nobody in, and servers that ask clients to move on.
//!
//! A host with `front=on` refers every newcomer to another server of its scenario. For the model
//! such a connection is one with that server from the start; the front only is where its client
//! asks first. `refer` asks the client of a connection that stands; clients are told, and stay.

use super::player::Player;
use super::stage;
use std::net::SocketAddr;
use tripline::{Event, IncomingHandle, Referral};

impl Player<'_> {
    /// Where a front sends its newcomers: the next server that is none.
    pub(super) fn behind(&self, host: usize) -> Option<usize> {
        let behind = (1..self.actors.len()).map(|step| (host + step) % self.actors.len());
        let is_server = |at: &usize| {
            let spec = self.actors[*at].spec;
            spec.kind.is_server() && !stage::is_front(spec)
        };
        stage::is_front(self.actors[host].spec).then(|| behind.into_iter().find(is_server))?
    }

    /// A referral to a host as it can be found now.
    fn referral(&self, to: usize) -> Option<Referral> {
        let key = stage::identity(self.scenario, self.actors[to].spec)?;
        Some(Referral {
            addresses: vec![self.world.address(self.actors[to].id)],
            server_key: key.public_key(),
            route: Vec::new(),
        })
    }

    /// A front sends a newcomer on. One that has given up meanwhile is gone.
    pub(super) fn send_on(&mut self, host: usize, event: &Event) {
        let Event::Incoming(incoming) = event else { return };
        let place: IncomingHandle = incoming.handle;
        let referral = self.behind(host).and_then(|to| self.referral(to));
        self.world.with(self.actors[host].id, |endpoint, now| match referral {
            Some(referral) => endpoint.forward(now, place, &referral).is_ok(),
            None => endpoint.accept(now, place).is_ok(),
        });
    }

    /// The server of a connection asks its client to go to another host.
    pub(super) fn refer(&mut self, (pact, side): (usize, usize), to: usize) -> bool {
        let Some(referral) = self.referral(to).filter(|_| side == 1) else { return false };
        let done =
            self.call((pact, side), |endpoint, now, handle| endpoint.refer(now, handle, &referral));
        matches!(done, Some(Ok(())))
    }

    /// What a name stands for: where the host is, and for one that has moved, where it was, first
    /// or second. Names that follow slowly are nothing unusual.
    pub(super) fn addresses_of(&self, pact: usize, name: &str) -> Vec<SocketAddr> {
        let Some(host) = self.host(name) else { return Vec::new() };
        let actor = &self.actors[host];
        let now = self.world.address(actor.id);
        let mut all = vec![now];
        if actor.spec.address != now {
            all.insert(pact % 2, actor.spec.address);
        }
        all
    }
}
