//! Calls between nodes, over everything that carries them.

mod ground;
mod meeting;
mod million;
mod suite;
