//! The demo's server: counts what comes one way, sends back what comes on two-way streams.

use super::Volume;
use crate::figures::{CliError, while_doing};
use tripline::{Direction, Order};
use tripline_std::{Listener, Stats};

/// What the server saw.
#[derive(Debug, Default)]
pub(super) struct Served {
    pub(super) bulk: u64,
    pub(super) echoed: u64,
    pub(super) burst: u64,
    pub(super) stats: Stats,
}

/// A message of the bulk transfer: its number, then filling.
pub(super) fn bulk_message(number: u64, size: usize) -> Vec<u8> {
    let mut message = vec![number as u8; size];
    if let Some(head) = message.first_chunk_mut() {
        *head = number.to_be_bytes();
    }
    message
}

/// Serves one client until it leaves.
pub(super) fn serve(listener: &Listener) -> Result<Served, CliError> {
    let doing = "the server";
    let connection = listener.accept().map_err(while_doing(doing))?;
    let mut served = Served::default();
    while let Ok(stream) = connection.accept_stream() {
        while let Some(message) = stream.receive().map_err(while_doing(doing))? {
            match (stream.id().direction(), stream.id().order()) {
                (Direction::TwoWay, _) => {
                    served.echoed += 1;
                    stream.send(message).map_err(while_doing(doing))?;
                }
                (Direction::OneWay, Order::Ordered) => {
                    if message.first_chunk() != Some(&served.bulk.to_be_bytes()) {
                        return Err(format!("bulk message {} is not in order", served.bulk).into());
                    }
                    served.bulk += 1;
                }
                (Direction::OneWay, _) => served.burst += 1,
            }
        }
    }
    served.stats = connection.stats().map_err(while_doing(doing))?;
    connection.wait_closed().map_err(while_doing(doing))?;
    Ok(served)
}

impl Served {
    /// Whether everything that was to arrive did.
    pub(super) fn check(&self, volume: &Volume) -> Result<(), CliError> {
        let echoes = (volume.single_requests + volume.requests) as u64;
        if (self.bulk, self.echoed) == (volume.bulk_messages, echoes) && self.burst <= volume.burst
        {
            return Ok(());
        }
        Err(format!(
            "the server saw {} bulk messages, {} requests and {} of the burst",
            self.bulk, self.echoed, self.burst
        )
        .into())
    }
}
