//! What callers and services have to do, on every loop and over every scheme.

use super::{connected, everywhere, over_pipes};
use bytes::Bytes;
use futures_lite::future::{or, zip};
use serde::{Deserialize, Serialize};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tower_service::Service;
use tripline_calls::{
    Arrived, Asked, CallError, CallOptions, Caller, Calls, ClientOptions, ConnectFailure, Executed,
    Failure, Json, Method, NotifyOptions, Request, Router, Scope, Status, Wait, serve_tower,
};
use tripline_rpc::{AnswerError, AskError, Outcome};
use tripline_sansio::Duration;

const SECOND: Duration = Duration::from_secs(1);

async fn request(calls: &Calls) -> Request {
    match calls.next().await {
        Some(Arrived::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

/// Serves until the scene is over.
async fn beside<T>(router: &Router, calls: &Calls, act: impl Future<Output = T>) -> T {
    let serve = async {
        router.serve(calls).await;
        panic!("it serves no longer")
    };
    or(act, serve).await
}

/// M22, N02, N03, N05: by the same program over everything: an answer, the application's *no*, and
/// a method that nobody has.
#[test]
fn n02_n03_n05_a_call_is_answered_by_its_handler() {
    everywhere(|scene| async move {
        let router = Router::new()
            .on("echo", |request| {
                let payload = request.payload().clone();
                request.reply(payload).unwrap();
            })
            .on("no", |request| request.fail(-3, "never").unwrap());
        let caller = connected(&scene).await;
        let calls = async {
            assert_eq!(caller.call("echo", "hello").await.unwrap(), "hello");
            let no = caller.call("no", "").await.unwrap_err();
            assert_eq!((no.code(), no.executed()), (Some(-3), Executed::Yes));
            assert_eq!(no.to_string(), "the peer failed with code -3: never");
            let nobody = caller.call("what", "").await.unwrap_err();
            assert_eq!(nobody.executed(), Executed::No);
            let text = "the peer has no such method; not executed: what is not served here";
            assert_eq!(nobody.to_string(), text);
            // Many at once, answered each to its own.
            let many: Vec<_> = (0..200_u32).map(|n| caller.call("echo", n.to_string())).collect();
            for (n, call) in many.into_iter().enumerate() {
                assert_eq!(call.await.unwrap(), n.to_string());
            }
        };
        beside(&router, &scene.server, calls).await;
    });
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    what: String,
    count: u32,
}

/// Values in and out, in postcard and JSON; what does not fit its type is said to be so, and the
/// handler has not run.
#[test]
fn values_are_asked_and_answered() {
    everywhere(|scene| async move {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let router = Router::new()
            .on_ask("price", move |order: Order| {
                count.fetch_add(1, Ordering::Relaxed);
                match order.count {
                    0 => Err(Failure::new(4, "nothing")),
                    count => Ok(u64::from(count) * 3),
                }
            })
            .on_ask_as::<Json, _, _>("same", |order: Order| Ok(order));
        let caller = connected(&scene).await;
        let calls = async {
            let order = |count| Order { what: "sword".into(), count };
            assert_eq!(caller.ask::<_, u64>("price", &order(7)).await, Ok(21));
            let none = caller.ask::<_, u64>("price", &order(0)).await.unwrap_err();
            assert_eq!(none.code(), Some(4));
            let same = caller.ask_with::<Json, _, Order>("same", &order(1), CallOptions::default());
            assert_eq!(same.await, Ok(order(1)));
            // The server cannot read what was asked, the client not what was answered.
            let odd = caller.ask::<_, u64>("price", "x").await.unwrap_err();
            assert_eq!(odd.executed(), Executed::No);
            assert!(odd.to_string().contains("cannot be read as postcard"), "{odd}");
            let odd = caller.ask::<_, (String, String)>("price", &order(7)).await.unwrap_err();
            assert!(matches!(odd, CallError::Format(_)), "{odd}");
            assert_eq!(made.load(Ordering::Relaxed), 3);
        };
        beside(&router, &scene.server, calls).await;
    });
}

/// M08, N40: who is asked asks back, by the request's own caller.
#[test]
fn m08_who_is_asked_asks_back() {
    everywhere(|scene| async move {
        let caller = connected(&scene).await;
        let asked = async {
            let call = caller.call("who is there?", "");
            let asked_back = async {
                let request = request(&scene.client).await;
                request.reply("ada").unwrap();
            };
            zip(call, asked_back).await.0.unwrap()
        };
        let answered = async {
            let request = request(&scene.server).await;
            let name = request.caller().call("and you?", "").await.unwrap();
            request.reply([b"hello, ".as_slice(), &name].concat()).unwrap();
        };
        let (answer, ()) = zip(asked, answered).await;
        assert_eq!(answer, "hello, ada");
    });
}

/// A call that is dropped is called off, and its handler hears of it.
#[test]
fn a_call_that_is_dropped_is_called_off() {
    over_pipes(|scene| async move {
        let caller = connected(&scene).await;
        let call = caller.call("slow", "");
        let open = request(&scene.server).await;
        assert!(open.is_waiting());
        drop(call);
        open.abandoned().await;
        assert!(!open.is_waiting());
        assert_eq!(open.reply("late"), Err(AnswerError::Unknown));
        // It goes on.
        let (answer, ()) = zip(caller.call("next", ""), async {
            request(&scene.server).await.reply("here").unwrap();
        })
        .await;
        assert_eq!(answer.unwrap(), "here");
    });
}

/// A request that is dropped is refused, so that nobody waits for nothing.
#[test]
fn a_request_that_is_dropped_is_refused() {
    everywhere(|scene| async move {
        let caller = connected(&scene).await;
        let (end, ()) = zip(caller.call("x", ""), async {
            drop(request(&scene.server).await);
        })
        .await;
        let text = "the peer's handler ended without an answer; unknown whether executed";
        assert_eq!(end.unwrap_err().to_string(), text);
    });
}

/// N02: a deadline travels; the handler sees how long its caller waits, and the caller how it
/// ended.
#[test]
fn n02_a_deadline_travels() {
    everywhere(|scene| async move {
        let caller = connected(&scene).await;
        let options = CallOptions::within(SECOND / 5);
        let call = caller.call_with("slow", "", options);
        let open = request(&scene.server).await;
        let left = open.time_left().expect("a deadline");
        assert!(left <= SECOND / 5, "{left:?}");
        let (end, ()) = zip(call, open.abandoned()).await;
        match end.unwrap_err() {
            CallError::Failed(failure) => {
                assert!(matches!(failure.outcome(), Outcome::Deadline { .. }), "{failure}");
            }
            other => panic!("{other}"),
        }
        let forever = CallOptions { deadline: Wait::Forever, ..CallOptions::default() };
        let call = caller.call_with("slow", "", forever);
        assert_eq!(request(&scene.server).await.time_left(), None);
        drop(call);
    });
}

/// R-CALL-7: the parts of a long answer come as fast as they are taken, all and in order, and then
/// the answer.
#[test]
fn a_streaming_reply_is_a_stream() {
    over_pipes(|scene| async move {
        let caller = connected(&scene).await;
        let parts = 500_u32;
        let asked = async {
            let mut items = caller.items("list", "", CallOptions::default());
            let mut count = 0_u32;
            while let Some(item) = items.next().await {
                assert_eq!((item.len(), &item[..4]), (4_000, &count.to_be_bytes()[..]));
                count += 1;
            }
            assert_eq!((count, items.end().await.unwrap()), (parts, Bytes::from("all")));
            // Who wants no parts has the answer all the same.
            assert_eq!(caller.call("list", "").await.unwrap(), "all");
            // And who has enough of them.
            let mut some = caller.items("list", "", CallOptions::default());
            assert!(some.next().await.is_some());
            assert_eq!(some.end().await.unwrap(), "all");
        };
        let answered = async {
            for _ in 0..3 {
                let open = request(&scene.server).await;
                for n in 0..parts {
                    let mut part = vec![0; 4_000];
                    part[..4].copy_from_slice(&n.to_be_bytes());
                    open.item(part).await.unwrap();
                }
                open.reply("all").unwrap();
            }
        };
        zip(asked, answered).await;
        assert!(scene.client.stats().dropped_items >= u64::from(parts));
    });
}

/// R-CALL-9: more than may wait at once is asked all the same: the calls wait for room.
#[test]
fn calls_wait_for_room() {
    over_pipes(|scene| async move {
        let caller = connected(&scene).await;
        let router = Router::new().on("len", |request| {
            let len = request.payload().len().to_string();
            request.reply(len).unwrap();
        });
        let calls = async {
            let large = Bytes::from(vec![7; 100_000]);
            let many: Vec<_> = (0..40).map(|_| caller.call("len", large.clone())).collect();
            for call in many {
                assert_eq!(call.await.unwrap(), "100000");
            }
            // What wants no answer says that there is no room, and when there is again.
            let mut said = 0;
            while caller.notify("log", large.clone()).is_ok() {
                said += 1;
            }
            assert!((10..100).contains(&said), "{said}");
            caller.room().await.unwrap();
            caller.notify("log", large.clone()).unwrap();
        };
        beside(&router, &scene.server, calls).await;
    });
}

/// One message to many: all have it, and it was written once.
#[test]
fn one_message_goes_to_many() {
    over_pipes(|scene| async move {
        let mut callers = Vec::new();
        for _ in 0..5 {
            callers.push(connected(&scene).await);
        }
        let mut members = Vec::new();
        for caller in &callers {
            caller.notify("join", "").unwrap();
            match scene.server.next().await {
                Some(Arrived::Notice(notice)) => members.push(notice.caller),
                other => panic!("{other:?}"),
            }
        }
        let told = scene.server.notify_all(&members, "say", "hello", NotifyOptions::default());
        assert_eq!(told, 5);
        for _ in 0..5 {
            match scene.client.next().await {
                Some(Arrived::Notice(notice)) => {
                    assert_eq!(
                        (notice.method, &notice.payload[..]),
                        (Method::Name("say".into()), &b"hello"[..])
                    );
                }
                other => panic!("{other:?}"),
            }
        }
    });
}

/// N26: the node is at hand, on any thread; a handle that is called there is a mistake that is
/// told, one that is dropped is not.
#[test]
fn n26_the_node_is_at_hand() {
    over_pipes(|scene| async move {
        let caller = connected(&scene).await;
        let call = caller.call("x", "");
        let calls = scene.client.with(|node, _| {
            drop(call);
            node.peer(caller.id()).expect("it lives").calls()
        });
        assert_eq!(calls, 1);
        assert_eq!(scene.client.with(|node, _| node.peer(caller.id()).unwrap().calls()), 0);
        let inside = std::panic::AssertUnwindSafe(|| scene.client.with(|_, _| caller.status()));
        let panic = std::panic::catch_unwind(inside).expect_err("it would wait for itself");
        let text = panic.downcast_ref::<String>().expect("a text");
        assert_eq!(*text, "a call of a handle from within `Calls::with`");
        assert_eq!(caller.status(), Status::Open);
    });
}

/// tower on both sides: the caller is a service, and a service serves.
#[test]
fn tower_on_both_sides() {
    #[derive(Clone)]
    struct Shout;
    impl Service<Asked> for Shout {
        type Response = Bytes;
        type Error = Failure;
        type Future = std::future::Ready<Result<Bytes, Failure>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Failure>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, asked: Asked) -> Self::Future {
            assert!(asked.caller.is_some() && asked.time_left.is_some());
            std::future::ready(match asked.payload.is_empty() {
                true => Err(Failure::denied("say something")),
                false => Ok(asked.payload.to_ascii_uppercase().into()),
            })
        }
    }
    everywhere(|scene| async move {
        let mut caller = connected(&scene).await;
        let calls = async {
            let method = Method::Name("shout".into());
            for (text, wanted) in [("hello", Ok("HELLO")), ("", Err("say something"))] {
                poll_fn(|cx| caller.poll_ready(cx)).await.unwrap();
                let answer = Service::call(&mut caller, Asked::new(method.clone(), text)).await;
                match (answer, wanted) {
                    (Ok(answer), Ok(wanted)) => assert_eq!(answer, wanted),
                    (Err(error), Err(wanted)) => assert!(error.to_string().contains(wanted)),
                    other => panic!("{other:?}"),
                }
            }
        };
        let serve = async {
            serve_tower(&scene.server, Shout).await.unwrap();
            panic!("it serves no longer")
        };
        or(calls, serve).await;
    });
}

/// Handlers that wait run beside each other.
#[test]
fn handlers_that_wait_run_beside_each_other() {
    everywhere(|scene| async move {
        let caller = connected(&scene).await;
        let router = Router::new().on_async("ask back", |request| async move {
            let answer = request.caller().call("what?", "").await.unwrap();
            request.reply(answer).unwrap();
        });
        let calls = async {
            let many: Vec<_> = (0..10).map(|_| caller.call("ask back", "")).collect();
            // All ten have asked back before one of them is answered.
            let mut open = Vec::new();
            for _ in 0..10 {
                open.push(request(&scene.client).await);
            }
            for (n, request) in open.into_iter().enumerate() {
                request.reply(n.to_string()).unwrap();
            }
            for (n, call) in many.into_iter().enumerate() {
                assert_eq!(call.await.unwrap(), n.to_string());
            }
        };
        beside(&router, &scene.server, calls).await;
    });
}

/// N58, N28, N13: handles go anywhere, which the compiler knows.
#[test]
fn n28_handles_go_anywhere() {
    fn anywhere<T: Send + Sync + 'static>() {}
    fn any_thread<T: Send + 'static>() {}
    anywhere::<Calls>();
    anywhere::<Caller>();
    anywhere::<Router>();
    anywhere::<Request>();
    any_thread::<tripline_calls::Call>();
    any_thread::<tripline_calls::Driven>();
}

/// What cannot be asked is said before anything is sent.
#[test]
fn what_cannot_be_asked_is_said_at_once() {
    everywhere(|scene| async move {
        let caller = connected(&scene).await;
        let unnamed = caller.call("", "").await;
        assert_eq!(unnamed, Err(CallError::NotTaken(AskError::BadName)));
        let long = caller.call("x", vec![0; 10 << 20]).await.unwrap_err();
        assert_eq!(long.executed(), Executed::No, "{long}");
        for wrong in ["nonsense", "ftp://a:1", "tcp://a"] {
            let refused = scene.client.connect(wrong, ClientOptions::default());
            assert!(matches!(refused, Err(ConnectFailure::Address(_))), "{wrong}");
        }
        let named = scene.server.listen("tcp://example.org:1").await;
        assert_eq!(named, Err(ConnectFailure::Name));
    });
}

/// Found by review: a call that waits for room has its deadline all the same, and is surely not
/// executed when that is over.
#[test]
fn a_call_that_waits_for_room_has_its_deadline() {
    over_pipes(|scene| async move {
        let nobody = scene.client.connect("tcp://127.0.0.1:1", ClientOptions::default()).unwrap();
        let large = Bytes::from(vec![7; 100_000]);
        while nobody.notify("log", large.clone()).is_ok() {}
        let late = nobody.call_with("x", "", CallOptions::within(SECOND / 10)).await.unwrap_err();
        assert_eq!(late.executed(), Executed::No, "{late}");
        assert!(late.to_string().starts_with("no answer in time"), "{late}");
        // Its parts are not waited for, though it was asked for them.
        let items = nobody.items("x", "", CallOptions::within(SECOND / 10));
        assert!(items.end().await.unwrap_err().to_string().starts_with("no answer in time"));
    });
}

/// Found by review: whoever serves nobody's requests does not hoard them: what one connection may
/// have waiting is bounded, and a request that nobody waits for any more is not handed out.
#[test]
fn what_nobody_takes_is_bounded() {
    over_pipes(|scene| async move {
        let caller = connected(&scene).await;
        let gone = caller.call("never mind", "");
        let large = Bytes::from(vec![7; 200_000]);
        for _ in 0..200 {
            caller.room().await.unwrap();
            caller.notify("log", large.clone()).unwrap();
        }
        drop(gone);
        // Refused, as too much waits; it is heard behind all of that.
        let refused = caller.call("x", large.clone()).await.unwrap_err();
        assert_eq!(refused.executed(), Executed::No, "{refused}");
        let stats = scene.server.stats();
        assert!(stats.dropped_notifications > 100 && stats.overflowed_requests == 1, "{stats:?}");
        let mut taken = 0;
        while let Some(Arrived::Notice(notice)) = scene.server.try_next() {
            assert_eq!(notice.payload.len(), large.len());
            taken += 1;
        }
        assert_eq!(taken + stats.dropped_notifications, 200);
    });
}

/// N10, N38: handlers are for all, for those who came by a listener, or for those who named a
/// route; the nearest counts.
#[test]
fn n10_n38_every_way_in_has_its_handlers() {
    over_pipes(|scene| async move {
        let router = Router::new()
            .on_ask("who?", |(): ()| Ok("anybody"))
            .within(Scope::Route(b"admin".to_vec()))
            .on_ask("who?", |(): ()| Ok("an admin"));
        let by_route = scene.address.key.is_some();
        let calls = async {
            for route in ["", "admin"] {
                let trip = tripline::ConnectOptions { route: route.into(), ..Default::default() };
                let options = ClientOptions { trip, ..ClientOptions::default() };
                let text = scene.address.to_string();
                let caller = scene.client.connected(&text, options).await.unwrap();
                let who = caller.ask::<(), String>("who?", &()).await.unwrap();
                let is_admin = by_route && route == "admin";
                assert_eq!(who, if is_admin { "an admin" } else { "anybody" });
            }
        };
        beside(&router, &scene.server, calls).await;
    });
}
