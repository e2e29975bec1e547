//! The receiving side.

use super::ReceiveArgs;
use super::part::{Part, remove_on_signals};
use super::send::progress_bar;
use super::wire::{Answer, DATA, END, HEAD, Head, hex, is_plain_name, json};
use crate::figures::{CliError, chain, complain, say, while_doing};
use crate::{net, ping};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use tripline::Code;
use tripline_std::{Connection, Error, Stream};

/// Tells parts apart within the process.
static NEXT_PART: AtomicU64 = AtomicU64::new(0);

/// Serves clients for ever, or until the first one that sends files has left.
pub(crate) fn receive(args: &ReceiveArgs) -> Result<(), CliError> {
    let directory: Arc<Path> = Arc::from(args.into.as_path());
    if !directory.is_dir() {
        return Err(format!("--into {}: it is not a directory", directory.display()).into());
    }
    remove_on_signals().map_err(while_doing("watching for signals"))?;
    let listener = net::listen(&args.place, &[net::FILES, net::PING], false)?;
    loop {
        let connection = listener.accept().map_err(while_doing("accepting"))?;
        if connection.route() == net::PING {
            ping::answer_in_background(connection)?;
        } else if args.once {
            return serve(&connection, &directory);
        } else {
            let directory = Arc::clone(&directory);
            let work = move || {
                if let Err(error) = serve(&connection, &directory) {
                    let remote = connection.remote();
                    complain(format_args!("tripline: {remote}: {}", chain(&*error)));
                }
            };
            let thread = thread::Builder::new().name("receive".into()).spawn(work);
            thread.map_err(while_doing("a thread for a client"))?;
        }
    }
}

/// Takes the files of one client, one after the other; its first failure is told at the end.
fn serve(connection: &Connection, directory: &Path) -> Result<(), CliError> {
    let mut failure = None;
    loop {
        let stream = match connection.accept_stream() {
            Ok(stream) => stream,
            Err(Error::Closed { .. }) => break,
            Err(error) => return Err(failure.unwrap_or(while_doing("the sender")(error))),
        };
        match take(&stream, directory) {
            Ok((name, sum)) => {
                let line = format!("{sum}  {name}");
                answer(&stream, &Answer::Stored { name, sha256: sum })?;
                say(line)?;
            }
            Err(error) => {
                let cause = chain(&*error);
                let _ = answer(&stream, &Answer::Failed { cause });
                stream.stop(Code::application(1));
                failure.get_or_insert(error);
            }
        }
    }
    failure.map_or(Ok(()), Err)
}

fn answer(stream: &Stream, answer: &Answer) -> Result<(), CliError> {
    stream.send(json(answer)?).map_err(while_doing("answering"))?;
    stream.finish();
    Ok(())
}

/// Receives one file; returns its final name and its SHA-256.
fn take(stream: &Stream, directory: &Path) -> Result<(String, String), CliError> {
    let first = next(stream)?;
    let head: Head = match first.split_first() {
        Some((&HEAD, head)) => serde_json::from_slice(head)?,
        _ => return Err("the sender does not begin with a file's name".into()),
    };
    if !is_plain_name(&head.name) {
        return Err(format!("{:?} is no name for a file here", head.name).into());
    }
    let unique = (u64::from(std::process::id()) << 32) | NEXT_PART.fetch_add(1, Ordering::Relaxed);
    let at = format!("storing {}", head.name);
    let mut part = Part::begin(directory, &head.name, unique).map_err(while_doing(&at))?;
    let progress = progress_bar(&head);
    let mut sum = Sha256::new();
    loop {
        let message = next(stream)?;
        match message.split_first() {
            Some((&DATA, data)) => {
                sum.update(data);
                part.write(data).map_err(while_doing(&at))?;
                progress.inc(data.len() as u64);
            }
            Some((&END, expected)) => {
                let sum = sum.finalize();
                if expected != sum.as_slice() {
                    return Err(format!("{at}: the checksum does not match").into());
                }
                progress.finish_and_clear();
                let name = part.keep(directory, &head.name).map_err(while_doing(&at))?;
                return Ok((name, hex(&sum)));
            }
            _ => return Err(format!("{at}: the sender sent something that is no file").into()),
        }
    }
}

fn next(stream: &Stream) -> Result<bytes::Bytes, CliError> {
    match stream.receive() {
        Ok(Some(message)) => Ok(message),
        Ok(None) => Err("the sender ended in the middle of a file".into()),
        Err(error) => Err(while_doing("receiving")(error)),
    }
}
