//! The engine in a game: called once a frame, with zero, and never waiting.
//!
//! A game has a loop of its own: sixty times a second it reads its input, moves its world on by a
//! fixed step and draws. The client sends its input each frame, unreliably and newest first: a late
//! one is worth nothing. The server answers each frame with the state of the world. Both are called
//! in the same thread here; each would be a program of its own.
//!
//! ```console
//! cargo run -p tripline-std --example game_loop                  # as fast as it goes
//! cargo run -p tripline-std --example game_loop -- --real-time   # sixty frames a second
//! ```
#![forbid(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tripline::{
    Config, ConnectOptions, ConnectionHandle, Endpoint, Event, Order, ReceiveResult, SecretKey,
    SendOptions, StreamId, StreamOptions,
};
use tripline_std::{Loop, Options, os_seed};

/// One frame.
const STEP: Duration = Duration::from_nanos(1_000_000_000 / 60);
/// How long the game is, in frames of the server's that the client has seen the answer to.
const FRAMES: u32 = 300;
/// Longer than any game of that length takes, however slow the machine.
const TOO_LONG: Duration = Duration::from_secs(60);

/// One player's side, or the server's.
struct Game {
    looper: Loop<Endpoint>,
    is_client: bool,
    /// Where the other side is heard and spoken to.
    stream: Option<(ConnectionHandle, StreamId)>,
    /// Frames so far.
    frame: u32,
    /// Of the server: the newest input that came in. Of the client: the newest that was answered.
    newest: u32,
}

impl Game {
    fn new(config: Config, is_client: bool) -> io::Result<Self> {
        let options = Options::default();
        let endpoint = Endpoint::new(config, &os_seed()?, options.clock.now());
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let looper = Loop::bind(any, &options, endpoint)?;
        Ok(Self { looper, is_client, stream: None, frame: 0, newest: 0 })
    }

    /// One frame: the network's news, the step, our own news.
    fn frame(&mut self) -> io::Result<()> {
        // What has come in since the last frame; timers; what is to go out.
        self.looper.run_once(Some(Duration::ZERO))?;
        while let Some(event) = self.looper.next_event() {
            self.on_event(event);
        }
        self.frame += 1;
        if let Some((connection, stream)) = self.stream {
            // The client's input is the frame it is at; the world is the newest input.
            let news = if self.is_client { self.frame } else { self.newest };
            let (message, options) = (news.to_be_bytes().to_vec(), SendOptions::UNRELIABLE);
            self.looper.with(|endpoint, now| {
                // With no room for it the next frame has something newer to say.
                let _ = endpoint.send(now, connection, stream, message, options);
            });
            // It goes out in this frame, not in the next.
            self.looper.run_once(Some(Duration::ZERO))?;
        }
        Ok(())
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Connected { connection, .. } if self.is_client => {
                let options = StreamOptions::two_way(Order::Latest);
                let open = |e: &mut Endpoint, now| e.open(now, connection, options);
                self.stream = self.looper.with(open).ok().map(|stream| (connection, stream));
            }
            Event::Opened { connection, stream } => self.stream = Some((connection, stream)),
            Event::Readable { connection, stream } => {
                let receive = |e: &mut Endpoint, now| e.receive(now, connection, stream);
                while let Ok(ReceiveResult::Data(data)) = self.looper.with(receive) {
                    let news = data[..].try_into().map_or(0, u32::from_be_bytes);
                    assert!(news >= self.newest, "the newest, never an older one");
                    self.newest = news;
                }
            }
            Event::Failed { error, .. } => panic!("{error}"),
            _ => {}
        }
    }
}

/// The whole game; it comes back when it is over.
pub(crate) fn main() -> io::Result<()> {
    let real_time = std::env::args().any(|arg| arg == "--real-time");
    let key = SecretKey::from_bytes([8; 32]);
    let public = key.public_key();
    let mut server = Game::new(Config::public_server(key), false)?;
    let mut client = Game::new(Config::client(), true)?;
    let to = server.looper.link().local_addr()?;
    let connect = |e: &mut Endpoint, now| e.connect(now, to.into(), ConnectOptions::to(public));
    client.looper.with(connect).map_err(io::Error::other)?;

    let began = Instant::now();
    let mut next = began;
    while client.newest < FRAMES {
        client.frame()?;
        server.frame()?;
        assert!(began.elapsed() < TOO_LONG, "the server answers no more");
        if real_time {
            // A display would have us wait for its next refresh here.
            next += STEP;
            std::thread::park_timeout(next.saturating_duration_since(Instant::now()));
        }
    }
    let (frames, counts) = (client.frame, client.looper.counts());
    println!("{FRAMES} steps answered after {frames} frames, in {:?}", began.elapsed());
    // Two looks a frame at the most, and no wait that takes time.
    assert!(counts.waits <= u64::from(frames) * 2);
    Ok(())
}
