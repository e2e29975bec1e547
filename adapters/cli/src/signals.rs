//! Signals become a flag and a wake.
//!
//! The loop then ends as after any other failure, so that what has to be tidied up is.

use crate::fail::{Fail, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use tripline_std::Waker;

/// A write beyond the limit on file sizes shall fail like any other and say why, not end the
/// process: it does so where the signal that comes with it is handled, by whatever handler.
pub(crate) fn survive_file_limits() -> Result {
    signal_hook::flag::register(SIGXFSZ, Arc::default())
        .map(drop)
        .map_err(|error| Fail::io("cannot watch for signals", &error))
}

/// Whether a signal wants us to end.
#[derive(Clone, Debug)]
pub(crate) struct Interrupts(Arc<AtomicI32>);

impl Interrupts {
    /// Watches for SIGINT, SIGTERM and SIGHUP and wakes the loop when one comes. The second one
    /// ends the process where it stands.
    pub(crate) fn watch(waker: Waker) -> Result<Self> {
        Self::call(move || waker.wake(), || ())
    }

    /// The same, and calls `act` when the first one comes, and `last` before the second one ends
    /// the process; neither may wait.
    pub(crate) fn call(
        act: impl Fn() + Send + 'static,
        last: impl Fn() + Send + 'static,
    ) -> Result<Self> {
        let failed = |error| Fail::io("cannot watch for signals", &error);
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(failed)?;
        let came = Arc::new(AtomicI32::new(0));
        let flag = came.clone();
        let watch = move || {
            for signal in signals.forever() {
                if flag.swap(signal, Ordering::SeqCst) != 0 {
                    last();
                    std::process::exit(signal.saturating_add(128));
                }
                act();
            }
        };
        thread::Builder::new().name("signals".into()).spawn(watch).map_err(failed)?;
        Ok(Self(came))
    }

    /// The failure, once a signal has come.
    pub(crate) fn check(&self) -> Result {
        self.came().map_err(|Interrupted(signal)| Fail::signal(signal))
    }

    /// The same, for those that speak of errors.
    pub(crate) fn came(&self) -> std::result::Result<(), Interrupted> {
        match self.0.load(Ordering::SeqCst) {
            0 => Ok(()),
            signal => Err(Interrupted(signal)),
        }
    }
}

/// A signal came: the end of a command that nothing is wrong with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interrupted(pub(crate) i32);

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&Fail::signal(self.0).text)
    }
}

impl std::error::Error for Interrupted {}
