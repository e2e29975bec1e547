//! `call` and `serve`: requests and answers, over whatever scheme the address names.

mod call;
mod program;
mod serve;

pub(crate) use call::call;
pub(crate) use serve::serve;

use crate::fail::{Fail, Result};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tripline::Config;
use tripline_std::HubOptions;
use tripline_std::calls::{self, Calls, CallsOptions, ConnectFailure};
use tripline_tls::Tls;

/// A node, with its thread.
fn node(config: Config, tls: Option<Tls>) -> Result<Calls> {
    let secure = tls.map(|tls| Arc::new(tls) as _);
    let hub = HubOptions { secure, ..HubOptions::default() };
    let options = CallsOptions { config: Some(config), hub, ..CallsOptions::default() };
    calls::node(options).map_err(|error| Fail::local(format_args!("cannot begin: {error}")))
}

/// Whose fault it is that nobody is there.
fn unreachable(what: &str, address: &str, failure: &ConnectFailure) -> Fail {
    let text = format!("{what} {address}: {failure}");
    match failure {
        ConnectFailure::Address(_) | ConnectFailure::Name | ConnectFailure::NoKey => {
            Fail::usage(text)
        }
        ConnectFailure::Ended(_) => Fail::network(text),
        _ => Fail::local(text),
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).map_err(|error| Fail::io(file.display(), &error))
}
