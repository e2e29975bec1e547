//! tower on both sides: a [`Caller`] is a service, and a service serves calls.

use crate::call::Call;
use crate::caller::Caller;
use crate::calls::Calls;
use crate::error::CallError;
use crate::request::{Arrived, Failure, Request};
use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream::FuturesUnordered;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tower_service::Service;
use tripline_rpc::{CallOptions, Method};
use tripline_sansio::Duration;

/// What is asked, as services see it: on the way out and on the way in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Asked {
    /// What for.
    pub method: Method,
    /// With what.
    pub payload: Bytes,
    /// How: on the way out.
    pub options: CallOptions,
    /// Who asks: on the way in.
    pub caller: Option<Caller>,
    /// How long the caller still waits: on the way in.
    pub time_left: Option<Duration>,
}

impl Asked {
    /// On the way out.
    pub fn new(method: Method, payload: impl Into<Bytes>) -> Self {
        let (payload, options) = (payload.into(), CallOptions::default());
        Self { method, payload, options, caller: None, time_left: None }
    }
}

impl Service<Asked> for Caller {
    type Response = Bytes;
    type Error = CallError;
    type Future = Call;

    /// Always: a call that finds no room waits for it.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, asked: Asked) -> Call {
        self.call_with(&asked.method, asked.payload, asked.options)
    }
}

/// Serves by a service until all is over, any number of requests beside each other. A request is
/// taken when the service is ready for it; notifications are dropped.
///
/// Cancel-safe: requests that were being served are dropped with it, and refused.
///
/// # Errors
/// That of the service, if it will not be ready any more.
pub async fn serve_tower<S>(calls: &Calls, mut service: S) -> Result<(), S::Error>
where
    S: Service<Asked, Response = Bytes>,
    S::Future: Future<Output = Result<Bytes, S::Error>>,
    S::Error: Into<Failure>,
{
    // Requests that are being served.
    let mut serving = FuturesUnordered::new();
    while let Some(request) = next_request(calls, &mut service, &mut serving).await? {
        let answer = service.call(asked(&request));
        serving.push(async move {
            // Nobody may wait any more.
            let _ = request.end(answer.await.map_err(Into::into));
        });
    }
    poll_fn(|cx| {
        while ready!(Pin::new(&mut serving).poll_next(cx)).is_some() {}
        Poll::Ready(())
    })
    .await;
    Ok(())
}

/// Once the service is ready, the next request; meanwhile others are served.
async fn next_request<S: Service<Asked>>(
    calls: &Calls,
    service: &mut S,
    serving: &mut (impl Stream + Unpin),
) -> Result<Option<Request>, S::Error> {
    poll_fn(|cx| {
        while let Poll::Ready(Some(_)) = Pin::new(&mut *serving).poll_next(cx) {}
        service.poll_ready(cx)
    })
    .await?;
    loop {
        let mut next = pin!(calls.next());
        let arrived = poll_fn(|cx| {
            while let Poll::Ready(Some(_)) = Pin::new(&mut *serving).poll_next(cx) {}
            next.as_mut().poll(cx)
        });
        match arrived.await {
            None => return Ok(None),
            Some(Arrived::Notice(_)) => {}
            Some(Arrived::Request(request)) => return Ok(Some(request)),
        }
    }
}

fn asked(request: &Request) -> Asked {
    Asked {
        method: request.method().clone(),
        payload: request.payload().clone(),
        options: CallOptions::default(),
        caller: Some(request.caller().clone()),
        time_left: request.time_left(),
    }
}
