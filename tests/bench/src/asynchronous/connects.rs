//! Connections per second: full handshakes, some at a time, each closed when it is done.

use std::rc::Rc;

use super::{Connection, Gate, Peer, block_on, serve_all};
use crate::meter::Mark;
use crate::sides;
use crate::task::{Failure, Record, Task};

/// Handshakes under way at a time.
pub const AT_ONCE: u64 = 16;

/// Makes all the connections once.
pub fn connects<P: Peer>(peer: P, task: &Task) -> Result<Record, Failure> {
    let (task, serving) = (*task, peer.clone());
    let server = move |address: std::sync::mpsc::Sender<_>| {
        block_on(async {
            let (mut server, at) = serving.server(task.suite).await?;
            address.send(at)?;
            serve_all::<P, _>(&mut server, task.connects, |mut connection| async move {
                connection.closed().await;
                Ok(())
            })
            .await
        })
    };
    let client = move |at| {
        block_on(async {
            let client = Rc::new(peer.client(task.suite).await?);
            let gate = Gate::default();
            let begun = Mark::now();
            for _ in 0..task.connects {
                let client = Rc::clone(&client);
                gate.spawn(async move {
                    let mut connection = P::connect(&client, at).await?;
                    connection.close();
                    Ok(())
                });
                gate.until(AT_ONCE - 1).await?;
            }
            gate.until(0).await?;
            let end = Mark::now();
            // What is closed last has to get out.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            Ok((begun, end))
        })
    };
    let ((), (begun, end)) = sides::run(task.pin, server, client)?;
    Ok(Record::of(task.connects, begun, end))
}
