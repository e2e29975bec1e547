//! `tripline listen` and `tripline connect`: stdin and stdout as one byte stream, encrypted.

use crate::figures::{CliError, while_doing};
use crate::{net, ping};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;
use tripline::{Order, StreamOptions};
use tripline_std::Stream;

/// How long the end may take to deliver what was read.
const GRACE: Duration = Duration::from_secs(10);

/// Arguments of `listen`.
#[derive(clap::Args)]
pub(crate) struct ListenArgs {
    #[command(flatten)]
    place: net::Place,
}

/// Arguments of `connect`.
#[derive(clap::Args)]
pub(crate) struct ConnectArgs {
    #[command(flatten)]
    peer: net::Peer,
}

/// Serves the first client that wants a pipe; pings are answered meanwhile.
pub(crate) fn listen(args: &ListenArgs) -> Result<(), CliError> {
    let listener = net::listen(&args.place, &[net::PIPE, net::PING], true)?;
    loop {
        let connection = listener.accept().map_err(while_doing("accepting"))?;
        if connection.route() == net::PING {
            ping::answer_in_background(connection)?;
            continue;
        }
        let stream = connection.accept_stream().map_err(while_doing("waiting for the stream"))?;
        let joined = join(&Arc::new(stream));
        let _ = match joined {
            // The client closes; it may be gone already.
            Ok(End::Both) => connection.wait_closed(),
            // Said now, or it would wait for us until it gives us up.
            _ => connection.close(GRACE),
        };
        return joined.map(|_| ());
    }
}

/// Opens a pipe to a `listen`.
pub(crate) fn connect(args: &ConnectArgs) -> Result<(), CliError> {
    let connection = net::connect(&args.peer, net::PIPE)?;
    let stream = connection
        .open(StreamOptions::two_way(Order::Bytes))
        .map_err(while_doing("opening the stream"))?;
    // Nothing is sent for a stream before its first byte: the server must hear of it at once.
    stream.send("").map_err(while_doing("opening the stream"))?;
    let joined = join(&Arc::new(stream));
    // After a failure too, or the server would wait for us until it gives us up.
    let closed = connection.close(GRACE).map_err(while_doing("closing"));
    match joined? {
        End::Both => closed,
        // What the server still sends is what nobody wants.
        End::Unwanted => Ok(()),
    }
}

/// What one of the two directions came to.
enum Done {
    Sent(Result<(), CliError>),
    Received(Result<End, CliError>),
}

/// How a pipe ends well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Both directions were carried to their end.
    Both,
    /// Whoever reads our stdout wants no more: an ordinary end of a pipe.
    Unwanted,
}

/// Runs both directions until both have ended, or the connection has.
fn join(stream: &Arc<Stream>) -> Result<End, CliError> {
    let (news, done) = channel();
    spawn(stream, news.clone(), |stream| Done::Sent(send_stdin(stream)))?;
    spawn(stream, news, |stream| Done::Received(receive_stdout(stream)))?;
    let (mut sent, mut received) = (false, false);
    while !(sent && received) {
        match done.recv().map_err(while_doing("the pipe"))? {
            Done::Sent(result) => {
                result?;
                sent = true;
            }
            Done::Received(result) => {
                if result? == End::Unwanted {
                    return Ok(End::Unwanted);
                }
                received = true;
            }
        }
    }
    stream
        .settled()
        .map(|_| End::Both)
        .map_err(while_doing("waiting for the peer to have everything"))
}

fn spawn(
    stream: &Arc<Stream>,
    news: Sender<Done>,
    work: impl FnOnce(&Stream) -> Done + Send + 'static,
) -> Result<(), CliError> {
    let stream = Arc::clone(stream);
    // Not joined: a read of stdin cannot be ended from outside, and the process ends anyway.
    thread::Builder::new()
        .name("pipe".into())
        .spawn(move || news.send(work(&stream)))
        .map(|_| ())
        .map_err(while_doing("a thread for the pipe"))
}

fn send_stdin(stream: &Stream) -> Result<(), CliError> {
    let mut chunk = vec![0; 64 << 10];
    loop {
        match io::stdin().read(&mut chunk) {
            Ok(0) => break,
            Ok(len) => {
                let data = chunk.get(..len).unwrap_or_default().to_vec();
                stream.send(data).map_err(while_doing("sending"))?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(while_doing("reading stdin")(error)),
        }
    }
    stream.finish();
    Ok(())
}

fn receive_stdout(stream: &Stream) -> Result<End, CliError> {
    let mut stdout = io::stdout().lock();
    while let Some(data) = stream.receive().map_err(while_doing("receiving"))? {
        match stdout.write_all(&data).and_then(|()| stdout.flush()) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(End::Unwanted),
            Err(error) => return Err(while_doing("writing to stdout")(error)),
        }
    }
    Ok(End::Both)
}
