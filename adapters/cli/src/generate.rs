//! `tripline completions` and `tripline man`: made from the definition of the command line.

use crate::figures::{CliError, while_doing};
use clap::CommandFactory;
use std::io::{self, Write};

/// Arguments of `completions`.
#[derive(clap::Args)]
pub(crate) struct CompletionsArgs {
    /// For which shell.
    shell: clap_complete::Shell,
}

/// Prints completions to stdout.
pub(crate) fn completions<C: CommandFactory>(args: &CompletionsArgs) -> Result<(), CliError> {
    // Into memory first: the generator panics where its output cannot be written.
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut C::command(), "tripline", &mut text);
    io::stdout().write_all(&text).map_err(while_doing("stdout"))
}

/// Prints the manual page to stdout.
pub(crate) fn man<C: CommandFactory>() -> Result<(), CliError> {
    clap_mangen::Man::new(C::command()).render(&mut io::stdout()).map_err(while_doing("stdout"))
}
