//! Stream machines as a hub: a listener, and one machine for each link that others open.
//!
//! So a loop that drives hubs drives a TCP or TLS server around any [`StreamMachine`].

use crate::{Answer, Hub, Instant, LinkError, LinkKind, StreamMachine, Wish};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

/// The number of the listener.
const LISTENER: u64 = 0;

/// How long what a machine has left to write may take, once its link is to be closed.
const GRACE: Duration = Duration::from_secs(10);

/// Makes the machine of each newcomer.
pub trait Greeter {
    /// What it makes.
    type Machine: StreamMachine;

    /// The machine for a link from `remote`, or `None`: nobody is let in.
    fn greet(&mut self, now: Instant, link: u64, remote: SocketAddr) -> Option<Self::Machine>;

    /// Whether an event of a machine means that it wants its link closed.
    fn closes(&self, event: &<Self::Machine as StreamMachine>::Event) -> bool;
}

/// What a [`Crowd`] has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CrowdEvent<E> {
    /// The listener is there.
    Listening(Option<SocketAddr>),
    /// The listener is not there, or not any more.
    Deaf(LinkError),
    /// Somebody is there.
    Accepted(u64, SocketAddr),
    /// Something of the machine of this link.
    Machine(u64, E),
    /// A link is gone, and its machine with it: broken, or, without an error, closed as its machine
    /// wanted.
    Gone(u64, Option<LinkError>),
}

struct Guest<M> {
    machine: M,
    /// The deadline that is noted for it.
    deadline: Option<Instant>,
    /// Its link is to be closed behind what it has to write, and then at the latest.
    closing: Option<Instant>,
    /// It is in the list of those that may have bytes.
    listed: bool,
    /// When its machine was last told the time because it was due.
    timed: Option<Instant>,
}

/// A listener and the machines behind it, at most so many at once.
pub struct Crowd<G: Greeter> {
    greeter: G,
    guests: BTreeMap<u64, Guest<G::Machine>>,
    deadlines: BTreeSet<(Instant, u64)>,
    ready: VecDeque<u64>,
    wishes: VecDeque<Wish>,
    events: VecDeque<CrowdEvent<<G::Machine as StreamMachine>::Event>>,
    guests_max: usize,
    next: u64,
}

impl<G: Greeter> core::fmt::Debug for Crowd<G> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Crowd").field("guests", &self.guests.len()).finish_non_exhaustive()
    }
}

impl<G: Greeter> Crowd<G> {
    /// Listens for links of this kind at `address`, and has at most `guests_max` at once.
    pub fn new(greeter: G, kind: LinkKind, address: SocketAddr, guests_max: usize) -> Self {
        Self {
            greeter,
            guests: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            ready: VecDeque::new(),
            wishes: VecDeque::from([Wish::Listen { link: LISTENER, kind, address }]),
            events: VecDeque::new(),
            guests_max,
            next: LISTENER,
        }
    }

    /// How many links are open.
    pub fn guests(&self) -> usize {
        self.guests.len()
    }

    /// The machine of a link.
    pub fn guest(&self, link: u64) -> Option<&G::Machine> {
        self.guests.get(&link).map(|guest| &guest.machine)
    }

    /// Uses the machine of a link; `None` if it is gone.
    pub fn with<R>(
        &mut self,
        now: Instant,
        link: u64,
        act: impl FnOnce(&mut G::Machine) -> R,
    ) -> Option<R> {
        let guest = self.guests.get_mut(&link)?;
        let result = act(&mut guest.machine);
        self.attend(now, link);
        Some(result)
    }

    /// Ends a link behind what its machine has to write, for which there are 10 s.
    pub fn close(&mut self, now: Instant, link: u64) {
        if let Some(guest) = self.guests.get_mut(&link) {
            guest.closing.get_or_insert(now + GRACE);
            self.attend(now, link);
        }
    }

    /// A machine has nothing more to write, or no more time.
    fn dismiss(&mut self, link: u64) {
        if self.remove(link) {
            self.wishes.push_back(Wish::Close { link });
            self.events.push_back(CrowdEvent::Gone(link, None));
        }
    }

    fn remove(&mut self, link: u64) -> bool {
        let Some(guest) = self.guests.remove(&link) else { return false };
        if let Some(deadline) = guest.deadline {
            self.deadlines.remove(&(deadline, link));
        }
        true
    }

    /// Takes what a machine has to tell, notes its deadline, and that it may have bytes.
    fn attend(&mut self, now: Instant, link: u64) {
        let Some(guest) = self.guests.get_mut(&link) else { return };
        while let Some(event) = guest.machine.poll_event() {
            if self.greeter.closes(&event) {
                guest.closing.get_or_insert(now + GRACE);
            }
            self.events.push_back(CrowdEvent::Machine(link, event));
        }
        if !core::mem::replace(&mut guest.listed, true) {
            self.ready.push_back(link);
        }
        self.note_deadline(link, false);
    }

    /// While a link is full the deadline of its machine may stay in the past after it was told:
    /// what it waits for then is room, and to note it again would be to spin. Once the machine is
    /// `drained` it lies in the future.
    fn note_deadline(&mut self, link: u64, drained: bool) {
        let Some(guest) = self.guests.get_mut(&link) else { return };
        let due = guest.machine.poll_timeout().filter(|due| drained || Some(*due) > guest.timed);
        let deadline = [due, guest.closing].into_iter().flatten().min();
        let before = core::mem::replace(&mut guest.deadline, deadline);
        if before != deadline {
            before.map(|before| self.deadlines.remove(&(before, link)));
            deadline.map(|deadline| self.deadlines.insert((deadline, link)));
        }
    }
}

impl<G: Greeter> Hub for Crowd<G> {
    type Event = CrowdEvent<<G::Machine as StreamMachine>::Event>;

    fn handle_answer(&mut self, now: Instant, link: u64, answer: Answer) {
        match answer {
            Answer::Opened { local } if link == LISTENER => {
                self.events.push_back(CrowdEvent::Listening(local));
            }
            Answer::Opened { .. } => {}
            Answer::Failed(error) if link == LISTENER => {
                self.events.push_back(CrowdEvent::Deaf(error));
            }
            Answer::Failed(error) => {
                if let Some(guest) = self.guests.get_mut(&link) {
                    guest.machine.handle_eof(now);
                    self.attend(now, link);
                    self.remove(link);
                    self.events.push_back(CrowdEvent::Gone(link, Some(error)));
                }
            }
        }
    }

    fn handle_accepted(
        &mut self,
        now: Instant,
        _: u64,
        _: LinkKind,
        remote: SocketAddr,
    ) -> Option<u64> {
        if self.guests.len() >= self.guests_max {
            return None;
        }
        let link = self.next.saturating_add(1);
        let machine = self.greeter.greet(now, link, remote)?;
        self.next = link;
        let (deadline, closing, timed) = (None, None, None);
        self.guests.insert(link, Guest { machine, deadline, closing, listed: false, timed });
        self.events.push_back(CrowdEvent::Accepted(link, remote));
        self.attend(now, link);
        Some(link)
    }

    fn handle_bytes(&mut self, now: Instant, link: u64, bytes: &[u8]) {
        if let Some(guest) = self.guests.get_mut(&link) {
            guest.machine.handle_bytes(now, bytes);
            self.attend(now, link);
        }
    }

    fn handle_eof(&mut self, now: Instant, link: u64) {
        if let Some(guest) = self.guests.get_mut(&link) {
            guest.machine.handle_eof(now);
            self.attend(now, link);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        let due = (now, u64::MAX);
        let due: Vec<u64> = self.deadlines.range(..=due).map(|(_, link)| *link).collect();
        for link in due {
            if let Some(guest) = self.guests.get_mut(&link) {
                if guest.closing.is_some_and(|until| until <= now) {
                    self.dismiss(link);
                    continue;
                }
                guest.timed = Some(now);
                guest.machine.handle_timeout(now);
                self.attend(now, link);
            }
        }
    }

    fn poll_wish(&mut self) -> Option<Wish> {
        self.wishes.pop_front()
    }

    fn poll_ready(&mut self, _: Instant) -> Option<u64> {
        let link = self.ready.pop_front()?;
        if let Some(guest) = self.guests.get_mut(&link) {
            guest.listed = false;
        }
        Some(link)
    }

    fn poll_write(&mut self, now: Instant, link: u64, out: &mut Vec<u8>) -> bool {
        let Some(guest) = self.guests.get_mut(&link) else { return false };
        let some = guest.machine.poll_write(now, out);
        if !some && guest.closing.is_some() {
            self.dismiss(link);
        }
        self.note_deadline(link, !some);
        some
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    fn poll_event(&mut self) -> Option<Self::Event> {
        self.events.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LinkFailure;
    use alloc::string::String;

    /// Sends back in capitals; ends at a full stop; wants to be woken a second after each byte.
    #[derive(Default)]
    struct Shout {
        out: Vec<u8>,
        wake: Option<Instant>,
        ended: bool,
    }

    impl StreamMachine for Shout {
        type Event = ();
        fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
            self.out.extend(bytes.to_ascii_uppercase());
            self.wake = Some(now + Duration::from_secs(1));
            self.ended |= bytes.contains(&b'.');
        }
        fn handle_eof(&mut self, _: Instant) {
            self.ended = true;
        }
        fn handle_timeout(&mut self, _: Instant) {
            self.wake = None;
        }
        fn poll_write(&mut self, _: Instant, out: &mut Vec<u8>) -> bool {
            let some = !self.out.is_empty();
            out.append(&mut self.out);
            some
        }
        fn poll_timeout(&self) -> Option<Instant> {
            self.wake
        }
        fn poll_event(&mut self) -> Option<()> {
            core::mem::take(&mut self.ended).then_some(())
        }
    }

    struct Door;

    impl Greeter for Door {
        type Machine = Shout;
        fn greet(&mut self, _: Instant, _: u64, remote: SocketAddr) -> Option<Shout> {
            (remote.port() != 13).then(Shout::default)
        }
        fn closes(&self, (): &()) -> bool {
            true
        }
    }

    fn at(second: u64) -> Instant {
        Instant::from_nanos(second.saturating_mul(1_000_000_000))
    }

    fn remote(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    fn events(crowd: &mut Crowd<Door>) -> Vec<CrowdEvent<()>> {
        core::iter::from_fn(|| crowd.poll_event()).collect()
    }

    #[test]
    fn each_guest_has_a_machine_and_the_door_has_a_limit() {
        let mut crowd = Crowd::new(Door, LinkKind::Tcp, remote(80), 2);
        assert!(matches!(crowd.poll_wish(), Some(Wish::Listen { link: 0, .. })));
        crowd.handle_answer(at(0), 0, Answer::Opened { local: Some(remote(80)) });
        let enter = |crowd: &mut Crowd<Door>, port| {
            crowd.handle_accepted(at(0), 0, LinkKind::Tcp, remote(port))
        };
        assert_eq!(enter(&mut crowd, 13), None, "the greeter refuses");
        assert_eq!([enter(&mut crowd, 1), enter(&mut crowd, 2)], [Some(1), Some(2)]);
        assert_eq!(enter(&mut crowd, 3), None, "no room");
        crowd.handle_bytes(at(1), 1, b"one");
        crowd.handle_bytes(at(2), 2, b"two");
        assert_eq!(crowd.poll_timeout(), Some(at(2)));
        let mut out = Vec::new();
        while let Some(link) = crowd.poll_ready(at(2)) {
            crowd.poll_write(at(2), link, &mut out);
        }
        assert_eq!(out, b"ONETWO");
        crowd.handle_timeout(at(2));
        assert_eq!(crowd.poll_timeout(), Some(at(3)), "the first one's is told, the other's not");
        assert_eq!(events(&mut crowd).len(), 3);
    }

    /// A peer that takes nothing holds no guest that is to go for longer than the grace.
    #[test]
    fn a_guest_that_cannot_write_goes_all_the_same() {
        let mut crowd = Crowd::new(Door, LinkKind::Tcp, remote(80), 9);
        crowd.poll_wish();
        crowd.handle_accepted(at(0), 0, LinkKind::Tcp, remote(1));
        crowd.close(at(1), 1);
        assert_eq!((crowd.poll_timeout(), crowd.poll_wish()), (Some(at(11)), None));
        crowd.handle_timeout(at(11));
        assert_eq!(crowd.poll_wish(), Some(Wish::Close { link: 1 }));
        assert_eq!((crowd.guests(), crowd.poll_timeout()), (0, None));
    }

    #[test]
    fn a_guest_goes_when_its_machine_says_so_or_its_link_breaks() {
        let mut crowd = Crowd::new(Door, LinkKind::Tcp, remote(80), 9);
        crowd.poll_wish();
        for port in [1, 2] {
            crowd.handle_accepted(at(0), 0, LinkKind::Tcp, remote(port));
        }
        events(&mut crowd);
        crowd.handle_bytes(at(1), 1, b"bye.");
        let mut out = Vec::new();
        assert!(crowd.poll_write(at(1), 1, &mut out), "its last word");
        assert_eq!(crowd.poll_wish(), None, "there may be more");
        assert!(!crowd.poll_write(at(1), 1, &mut out));
        assert_eq!(crowd.poll_wish(), Some(Wish::Close { link: 1 }));
        assert_eq!(events(&mut crowd), [CrowdEvent::Machine(1, ()), CrowdEvent::Gone(1, None)]);
        let error = LinkError { failure: LinkFailure::Broken, text: String::new() };
        crowd.handle_answer(at(2), 2, Answer::Failed(error.clone()));
        assert_eq!(
            events(&mut crowd)[..2],
            [CrowdEvent::Machine(2, ()), CrowdEvent::Gone(2, Some(error))]
        );
        assert_eq!((crowd.guests(), crowd.poll_timeout()), (0, None));
        crowd.handle_bytes(at(3), 2, b"late");
        assert!(crowd.guest(1).is_none() && events(&mut crowd).is_empty());
    }

    /// Has something to say each second, and moves its deadline only when that is taken.
    #[derive(Default)]
    struct Nag {
        due: u64,
        told: bool,
    }

    impl StreamMachine for Nag {
        type Event = ();
        fn handle_bytes(&mut self, _: Instant, _: &[u8]) {}
        fn handle_eof(&mut self, _: Instant) {}
        fn handle_timeout(&mut self, _: Instant) {
            self.told = true;
        }
        fn poll_write(&mut self, _: Instant, out: &mut Vec<u8>) -> bool {
            let some = core::mem::take(&mut self.told);
            if some {
                out.extend_from_slice(b"well?");
                self.due = self.due.saturating_add(1);
            }
            some
        }
        fn poll_timeout(&self) -> Option<Instant> {
            Some(at(self.due))
        }
        fn poll_event(&mut self) -> Option<()> {
            None
        }
    }

    struct Nags;

    impl Greeter for Nags {
        type Machine = Nag;
        fn greet(&mut self, _: Instant, link: u64, _: SocketAddr) -> Option<Nag> {
            Some(Nag { due: link, told: false })
        }
        fn closes(&self, (): &()) -> bool {
            false
        }
    }

    /// T18, T64: a guest whose link is full has no deadline that is past, and hides nobody else's.
    #[test]
    fn t18_a_full_link_is_waited_for_and_stops_no_timer_of_the_others() {
        let mut crowd = Crowd::new(Nags, LinkKind::Tcp, remote(80), 9);
        crowd.poll_wish();
        for port in [1, 2] {
            crowd.handle_accepted(at(0), 0, LinkKind::Tcp, remote(port));
        }
        assert_eq!(crowd.poll_timeout(), Some(at(1)));
        crowd.handle_timeout(at(1));
        assert_eq!(crowd.poll_timeout(), Some(at(2)), "the second one's");
        crowd.handle_timeout(at(2));
        assert_eq!(crowd.poll_timeout(), None, "both are full");
        let mut out = Vec::new();
        assert!(crowd.poll_write(at(2), 1, &mut out) && !crowd.poll_write(at(2), 1, &mut out));
        assert_eq!(crowd.poll_timeout(), Some(at(2)), "the first one's next");
    }
}
