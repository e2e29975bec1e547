//! The binary `tripline` as its users run it: two processes, real sockets, files, signals.
//!
//! Servers listen on port 0 and say where; tests wait for lines and for ends of processes, never
//! for a time. Every wait has a limit, and a test that panics leaves no process behind.

mod calls;
mod sim;

use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};
use tripline_sansio::Seed;

const TRIPLINE: &str = env!("CARGO_BIN_EXE_tripline");
/// No test waits longer than this for anything.
const LIMIT: Duration = Duration::from_secs(120);

/// A directory that goes when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("in")).expect("a directory");
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_string()
    }

    /// What the directory `in` holds, hidden files included.
    fn received(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.join("in")).expect("the directory");
        let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<_> =
            entries.map(|entry| name(entry).into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process whose output is collected line by line.
struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

/// How a process ended: exit code, and what it said that was not read before.
#[derive(Debug)]
struct End {
    code: Option<i32>,
    stdout: Vec<String>,
    stderr: Vec<String>,
}

impl Process {
    fn start(args: &[&str]) -> Self {
        Self::spawn(Command::new(TRIPLINE).args(args))
    }

    fn spawn(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let stdout = lines(child.stdout.take().expect("piped"));
        let stderr = lines(child.stderr.take().expect("piped"));
        Self { stdin: child.stdin.take(), child, stdout, stderr }
    }

    /// Writes to its standard input and ends it.
    fn say(&mut self, text: &str) {
        let mut stdin = self.stdin.take().expect("not ended yet");
        stdin.write_all(text.as_bytes()).expect("it reads");
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Its end, standard input being at its end.
    fn end(mut self) -> End {
        drop(self.stdin.take());
        let stdout = self.rest(&self.stdout);
        let stderr = self.rest(&self.stderr);
        let code = self.child.wait().expect("it ran").code();
        End { code, stdout, stderr }
    }

    fn rest(&self, lines: &Receiver<String>) -> Vec<String> {
        let until = Instant::now() + LIMIT;
        let mut all = Vec::new();
        loop {
            match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => all.push(line),
                Err(RecvTimeoutError::Disconnected) => return all,
                Err(RecvTimeoutError::Timeout) => panic!("it hangs, having said {all:?}"),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Runs to the end with this standard input.
fn run_with(args: &[&str], input: &str) -> End {
    let mut process = Process::start(args);
    process.say(input);
    process.end()
}

fn run(args: &[&str]) -> End {
    run_with(args, "")
}

impl End {
    /// It went well and said nothing on standard error; what it said on standard output.
    #[track_caller]
    fn good(self) -> Vec<String> {
        assert_eq!((self.code, self.stderr.len()), (Some(0), 0), "{self:?}");
        self.stdout
    }

    /// It failed with this code and one line on standard error that contains this.
    #[track_caller]
    fn bad(self, code: i32, wanted: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stderr.len(), 1, "{self:?}");
        assert!(self.stderr[0].contains(wanted), "{wanted:?} is not in {self:?}");
        assert!(self.stderr[0].starts_with("tripline: "), "{self:?}");
    }
}

/// The `KEY@ADDR` in the first line of a server.
#[track_caller]
fn invitation(lines: &Receiver<String>) -> String {
    let line = lines.recv_timeout(LIMIT).expect("the server's first line");
    line.strip_prefix("listening on ").expect("where it listens").to_string()
}

fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// `receive` into `in`, and where it listens.
fn receiver(scratch: &Scratch, more: &[&str]) -> (Process, String) {
    let into = scratch.path("in");
    let server = Process::start(&[&["receive", "127.0.0.1:0", "--into", &into], more].concat());
    let at = invitation(&server.stdout);
    (server, at)
}

/// `listen`, and where it listens.
fn listener(more: &[&str]) -> (Process, String) {
    let server = Process::start(&[&["listen", "127.0.0.1:0"], more].concat());
    let at = invitation(&server.stderr);
    (server, at)
}

/// A file of seeded random bytes; its checksum.
fn random_file(path: &str, seed: u64, mib: usize) -> String {
    let mut random = Seed::from_number(seed).random("file");
    let mut hash = Sha256::new();
    let mut file = File::create(path).expect("a file");
    for _ in 0..mib {
        let mut block = Vec::with_capacity(1 << 20);
        while block.len() < 1 << 20 {
            block.extend_from_slice(&random.bytes::<4096>());
        }
        hash.update(&block);
        file.write_all(&block).expect("it is written");
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file so large that no transfer of it can end by itself, and that takes no space.
fn endless_file(path: &str) {
    File::create(path).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
}

fn sum_of(path: &str) -> String {
    let mut hash = Sha256::new();
    let mut file = File::open(path).expect("the file is there");
    let mut block = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut block).expect("it reads");
        if read == 0 {
            return hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        }
        hash.update(&block[..read]);
    }
}

/// An endless transfer that has begun: the receiver, the sender.
fn under_way(scratch: &Scratch, patience: &[&str]) -> (Process, Process) {
    let (into, file) = (scratch.path("in"), scratch.path("endless"));
    endless_file(&file);
    let args = ["--json", "receive", "127.0.0.1:0", "--into", &into, "--once"];
    let server = Process::start(&[&args, patience].concat());
    let first = json(&server.stdout.recv_timeout(LIMIT).expect("the first line"));
    let at = format!("{}@{}", first["key"].as_str().unwrap(), first["address"].as_str().unwrap());
    let client = Process::start(&[&["send", &file, &at], patience].concat());
    let second = json(&server.stdout.recv_timeout(LIMIT).expect("the transfer begins"));
    assert_eq!((&second["event"], &second["name"]), (&"receiving".into(), &"endless".into()));
    (server, client)
}

/// T17, N59: a key is made by one command.
#[test]
fn t17_keygen_writes_a_private_file_and_never_overwrites() {
    let scratch = Scratch::new("keygen");
    let file = scratch.path("key");
    let public = run(&["keygen", &file]).good();
    assert!(public[0].starts_with("tpub1"), "{public:?}");
    let mode = fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(run(&["pubkey", &file]).good(), public);

    let text = fs::read_to_string(&file).expect("the key");
    run(&["keygen", &file]).bad(1, "--force");
    assert_eq!(fs::read_to_string(&file).expect("the key"), text);

    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("permissions");
    let new = run(&["keygen", &file, "--force"]).good();
    assert_ne!(new, public);
    let mode = fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fs::read_dir(&scratch.0).expect("the directory").count(), 2, "key and in");
}

#[test]
fn t17_keys_are_printable_and_pubkey_reads_them_back() {
    let made = run(&["--json", "keygen"]).good();
    let made = json(&made[0]);
    let secret = made["secret"].as_str().expect("a secret key");
    assert!(secret.starts_with("tsec1"));
    let shown = run_with(&["pubkey", "-"], &format!("# a comment\n\n{secret}\n")).good();
    assert_eq!(shown[0], made["public"].as_str().expect("a public key"));

    let end = run_with(&["pubkey"], &secret.replace("tsec1", "tpub1"));
    assert!(!format!("{end:?}").contains(&secret[5..]), "no part of a key is repeated");
    end.bad(1, "this is a public key, where a secret key");
}

#[test]
fn listen_and_connect_carry_both_directions_to_their_ends() {
    let (mut server, at) = listener(&[]);
    let mut client = Process::start(&["connect", &at]);
    // The client's direction ends first; the server still has something to say.
    client.say("from the client\nin two lines\n");
    let heard: Vec<_> =
        (0..2).map(|_| server.stdout.recv_timeout(LIMIT).expect("a line")).collect();
    assert_eq!(heard, ["from the client", "in two lines"]);
    server.say("from the server\n");
    assert_eq!(client.end().good(), ["from the server"]);
    assert_eq!(server.end().good(), Vec::<String>::new());
}

#[test]
fn a_pipe_carries_more_than_all_buffers_hold() {
    let (_server, at) = listener(&["--echo"]);
    let line = "0123456789abcde".repeat(64);
    let count = 20_000;
    let mut client = Process::start(&["connect", &at]);
    let mut stdin = client.stdin.take().expect("piped");
    let text = line.clone();
    let writer = thread::spawn(move || {
        for _ in 0..count {
            writeln!(stdin, "{text}").expect("it reads");
        }
    });
    let back = client.end().good();
    writer.join().expect("all was written");
    assert_eq!(back.len(), count);
    assert!(back.iter().all(|one| *one == line));
}

#[test]
fn a_file_of_50_mib_arrives_as_it_was() {
    let scratch = Scratch::new("fifty");
    let file = scratch.path("big.bin");
    let sum = random_file(&file, 50, 50);
    let (server, at) = receiver(&scratch, &["--once"]);
    let sent = run(&["send", &file, &at]).good();
    assert!(sent[0].contains(&sum), "seed 50: {sent:?}");
    let received = server.end().good();
    assert!(received[0].contains(&sum), "seed 50: {received:?}");
    assert_eq!(scratch.received(), ["big.bin"]);
    assert_eq!(sum_of(&scratch.path("in/big.bin")), sum, "seed 50");
}

#[test]
fn files_of_one_name_do_not_overwrite_each_other() {
    let scratch = Scratch::new("names");
    let file = scratch.path("same.txt");
    fs::write(scratch.path("in/same.txt"), "here before").expect("a file");
    fs::write(&file, "new").expect("a file");
    let empty = scratch.path("empty");
    fs::write(&empty, "").expect("a file");
    let (server, at) = receiver(&scratch, &["--once"]);
    let sent = run(&["send", &file, &file, &empty, &at]).good();
    assert!(sent[0].contains("as same (1).txt") && sent[1].contains("as same (2).txt"), "{sent:?}");
    assert_eq!(server.end().good().len(), 3);
    assert_eq!(scratch.received(), ["empty", "same (1).txt", "same (2).txt", "same.txt"]);
    let content = |name: &str| fs::read_to_string(scratch.path(name)).expect("a file");
    assert_eq!(content("in/same.txt"), "here before");
    assert_eq!(content("in/same (1).txt"), "new");
    assert_eq!(content("in/empty"), "");
}

/// R-CLOSE-7: a signal ends a server of `perf` in order: its client is told why.
#[test]
fn a_signal_ends_a_perf_server_in_order() {
    let server = Process::start(&["perf", "server", "127.0.0.1:0"]);
    let at = server.stdout.recv_timeout(LIMIT).expect("where it listens");
    let client = Process::start(&["perf", "client", &at, "--duration", "60s"]);
    client.stderr.recv_timeout(LIMIT).expect("it is at work");
    server.signal(Signal::TERM);
    let end = server.end();
    assert_eq!(end.code, Some(143), "{end:?}");
    let end = client.end();
    let last = end.stderr.last().cloned().unwrap_or_default();
    assert_eq!(end.code, Some(3), "{end:?}");
    assert!(last.contains("shutting down (14)") && last.contains("is ending"), "{last}");
}

#[test]
fn many_senders_are_served_one_after_the_other_and_at_once() {
    let scratch = Scratch::new("many");
    let file = scratch.path("a.bin");
    random_file(&file, 3, 3);
    let (server, at) = receiver(&scratch, &[]);
    let clients: Vec<_> = (0..3).map(|_| Process::start(&["send", &file, &at])).collect();
    for client in clients {
        client.end().good();
    }
    assert_eq!(scratch.received(), ["a (1).bin", "a (2).bin", "a.bin"]);
    server.signal(Signal::TERM);
    server.end().bad(143, "SIGTERM");
}

#[test]
fn sigint_of_the_receiver_leaves_no_partial_file() {
    let scratch = Scratch::new("int-receiver");
    let (server, client) = under_way(&scratch, &[]);
    server.signal(Signal::INT);
    let end = server.end();
    assert_eq!(end.code, Some(130), "{end:?}");
    client.end().bad(3, "the other side gave up: interrupted by SIGINT");
    assert_eq!(scratch.received(), Vec::<String>::new());
}

#[test]
fn sigint_of_the_sender_leaves_no_partial_file() {
    let scratch = Scratch::new("int-sender");
    let (server, client) = under_way(&scratch, &[]);
    client.signal(Signal::INT);
    client.end().bad(130, "interrupted by SIGINT");
    let end = server.end();
    assert_eq!((end.code, end.stderr.len()), (Some(3), 1), "{end:?}");
    assert_eq!(scratch.received(), Vec::<String>::new());
}

#[test]
fn a_killed_sender_is_noticed_and_its_partial_file_goes() {
    let scratch = Scratch::new("kill-sender");
    let (server, client) = under_way(&scratch, &["--idle-timeout", "1s"]);
    client.signal(Signal::KILL);
    let end = server.end();
    assert_eq!((end.code, end.stderr.len()), (Some(3), 1), "{end:?}");
    assert!(end.stderr[0].contains("idle"), "{end:?}");
    assert_eq!(scratch.received(), Vec::<String>::new());
}

/// M03: the end is told, and why.
#[test]
fn a_killed_receiver_is_noticed() {
    let scratch = Scratch::new("kill-receiver");
    let (server, client) = under_way(&scratch, &["--idle-timeout", "1s"]);
    server.signal(Signal::KILL);
    client.end().bad(3, "connection lost");
    // What a killed process leaves is hidden, and never has the final name.
    assert!(scratch.received().iter().all(|name| name.starts_with(".endless.part-")));
}

#[test]
fn t06_a_wrong_key_fails_within_the_timeout() {
    let (_server, at) = listener(&[]);
    let other = json(&run(&["--json", "keygen"]).good()[0]);
    let (_, address) = at.split_once('@').expect("KEY@ADDR");
    let wrong = format!("{}@{address}", other["public"].as_str().expect("a key"));
    run(&["connect", &wrong, "--timeout", "500ms"]).bad(3, "expected key");
}

#[test]
fn t03_a_port_without_a_server_fails_within_the_timeout() {
    // Bound and silent, so that nobody else can answer there.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let key = json(&run(&["--json", "keygen"]).good()[0]);
    let key = key["public"].as_str().expect("a key");
    let at = format!("{key}@{}", silent.local_addr().expect("its address"));
    run(&["connect", &at, "--timeout", "300ms"]).bad(3, "timed out while opening");
    drop(silent);
    run(&["connect", &at, "--timeout", "300ms"]).bad(3, "timed out while opening");
}

#[test]
fn t02_a_name_without_an_address_fails_within_the_timeout() {
    let key = json(&run(&["--json", "keygen"]).good()[0]);
    let at = format!("{}@nobody.invalid:4000", key["public"].as_str().expect("a key"));
    run(&["connect", &at, "--timeout", "2s"]).bad(3, "resolv");
}

/// T13, T15: the reason that the server gives reaches the client's user.
#[test]
fn t13_t15_a_client_of_another_service_is_refused_with_a_reason() {
    let scratch = Scratch::new("refused");
    let (_server, at) = receiver(&scratch, &[]);
    run(&["connect", &at]).bad(3, "the service here is files");
}

#[test]
fn t17_a_private_server_is_silent_to_strangers() {
    let scratch = Scratch::new("private");
    let (mine, theirs) = (scratch.path("mine"), scratch.path("theirs"));
    let public = run(&["keygen", &mine]).good().remove(0);
    run(&["keygen", &theirs]).good();
    let (_server, at) = listener(&["--echo", "--allow", &public]);
    let short = ["--timeout", "500ms"];
    run(&[&["connect", &at][..], &short].concat()).bad(3, "timed out");
    run(&[&["connect", &at, "--identity", &theirs][..], &short].concat()).bad(3, "timed out");
    let heard = run_with(&["connect", &at, "--identity", &mine], "let me in\n").good();
    assert_eq!(heard, ["let me in"]);
}

#[test]
fn a_wrong_command_line_is_told_in_one_line() {
    let key = json(&run(&["--json", "keygen"]).good()[0]);
    let key = key["public"].as_str().expect("a key");
    let (no_port, bad_port) = (format!("{key}@localhost"), format!("{key}@localhost:65536"));
    let good = format!("{key}@localhost:4000");
    let cases: &[(&[&str], &str)] = &[
        (&[], "see tripline --help"),
        (&["fly"], "unrecognized subcommand"),
        (&["listen"], "required arguments were not provided"),
        (&["listen", "localhost"], "HOST:PORT"),
        (&["listen", "127.0.0.1:0", "--fast"], "unexpected argument"),
        (&["connect", "localhost:4000"], "KEY@HOST:PORT"),
        (&["connect", "tpub1abc@localhost:4000"], "characters"),
        (&["connect", &no_port], "HOST:PORT"),
        (&["connect", &bad_port], "port"),
        (&["ping", &good, "--interval", "0s"], "at least 1ms"),
        (&["ping", &good, "--size", "1"], "8 to 64KiB"),
        (&["receive", "127.0.0.1:0"], "--into"),
        (&["receive", "127.0.0.1:0", "--into", ".", "--max-size", "1mb"], "unknown unit"),
        (&["completions", "cmd.exe"], "possible values"),
    ];
    for (args, wanted) in cases {
        run(args).bad(2, wanted);
    }
}

/// M02, M30: what fails on this machine is one line of readable text and a code, a listener's too.
#[test]
fn what_cannot_be_read_or_written_is_told_in_one_line() {
    let scratch = Scratch::new("unreadable");
    let (_server, at) = receiver(&scratch, &[]);
    let (directory, missing) = (scratch.path("in"), scratch.path("missing"));
    run(&["send", &directory, &at]).bad(1, "it is a directory");
    run(&["send", &missing, &at]).bad(1, "No such file");
    run(&["send", "/dev/null", &at]).bad(1, "no regular file");
    // This one opens, and its first read fails.
    run(&["send", "/proc/self/mem", &at]).bad(1, "Input/output error");
    run(&["send", "/proc/self/status", &at]).bad(1, "its size is not known");
    run(&["receive", "127.0.0.1:0", "--into", &missing]).bad(1, "No such file");
    run(&["listen", "192.0.2.1:0"]).bad(1, "cannot listen at");
    let (_, taken) = at.split_once('@').expect("KEY@ADDR");
    run(&["listen", taken]).bad(1, "Address already in use");
    run(&["listen", "127.0.0.1:0", "--key", &directory]).bad(1, "cannot read the secret key");
    assert_eq!(scratch.received(), Vec::<String>::new());
}

#[test]
fn a_full_disk_is_told_on_both_sides() {
    let scratch = Scratch::new("full");
    let (into, file) = (scratch.path("in"), scratch.path("large.bin"));
    random_file(&file, 1, 4);
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -f 1000 && exec \"$@\"", "sh", TRIPLINE, "receive", "127.0.0.1:0"]);
    let server = Process::spawn(shell.args(["--into", &into, "--once"]));
    let at = invitation(&server.stdout);
    let end = run(&["send", &file, &at]);
    assert!(!format!("{end:?}").contains(&into), "our paths are none of the sender's business");
    end.bad(3, "it cannot be written: File too large");
    server.end().bad(1, "it cannot be written: File too large");
    assert_eq!(scratch.received(), Vec::<String>::new());
}

#[test]
fn a_file_above_the_limit_is_refused() {
    let scratch = Scratch::new("limit");
    let file = scratch.path("large.bin");
    random_file(&file, 2, 2);
    let (server, at) = receiver(&scratch, &["--once", "--max-size", "1MiB"]);
    run(&["send", &file, &at]).bad(3, "1.00 MiB is the limit");
    server.end().bad(1, "is the limit");
    assert_eq!(scratch.received(), Vec::<String>::new());
}

#[test]
fn ping_counts_and_measures() {
    let scratch = Scratch::new("ping");
    let (_server, at) = receiver(&scratch, &[]);
    let lines = run(&["ping", &at, "-c", "3", "-i", "5ms"]).good();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[3].starts_with("3 sent, 3 received, 0.0% lost"), "{lines:?}");

    let lines = run(&["--json", "ping", &at, "-c", "2", "-i", "5ms", "--size", "8KiB"]).good();
    let summary = json(&lines[2]);
    assert_eq!((&summary["sent"], &summary["received"]), (&2.into(), &2.into()), "{summary}");
    assert!(summary["min_ms"].as_f64() <= summary["max_ms"].as_f64(), "{summary}");
    assert_eq!(json(&lines[0])["bytes"], 8192);
}

#[test]
fn json_is_json_from_the_first_line_to_the_error() {
    let scratch = Scratch::new("json");
    let (into, file) = (scratch.path("in"), scratch.path("a \"b\".txt"));
    fs::write(&file, "content").expect("a file");
    let server = Process::start(&["--json", "receive", "localhost:0", "--into", &into, "--once"]);
    let first = json(&server.stdout.recv_timeout(LIMIT).expect("the first line"));
    let at = format!("{}@{}", first["key"].as_str().unwrap(), first["address"].as_str().unwrap());
    let sent = run(&["send", &file, &at, "--json"]).good();
    let sent = json(&sent[0]);
    let received: Vec<_> = server.end().good().iter().map(|line| json(line)).collect();
    assert_eq!(received.len(), 2, "{received:?}");
    assert_eq!(
        (&received[0]["event"], &received[1]["event"]),
        (&"receiving".into(), &"received".into())
    );
    assert_eq!((&sent["name"], &sent["bytes"]), (&"a \"b\".txt".into(), &7.into()));
    assert_eq!(sent["sha256"], received[1]["sha256"]);

    let end = run(&["send", &file, "nowhere", "--json"]);
    assert_eq!(end.code, Some(2));
    assert_eq!(json(&end.stderr[0])["exit_code"], 2);
}

#[test]
fn a_reader_that_leaves_ends_a_command_quietly() {
    let (_server, at) = listener(&["--echo"]);
    let mut command = Command::new(TRIPLINE);
    command.args(["connect", &at]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("the binary starts");
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("piped");
    writeln!(stdin, "comes back").expect("it reads");
    let stderr = lines(child.stderr.take().expect("piped"));
    let process = Process { child, stdin: Some(stdin), stdout: channel().1, stderr };
    let said = process.rest(&process.stderr);
    assert_eq!(said, Vec::<String>::new());
    assert_eq!(process.end().code, Some(141));
}

#[test]
fn the_demo_ends_well_and_its_json_parses() {
    let lines = run(&["demo", "--json"]).good();
    assert!(json(&lines.join("\n")).is_object());
}

#[test]
fn completions_manual_help_and_version_are_printed() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = run(&["completions", shell]).good().join("\n");
        assert!(text.contains("tripline") && text.contains("receive"), "{shell}");
    }
    let page = run(&["man"]).good().join("\n");
    assert!(page.contains(".TH tripline") && page.contains("keygen"), "{page}");
    let page = run(&["man", "send"]).good().join("\n");
    assert!(page.contains(".TH tripline-send") && page.contains("stall"), "{page}");
    run(&["man", "fly"]).bad(2, "no command");
    let help = run(&["--help"]).good().join("\n");
    assert!(help.contains("Exit codes") && help.contains("128 + N"), "{help}");
    assert!(run(&["--version"]).good()[0].starts_with("tripline 0."));
}

/// `--explain` says on standard error what is waited for, here an answer that never comes.
#[test]
fn explain_says_what_is_waited_for() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let port = socket.local_addr().expect("an address").port();
    let key = tripline::SecretKey::from_bytes([7; 32]).public_key();
    let to = format!("{key}@127.0.0.1:{port}");
    let end = run(&["ping", "--explain", "--timeout", "2500ms", &to]);
    let said = end.stderr.join("\n");
    assert!(said.contains("waits for the server's CHALLENGE"), "{said}");
    assert!(said.contains("OPENs sent"), "{said}");
}

/// N49: over TCP and TLS as over UDP, with the same key; and the automatic choice finds a server
/// that does not speak UDP.
#[test]
fn n49_connect_goes_over_tcp_and_tls() {
    for (serves, over) in [
        (&["--tcp"][..], "udp"),
        (&["--tcp"], "tcp"),
        (&["--tls"], "tls"),
        (&["--tcp", "--no-udp"], "tcp"),
        (&["--tls", "--no-udp"], "tls"),
        (&["--tcp", "--no-udp"], "auto"),
    ] {
        let (mut server, at) = listener(serves);
        let mut client = Process::start(&["connect", &at, "--over", over]);
        client.say("there\n");
        server.say("back\n");
        assert_eq!(client.end().good(), ["back"], "{serves:?} {over}");
        let end = server.end();
        assert_eq!(
            (end.code, end.stdout),
            (Some(0), vec!["there".to_owned()]),
            "{serves:?} {over}"
        );
    }
}

/// N49: `--explain` says by what the connection travels.
#[test]
fn n49_explain_says_by_what_it_travels() {
    let (_server, at) = listener(&["--tcp", "--no-udp", "--echo"]);
    let end = run(&["connect", &at, "--explain"]);
    assert_eq!(end.code, Some(0), "{end:?}");
    let told = end.stderr.iter().any(|line| line.starts_with("connected over tcp to 127.0.0.1:"));
    assert!(told, "{end:?}");
}

/// N49: files as well, and a certificate that is demanded must be there.
#[test]
fn n49_files_go_over_tls_and_certificates_count_when_demanded() {
    let scratch = Scratch::new("tls");
    let file = scratch.path("a.bin");
    let sum = random_file(&file, 7, 3);
    let (server, at) = receiver(&scratch, &["--once", "--tls"]);
    let sent = run(&["send", &file, &at, "--over", "tls"]).good();
    assert!(sent[0].contains(&sum), "{sent:?}");
    server.end().good();
    let ca = scratch.path("ca.pem");
    fs::write(&ca, "no certificate").expect("a file");
    run(&["connect", &at, "--over", "tls", "--tls-ca", &ca]).bad(1, "ca.pem");
}

/// What goes wrong with links is one line, at once, and the exit code of the network.
#[test]
fn links_that_lead_nowhere_are_one_line() {
    let (server, at) = listener(&["--tcp"]);
    run(&["connect", &at, "--over", "tls"]).bad(3, "says nothing");
    let other = tripline::SecretKey::from_bytes([9; 32]).public_key();
    let place = at.split_once('@').expect("KEY@ADDR").1;
    let wrong = format!("{other}@{place}");
    run(&["connect", &wrong, "--over", "tcp", "--timeout", "2s"]).bad(3, "cannot connect to");
    drop(server);
    // The port is free again, and nobody took it: this is loopback, and the system gives it to
    // nobody else so soon.
    run(&["connect", &at, "--over", "tcp"]).bad(3, "nobody listens there");
    run(&["listen", "127.0.0.1:0", "--no-udp"]).bad(2, "--tcp or --tls");
    run(&["listen", "127.0.0.1:0", "--tcp", "--tls"]).bad(2, "cannot be used with");
}
