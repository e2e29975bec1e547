//! The suites: which Noise pattern, which cipher and hash, and whether a pre-shared key is mixed
//! in.
//!
//! In goes the suite byte of an OPEN, out comes the suite or nothing; the other way round as well,
//! and the name under which Noise knows it. Which suites a server takes is not decided here.

use core::fmt;

/// The Noise handshake pattern: who proves an identity to whom (Noise §7.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pattern {
    /// Nobody: encryption without identities, only for *plain open*.
    Nn,
    /// The server, whose key the client knows; the client stays anonymous.
    Nk,
    /// Both; the client knows the server's key and sends its own in the first message.
    Ik,
    /// Both; the keys travel in the handshake, which takes a third message (CONFIRM).
    Xx,
}

/// The cipher of a suite, and the hash that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cipher {
    /// ChaCha20-Poly1305 with BLAKE2s: fast on every processor.
    ChaChaPoly,
    /// AES-256-GCM with SHA-256: faster where AES is in hardware, and only there to be chosen.
    AesGcm,
}

/// What an OPEN asks for, in one byte: `cipher << 3 | psk << 2 | pattern` (PROTOCOL.md §2.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Suite {
    /// The cipher and hash. Of a [readable](Self::is_readable) suite, those of the handshake.
    pub cipher: Cipher,
    /// Whether a pre-shared key is mixed into the last message of the handshake.
    pub psk: bool,
    /// The handshake pattern.
    pub pattern: Pattern,
    /// Cipher 2 on the wire: all as with cipher 0, but that DATA is not encrypted (R-PLAIN-5).
    #[cfg(feature = "plain")]
    readable: bool,
}

/// Set in a suite byte if a pre-shared key is used.
const PSK_BIT: u8 = 0b100;

/// The cipher number of *plain traffic*.
#[cfg(feature = "plain")]
const READABLE: u8 = 2;

impl Suite {
    /// The suite of these parts, whose DATA is encrypted.
    pub(crate) const fn new(cipher: Cipher, psk: bool, pattern: Pattern) -> Self {
        Self {
            cipher,
            psk,
            pattern,
            #[cfg(feature = "plain")]
            readable: false,
        }
    }

    /// The same pattern with *plain traffic* (R-PLAIN-5), whose handshake is that of cipher 0.
    #[cfg(feature = "plain")]
    pub(crate) const fn with_readable_data(self) -> Self {
        Self { cipher: Cipher::ChaChaPoly, readable: true, ..self }
    }

    /// Whether DATA is authenticated but not encrypted: *plain traffic*, cipher 2 on the wire.
    /// Never without the feature `plain`.
    pub const fn is_readable(self) -> bool {
        #[cfg(feature = "plain")]
        return self.readable;
        #[cfg(not(feature = "plain"))]
        return false;
    }

    /// The suite that this byte stands for; `None` if this version knows no such suite.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        let cipher = match byte >> 3 {
            0 => Cipher::ChaChaPoly,
            1 => Cipher::AesGcm,
            #[cfg(feature = "plain")]
            READABLE => Cipher::ChaChaPoly,
            _ => return None,
        };
        let pattern = match byte & 0b11 {
            0 => Pattern::Nn,
            1 => Pattern::Nk,
            2 => Pattern::Ik,
            _ => Pattern::Xx,
        };
        let suite = Self::new(cipher, byte & PSK_BIT != 0, pattern);
        #[cfg(feature = "plain")]
        let suite = Self { readable: byte >> 3 == READABLE, ..suite };
        Some(suite)
    }

    /// The byte of this suite on the wire.
    pub const fn to_byte(self) -> u8 {
        let cipher: u8 = match self.cipher {
            Cipher::ChaChaPoly => 0,
            Cipher::AesGcm => 1 << 3,
        };
        #[cfg(feature = "plain")]
        let cipher = if self.readable { READABLE << 3 } else { cipher };
        let psk = if self.psk { PSK_BIT } else { 0 };
        let pattern = match self.pattern {
            Pattern::Nn => 0,
            Pattern::Nk => 1,
            Pattern::Ik => 2,
            Pattern::Xx => 3,
        };
        cipher | psk | pattern
    }

    /// The protocol name that the handshake hash begins with (Noise §8), such as
    /// `Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s`. It says nothing of how DATA is protected.
    pub const fn noise_name(self) -> &'static str {
        use Pattern::{Ik, Nk, Nn, Xx};
        match (self.cipher, self.pattern, self.psk) {
            (Cipher::ChaChaPoly, Nn, false) => "Noise_NN_25519_ChaChaPoly_BLAKE2s",
            (Cipher::ChaChaPoly, Nk, false) => "Noise_NK_25519_ChaChaPoly_BLAKE2s",
            (Cipher::ChaChaPoly, Ik, false) => "Noise_IK_25519_ChaChaPoly_BLAKE2s",
            (Cipher::ChaChaPoly, Xx, false) => "Noise_XX_25519_ChaChaPoly_BLAKE2s",
            (Cipher::ChaChaPoly, Nn, true) => "Noise_NNpsk2_25519_ChaChaPoly_BLAKE2s",
            (Cipher::ChaChaPoly, Nk, true) => "Noise_NKpsk2_25519_ChaChaPoly_BLAKE2s",
            (Cipher::ChaChaPoly, Ik, true) => "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s",
            (Cipher::ChaChaPoly, Xx, true) => "Noise_XXpsk3_25519_ChaChaPoly_BLAKE2s",
            (Cipher::AesGcm, Nn, false) => "Noise_NN_25519_AESGCM_SHA256",
            (Cipher::AesGcm, Nk, false) => "Noise_NK_25519_AESGCM_SHA256",
            (Cipher::AesGcm, Ik, false) => "Noise_IK_25519_AESGCM_SHA256",
            (Cipher::AesGcm, Xx, false) => "Noise_XX_25519_AESGCM_SHA256",
            (Cipher::AesGcm, Nn, true) => "Noise_NNpsk2_25519_AESGCM_SHA256",
            (Cipher::AesGcm, Nk, true) => "Noise_NKpsk2_25519_AESGCM_SHA256",
            (Cipher::AesGcm, Ik, true) => "Noise_IKpsk2_25519_AESGCM_SHA256",
            (Cipher::AesGcm, Xx, true) => "Noise_XXpsk3_25519_AESGCM_SHA256",
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.noise_name())?;
        f.write_str(if self.is_readable() { " (DATA readable)" } else { "" })
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    /// R-WIRE, R-PLAIN-1: 16 bytes stand for a suite, each for its own, and with the feature
    /// `plain` 8 more; every other byte is unknown.
    #[test]
    fn sixteen_bytes_are_suites_and_read_back() {
        let known = if cfg!(feature = "plain") { 24 } else { 16 };
        for byte in 0..=u8::MAX {
            let suite = Suite::from_byte(byte);
            assert_eq!(suite.is_some(), byte < known, "byte {byte}");
            assert_eq!(suite.is_some_and(Suite::is_readable), (16..known).contains(&byte));
            assert!(suite.is_none_or(|suite| suite.to_byte() == byte), "byte {byte}");
        }
    }

    /// PROTOCOL.md §2.2: `cipher << 3 | psk << 2 | pattern`, psk2 in all patterns but XX.
    #[test]
    fn bytes_and_names_are_those_of_the_protocol() {
        let name = |byte| Suite::from_byte(byte).unwrap().to_string();
        assert_eq!(name(0b0010), "Noise_IK_25519_ChaChaPoly_BLAKE2s");
        assert_eq!(name(0b0110), "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s");
        assert_eq!(name(0b0111), "Noise_XXpsk3_25519_ChaChaPoly_BLAKE2s");
        assert_eq!(name(0b1000), "Noise_NN_25519_AESGCM_SHA256");
        assert_eq!(name(0b1101), "Noise_NKpsk2_25519_AESGCM_SHA256");
        #[cfg(feature = "plain")]
        assert_eq!(name(0b1_0001), "Noise_NK_25519_ChaChaPoly_BLAKE2s (DATA readable)");
    }

    /// The sixteen names follow from the parts, as Noise §8 says how.
    #[test]
    fn every_name_follows_from_its_parts() {
        for suite in (0..16).filter_map(Suite::from_byte) {
            let psk = match (suite.psk, suite.pattern) {
                (false, _) => "",
                (true, Pattern::Xx) => "psk3",
                (true, _) => "psk2",
            };
            let cipher = match suite.cipher {
                Cipher::ChaChaPoly => "ChaChaPoly_BLAKE2s",
                Cipher::AesGcm => "AESGCM_SHA256",
            };
            let pattern = alloc::format!("{:?}", suite.pattern).to_uppercase();
            assert_eq!(suite.noise_name(), alloc::format!("Noise_{pattern}{psk}_25519_{cipher}"));
        }
    }
}
