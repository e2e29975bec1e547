//! A game over calls: the server sends its world 30 times a second on a *latest* stream, the client
//! its inputs as notifications that expire, and the shop is asked. Each side calls the node by
//! hand, once a frame, in its own loop; nothing waits anywhere.
//!
//! ```console
//! cargo run -p tripline-std --example arena                  # as fast as it goes
//! cargo run -p tripline-std --example arena -- --real-time   # thirty frames a second
//! ```
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};
use tripline::{
    Config, Endpoint, LinkHub, Order, ReceiveResult, SecretKey, SendOptions, StreamOptions,
};
use tripline_rpc::{
    CallOptions, ClientOptions, ConnId, Event, Lane, NamedStream, Node, NodeConfig, NodeEvent,
    NotifyOptions, Outcome,
};
use tripline_std::{HubLoop, HubOptions, os_seed};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One frame.
const STEP: Duration = Duration::from_nanos(1_000_000_000 / 30);
/// An input that is older than two frames is worth nothing.
const INPUT_LIFE: Duration = Duration::from_millis(66);
/// How long the game is, in worlds that the client has seen.
const WORLDS: u32 = 150;
/// Longer than any game of that length takes, however slow the machine.
const TOO_LONG: Duration = Duration::from_secs(60);

fn looper(config: Config) -> Result<HubLoop<Node>, Failure> {
    let (how, seed) = (HubOptions::default(), os_seed()?);
    let endpoint = Endpoint::new(config, &seed.child("endpoint"), how.options.clock.now());
    let hub = LinkHub::new(endpoint, &seed.child("links"));
    Ok(HubLoop::new(Node::new(hub, NodeConfig::default(), &seed.child("node")), &how)?)
}

/// The server: one player, whose position is the sum of the inputs.
struct Arena {
    looper: HubLoop<Node>,
    player: Option<(ConnId, NamedStream)>,
    frame: u32,
    position: i64,
    gold: u32,
}

impl Arena {
    fn frame(&mut self) -> Result<(), Failure> {
        self.looper.run_once(Some(Duration::ZERO))?;
        while let Some(event) = self.looper.next_event() {
            self.on_event(event)?;
        }
        self.frame += 1;
        let Some((conn, stream)) = self.player else { return Ok(()) };
        let world = [self.frame.to_be_bytes().as_slice(), &self.position.to_be_bytes()].concat();
        // Of a world that was not sent yet nobody wants to hear when there is a newer one.
        let options = SendOptions::UNRELIABLE;
        let send = |node: &mut Node, now| node.send_on(now, conn, stream, world, options);
        // The player may have left.
        let _ = self.looper.with(send);
        Ok(())
    }

    fn on_event(&mut self, event: NodeEvent) -> Result<(), Failure> {
        match event {
            NodeEvent::Opened { conn, .. } => {
                let options = StreamOptions::one_way(Order::Latest);
                let open = |node: &mut Node, now| node.open_stream(now, conn, "world", options);
                self.player = Some((conn, self.looper.with(open)?));
            }
            NodeEvent::Peer { event: Event::Notification { payload, .. }, .. } => {
                self.position += payload.first().map_or(0, |step| i64::from(*step));
            }
            NodeEvent::Peer { conn, event: Event::Request { request, .. } } => {
                let price = 30;
                let told = self.looper.with(|node, now| match self.gold.checked_sub(price) {
                    Some(left) => {
                        self.gold = left;
                        node.reply(now, conn, request, &left.to_be_bytes())
                    }
                    None => node.fail(now, conn, request, 1, "not enough gold"),
                });
                told?;
            }
            NodeEvent::Closed { .. } | NodeEvent::Lost { .. } => self.player = None,
            _ => {}
        }
        Ok(())
    }
}

/// The client.
struct Player {
    looper: HubLoop<Node>,
    conn: ConnId,
    /// The newest world: its frame, and where we are.
    world: (u32, i64),
    worlds: u32,
    inputs: i64,
    bought: u32,
    refused: u32,
}

impl Player {
    fn frame(&mut self) -> Result<(), Failure> {
        self.looper.run_once(Some(Duration::ZERO))?;
        while let Some(event) = self.looper.next_event() {
            self.on_event(event)?;
        }
        if self.worlds == 0 {
            return Ok(());
        }
        let conn = self.conn;
        let send = SendOptions { expires_after: Some(INPUT_LIFE), ..SendOptions::default() };
        let options = NotifyOptions { lane: Lane::unordered(0), send };
        let step = |node: &mut Node, now| node.notify(now, conn, "step", &[1], options);
        self.inputs += i64::from(self.looper.with(step).is_ok());
        // Now and then something is bought.
        if self.worlds.is_multiple_of(30) {
            let buy =
                |node: &mut Node, now| node.call(now, conn, "buy", "sword", CallOptions::default());
            self.looper.with(buy)?;
        }
        Ok(())
    }

    fn on_event(&mut self, event: NodeEvent) -> Result<(), Failure> {
        match event {
            NodeEvent::StreamReadable { conn, stream } => {
                let take = |node: &mut Node, now| node.receive_on(now, conn, stream);
                while let ReceiveResult::Data(world) = self.looper.with(take)? {
                    let (frame, position) = world.split_at(4);
                    let seen = u32::from_be_bytes(frame.try_into()?);
                    if seen <= self.world.0 {
                        return Err("an older world behind a newer one".into());
                    }
                    self.world = (seen, i64::from_be_bytes(position.try_into()?));
                    self.worlds += 1;
                }
            }
            NodeEvent::Peer { event: Event::Outcome { outcome, .. }, .. } => match outcome {
                Outcome::Reply(_) => self.bought += 1,
                Outcome::Failed { code: 1, .. } => self.refused += 1,
                other => return Err(format!("the shop: {other:?}").into()),
            },
            NodeEvent::Failed { why, .. } | NodeEvent::Lost { why, .. } => return Err(why.into()),
            _ => {}
        }
        Ok(())
    }
}

/// The example.
pub(crate) fn main() -> Result<(), Failure> {
    let real_time = std::env::args().any(|arg| arg == "--real-time");
    let key = SecretKey::generate(&mut os_seed()?.random("identity"));
    let public = key.public_key();
    let mut server = looper(Config::public_server(key))?;
    server.with(|node, _| Some(node.listen(&"trip://127.0.0.1:0".parse().ok()?)));
    let port = loop {
        server.run_once(None)?;
        if let Some(NodeEvent::Listening { local: Some(local), .. }) = server.next_event() {
            break local.port();
        }
    };
    let mut arena = Arena { looper: server, player: None, frame: 0, position: 0, gold: 100 };
    let mut client = looper(Config::client())?;
    let address = format!("trip://{public}@127.0.0.1:{port}").parse()?;
    let conn = client.with(|node, now| node.connect(now, address, ClientOptions::default()));
    let world = (0, 0);
    let (worlds, inputs, bought, refused) = (0, 0, 0, 0);
    let mut player = Player { looper: client, conn, world, worlds, inputs, bought, refused };
    let begun = Instant::now();
    while player.worlds < WORLDS || player.bought + player.refused < 4 {
        let frame = Instant::now();
        arena.frame()?;
        player.frame()?;
        if begun.elapsed() > TOO_LONG {
            return Err("the game takes too long".into());
        }
        if real_time {
            // A display would have us wait for its next refresh here.
            std::thread::park_timeout(STEP.saturating_sub(frame.elapsed()));
        }
    }
    println!(
        "{} worlds seen, the last of frame {}; {} of {} steps taken; bought {} times of {}",
        player.worlds,
        player.world.0,
        player.world.1,
        player.inputs,
        player.bought,
        player.bought + player.refused
    );
    if player.world.1 > player.inputs || player.bought != 3 {
        return Err("the player is where nobody has gone, or has bought what it cannot pay".into());
    }
    Ok(())
}
