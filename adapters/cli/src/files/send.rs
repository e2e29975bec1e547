//! The sending side.

use super::SendArgs;
use super::wire::{Answer, CHUNK, DATA, END, HEAD, Head, hex, json, message};
use crate::figures::{CliError, say, while_doing};
use crate::net;
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;
use tripline::{Code, Order, StreamOptions};
use tripline_std::{Connection, Error, Stream};

/// Sends the files, one after the other. Ends at the first that fails.
pub(crate) fn send(args: &SendArgs) -> Result<(), CliError> {
    // A file that cannot be read is found out before anybody is bothered.
    let mut files = Vec::new();
    for path in &args.files {
        files.push((path, open(path)?));
    }
    let connection = net::connect(&args.peer, net::FILES)?;
    let sent = files.into_iter().try_for_each(|(path, (file, head))| {
        let (name, sum) = send_one(&connection, file, &head)
            .map_err(|error| format!("sending {}: {error}", path.display()))?;
        let path = path.display().to_string();
        if args.json {
            say(serde_json::json!({ "file": path, "stored_as": name, "sha256": sum }))
        } else {
            say(format_args!("{sum}  {path} stored as {name}"))
        }
    });
    // After a failure too, or the receiver would wait for us until it gives us up.
    let closed = connection.close(Duration::from_secs(5)).map_err(while_doing("closing"));
    sent.and(closed)
}

fn open(path: &Path) -> Result<(File, Head), CliError> {
    let at = format!("reading {}", path.display());
    let file = File::open(path).map_err(while_doing(&at))?;
    let about = file.metadata().map_err(while_doing(&at))?;
    if about.is_dir() {
        return Err(format!("{at}: it is a directory").into());
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| format!("{at}: its name is not valid UTF-8"))?.to_owned();
    Ok((file, Head { name, size: about.len() }))
}

/// Sends one file; returns the name that it got there, and its SHA-256.
fn send_one(
    connection: &Connection,
    mut file: File,
    head: &Head,
) -> Result<(String, String), CliError> {
    let stream = connection
        .open(StreamOptions::two_way(Order::Ordered))
        .map_err(while_doing("opening a stream"))?;
    let sent = send_contents(&stream, &mut file, head);
    // Where the receiver gave up it said why, and that explains more than our failure to send.
    let answer = match sent {
        Ok(sum) => receive_answer(&stream).map(|answer| (answer, sum)),
        Err(Trouble::Reading(error)) => {
            // The receiver waits for the rest and has nothing to answer.
            stream.close(Code::application(1));
            return Err(error);
        }
        Err(Trouble::Sending(error)) => match receive_answer(&stream) {
            Ok(answer @ Answer::Failed { .. }) => Ok((answer, String::new())),
            _ => Err(error),
        },
    };
    match answer? {
        (Answer::Stored { name, sha256 }, sum) if sha256 == sum => Ok((name, sum)),
        (Answer::Stored { sha256, .. }, sum) => {
            Err(format!("the checksums differ: {sum} here, {sha256} there").into())
        }
        (Answer::Failed { cause }, _) => Err(format!("the receiver says: {cause}").into()),
    }
}

/// Why a file was not sent.
enum Trouble {
    /// It cannot be read.
    Reading(CliError),
    /// It cannot be sent; the receiver may have said why.
    Sending(CliError),
}

fn send_contents(stream: &Stream, file: &mut File, head: &Head) -> Result<String, Trouble> {
    let send = |kind, contents: &[u8]| {
        let sent = stream.send(message(kind, contents)).map_err(while_doing("sending"));
        sent.map_err(Trouble::Sending)
    };
    send(HEAD, &json(head).map_err(Trouble::Reading)?)?;
    let progress = progress_bar(head);
    let mut sum = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = file.read(&mut chunk).map_err(while_doing("reading"));
        let len = read.map_err(Trouble::Reading)?;
        let data = chunk.get(..len).unwrap_or_default();
        if data.is_empty() {
            break;
        }
        sum.update(data);
        send(DATA, data)?;
        progress.inc(len as u64);
    }
    let sum = sum.finalize();
    send(END, &sum)?;
    stream.finish();
    progress.finish_and_clear();
    Ok(hex(&sum))
}

fn receive_answer(stream: &Stream) -> Result<Answer, CliError> {
    match stream.receive() {
        Ok(Some(answer)) => Ok(serde_json::from_slice(&answer)?),
        Ok(None) => Err("the receiver ended without an answer".into()),
        Err(error @ Error::Lost(_)) => Err(while_doing("the receiver is gone")(error)),
        Err(error) => Err(while_doing("waiting for the receiver's answer")(error)),
    }
}

/// A bar on stderr, if that is a terminal.
pub(super) fn progress_bar(head: &Head) -> ProgressBar {
    let style = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    let style =
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(head.size).with_style(style).with_message(head.name.clone())
}
