//! `serve` and `call`: two processes that ask and answer.

use crate::{LIMIT, Process, Scratch, json, run, run_with};
use rustix::process::Signal;
use std::fs;

/// `serve`, and where.
fn server_of(args: &[&str]) -> (Process, String) {
    let server = Process::start(&[&["serve"], args].concat());
    let line = server.stderr.recv_timeout(LIMIT).expect("the server's first line");
    let address = line.strip_prefix("listening on ").expect("where it listens").to_string();
    (server, address)
}

/// Ends a server in order: nothing is wrong with it.
fn stop(server: Process) {
    server.signal(Signal::TERM);
    let end = server.end();
    assert_eq!(end.code, Some(128 + 15), "{end:?}");
}

/// M22: the same over every scheme, by the address alone.
#[test]
fn m22_calls_are_answered_over_every_scheme() {
    for scheme in ["trip", "trip+tcp", "trip+auto", "tcp", "tls", "udp"] {
        let (server, address) = server_of(&["--echo", &format!("{scheme}://127.0.0.1:0")]);
        assert!(address.starts_with(&format!("{scheme}://")), "{address}");
        let more: &[&str] = if scheme == "tls" { &["--insecure"] } else { &[] };
        let call = |args: &[&str]| run(&[&["call", &address], args, more].concat());
        assert_eq!(call(&["echo", "hello"]).good(), ["hello"]);
        let answer = json(&call(&["#7", r#"{"a": [1]}"#, "--format", "json", "--json"]).good()[0]);
        assert_eq!((&answer["event"], &answer["value"]["a"][0]), (&"answer".into(), &1.into()));
        stop(server);
    }
}

/// A program answers: its input is what was asked, its output the answer, its exit code the
/// application's *no*.
#[test]
fn a_program_answers() {
    let script = r#"case $TRIPLINE_METHOD in
        sum) paste -sd+ | bc 2>/dev/null || awk '{s+=$1} END {print s}';;
        count) wc -c | tr -d ' ';;
        *) echo "no such thing: $TRIPLINE_METHOD" >&2; exit 3;;
    esac"#;
    let (server, address) = server_of(&["tcp://127.0.0.1:0", "--", "sh", "-c", script]);
    assert_eq!(run(&["call", &address, "count", "12345"]).good(), ["5"]);
    let large = "x".repeat(200_000);
    assert_eq!(run_with(&["call", &address, "count"], &large).good(), ["200000"]);
    run(&["call", &address, "what", ""]).bad(1, "code 3: no such thing: what");
    // What it leaves behind holds up nobody, though it holds the program's output.
    let (other, leaves) =
        server_of(&["--jobs", "1", "tcp://127.0.0.1:0", "--", "sh", "-c", "sleep 9 & echo here"]);
    for _ in 0..2 {
        assert_eq!(run(&["call", &leaves, "x", ""]).good(), ["here"]);
    }
    stop(other);
    let scratch = Scratch::new("call");
    let file = scratch.path("input");
    fs::write(&file, "abc").expect("a file");
    assert_eq!(run(&["call", &address, "count", &format!("@{file}")]).good(), ["3"]);
    stop(server);
}

/// A program whose caller waits no longer is ended with all that it has started, and a server that
/// is to end does not wait for it for ever.
#[test]
fn a_program_that_nobody_waits_for_is_ended() {
    let scratch = Scratch::new("abandoned");
    let file = scratch.path("pids");
    let script = format!("echo $$ >> {file}; sleep 1000 & wait");
    let (server, address) =
        server_of(&["--jobs", "2", "tcp://127.0.0.1:0", "--", "sh", "-c", &script]);
    run(&["call", &address, "x", "", "--timeout", "300ms"]).bad(3, "no answer in time");
    let again = Process::start(&["call", &address, "x", "", "--timeout", "60s"]);
    let pids = pids(&file, 2);
    stop(server);
    let end = again.end();
    assert_eq!(end.code, Some(3), "{end:?}");
    assert!(pids.iter().all(|pid| is_gone(pid)), "{pids:?}");
}

/// A second signal ends a server at once, and what it runs as well.
#[test]
fn a_second_signal_ends_programs_too() {
    let scratch = Scratch::new("signals");
    let file = scratch.path("pids");
    let script = format!("sleep 1000 & echo $! >> {file}; echo $$ >> {file}; wait");
    let (server, address) = server_of(&["tcp://127.0.0.1:0", "--", "sh", "-c", &script]);
    let call = Process::start(&["call", &address, "x", "", "--timeout", "60s"]);
    let pids = pids(&file, 2);
    server.signal(Signal::TERM);
    server.signal(Signal::INT);
    let end = server.end();
    assert!(matches!(end.code, Some(130 | 143)), "{end:?}");
    let since = std::time::Instant::now();
    while !pids.iter().all(|pid| is_gone(pid)) {
        assert!(since.elapsed() < LIMIT, "they live");
        std::thread::yield_now();
    }
    call.signal(Signal::INT);
    assert_ne!(call.end().code, Some(0));
}

/// The lines that programs have written to a file, once there are so many.
fn pids(file: &str, count: usize) -> Vec<String> {
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        if text.lines().count() == count {
            return text.lines().map(String::from).collect();
        }
        std::thread::yield_now();
    }
}

/// Whether a process has ended.
fn is_gone(pid: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.is_empty() || state.contains(") Z")
}

/// M30: what is wrong is said in one line, and by the right exit code.
#[test]
fn m30_what_goes_wrong_is_one_line() {
    run(&["call", "nonsense", "x", ""]).bad(2, "an address is SCHEME://HOST:PORT");
    run(&["call", "trip://127.0.0.1:1", "x", ""]).bad(2, "the server's key is missing");
    run(&["call", "tls://127.0.0.1:1", "x", ""]).bad(2, "--insecure");
    run(&["call", "tcp://127.0.0.1:1", "x", ""]).bad(3, "nobody listens there");
    run(&["call", "tcp://127.0.0.1:1", "x", "{", "--format", "json"]).bad(2, "no JSON");
    run(&["serve", "tcp://example.org:1", "--echo"]).bad(2, "a name is no place to listen at");
    run(&["serve", "tcp://127.0.0.1:0"]).bad(2, "COMMAND");
    let key = run(&["keygen", "--json"]).good();
    let key = json(&key[0])["public"].as_str().expect("a key").to_string();
    run(&["serve", "--echo", "tcp://127.0.0.1:0", "--allow", &key]).bad(2, "for trip addresses");
    let (server, address) = server_of(&["--echo", "--method", "this", "tcp://127.0.0.1:0"]);
    run(&["call", &address, "that", ""]).bad(3, "that is not served here");
    run(&["call", &address, "#99999", ""]).bad(2, "no number from #0 to #65535");
    run(&["serve", "--echo", &address]).bad(1, "cannot serve at");
    stop(server);
}
