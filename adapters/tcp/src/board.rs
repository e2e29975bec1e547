//! All links of one hub.

use crate::line::{Line, READS, Stage, failed};
use crate::net::{Door, Net};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tripline_sansio::{
    Answer, Duration, Hub, Instant, LinkError, LinkFailure, LinkKind, Secure, Wish,
};

/// Newcomers of one listener and turn, at most.
const NEWCOMERS: usize = 64;
/// How long a listener rests when the system has no room for newcomers.
const REST: Duration = Duration::from_millis(100);

/// What a board allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Links at once, those that are being opened or closed included.
    pub links: usize,
    /// How long a TCP connection may take to come about.
    pub connect_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { links: 1_024, connect_timeout: Duration::from_secs(5) }
    }
}

/// What a board has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Links that were opened by us.
    pub opened: u64,
    /// Links that others opened.
    pub accepted: u64,
    /// Newcomers that were hung up on, for want of room or because the hub did not want them.
    pub refused: u64,
    /// Links that could not be opened, or broke.
    pub failed: u64,
}

/// A socket of a board, for as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(u64);

/// What to watch a socket for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// Whether it can be read, or somebody comes.
    pub read: bool,
    /// Whether it can be written, or is connected.
    pub write: bool,
}

struct Listening<D> {
    door: D,
    link: u64,
    kind: LinkKind,
    rests_until: Option<Instant>,
}

enum Origin {
    /// We opened it.
    Ours,
    /// It came by this listener from there, and has no number until it is secured.
    Theirs { listener: u64, kind: LinkKind, remote: SocketAddr },
}

struct Slot<W> {
    line: Line<W>,
    origin: Origin,
    link: Option<u64>,
    /// It is among those to be asked for bytes.
    queued: bool,
}

/// The TCP and TLS links of one hub. See the [crate's page](crate).
pub struct Board<N: Net> {
    net: N,
    limits: Limits,
    secure: Option<Arc<dyn Secure + Send + Sync>>,
    slots: BTreeMap<Place, Slot<N::Wire>>,
    doors: BTreeMap<Place, Listening<N::Door>>,
    places: BTreeMap<u64, Place>,
    /// Those with a deadline.
    restless: BTreeSet<Place>,
    /// Links that may have bytes to write.
    to_write: VecDeque<Place>,
    next: u64,
    chunk: Vec<u8>,
    plain: Vec<u8>,
    stats: Stats,
}

impl<N: Net> fmt::Debug for Board<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").field("links", &self.slots.len()).finish_non_exhaustive()
    }
}

impl<N: Net> Board<N> {
    /// A board without links. Without `secure` no TLS link can be opened.
    pub fn new(net: N, limits: Limits, secure: Option<Arc<dyn Secure + Send + Sync>>) -> Self {
        Self {
            net,
            limits,
            secure,
            slots: BTreeMap::new(),
            doors: BTreeMap::new(),
            places: BTreeMap::new(),
            restless: BTreeSet::new(),
            to_write: VecDeque::new(),
            next: 0,
            chunk: Vec::new(),
            plain: Vec::new(),
            stats: Stats::default(),
        }
    }

    /// What it has done so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// How many links there are, those that are being opened or closed included.
    pub fn links(&self) -> usize {
        self.slots.len()
    }

    /// The sockets and what to watch them for, at this time.
    pub fn sockets(&self) -> impl Iterator<Item = (Place, Socket<'_, N>, Interest)> {
        let lines = self.slots.iter().map(|(place, slot)| {
            let (read, write) = slot.line.interest();
            (*place, Socket::Wire(&slot.line.wire), Interest { read, write })
        });
        let doors = self.doors.iter().map(|(place, one)| {
            let read = one.rests_until.is_none();
            (*place, Socket::Door(&one.door), Interest { read, write: false })
        });
        lines.chain(doors)
    }

    /// When [`Self::on_time`] wants to be called next.
    pub fn deadline(&self) -> Option<Instant> {
        let of = |place: &Place| {
            let line = self.slots.get(place).and_then(|slot| slot.line.deadline());
            line.or_else(|| self.doors.get(place).and_then(|one| one.rests_until))
        };
        self.restless.iter().filter_map(of).min()
    }

    /// Whether [`Self::drain`] has something to do at once.
    pub fn is_busy(&self) -> bool {
        !self.to_write.is_empty()
    }

    /// Takes over a listener that was made elsewhere, as if the hub had wished for it.
    pub fn adopt<H: Hub>(
        &mut self,
        now: Instant,
        hub: &mut H,
        (link, kind): (u64, LinkKind),
        door: N::Door,
    ) {
        let local = door.local();
        let place = self.place();
        self.doors.insert(place, Listening { door, link, kind, rests_until: None });
        self.places.insert(link, place);
        hub.handle_answer(now, link, Answer::Opened { local });
    }

    /// Does what a hub wishes. A wish for UDP is not for here: `false`.
    pub fn obey<H: Hub>(&mut self, now: Instant, hub: &mut H, wish: Wish) -> bool {
        match wish {
            Wish::Open { kind: LinkKind::Udp, .. } | Wish::Listen { kind: LinkKind::Udp, .. } => {
                false
            }
            Wish::Open { link, kind, address, name } => {
                if let Err(error) = self.open(now, link, kind, address, &name) {
                    self.stats.failed += 1;
                    hub.handle_answer(now, link, Answer::Failed(error));
                }
                true
            }
            Wish::Listen { link, kind, address } => {
                match self
                    .may_make(kind)
                    .and_then(|()| self.net.listen(address).map_err(|error| failed(&error, true)))
                {
                    Ok(door) => self.adopt(now, hub, (link, kind), door),
                    Err(error) => hub.handle_answer(now, link, Answer::Failed(error)),
                }
                true
            }
            Wish::Close { link } => {
                self.close(now, link);
                true
            }
        }
    }

    fn may_make(&self, kind: LinkKind) -> Result<(), LinkError> {
        let no = |text: &str| LinkError { failure: LinkFailure::Unavailable, text: text.into() };
        match kind {
            LinkKind::Tcp => Ok(()),
            LinkKind::Tls if self.secure.is_some() => Ok(()),
            LinkKind::Tls => Err(no("this loop was given no TLS")),
            _ => Err(no("this loop makes no such links")),
        }
    }

    fn open(
        &mut self,
        now: Instant,
        link: u64,
        kind: LinkKind,
        address: SocketAddr,
        name: &str,
    ) -> Result<(), LinkError> {
        self.may_make(kind)?;
        if self.slots.len() >= self.limits.links {
            let text = format!("{} links are open already", self.slots.len());
            return Err(LinkError { failure: LinkFailure::Unavailable, text });
        }
        let secure = self.secure.as_ref().filter(|_| kind == LinkKind::Tls);
        let layer = secure.map(|secure| secure.client(now, name, address)).transpose()?;
        let wire = self.net.connect(address).map_err(|error| failed(&error, true))?;
        let stage = Stage::Connecting(now + self.limits.connect_timeout);
        let line = Line::new(wire, layer, stage);
        let place = self.place();
        self.slots
            .insert(place, Slot { line, origin: Origin::Ours, link: Some(link), queued: false });
        self.places.insert(link, place);
        self.restless.insert(place);
        Ok(())
    }

    fn place(&mut self) -> Place {
        self.next += 1;
        Place(self.next)
    }

    fn close(&mut self, now: Instant, link: u64) {
        let Some(place) = self.places.remove(&link) else { return };
        self.doors.remove(&place);
        let Some(slot) = self.slots.get_mut(&place) else { return };
        slot.link = None;
        if slot.line.close(now) {
            self.slots.remove(&place);
            self.restless.remove(&place);
        } else {
            self.restless.insert(place);
        }
    }

    /// A socket is ready, as far as the loop's wait can tell; to say so too often is harmless.
    pub fn on_ready<H: Hub>(&mut self, now: Instant, hub: &mut H, place: Place, ready: Interest) {
        if self.doors.contains_key(&place) {
            return self.accept(now, hub, place);
        }
        let Some(slot) = self.slots.get_mut(&place) else { return };
        if let Stage::Connecting(_) = slot.line.stage {
            let heard = slot.line.connect();
            self.on_heard(now, hub, place, heard);
            return;
        }
        if ready.write {
            match slot.line.flush() {
                Ok(()) => self.queue(place),
                Err(error) => {
                    let closing = matches!(slot.line.stage, Stage::Closing(_));
                    return self.over(now, hub, place, (!closing).then(|| failed(&error, false)));
                }
            }
        }
        if !ready.read {
            return;
        }
        for _ in 0..READS {
            let Some(slot) = self.slots.get_mut(&place) else { return };
            self.plain.clear();
            let heard = slot.line.read(now, &mut self.chunk, &mut self.plain);
            let more = heard.more;
            self.on_heard(now, hub, place, heard);
            if !more {
                break;
            }
        }
        // A layer writes while it reads, so what waited for room may be gone, with nothing left to
        // wait for.
        self.queue(place);
    }

    /// Tells the hub what a link has brought.
    fn on_heard<H: Hub>(
        &mut self,
        now: Instant,
        hub: &mut H,
        place: Place,
        heard: crate::line::Heard,
    ) {
        let Some(slot) = self.slots.get_mut(&place) else { return };
        if heard.opened {
            self.restless.remove(&place);
            match slot.origin {
                Origin::Ours => {
                    self.stats.opened += 1;
                    if let Some(link) = slot.link {
                        hub.handle_answer(now, link, Answer::Opened { local: None });
                    }
                }
                Origin::Theirs { listener, kind, remote } => {
                    let Some(link) = hub.handle_accepted(now, listener, kind, remote) else {
                        self.stats.refused += 1;
                        self.slots.remove(&place);
                        return;
                    };
                    self.stats.accepted += 1;
                    slot.link = Some(link);
                    self.places.insert(link, place);
                }
            }
            self.queue(place);
        } else if slot.line.deadline().is_some() {
            self.restless.insert(place);
        }
        let Some(slot) = self.slots.get_mut(&place) else { return };
        if let Some(link) = slot.link {
            if !self.plain.is_empty() {
                hub.handle_bytes(now, link, &self.plain);
                self.plain.clear();
            }
            if heard.eof && heard.over.is_none() {
                hub.handle_eof(now, link);
            }
        } else if heard.eof && !matches!(slot.line.stage, Stage::Closing(_)) {
            // It hung up before it had a number.
            return self.over(now, hub, place, None);
        }
        if let Some(end) = heard.over {
            self.over(now, hub, place, end);
        }
    }

    /// A link has ended.
    fn over<H: Hub>(&mut self, now: Instant, hub: &mut H, place: Place, error: Option<LinkError>) {
        self.restless.remove(&place);
        let Some(slot) = self.slots.remove(&place) else { return };
        let Some(error) = error else { return };
        self.stats.failed += 1;
        if let Some(link) = slot.link {
            self.places.remove(&link);
            hub.handle_answer(now, link, Answer::Failed(error));
        }
    }

    /// Lets newcomers in.
    fn accept<H: Hub>(&mut self, now: Instant, hub: &mut H, place: Place) {
        for _ in 0..NEWCOMERS {
            let Some(one) = self.doors.get_mut(&place) else { return };
            let (link, kind) = (one.link, one.kind);
            match one.door.accept() {
                Ok((wire, remote)) => self.greet(now, hub, wire, (link, kind, remote)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // They hung up before we came to them.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted
                            | io::ErrorKind::ConnectionReset
                            | io::ErrorKind::Interrupted
                    ) => {}
                Err(_) => {
                    // No file descriptors, most likely. The newcomer stays where it is, and the
                    // listener readable: to look again at once would be to spin.
                    one.rests_until = Some(now + REST);
                    self.restless.insert(place);
                    return;
                }
            }
        }
    }

    fn greet<H: Hub>(
        &mut self,
        now: Instant,
        hub: &mut H,
        wire: N::Wire,
        (listener, kind, remote): (u64, LinkKind, SocketAddr),
    ) {
        let secure = self.secure.as_ref().filter(|_| kind == LinkKind::Tls);
        let layer = secure.map(|secure| secure.server(now)).transpose();
        let (Ok(layer), true) = (layer, self.slots.len() < self.limits.links) else {
            self.stats.refused += 1;
            return;
        };
        let stage = if layer.is_some() { Stage::Securing } else { Stage::Open };
        let line = Line::new(wire, layer, stage);
        let place = self.place();
        let origin = Origin::Theirs { listener, kind, remote };
        self.slots.insert(place, Slot { line, origin, link: None, queued: false });
        self.plain.clear();
        let opened = stage == Stage::Open;
        let heard = crate::line::Heard { opened, ..crate::line::Heard::default() };
        self.on_heard(now, hub, place, heard);
    }

    /// Ends what has waited too long.
    pub fn on_time<H: Hub>(&mut self, now: Instant, hub: &mut H) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        for place in self.restless.clone() {
            if let Some(one) = self.doors.get_mut(&place)
                && one.rests_until.is_some_and(|until| until <= now)
            {
                one.rests_until = None;
                self.restless.remove(&place);
            }
            if let Some(slot) = self.slots.get_mut(&place)
                && let Some(end) = slot.line.on_time(now)
            {
                self.over(now, hub, place, end);
            }
        }
    }

    /// Takes from the hub what it has for its links, as far as they take it, and then its wishes;
    /// those for UDP are handed back.
    pub fn drain<H: Hub>(&mut self, now: Instant, hub: &mut H) -> Vec<Wish> {
        self.write(now, hub);
        let mut others = Vec::new();
        while let Some(wish) = hub.poll_wish() {
            let copy = wish.clone();
            if !self.obey(now, hub, wish) {
                others.push(copy);
            }
        }
        others
    }

    /// Has a link asked for bytes by the next drain.
    fn queue(&mut self, place: Place) {
        if let Some(slot) = self.slots.get_mut(&place)
            && !std::mem::replace(&mut slot.queued, true)
        {
            self.to_write.push_back(place);
        }
    }

    fn write<H: Hub>(&mut self, now: Instant, hub: &mut H) {
        while let Some(link) = hub.poll_ready(now) {
            let Some(place) = self.places.get(&link).copied() else { continue };
            if let Some(slot) = self.slots.get_mut(&place) {
                slot.line.wanted = true;
                self.queue(place);
            }
        }
        for _ in 0..self.to_write.len() {
            let Some(place) = self.to_write.pop_front() else { return };
            let Some(slot) = self.slots.get_mut(&place) else { continue };
            slot.queued = false;
            let Some(link) = slot.link.filter(|_| slot.line.wanted) else { continue };
            match slot.line.write(now, hub, link, &mut self.plain) {
                Ok(true) => self.queue(place),
                Ok(false) => {}
                Err(error) => self.over(now, hub, place, Some(error)),
            }
            self.plain.clear();
        }
    }
}

/// A socket, to be waited for.
#[derive(Debug)]
pub enum Socket<'a, N: Net> {
    /// A link's.
    Wire(&'a N::Wire),
    /// A listener.
    Door(&'a N::Door),
}
