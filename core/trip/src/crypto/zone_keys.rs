//! The key schedule of zones: what the keys of the next zone are made of (PROTOCOL.md §5.3).
//!
//! In go the root of the zone before, what X25519 came to, and both sides' halves; out come the
//! keys of the next zone and its root. A root is used up by the step that it makes, and all that is
//! secret here is wiped when dropped: from the keys of one zone nobody reckons those of an earlier
//! one. When to renew, and whose halves these are, is not known here.

use super::hash::{HASH_LEN, Keys, expand, extract};
use super::keys::PublicKey;
use super::noise::Split;
use super::suite::Cipher;
use alloc::boxed::Box;
use core::fmt;
use zeroize::Zeroizing;

/// What tells this use of HKDF from all others.
const LABEL: &[u8] = b"TRiP/1 zone";

/// One side's half of a zone, as far as the keys depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyHalf {
    /// The connection ID that this side receives under.
    pub(crate) id: u64,
    /// Its ephemeral public key.
    pub(crate) key: PublicKey,
}

/// The secret of one zone from which the keys of the next one grow.
///
/// Not `Clone`, and stepping takes it by value: a root makes one step and is gone.
pub(crate) struct Root {
    cipher: Cipher,
    /// In a box, so that a root that is moved leaves no copy behind.
    secret: Box<Zeroizing<[u8; HASH_LEN]>>,
}

/// The keys of a zone.
pub(crate) struct ZoneKeys {
    /// For what the client sends.
    pub(crate) client_to_server: Zeroizing<[u8; 32]>,
    /// For what the server sends.
    pub(crate) server_to_client: Zeroizing<[u8; 32]>,
    /// For the zone after it.
    pub(crate) root: Root,
}

impl Root {
    /// The root of zone 0: bound to the whole handshake by its hash, secret by its keys.
    pub(crate) fn first(cipher: Cipher, split: &Split) -> Self {
        let keys = [&split.client_to_server[..], &split.server_to_client[..]];
        Self { cipher, secret: Box::new(extract(cipher, &split.hash, &keys)) }
    }

    /// The keys of zone `zone`, the one after this root's. `shared` is what X25519 of the two
    /// ephemeral keys came to.
    pub(crate) fn step(
        self,
        shared: &[u8; 32],
        zone: u64,
        client: &KeyHalf,
        server: &KeyHalf,
    ) -> ZoneKeys {
        let secret = extract(self.cipher, &self.secret, &[shared]);
        let Keys([root, client_to_server, server_to_client]) = &expand(
            self.cipher,
            &secret,
            &[
                LABEL,
                &zone.to_be_bytes(),
                &client.id.to_be_bytes(),
                client.key.as_bytes(),
                &server.id.to_be_bytes(),
                server.key.as_bytes(),
            ],
        );
        ZoneKeys {
            client_to_server: Zeroizing::new(*client_to_server),
            server_to_client: Zeroizing::new(*server_to_client),
            root: Self { cipher: self.cipher, secret: Box::new(Zeroizing::new(*root)) },
        }
    }

    /// The cipher of all zones of the connection.
    pub(crate) const fn cipher(&self) -> Cipher {
        self.cipher
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Root({:?}, ..)", self.cipher)
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::SecretKey;
    use super::super::testing::array;
    use super::*;
    use alloc::format;

    fn ephemeral(first: u8) -> SecretKey {
        SecretKey::from_bytes(core::array::from_fn(|at| first + at as u8))
    }

    fn split() -> Split {
        let hash = core::array::from_fn(|at| at as u8);
        Split { client_to_server: [0x11; 32], server_to_client: [0x22; 32], hash }
    }

    /// Two zones in a row, with the ephemeral keys made of the bytes 0 to 31 and 32 to 63.
    fn two_zones(cipher: Cipher) -> [ZoneKeys; 2] {
        let (ours, theirs) = (ephemeral(0), ephemeral(32));
        let shared = ours.diffie_hellman(&theirs.public_key()).unwrap();
        let client = KeyHalf { id: 0x0102_0304_0506_0708, key: ours.public_key() };
        let server = KeyHalf { id: 0x1112_1314_1516_1718, key: theirs.public_key() };
        let first = Root::first(cipher, &split()).step(&shared, 1, &client, &server);
        let again = Root::first(cipher, &split()).step(&shared, 1, &client, &server);
        [first, again.root.step(&shared, 2, &client, &server)]
    }

    /// PROTOCOL.md §5.3: the keys of two zones, reckoned by another implementation of X25519, HMAC
    /// and both hashes. Client's keys, then server's, then the second zone's.
    #[test]
    fn r_zone_keys_match_another_implementation() {
        let sha = [
            "c4a85efbbf5cf794beb534af9b5539e8401ce26ee563a6e17610a584aaeb046c",
            "727edff54b88345125739db23b80e4e41557e18b8a753b8476e4a4de7f5f94f9",
            "446f9f22a5bd917f82548151771c018607bbb6d64491cb39487de755c28dac75",
            "427e2abb6aab7888b4899918fae078053f8c84d660ebe8e49e9521643742413f",
        ];
        let blake = [
            "1561fb242913ec0ab663b17eb19593a53b30c603d303cc0489a022865c2e5e4d",
            "54be166347e51dd8cb682cd4d17435f2f1143c0b25800b7590a7cd451d338a6a",
            "47981d8daecdbdf002052100a72466fbc12c1114e362b96ac39c40ba3bad353c",
            "9ce530729b1daaf1f93ee01303bc0926badce4c0d9f4ef33514e0a93a3c435e7",
        ];
        for (cipher, texts) in [(Cipher::AesGcm, sha), (Cipher::ChaChaPoly, blake)] {
            let zones = two_zones(cipher);
            let keys =
                zones.iter().flat_map(|zone| [*zone.client_to_server, *zone.server_to_client]);
            assert!(keys.eq(texts.map(array::<32>)), "{cipher:?}");
        }
    }

    /// Each ingredient counts: another zone number, ID, key, side, exchange, hash or root gives
    /// other keys, and no two keys of all of them are the same.
    #[test]
    fn r_zone_keys_depend_on_everything() {
        let (client, server) = (
            KeyHalf { id: 1, key: ephemeral(0).public_key() },
            KeyHalf { id: 2, key: ephemeral(32).public_key() },
        );
        let other = KeyHalf { key: ephemeral(64).public_key(), ..client };
        let cipher = Cipher::ChaChaPoly;
        let with = |split: Split, shared: u8, zone, client: &KeyHalf, server: &KeyHalf| {
            let keys = Root::first(cipher, &split).step(&[shared; 32], zone, client, server);
            [*keys.client_to_server, *keys.server_to_client, **keys.root.secret]
        };
        let renamed = KeyHalf { id: 3, ..client };
        let hashed = Split { hash: [9; 32], ..split() };
        let rekeyed = Split { server_to_client: [9; 32], ..split() };
        let mut all = alloc::vec![
            with(split(), 5, 1, &client, &server),
            with(split(), 6, 1, &client, &server),
            with(split(), 5, 2, &client, &server),
            with(split(), 5, 1, &server, &client),
            with(split(), 5, 1, &other, &server),
            with(split(), 5, 1, &renamed, &server),
            with(split(), 5, 1, &client, &renamed),
            with(hashed, 5, 1, &client, &server),
            with(rekeyed, 5, 1, &client, &server),
        ]
        .concat();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn roots_are_not_printed() {
        let root = Root::first(Cipher::AesGcm, &split());
        assert_eq!(format!("{root:?}"), "Root(AesGcm, ..)");
    }
}
