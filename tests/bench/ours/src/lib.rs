//! tripline's side of the comparison: applications on it, runs over loopback and in memory, and
//! what is measured of them. Used by the comparison (`tripline-bench`) and by the counted gate
//! (`gate`).
#![forbid(unsafe_code)]

pub mod engine;
pub mod gate;
pub mod latency;
pub mod meter;
pub mod quiet;
pub mod script;
pub mod sides;
pub mod spread;
pub mod task;
pub mod tripline;
