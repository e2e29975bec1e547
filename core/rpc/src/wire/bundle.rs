//! Bundles: many small frames in one message (R-CALL-15), so that what carries messages has to do
//! with one of them instead of many.
//!
//! In go frames, one behind the other; out come messages of about a packet each, and from a message
//! where its frames stand. No state, nothing kept.

use super::Malformed;
use super::frame::{BUNDLE, HELLO};
use crate::bounds::BUNDLE_MAX;
use core::ops::Range;
use tripline::Batch;
use tripline_sansio::codec::{Reader, varint_len};

/// Bytes before the first frame.
const HEAD: usize = 1;

/// Whether a message is a bundle, and not a frame.
pub(crate) fn is_bundle(message: &[u8]) -> bool {
    message.first() == Some(&BUNDLE)
}

/// Appends the frames to `out`, bundled: HELLO, large ones and those that have no company by
/// themselves. `message_max` is what the pipe carries, in bytes; no frame is larger.
pub(crate) fn bundle(frames: &Batch, message_max: usize, out: &mut Batch) {
    let most = BUNDLE_MAX.min(message_max.saturating_sub(HEAD));
    let mut bundle = Bundle { wire: frames.wire(), run: 0..0, only: &[], count: 0 };
    for frame in frames {
        let len = varint_len(u64::try_from(frame.len()).unwrap_or(u64::MAX));
        let whole = len.saturating_add(frame.len());
        let is_hello = frame.first() == Some(&HELLO);
        if is_hello || bundle.run.len().saturating_add(whole) > most {
            bundle.close(out);
        }
        bundle.run.end = bundle.run.end.saturating_add(whole);
        (bundle.only, bundle.count) = (frame, bundle.count.saturating_add(1));
        if is_hello {
            bundle.close(out);
        }
    }
    bundle.close(out);
}

/// Frames that go together.
struct Bundle<'a> {
    /// All frames, each behind its length.
    wire: &'a [u8],
    /// Where in it those of this bundle stand.
    run: Range<usize>,
    /// The last one.
    only: &'a [u8],
    count: usize,
}

impl Bundle<'_> {
    fn close(&mut self, out: &mut Batch) {
        match self.count {
            0 => {}
            1 => out.push(self.only),
            _ => {
                let frames = self.wire.get(self.run.clone()).unwrap_or_default();
                out.push_with(|message| _ = message.u8(BUNDLE).bytes(frames));
            }
        }
        (self.run.start, self.count) = (self.run.end, 0);
    }
}

/// Where the frames of a bundle stand in it, in order: one at the least. After one that is cut off
/// there is nothing.
pub(crate) struct Frames<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Frames<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { message, at: HEAD }
    }
}

impl Iterator for Frames<'_> {
    type Item = Result<Range<usize>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.message.get(self.at..)?;
        if rest.is_empty() && self.at > HEAD {
            return None;
        }
        let mut reader = Reader::new(rest);
        let frame = reader.varint_bytes().map(<[u8]>::len);
        let end = self.message.len().saturating_sub(reader.remaining());
        self.at = if frame.is_ok() { end } else { usize::MAX };
        Some(frame.map(|len| end.saturating_sub(len)..end).map_err(Malformed::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn bundled(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
        bundled_for(usize::MAX, frames)
    }

    fn bundled_for(message_max: usize, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let (mut batch, mut out) = (Batch::new(), Batch::new());
        batch.extend(frames.iter().map(Vec::as_slice));
        bundle(&batch, message_max, &mut out);
        out.iter().map(<[u8]>::to_vec).collect()
    }

    fn frames_of(message: &[u8]) -> Vec<Vec<u8>> {
        if !is_bundle(message) {
            return vec![message.to_vec()];
        }
        Frames::new(message).map(|frame| message[frame.unwrap()].to_vec()).collect()
    }

    /// R-CALL-15, N01: the golden bytes of PROTOCOL.md §4.
    #[test]
    fn r_call_15_a_golden_bundle() {
        let (call, reply) = (vec![0x21, 5, 9, 0xaa], vec![3, 5]);
        assert_eq!(bundled(&[call.clone(), reply]), [[7, 4, 0x21, 5, 9, 0xaa, 2, 3, 5]]);
        assert_eq!(
            bundled(core::slice::from_ref(&call)),
            [call],
            "by itself it costs nothing more"
        );
    }

    /// R-CALL-15: HELLO goes by itself, so do large frames; and a bundle is about a packet.
    #[test]
    fn r_call_15_what_goes_by_itself() {
        let (hello, ping) = (vec![0; 20], vec![0x2e]);
        let all = bundled(&[ping.clone(), hello.clone(), ping.clone(), ping.clone()]);
        assert_eq!(all, [ping.clone(), hello, vec![7, 1, 0x2e, 1, 0x2e]]);
        let large = vec![1; BUNDLE_MAX + 1];
        let all = bundled(&[ping.clone(), large.clone(), ping.clone()]);
        assert_eq!(all, [ping.clone(), large, ping.clone()]);
        let lens: Vec<usize> = bundled(&vec![ping; 2 * BUNDLE_MAX]).iter().map(Vec::len).collect();
        assert_eq!(lens, [BUNDLE_MAX + 1; 4]);
    }

    /// R-CALL-15: what is cut off is told once, behind the frames that are whole.
    #[test]
    fn r_call_15_a_bundle_that_is_cut_off() {
        let cases: [(&[u8], usize); 4] =
            [(&[7], 0), (&[7, 2, 1], 0), (&[7, 1, 9, 0x40], 1), (&[7, 0, 0x40, 1], 1)];
        for (message, whole) in cases {
            let frames: Vec<_> = Frames::new(message).collect();
            assert_eq!(frames.len(), whole + 1, "{message:x?}");
            assert!(frames[..whole].iter().all(Result::is_ok), "{message:x?}");
            assert_eq!(frames[whole], Err(Malformed::Cut), "{message:x?}");
        }
    }

    proptest! {
        /// R-CALL-15: whatever frames go in come out, in order.
        #[test]
        fn r_call_15_frames_survive_bundling(
            mut frames in proptest::collection::vec(
                proptest::collection::vec(any::<u8>(), 1..400),
                0..60,
            ),
            message_max in 399_usize..2_000,
        ) {
            // No frame has this kind.
            frames.retain(|frame| frame[0] != BUNDLE);
            let messages = bundled_for(message_max, &frames);
            let most = message_max.min(BUNDLE_MAX + 1);
            prop_assert!(messages.iter().all(|message| message.len() <= most));
            let all: Vec<_> = messages.iter().flat_map(|message| frames_of(message)).collect();
            prop_assert_eq!(all, frames);
        }
    }
}
