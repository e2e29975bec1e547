//! How much of a path the controllers use, alone and together, and what they waste.
//!
//! Shares are thousandths of what the link carries; all figures are of one datagram size, headers
//! of TRiP included.

use super::super::{Bbr, Controller, Cubic, FixedRate, NewReno};
use super::link::{DATAGRAM, Flow, Net, Path, Score};
use super::saved;
use alloc::boxed::Box;
use alloc::vec::Vec;
use tripline_sansio::Duration;

fn cubic() -> Box<dyn Controller> {
    Box::new(Cubic::new(DATAGRAM))
}

fn bbr() -> Box<dyn Controller> {
    Box::new(Bbr::new(DATAGRAM))
}

/// One flow, from its start on for `seconds`: its share and its score.
fn alone(controller: Box<dyn Controller>, path: Path, seconds: u64, seed: u64) -> (u64, Score) {
    let mut net = Net::new(path, Vec::from([Flow::new(controller, Duration::ZERO)]), seed);
    let time = Duration::from_secs(seconds);
    let scores = net.run(time);
    (scores[0].share(&path, time), scores[0])
}

/// Two flows, the second a second and a bit later; their shares from the fifth second on.
fn together(
    first: Box<dyn Controller>,
    second: Box<dyn Controller>,
    path: Path,
    seed: u64,
) -> (u64, u64) {
    let later = Duration::from_millis(1000 + 37 * seed);
    let flows = Vec::from([Flow::new(first, Duration::ZERO), Flow::new(second, later)]);
    let mut net = Net::new(path, flows, seed);
    net.run(Duration::from_secs(5));
    let time = Duration::from_secs(40);
    let scores = net.run(time);
    let shares = scores.iter().map(|score| score.share(&path, time)).collect::<Vec<_>>();
    assert!(shares[0] + shares[1] > 950, "seed {seed}: {shares:?} of {path:?}");
    (shares[0], shares[1])
}

/// The paths that BBR is measured on: Mbit/s, ms, seconds to run in debug builds.
const PATHS: [(u64, u64, u64); 3] = [(10, 50, 20), (100, 20, 10), (1, 200, 30)];

/// R-CC-3: BBR fills each path, whatever it loses to noise, and wastes next to nothing.
#[test]
fn r_cc_3_bbr_fills_a_path_that_loses_at_random() {
    for (megabits, millis, seconds) in PATHS {
        for (loss, least) in [(0, 970), (10, 930), (50, 870)] {
            for seed in 0..2 {
                let path = Path::new(megabits, millis, loss);
                let (share, score) = alone(bbr(), path, seconds, seed);
                let about = (megabits, millis, loss, seed, score);
                assert!(share >= least, "share {share}: {about:?}");
                assert!(score.waste() < 30, "waste {}: {about:?}", score.waste());
            }
        }
    }
}

/// R-CC-3: nor do packets that overtake each other hold it up, though some count as lost that are
/// not; with CUBIC the same on a path that loses nothing.
#[test]
fn r_cc_3_reordering_costs_little() {
    let jitter = Duration::from_millis(5);
    for (loss, least) in [(0, 940), (10, 920), (50, 850)] {
        let path = Path { jitter, ..Path::new(10, 50, loss) };
        let (share, score) = alone(bbr(), path, 20, 1);
        assert!(share >= least && score.waste() < 30, "loss {loss}: {share}, {score:?}");
        assert!(score.spurious > 0, "the path is too orderly");
    }
    let path = Path { jitter, ..Path::new(10, 50, 0) };
    let (share, score) = alone(cubic(), path, 20, 1);
    assert!(share >= 940 && score.spurious > 0, "{share}, {score:?}");
}

/// R-CC-2: CUBIC fills a clean path; with losses it does what Reno does at least.
#[test]
fn r_cc_2_cubic_fills_a_clean_path() {
    for (megabits, millis, seconds) in PATHS {
        for loss in [0, 10, 50] {
            let path = Path::new(megabits, millis, loss);
            let (mut all, mut renos) = (0, 0);
            for seed in 1..4 {
                let (share, score) = alone(cubic(), path, seconds, seed);
                let about = (megabits, millis, loss, seed, score);
                assert!(loss > 0 || share >= 970, "share {share}: {about:?}");
                assert!(score.waste() < 50, "waste {}: {about:?}", score.waste());
                all += share;
                renos += alone(Box::new(NewReno::new(DATAGRAM)), path, seconds, seed).0;
            }
            assert!(all >= renos, "{all} below {renos}: {megabits}, {millis}, {loss}");
        }
    }
}

/// R-CC-2: two CUBIC flows share within a fifth, row T50.
#[test]
fn r_cc_2_t50_two_cubic_flows_share() {
    for seed in 0..3 {
        let path = Path::new(10, 50, 0);
        let (first, second) = together(cubic(), cubic(), path, seed);
        assert!(first.abs_diff(second) <= 200, "seed {seed}: {first} and {second}");
    }
}

/// R-CC-3: neither BBR nor CUBIC starves the other, nor one BBR flow another, row T50.
#[test]
fn r_cc_3_t50_bbr_and_cubic_share() {
    for seed in 0..2 {
        let path = Path::new(10, 50, 0);
        for (first, second) in [(bbr(), cubic()), (cubic(), bbr())] {
            let shares = together(first, second, path, seed);
            assert!(shares.0 >= 350 && shares.1 >= 350, "seed {seed}: {shares:?}");
        }
        let shares = together(bbr(), bbr(), path, seed);
        assert!(shares.0 >= 280 && shares.1 >= 280, "seed {seed}: {shares:?}");
    }
}

/// HyStart++ and the gains of BBR keep the queue: the first round trips of a path with a deep
/// queue (four times what it holds) drop nothing with BBR, and its queue is drained soon.
#[test]
fn bbr_does_not_fill_a_deep_queue() {
    let path = Path { queue: 250_000, ..Path::new(10, 50, 0) };
    let mut net = Net::new(path, Vec::from([Flow::new(bbr(), Duration::ZERO)]), 1);
    net.run(Duration::from_secs(3));
    assert!(net.queue_most < 160_000, "{}", net.queue_most);
    net.queue_most = 0;
    let scores = net.run(Duration::from_secs(10));
    assert_eq!(scores[0].dropped, 0);
    assert!(net.queue_most < 100_000, "{}", net.queue_most);
}

/// BBR gives way and comes back: a second flow of a fixed rate takes half of the path for a while.
#[test]
fn bbr_follows_the_path() {
    let path = Path::new(10, 50, 0);
    let mut half = Flow::new(Box::new(FixedRate::new(625_000, DATAGRAM)), Duration::from_secs(5));
    half.supply = Some(625_000 * 10);
    let flows = Vec::from([Flow::new(bbr(), Duration::ZERO), half]);
    let mut net = Net::new(path, flows, 1);
    net.run(Duration::from_secs(8));
    let time = Duration::from_secs(6);
    let during = net.run(time);
    let (share, fixed) = (during[0].share(&path, time), during[1].share(&path, time));
    assert!((350..550).contains(&share) && fixed > 450, "{share} beside {fixed}");
    net.run(Duration::from_secs(10));
    let after = net.run(time);
    assert!(after[0].share(&path, time) > 940, "{:?}", after[0]);
}

/// R-CC-4: a fixed rate goes out as given, on a path that carries it, whatever is lost at random.
#[test]
fn r_cc_4_a_fixed_rate_is_kept() {
    for loss in [0, 50] {
        let path = Path::new(10, 50, loss);
        let controller = Box::new(FixedRate::new(1_000_000, DATAGRAM));
        let (share, score) = alone(controller, path, 10, 1);
        let sent = score.sent * u64::from(DATAGRAM) / 10;
        assert!((990_000..1_010_000).contains(&sent), "{sent} B/s: {score:?}");
        assert!(share >= 740 && score.dropped == 0, "{share}: {score:?}");
    }
}

/// An application that sends 100 kB now and then keeps what BBR knows of the path: nothing is
/// dropped, and each lot takes little more than its time on the link and a round trip.
#[test]
fn app_limited_flows_keep_what_they_know() {
    for controller in [bbr(), cubic()] {
        let path = Path::new(10, 50, 0);
        let mut net = Net::new(path, Vec::from([Flow::new(controller, Duration::ZERO)]), 1);
        net.run(Duration::from_secs(3));
        net.flows[0].supply = Some(0);
        net.run(Duration::from_secs(1));
        for lot in 0..20 {
            let before = net.flows[0].score;
            net.flows[0].supply = Some(100_000);
            net.run(Duration::from_millis(250));
            let now = net.flows[0].score;
            assert_eq!(now.dropped, before.dropped, "lot {lot}");
            assert!(now.arrived - before.arrived >= 83, "lot {lot}: {now:?}");
            net.run(Duration::from_millis(700));
        }
    }
}

/// Rule 7: the same seed gives the same run, to the last byte of all saved states; and a run that
/// is saved and restored half way goes on as if it had not been.
#[test]
fn runs_repeat_and_survive_saving() {
    let path = Path::new(10, 50, 10);
    let ends: Vec<_> = [false, true, false]
        .into_iter()
        .map(|saves| {
            let controllers: [Box<dyn Controller>; 4] = [
                cubic(),
                bbr(),
                Box::new(FixedRate::new(100_000, DATAGRAM)),
                Box::new(NewReno::new(DATAGRAM)),
            ];
            let flows = controllers.into_iter().map(|one| Flow::new(one, Duration::ZERO));
            let mut net = Net::new(path, flows.collect(), 7);
            net.run(Duration::from_secs(4));
            if saves {
                let fresh: [Box<dyn Controller>; 4] = [
                    Box::new(Cubic::new(1400)),
                    Box::new(Bbr::new(1400)),
                    Box::new(FixedRate::new(5, 1400)),
                    Box::new(NewReno::new(1400)),
                ];
                for (flow, mut restored) in net.flows.iter_mut().zip(fresh) {
                    restored.restore(&saved(flow.controller.as_ref())).unwrap();
                    flow.controller = restored;
                }
            }
            let scores = net.run(Duration::from_secs(4));
            (net.digest(), scores)
        })
        .collect();
    assert!(ends[0] == ends[2], "the same again");
    assert!(ends[0] == ends[1], "saved and restored");
}
