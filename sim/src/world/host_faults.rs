//! What happens to hosts: sleep, restart, clocks that go wrong, systems that do not send.

use super::World;
use crate::drop_cause::DropCause;
use crate::host::{AsleepClock, AsleepSocket, ClockConfig, Host, HostId, SendFaults};
use tripline_sansio::{DatagramMachine, Duration, Instant};

impl<M: DatagramMachine> World<M> {
    /// Puts the host to sleep: its machine is not called until it [wakes up](Self::resume), and
    /// what comes for it waits or is lost. If it sleeps already, that changes from now on, and its
    /// clock does as was said first.
    ///
    /// [`Self::with`] still calls its machine; what comes of that is drained when it wakes up.
    ///
    /// ```
    /// # use tripline_sim::{AsleepClock, AsleepSocket, DatagramMachine, Duration, World};
    /// # fn test<M: DatagramMachine>(world: &mut World<M>, laptop: tripline_sim::HostId) {
    /// // The lid is closed for a night; 200 kB wait in the socket, the rest is lost.
    /// world.pause(laptop, AsleepSocket::Keep(200_000), AsleepClock::Stops);
    /// world.run_for(Duration::from_secs(8 * 3_600));
    /// world.resume(laptop);
    /// # }
    /// ```
    pub fn pause(&mut self, host: HostId, socket: AsleepSocket, clock: AsleepClock) {
        let Self { now, seed, hosts, .. } = self;
        hosts[host.index()].fall_asleep(*now, seed, socket, clock);
        self.attend(host, |_, _| ());
    }

    /// Wakes a host up: it is handed what waited in its socket, then whatever is due.
    pub fn resume(&mut self, host: HostId) {
        let Some(waited) = self.hosts[host.index()].wake_up(self.now) else { return };
        self.network.release(waited);
        if waited > 0 || !self.hosts[host.index()].inbox.is_empty() {
            self.attend(host, Host::receive);
        } else {
            self.attend(host, Host::turn);
        }
    }

    /// Whether the host sleeps.
    pub fn is_asleep(&self, host: HostId) -> bool {
        self.hosts[host.index()].is_asleep()
    }

    /// Crashes the host and starts another machine in its place, which at once drains what that has
    /// to send; the old one is returned. Its state is lost, what waited in the socket of a sleeping
    /// host too; what is on its way arrives at the new one. A host that sleeps sleeps on; events
    /// told so far can still be taken.
    pub fn replace(&mut self, host: HostId, machine: M) -> M {
        let (old, waiting) = self.hosts[host.index()].replace(machine);
        self.network.release(waiting.len());
        for slot in waiting {
            self.network.discard(self.now, slot, DropCause::Asleep);
        }
        self.attend(host, Host::turn);
        old
    }

    /// What the host's clock shows: the world's time, unless something was done to it.
    pub fn local_time(&mut self, host: HostId) -> Instant {
        self.hosts[host.index()].local_time(self.now)
    }

    /// Gives the host's clock another pace from now on. The machine is told the time that the clock
    /// shows, and called when the clock shows its deadline.
    pub fn set_clock(&mut self, host: HostId, clock: ClockConfig) {
        let Self { now, seed, hosts, .. } = self;
        hosts[host.index()].set_clock(*now, seed, clock);
        self.attend(host, |_, _| ());
    }

    /// Lets the host's clock jump forward; what is due by then is due at once. (Backwards no clock
    /// goes that a machine is given: see [`Discipline::stale`](crate::Discipline::stale).)
    pub fn jump_clock(&mut self, host: HostId, by: Duration) {
        let Self { now, seed, hosts, .. } = self;
        hosts[host.index()].jump_clock(*now, seed, by);
        self.attend(host, |_, _| ());
    }

    /// Lets the host send nothing for a time (`EAGAIN`): its machine is not drained meanwhile, as
    /// with a drain cut short, and then goes on.
    pub fn block_sending(&mut self, host: HostId, time: Duration) {
        self.hosts[host.index()].block_until(self.now + time);
        self.attend(host, |_, _| ());
    }

    /// Whether the host has not sent all that its machine has to say, because it is blocked or its
    /// loop stopped in between.
    pub fn is_blocked(&self, host: HostId) -> bool {
        self.hosts[host.index()].is_blocked()
    }

    /// Ends what [`block_sending`](Self::block_sending) began: what waits is sent.
    pub fn unblock_sending(&mut self, host: HostId) {
        if self.hosts[host.index()].is_blocked() {
            self.attend(host, |host, around| host.unblock(around));
        }
    }

    /// Sets what the host's system refuses to send from now on.
    pub fn set_send_faults(&mut self, host: HostId, faults: SendFaults) {
        let label = self.address(host).to_string();
        let seed = &self.seed;
        self.network.set_send_faults(host, faults, || seed.child("send faults").random(&label));
    }
}
