//! What a turn needs at one socket, whatever it drives: what the socket is known to be ready for,
//! the datagrams that wait for room there, and how much of its work one turn does.
//!
//! *In*: what the loop's wait says, and what the machine has to send. *Out*: calls of a
//! [`Carrier`], a bounded number of them. The turns of all loops are made of this: [`Pump`]
//! around a machine with one socket, and `tripline_tcp::HubPump` around a hub with many. They are
//! two, because a machine has its one socket from the beginning to the end, while those of a hub
//! come and go by number, among links: one turn for both would ask of each datagram machine what
//! only a hub can answer.
//!
//! [`Pump`]: crate::Pump

use crate::{DropCause, Received, SendOutcome};
use std::fmt;
use std::io;
use tripline_sansio::{Ecn, Path, Transmit};

/// Receive calls of one turn and socket, at most.
const MAX_BATCHES: usize = 16;
/// Datagrams after which a turn receives no more from a socket, so that acknowledgements are not
/// kept waiting.
const ENOUGH_DATAGRAMS: usize = 512;
/// Send calls of one drain, at most, so that a machine that sends for ever cannot stop receiving.
pub const MAX_SENDS: usize = 256;

/// A carrier of datagrams, as far as a turn needs it: a socket, or something of a user's own. No
/// call may block (T64).
pub trait Carrier {
    /// Receives some datagrams and hands each on.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is nothing to receive; others end the turn.
    fn recv(&mut self, on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8])) -> io::Result<Received>;

    /// Sends a datagram or a train of them.
    fn send(&mut self, transmit: &Transmit, bytes: &[u8]) -> SendOutcome;
}

/// How often a loop's wait tells that a socket is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tells {
    /// When it becomes ready, and not again while it stays so: mio, the runtimes. The socket itself
    /// says when it is not any more, and until then there may be more to do.
    Once,
    /// With each wait, while it is ready: `poll(2)`.
    Again,
}

/// What has become of the datagrams that were [loaded](Flow::load).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flowed {
    /// They are done with: sent, or dropped, which the socket counts and the machine makes good.
    Done,
    /// So they are, and the machine is to hear that they were too large.
    TooBig(Transmit),
    /// There was no room for all of them; the rest waits.
    Full,
}

/// What is under way at one socket.
pub struct Flow {
    tells: Tells,
    /// There may be something to receive: so it was told, and the socket has not said otherwise
    /// since. This is what makes a turn that stops early resumable without being told again.
    readable: bool,
    /// The same of room.
    writable: bool,
    /// The bytes of the newest transmit; used again for each.
    out: Vec<u8>,
    /// A transmit that is not done with, and how much of `out` is.
    pending: Option<(Transmit, usize)>,
}

impl Flow {
    /// A socket that is not known to have anything to receive, and has room.
    pub fn new(tells: Tells) -> Self {
        Self { tells, readable: false, writable: true, out: Vec::new(), pending: None }
    }

    /// Notes what became ready.
    pub fn ready(&mut self, readable: bool, writable: bool) {
        self.readable |= readable;
        self.writable |= writable;
    }

    /// Whether datagrams wait for room.
    pub fn wants_room(&self) -> bool {
        self.pending.is_some()
    }

    /// Whether datagrams wait for room, and there is none as far as is known.
    pub fn is_full(&self) -> bool {
        self.pending.is_some() && !self.writable
    }

    /// Receives until there is no more, or the turn has had its share. Says whether the next turn
    /// is due at once for what is left: where the wait tells that again, it is not.
    ///
    /// # Errors
    /// If the carrier itself is broken.
    pub fn receive(
        &mut self,
        carrier: &mut impl Carrier,
        on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8]),
    ) -> io::Result<bool> {
        let once = self.tells == Tells::Once;
        let (mut more, mut batches, mut datagrams) = (self.readable, 0, 0);
        self.readable &= once;
        while more && batches < MAX_BATCHES && datagrams < ENOUGH_DATAGRAMS {
            batches += 1;
            match carrier.recv(on_datagram) {
                Ok(received) => {
                    datagrams += received.datagrams;
                    // An empty socket need not be asked again, unless it is by that that its
                    // readiness is forgotten where it is told once.
                    more = once || received.maybe_more;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => more = false,
                Err(error) => return Err(error),
            }
        }
        self.readable &= more;
        Ok(self.readable)
    }

    /// Takes over what the machine has written into `bytes`, in exchange for memory to write the
    /// next transmit into. Nothing may be waiting.
    pub fn load(&mut self, transmit: Transmit, bytes: &mut Vec<u8>) {
        std::mem::swap(&mut self.out, bytes);
        self.pending = Some((transmit, 0));
    }

    /// Sends what was loaded, or what is left of it.
    pub fn send(&mut self, carrier: &mut impl Carrier) -> Flowed {
        let Some((transmit, done)) = self.pending.take() else { return Flowed::Done };
        let rest = self.out.get(done..).unwrap_or_default();
        match carrier.send(&Transmit { len: rest.len(), ..transmit }, rest) {
            SendOutcome::Full { sent } => {
                self.pending = Some((transmit, done + sent));
                self.writable = false;
                Flowed::Full
            }
            SendOutcome::Dropped(DropCause::TooBig) => Flowed::TooBig(transmit),
            SendOutcome::Sent | SendOutcome::Dropped(_) => Flowed::Done,
        }
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tells, readable, writable, pending, .. } = self;
        let mut shown = f.debug_struct("Flow");
        shown.field("tells", tells).field("readable", readable).field("writable", writable);
        shown.field("pending", pending).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has so many datagrams, of which a call brings up to 10 and says whether it brought so many.
    struct Heap {
        left: usize,
        calls: usize,
    }

    impl Carrier for Heap {
        fn recv(&mut self, on: &mut dyn FnMut(Path, Ecn, &mut [u8])) -> io::Result<Received> {
            self.calls += 1;
            let datagrams = self.left.min(10);
            if datagrams == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.left -= datagrams;
            let path = Path::to(std::net::SocketAddr::from(([192, 0, 2, 1], 1)));
            (0..datagrams).for_each(|_| on(path, Ecn::NotEct, &mut [0]));
            Ok(Received { datagrams, maybe_more: datagrams == 10, ..Received::default() })
        }

        fn send(&mut self, _: &Transmit, _: &[u8]) -> SendOutcome {
            SendOutcome::Full { sent: 0 }
        }
    }

    /// What is left of `left` datagrams after a turn, the calls it took, and whether it goes on.
    fn turn(flow: &mut Flow, left: usize) -> (usize, usize, bool) {
        let mut heap = Heap { left, calls: 0 };
        let goes_on = flow.receive(&mut heap, &mut |_, _, _| {}).expect("the heap is well");
        (heap.left, heap.calls, goes_on)
    }

    /// Who is told again asks no socket that is empty by its own word, and leaves what is beyond
    /// its share to the next wait.
    #[test]
    fn told_again_a_turn_takes_its_share_and_forgets() {
        let mut flow = Flow::new(Tells::Again);
        assert_eq!(turn(&mut flow, 5), (5, 0, false), "nobody said that there is anything");
        flow.ready(true, false);
        assert_eq!(turn(&mut flow, 25), (0, 3, false));
        assert_eq!(turn(&mut flow, 5), (5, 0, false));
        flow.ready(true, false);
        assert_eq!(turn(&mut flow, 200), (200 - MAX_BATCHES * 10, MAX_BATCHES, false));
        assert_eq!(turn(&mut flow, 5), (5, 0, false));
    }

    /// Who is told once goes on until the socket would block, turn after turn.
    #[test]
    fn told_once_a_turn_takes_its_share_and_remembers() {
        let mut flow = Flow::new(Tells::Once);
        flow.ready(true, false);
        assert_eq!(turn(&mut flow, 200), (200 - MAX_BATCHES * 10, MAX_BATCHES, true));
        assert_eq!(turn(&mut flow, 25), (0, 4, false));
        assert_eq!(turn(&mut flow, 5), (5, 0, false));
    }

    #[test]
    fn what_does_not_fit_waits_until_there_is_room() {
        let path = Path::to(std::net::SocketAddr::from(([192, 0, 2, 1], 1)));
        let mut flow = Flow::new(Tells::Once);
        assert!(!flow.wants_room() && !flow.is_full());
        let transmit = Transmit { path, ecn: Ecn::NotEct, len: 3, segment_size: 3 };
        flow.load(transmit, &mut vec![1, 2, 3]);
        assert_eq!(flow.send(&mut Heap { left: 0, calls: 0 }), Flowed::Full);
        assert!(flow.wants_room() && flow.is_full());
        flow.ready(false, true);
        assert!(flow.wants_room() && !flow.is_full());
    }
}
