//! The requests of one connection: sizes, contents, and what answers must look like.
//!
//! Request `n` has 8 to 64 bytes, by a fixed scramble of `n`, and begins with `n`; the answer is
//! the same again. Streams of bytes carry each behind a length of two bytes.

use bytes::{Bytes, BytesMut};

use crate::task::Failure;

/// The longest request in bytes.
pub const LARGEST: usize = 64;
/// Bytes of the length before a request in a stream of bytes.
const PREFIX: usize = 2;

/// How long request `number` is.
pub fn size(number: u64) -> usize {
    // The odd constant spreads neighbours; the upper half is what it spreads best.
    8 + (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as usize % 57
}

/// Makes requests one after the other, and knows which answer comes next.
#[derive(Clone, Debug)]
pub struct Script {
    count: u64,
    asked: u64,
    answered: u64,
}

impl Script {
    /// Requests 0 to `count`.
    pub fn new(count: u64) -> Self {
        Self { count, asked: 0, answered: 0 }
    }

    /// How many have been asked and not answered.
    pub fn outstanding(&self) -> u64 {
        self.asked.saturating_sub(self.answered)
    }

    /// How many have not been asked.
    pub fn left(&self) -> u64 {
        self.count - self.asked
    }

    /// Whether all answers are there.
    pub fn done(&self) -> bool {
        self.answered == self.count
    }

    /// Appends the next request; the number of its bytes, or nothing if all have been asked.
    pub fn ask(&mut self, out: &mut BytesMut) -> Option<usize> {
        if self.asked == self.count {
            return None;
        }
        let (size, end) = (size(self.asked), out.len());
        out.resize(end + size, 0x5a);
        out[end..end + 8].copy_from_slice(&self.asked.to_le_bytes());
        self.asked += 1;
        Some(size)
    }

    /// Appends the next request behind its length.
    pub fn ask_framed(&mut self, out: &mut BytesMut) -> bool {
        if self.asked == self.count {
            return false;
        }
        out.extend_from_slice(&(size(self.asked) as u16).to_le_bytes());
        self.ask(out).is_some()
    }

    /// Checks the next answer.
    pub fn answer(&mut self, answer: &[u8]) -> Result<(), Failure> {
        let number = self.answered;
        let good = answer.len() == size(number)
            && answer.starts_with(&number.to_le_bytes())
            && answer.last().is_some_and(|last| *last == 0x5a || answer.len() == 8);
        if !good {
            return Err(format!("answer {number} is wrong").into());
        }
        self.answered += 1;
        Ok(())
    }
}

/// Cuts a stream of bytes into the requests in it.
#[derive(Debug, Default)]
pub struct Frames {
    /// The beginning of one that has not come in whole.
    part: Vec<u8>,
}

impl Frames {
    /// Hands on each request that `chunk` completes, without its length.
    pub fn cut(
        &mut self,
        chunk: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut rest = chunk;
        if !self.part.is_empty() {
            self.part.extend_from_slice(rest);
            let whole = std::mem::take(&mut self.part);
            let left = split(&whole, &mut each)?;
            self.part = whole[whole.len() - left..].to_vec();
            return Ok(());
        }
        let left = split(rest, &mut each)?;
        rest = &rest[rest.len() - left..];
        self.part.extend_from_slice(rest);
        Ok(())
    }
}

/// Hands on all whole requests; how many bytes are left behind them.
fn split(
    mut bytes: &[u8],
    each: &mut impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<usize, Failure> {
    while let Some((length, rest)) = bytes.split_first_chunk::<PREFIX>() {
        let Some((request, rest)) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))
        else {
            break;
        };
        each(request)?;
        bytes = rest;
    }
    Ok(bytes.len())
}

/// What an echoing server answers to a chunk: every request that is whole, behind its length.
pub fn echo(frames: &mut Frames, chunk: &[u8]) -> Result<Bytes, Failure> {
    let mut out = BytesMut::with_capacity(chunk.len() + LARGEST + PREFIX);
    frames.cut(chunk, |request| {
        out.extend_from_slice(&(request.len() as u16).to_le_bytes());
        out.extend_from_slice(request);
        Ok(())
    })?;
    Ok(out.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_between_8_and_64_and_differ() {
        let all: Vec<usize> = (0..1_000).map(size).collect();
        assert!(all.iter().all(|size| (8..=LARGEST).contains(size)));
        assert!(all.contains(&8) && all.contains(&LARGEST));
    }

    #[test]
    fn requests_survive_every_cut_and_wrong_answers_are_found() {
        let mut script = Script::new(50);
        let mut wire = BytesMut::new();
        while script.ask_framed(&mut wire) {}
        assert_eq!((script.left(), script.outstanding()), (0, 50));
        for step in [1, 3, 7, 64, 1_000] {
            let (mut server, mut client, mut script) =
                (Frames::default(), Frames::default(), script.clone());
            for chunk in wire.chunks(step) {
                let answer = echo(&mut server, chunk).unwrap();
                client.cut(&answer, |one| script.answer(one)).unwrap();
            }
            assert!(script.done(), "cut every {step} bytes");
        }
        assert!(Script::new(3).answer(&[1; 8]).is_err());
        let mut twice = Script::new(3);
        let mut first = BytesMut::new();
        twice.ask(&mut first);
        twice.answer(&first).unwrap();
        assert!(twice.answer(&first).is_err());
    }
}
