//! `tripline sim list`: the built-in scenarios.

use super::verdict;
use crate::fail::{Fail, Result, print};
use tripline_sim::scenario::Scenario;
use tripline_sim::scenarios;

/// Lists them.
pub(super) fn run(json: bool) -> Result {
    let mut table = verdict::table();
    table.set_header(["name", "lasts", "what it is about"]);
    for (name, text) in scenarios::ALL {
        let scenario: Scenario =
            text.parse().map_err(|error| Fail::local(format_args!("{name}: {error}")))?;
        let lasts = scenario.lasts.as_secs_f64();
        if json {
            print(serde_json::json!({"name": name, "lasts_s": lasts, "about": scenario.about}))?;
        } else {
            table.add_row([(*name).to_owned(), verdict::span(lasts), scenario.about]);
        }
    }
    if json { Ok(()) } else { print(table) }
}
