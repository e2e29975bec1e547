//! A chat room: who joins hears what everybody says. The server pushes each line to all members: it
//! is written once, however many they are.
//!
//! `cargo run -p tripline-tokio --example chat`: a server and three members in one program, over
//! TRiP. Joining is a call, so that it is known to have happened; what is said is a notification.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use tripline::{Config, SecretKey};
use tripline_tokio::calls::{self, Arrived, Caller, Calls, NotifyOptions};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Serves until all is over.
async fn room(calls: Calls) {
    let mut members: BTreeMap<_, (String, Caller)> = BTreeMap::new();
    while let Some(arrived) = calls.next().await {
        match arrived {
            Arrived::Request(request) => {
                let Ok(name) = request.read::<String>() else { continue };
                let (caller, count) = (request.caller().clone(), members.len() + 1);
                members.insert(caller.id(), (name, caller));
                // It may be gone already.
                let _ = request.reply_value(&count);
            }
            Arrived::Notice(notice) => {
                let Some((name, _)) = members.get(&notice.caller.id()) else { continue };
                let line = format!("{name}: {}", String::from_utf8_lossy(&notice.payload));
                let everybody = members.values().map(|(_, caller)| caller);
                calls.notify_all(everybody, "line", line, NotifyOptions::default());
                // Who has left hears nothing any more.
                members.retain(|_, (_, caller)| caller.stats().is_some());
            }
        }
    }
}

/// Joins, waits for the others, says something, and hears three lines.
async fn member(address: String, name: &'static str) -> Result<Vec<String>, Failure> {
    let caller = calls::connect(&address).await?;
    let place: usize = caller.ask("join", name).await?;
    println!("{name} is number {place}");
    let mut heard = Vec::new();
    if place == 3 {
        caller.notify("say", "hello, all of you")?;
    }
    while heard.len() < 3 {
        let Some(Arrived::Notice(notice)) = caller.calls().next().await else {
            return Err("the room is closed".into());
        };
        heard.push(String::from_utf8_lossy(&notice.payload).into_owned());
        // Whoever came in first answers first, and so on.
        if heard.len() == place {
            caller.notify("say", format!("I am number {place}"))?;
        }
    }
    Ok(heard)
}

async fn play() -> Result<(), Failure> {
    let key = SecretKey::from_bytes([9; 32]);
    let (server, address) = calls::listen("trip://127.0.0.1:0", Config::public_server(key)).await?;
    let room = tokio::spawn(room(server.clone()));
    let members: Vec<_> = ["ada", "grace", "edsger"]
        .map(|name| tokio::spawn(member(address.to_string(), name)))
        .into_iter()
        .collect();
    let mut all = Vec::new();
    for member in members {
        all.push(member.await??);
    }
    all[0].iter().for_each(|line| println!("  {line}"));
    if all.iter().any(|heard| *heard != all[0]) {
        return Err("not all have heard the same".into());
    }
    server.shut_down(std::time::Duration::from_secs(1)).await;
    Ok(room.await?)
}

/// The example.
pub(crate) fn main() -> Result<(), Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(play())
}
