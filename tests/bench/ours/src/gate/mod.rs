//! The counted gate: what a change costs that no load on the machine shows or hides.
//!
//! Some fixed, small work for the engine ([`works`]), and what it takes: calls of the allocator,
//! datagrams, trains of them (what would be send calls), system calls of two loops over real
//! sockets by a clock that stands still ([`sockets`]), and instructions, where `valgrind` is
//! installed. GATE.md beside the comparison's README holds the counts; the program `gate` fails if
//! one of them has grown by more than [`table::SLACK`].

mod sockets;
pub mod table;
pub mod works;

use std::process::{Command, Stdio};

use crate::task::Failure;
use works::Work;

/// What one work took; nothing where it was not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of the allocator that took or grew memory.
    pub allocations: Option<u64>,
    /// Datagrams of both sides.
    pub datagrams: Option<u64>,
    /// Trains of datagrams of both sides.
    pub trains: Option<u64>,
    /// System calls of both loops: waits, sends and receives.
    pub calls: Option<u64>,
    /// Instructions of the whole process.
    pub instructions: Option<u64>,
}

impl Counts {
    /// The heads of the columns, and the counts in their order.
    pub const HEADS: [&str; 5] =
        ["allocations", "datagrams", "trains", "system calls", "instructions"];

    /// The counts in the order of [`Self::HEADS`].
    pub fn all(&self) -> [Option<u64>; 5] {
        [self.allocations, self.datagrams, self.trains, self.calls, self.instructions]
    }

    /// The reverse of [`Self::all`].
    pub fn from_all(all: [Option<u64>; 5]) -> Self {
        let [allocations, datagrams, trains, calls, instructions] = all;
        Self { allocations, datagrams, trains, calls, instructions }
    }
}

/// What instructions depend on besides the code: the compiler, valgrind and the processor.
pub fn made_with() -> String {
    let told = |program: &str, flag: &str| {
        let output = Command::new(program).arg(flag).output().ok();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        text.unwrap_or_default()
    };
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = processor.lines().find_map(|line| line.strip_prefix("model name"));
    let name = line.unwrap_or_default().trim_matches([' ', '\t', ':']);
    format!("{}, {}, {name}", told("rustc", "--version"), told("valgrind", "--version"))
}

/// Counts every work, each in a process of its own, so that none warms another's caches and tables;
/// instructions only if they are wanted.
pub fn count_all(instructions_too: bool) -> Result<Vec<(&'static Work, Counts)>, Failure> {
    let valgrind = instructions_too && valgrind_is_there();
    if !valgrind {
        eprintln!("gate: instructions are not counted: no valgrind, or not what the table names");
    }
    let mut all = Vec::new();
    for work in works::WORKS {
        let named = |error: Failure| -> Failure { format!("{}: {error}", work.name).into() };
        let mut counts = count_in_process(work).map_err(named)?;
        if valgrind && work.instructions {
            counts.instructions = Some(instructions(work).map_err(named)?);
        }
        eprintln!("gate: {}: {counts:?}", work.name);
        all.push((work, counts));
    }
    Ok(all)
}

/// The counts but for instructions.
fn count_in_process(work: &Work) -> Result<Counts, Failure> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--run", work.name])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("ended with {}", output.status).into());
    }
    table::parse_cells(String::from_utf8(output.stdout)?.trim()).ok_or("no counts".into())
}

fn valgrind_is_there() -> bool {
    let told = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    told.is_ok_and(|status| status.success())
}

/// Instructions of the whole process, by callgrind.
fn instructions(work: &Work) -> Result<u64, Failure> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["--run", work.name])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("valgrind ended with {}: {told}", output.status).into());
    }
    let line = told.lines().find_map(|line| line.split_once("Collected :"));
    let (_, count) = line.ok_or("valgrind told no count")?;
    Ok(count.trim().parse()?)
}
