//! The handshake against another implementation of Noise, against tampering, and against misuse.

use super::super::aead::default_aead;
use super::super::keys::tests::LOW_ORDER;
use super::super::suite::Pattern;
use super::super::testing::{array, random, random_bytes};
use super::*;
use alloc::boxed::Box;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash};
use tripline_sansio::Random;

/// All suites: 2 ciphers (cipher 2, with the feature `plain`, has the handshake of the first), with
/// and without a pre-shared key, 4 patterns.
fn suites() -> impl Iterator<Item = Suite> {
    (0..=u8::MAX).filter_map(Suite::from_byte)
}

/// Everything that the two sides of one handshake are made of.
struct Case {
    suite: Suite,
    prologue: Vec<u8>,
    /// Client's and server's static keys.
    statics: [SecretKey; 2],
    ephemerals: [SecretKey; 2],
    psk: Psk,
    payloads: [Vec<u8>; 3],
}

const CLIENT: usize = 0;
const SERVER: usize = 1;

impl Case {
    fn new(suite: Suite, random: &mut Random) -> Self {
        let bytes = |random: &mut Random| {
            let length = random.below(100) as usize;
            random_bytes(random, length)
        };
        Self {
            suite,
            prologue: bytes(random),
            statics: core::array::from_fn(|_| SecretKey::generate(random)),
            ephemerals: core::array::from_fn(|_| SecretKey::generate(random)),
            psk: Psk::generate(random),
            payloads: core::array::from_fn(|_| bytes(random)),
        }
    }

    fn setup(&self, side: usize) -> Setup<'_> {
        Setup {
            suite: self.suite,
            prologue: &self.prologue,
            local: Some(&self.statics[side]),
            remote: Some(self.statics[SERVER].public_key()),
            psk: Some(&self.psk),
            ephemeral: self.ephemerals[side].clone(),
            aead: default_aead(),
        }
    }

    fn ours(&self, side: usize) -> Handshake {
        let new = if side == CLIENT { Handshake::initiator } else { Handshake::responder };
        new(self.setup(side)).unwrap()
    }

    fn theirs(&self, side: usize) -> snow::HandshakeState {
        let secret = self.statics[side].to_bytes();
        let remote = self.statics[SERVER].public_key().to_bytes();
        let ephemeral = self.ephemerals[side].to_bytes();
        let psk = self.psk.to_bytes();
        let name = self.suite.noise_name().parse().unwrap();
        let mut builder = snow::Builder::with_resolver(name, Box::new(Repeatable))
            .prologue(&self.prologue)
            .unwrap()
            .fixed_ephemeral_key_for_testing_only(&*ephemeral);
        if pattern::needs_static(self.suite.pattern, side == CLIENT) {
            builder = builder.local_private_key(&*secret).unwrap();
        }
        if side == CLIENT && pattern::remote_known(self.suite.pattern) {
            builder = builder.remote_public_key(&remote).unwrap();
        }
        if self.suite.psk {
            let place = if self.suite.pattern == Pattern::Xx { 3 } else { 2 };
            builder = builder.psk(place, &psk).unwrap();
        }
        if side == CLIENT { builder.build_initiator() } else { builder.build_responder() }.unwrap()
    }

    fn messages(&self) -> usize {
        pattern::messages(self.suite.pattern).len()
    }

    /// Both of our sides, after `count` messages.
    fn after(&self, count: usize) -> [Handshake; 2] {
        let mut sides = [self.ours(CLIENT), self.ours(SERVER)];
        (0..count).for_each(|index| {
            let message = written(&mut sides[index % 2], &self.payloads[index]);
            read(&mut sides[(index + 1) % 2], &message).unwrap();
        });
        sides
    }
}

fn written(side: &mut Handshake, payload: &[u8]) -> Vec<u8> {
    let mut message = b"before".to_vec();
    side.write_message(payload, &mut message).unwrap();
    message.split_off(6)
}

fn read(side: &mut Handshake, message: &[u8]) -> Result<Vec<u8>, NoiseError> {
    let mut payload = b"before".to_vec();
    let result = side.read_message(message, &mut payload);
    assert_eq!(payload[..6], b"before"[..]);
    assert!(result.is_ok() || payload.len() == 6, "something is left of a failed message");
    result.map(|()| payload.split_off(6))
}

/// The other implementation's own primitives, and no randomness: all keys are given to it.
struct Repeatable;

impl CryptoResolver for Repeatable {
    fn resolve_rng(&self) -> Option<Box<dyn snow::types::Random>> {
        Some(Box::new(Self))
    }
    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }
    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }
    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

impl snow::types::Random for Repeatable {
    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), snow::Error> {
        Err(snow::Error::Rng)
    }
}

/// One side of either make.
enum Any {
    Ours(Box<Handshake>),
    Theirs(Box<snow::HandshakeState>),
}

impl Any {
    fn write(&mut self, payload: &[u8]) -> Vec<u8> {
        match self {
            Self::Ours(ours) => written(ours, payload),
            Self::Theirs(theirs) => {
                let mut message = alloc::vec![0; 1024];
                let length = theirs.write_message(payload, &mut message).unwrap();
                message.truncate(length);
                message
            }
        }
    }

    fn read(&mut self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ours(ours) => read(ours, message).unwrap(),
            Self::Theirs(theirs) => {
                let mut payload = alloc::vec![0; 1024];
                let length = theirs.read_message(message, &mut payload).unwrap();
                payload.truncate(length);
                payload
            }
        }
    }

    fn remote_static(&self) -> Option<Vec<u8>> {
        match self {
            Self::Ours(ours) => ours.remote_static().map(|key| key.to_bytes().to_vec()),
            Self::Theirs(theirs) => theirs.get_remote_static().map(<[u8]>::to_vec),
        }
    }

    /// Both keys and the hash.
    fn finish(self) -> [[u8; 32]; 3] {
        match self {
            Self::Ours(ours) => {
                assert!(ours.is_finished());
                let split = ours.split().unwrap();
                [split.client_to_server, split.server_to_client, split.hash]
            }
            Self::Theirs(mut theirs) => {
                assert!(theirs.is_handshake_finished());
                let (first, second) = theirs.dangerously_get_raw_split();
                [first, second, theirs.get_handshake_hash().try_into().unwrap()]
            }
        }
    }
}

/// The four ways to put two makes together give the same messages, keys and hashes, in every suite.
#[test]
fn all_pairings_with_another_implementation_agree() {
    for round in 0..4 {
        for suite in suites() {
            let mut random = random(1000 + 100 * round + u64::from(suite.to_byte()));
            let case = Case::new(suite, &mut random);
            let make = |side, own| match own {
                true => Any::Ours(Box::new(case.ours(side))),
                false => Any::Theirs(Box::new(case.theirs(side))),
            };
            let pairings = [(true, true), (true, false), (false, true), (false, false)];
            let mut runs = pairings.map(|(client, server)| {
                let mut sides = [make(CLIENT, client), make(SERVER, server)];
                let mut transcript = Vec::new();
                for index in 0..case.messages() {
                    let message = sides[index % 2].write(&case.payloads[index]);
                    let payload = sides[(index + 1) % 2].read(&message);
                    assert_eq!(payload, case.payloads[index], "{suite} round {round}");
                    transcript.push(message);
                }
                let statics = sides.each_ref().map(Any::remote_static);
                let [client, server] = sides.map(Any::finish);
                assert_eq!(client, server, "{suite} round {round}");
                (transcript, client, statics)
            });
            let [first, others @ ..] = &mut runs;
            assert!(others.iter().all(|run| run == first), "{suite} round {round}");
        }
    }
}

/// Each side learns just the keys that its pattern shows it.
#[test]
fn remote_static_is_known_where_the_pattern_shows_it() {
    for suite in suites() {
        let case = Case::new(suite, &mut random(9));
        let [client, server] = case.statics.each_ref().map(|key| Some(key.public_key()));
        let known = |count: usize| case.after(count).map(|side| side.remote_static());
        let expected = match suite.pattern {
            Pattern::Nn => [[None; 2]; 3].to_vec(),
            Pattern::Nk => [[server, None]; 3].to_vec(),
            Pattern::Ik => [[server, None], [server, client], [server, client]].to_vec(),
            Pattern::Xx => [[None; 2], [None; 2], [server, None], [server, client]].to_vec(),
        };
        for (count, keys) in expected.into_iter().enumerate() {
            assert_eq!(known(count), keys, "{suite} after {count} messages");
        }
    }
}

/// Whether nothing protects message `index`, so that only the next one shows a change.
fn unprotected(suite: Suite, index: usize) -> bool {
    index == 0 && !suite.psk && matches!(suite.pattern, Pattern::Nn | Pattern::Xx)
}

/// H1 of the attack list, R-WIRE-2: every bit of every message counts, and a changed, cut or
/// lengthened one leaves the state as it was: the true message is still read after them all.
#[test]
fn tampered_messages_fail_and_leave_the_state_usable() {
    for suite in suites() {
        let mut random = random(2000 + u64::from(suite.to_byte()));
        let case = Case::new(suite, &mut random);
        for index in 0..case.messages() {
            let mut sides = case.after(index);
            let message = written(&mut sides[index % 2], &case.payloads[index]);
            let [writer, reader] = [index % 2, (index + 1) % 2].map(|side| sides[side].clone());
            let (mut reader, mut writer) = (reader, writer);
            let wrong =
                |reader: &mut Handshake, wrong: &[u8], what: usize| match read(reader, wrong) {
                    Err(_) => assert!(!reader.is_finished()),
                    Ok(_) => {
                        assert!(unprotected(suite, index), "{suite} message {index}: {what}");
                        // The hashes differ now, so the answer does not verify.
                        let answer = written(reader, b"");
                        assert_eq!(read(&mut writer.clone(), &answer), Err(NoiseError::Open));
                    }
                };
            for at in 0..message.len() {
                let mut changed = message.clone();
                changed[at] ^= 1 << random.below(8);
                let mut tried = reader.clone();
                if unprotected(suite, index) {
                    wrong(&mut tried, &changed, at);
                } else {
                    // Not on a copy: the state itself must survive.
                    wrong(&mut reader, &changed, at);
                }
            }
            for length in 0..message.len() {
                wrong(&mut reader.clone(), &message[..length], length);
            }
            wrong(&mut reader.clone(), &[&message[..], &[0]].concat(), message.len() + 1);
            // The true one, and the rest of the handshake.
            assert_eq!(read(&mut reader, &message).as_ref(), Ok(&case.payloads[index]));
            let mut next = index + 1;
            while next < case.messages() {
                let message = written(&mut reader, &case.payloads[next]);
                assert_eq!(read(&mut writer, &message).as_ref(), Ok(&case.payloads[next]));
                core::mem::swap(&mut reader, &mut writer);
                next += 1;
            }
            let [one, other] = [reader, writer].map(|side| side.split().unwrap().hash);
            assert_eq!(one, other, "{suite} message {index}");
        }
    }
}

/// A difference in prologue, pre-shared key, suite or the server's key ends every handshake.
#[test]
fn sides_that_disagree_do_not_finish() {
    let mut random = random(11);
    for suite in suites() {
        let case = Case::new(suite, &mut random);
        let other_key = SecretKey::generate(&mut random);
        let other_psk = Psk::generate(&mut random);
        let fails = |what: &str, change: &dyn Fn(&mut Setup<'_>)| {
            let mut setup = case.setup(CLIENT);
            change(&mut setup);
            let mut sides = [Handshake::initiator(setup).unwrap(), case.ours(SERVER)];
            let failed = (0..case.messages()).any(|index| {
                let message = written(&mut sides[index % 2], b"x");
                read(&mut sides[(index + 1) % 2], &message).is_err()
            });
            assert!(failed, "{suite}: another {what}");
        };
        fails("prologue", &|setup| setup.prologue = b"another");
        fails("cipher", &|setup| {
            let byte = (suite.to_byte() ^ 0b1000) & 0b1111;
            setup.suite = Suite::from_byte(byte).unwrap();
        });
        fails("use of the pre-shared key", &|setup| setup.suite.psk = !suite.psk);
        if suite.psk {
            let mut setup = case.setup(CLIENT);
            setup.psk = Some(&other_psk);
            let mut sides = [Handshake::initiator(setup).unwrap(), case.ours(SERVER)];
            let failed = (0..case.messages()).position(|index| {
                let message = written(&mut sides[index % 2], b"x");
                read(&mut sides[(index + 1) % 2], &message) == Err(NoiseError::Open)
            });
            assert_eq!(failed, Some(case.messages() - 1), "{suite}: the last one shows it");
        }
        if pattern::remote_known(suite.pattern) {
            fails("server", &|setup| setup.remote = Some(other_key.public_key()));
        }
    }
}

/// T12, PROTOCOL.md §2.2: without the pre-shared key neither side finishes a suite that has one.
#[test]
fn t12_without_the_pre_shared_key_there_is_no_last_message() {
    for suite in suites().filter(|suite| suite.psk) {
        let case = Case::new(suite, &mut random(12));
        // With the psk, without it at the client, at the server.
        for without in [None, Some(CLIENT), Some(SERVER)] {
            let [mut writer, mut reader] = [CLIENT, SERVER].map(|side| {
                let psk = (without != Some(side)).then_some(&case.psk);
                let setup = Setup { psk, ..case.setup(side) };
                if side == CLIENT {
                    Handshake::initiator(setup).unwrap()
                } else {
                    Handshake::responder(setup).unwrap()
                }
            });
            let mut write_side = CLIENT;
            for _ in 1..case.messages() {
                let message = written(&mut writer, b"");
                read(&mut reader, &message).unwrap();
                core::mem::swap(&mut writer, &mut reader);
                write_side = if write_side == CLIENT { SERVER } else { CLIENT };
            }
            let mut out = Vec::new();
            let result = writer.write_message(b"last", &mut out);
            if without == Some(write_side) {
                assert_eq!((result, out.len()), (Err(NoiseError::NoPsk), 0), "{suite}");
                continue;
            }
            result.unwrap();
            let wanted = match without {
                None => Ok(b"last".to_vec()),
                Some(_) => Err(NoiseError::NoPsk),
            };
            assert_eq!(read(&mut reader, &out), wanted, "{suite}");
        }
    }
}

/// R-OPEN-3: an ephemeral key that is not canonical fails the message that brings it.
#[test]
fn r_open_3_a_key_that_is_not_canonical_fails_the_message() {
    for suite in suites() {
        let case = Case::new(suite, &mut random(13));
        for (index, bad) in [(0, [0xff; 32]), (1, [0xff; 32]), (0, high_bit()), (1, high_bit())] {
            let mut sides = case.after(index);
            let mut message = written(&mut sides[index % 2], b"");
            message[..32].copy_from_slice(&bad);
            let reader = &mut sides[(index + 1) % 2];
            assert_eq!(read(reader, &message), Err(NoiseError::Key), "{suite} message {index}");
        }
        let remote = Some(PublicKey::from_bytes([0xff; 32]));
        let given = Handshake::initiator(Setup { remote, ..case.setup(CLIENT) });
        let wanted = pattern::remote_known(suite.pattern);
        assert_eq!(given.err(), wanted.then_some(NoiseError::Key), "{suite}");
    }
}

/// The base point with the bit set that X25519 ignores.
fn high_bit() -> [u8; 32] {
    let mut bytes = [0; 32];
    (bytes[0], bytes[31]) = (9, 0x80);
    bytes
}

/// H2 of the attack list, R-OPEN-3: whichever key of the peer is of low order, ephemeral or static,
/// the first exchange with it fails the message, in a handshake that is otherwise honest.
#[test]
fn r_open_3_keys_of_low_order_end_the_handshake() {
    for suite in suites() {
        for low in LOW_ORDER.map(|low| PublicKey::from_bytes(array(low))) {
            for side in [CLIENT, SERVER] {
                for ephemeral in [true, false] {
                    let mut case = Case::new(suite, &mut random(14));
                    let keys = if ephemeral { &mut case.ephemerals } else { &mut case.statics };
                    keys[side] = keys[side].clone().pretending(low);
                    if ephemeral || pattern::needs_static(suite.pattern, side == CLIENT) {
                        let error = first_error(&case, side);
                        assert_eq!(error, Some(NoiseError::Zero), "{suite} {side} {low}");
                    }
                }
            }
        }
    }
}

/// A static key that is not canonical can come only from a peer that seals it as its own.
#[test]
fn r_open_3_a_sealed_key_that_is_not_canonical_fails_the_message() {
    for suite in suites() {
        for side in [CLIENT, SERVER] {
            let travels = match suite.pattern {
                Pattern::Nn | Pattern::Nk => false,
                Pattern::Ik => side == CLIENT,
                Pattern::Xx => true,
            };
            let mut case = Case::new(suite, &mut random(15));
            let bad = PublicKey::from_bytes(high_bit());
            case.statics[side] = case.statics[side].clone().pretending(bad);
            if travels {
                assert_eq!(first_error(&case, side), Some(NoiseError::Key), "{suite} {side}");
            }
        }
    }
}

/// The first error that the side other than `hostile` meets.
fn first_error(case: &Case, hostile: usize) -> Option<NoiseError> {
    let mut sides = [case.ours(CLIENT), case.ours(SERVER)];
    for index in 0..case.messages() {
        let mut message = Vec::new();
        let (writer, reader) = (index % 2, (index + 1) % 2);
        if let Err(error) = sides[writer].write_message(b"payload", &mut message) {
            assert_ne!(writer, hostile, "the hostile side goes on");
            return Some(error);
        }
        if let Err(error) = read(&mut sides[reader], &message) {
            assert_ne!(reader, hostile, "the hostile side goes on");
            return Some(error);
        }
    }
    None
}

/// Calls that are not due are errors, and change nothing.
#[test]
fn calls_out_of_turn_are_errors() {
    for suite in suites() {
        let case = Case::new(suite, &mut random(16));
        for count in 0..=case.messages() {
            let over = count == case.messages();
            let mut sides = case.after(count);
            for (side, state) in sides.iter_mut().enumerate() {
                let mut out = Vec::new();
                if over || side != count % 2 {
                    assert_eq!(state.write_message(b"", &mut out), Err(NoiseError::Turn));
                }
                if over || side == count % 2 {
                    assert_eq!(state.read_message(&[0; 200], &mut out), Err(NoiseError::Turn));
                }
                assert!(out.is_empty());
                assert_eq!(state.is_finished(), over);
                assert_eq!(state.clone().split().is_ok(), over);
            }
            let sides = sides.each_mut();
            for index in count..case.messages() {
                let message = written(sides[index % 2], b"");
                read(sides[(index + 1) % 2], &message).unwrap();
            }
        }
    }
}

/// A pattern says which static keys it wants; without them there is no handshake.
#[test]
fn missing_keys_are_told_at_the_start() {
    for suite in suites() {
        let case = Case::new(suite, &mut random(17));
        let bare = |side| Setup { local: None, ..case.setup(side) };
        let client = Handshake::initiator(bare(CLIENT)).err();
        let server = Handshake::responder(bare(SERVER)).err();
        let lost = Some(NoiseError::NoLocal);
        let expected = match suite.pattern {
            Pattern::Nn => (None, None),
            Pattern::Nk => (None, lost),
            Pattern::Ik | Pattern::Xx => (lost, lost),
        };
        assert_eq!((client, server), expected, "{suite}");
        let client = Handshake::initiator(Setup { remote: None, ..case.setup(CLIENT) }).err();
        let wanted = pattern::remote_known(suite.pattern);
        assert_eq!(client, wanted.then_some(NoiseError::NoRemote), "{suite}");
    }
}

/// A message has at most 65,535 bytes, written or read.
#[test]
fn messages_are_no_longer_than_noise_allows() {
    for suite in suites() {
        let case = Case::new(suite, &mut random(18));
        let overhead = pattern::overhead(suite, 0).unwrap();
        let (mut client, mut server) = (case.ours(CLIENT), case.ours(SERVER));
        let payload = alloc::vec![1; MESSAGE_MAX - overhead + 1];
        let mut out = Vec::new();
        assert_eq!(client.write_message(&payload, &mut out), Err(NoiseError::Long));
        assert_eq!(read(&mut server, &alloc::vec![0; MESSAGE_MAX + 1]), Err(NoiseError::Long));
        let message = written(&mut client, &payload[1..]);
        assert_eq!(message.len(), MESSAGE_MAX);
        assert_eq!(read(&mut server, &message).unwrap(), payload[1..]);
    }
}

/// PROTOCOL.md §2.2: the sizes of messages without payload, as other implementations have them.
#[test]
fn overheads_are_the_published_ones() {
    let overheads = |name: &str| {
        let suite = suites().find(|suite| suite.noise_name() == name).unwrap();
        (0..).map_while(|index| pattern::overhead(suite, index)).collect::<Vec<_>>()
    };
    assert_eq!(overheads("Noise_NN_25519_ChaChaPoly_BLAKE2s"), [32, 48]);
    assert_eq!(overheads("Noise_NK_25519_AESGCM_SHA256"), [48, 48]);
    assert_eq!(overheads("Noise_IK_25519_ChaChaPoly_BLAKE2s"), [96, 48]);
    assert_eq!(overheads("Noise_XX_25519_AESGCM_SHA256"), [32, 96, 64]);
    assert_eq!(overheads("Noise_NNpsk2_25519_ChaChaPoly_BLAKE2s"), [48, 48]);
    assert_eq!(overheads("Noise_XXpsk3_25519_AESGCM_SHA256"), [48, 96, 64]);
}

/// R-HAND-2: a half-open in XX holds this state, and has 512 bytes for it and what is around it.
#[test]
fn r_hand_2_the_state_leaves_room_in_a_half_open() {
    let size = size_of::<Handshake>();
    assert!(size <= 416, "{size} bytes");
}

/// No key shows in what is printed of a handshake.
#[test]
fn debug_text_holds_no_key() {
    let case = Case::new(Suite::from_byte(2).unwrap(), &mut random(19));
    let [client, server] = case.after(1);
    assert_eq!(
        alloc::format!("{client:?} {server:?}"),
        "Handshake(Noise_IK_25519_ChaChaPoly_BLAKE2s, client, message 1) \
         Handshake(Noise_IK_25519_ChaChaPoly_BLAKE2s, server, message 1)"
    );
}
