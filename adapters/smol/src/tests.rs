//! Over loopback, and what only smol has.

use crate::*;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use tripline::{Order, SecretKey, StreamOptions};

#[path = "../../futures/src/tests/loopback.rs"]
mod loopback;

#[path = "../../futures/src/tests/links.rs"]
mod links;

fn runtime() -> Smol {
    Smol::new()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    async_io::block_on(future)
}

fn key() -> SecretKey {
    SecretKey::from_bytes([1; 32])
}

/// Bytes by the traits of futures-io, more than all buffers and credit together hold; on an
/// executor of the user's own.
#[test]
fn a_byte_stream_copies_like_a_file() {
    let executor = Arc::new(Executor::new());
    let ours = Smol::on(Arc::clone(&executor));
    block_on(executor.run(async {
        let address = "127.0.0.1:0".parse().expect("an address");
        let config = Config::public_server(key());
        let listener = Endpoint::listen(&ours, address, config, ListenOptions::default());
        let listener = listener.expect("a listener");
        let target = listener.local_addr();
        let reader = executor.spawn(async move {
            let connection = listener.accept().await.expect("a client");
            let (_, mut stream) = connection.accept_stream().await.expect("a stream").split();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.expect("all of it");
            connection.wait_closed().await.expect("an orderly end");
            all
        });
        let sent: Vec<u8> = (0..8_000_000_u32).map(|number| (number % 251) as u8).collect();
        let client = Endpoint::client(&ours, Config::client()).expect("a client");
        let options = tripline::ConnectOptions::to(key().public_key());
        let connection = client.connect(target, options).await.expect("connected");
        let stream = connection.open(StreamOptions::one_way(Order::Bytes)).await;
        let mut stream = stream.expect("a stream");
        stream.write_all(&sent).await.expect("taken");
        stream.close().await.expect("finished");
        connection.close(Duration::from_secs(20)).await.expect("all delivered");
        assert!(reader.await == sent);
    }));
}

/// A task of the user's that panics on our thread takes no endpoint with it.
#[test]
fn a_panic_stays_with_its_task() {
    let (told, heard) = std::sync::mpsc::channel::<()>();
    let panics = async move {
        let _ends_with_the_task = told;
        panic!("a panic, on purpose");
    };
    runtime().spawn(panics).expect("a thread");
    assert!(heard.recv().is_err(), "the task has ended");
    let answer = block_on(async {
        let listener = listen("127.0.0.1:0", Config::public_server(key())).expect("a listener");
        connect(&listener.address()).await.map(drop)
    });
    answer.expect("connected all the same");
}

/// T18: the timer neither fires early nor again, and a deadline that moves is the new one alone.
#[test]
fn t18_the_timer_keeps_to_its_deadline() {
    block_on(async {
        let mut timer = runtime().timer();
        let begin = timer.now();
        let far = begin + Duration::from_secs(600);
        let near = begin + Duration::from_millis(20);
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
        assert!(timer.now() >= near, "early");
        assert!(polls <= 3, "{polls} polls");
    });
}
