//! `tripline sim pcap`: a run as a packet capture, for Wireshark and its like.

use super::watched::{self, Subject};
use crate::fail::{Fail, Result};
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::rc::Rc;
use tripline_sim::record::Capture;

/// `pcap`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to play.
    #[command(flatten)]
    subject: Subject,
    /// Where to write the capture, in the form PCAPNG.
    #[arg(long, value_name = "FILE", default_value = "run.pcapng")]
    out: PathBuf,
}

/// Plays and captures. A run that fails is captured too, up to where it failed.
pub(super) fn run(args: &Args, json: bool) -> Result {
    let (scenario, _) = args.subject.load()?;
    let cannot =
        |error: &io::Error| Fail::io(format_args!("cannot write {}", args.out.display()), error);
    let file = File::create(&args.out).map_err(|error| cannot(&error))?;
    let capture = Rc::new(RefCell::new(Capture::new(BufWriter::new(file), &scenario)));
    let result = watched::play(&scenario, &capture);
    let Some(capture) = Rc::into_inner(capture) else {
        return Err(Fail::local("the capture is still being written"));
    };
    capture.into_inner().finish().map_err(|error| cannot(&error))?;
    watched::tell(&args.out, &scenario.name, result, json)
}
