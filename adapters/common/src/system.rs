//! What machines may not ask for themselves: entropy, and what the processor can do.

use std::io;
use tripline_sansio::Seed;

/// A seed from the operating system's entropy, for real traffic.
///
/// # Errors
/// If the system has none to give.
pub fn os_seed() -> io::Result<Seed> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(Seed::from_bytes(bytes))
}

/// Whether this machine has the instructions that make AES-GCM the faster cipher.
pub fn hardware_aes() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::is_x86_feature_detected!("aes") && std::is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ() {
        assert_ne!(os_seed().expect("entropy"), os_seed().expect("entropy"));
    }
}
