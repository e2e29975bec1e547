//! What the clients and servers of all loops have in common, so that a program reads the same on
//! each of them: the text of an address, the error that calls end with, the count of what became
//! of messages, who is let in, how the engine is made, and what only the system knows (entropy,
//! names, the time, the processor), who waits for what, and the lock that handles and their driver
//! share.
//!
//! *In*: texts, a client at the door, questions to the system. *Out*: values. Nothing here waits
//! but [`resolve`], and nothing knows of sockets or futures: each adapter names these items again,
//! and users take them from there.
#![forbid(unsafe_code)]

mod address;
mod at_hand;
mod clock;
mod door;
mod engine;
mod error;
mod resolve;
mod settled;
mod shared;
mod system;
mod waits;

pub use address::Address;
pub use clock::Clock;
pub use door::{ChoosePsk, Decision, Door, Screen};
pub use engine::{Site, endpoint, link_hub};
pub use error::Error;
pub use resolve::resolve;
pub use settled::Settled;
pub use shared::{Books, Shared, Wait};
pub use system::{hardware_aes, os_seed};
pub use waits::{Ticket, Waits};
