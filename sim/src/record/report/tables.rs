//! The numbers behind the pictures, as tables.

use super::svg::escape;
use crate::HostId;
use crate::play::{Deeds, Outcome};
use crate::record::recording::{NoteKind, Recording};
use crate::record::words::{self, grouped};
use std::fmt::Write as _;
use tripline_sansio::Duration;

/// A table: heads (those that begin with `#` are of numbers), and rows.
fn table(html: &mut String, heads: &[&str], rows: &[Vec<String>]) {
    if rows.is_empty() {
        return;
    }
    let class = |head: &str| if head.starts_with('#') { " class=\"n\"" } else { "" };
    html.push_str("<div class=\"scroll\"><table><tr>");
    for head in heads {
        let name = escape(head.trim_start_matches('#'));
        let _ = write!(html, "<th{}>{name}</th>", class(head));
    }
    html.push_str("</tr>\n");
    for row in rows {
        html.push_str("<tr>");
        for (head, cell) in heads.iter().zip(row) {
            let _ = write!(html, "<td{}>{}</td>", class(head), escape(cell));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</table></div>\n");
}

/// What the applications did, and what became of the datagrams.
pub(super) fn outcome(html: &mut String, outcome: &Outcome) {
    let Deeds {
        steps,
        passed_over,
        connections,
        connected,
        streams,
        sent,
        sent_bytes,
        received,
        received_bytes,
        ..
    } = outcome.deeds;
    html.push_str("<h3>Applications</h3>");
    let heads = [
        "#steps done",
        "#passed over",
        "#connections begun",
        "#came about",
        "#streams opened",
        "#messages handed in",
        "#bytes",
        "#read",
        "#bytes",
    ];
    let all = [
        steps,
        passed_over,
        connections,
        connected,
        streams,
        sent,
        sent_bytes,
        received,
        received_bytes,
    ];
    table(html, &heads, &[all.map(grouped).to_vec()]);
    let totals = outcome.totals;
    html.push_str("<h3>Datagrams</h3>");
    let heads =
        ["#sent", "#bytes", "#copies", "#changed", "#put in", "#delivered", "#bytes", "#dropped"];
    let all = [
        totals.offered,
        totals.offered_bytes,
        totals.copies,
        totals.corrupted,
        totals.injected,
        totals.delivered,
        totals.delivered_bytes,
        totals.dropped(),
    ];
    table(html, &heads, &[all.map(grouped).to_vec()]);
}

/// The ends of connections when they were last looked at.
pub(super) fn ends(html: &mut String, recording: &Recording) {
    if recording.ends.is_empty() {
        return;
    }
    html.push_str("<h3>Ends of connections, as last seen</h3>");
    let heads = [
        "connection",
        "host",
        "#packets sent",
        "#received",
        "#lost",
        "#lost wrongly",
        "#probes",
        "#repeated frames",
        "#RTT",
        "#least RTT",
        "#window",
        "#datagram",
        "#zone",
        "#moves",
        "#messages sent",
        "#received",
    ];
    let span = |nanos: u64| words::span(Duration::from_nanos(nanos));
    let rows = recording.ends.iter().map(|end| {
        let last = &end.last;
        vec![
            end.connection.clone(),
            format!("{} ({})", end.host, if end.is_client { "client" } else { "server" }),
            grouped(last.packets_sent),
            grouped(last.packets_received),
            grouped(last.packets_lost),
            grouped(last.packets_spurious),
            grouped(last.probes),
            grouped(last.retransmissions),
            span(last.rtt_ns),
            span(last.rtt_min_ns),
            grouped(last.congestion_window),
            grouped(last.datagram_size),
            grouped(last.zone),
            grouped(last.moves),
            grouped(last.messages_sent),
            grouped(last.messages_received),
        ]
    });
    table(html, &heads, &rows.collect::<Vec<_>>());
}

/// What went from host to host, and why some of it did not arrive.
pub(super) fn ways(html: &mut String, recording: &Recording) {
    if recording.ways.is_empty() {
        return;
    }
    html.push_str("<h3>Ways</h3>");
    let heads =
        ["from", "to", "#sent", "#bytes", "#came", "#bytes", "#again", "#changed", "dropped"];
    let name = |host: HostId| recording.hosts.get(host.index()).cloned().unwrap_or_default();
    let rows = recording.ways.iter().map(|((from, to), way)| {
        let drops: Vec<_> = way
            .drops
            .iter()
            .map(|(cause, values)| format!("{} {cause}", grouped(values.sum() as u64)))
            .collect();
        vec![
            name(*from),
            name(*to),
            grouped(way.datagrams_sent),
            grouped(way.sent.sum() as u64),
            grouped(way.datagrams_came),
            grouped(way.came.sum() as u64),
            grouped(way.copies),
            grouped(way.changed),
            if drops.is_empty() { "none".to_owned() } else { drops.join(", ") },
        ]
    });
    table(html, &heads, &rows.collect::<Vec<_>>());
}

/// How far the streams came.
pub(super) fn streams(html: &mut String, recording: &Recording) {
    let heads =
        ["connection", "stream", "from", "#messages handed in", "#bytes", "#read", "#bytes"];
    let rows = recording.streams.iter().map(|((connection, id, from_client), curves)| {
        vec![
            connection.clone(),
            words::stream(*id),
            if *from_client { "client" } else { "server" }.to_owned(),
            grouped(curves.sent_messages),
            grouped(curves.sent_bytes),
            grouped(curves.received_messages),
            grouped(curves.received_bytes),
        ]
    });
    table(html, &heads, &rows.collect::<Vec<_>>());
}

/// Steps and events, in order of time.
pub(super) fn notes(html: &mut String, recording: &Recording) {
    let heads = ["#at", "host", "", "what"];
    let rows = recording.notes.iter().map(|note| {
        let kind = match note.kind {
            NoteKind::Step => "▲ step",
            NoteKind::PassedOver => "△ passed over",
            NoteKind::Event => "● event",
            NoteKind::Trouble => "✕ trouble",
        };
        let at = format!("{:.6} s", note.at.as_nanos() as f64 / 1e9);
        vec![at, note.host.clone().unwrap_or_default(), kind.to_owned(), note.text.clone()]
    });
    table(html, &heads, &rows.collect::<Vec<_>>());
}
