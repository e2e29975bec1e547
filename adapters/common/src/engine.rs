//! The engine as all clients and servers make it.

use crate::{hardware_aes, os_seed};
use std::io;
use tripline::{Config, Endpoint, LinkHub};
use tripline_sansio::Instant;

/// What only the adapter knows of the place where an engine is to work.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// How many datagrams a train may hold, if there is a socket for them.
    pub segments: Option<usize>,
    /// Whether to use AES where this machine has it in hardware.
    pub detect_aes: bool,
    /// The time.
    pub now: Instant,
}

/// An engine with this configuration, which stands as far as this place can do it, and with entropy
/// of the system.
///
/// # Errors
/// If the system has no entropy to give.
pub fn endpoint(config: Config, site: Site) -> io::Result<Endpoint> {
    Ok(Endpoint::new(fit(config, site), &os_seed()?, site.now))
}

/// The same among links.
///
/// # Errors
/// As [`endpoint`].
pub fn link_hub(config: Config, site: Site) -> io::Result<LinkHub> {
    let seed = os_seed()?;
    let endpoint = Endpoint::new(fit(config, site), &seed, site.now);
    Ok(LinkHub::new(endpoint, &seed.child("hub")))
}

fn fit(mut config: Config, site: Site) -> Config {
    config.segments_max =
        site.segments.map_or(config.segments_max, |most| config.segments_max.min(most));
    config.hardware_aes |= site.detect_aes && hardware_aes();
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_chose_stands_as_far_as_it_can_be_done() {
        let site = |segments| Site { segments, detect_aes: false, now: Instant::ZERO };
        let config = || Config { segments_max: 10, ..Config::client() };
        for (segments, want) in [(None, 10), (Some(64), 10), (Some(1), 1)] {
            assert_eq!(fit(config(), site(segments)).segments_max, want);
        }
        assert!(!fit(config(), site(None)).hardware_aes);
        let found = fit(config(), Site { detect_aes: true, ..site(None) }).hardware_aes;
        assert_eq!(found, hardware_aes());
        let chosen = Config { hardware_aes: true, ..config() };
        assert!(fit(chosen, site(None)).hardware_aes);
    }
}
