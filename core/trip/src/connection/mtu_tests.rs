use super::*;
use alloc::vec::Vec;

const NOW: Instant = Instant::from_nanos(5);

/// Searches on a path that carries `path` bytes; returns the sizes tried.
fn search(mtu: &mut MtuSearch, path: u16, now: Instant) -> Vec<u16> {
    let mut tried = Vec::new();
    while let Some((size, token)) = mtu.due(now) {
        mtu.on_probe_sent(size, token.unwrap_or(u64::from(size)));
        assert_eq!(mtu.due(now), None, "one probe at a time");
        tried.push(size);
        if size <= path { mtu.on_probe_acked(size) } else { mtu.on_probe_lost(size) }
    }
    tried
}

/// R-MTU-1: what the path carries is found to within eight bytes, the ceiling with one probe.
#[test]
fn r_mtu_1_the_search_finds_what_the_path_carries() {
    for ceiling in [1_200, 1_201, 1_452, 9_000, 65_507] {
        for path in [1_200, 1_205, 1_280, 1_392, 1_452, 1_500, 8_972, 65_507_u16] {
            let mut mtu = MtuSearch::new(BASE, ceiling);
            let tried = search(&mut mtu, path, NOW);
            let found = mtu.current();
            let best = path.min(ceiling);
            assert!(found <= best && best - found < 8, "{found} of {best}");
            assert!(tried.len() <= 45, "{tried:?}");
            if ceiling <= path {
                assert_eq!(found, ceiling);
                assert!(tried.len() <= 1, "{tried:?}");
            }
            assert_eq!(mtu.take_change(), (found > BASE).then_some(found));
            assert_eq!(mtu.take_change(), None);
        }
    }
}

/// RFC 8899 §5.1: after ten minutes the path may carry more.
#[test]
fn r_mtu_1_a_better_path_is_found_after_ten_minutes() {
    let mut mtu = MtuSearch::new(BASE, 1_452);
    search(&mut mtu, 1_300, NOW);
    assert!(mtu.current() > 1_292);
    mtu.on_activity(NOW + Duration::from_secs(599));
    assert_eq!(mtu.due(NOW), None);
    mtu.on_activity(NOW + Duration::from_secs(600));
    assert_eq!(search(&mut mtu, 1_500, NOW), [1_452]);
}

/// A PONG, or the ACK of an earlier try, is as good as an ACK; a stray one is none.
#[test]
fn r_mtu_1_a_late_answer_counts() {
    let mut mtu = MtuSearch::new(BASE, 1_452);
    let (size, _) = mtu.due(NOW).unwrap();
    mtu.on_probe_sent(size, 77);
    mtu.on_probe_lost(size);
    assert_eq!(mtu.due(NOW), Some((size, Some(77))));
    assert!(!mtu.on_pong(78));
    assert!(mtu.on_pong(77));
    assert_eq!(mtu.current(), size);
    assert!(!mtu.on_pong(77));
}

/// R-MTU-1: a hint starts a search, and never goes below 1,200.
#[test]
fn r_mtu_1_a_hint_is_tried_and_never_believed() {
    let mut mtu = MtuSearch::new(BASE, 1_452);
    search(&mut mtu, 1_500, NOW);
    mtu.hint(68);
    assert_eq!(mtu.current(), BASE);
    assert_eq!(mtu.due(NOW), None, "nothing to try below");
    mtu.hint(1_400);
    assert_eq!(search(&mut mtu, 1_500, NOW), [1_400]);
    mtu.hint(60_000);
    assert_eq!(search(&mut mtu, 1_500, NOW), [1_452]);
}

/// R-MTU-1: full packets that vanish while small ones get through are a black hole; losses of a
/// burst, between full packets that arrive, are not.
#[test]
fn r_mtu_1_a_black_hole_is_told_from_a_burst() {
    let mut mtu = MtuSearch::fixed(1_452);
    for number in 0..100 {
        mtu.on_lost(number, 1_452);
    }
    mtu.on_acked(101, 1_452);
    mtu.on_acked(102, 100);
    for number in 90..100 {
        mtu.on_lost(number, 1_452);
    }
    assert_eq!(mtu.current(), 1_452, "a full packet behind them arrived");
    mtu.on_acked(200, 100);
    for number in 103..108 {
        mtu.on_lost(number, 1_452);
    }
    mtu.on_lost(109, 1_200);
    assert_eq!(mtu.current(), 1_452);
    mtu.on_lost(108, 1_452);
    assert_eq!(mtu.take_change(), Some(BASE));
    let tried = search(&mut mtu, 1_300, NOW);
    assert!(mtu.current() > 1_292 && tried.iter().all(|size| *size < 1_452));
}

/// R-MTU-1d: a size that our own system refused is not tried a second time, larger ones not at all;
/// one in use is given up, and what is too small to be the reason changes nothing.
#[test]
fn r_mtu_1d_what_the_system_refuses_is_not_tried_again() {
    let mut mtu = MtuSearch::new(BASE, 1_452);
    let mut tried = Vec::new();
    while let Some((size, _)) = mtu.due(NOW) {
        mtu.on_probe_sent(size, 1);
        tried.push(size);
        if size <= 1_300 {
            mtu.on_probe_acked(size);
        } else {
            assert!(mtu.on_refused(size));
            assert!(!mtu.on_refused(size), "known by now");
            mtu.on_probe_lost(size);
        }
    }
    assert!((1_293..=1_300).contains(&mtu.current()), "{tried:?}");
    assert!(tried.len() <= 10, "{tried:?}");
    assert_eq!(tried.first(), Some(&1_452));
    let size = mtu.current();
    assert!(!mtu.on_refused(BASE));
    assert_eq!(mtu.current(), size);
    assert!(mtu.on_refused(size));
    assert_eq!(mtu.current(), BASE);
    search(&mut mtu, size - 1, NOW);
    let smaller = mtu.current();
    assert!(smaller > BASE && smaller < size);
    // What was refused is found lost once smaller packets arrive: no black hole.
    mtu.on_acked(200, 100);
    (100..110).for_each(|number| mtu.on_lost(number, size));
    assert_eq!(mtu.current(), smaller);
}
