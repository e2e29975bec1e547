//! The real binary, end to end over loopback: what a user sees, exit codes and lines on stderr.
//!
//! Ports are the system's choice: each server's first line says where it listens. Nothing sleeps;
//! a watchdog ends what hangs.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Longer than any timeout of the commands under test.
const WATCHDOG: Duration = Duration::from_secs(60);

fn tripline() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A directory of its own, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tripline-cli-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Waits for a child's end; kills it, and fails, if that does not come.
fn finish(child: Child) -> Output {
    let id = child.id();
    let (done, news) = channel();
    thread::spawn(move || done.send(child.wait_with_output()));
    match news.recv_timeout(WATCHDOG) {
        Ok(output) => output.unwrap(),
        Err(RecvTimeoutError::Timeout) => {
            signal(id, "KILL");
            panic!("a command hung; it said {:?}", news.recv().map(|output| output.unwrap()));
        }
        Err(error) => panic!("{error}"),
    }
}

fn run(command: &mut Command) -> Output {
    finish(command.spawn().unwrap())
}

fn signal(id: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &id.to_string()]).status();
    assert!(status.unwrap().success());
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// It failed with this code and one clear line that holds `needle`.
fn assert_fails(output: &Output, code: i32, needle: &str) {
    let line = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.contains(needle), "{line}");
}

/// A serving command and the address that its first line tells.
struct Server {
    child: Child,
    address: String,
    stdout: Option<BufReader<ChildStdout>>,
}

impl Server {
    fn receive(folder: &Folder, once: bool) -> Self {
        let mut command = tripline();
        command.args(["receive", "127.0.0.1:0", "--into"]).arg(&folder.0);
        Self::start(if once { command.arg("--once") } else { &mut command })
    }

    fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").expect(&line).to_owned();
        Self { child, address, stdout: Some(stdout) }
    }

    /// The rest of its stdout, its stderr and exit code.
    fn finish(mut self) -> (String, Output) {
        let mut stdout = self.stdout.take().unwrap();
        let reader = thread::spawn(move || {
            let mut rest = String::new();
            stdout.read_to_string(&mut rest).map(|_| rest)
        });
        let output = finish(self.child);
        (reader.join().unwrap().unwrap(), output)
    }
}

/// Bytes that no compression or repetition could fake.
fn contents(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..len.div_ceil(8)).flat_map(|_| next()).take(len).collect()
}

fn send(file: &Path, address: &str) -> Output {
    run(tripline().arg("send").arg(file).arg(address))
}

#[test]
fn keys_are_made_printed_and_guarded() {
    let folder = Folder::new();
    let path = folder.file("key");
    let made = run(tripline().arg("keygen").arg(&path));
    assert!(made.status.success());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let shown = run(tripline().arg("pubkey").arg(&path));
    assert_eq!(made.stdout, shown.stdout);
    assert!(text(&shown.stdout).starts_with("tpub1"));
    assert_fails(&run(tripline().arg("keygen").arg(&path)), 1, "File exists");
    let json = run(tripline().args(["keygen", "--json"]));
    let keys: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(keys["secret"].as_str().unwrap().starts_with("tsec1"));
    fs::write(&path, "tpub1nonsense").unwrap();
    assert_fails(&run(tripline().arg("pubkey").arg(&path)), 1, "the key from");
}

#[test]
fn completions_man_and_usage() {
    assert!(text(&run(tripline().args(["completions", "bash"])).stdout).contains("tripline"));
    assert!(text(&run(tripline().arg("man")).stdout).contains(".TH"));
    assert_fails(&run(tripline().arg("--no-such-flag")), 2, "unexpected argument");
    assert_fails(&run(tripline().args(["connect", "not-an-address"])), 2, "KEY@HOST:PORT");
    let bad_time = ["ping", "x", "--timeout", "yesterday"];
    assert_eq!(run(tripline().args(bad_time)).status.code(), Some(2));
}

#[test]
fn the_demo_ends_well_and_its_json_parses() {
    let output = run(tripline().args(["demo", "--json"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let figures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(figures.is_object());
}

#[test]
fn a_pipe_carries_both_directions() {
    let mut listener =
        tripline().args(["listen", "127.0.0.1:0"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(listener.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
    let (there, back) = (contents(1 << 20, 1), contents(300_000, 2));
    let feed = |child: &mut Child, data: &[u8]| {
        let (mut stdin, data) = (child.stdin.take().unwrap(), data.to_vec());
        thread::spawn(move || stdin.write_all(&data).unwrap());
    };
    feed(&mut listener, &back);
    let mut client = tripline().arg("connect").arg(&address).stdin(Stdio::piped()).spawn().unwrap();
    feed(&mut client, &there);
    let (client, listener) = (finish(client), finish(listener));
    assert!(client.status.success() && listener.status.success(), "{}", text(&client.stderr));
    assert!(client.stdout == back && listener.stdout == there);
}

/// 50 MiB from one process to another, and what both say of it.
#[test]
fn a_file_of_50_mib_arrives_intact() {
    let (from, into) = (Folder::new(), Folder::new());
    let (path, data) = (from.file("big.bin"), contents(50 << 20, 3));
    fs::write(&path, &data).unwrap();
    let server = Server::receive(&into, true);
    let sent = send(&path, &server.address);
    let (stored, received) = server.finish();
    assert!(sent.status.success(), "{}", text(&sent.stderr));
    assert!(received.status.success(), "{}", text(&received.stderr));
    let sum = |line: &str| line.split_whitespace().next().unwrap().to_owned();
    assert_eq!(sum(text(&sent.stdout)), sum(&stored));
    assert!(fs::read(into.file("big.bin")).unwrap() == data);
    assert_eq!(into.names(), ["big.bin"]);
}

#[test]
fn names_that_are_taken_are_left_alone() {
    let (from, into) = (Folder::new(), Folder::new());
    let server = Server::receive(&into, false);
    for contents in ["one", "two", ""] {
        fs::write(from.file("x.bin"), contents).unwrap();
        let sent = send(&from.file("x.bin"), &server.address);
        assert!(sent.status.success(), "{}", text(&sent.stderr));
    }
    signal(server.child.id(), "TERM");
    let (_, ended) = server.finish();
    assert_eq!(ended.status.code(), Some(128 + 15));
    assert_eq!(into.names(), ["x (1).bin", "x (2).bin", "x.bin"]);
    assert_eq!(fs::read_to_string(into.file("x.bin")).unwrap(), "one");
    assert_eq!(fs::read_to_string(into.file("x (1).bin")).unwrap(), "two");
}

/// SIGINT to the receiver in the middle of a file leaves nothing behind, and the sender hears of
/// it.
#[test]
fn an_interrupted_file_leaves_nothing_behind() {
    let (from, into) = (Folder::new(), Folder::new());
    let fifo = from.file("endless");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let server = Server::receive(&into, true);
    let sender = tripline().arg("send").arg(&fifo).arg(&server.address).spawn().unwrap();
    // Opening blocks until the sender has opened its end; then the file stays unfinished.
    let mut writer = fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    writer.write_all(&contents(1 << 20, 4)).unwrap();
    while into.names().is_empty() {
        thread::yield_now();
    }
    assert!(into.names()[0].ends_with(".part"));
    signal(server.child.id(), "INT");
    let (_, ended) = server.finish();
    assert_eq!(ended.status.code(), Some(128 + 2));
    assert_eq!(into.names(), [""; 0]);
    drop(writer);
    assert_fails(&finish(sender), 1, "sending");
}

/// A server that is killed in the middle: the client gives up by itself.
#[test]
fn a_killed_server_is_noticed() {
    let (from, into) = (Folder::new(), Folder::new());
    let fifo = from.file("endless");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let server = Server::receive(&into, true);
    let sender = tripline().arg("send").arg(&fifo).arg(&server.address).spawn().unwrap();
    let mut writer = fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    writer.write_all(&contents(1 << 20, 5)).unwrap();
    while into.names().is_empty() {
        thread::yield_now();
    }
    signal(server.child.id(), "KILL");
    server.finish();
    drop(writer);
    assert_fails(&finish(sender), 1, "idle limit");
}

/// M02, M30, T06, T13: each failure is one line of readable text and a code, a listener's too.
#[test]
fn what_goes_wrong_is_said_in_one_line() {
    let (from, into) = (Folder::new(), Folder::new());
    let path = from.file("f");
    fs::write(&path, contents(300_000, 6)).unwrap();
    let server = Server::receive(&into, false);
    let place = server.address.split_once('@').unwrap().1.to_owned();
    let other = run(tripline().arg("keygen")).stdout;
    let mut pubkey = tripline().arg("pubkey").stdin(Stdio::piped()).spawn().unwrap();
    pubkey.stdin.take().unwrap().write_all(&other).unwrap();
    let other = finish(pubkey).stdout;
    let other = text(&other).trim();
    let connect = |address: &str| run(tripline().args(["ping", address, "--timeout", "1s"]));

    assert_fails(&connect(&format!("{other}@{place}")), 1, "does not hold the expected key");
    assert_fails(&connect(&format!("{other}@127.0.0.1:9")), 1, "timed out");
    assert_fails(&connect(&format!("{other}@no-such-host.invalid:9")), 1, "cannot resolve");
    let refused = run(tripline().args(["connect", &server.address]));
    assert_fails(&refused, 1, "does not offer that service");
    assert_fails(&send(&from.0, &server.address), 1, "it is a directory");
    assert_fails(&send(&from.file("missing"), &server.address), 1, "No such file");
    let nowhere = run(tripline().args(["receive", "127.0.0.1:0", "--into", "/no/such/folder"]));
    assert_fails(&nowhere, 1, "not a directory");
    let taken = run(tripline().args(["listen", &place]));
    assert_fails(&taken, 1, "in use");
    let ping = run(tripline().args(["ping", &server.address, "-c", "3", "-i", "10ms", "--json"]));
    let summary: serde_json::Value = serde_json::from_slice(&ping.stdout).unwrap();
    assert_eq!(summary["lost"], 0);
    signal(server.child.id(), "TERM");
    server.finish();
    assert_eq!(into.names(), [""; 0]);
}

/// A disk that is full (here: a limit on file sizes) fails the file on both sides, and leaves
/// nothing.
#[test]
fn a_full_disk_fails_the_file_on_both_sides() {
    let (from, into) = (Folder::new(), Folder::new());
    fs::write(from.file("f"), contents(1 << 20, 7)).unwrap();
    let script = "ulimit -f 64; exec \"$0\" receive 127.0.0.1:0 --into \"$1\" --once";
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_tripline")]).arg(&into.0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let server = Server::start(&mut command);
    let sent = send(&from.file("f"), &server.address);
    assert_fails(&sent, 1, "the receiver says");
    let (_, received) = server.finish();
    assert_fails(&received, 1, "storing f");
    assert_eq!(into.names(), [""; 0]);
}
