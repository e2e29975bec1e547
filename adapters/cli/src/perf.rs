//! stub
use crate::figures::CliError;
/// Arguments.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {}
pub(crate) fn run(_: &Args) -> Result<(), CliError> {
    Ok(())
}
