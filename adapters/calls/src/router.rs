//! Handlers by name.

use crate::caller::Caller;
use crate::calls::Calls;
use crate::format::{Format, Postcard};
use crate::request::{Arrived, Failure, Notice, Request};
use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Poll, ready};
use tripline_rpc::{Handlers, MethodRef, Refusal, Scope, Via};

type Pinned = Pin<Box<dyn Future<Output = ()> + Send>>;

enum Handler {
    /// Runs where the router runs.
    Here(Box<dyn Fn(Request) + Send + Sync>),
    /// Runs beside the others.
    Aside(Box<dyn Fn(Request) -> Pinned + Send + Sync>),
}

type NoticeHandler = Box<dyn Fn(Notice) + Send + Sync>;

/// What is done for which method. Made once, it serves any number of threads and nodes.
///
/// ```
/// use tripline_calls::{Failure, Router};
///
/// let router = Router::new()
///     .on("echo", |request| drop(request.payload().clone()))
///     .on_ask("divide", |(a, b): (i64, i64)| {
///         a.checked_div(b).ok_or_else(|| Failure::new(1, "not by zero"))
///     });
/// assert_eq!(format!("{router:?}"), r#"Router({"divide", "echo"})"#);
/// ```
pub struct Router {
    handlers: Handlers<Handler>,
    notices: Handlers<NoticeHandler>,
    others: Option<Handler>,
    /// For whom the next handlers are.
    scope: Scope,
    /// Some are not for all: then it counts how a client has come in.
    is_scoped: bool,
    /// What people are shown.
    names: BTreeSet<String>,
}

impl Default for Router {
    fn default() -> Self {
        Self {
            handlers: Handlers::default(),
            notices: Handlers::default(),
            others: None,
            scope: Scope::All,
            is_scoped: false,
            names: BTreeSet::new(),
        }
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Router").field(&self.names).finish()
    }
}

impl Router {
    /// Without handlers: every request is refused, as nobody has such a method (row N05).
    pub fn new() -> Self {
        Self::default()
    }

    /// The handlers that follow are for these connections alone (rows N10, N38): those that came by
    /// a listener of TCP, TLS or UDP, those that named a route over TRiP, or one. The nearest
    /// counts.
    #[must_use]
    pub fn within(mut self, scope: Scope) -> Self {
        self.is_scoped |= scope != Scope::All;
        self.scope = scope;
        self
    }

    fn add(mut self, method: MethodRef<'_>, handler: Handler) -> Self {
        self.names.insert(method.to_method().to_string());
        self.handlers.on(self.scope.clone(), method, handler);
        self
    }

    /// Requests for this method go to this handler, which answers each now or later, from wherever
    /// it takes it. It runs on the thread that [serves](Self::serve), so it should not wait there.
    #[must_use]
    pub fn on<'a>(
        self,
        method: impl Into<MethodRef<'a>>,
        handler: impl Fn(Request) + Send + Sync + 'static,
    ) -> Self {
        self.add(method.into(), Handler::Here(Box::new(handler)))
    }

    /// The same with a handler that waits: any number of them run beside each other, where the
    /// router serves.
    #[must_use]
    pub fn on_async<'a, Fut>(
        self,
        method: impl Into<MethodRef<'a>>,
        handler: impl Fn(Request) -> Fut + Send + Sync + 'static,
    ) -> Self
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        let handler = move |request| -> Pinned { Box::pin(handler(request)) };
        self.add(method.into(), Handler::Aside(Box::new(handler)))
    }

    /// A handler from value to value, both in postcard. What cannot be read is refused.
    #[must_use]
    pub fn on_ask<'a, Req: DeserializeOwned, Rep: Serialize>(
        self,
        method: impl Into<MethodRef<'a>>,
        handler: impl Fn(Req) -> Result<Rep, Failure> + Send + Sync + 'static,
    ) -> Self {
        self.on_ask_as::<Postcard, _, _>(method, handler)
    }

    /// The same in any format: `router.on_ask_as::<Json, _, _>(…)`.
    #[must_use]
    pub fn on_ask_as<'a, F: Format, Req: DeserializeOwned, Rep: Serialize>(
        self,
        method: impl Into<MethodRef<'a>>,
        handler: impl Fn(Req) -> Result<Rep, Failure> + Send + Sync + 'static,
    ) -> Self {
        self.on(method, move |request| {
            let answer = F::read(request.payload())
                .map_err(Failure::from)
                .and_then(&handler)
                .and_then(|answer| {
                    // Executed it was: no refusal would say so.
                    F::write(&answer).map_err(|error| Failure::new(i32::MIN, error.to_string()))
                });
            // Nobody may wait any more.
            let _ = request.end(answer.map(Bytes::from));
        })
    }

    /// Notifications of this method go to this handler; those of no handler are dropped.
    #[must_use]
    pub fn on_notice<'a>(
        mut self,
        method: impl Into<MethodRef<'a>>,
        handler: impl Fn(Notice) + Send + Sync + 'static,
    ) -> Self {
        let method = method.into();
        self.names.insert(method.to_method().to_string());
        self.notices.on(self.scope.clone(), method, Box::new(handler));
        self
    }

    /// Requests for methods that have no handler go to this one, instead of being refused.
    #[must_use]
    pub fn otherwise(mut self, handler: impl Fn(Request) + Send + Sync + 'static) -> Self {
        self.others = Some(Handler::Here(Box::new(handler)));
        self
    }

    /// Serves until all is over. Several threads may serve one node at once, each with this:
    /// `wait(router.serve(&calls))`; a request goes to one of them (row N37).
    ///
    /// Cancel-safe: handlers that were waiting are dropped with it, and their callers hear that
    /// there is no answer.
    pub async fn serve(&self, calls: &Calls) {
        // Handlers that wait.
        let mut waiting: FuturesUnordered<Pinned> = FuturesUnordered::new();
        loop {
            let mut next = pin!(calls.next());
            let arrived = poll_fn(|cx| {
                while let Poll::Ready(Some(())) = Pin::new(&mut waiting).poll_next(cx) {}
                next.as_mut().poll(cx)
            });
            match arrived.await {
                None => break,
                Some(Arrived::Request(request)) => waiting.extend(self.handle(request)),
                Some(Arrived::Notice(notice)) => {
                    let via = self.via(&notice.caller);
                    let conn = notice.caller.id();
                    if let Some(handler) = self.notices.find(conn, &via, &notice.method) {
                        handler(notice);
                    }
                }
            }
        }
        poll_fn(|cx| {
            while ready!(Pin::new(&mut waiting).poll_next(cx)).is_some() {}
            Poll::Ready(())
        })
        .await;
    }

    /// How a client has come in, if that counts.
    fn via(&self, caller: &Caller) -> Via {
        if self.is_scoped { caller.via() } else { Via::default() }
    }

    /// What is left to be waited for.
    fn handle(&self, request: Request) -> Option<Pinned> {
        let (conn, via) = (request.caller().id(), self.via(request.caller()));
        let found = self.handlers.find(conn, &via, request.method());
        match found.or(self.others.as_ref()) {
            Some(Handler::Here(handler)) => handler(request),
            Some(Handler::Aside(handler)) => return Some(handler(request)),
            None => {
                let text = format!("{} is not served here", request.method());
                // Nobody may wait any more.
                let _ = request.refuse(Refusal::NoMethod, text);
            }
        }
        None
    }
}
