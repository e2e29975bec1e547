//! Connections per second: full handshakes, some at a time, each closed when it is done.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use super::{Connection, Gate, Over, Peer, block_on, serve_all};
use crate::meter::Mark;
use crate::sides;
use crate::task::{Failure, Record, Task};

/// Handshakes under way at a time.
const AT_ONCE: u64 = 16;

/// Makes all the connections once.
pub fn connects<P: Peer>(peer: P, task: &Task) -> Result<Record, Failure> {
    let (task, serving, over) = (*task, peer.clone(), Over::default());
    let at_server = over.clone();
    let server = move |address: std::sync::mpsc::Sender<_>| {
        block_on(async {
            let (server, at) = serving.server(task.suite).await?;
            address.send(at)?;
            serve_all::<P, _>(server, &at_server, |mut connection| async move {
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
            over.set();
            Ok((begun, end))
        })
    };
    let ((), (begun, end)) = sides::run(task.pin, server, client)?;
    Ok(Record::of(task.connects, begun, end))
}

/// Connects so many times, some at a time, and keeps them all.
pub async fn connect_all<P: Peer>(
    client: P::Client,
    at: SocketAddr,
    count: u64,
) -> Result<(Rc<P::Client>, Vec<P::Connection>), Failure> {
    let (client, held) = (Rc::new(client), Rc::new(RefCell::new(Vec::new())));
    let gate = Gate::default();
    for _ in 0..count {
        let (client, held) = (Rc::clone(&client), Rc::clone(&held));
        gate.spawn(async move {
            let connection = P::connect(&client, at).await?;
            held.borrow_mut().push(connection);
            Ok(())
        });
        gate.until(AT_ONCE - 1).await?;
    }
    gate.until(0).await?;
    Ok((client, held.take()))
}
