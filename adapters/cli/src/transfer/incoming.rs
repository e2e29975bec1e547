//! One file as it comes in: head, content, checksum.
//!
//! In go the bytes of its stream; out comes a whole, compared, still hidden file. Nothing is sent
//! here.

use super::SUM_LEN;
use super::format::Head;
use super::hex;
use super::partial::Partial;
use super::progress::{Board, Line};
use crate::fail::{Fail, Result, print};
use crate::units;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::time::Instant;

/// What files have to put up with.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    /// Where they go.
    pub(super) into: &'a Path,
    /// How large they may be at most.
    pub(super) max_size: Option<u64>,
    /// Where their progress is shown.
    pub(super) board: &'a Board,
    /// Whether machines are told that one begins.
    pub(super) json: bool,
}

/// A file on its way.
pub(super) struct Incoming {
    began: Instant,
    stage: Stage,
}

enum Stage {
    /// Waiting for all of the head.
    Head(Vec<u8>),
    /// Waiting for the content, then the checksum.
    Body(Box<Body>),
}

struct Body {
    head: Head,
    partial: Partial,
    hash: Sha256,
    /// Bytes of content still to come.
    left: u64,
    /// What came of the checksum.
    sum: Vec<u8>,
    line: Line,
}

/// A file that is whole and what its sender says it is, but still hidden.
pub(super) struct Whole {
    /// Name and size.
    pub(super) head: Head,
    /// The checksum, reckoned here.
    pub(super) sum: [u8; SUM_LEN],
    /// The file.
    pub(super) partial: Partial,
    /// When its first byte came.
    pub(super) began: Instant,
}

impl Incoming {
    /// A file of which nothing has come.
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), stage: Stage::Head(Vec::new()) }
    }

    /// The name, as soon as it is known.
    pub(super) fn name(&self) -> Option<&str> {
        match &self.stage {
            Stage::Head(_) => None,
            Stage::Body(body) => Some(&body.head.name),
        }
    }

    /// More of it came.
    ///
    /// # Errors
    /// If it breaks the rules or the format, or cannot be written.
    pub(super) fn feed(&mut self, bytes: &[u8], rules: Rules<'_>) -> Result {
        match &mut self.stage {
            Stage::Body(body) => body.feed(bytes),
            Stage::Head(got) => {
                got.extend_from_slice(bytes);
                let Some((head, length)) = Head::read(got).map_err(Fail::network)? else {
                    return Ok(());
                };
                let rest = got.split_off(length);
                let mut body = Body::open(head, rules)?;
                let fed = body.feed(&rest);
                self.stage = Stage::Body(Box::new(body));
                fed
            }
        }
    }

    /// The sender has ended its half.
    ///
    /// # Errors
    /// If that is too early, or the checksums differ.
    pub(super) fn finish(self) -> Result<Whole> {
        let early = || Fail::network("it ended too early");
        let Stage::Body(body) = self.stage else { return Err(early()) };
        let Body { head, partial, hash, left, sum, .. } = *body;
        let theirs: [u8; SUM_LEN] = sum.try_into().map_err(|_| early())?;
        let ours: [u8; SUM_LEN] = hash.finalize().into();
        if left > 0 {
            return Err(early());
        }
        if ours != theirs {
            let text = format!("the checksums differ: {} there, {} here", hex(&theirs), hex(&ours));
            return Err(Fail::local(text));
        }
        Ok(Whole { head, sum: ours, partial, began: self.began })
    }
}

impl Body {
    fn open(head: Head, rules: Rules<'_>) -> Result<Self> {
        if let Some(most) = rules.max_size.filter(|most| head.size > *most) {
            let (size, most) = (units::show(head.size), units::show(most));
            return Err(Fail::local(format_args!("it has {size}, and {most} is the limit here")));
        }
        let partial =
            Partial::create(rules.into, &head.name).map_err(|error| not_written(&error))?;
        if rules.json {
            let head = (&head.name, head.size);
            print(serde_json::json!({"event": "receiving", "name": head.0, "bytes": head.1}))?;
        }
        let line = rules.board.line(&head.name, head.size);
        let left = head.size;
        Ok(Self { head, partial, hash: Sha256::new(), left, sum: Vec::new(), line })
    }

    fn feed(&mut self, bytes: &[u8]) -> Result {
        let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        let (content, rest) = bytes.split_at_checked(here).unwrap_or((bytes, &[]));
        self.partial.write(content).map_err(|error| not_written(&error))?;
        self.hash.update(content);
        self.line.add(content.len());
        self.left = self.left.saturating_sub(content.len() as u64);
        self.sum.extend_from_slice(rest);
        if self.sum.len() > SUM_LEN {
            return Err(Fail::network("it is longer than announced"));
        }
        Ok(())
    }
}

/// The disk would not have it.
pub(super) fn not_written(error: &std::io::Error) -> Fail {
    // Where exactly is none of the sender's business.
    Fail::io("it cannot be written", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(content: &[u8]) -> Vec<u8> {
        let mut all = Head { name: "a.txt".into(), size: content.len() as u64 }.write();
        all.extend_from_slice(content);
        all.extend_from_slice(&Sha256::digest(content));
        all
    }

    /// Feeds `bytes` in pieces of this length into a fresh directory; what becomes of it, and what
    /// is left in the directory after all is dropped.
    fn run(bytes: &[u8], piece: usize, max_size: Option<u64>) -> (Result<String>, Vec<String>) {
        let mut random = [0; 8];
        getrandom::fill(&mut random).expect("entropy");
        let into = std::env::temp_dir().join(format!("tripline-{}", u64::from_le_bytes(random)));
        std::fs::create_dir(&into).expect("a directory");
        let board = Board::new(true);
        let rules = Rules { into: &into, max_size, board: &board, json: false };
        let mut incoming = Incoming::new();
        let fed = bytes.chunks(piece).try_for_each(|piece| incoming.feed(piece, rules));
        let done = fed
            .and_then(|()| incoming.finish())
            .map(|whole| whole.partial.commit().expect("the file moves"));
        let entries = std::fs::read_dir(&into).expect("the directory");
        let left = entries.map(|entry| entry.expect("an entry").file_name().into_string());
        let left = left.collect::<std::result::Result<_, _>>().expect("names");
        std::fs::remove_dir_all(&into).expect("the directory goes");
        (done, left)
    }

    #[test]
    fn a_file_arrives_in_pieces_of_any_length() {
        for piece in [1, 7, 64, 4096] {
            let (done, left) = run(&parts(b"what it says"), piece, None);
            assert_eq!((done.expect("whole").as_str(), left), ("a.txt", vec!["a.txt".to_string()]));
        }
    }

    #[test]
    fn what_is_not_whole_leaves_nothing() {
        let good = parts(b"what it says");
        let mut altered = good.clone();
        altered[20] ^= 1;
        let mut longer = good.clone();
        longer.push(0);
        let cases = [
            ("ended too early", &good[..good.len() - 1], None),
            ("ended too early", &good[..3], None),
            ("checksums differ", &altered, None),
            ("longer than announced", &longer, None),
            ("is the limit", &good, Some(11)),
        ];
        for (wanted, bytes, max_size) in cases {
            let (done, left) = run(bytes, 5, max_size);
            let fail = done.expect_err(wanted);
            assert!(fail.text.contains(wanted), "{wanted}: {}", fail.text);
            assert_eq!(left, Vec::<String>::new(), "{wanted}");
        }
    }
}
