//! Many connections that do nothing: what each holds of the heap, and what all cost while it is
//! quiet.

use std::cell::RefCell;
use std::rc::Rc;

use super::connects::connect_all;
use super::{Gate, Peer, block_on};
use crate::quiet::Window;
use crate::sides;
use crate::task::{Failure, Record, Task};

/// Opens them all and watches them.
pub fn idle<P: Peer>(peer: P, task: &Task) -> Result<Record, Failure> {
    let (task, serving) = (*task, peer.clone());
    let window = Window::new();
    let (at_server, at_client) = (window.clone(), window.clone());
    let server = move |address: std::sync::mpsc::Sender<_>| {
        block_on(async {
            let (mut server, at) = serving.server(task.suite).await?;
            address.send(at)?;
            let (gate, held) = (Gate::default(), Rc::new(RefCell::new(Vec::new())));
            for _ in 0..task.idle {
                let arriving = P::accept(&mut server).await?.ok_or("too few connections came")?;
                let held = Rc::clone(&held);
                gate.spawn(async move {
                    let connection = P::arrive(arriving).await?;
                    held.borrow_mut().push(connection);
                    Ok(())
                });
            }
            gate.until(0).await?;
            at_server.server_is_ready();
            while !at_server.is_over() {
                tokio::time::sleep(Window::LOOK).await;
            }
            Ok(())
        })
    };
    let client = move |at| {
        block_on(async {
            let client = peer.client(task.suite).await?;
            at_client.begin();
            let held = connect_all::<P>(client, at, task.idle).await?;
            while !at_client.is_settled() {
                tokio::time::sleep(Window::LOOK).await;
            }
            let quiet = at_client.measure_begin();
            tokio::time::sleep(Window::QUIET).await;
            let record = at_client.measure_end(quiet, task.idle);
            at_client.end();
            drop(held);
            Ok(record)
        })
    };
    let ((), record) = sides::run(task.pin, server, client)?;
    Ok(record)
}
