//! What the bytes of a script can say: the words of the scenario language, with holes.
//!
//! A hole is a name in braces and is filled from the input, see [`fill`]. A word's number is its
//! place in its table: new words go to the end, so that the inputs that are kept keep their
//! meaning. What belongs together (a rate and its queue, kinds of credit) is one entry.

/// What a host is like.
pub(super) const SETTINGS: &[&str] = &[
    "two-way={few}",
    "one-way={few}",
    "{credit}",
    "send-buffer={size1}",
    "renew-packets={count8}",
    "renew-after={time200}",
    "idle={time500}",
    "idle=0s",
    "keep-alive={time50}",
    "ack-delay={short}",
    "congestion=newreno",
    "congestion=bbr",
    "ecn=off",
    "probe=on",
    "aes=on",
    "segments={count}",
    "sloppy={percent}",
    "echo=on",
    "retry-above={few}",
    "connections={count}",
    "ceiling={ceiling}",
    "datagram=1400 ceiling={ceiling}",
    "profile=web-server",
    "profile=web-client",
    "profile=game",
    "profile=iot-server",
    "profile=iot-client",
    "profile=real-time",
    "profile=bulk",
    "profile=limp",
];

/// What a link is like, from the start or from some moment on.
pub(super) const KNOBS: &[&str] = &[
    "loss={percent}",
    "delay={short}",
    "jitter={short}",
    "jitter={short} order=free",
    "copies={percent} copies-most={count} copies-delay={short}",
    "reorder={percent} reorder-delay={short}",
    "rate={rate} queue={queue}",
    "mark-above={queue}",
    "mtu={mtu}",
    "lose-every={count}",
    "jitter-shape=pareto",
    "jitter-shape=normal jitter-kept={percent}",
    "burst-start={percent} burst-end={percent}",
    "burst-loss={percent} burst-most={count}",
    "queue-packets={count}",
    "aqm=codel",
    "aqm=codel-ecn",
    "aqm=tail-drop",
    "police={rate} police-burst={queue}",
    "bleach={percent}",
    "remark={percent}",
    "ect-lost={percent}",
    "flip={percent}",
    "swap={percent}",
    "splice={percent}",
    "truncate={percent}",
    "extend={percent}",
    "loss=100%",
    "loss=0%",
];

/// What happens, besides what happens all the time.
pub(super) const STEPS: &[&str] = &[
    "{host} connect {to} as {connection}",
    "{host} connect {to} as {connection} deadline={time}",
    "{host} send {stream} {size} times={count} every={short}",
    "{host} send {stream} {size} times={count} tries=1",
    "{host} send {stream} {size} times={count} tries={tries}",
    "{host} send {stream} {size} times={count} expires={short}",
    "{host} send {stream} {size} tries={tries} expires={short}",
    "{host} close-stream {stream} {few}",
    "{host} stop {stream} {few}",
    "{host} priority {stream} {level}",
    "{host} reading all",
    "{host} reading none",
    "{host} reading {rate}",
    "{host} renew {connection}",
    "{host} close {connection}",
    "{host} close {connection} grace={time}",
    "{host} kill {connection}",
    "{host} network-changed",
    "{host} shut-down",
    "{host} shut-down grace={time}",
    "{host} move 10.0.9.{few}:7",
    "{host} crash",
    "{host} restart",
    "{host} pause {time}",
    "{host} jump {time}",
    "{host} block {short}",
    "{host} replay {count} over={short}",
    "{host} garbage {count} over={short}",
    "{host} flood {few} over={short}",
    "cut {way}",
    "heal {way}",
];

/// What happens all the time, and where the other tables say nothing.
pub(super) const USUAL: &[&str] = &[
    "{host} send {stream} {size}",
    "{host} send {stream} {size} times={count}",
    "{host} open {stream} {order} {direction} on {connection}",
    "desk send {stream} {size} times={count} every={short}",
    "{host} open {stream} {order} {direction} on c priority={level}",
    "desk send {stream} {size}",
    "{host} read {stream} {count}",
    "{host} finish {stream}",
];

/// Hosts that a script has, by their places.
pub(super) const HOSTS: [&str; 3] = ["server", "desk", "phone"];

/// Fills the holes of an entry, each with the next byte; `there` says how many hosts there are.
///
/// # Panics
/// If the table names a hole that there is none of.
pub(super) fn fill(entry: &str, there: usize, mut next: impl FnMut() -> u8) -> String {
    let mut line = String::new();
    let mut rest = entry;
    while let Some((before, (hole, after))) =
        rest.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
    {
        line.push_str(before);
        line.push_str(&value(hole, there, usize::from(next())));
        rest = after;
    }
    line + rest
}

/// What a byte means in a hole.
fn value(hole: &str, there: usize, byte: usize) -> String {
    let host = |at: usize| HOSTS[at % there];
    let millis = |least: usize, number: usize| format!("{}ms", least.max(number));
    match hole {
        // The desk does most.
        "host" => host([1, 0, 1, 2][byte % 4]).into(),
        "to" => host([0, 0, 0, 1][byte % 4]).into(),
        "way" => {
            let (from, to) = (host(byte), host(byte + 1 + byte / 4 % (there - 1)));
            format!("{from}{}{to}", if byte & 128 == 0 { "<>" } else { ">" })
        }
        "connection" => ["c", "c", "d", "e"][byte % 4].into(),
        "stream" => ["q", "r", "s", "t"][byte % 4].into(),
        "order" => ["ordered", "bytes", "unordered", "latest"][byte % 4].into(),
        "direction" => ["two-way", "one-way"][byte % 2].into(),
        "few" => (byte % 4).to_string(),
        "level" => (byte % 8).to_string(),
        "tries" => (2 + byte % 3).to_string(),
        "count" => (1 + byte % 32).to_string(),
        "count8" => (8 + byte).to_string(),
        "percent" => format!("{}%", byte * byte / 1_600),
        // From nothing to a quarter of a second; to a minute, the short ones finer.
        "short" => millis(1, byte),
        "time" => millis(0, byte * byte),
        "time50" => millis(50, byte * byte),
        "time200" => millis(200, byte * byte),
        "time500" => millis(500, byte * byte),
        "size" => size(byte).to_string(),
        "size1" => (1 + size(byte)).to_string(),
        "rate" => format!("{}kB/s", 1 + byte * byte / 64),
        "queue" => (3_000 + byte * 250).to_string(),
        "mtu" => (1_200 + byte % 64 * 5).to_string(),
        "ceiling" => [1_400, 1_472, 4_000, 9_000][byte % 4].to_string(),
        "credit" => credit(byte as u64),
        _ => panic!("there is no hole {hole}"),
    }
}

/// Mostly small messages, some of a few packets, a few of many.
const fn size(byte: usize) -> usize {
    match byte {
        0..128 => byte % 12,
        128..220 => (byte - 128) * 20,
        _ => (byte - 220) * 680,
    }
}

/// As little credit as the largest message needs, or hardly more.
fn credit(byte: u64) -> String {
    let message = 1 + byte * byte / 4;
    let stream = message + 8 + byte % 8;
    let connection = stream + byte % 3 * 10;
    format!(
        "message-max={message} stream-credit={stream} connection-credit={connection} \
         credit-max={connection}"
    )
}
