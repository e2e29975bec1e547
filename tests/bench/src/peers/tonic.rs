//! tonic, gRPC over HTTP/2: unary calls whose messages are bare bytes, so that no encoding is
//! measured. In the clear, which is in its favour.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{Ipv4Addr, SocketAddr};
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tonic::body::Body;
use tonic::client;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::tokio_stream::wrappers::TcpListenerStream;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{self, NamedService, UnaryService};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

use crate::asynchronous::block_on;
use crate::meter::Mark;
use crate::sides;
use crate::task::{Failure, Record, Task};

/// The method.
const ECHO: &str = "/bench.Echo/Echo";
/// Bytes of each call, and of each answer.
const BODY: usize = 8;
/// Calls in flight on each connection: as many as keep it busy, and fewer than a server allows.
const IN_FLIGHT: u64 = 64;

/// Unary calls, echoed, on as many connections as the task says.
pub fn calls(task: &Task) -> Result<Record, Failure> {
    let task = *task;
    let (over, is_over) = oneshot::channel::<()>();
    let server = move |address: std::sync::mpsc::Sender<SocketAddr>| {
        block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            address.send(listener.local_addr()?)?;
            let served = Server::builder().tcp_nodelay(true).add_service(Echo);
            // However it ends, the client's side says why.
            let until = async { drop(is_over.await) };
            let incoming = TcpListenerStream::new(listener);
            served.serve_with_incoming_shutdown(incoming, until).await?;
            Ok(())
        })
    };
    let client = move |at: SocketAddr| {
        let ended = block_on(async {
            let endpoint = Endpoint::from_shared(format!("http://{at}"))?.tcp_nodelay(true);
            let mut channels = Vec::new();
            for _ in 0..task.connections {
                channels.push(endpoint.connect().await?);
            }
            let begun = Mark::now();
            let mut askers = JoinSet::new();
            for channel in &channels {
                for lane in 0..IN_FLIGHT {
                    let count =
                        task.requests / IN_FLIGHT + u64::from(lane < task.requests % IN_FLIGHT);
                    askers.spawn(ask(channel.clone(), lane << 32, count));
                }
            }
            while let Some(asker) = askers.join_next().await {
                asker??;
            }
            Ok((begun, Mark::now()))
        });
        drop(over);
        ended
    };
    let ((), (begun, end)) = sides::run(task.pin, server, client)?;
    Ok(Record::of(task.connections * task.requests, begun, end))
}

/// Asks so often, one after the other, and checks each answer.
async fn ask(channel: Channel, first: u64, count: u64) -> Result<(), Failure> {
    let mut client = client::Grpc::new(channel);
    for number in first..first + count {
        client.ready().await?;
        let body = Bytes::copy_from_slice(&number.to_le_bytes());
        let path = PathAndQuery::from_static(ECHO);
        let answer = client.unary(Request::new(body.clone()), path, Bare).await?;
        if answer.into_inner() != body {
            return Err("an answer to another call".into());
        }
    }
    Ok(())
}

/// The service: what is asked is the answer.
#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "bench.Echo";
}

impl UnaryService<Bytes> for Echo {
    type Response = Bytes;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        ready(Ok(Response::new(request.into_inner())))
    }
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move { Ok(server::Grpc::new(Bare).unary(Echo, request).await) })
    }
}

/// Messages as they are.
#[derive(Clone, Copy, Default)]
struct Bare;

impl Codec for Bare {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bare {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for Bare {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        if from.remaining() != BODY {
            return Err(Status::invalid_argument("not the bytes of a call"));
        }
        Ok(Some(from.copy_to_bytes(BODY)))
    }
}
