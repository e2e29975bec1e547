//! A file that is being received: under a name of its own until it is whole.
//!
//! A part that is dropped is removed, and so are all parts when a signal ends the process; only
//! [`Part::keep`] gives one its final name, and never one that is taken.

use crate::figures::complain;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// How many names are tried before it is given up: `name`, `name (1)`, …
const NAMES_MAX: u32 = 10_000;

/// The parts that a signal has to remove.
static PARTS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn parts() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    PARTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes SIGINT and SIGTERM remove all parts and end the process, with 128 + the signal's number.
pub(super) fn remove_on_signals() -> io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    let work = move || {
        if let Some(signal) = signals.forever().next() {
            // Held to the end: no part can begin or get its name any more.
            let parts = parts();
            for part in parts.iter() {
                let _ = fs::remove_file(part);
            }
            let removed = parts.len();
            complain(format_args!(
                "tripline: ended by a signal; {removed} unfinished files removed"
            ));
            std::process::exit(128 + signal);
        }
    };
    thread::Builder::new().name("signals".into()).spawn(work).map(|_| ())
}

/// A file that is being received.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    path: PathBuf,
}

impl Part {
    /// Begins a part in `directory`. `unique` tells parts apart.
    pub(super) fn begin(directory: &Path, name: &str, unique: u64) -> io::Result<Self> {
        // Short, so that no file name gets too long by it.
        let stem: String = name.chars().take(40).collect();
        let path = directory.join(format!(".{stem}.{unique:016x}.part"));
        let mut parts = parts();
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        parts.insert(path.clone());
        drop(parts);
        Ok(Self { file, path })
    }

    /// Appends.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// The file is whole: it gets its name, or one beside it if that is taken. Returns the name.
    pub(super) fn keep(self, directory: &Path, name: &str) -> io::Result<String> {
        self.file.sync_all()?;
        let mut parts = parts();
        for number in 0..NAMES_MAX {
            let name = numbered(name, number);
            match move_without_overwriting(&self.path, &directory.join(&name)) {
                Ok(()) => {
                    parts.remove(&self.path);
                    return Ok(name);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(ErrorKind::AlreadyExists, "all names beside it are taken too"))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut parts = parts();
        if parts.remove(&self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// `name` for 0, else `stem (number).extension`.
fn numbered(name: &str, number: u32) -> String {
    if number == 0 {
        return name.to_owned();
    }
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem} ({number}).{extension}"),
        _ => format!("{name} ({number})"),
    }
}

/// In one step where the system and its file system can, else by a second link.
fn move_without_overwriting(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::INVAL | Errno::NOSYS) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_before_the_extension() {
        for (name, expected) in
            [("a.txt", "a (2).txt"), ("a", "a (2)"), (".rc", ".rc (2)"), ("a.b.c", "a.b (2).c")]
        {
            assert_eq!(numbered(name, 2), expected);
        }
        assert_eq!(numbered("a.txt", 0), "a.txt");
    }

    #[test]
    fn a_part_is_removed_unless_kept_and_overwrites_nothing() {
        let directory = std::env::temp_dir().join(format!("tripline-part-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let begin = |unique| Part::begin(&directory, "x.bin", unique).unwrap();
        drop(begin(1));
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
        for (unique, contents, expected) in
            [(2, "one", "x.bin"), (3, "two", "x (1).bin"), (4, "three", "x (2).bin")]
        {
            let mut part = begin(unique);
            part.write(contents.as_bytes()).unwrap();
            assert_eq!(part.keep(&directory, "x.bin").unwrap(), expected);
            assert_eq!(fs::read_to_string(directory.join(expected)).unwrap(), contents);
        }
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 3);
        fs::remove_dir_all(&directory).unwrap();
    }
}
