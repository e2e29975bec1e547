//! How connections and calls live, what streams there are, which handle may go to which thread, and
//! how keys are made: a chapter each, whose examples run as tests.
//!
//! - [`life`]: how a connection comes about and ends, for clients and servers (row N56).
//! - [`streams`]: calls, streams with names and raw streams, from both sides (row N57).
//! - [`threads`]: what may be used from where (row N58).
//! - [`keys`]: identities, in ten lines (row N59).

/// # How a connection comes about and ends
///
/// A client's connection is one object over all its reconnections:
///
/// ```text
///              connect                    Opened
///   (nothing) ─────────▶ connecting ───────────────────▶ open ──┐
///                         ▲   │ Failed {retry_in: Some}   │      │ calls, notifications, streams
///                         │   ▼                           │ ◀────┘
///          the wait is    waiting ◀───────────────────────┤
///          over, or the           Lost or Closed          │
///          network is back        {retry_in: Some}        │
///                             │                           │
///                             │ Failed, Lost or Closed {retry_in: None}, or stop
///                             ▼                           ▼
///                          Finalised: the last event, once; the handle is dead behind it
/// ```
///
/// A server's connection has no attempts, and may be found again:
///
/// ```text
///               Opened                     Lost
///   (nothing) ─────────▶ open ───────────────────────▶ remembered (session_keep) ──▶ Finalised
///                         ▲ │        the client is back        │
///                         └─┼──────────────────────────────────┘
///                           └─ Closed ──▶ Finalised
/// ```
///
/// Nothing comes before `Opened` but outcomes of calls whose time is up, and nothing behind
/// `Finalised` (rows M05, N19; a property test checks every trace against this). What `Failed`,
/// `Closed` and `Lost` propose by `retry_in` the answer to the event may change: `Node::retry_in`
/// tries sooner or later, `Node::stop` not at all.
///
/// By the handles of [`calls`](crate::calls) the same looks so:
///
/// ```
/// use std::time::Duration;
/// use tripline_std::calls::{self, Router, Status, wait};
///
/// let (server, address) = calls::listen("tcp://127.0.0.1:0", tripline::Config::client())?;
/// let caller = calls::connect(&address.to_string())?; // the first attempt has succeeded
/// assert_eq!(caller.status(), Status::Open);
/// wait(caller.close(Duration::from_secs(1))); // what is under way has a second
/// assert!(matches!(caller.status(), Status::Over(_)));
/// wait(server.shut_down(Duration::from_secs(1)));
/// assert!(wait(server.next()).is_none()); // nothing comes any more
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub mod life {}

/// # Streams, and who opens them
///
/// Three kinds share one connection over TRiP: **calls** (and notifications), which need no stream
/// of the user's; **streams with names**, opened by either side with any order and direction and
/// refused with a reason by who does not want them; and, on a connection that both sides make
/// [raw](tripline_rpc::Config::is_raw), **raw** streams without names, all for one handler, and no
/// calls. Plain TCP, TLS and UDP carry calls alone.
///
/// A stream belongs to the connection's present way to the other side: when that breaks it is gone,
/// and whoever needs it opens it again with the next `Opened`. Each message on it has one fate,
/// told with its bytes and how long it took. With the node by hand:
///
/// ```
/// use tripline::{Config, Endpoint, LinkHub, Order, ReceiveResult, SecretKey, SendOptions};
/// use tripline_rpc::{ClientOptions, Node, NodeConfig, NodeEvent};
/// use tripline_std::{HubLoop, HubOptions, os_seed};
///
/// fn looper(config: Config) -> Result<HubLoop<Node>, Box<dyn std::error::Error>> {
///     let (how, seed) = (HubOptions::default(), os_seed()?);
///     let endpoint = Endpoint::new(config, &seed.child("endpoint"), how.options.clock.now());
///     let hub = LinkHub::new(endpoint, &seed.child("links"));
///     Ok(HubLoop::new(Node::new(hub, NodeConfig::default(), &seed), &how)?)
/// }
///
/// let key = SecretKey::from_bytes([9; 32]);
/// let public = key.public_key();
/// let mut server = looper(Config::public_server(key))?;
/// server.with(|node, _| node.listen(&"trip://127.0.0.1:0".parse().unwrap()));
/// server.run_once(None)?;
/// let Some(NodeEvent::Listening { local: Some(at), .. }) = server.next_event() else { panic!() };
/// let mut client = looper(Config::client())?;
/// let address = format!("trip://{public}@{at}").parse()?;
/// client.with(|node, now| node.connect(now, address, ClientOptions::default()));
///
/// let wait = Some(std::time::Duration::from_millis(1));
/// 'talk: loop {
///     client.run_once(wait)?;
///     while let Some(event) = client.next_event() {
///         if let NodeEvent::Opened { conn, .. } = event {
///             client.with(|node, now| {
///                 let options = tripline::StreamOptions::one_way(Order::Ordered);
///                 let log = node.open_stream(now, conn, "log", options)?;
///                 node.send_on(now, conn, log, "a line", SendOptions::default())
///             })?;
///         }
///     }
///     server.run_once(wait)?;
///     while let Some(event) = server.next_event() {
///         match event {
///             NodeEvent::StreamOpened { conn, stream, name } if &*name != "log" => {
///                 server.with(|node, now| node.refuse_stream(now, conn, stream, "logs only"))?;
///             }
///             NodeEvent::StreamReadable { conn, stream } => {
///                 let line = server.with(|node, now| node.receive_on(now, conn, stream))?;
///                 assert_eq!(line, ReceiveResult::Data("a line".into()));
///                 break 'talk;
///             }
///             _ => {}
///         }
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub mod streams {}

/// # Threads
///
/// The machines ([`Node`](tripline_rpc::Node), [`Endpoint`](tripline::Endpoint)) belong to whoever
/// has them: `&mut` says so, and there is no lock in them. Handles go anywhere, and the compiler
/// knows which:
///
/// ```
/// use tripline_std::calls::{Call, Caller, Calls, Request, Router};
///
/// fn anywhere<T: Send + Sync + 'static>() {}
/// fn to_another_thread<T: Send + 'static>() {}
/// anywhere::<Calls>();
/// anywhere::<Caller>();
/// anywhere::<Request>();
/// anywhere::<Router>();
/// to_another_thread::<Call>();
/// to_another_thread::<tripline_rpc::Node>();
/// anywhere::<tripline_std::Waker>();
/// ```
///
/// No call is undefined from another thread. A handle takes a short lock; what belongs to the loop
/// alone is done there by [`Calls::with`](crate::calls::Calls::with). A handler may call any other
/// handle but from within `with`, where that would wait for itself and panics instead. Several
/// threads may serve one node: each says `wait(router.serve(&calls))`, and a request goes to one.
///
/// ```
/// use std::sync::Arc;
/// use tripline_std::calls::{self, Router, wait};
///
/// let (server, address) = calls::listen("tcp://127.0.0.1:0", tripline::Config::client())?;
/// let router = Arc::new(Router::new().on_ask("double", |n: u32| Ok(n * 2)));
/// for _ in 0..4 {
///     let (router, server) = (Arc::clone(&router), server.clone());
///     std::thread::spawn(move || wait(router.serve(&server)));
/// }
/// let caller = calls::connect(&address.to_string())?;
/// assert_eq!(caller.ask::<u32, u32>("double", &21).wait()?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub mod threads {}

/// # Keys
///
/// Over TRiP a server proves that it holds a key, and its address names it: there are no
/// certificates to be made and none to expire. On the command line:
///
/// ```console
/// $ tripline keygen server.key          # the secret key, mode 0600; prints the public one
/// tpub1…
/// $ tripline serve trip://*:4444 --key server.key -- ./handler
/// listening on trip://tpub1…@*:4444
/// $ tripline call trip://tpub1…@server.example:4444 method 'what is asked'
/// ```
///
/// A client has one too, if it is to be known (`--identity FILE`; `--allow KEY` at the server). In
/// a program:
///
/// ```
/// use tripline::SecretKey;
///
/// let secret = SecretKey::generate(&mut tripline_std::os_seed()?.random("identity"));
/// let text = secret.to_text(); // to be kept where nobody else reads it
/// let again: SecretKey = text.parse()?;
/// assert_eq!(again.public_key(), secret.public_key());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `tls://` takes certificates as usual: `tripline_tls` makes or reads them.
pub mod keys {}
