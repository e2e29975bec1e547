//! What a run came to, for people and for machines.

use crate::fail::{Fail, Result, print};
use comfy_table::{Table, presets};
use tripline_sim::play::{Failure, Outcome};

/// How much virtual time has gone by, for people: `3 d 4 h`, `2 min 5 s`, `1.250 s`.
pub(super) fn span(seconds: f64) -> String {
    let whole = seconds as u64;
    match whole {
        0..60 => format!("{seconds:.3} s"),
        60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        3_600..86_400 => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3_600),
    }
}

/// A table in the style of the other commands.
pub(super) fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table
}

/// Says what a run came to, and fails if it failed.
pub(super) fn tell(
    name: &str,
    result: std::result::Result<Outcome, Failure>,
    json: bool,
) -> Result {
    match result {
        Ok(outcome) if json => print(object(name, &outcome)),
        Ok(outcome) => print(good(&outcome)),
        Err(failure) => Err(Fail::local(format_args!("{name} fails: {failure}"))),
    }
}

fn object(name: &str, outcome: &Outcome) -> serde_json::Value {
    let Outcome { totals, deeds, .. } = outcome;
    serde_json::json!({
        "event": "played", "scenario": name, "hash": format!("{:016x}", outcome.trace_hash),
        "simulated_s": outcome.simulated.as_secs_f64(),
        "packets": totals.offered, "delivered": totals.delivered, "dropped": totals.dropped(),
        "connections": deeds.connections, "connected": deeds.connected,
        "streams": deeds.streams, "sent": deeds.sent, "sent_bytes": deeds.sent_bytes,
        "received": deeds.received, "received_bytes": deeds.received_bytes,
        "steps": deeds.steps, "passed_over": deeds.passed_over,
    })
}

fn good(outcome: &Outcome) -> Table {
    let Outcome { totals, deeds, .. } = outcome;
    let mut table = table();
    let mut row = |name: &str, figure: String| {
        table.add_row([name.to_owned(), figure]);
    };
    row("virtual time", span(outcome.simulated.as_secs_f64()));
    let packets = (totals.offered, totals.delivered, totals.dropped());
    row(
        "datagrams sent / arrived / dropped",
        format!("{} / {} / {}", packets.0, packets.1, packets.2),
    );
    row("connections begun / made", format!("{} / {}", deeds.connections, deeds.connected));
    row("streams", deeds.streams.to_string());
    row("messages sent", format!("{}, {} bytes", deeds.sent, deeds.sent_bytes));
    row("messages read", format!("{}, {} bytes", deeds.received, deeds.received_bytes));
    row("steps done / passed over", format!("{} / {}", deeds.steps, deeds.passed_over));
    row("hash", format!("{:016x}", outcome.trace_hash));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_at_a_glance() {
        assert_eq!(span(1.25), "1.250 s");
        assert_eq!(span(125.9), "2 min 5 s");
        assert_eq!(span(7_260.0), "2 h 1 min");
        assert_eq!(span(3.0 * 86_400.0 + 4.0 * 3_600.0), "3 d 4 h");
    }
}
