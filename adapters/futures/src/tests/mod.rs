//! The front end in a world of virtual time.

mod cancel;
mod drive;
mod kit;
mod world;
