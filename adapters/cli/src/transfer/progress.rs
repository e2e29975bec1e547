//! A line that shows how far a file is, where a person is watching.

use crate::fail::one_line;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the line is drawn, per second.
const DRAWS_PER_SECOND: u8 = 10;

/// One line for each file under way, on standard error if that is a terminal.
#[derive(Debug)]
pub(super) struct Board {
    lines: MultiProgress,
}

impl Board {
    /// A board; `hidden` shows nothing at all.
    pub(super) fn new(hidden: bool) -> Self {
        let target = if hidden {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND)
        };
        Self { lines: MultiProgress::with_draw_target(target) }
    }

    /// A line for a file.
    pub(super) fn line(&self, name: &str, size: u64) -> Line {
        let bar = self.lines.add(ProgressBar::new(size));
        let style =
            "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
        bar.set_style(
            ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.set_message(one_line(name).to_string());
        Line { bar }
    }
}

/// The line of one file; gone when dropped.
#[derive(Debug)]
pub(super) struct Line {
    bar: ProgressBar,
}

impl Line {
    /// So many bytes more.
    pub(super) fn add(&self, bytes: usize) {
        self.bar.inc(bytes as u64);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
