//! Over loopback, and what only tokio has.

use crate::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tripline::{Order, SecretKey, StreamOptions};

#[path = "../../futures/src/tests/loopback.rs"]
mod loopback;

#[path = "../../futures/src/tests/links.rs"]
mod links;

fn runtime() -> Tokio {
    Tokio::new()
}

/// On the runtime that `#[tokio::main]` makes, with two workers.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("a runtime").block_on(future)
}

fn server() -> Endpoint {
    let key = SecretKey::from_bytes([1; 32]);
    listen("127.0.0.1:0", Config::public_server(key)).expect("a listener")
}

/// Bytes by tokio's own traits, more than all buffers and credit together hold.
#[test]
fn a_byte_stream_copies_like_a_file() {
    block_on(async {
        let listener = server();
        let address = listener.address();
        let reader = tokio::spawn(async move {
            let connection = listener.accept().await.expect("a client");
            let (_, mut stream) = connection.accept_stream().await.expect("a stream").split();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.expect("all of it");
            connection.wait_closed().await.expect("an orderly end");
            all
        });
        let sent: Vec<u8> = (0..8_000_000_u32).map(|number| (number % 251) as u8).collect();
        let connection = connect(&address).await.expect("connected");
        let stream = connection.open(StreamOptions::one_way(Order::Bytes)).await;
        let mut stream = stream.expect("a stream");
        stream.write_all(&sent).await.expect("taken");
        stream.shutdown().await.expect("finished");
        connection.close(Duration::from_secs(20)).await.expect("all delivered");
        assert!(reader.await.expect("the reader") == sent);
        let messages = connection.open(StreamOptions::one_way(Order::Ordered)).await;
        assert!(messages.is_err(), "it is over");
    });
}

/// Tasks on several threads share a client; each has a connection of its own.
#[test]
fn tasks_share_a_client() {
    block_on(async {
        let listener = server();
        let target = listener.local_addr();
        let key = SecretKey::from_bytes([1; 32]).public_key();
        let server = tokio::spawn(async move {
            for _ in 0..8 {
                let connection = listener.accept().await.expect("a client");
                tokio::spawn(async move {
                    while let Ok(stream) = connection.accept_stream().await {
                        let (send, receive) = stream.split();
                        while let Ok(Some(message)) = receive.receive().await {
                            send.send(message).await.expect("taken");
                        }
                    }
                });
            }
        });
        let client = Endpoint::client(&runtime(), Config::client()).expect("a client");
        let client = std::sync::Arc::new(client);
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let client = std::sync::Arc::clone(&client);
                tokio::spawn(async move {
                    let options = tripline::ConnectOptions::to(key);
                    let connection = client.connect(target, options).await.expect("connected");
                    let stream = connection.open(StreamOptions::two_way(Order::Unordered)).await;
                    let stream = stream.expect("a stream");
                    for number in 0..200_u32 {
                        stream.send(number.to_be_bytes().to_vec()).await.expect("taken");
                    }
                    stream.finish();
                    let mut numbers = Vec::new();
                    while let Some(message) = stream.receive().await.expect("alive") {
                        numbers.push(u32::from_be_bytes(message[..].try_into().expect("4 bytes")));
                    }
                    numbers.sort_unstable();
                    assert!(numbers.into_iter().eq(0..200));
                    connection.close(Duration::from_secs(20)).await.expect("an orderly end");
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
        server.await.expect("no panic");
    });
}

/// Outside of a runtime there is an error that says so, and no panic.
#[test]
fn without_a_runtime_there_is_an_error() {
    let key = SecretKey::from_bytes([1; 32]);
    let refused = listen("127.0.0.1:0", Config::public_server(key));
    assert!(matches!(refused, Err(Error::Io(_))), "{refused:?}");
}

/// T18: the timer neither fires early nor again, and a deadline that moves is the new one alone.
/// Time is tokio's paused clock, so all of it is exact.
#[test]
fn t18_the_timer_keeps_to_its_deadline() {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let alone = builder.enable_all().start_paused(true).build().expect("a runtime");
    alone.block_on(async {
        let mut timer = runtime().timer();
        let begin = timer.now();
        let far = begin + Duration::from_secs(60);
        let near = begin + Duration::from_secs(30);
        let mut polls = 0;
        std::future::poll_fn(|cx| {
            polls += 1;
            if polls == 1 {
                assert!(timer.poll_until(cx, Some(far)).is_pending());
                assert!(timer.poll_until(cx, None).is_pending());
            }
            timer.poll_until(cx, Some(near))
        })
        .await;
        let late = timer.now() - near;
        assert!(late < Duration::from_millis(2), "{late:?} late");
        assert!(polls <= 3, "{polls} polls");
    });
}
