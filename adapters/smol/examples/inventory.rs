//! A service with typed calls: a warehouse that is asked in its own types, over TCP here. Both
//! sides share the types; postcard carries them, JSON does as well.
//!
//! `cargo run -p tripline-smol --example inventory`
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tripline_smol::calls::{self, Caller, Failure, Router};

/// How many of something.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stock {
    article: String,
    count: u32,
}

/// What the application says no with.
const TOO_FEW: i32 = 1;

type Shelves = Arc<Mutex<BTreeMap<String, u32>>>;

/// What the warehouse can do.
fn warehouse(shelves: Shelves) -> Router {
    let (stored, taken) = (shelves.clone(), shelves);
    Router::new()
        .on_ask("store", move |stock: Stock| {
            change(&stored, &stock.article, |count| Ok(count.saturating_add(stock.count)))
        })
        .on_ask("take", move |stock: Stock| {
            change(&taken, &stock.article, |count| {
                let left = count.checked_sub(stock.count);
                left.ok_or_else(|| Failure::new(TOO_FEW, format!("there are {count}")))
            })
        })
}

/// Changes how many there are of an article, unless the change says why not.
fn change(
    shelves: &Shelves,
    article: &str,
    to: impl FnOnce(u32) -> Result<u32, Failure>,
) -> Result<u32, Failure> {
    let mut shelves = shelves.lock().map_err(|_| Failure::new(-1, "out of order"))?;
    let count = shelves.entry(article.into()).or_default();
    *count = to(*count)?;
    Ok(*count)
}

/// The client's side: the same in the types of the application.
struct Warehouse(Caller);

impl Warehouse {
    async fn store(&self, article: &str, count: u32) -> Result<u32, calls::CallError> {
        self.0.ask("store", &Stock { article: article.into(), count }).await
    }

    async fn take(&self, article: &str, count: u32) -> Result<u32, calls::CallError> {
        self.0.ask("take", &Stock { article: article.into(), count }).await
    }
}

async fn play() -> Result<(), Box<dyn std::error::Error>> {
    let (server, address) = calls::listen("tcp://127.0.0.1:0", tripline::Config::client()).await?;
    let router = warehouse(Shelves::default());
    let serve = async {
        router.serve(&server).await;
        Ok(())
    };
    let ask = async {
        let warehouse = Warehouse(calls::connect(&address.to_string()).await?);
        println!("stored: there are {}", warehouse.store("sword", 5).await?);
        println!("taken: there are {} left", warehouse.take("sword", 2).await?);
        match warehouse.take("sword", 9).await {
            Err(error) if error.code() == Some(TOO_FEW) => println!("not taken: {error}"),
            other => return Err(format!("what is this? {other:?}").into()),
        }
        server.shut_down(std::time::Duration::from_secs(1)).await;
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    futures_lite::future::try_zip(serve, ask).await.map(drop)
}

/// The example.
pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    async_io::block_on(play())
}
