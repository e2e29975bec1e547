//! A run as one page of HTML with pictures.
//!
//! In goes a [`Recording`], the scenario, what came of it and the command that plays it again; out
//! comes a page that needs nothing else: no network, no file beside it, no script (a small one in
//! it shows values under the pointer). Its policy forbids it to load anything. Everything written
//! by people or peers is escaped.

mod curves;
mod ladder;
mod overview;
mod plot;
pub mod svg;
mod tables;
#[cfg(test)]
mod tests;

use super::recording::Recording;
use super::words;
use crate::play::{Failure, Outcome};
use crate::scenario::Scenario;
use plot::Stage;
use std::fmt::Write as _;
use svg::{Axis, Unit, escape};
use tripline_sansio::Instant;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The page about a run of `scenario`, which came to `result`. `replay` is the command that plays
/// it again.
///
/// It is about as long as the recording allows: a few megabytes at most.
pub fn report(
    recording: &Recording,
    scenario: &Scenario,
    result: &Result<Outcome, Failure>,
    replay: &str,
) -> String {
    let stage = stage(recording, result);
    let mut html = String::new();
    head(&mut html, scenario);
    title(&mut html, scenario, result, replay);
    html.push_str("<h2 id=\"time\">What happened when</h2>\n");
    html.push_str(&overview::overview(recording, &stage.time, stage.failure));
    html.push_str("<details><summary>as a list</summary>");
    tables::notes(&mut html, recording);
    html.push_str("</details>\n<h2 id=\"connections\">Connections</h2>\n");
    curves::connections(&mut html, recording, &stage);
    if recording.ends.is_empty() {
        html.push_str("<p>No connection came about.</p>");
    }
    html.push_str("<h2 id=\"streams\">Streams</h2>\n");
    curves::streams(&mut html, recording, &stage);
    tables::streams(&mut html, recording);
    if recording.streams.is_empty() {
        html.push_str("<p>Nothing was sent on a stream.</p>");
    }
    html.push_str("<h2 id=\"network\">Network</h2>\n");
    curves::ways(&mut html, recording, &stage);
    html.push_str("<h2 id=\"packets\">Packets</h2>\n");
    html.push_str(
        "<p class=\"about\">Time goes down, not to scale. A cross is a datagram that nobody got, \
         with the cause beside it.</p>\n",
    );
    html.push_str(&ladder::ladder(recording));
    html.push_str("<h2 id=\"counters\">Counters</h2>\n");
    if let Ok(outcome) = result {
        tables::outcome(&mut html, outcome);
    }
    tables::ends(&mut html, recording);
    tables::ways(&mut html, recording);
    left_out(&mut html, recording);
    html.push_str("<h2 id=\"scenario\">Scenario</h2>\n");
    let _ = write!(html, "<pre>{}</pre>", escape(&scenario.to_string()));
    let _ = write!(html, "<script>\n{SCRIPT}</script>\n</body>\n</html>\n");
    html
}

/// What all plots share.
fn stage(recording: &Recording, result: &Result<Outcome, Failure>) -> Stage {
    let seconds = |at: Instant| at.as_nanos() as f64 / 1e9;
    let mut end = recording.end;
    match result {
        Ok(outcome) => end = end.max(Instant::ZERO + outcome.simulated),
        Err(failure) => end = end.max(failure.at),
    }
    let steps = recording.notes.iter().filter(|note| note.kind == super::recording::NoteKind::Step);
    let end = seconds(end);
    Stage {
        time: Axis::exact(0.0, end, Unit::Time, 8),
        marks: steps.map(|note| (seconds(note.at), note.text.clone())).collect(),
        cuts: recording
            .cuts
            .iter()
            .map(|cut| {
                let to = cut.to.map_or(end, seconds);
                (seconds(cut.from), to, format!("{} is cut", cut.way))
            })
            .collect(),
        calm: recording.calm.map(seconds),
        // What panics does not say when: behind the last that was heard.
        failure: result.as_ref().err().map(|failure| match failure.oracle.as_str() {
            "panic" | "contract" => end,
            _ => seconds(failure.at),
        }),
    }
}

fn head(html: &mut String, scenario: &Scenario) {
    let _ = write!(
        html,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <title>{}: a run of tripline's simulator</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n",
        escape(&scenario.name)
    );
}

fn title(html: &mut String, scenario: &Scenario, result: &Result<Outcome, Failure>, replay: &str) {
    let _ = write!(
        html,
        "<h1>{}</h1>\n<p class=\"about\">{}</p>\n",
        escape(&scenario.name),
        escape(&scenario.about)
    );
    match result {
        Ok(outcome) => {
            let _ = writeln!(
                html,
                "<div class=\"verdict kept\"><b>Every promise was kept.</b> {}</div>",
                escape(&sentence(outcome))
            );
        }
        Err(failure) => {
            let mut lines = failure.what.lines();
            let first = lines.next().unwrap_or_default();
            let rest: Vec<_> = lines.collect();
            let _ = write!(
                html,
                "<div class=\"verdict broken\"><b>{} failed</b> at {:?}: {}",
                escape(&failure.oracle),
                failure.at,
                escape(first)
            );
            if !rest.is_empty() {
                let _ = write!(html, "<pre>{}</pre>", escape(&rest.join("\n")));
            }
            html.push_str("</div>\n");
        }
    }
    let _ = write!(
        html,
        "<p>Seed {}, {} hosts, {} steps. To play it again:</p><pre>{}</pre>\n<nav>\
         <a href=\"#time\">What happened when</a><a href=\"#connections\">Connections</a>\
         <a href=\"#streams\">Streams</a><a href=\"#network\">Network</a>\
         <a href=\"#packets\">Packets</a><a href=\"#counters\">Counters</a>\
         <a href=\"#scenario\">Scenario</a></nav>\n",
        scenario.seed,
        scenario.hosts.len(),
        scenario.steps.len(),
        escape(replay)
    );
}

/// What a good run came to.
fn sentence(outcome: &Outcome) -> String {
    let (deeds, totals) = (outcome.deeds, outcome.totals);
    format!(
        "In {} of virtual time {} of {} connections came about; {} bytes were handed in (as {} \
         messages or chunks) and {} read (as {}); {} of {} datagrams were dropped. \
         Trace hash {:016x}.",
        words::span(outcome.simulated),
        deeds.connected,
        deeds.connections,
        words::grouped(deeds.sent_bytes),
        words::grouped(deeds.sent),
        words::grouped(deeds.received_bytes),
        words::grouped(deeds.received),
        words::grouped(totals.dropped()),
        words::grouped(totals.offered + totals.copies + totals.injected),
        outcome.trace_hash
    )
}

/// Says what had no room.
fn left_out(html: &mut String, recording: &Recording) {
    let left_out = recording.left_out;
    let all = [
        (left_out.notes, "steps and events"),
        (left_out.samples, "looks at further connections"),
        (left_out.messages, "messages of further streams"),
        (left_out.packets, "packets of further ways"),
    ];
    let all: Vec<_> = all.into_iter().filter(|(count, _)| *count > 0).collect();
    if all.is_empty() {
        return;
    }
    let all: Vec<_> =
        all.into_iter().map(|(count, what)| format!("{} {what}", words::grouped(count))).collect();
    let _ = writeln!(html, "<p>Not shown, for there were too many: {}.</p>", all.join(", "));
}
