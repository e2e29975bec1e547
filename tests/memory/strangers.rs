//! What strangers can make an endpoint hold, counted: never more than the constant that is
//! documented for it.

use super::ALLOCATOR;
use stats_alloc::Region;
use std::net::SocketAddr;
use tripline::{Config, ConnectOptions, Endpoint, GuardConfig};
use tripline_sansio::{DatagramMachine, Ecn, Instant, Path, Seed};
use tripline_tests::identity;

/// More than there are half-opens.
const OPENS: usize = 4_400;

/// Distinct OPENs to the server.
fn opens() -> Vec<Vec<u8>> {
    let mut client = Endpoint::new(Config::client(), &Seed::from_number(3), Instant::ZERO);
    let (to, mut out) = (SocketAddr::from(([10, 0, 0, 1], 1)), Vec::new());
    let mut all = Vec::new();
    for _ in 0..OPENS {
        let options = ConnectOptions::to(identity("server").public_key());
        client.connect(Instant::ZERO, to.into(), options).expect("begins");
        client.poll_transmit(Instant::ZERO, &mut out).expect("an OPEN");
        all.push(std::mem::take(&mut out));
    }
    all
}

/// D2, `GuardConfig::memory_max`: a server that takes in every OPEN until its table is full, whose
/// loop lets answers pile up, and of which tokens are asked in between, holds no more than that.
pub(crate) fn d2_strangers_hold_no_more_than_is_documented() {
    let opens = opens();
    for retry_above in [u32::MAX, 64] {
        let most = u32::MAX;
        let guard =
            GuardConfig { retry_above, challenges_per_second: most, ..GuardConfig::default() };
        let config = Config { guard, ..Config::public_server(identity("server")) };
        let mut server = Endpoint::new(config, &Seed::from_number(4), Instant::ZERO);
        let (mut out, mut copy) = (Vec::with_capacity(1 << 16), Vec::with_capacity(2_000));
        let region = Region::new(ALLOCATOR);
        let mut peak = 0;
        for n in 0..8 * OPENS {
            copy.clear();
            copy.extend_from_slice(&opens[n % OPENS]);
            let source =
                SocketAddr::from(((n as u32).wrapping_mul(2_654_435_761).to_be_bytes(), 7));
            server.handle_datagram(Instant::ZERO, Path::to(source), Ecn::NotEct, &mut copy);
            let change = region.change();
            peak = peak.max(change.bytes_allocated as isize - change.bytes_deallocated as isize);
            if n % 2_000 == 1_999 {
                out.clear();
                while server.poll_transmit(Instant::ZERO, &mut out).is_some() {
                    out.clear();
                }
            }
        }
        let bound = GuardConfig::memory_max() as isize;
        println!("strangers, tokens above {retry_above}: {peak} bytes at the most, of {bound}");
        assert!(peak <= bound, "{peak} bytes for strangers, {bound} are documented");
        assert!(peak > 100_000, "{peak} bytes: was there a flood?");
    }
}
