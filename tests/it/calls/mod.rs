//! Calls between nodes, over everything that carries them.

mod day;
mod edges;
mod ground;
mod life;
mod meeting;
mod million;
mod streams;
mod suite;
mod udp;
