//! TCP connections of this machine in virtual time: sockets as the loops know them
//! ([`Net`], [`Wire`], [`Door`]), whose bytes go through the system, but are shown to their reader
//! only when a simulated pipe says that as many have arrived.
//!
//! Both ends live on one thread. What one end wrote is known to the byte, so a reader that is shown
//! some waits for the system to bring them, which takes no time of the test's.

use crate::carrier::note;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;
use tripline_tcp::{Door, Net, Wire};

/// Bytes that an end may write before a simulated pipe has taken them over.
const AHEAD: usize = 64 << 10;
/// Bytes of one read of what the other side of a full socket must take in.
const BITE: usize = 16 << 10;
/// How long the system may take to bring what was written; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// All TCP connections of one world.
pub(crate) type Cables = Rc<RefCell<Cabling>>;

/// See [`Cables`].
#[derive(Default)]
pub(crate) struct Cabling {
    cables: BTreeMap<u64, Cable>,
    /// Which pipe a newcomer belongs to, by where it comes from.
    sources: BTreeMap<SocketAddr, u64>,
    /// The pipe that is being opened.
    opening: u64,
}

/// One TCP connection: the end that opened it, and the other.
#[derive(Default)]
struct Cable {
    ends: [Option<TcpStream>; 2],
    /// By the end that writes.
    flows: [Flow; 2],
}

/// The bytes of one direction.
#[derive(Default)]
struct Flow {
    /// Written, and not yet given to the simulated pipe.
    fresh: Vec<u8>,
    /// So many more have arrived, as far as the reader may know.
    due: usize,
    /// Read from the socket because it was full, and not due.
    staged: VecDeque<u8>,
    /// What the reader has read since it was asked.
    read: Vec<u8>,
    /// The pipe has ended behind what is due.
    ended: bool,
}

impl Cabling {
    /// Begins a cable for this pipe; `false` if the other end was here before.
    pub(crate) fn begin(&mut self, pipe: u64) -> bool {
        self.opening = pipe;
        let new = !self.cables.contains_key(&pipe);
        self.cables.entry(pipe).or_default();
        new
    }

    /// The pipe of a newcomer from there.
    pub(crate) fn pipe_from(&self, source: SocketAddr) -> Option<u64> {
        self.sources.get(&source).copied()
    }

    fn flow(&mut self, pipe: u64, writer: usize) -> Option<&mut Flow> {
        self.cables.get_mut(&pipe).map(|cable| &mut cable.flows[writer])
    }

    /// What an end has written since the last time.
    pub(crate) fn take_fresh(&mut self, pipe: u64, end: usize) -> Vec<u8> {
        self.flow(pipe, end).map(|flow| std::mem::take(&mut flow.fresh)).unwrap_or_default()
    }

    /// So many bytes more have arrived at an end.
    pub(crate) fn arrived(&mut self, pipe: u64, end: usize, count: usize) {
        if let Some(flow) = self.flow(pipe, 1 - end) {
            flow.due += count;
            flow.read.clear();
        }
    }

    /// What an end has read of that, and whether there is more.
    pub(crate) fn read(&mut self, pipe: u64, end: usize) -> (&[u8], bool) {
        let flow = self.flow(pipe, 1 - end).expect("the cable is there");
        (&flow.read, flow.due > 0)
    }

    /// What comes to an end has come to its end.
    pub(crate) fn ended(&mut self, pipe: u64, end: usize) {
        if let Some(flow) = self.flow(pipe, 1 - end) {
            flow.ended = true;
        }
    }
}

impl Cable {
    /// Reads what this end has been sent, although it is not due, so that the socket takes more.
    fn make_room(&mut self, writer: usize) -> io::Result<usize> {
        let Some(mut stream) = self.ends[1 - writer].as_ref() else { return Ok(0) };
        let mut bytes = vec![0; BITE];
        let read = stream.read(&mut bytes)?;
        self.flows[writer].staged.extend(&bytes[..read]);
        Ok(read)
    }

    fn write(&mut self, end: usize, bytes: &[u8]) -> io::Result<usize> {
        let room = AHEAD.saturating_sub(self.flows[end].fresh.len());
        let bytes = &bytes[..room.min(bytes.len())];
        if bytes.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        loop {
            let Some(mut stream) = self.ends[end].as_ref() else {
                return Err(ErrorKind::NotConnected.into());
            };
            match stream.write(bytes) {
                Ok(written) => {
                    self.flows[end].fresh.extend(&bytes[..written]);
                    note(|used| used.written += written as u64);
                    return Ok(written);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.make_room(end)? == 0 {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn read(&mut self, end: usize, into: &mut [u8]) -> io::Result<usize> {
        let flow = &mut self.flows[1 - end];
        if flow.due == 0 && !flow.ended {
            return Err(ErrorKind::WouldBlock.into());
        }
        let most = if flow.due == 0 { 1 } else { flow.due.min(into.len()) };
        let into = &mut into[..most];
        let read = if flow.staged.is_empty() {
            let Some(stream) = &self.ends[end] else { return Err(ErrorKind::NotConnected.into()) };
            wait_and_read(stream, into)?
        } else {
            flow.staged.read(into)?
        };
        if flow.due > 0 {
            flow.due -= read;
            flow.read.extend(&into[..read]);
            note(|used| used.read += read as u64);
        }
        Ok(read)
    }
}

/// Reads what is known to come.
fn wait_and_read(mut stream: &TcpStream, into: &mut [u8]) -> io::Result<usize> {
    match stream.read(into) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            stream.set_nonblocking(false)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let read = stream.read(into);
            stream.set_nonblocking(true)?;
            read
        }
        read => read,
    }
}

/// Makes the sockets of one side.
pub(crate) struct Loopback(pub(crate) Cables);

/// One end of a TCP connection.
pub(crate) struct Plug {
    cables: Cables,
    pub(crate) pipe: u64,
    pub(crate) end: usize,
}

impl Plug {
    fn with<R>(&mut self, act: impl FnOnce(&mut Cable, usize) -> io::Result<R>) -> io::Result<R> {
        let mut cables = self.cables.borrow_mut();
        let cable = cables.cables.get_mut(&self.pipe).ok_or(ErrorKind::NotConnected)?;
        act(cable, self.end)
    }
}

impl Drop for Plug {
    fn drop(&mut self) {
        // Closed; an error would say that it is already.
        let _ = self.with(|cable, end| {
            cable.ends[end] = None;
            Ok(())
        });
    }
}

impl Wire for Plug {
    fn is_connected(&mut self) -> io::Result<bool> {
        self.with(|cable, end| Ok(cable.ends[end].is_some()))
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.with(|cable, end| cable.read(end, into))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|cable, end| cable.write(end, bytes))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.with(|cable, end| match &cable.ends[end] {
            Some(stream) => tripline_tcp::finish(stream),
            None => Err(ErrorKind::NotConnected.into()),
        })
    }
}

impl Net for Loopback {
    type Wire = Plug;
    type Door = Entrance;

    fn connect(&mut self, address: SocketAddr) -> io::Result<Plug> {
        let stream = TcpStream::connect(address)?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let mut cables = self.0.borrow_mut();
        let pipe = cables.opening;
        cables.sources.insert(stream.local_addr()?, pipe);
        let cable = cables.cables.entry(pipe).or_default();
        cable.ends[0] = Some(stream);
        drop(cables);
        Ok(Plug { cables: Rc::clone(&self.0), pipe, end: 0 })
    }

    fn listen(&mut self, address: SocketAddr) -> io::Result<Entrance> {
        Ok(Entrance { listener: TcpListener::bind(address)?, cables: Rc::clone(&self.0) })
    }
}

/// Where connections come in.
pub(crate) struct Entrance {
    listener: TcpListener,
    cables: Cables,
}

impl Door for Entrance {
    type Wire = Plug;

    /// Waits for the one that is known to come.
    fn accept(&mut self) -> io::Result<(Plug, SocketAddr)> {
        let mut cables = self.cables.borrow_mut();
        let pipe = cables.opening;
        let cable = cables.cables.get_mut(&pipe).filter(|cable| cable.ends[1].is_none());
        if cable.is_none_or(|cable| cable.ends[0].is_none()) {
            return Err(ErrorKind::WouldBlock.into());
        }
        let (stream, remote) = self.listener.accept()?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let pipe = cables.pipe_from(remote).ok_or(ErrorKind::AddrNotAvailable)?;
        let cable = cables.cables.get_mut(&pipe).ok_or(ErrorKind::NotConnected)?;
        cable.ends[1] = Some(stream);
        drop(cables);
        Ok((Plug { cables: Rc::clone(&self.cables), pipe, end: 1 }, remote))
    }

    fn local(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }
}
