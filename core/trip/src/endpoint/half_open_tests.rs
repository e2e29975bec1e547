//! R-HAND-2: the table keeps its order, its counts and its bounds, whatever is done to it.

use super::*;
use crate::crypto::{Cipher, Pattern};
use alloc::vec;
use tripline_sansio::Seed;

fn entry(hash: u64) -> Box<HalfOpen> {
    let remote = SocketAddr::from(([10, 0, 0, 1], 1));
    Box::new(HalfOpen {
        stage: Stage::Answered(Box::new(Split {
            client_to_server: [1; 32],
            server_to_client: [2; 32],
            hash: [3; 32],
        })),
        hash,
        opened_at: Instant::ZERO,
        client_id: hash,
        own_id: Some(hash),
        path: Path::to(remote),
        elsewhere: false,
        proven: false,
        challenge: vec![0; 120].into(),
        suite: Suite::new(Cipher::ChaChaPoly, false, Pattern::Nk),
        client: None,
        request: vec![0; 64].into(),
        confirm: 0,
        confirm_len: 0,
    })
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

/// R-HAND-2: an entry with its CHALLENGE (120 bytes by default) and its keys fits 512 bytes.
#[test]
fn r_hand_2_an_entry_has_512_bytes() {
    let bytes = entry(1).bytes();
    assert!(
        bytes <= 512,
        "{bytes}: entry {}, slot {}, keys {}",
        size_of::<HalfOpen>(),
        size_of::<Slot>(),
        size_of::<Split>()
    );
}

/// R-HAND-2: 30 s from the OPEN, whatever happens to the entry in between.
#[test]
fn r_hand_2_a_lifted_entry_keeps_its_place_and_time() {
    let mut table = HalfOpens::default();
    let first = table.insert(entry(1), at(0));
    let second = table.insert(entry(2), at(10));
    assert_eq!((table.waiting(), table.by_hash(1)), (2, Some(first.slot)));
    let mut lifted = table.lift(first).unwrap();
    assert!(table.lift(first).is_none() && table.by_handle(first).is_none());
    lifted.stage = Stage::Promoted;
    table.put_back(first, lifted);
    assert_eq!((table.waiting(), table.by_hash(1)), (1, Some(first.slot)));
    assert_eq!(table.next_expiry(), Some(at(30)));
    assert!(table.pop_expired(at(29)).is_none());
    assert_eq!(table.pop_expired(at(30)).map(|entry| entry.hash), Some(1));
    assert!(table.by_handle(first).is_none(), "its ticket is void");
    assert_eq!(table.next_expiry(), Some(at(40)));
    assert!(table.lift(second).is_some());
    assert!(table.remove(second).is_none(), "lifted, and now gone");
    assert_eq!((table.len, table.bytes, table.waiting()), (0, 0, 0));
    assert_eq!(table.next_expiry(), None);
}

/// R-HAND-2: at the bound, by number or by bytes, the oldest goes.
#[test]
fn r_hand_2_the_oldest_goes_at_either_bound() {
    let mut table = HalfOpens::default();
    for hash in 0..5_000 {
        table.insert(entry(hash), at(0));
        while let Some(evicted) = table.pop_excess() {
            assert_eq!(evicted.hash + HALF_OPENS_MAX as u64, hash);
        }
    }
    assert_eq!(table.len, HALF_OPENS_MAX);
    for hash in 5_000..15_000 {
        let mut long = entry(hash);
        long.request = vec![0; 400].into();
        long.challenge = vec![0; 600].into();
        table.insert(long, at(0));
        while table.pop_excess().is_some() {}
        assert!(table.bytes <= HALF_OPEN_BYTES_MAX && table.len <= HALF_OPENS_MAX);
    }
    assert!((1_000..4_096).contains(&table.len), "{}", table.len);
}

/// Against a plain list: random insertions, lifts and removals.
#[test]
fn the_order_is_that_of_a_plain_list() {
    for seed in 0..50 {
        let mut random = Seed::from_number(seed).random("half-opens");
        let (mut table, mut model) = (HalfOpens::default(), Vec::new());
        for step in 0..400 {
            let pick = usize::try_from(random.below(model.len().max(1) as u64)).unwrap();
            match random.below(4) {
                0 | 1 => model.push((step, table.insert(entry(step), at(step)))),
                2 if !model.is_empty() => {
                    let (hash, handle) = model.remove(pick);
                    assert_eq!(table.remove(handle).unwrap().hash, hash, "seed {seed}");
                    assert!(table.remove(handle).is_none(), "seed {seed}");
                }
                3 if !model.is_empty() => {
                    let lifted = table.lift(model[pick].1).unwrap();
                    table.put_back(model[pick].1, lifted);
                }
                _ => {}
            }
            assert_eq!((table.len, table.waiting()), (model.len(), model.len()), "seed {seed}");
            let first = model.first().map(|(hash, _)| at(*hash) + LIFE);
            assert_eq!(table.next_expiry(), first, "seed {seed}");
        }
        for (hash, _) in model {
            assert_eq!(table.pop_expired(Instant::MAX).unwrap().hash, hash, "seed {seed}");
        }
        assert!(table.pop_expired(Instant::MAX).is_none() && table.bytes == 0, "seed {seed}");
    }
}
