//! How front ends begin and end.

use super::ground::{CLIENT, SERVER, Stage};
use super::{Scene, connected, over_pipes};
use futures_lite::future::zip;
use std::sync::Arc;
use std::task::{Context, Waker};
use tripline_calls::{
    Arrived, CallOptions, ClientOptions, ConnectFailure, Executed, NodeConfig, ReconnectPolicy,
    Retry, Router, Status, wait,
};
use tripline_rpc::Scheme;
use tripline_sansio::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// N36: what is in flight when all is to end is finished; what comes after is refused; then nothing
/// comes any more, and whoever serves is done.
#[test]
fn n36_all_ends_in_order() {
    over_pipes(|scene| async move {
        let caller = connected(&scene).await;
        let call = caller.call("last", "");
        let Some(Arrived::Request(request)) = scene.server.next().await else { panic!("no call") };
        let end = scene.server.shut_down(5 * SECOND);
        let finish = async {
            let late = caller.call_with("late", "", CallOptions::within(SECOND / 2)).await;
            assert_eq!(late.unwrap_err().executed(), Executed::No);
            request.reply("done").unwrap();
            assert_eq!(call.await.unwrap(), "done");
        };
        zip(end, finish).await;
        assert!(scene.server.next().await.is_none());
        Router::new().serve(&scene.server).await;
        assert_eq!(scene.server.over().as_deref(), Some("shut down"));
        let text = scene.address.to_string();
        let again = scene.client.connected(&text, ClientOptions::default()).await;
        assert!(matches!(again, Err(ConnectFailure::Ended(_))), "{again:?}");
    });
}

/// A connection ends with the last of its handles, in order, and a node with its own: the other
/// side hears that it was closed.
#[test]
fn all_ends_with_the_last_handle() {
    over_pipes(|scene| async move {
        let Scene { server, client, address } = scene;
        let text = address.to_string();
        let caller = client.connected(&text, ClientOptions::default()).await.unwrap();
        caller.notify("hello", "").unwrap();
        let Some(Arrived::Notice(notice)) = server.next().await else { panic!("no notice") };
        assert_eq!(notice.caller.status(), Status::Open);
        let copy = caller.clone();
        assert!(copy == caller && notice.caller != caller);
        drop(caller);
        assert_eq!(copy.status(), Status::Open);
        drop(copy);
        let why = notice.caller.ended().await;
        assert!(!why.is_empty());
        while client.with(|node, _| node.connections()) > 0 {
            futures_lite::future::yield_now().await;
        }
        // And a node that nobody holds.
        let caller = client.connected(&text, ClientOptions::default()).await.unwrap();
        caller.notify("hello", "").unwrap();
        let Some(Arrived::Notice(notice)) = server.next().await else { panic!("no notice") };
        drop((caller, client));
        notice.caller.ended().await;
    });
}

/// N38: who listens over UDP at the same time hears of its own listener, in any order, and also if
/// one of them does not wait for it any more.
#[test]
fn n38_listening_at_once_is_answered_to_each() {
    let mut stage = Stage::new(Scheme::Tcp, NodeConfig::default());
    let server = stage.calls[SERVER].clone();
    let (good, bad) = ("trip://10.0.0.2:4000", "trip://10.0.0.2:4001");
    let (first, second) = stage.run(zip(server.listen(good), server.listen(bad)));
    assert_eq!(first.unwrap().port, 4_000);
    let Err(ConnectFailure::Ended(why)) = second else { panic!("{second:?}") };
    assert_eq!(why, "no such link can be had: the UDP socket has port 4000 already");
    let (first, second) = stage.run(zip(server.listen(bad), server.listen(good)));
    assert!(first.is_err() && second.is_ok(), "{first:?} {second:?}");
    let both = zip(server.listen(good), server.listen(good));
    assert!(matches!(stage.run(both), (Ok(_), Ok(_))));
    // One that nobody looks at any more, or never does, holds up no other.
    let mut cx = Context::from_waker(Waker::noop());
    let mut forgotten = Box::pin(server.listen(bad));
    assert!(forgotten.as_mut().poll(&mut cx).is_pending());
    drop(forgotten);
    let mut held = Box::pin(server.listen(good));
    assert!(held.as_mut().poll(&mut cx).is_pending());
    stage.run(server.listen("tcp://10.0.0.2:77")).unwrap();
    stage.run(server.listen(good)).unwrap();
    stage.run(held).unwrap();
}

/// N30, M01: an attempt that fails says why, and a listener that cannot be had as well.
#[test]
fn m01_m02_what_does_not_come_about_says_why() {
    over_pipes(|scene| async move {
        if scene.address.scheme == Scheme::Tcp {
            let again = scene.server.listen(&scene.address.to_string()).await;
            assert!(matches!(again, Err(ConnectFailure::Ended(_))), "{again:?}");
        }
        let nobody = scene.client.connected("tcp://127.0.0.1:1", ClientOptions::default()).await;
        let Err(ConnectFailure::Ended(why)) = nobody else { panic!("{nobody:?}") };
        assert!(why.contains("nobody listens there"), "{why}");
        let reconnect = ReconnectPolicy::once();
        let once = ClientOptions { reconnect, ..ClientOptions::default() };
        let caller = scene.client.connect("tcp://127.0.0.1:1", once).unwrap();
        let why = caller.opened().await.unwrap_err();
        assert!(why.to_string().contains("nobody listens there"), "{why}");
        assert!(matches!(caller.status(), Status::Over(_)));
        assert_eq!(caller.call("x", "").await.unwrap_err().executed(), Executed::No);
    });
}

/// N18: a caller lives on when its links break; what was in flight and may be asked again is
/// answered over the next one.
#[test]
fn n18_a_caller_lives_on() {
    let mut stage = Stage::new(Scheme::Tcp, NodeConfig::default());
    let text = stage.address.to_string();
    let client = stage.calls[CLIENT].clone();
    let caller = stage.run(client.connected(&text, ClientOptions::default())).unwrap();
    let again = CallOptions { retry: Retry::Idempotent, ..CallOptions::default() };
    let call = caller.call_with("x", "1", again);
    let server = stage.calls[SERVER].clone();
    let first = stage.run(server.next()).expect("a request");
    let host = stage.hosts[SERVER];
    stage.world.break_links(host);
    let Arrived::Request(request) = first else { panic!("{first:?}") };
    request.reply("there").unwrap();
    assert_eq!(stage.run(call).unwrap(), "there");
    assert_eq!((caller.times_opened(), caller.status()), (2, Status::Open));
}

/// N37: several threads serve one node; each request goes to one of them.
#[test]
fn n37_several_threads_serve_one_node() {
    let config = tripline::Config::public_server(tripline_tests::identity("server"));
    let (server, address) = tripline_std::calls::listen("trip://127.0.0.1:0", config).unwrap();
    let router = Arc::new(Router::new().on_ask("double", |n: u32| Ok(n * 2)));
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let (router, server) = (Arc::clone(&router), server.clone());
            std::thread::spawn(move || wait(router.serve(&server)))
        })
        .collect();
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let text = address.to_string();
            std::thread::spawn(move || {
                let caller = tripline_std::calls::connect(&text).unwrap();
                for n in 0..200_u32 {
                    assert_eq!(caller.ask::<_, u32>("double", &n).wait(), Ok(n * 2));
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    wait(server.shut_down(SECOND));
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}

/// N18, N22, N34: the example `subway`: an hour with forty tunnels, and every ticket is bought
/// once.
#[test]
fn n18_n22_every_ticket_is_bought_once() {
    super::subway::main().expect("it goes well");
}

/// N37: several workers on one port; each client stays with the worker that took it in.
#[test]
fn n37_a_client_stays_with_its_worker() {
    let how = |_| tripline_std::calls::CallsOptions {
        config: Some(tripline::Config::public_server(tripline_tests::identity("server"))),
        ..Default::default()
    };
    let options = tripline_std::ShardOptions { count: 3, ..Default::default() };
    let started = tripline_std::calls::workers("trip://127.0.0.1:0", options, how);
    let (workers, address) = started.expect("three workers");
    let threads: Vec<_> = workers
        .iter()
        .cloned()
        .zip(0_u32..)
        .map(|(worker, number)| {
            let router = Router::new().on_ask("who?", move |(): ()| Ok(number));
            std::thread::spawn(move || wait(router.serve(&worker)))
        })
        .collect();
    let mut met = std::collections::BTreeSet::new();
    for _ in 0..24 {
        let caller = tripline_std::calls::connect(&address.to_string()).unwrap();
        let first = caller.ask::<(), u32>("who?", &()).wait().unwrap();
        for _ in 0..20 {
            assert_eq!(caller.ask::<(), u32>("who?", &()).wait(), Ok(first));
        }
        met.insert(first);
    }
    // 24 clients that all meet one of three are one in three to the 23rd.
    assert!(met.len() > 1, "{met:?}");
    for worker in workers {
        wait(worker.shut_down(SECOND));
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let over = tripline_std::calls::workers("tcp://127.0.0.1:0", options, how);
    assert!(over.unwrap_err().to_string().contains("trip:// alone"));
}

/// Found by review: when whoever drives the node ends, everybody who waits is told: a call that was
/// asked is gone and may have been executed, and nothing waits for ever.
#[test]
fn nobody_waits_for_a_node_that_nobody_drives() {
    let config = tripline::Config::public_server(tripline_tests::identity("server"));
    let (server, address) = tripline_std::calls::listen("tcp://127.0.0.1:0", config).unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let caller = runtime.block_on(tripline_tokio::calls::connect(&address.to_string())).unwrap();
    let call = caller.call("slow", "");
    let Some(Arrived::Request(request)) = wait(server.next()) else { panic!("no call") };
    let asked_back = request.caller().call("and you?", "");
    let Some(Arrived::Request(theirs)) = wait(caller.calls().next()) else { panic!("no call") };
    runtime.shutdown_background();
    let gone = call.wait().unwrap_err();
    assert_eq!(gone.executed(), Executed::Unknown, "{gone}");
    wait(theirs.abandoned());
    assert!(wait(theirs.item("part")).is_err() && theirs.reply("late").is_err());
    assert!(wait(caller.room()).is_err() && caller.notify("x", "").is_err());
    assert!(wait(caller.calls().next()).is_none() && wait(caller.opened()).is_err());
    assert_eq!(caller.call("x", "").wait().unwrap_err().executed(), Executed::No);
    assert!(asked_back.wait().is_err());
}

/// Found by review: who connects while all is to end does not hold that up, and what is said twice
/// can only be sooner.
#[test]
fn an_end_is_not_held_up_by_who_connects() {
    let mut stage = Stage::new(Scheme::Tcp, NodeConfig::default());
    let client = stage.calls[CLIENT].clone();
    let text = stage.address.to_string();
    let caller = stage.run(client.connected(&text, ClientOptions::default())).unwrap();
    let call = caller.call("slow", "");
    let server = stage.calls[SERVER].clone();
    let request = stage.run(server.next());
    let begun = stage.world.now();
    client.with(|node, now| node.shut_down(now, 3_600 * SECOND));
    let late = client.connect("tcp://10.0.0.9:1", ClientOptions::default()).unwrap();
    assert!(stage.run(late.opened()).unwrap_err().to_string().contains("shutting down"));
    stage.run(client.shut_down(SECOND));
    assert!(stage.world.now() - begun <= 2 * SECOND);
    assert!(stage.run(call).is_err());
    drop(request);
}

/// Found by review: a client that is lost may come back, and is not over until its time is up.
#[test]
fn a_client_that_is_lost_is_away() {
    let mut stage = Stage::new(Scheme::Trip, NodeConfig::default());
    let (client, server) = (stage.calls[CLIENT].clone(), stage.calls[SERVER].clone());
    let text = stage.address.to_string();
    let caller = stage.run(client.connected(&text, ClientOptions::default())).unwrap();
    caller.notify("hello", "").unwrap();
    let Some(Arrived::Notice(notice)) = stage.run(server.next()) else { panic!("no notice") };
    let [phone, tower] = stage.hosts;
    for (from, to) in [(phone, tower), (tower, phone)] {
        stage.world.world().cut(from, to);
    }
    while !matches!(notice.caller.status(), Status::Away(_)) {
        stage.run(futures_lite::future::yield_now());
        let end = stage.world.now() + SECOND;
        stage.world.step_until(end);
    }
    for (from, to) in [(phone, tower), (tower, phone)] {
        stage.world.world().heal(from, to);
    }
    stage.run(notice.caller.opened()).expect("it is back");
}

/// Found by review: the thread of a node ends with the last handle, over TRiP too, where the end
/// takes a while.
#[test]
fn the_thread_of_a_node_ends_with_it() {
    let threads = || {
        let tasks = std::fs::read_dir("/proc/self/task").expect("Linux").filter_map(Result::ok);
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|name| name.trim() == "tripline-calls").count()
    };
    for scheme in ["trip", "tcp", "udp"] {
        let config = tripline::Config::public_server(tripline_tests::identity("server"));
        let place = format!("{scheme}://127.0.0.1:0");
        let (server, address) = tripline_std::calls::listen(&place, config).unwrap();
        let callers: Vec<_> =
            (0..3).map(|_| tripline_std::calls::connect(&address.to_string()).unwrap()).collect();
        assert_eq!(threads(), 4);
        drop(callers);
        drop(server);
        while threads() > 0 {
            std::thread::yield_now();
        }
    }
}
