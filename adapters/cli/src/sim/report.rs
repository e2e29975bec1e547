//! `tripline sim report`: a run as one page of HTML with pictures.

use super::watched::{self, Subject};
use crate::fail::{Fail, Result};
use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use tripline_sim::record::{Recording, report};

/// `report`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to play.
    #[command(flatten)]
    subject: Subject,
    /// Where to write the page. It needs no network, no script and no file beside it.
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    out: PathBuf,
}

/// Plays and draws. A run that fails is drawn too, up to where it failed.
pub(super) fn run(args: &Args, json: bool) -> Result {
    let (scenario, replay) = args.subject.load()?;
    let recording = Rc::new(RefCell::new(Recording::new(&scenario)));
    let result = watched::play(&scenario, &recording);
    let page = report(&recording.borrow(), &scenario, &result, &replay);
    fs::write(&args.out, page)
        .map_err(|error| Fail::io(format_args!("cannot write {}", args.out.display()), &error))?;
    watched::tell(&args.out, &scenario.name, result, json)
}
