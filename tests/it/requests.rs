//! Requests over two-way streams: what exists of asking and answering until calls are built.
//!
//! One stream is one request: the asker sends a message and finishes, the answer comes back on the
//! same stream. The stream's ID is the context by which the asker knows the answer (rows M04, M07).

use std::collections::BTreeMap;
use tripline::{
    Code, ConnectionHandle, Event, Order, ReceiveError, ReceiveResult, StreamData, StreamId,
    StreamOptions,
};
use tripline_sansio::Duration;
use tripline_sim::{Chance, LinkConfig};
use tripline_tests::{Pair, Side};

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Reply(Vec<u8>),
    Missing(Code),
    Gone,
}

/// What the server does with the request of this number.
fn fate(number: u8) -> &'static str {
    ["answer", "refuse", "forget"][usize::from(number) % 3]
}

/// The asker: counts every outcome that a request is told, its number as typed data of the stream.
struct Asker {
    numbers: StreamData<u8>,
    /// Answers whose end has not come yet: it may be in a packet of its own.
    replies: BTreeMap<StreamId, Vec<u8>>,
    outcomes: BTreeMap<u8, Vec<Outcome>>,
}

impl Asker {
    fn ask(pair: &mut Pair, client: ConnectionHandle, count: u8) -> Self {
        let mut asker = Self {
            numbers: StreamData::new(),
            replies: BTreeMap::new(),
            outcomes: BTreeMap::new(),
        };
        for number in 0..count {
            let stream = pair.open(Side::Client, client, StreamOptions::two_way(Order::Ordered));
            pair.send(Side::Client, client, stream, &[number; 100]);
            pair.call(Side::Client, |e, now| e.finish(now, client, stream)).unwrap();
            asker.numbers.insert(client, stream, number);
        }
        asker
    }

    fn on_end(&mut self, at: ConnectionHandle, stream: StreamId, outcome: Outcome) {
        let number = self.numbers.get(at, stream).copied().expect("a stream of ours");
        self.outcomes.entry(number).or_default().push(outcome);
    }

    /// Takes what has come back.
    fn take(&mut self, pair: &mut Pair) {
        for event in pair.events(Side::Client) {
            let (connection, stream) = match event {
                Event::Readable { connection, stream } => (connection, stream),
                Event::Lost { connection, .. } | Event::Closed { connection, .. } => {
                    let open: Vec<_> = self
                        .numbers
                        .iter(connection)
                        .map(|(stream, number)| (stream, *number))
                        .collect();
                    for (stream, number) in open {
                        if !self.outcomes.contains_key(&number) {
                            self.on_end(connection, stream, Outcome::Gone);
                        }
                    }
                    continue;
                }
                _ => continue,
            };
            loop {
                let one = pair.call(Side::Client, |e, now| e.receive(now, connection, stream));
                match one {
                    Ok(ReceiveResult::Data(bytes)) => {
                        let before = self.replies.insert(stream, bytes.to_vec());
                        assert_eq!(before, None, "a second answer");
                    }
                    Ok(ReceiveResult::Finished) => {
                        let reply = self.replies.remove(&stream).expect("an answer before the end");
                        self.on_end(connection, stream, Outcome::Reply(reply));
                        break;
                    }
                    Ok(ReceiveResult::Closed(code)) => {
                        self.on_end(connection, stream, Outcome::Missing(code));
                        break;
                    }
                    Ok(ReceiveResult::Nothing) | Err(ReceiveError::UnknownStream) => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}

/// The server: answers one third in reverse order, refuses one third, forgets the rest.
fn serve(pair: &mut Pair) {
    let mut asked = Vec::new();
    for event in pair.events(Side::Server) {
        if let Event::Readable { connection, stream } = event {
            for message in pair.messages(Side::Server, connection, stream) {
                asked.push((connection, stream, message[0]));
            }
        }
    }
    for (connection, stream, number) in asked.into_iter().rev() {
        match fate(number) {
            "answer" => {
                pair.send(Side::Server, connection, stream, &[number; 10]);
                pair.call(Side::Server, |e, now| e.finish(now, connection, stream)).unwrap();
            }
            "refuse" => {
                let code = Code::application(7);
                pair.call(Side::Server, |e, now| e.close_stream(now, connection, stream, code))
                    .unwrap();
            }
            _ => {}
        }
    }
}

/// M04, M07: every request ends in exactly one of a reply, no reply, and the connection's end;
/// overlapping ones, answered in any order on a bad link, each get their own reply.
#[test]
pub(crate) fn m04_m07_every_request_has_one_outcome() {
    const COUNT: u8 = 60;
    let link = LinkConfig::lossy(Chance::percent(10)).delay(Duration::from_millis(10));
    let mut pair = Pair::new(4);
    let (client, _) = pair.connected();
    let mut pair = pair.link(link);
    let mut asker = Asker::ask(&mut pair, client, COUNT);
    for _ in 0..200 {
        pair.run(Duration::from_millis(25));
        serve(&mut pair);
        asker.take(&mut pair);
    }
    let done = asker.outcomes.len();
    assert_eq!(done, usize::from(COUNT) / 3 * 2, "the forgotten ones still wait");
    pair.call(Side::Client, |e, now| {
        e.close(now, client, Duration::ZERO, Code::NONE, "enough of waiting")
    })
    .unwrap();
    asker.take(&mut pair);
    for number in 0..COUNT {
        let expected = match fate(number) {
            "answer" => Outcome::Reply(vec![number; 10]),
            "refuse" => Outcome::Missing(Code::application(7)),
            _ => Outcome::Gone,
        };
        assert_eq!(asker.outcomes.get(&number), Some(&vec![expected]), "request {number}");
    }
}
