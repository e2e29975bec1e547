//! Records of a run: a text trace, a packet capture, and one page with pictures.
//!
//! Each is a [`Watcher`](crate::play::Watcher). [`Trace`] and [`Capture`] write while the run goes
//! on, a line or a block for each thing that happens, and keep next to nothing.
//! [`Recording`] keeps what pictures need, bounded however long the run is, and [`report`] makes an
//! HTML page of it. [`Several`] shows one run to several of them. None of them changes a run, reads
//! a clock or draws anything by chance: the same run gives the same bytes.

mod capture;
mod ears;
#[cfg(test)]
mod fixture;
mod frames;
mod journey;
mod recording;
mod report;
mod several;
mod trace;
mod words;

pub use capture::Capture;
pub use recording::Recording;
pub use report::{report, svg};
pub use several::Several;
pub use trace::Trace;
