//! The engine in somebody else's event loop, of which it needs two things only: to be called when a
//! file descriptor is readable, and one timer (row T70).
//!
//! The loop here is a stand-in for that of a toolkit, a browser or a library in C: callbacks by
//! file descriptor, one timer each. It knows nothing of tripline, and tripline has no thread and
//! never waits. A client and a server live side by side in it; the client counts to a hundred, the
//! server repeats what it hears.
//!
//! ```console
//! cargo run -p tripline-std --example foreign_loop
//! ```
#![forbid(unsafe_code)]

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use tripline::{
    Code, Config, ConnectOptions, ConnectionHandle, Endpoint, Event, Order, ReceiveResult,
    SecretKey, SendOptions, StreamId, StreamOptions,
};
use tripline_std::{Loop, Options, os_seed};

/// How far the client counts.
const COUNT: u32 = 100;

/// The foreign loop: it watches file descriptors for reading, and has one timer for each of its
/// guests.
struct Foreign {
    epoll: OwnedFd,
    timers: Vec<Option<Instant>>,
}

impl Foreign {
    fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)?, timers: Vec::new() })
    }

    /// Takes in a guest: its number.
    fn watch(&mut self, fd: BorrowedFd<'_>) -> io::Result<usize> {
        let guest = self.timers.len();
        let data = EventData::new_u64(guest as u64);
        epoll::add(&self.epoll, fd, data, EventFlags::IN)?;
        self.timers.push(None);
        Ok(guest)
    }

    /// Sets a guest's timer, or takes it away.
    fn set_timer(&mut self, guest: usize, at: Option<Instant>) {
        self.timers[guest] = at;
    }

    /// Waits once; the guests that are to be called.
    fn wait(&mut self) -> io::Result<Vec<usize>> {
        let first = self.timers.iter().flatten().min();
        let left = first.map(|at| at.saturating_duration_since(Instant::now()));
        let limit = left.and_then(|left| Timespec::try_from(left).ok());
        let mut ready = Vec::with_capacity(8);
        epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut ready), limit.as_ref())?;
        let mut guests: Vec<_> = ready.iter().map(|event| event.data.u64() as usize).collect();
        let now = Instant::now();
        let due = |(_, timer): &(usize, &mut Option<Instant>)| timer.is_some_and(|at| at <= now);
        for (guest, timer) in self.timers.iter_mut().enumerate().filter(due) {
            *timer = None;
            guests.push(guest);
        }
        Ok(guests)
    }
}

/// A guest: an engine, and what its program makes of the events.
struct Guest {
    looper: Loop<Endpoint>,
    /// What the client has heard, and where it speaks; a server has none.
    client: Option<(u32, Option<StreamId>)>,
    over: bool,
}

impl Guest {
    fn new(config: Config) -> io::Result<Self> {
        let options = Options::default();
        let endpoint = Endpoint::new(config, &os_seed()?, options.clock.now());
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Ok(Self { looper: Loop::bind(any, &options, endpoint)?, client: None, over: false })
    }

    /// What the foreign loop calls, for whatever reason. Says when it wants to be called at the
    /// latest, though nothing came in.
    fn called(&mut self) -> io::Result<Option<Instant>> {
        self.looper.run_once(Some(Duration::ZERO))?;
        while let Some(event) = self.looper.next_event() {
            self.deal_with(event);
        }
        // What the events made us do goes out now, and may move the deadline.
        self.looper.run_once(Some(Duration::ZERO))?;
        let now = self.looper.clock().now();
        let deadline = self.looper.deadline().map(|at| at.saturating_duration_since(now));
        // This foreign loop cannot tell of room on a socket; then a look each millisecond does.
        let room = self.looper.wants_room().then_some(Duration::from_millis(1));
        let first = [deadline, room].into_iter().flatten().min();
        Ok(first.map(|left| Instant::now() + left))
    }

    fn deal_with(&mut self, event: Event) {
        match event {
            Event::Connected { connection, .. } if self.client.is_some() => {
                let options = StreamOptions::two_way(Order::Ordered);
                let open = |e: &mut Endpoint, now| e.open(now, connection, options);
                let stream = self.looper.with(open).expect("a stream");
                self.client = Some((0, Some(stream)));
                self.say(connection, stream, 1);
            }
            Event::Readable { connection, stream } => self.hear(connection, stream),
            Event::Failed { error, .. } => panic!("{error}"),
            Event::Drained { .. } => self.over = true,
            _ => {}
        }
    }

    fn say(&mut self, connection: ConnectionHandle, stream: StreamId, number: u32) {
        let message = number.to_be_bytes().to_vec();
        let options = SendOptions::default();
        let say = |e: &mut Endpoint, now| e.send(now, connection, stream, message, options);
        self.looper.with(say).expect("there is room for one");
    }

    fn hear(&mut self, connection: ConnectionHandle, stream: StreamId) {
        let receive = |e: &mut Endpoint, now| e.receive(now, connection, stream);
        while let Ok(ReceiveResult::Data(data)) = self.looper.with(receive) {
            let number = data[..].try_into().map(u32::from_be_bytes).expect("a number");
            match &mut self.client {
                None => self.say(connection, stream, number),
                Some((heard, _)) => {
                    *heard += 1;
                    assert_eq!(number, *heard, "the server repeats what it hears");
                    if number < COUNT {
                        self.say(connection, stream, number + 1);
                    } else {
                        let grace = Duration::from_secs(1);
                        let close =
                            |e: &mut Endpoint, now| e.close(now, connection, grace, Code::NONE, "");
                        self.looper.with(close).expect("it was open");
                    }
                }
            }
        }
    }
}

/// The whole program; it comes back when both ends have said goodbye.
pub(crate) fn main() -> io::Result<()> {
    let key = SecretKey::from_bytes([7; 32]);
    let public = key.public_key();
    let server = Guest::new(Config::public_server(key))?;
    let mut client = Guest::new(Config::client())?;
    let to = server.looper.link().local_addr()?;
    client.client = Some((0, None));
    let connect = |e: &mut Endpoint, now| e.connect(now, to.into(), ConnectOptions::to(public));
    client.looper.with(connect).map_err(io::Error::other)?;

    let mut foreign = Foreign::new()?;
    let mut guests = [server, client];
    let mut calls = 0;
    for guest in &mut guests {
        let number = foreign.watch(guest.looper.link().as_fd())?;
        let timer = guest.called()?;
        foreign.set_timer(number, timer);
    }
    while !guests.iter().all(|guest| guest.over) {
        for number in foreign.wait()? {
            calls += 1;
            let timer = guests[number].called()?;
            foreign.set_timer(number, timer);
        }
    }
    let heard = guests[1].client.map(|(heard, _)| heard);
    println!("counted to {} in {calls} calls", heard.unwrap_or_default());
    assert_eq!(heard, Some(COUNT));
    Ok(())
}
