//! `tripline send` and `tripline receive`: files, whole or not at all.
//!
//! Each file has a two-way stream of ordered messages. The sender says name and size, then the
//! contents, then their SHA-256; the receiver answers with the name it gave the file and the sum it
//! reckoned, or with what went wrong. A file counts as sent only when that answer agrees.

mod part;
mod receive;
mod send;
mod wire;

pub(crate) use receive::receive;
pub(crate) use send::send;

use crate::net;
use std::path::PathBuf;

/// Arguments of `send`.
#[derive(clap::Args)]
pub(crate) struct SendArgs {
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    peer: net::Peer,
    /// Prints a JSON object for each file.
    #[arg(long)]
    json: bool,
}

/// Arguments of `receive`.
#[derive(clap::Args)]
pub(crate) struct ReceiveArgs {
    #[command(flatten)]
    place: net::Place,
    /// The directory for the files. Nothing in it is ever overwritten.
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// Ends when the first client has left; with its failure, if it failed.
    #[arg(long)]
    once: bool,
}
