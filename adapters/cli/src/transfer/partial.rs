//! A file that is not there yet: hidden while it grows, under its name only once it is whole, gone
//! if it never is.

use super::format::CutAt;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// How many names are tried before giving up.
const TRIES: u32 = 10_000;
/// How many bytes of the final name the hidden one repeats, so that it is never too long.
const STEM_MAX: usize = 200;
/// The longest name, in bytes.
const NAME_MAX: usize = 255;

/// A file on its way; removed when dropped.
#[derive(Debug)]
pub(super) struct Partial {
    file: File,
    /// Where it is; `None` once it has its final name.
    path: Option<PathBuf>,
    directory: PathBuf,
    name: String,
}

impl Partial {
    /// An empty `.name.part-XXXX` in `directory`. The name must be checked.
    pub(super) fn create(directory: &Path, name: &str) -> io::Result<Self> {
        let stem = name.get(..name.floor_char_boundary_at(STEM_MAX)).unwrap_or_default();
        for _ in 0..TRIES {
            let mut random = [0; 4];
            getrandom::fill(&mut random)?;
            let hidden = format!(".{stem}.part-{:08x}", u32::from_be_bytes(random));
            let path = directory.join(hidden);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    let (directory, name) = (directory.to_path_buf(), name.to_string());
                    return Ok(Self { file, path: Some(path), directory, name });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Writes more of it.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// The whole file is on the disk and gets a name that was free: its own, or `name (1).ext` and
    /// so on. Returns that name. May take as long as the disk does.
    pub(super) fn commit(mut self) -> io::Result<String> {
        self.file.sync_all()?;
        let Some(path) = &self.path else { return Err(io::ErrorKind::NotFound.into()) };
        for number in 0..TRIES {
            let name = numbered(&self.name, number);
            match rename_to_free(path, &self.directory.join(&name)) {
                Ok(()) => {
                    self.path = None;
                    // The name has to last as well as the bytes. Not all file systems can do this.
                    let _ = File::open(&self.directory).and_then(|directory| directory.sync_all());
                    return Ok(name);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // There is nobody to tell; the name itself says what it is.
            let _ = fs::remove_file(path);
        }
    }
}

/// Moves a file to a name in the same directory that nothing has yet.
fn rename_to_free(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system knows how; a second link does the same.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        done => Ok(done?),
    }
}

/// `name.ext` for 0, `name (1).ext` for 1. A long name is cut so that it stays a possible one.
fn numbered(name: &str, number: u32) -> String {
    if number == 0 {
        return name.to_string();
    }
    let (stem, extension) = match name.rfind('.') {
        // A name that only begins with a dot has no extension, and a very long one is none.
        Some(at @ 1..) if name.len() - at <= 32 => name.split_at(at),
        _ => (name, ""),
    };
    let suffix = format!(" ({number}){extension}");
    let room = NAME_MAX.saturating_sub(suffix.len());
    format!("{}{suffix}", stem.get(..stem.floor_char_boundary_at(room)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_before_the_extension() {
        let cases = [
            ("a.txt", 0, "a.txt"),
            ("a.txt", 1, "a (1).txt"),
            ("a.tar.gz", 12, "a.tar (12).gz"),
            ("a", 1, "a (1)"),
            (".profile", 2, ".profile (2)"),
            ("ends.", 1, "ends (1)."),
        ];
        for (name, number, wanted) in cases {
            assert_eq!(numbered(name, number), wanted);
        }
        let long = numbered(&format!("{}.txt", "ä".repeat(125)), 3);
        assert!(long.len() <= 255 && long.ends_with("ä (3).txt"), "{long}");
    }
}
