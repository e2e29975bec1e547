//! The front end in a world of virtual time.

mod cancel;
mod drive;
mod world;
