//! The whole page: complete, well formed, self-contained, and the same for the same run.

use super::*;
use crate::play::{Watcher, play, play_with};
use crate::record::fixture::Transfer;
use crate::record::{Capture, Several, Trace};
use std::cell::RefCell;
use std::rc::Rc;

fn page(seed: u64) -> String {
    let transfer = Transfer::new(seed);
    let mut recording = Recording::new(&transfer.scenario);
    let (scenario, outcome) = transfer.run(&mut recording);
    report(&recording, &scenario, &Ok(outcome), "tripline sim play tunnel.toml")
}

/// Every tag that is opened is closed in order, and no text looks like a tag.
fn assert_well_formed(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    let body = html.split_once("<body>").unwrap().1;
    let (body, _) = body.split_once("<script>").unwrap();
    for piece in body.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap_or_else(|| panic!("no end: {piece}"));
        assert!(!text.contains('>'), "unescaped: {piece}");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "closed: {piece}");
        } else if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

#[test]
fn a_page_is_complete_and_needs_nothing_else() {
    let html = page(7);
    // To look at it: `REPORT=page.html cargo nextest run -p tripline-sim a_page_is_complete`.
    if let Some(path) = std::env::var_os("REPORT") {
        std::fs::write(path, &html).unwrap();
    }
    assert_well_formed(&html);
    for wanted in [
        "Every promise was kept.",
        "tripline sim play tunnel.toml",
        "Goodput",
        "Round-trip time at phone, client",
        "Congestion window of phone, client",
        "Losses and marks of phone, client",
        "Pacing rate",
        "Zone (generation of keys)",
        "Datagram size",
        "phone → server",
        "Drops by cause",
        "Streams of c",
        "and &lt;loses&gt; the network",
        "OPEN",
        "renew c",
        "prefers-color-scheme",
    ] {
        assert!(html.contains(wanted), "{wanted}");
    }
    for foreign in ["src=", "href=\"http", "@import", "url("] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    assert!(html.len() < 4_000_000, "{}", html.len());
}

#[test]
fn the_same_run_gives_the_same_page() {
    assert!(page(3) == page(3));
    assert!(page(3) != page(4));
}

#[test]
fn a_failure_stands_on_top_whatever_is_in_it() {
    let transfer = Transfer::new(1);
    let recording = Recording::new(&transfer.scenario);
    let failure = Failure {
        oracle: "I11".into(),
        at: Instant::from_nanos(1_500_000_000),
        what: "message 7 came twice\n<script>alert(1)</script>".into(),
    };
    let html = report(&recording, &transfer.scenario, &Err(failure), "x & y");
    assert_well_formed(&html);
    assert!(html.contains("<b>I11 failed</b> at 1.500000000s: message 7 came twice"), "{html}");
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(html.contains("x &amp; y"));
    for empty in ["No packet was sent.", "No connection came about.", "Nothing was sent on"] {
        assert!(html.contains(empty), "{empty}");
    }
    assert!(html.contains("the run failed"));
}

/// A run of the player: its packets are told by their frames.
#[test]
fn a_scenario_played_has_frames_in_its_records() {
    let scenario = Transfer::new(2).scenario;
    let recording = Rc::new(RefCell::new(Recording::new(&scenario)));
    let trace = Rc::new(RefCell::new(Trace::new(Vec::new())));
    let capture = Rc::new(RefCell::new(Capture::new(Vec::new(), &scenario)));
    let all: Vec<Rc<RefCell<dyn Watcher>>> =
        vec![recording.clone(), trace.clone(), capture.clone()];
    let watched = play_with(&scenario, &Rc::new(RefCell::new(Several::new(all))));
    assert_eq!(watched, play(&scenario), "watching changed the run");
    let html = report(&recording.borrow(), &scenario, &watched, "tripline sim play x.toml");
    assert_well_formed(&html);
    let trace = Rc::into_inner(trace).unwrap().into_inner().finish().unwrap();
    let trace = String::from_utf8(trace).unwrap();
    let capture = Rc::into_inner(capture).unwrap().into_inner().finish().unwrap();
    let capture = String::from_utf8_lossy(&capture);
    for frame in ["STREAM c0", "ACK 0", "PING", "RENEW zone 1", "RENEW_CONFIRM zone 1"] {
        assert!(html.contains(frame), "page: {frame}");
        assert!(trace.contains(frame), "trace: {frame}");
        assert!(capture.contains(frame), "capture: {frame}");
    }
    assert!(!trace.contains("illegal"), "{trace}");
}
