//! Carrying datagrams between the endpoints of one port.
//!
//! In goes what a socket received for another endpoint, out it comes on that one's thread, in the
//! order in which it was handed in. Each endpoint has a mailbox with a bound by number and by
//! bytes; what finds it full is dropped and counted, as by a socket whose buffer is full. No call
//! waits but for a lock that is held while a datagram is copied.

use crate::Waker;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tripline::{Shard, ShardOwner};
use tripline_sansio::{Ecn, Path};

/// Datagrams in one mailbox, at most.
const LETTERS_MAX: usize = 4_096;
/// Bytes in one mailbox, at most.
const LETTER_BYTES_MAX: usize = 4 << 20;

/// What was carried between the endpoints of one port, as one of them sees it (row T69).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShardStats {
    /// Datagrams that its socket received and that were another's; each was handed on.
    pub forwarded: u64,
    /// Datagrams that others handed on to it and that it took.
    pub arrived: u64,
    /// Datagrams that others would have handed on to it, had its mailbox not been full, or had it
    /// not ended.
    pub overflowed: u64,
    /// RESETs that its socket received: each goes to all, since it names nobody.
    pub resets: u64,
}

/// What waits for one endpoint.
#[derive(Debug, Default)]
struct Letters {
    bytes: Vec<u8>,
    heads: Vec<(Path, Ecn, usize)>,
}

#[derive(Debug, Default)]
struct Mailbox {
    letters: Mutex<Letters>,
    /// Nobody will look in here any more.
    closed: AtomicBool,
    waker: OnceLock<Waker>,
    forwarded: AtomicU64,
    arrived: AtomicU64,
    overflowed: AtomicU64,
    resets: AtomicU64,
}

fn lock(letters: &Mutex<Letters>) -> MutexGuard<'_, Letters> {
    letters.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One more on a counter that others only read.
fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Mailbox {
    /// Puts a datagram in, if there is room.
    fn put(&self, path: Path, ecn: Ecn, datagram: &[u8]) -> bool {
        let mut letters = lock(&self.letters);
        let full = letters.heads.len() >= LETTERS_MAX
            || letters.bytes.len() + datagram.len() > LETTER_BYTES_MAX;
        if full || self.closed.load(Ordering::Relaxed) {
            count(&self.overflowed);
            return false;
        }
        letters.bytes.extend_from_slice(datagram);
        letters.heads.push((path, ecn, datagram.len()));
        true
    }

    fn stats(&self) -> ShardStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ShardStats {
            forwarded: read(&self.forwarded),
            arrived: read(&self.arrived),
            overflowed: read(&self.overflowed),
            resets: read(&self.resets),
        }
    }
}

/// The mailboxes of all endpoints of one port.
#[derive(Debug)]
pub(crate) struct Office {
    boxes: Vec<Mailbox>,
}

impl Office {
    pub(crate) fn new(count: u16) -> Arc<Self> {
        Arc::new(Self { boxes: (0..count).map(|_| Mailbox::default()).collect() })
    }

    /// The counters of endpoint `index`; zeros if there is none.
    pub(crate) fn stats(&self, index: u16) -> ShardStats {
        self.boxes.get(usize::from(index)).map(Mailbox::stats).unwrap_or_default()
    }
}

/// Where the waker of an endpoint's loop goes once there is a loop.
#[derive(Debug)]
pub(crate) struct Bell {
    office: Arc<Office>,
    index: usize,
}

impl Bell {
    pub(crate) fn hang(self, waker: Waker) {
        if let Some(mailbox) = self.office.boxes.get(self.index) {
            // There is one loop for each mailbox.
            let _ = mailbox.waker.set(waker);
        }
    }
}

/// One endpoint's end of the post.
#[derive(Debug)]
pub(crate) struct Post {
    office: Arc<Office>,
    shard: Shard,
    /// The letters that are being read, then room for the next.
    reading: Letters,
    /// Whom to wake at the end of the batch.
    told: Vec<bool>,
}

impl Post {
    pub(crate) fn new(office: &Arc<Office>, shard: Shard) -> Self {
        let told = vec![false; office.boxes.len()];
        Self { office: Arc::clone(office), shard, reading: Letters::default(), told }
    }

    pub(crate) fn bell(&self) -> Bell {
        Bell { office: Arc::clone(&self.office), index: usize::from(self.shard.index()) }
    }

    fn own(&self) -> Option<&Mailbox> {
        self.office.boxes.get(usize::from(self.shard.index()))
    }

    /// Hands a received datagram to whom it is for (R-ID-4a): on, if that is us.
    pub(crate) fn sort(
        &mut self,
        path: Path,
        ecn: Ecn,
        datagram: &mut [u8],
        on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8]),
    ) {
        match self.shard.owner(datagram) {
            ShardOwner::One(owner) if owner != self.shard.index() => {
                self.carry(owner, path, ecn, datagram);
            }
            ShardOwner::One(_) | ShardOwner::Any => on_datagram(path, ecn, datagram),
            ShardOwner::All => {
                if let Some(mailbox) = self.own() {
                    count(&mailbox.resets);
                }
                let shard = self.shard;
                for other in (0..shard.count()).filter(|at| *at != shard.index()) {
                    self.put(other, path, ecn, datagram);
                }
                on_datagram(path, ecn, datagram);
            }
        }
    }

    fn carry(&mut self, owner: u16, path: Path, ecn: Ecn, datagram: &[u8]) {
        if self.put(owner, path, ecn, datagram)
            && let Some(mailbox) = self.own()
        {
            count(&mailbox.forwarded);
        }
    }

    fn put(&mut self, owner: u16, path: Path, ecn: Ecn, datagram: &[u8]) -> bool {
        let owner = usize::from(owner);
        let (Some(mailbox), Some(told)) = (self.office.boxes.get(owner), self.told.get_mut(owner))
        else {
            return false;
        };
        let taken = mailbox.put(path, ecn, datagram);
        *told |= taken;
        taken
    }

    /// Wakes those whom the last batch was for: once, however much there was.
    pub(crate) fn ring(&mut self) {
        for (mailbox, told) in self.office.boxes.iter().zip(&mut self.told) {
            // Before there is a loop nobody sleeps; it looks in when it begins.
            if std::mem::take(told)
                && let Some(waker) = mailbox.waker.get()
            {
                waker.wake();
            }
        }
    }

    /// Hands on what others put into our mailbox.
    pub(crate) fn collect(&mut self, on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8])) {
        let Self { office, shard, reading, .. } = self;
        let Some(mailbox) = office.boxes.get(usize::from(shard.index())) else { return };
        std::mem::swap(&mut *lock(&mailbox.letters), reading);
        let mut rest = reading.bytes.as_mut_slice();
        for (path, ecn, len) in reading.heads.drain(..) {
            let Some((datagram, after)) = rest.split_at_mut_checked(len) else { break };
            rest = after;
            count(&mailbox.arrived);
            on_datagram(path, ecn, datagram);
        }
        reading.bytes.clear();
    }
}

impl Drop for Post {
    /// Nobody reads any more: what others have for us is as lost as at a closed socket.
    fn drop(&mut self) {
        if let Some(mailbox) = self.own() {
            let mut letters = lock(&mailbox.letters);
            mailbox.closed.store(true, Ordering::Relaxed);
            *letters = Letters::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn path() -> Path {
        Path::to(SocketAddr::from(([127, 0, 0, 1], 9)))
    }

    fn posts(count: u16) -> (Arc<Office>, Vec<Post>) {
        let office = Office::new(count);
        let shards = (0..count).filter_map(|index| Shard::new(index, count));
        let posts = shards.map(|shard| Post::new(&office, shard)).collect();
        (office, posts)
    }

    /// DATA for a slot.
    fn data(slot: u32) -> Vec<u8> {
        [&[0x80][..], &(slot << 12).to_be_bytes(), &[7; 30]].concat()
    }

    /// What a post keeps of a datagram, and then what it collects.
    fn sort(post: &mut Post, mut datagram: Vec<u8>) -> usize {
        let mut kept = 0;
        post.sort(path(), Ecn::Ect0, &mut datagram, &mut |_, _, _| kept += 1);
        kept
    }

    fn collect(post: &mut Post) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        post.collect(&mut |at, ecn, datagram| {
            assert_eq!((at, ecn), (path(), Ecn::Ect0));
            all.push(datagram.to_vec());
        });
        all
    }

    /// R-ID-4a: each datagram reaches its owner, once and in order, and is counted on both sides.
    #[test]
    fn r_id_4_what_is_anothers_is_carried_to_it() {
        let (office, mut posts) = posts(3);
        for slot in 0..30 {
            assert_eq!(sort(&mut posts[1], data(slot)), usize::from(slot % 3 == 1));
        }
        for owner in [0, 2] {
            let got = collect(&mut posts[owner]);
            let want: Vec<_> = (0..30).filter(|slot| slot % 3 == owner as u32).map(data).collect();
            assert_eq!(got, want);
            assert!(collect(&mut posts[owner]).is_empty());
            assert_eq!(office.stats(owner as u16).arrived, 10);
        }
        assert_eq!((office.stats(1).forwarded, office.stats(1).arrived), (20, 0));
    }

    /// R-ID-4a: a RESET reaches all of them, an OPEN whoever received it.
    #[test]
    fn r_id_4_a_reset_reaches_all() {
        let (office, mut posts) = posts(3);
        assert_eq!(sort(&mut posts[2], vec![6; 17]), 1);
        assert_eq!(sort(&mut posts[2], vec![1; 1_200]), 1);
        let copies: Vec<usize> = posts.iter_mut().map(|post| collect(post).len()).collect();
        assert_eq!(copies, [1, 1, 0]);
        assert_eq!((office.stats(2).resets, office.stats(2).forwarded), (1, 0));
    }

    /// A mailbox that nobody empties stays within its bounds, by number and by bytes, and one that
    /// is closed takes nothing.
    #[test]
    fn a_full_mailbox_drops_and_counts() {
        for size in [0, 5_000] {
            let (office, mut posts) = posts(2);
            let letter = [data(1), vec![0; size]].concat();
            for _ in 0..LETTERS_MAX + 10 {
                assert_eq!(sort(&mut posts[0], letter.clone()), 0);
            }
            let taken = collect(&mut posts[1]).len();
            assert_eq!(taken, LETTERS_MAX.min(LETTER_BYTES_MAX / letter.len()));
            let (giver, taker) = (office.stats(0), office.stats(1));
            assert_eq!(giver.forwarded, taken as u64);
            assert_eq!(taker.overflowed, (LETTERS_MAX + 10 - taken) as u64);
            drop(posts.pop());
            assert_eq!(sort(&mut posts[0], letter), 0);
            assert_eq!(office.stats(1).overflowed, taker.overflowed + 1);
        }
    }
}
