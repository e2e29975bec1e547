//! The sockets, as far as the board must know them; and those of the standard library.

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;

/// Newcomers that the system keeps for us.
const BACKLOG: i32 = 1_024;

/// A stream of bytes that never blocks: [`io::ErrorKind::WouldBlock`] instead.
pub trait Wire {
    /// Whether the connection that was begun is there; `false`: not yet.
    ///
    /// # Errors
    /// It will never be.
    fn is_connected(&mut self) -> io::Result<bool>;

    /// Reads some bytes; 0 if the other side sends no more.
    ///
    /// # Errors
    /// The stream is broken.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize>;

    /// Writes some bytes; how many were taken.
    ///
    /// # Errors
    /// The stream is broken.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Ends our direction.
    ///
    /// # Errors
    /// The stream is broken.
    fn finish(&mut self) -> io::Result<()>;
}

/// Where newcomers come in; never blocks.
pub trait Door {
    /// What they come with.
    type Wire: Wire;

    /// The next newcomer, and where it comes from.
    ///
    /// # Errors
    /// Nobody is there, or the system has no room for one more.
    fn accept(&mut self) -> io::Result<(Self::Wire, SocketAddr)>;

    /// Where it is.
    fn local(&self) -> Option<SocketAddr>;
}

/// Makes sockets.
pub trait Net {
    /// The streams.
    type Wire: Wire;
    /// The listeners.
    type Door: Door<Wire = Self::Wire>;

    /// Begins to connect.
    ///
    /// # Errors
    /// It cannot even begin.
    fn connect(&mut self, address: SocketAddr) -> io::Result<Self::Wire>;

    /// Listens.
    ///
    /// # Errors
    /// No such listener is to be had.
    fn listen(&mut self, address: SocketAddr) -> io::Result<Self::Door>;
}

/// The sockets of the standard library.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StdNet;

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

impl Net for StdNet {
    type Wire = TcpStream;
    type Door = TcpListener;

    fn connect(&mut self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = socket(address)?;
        // Packets are written whole: to wait for more of them would only delay them.
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&SockAddr::from(address)) {
            Ok(()) => Ok(socket.into()),
            Err(error) if is_under_way(&error) => Ok(socket.into()),
            Err(error) => Err(error),
        }
    }

    fn listen(&mut self, address: SocketAddr) -> io::Result<TcpListener> {
        let socket = socket(address)?;
        // Else a server could not come back for a minute after its connections ended.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        if let SocketAddr::V6(address) = address
            && address.ip().is_unspecified()
        {
            // All addresses are all of both families, as for UDP.
            socket.set_only_v6(false)?;
        }
        socket.bind(&SockAddr::from(address))?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    }
}

fn is_under_way(error: &io::Error) -> bool {
    /// `EINPROGRESS` has no kind of its own in the standard library.
    #[cfg(target_os = "linux")]
    const EINPROGRESS: i32 = 115;
    #[cfg(not(target_os = "linux"))]
    const EINPROGRESS: i32 = 36;
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(EINPROGRESS)
}

impl Wire for TcpStream {
    fn is_connected(&mut self) -> io::Result<bool> {
        is_connected(self)
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Read::read(self, into)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(self, bytes)
    }

    fn finish(&mut self) -> io::Result<()> {
        finish(self)
    }
}

/// As [`Wire::is_connected`], of any TCP socket: for loops with streams of their own.
///
/// # Errors
/// It will never be connected.
pub fn is_connected(socket: &impl AsFd) -> io::Result<bool> {
    let socket = SockRef::from(socket);
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// As [`Wire::finish`], of any TCP socket.
///
/// # Errors
/// The stream is broken.
pub fn finish(socket: &impl AsFd) -> io::Result<()> {
    SockRef::from(socket).shutdown(Shutdown::Write)
}

impl Door for TcpListener {
    type Wire = TcpStream;

    fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (wire, remote) = TcpListener::accept(self)?;
        wire.set_nonblocking(true)?;
        wire.set_nodelay(true)?;
        Ok((wire, remote))
    }

    fn local(&self) -> Option<SocketAddr> {
        self.local_addr().ok()
    }
}
