//! The published vectors of our sixteen suites, byte for byte, from both sides.

extern crate std;

use super::super::aead::default_aead;
use super::super::data::{OpenKey, SealKey};
use super::super::testing::{array, hex};
use super::*;
use serde_json::Value;

/// See the README beside the file for where it comes from.
const VECTORS: &str = include_str!("../../../../../tests/vectors/noise/cacophony.json");

/// The field `name` of a vector, or of one of its messages.
fn field<'a>(vector: &'a Value, name: &str) -> Option<&'a str> {
    vector.get(name).map(|value| value.as_str().unwrap())
}

/// One side as the vector describes it; `side` is `init` or `resp`.
fn side(vector: &Value, suite: Suite, side: &str) -> Handshake {
    let field = |name: &str| field(vector, &std::format!("{side}_{name}"));
    let secret = |name: &str| field(name).map(|text| SecretKey::from_bytes(array(text)));
    let psks = vector.get(std::format!("{side}_psks")).and_then(Value::as_array);
    let psk = psks.map(|psks| Psk::from_bytes(array(psks[0].as_str().unwrap())));
    let prologue = hex(field("prologue").unwrap());
    let local = secret("static");
    let setup = Setup {
        suite,
        prologue: &prologue,
        local: local.as_ref(),
        remote: field("remote_static").map(|text| PublicKey::from_bytes(array(text))),
        psk: psk.as_ref(),
        ephemeral: secret("ephemeral").unwrap(),
        aead: default_aead(),
    };
    let new = if side == "init" { Handshake::initiator } else { Handshake::responder };
    new(setup).unwrap()
}

#[test]
fn all_published_vectors_of_our_suites_match() {
    let file: Value = serde_json::from_str(VECTORS).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    let mut covered = 0;
    let suites = (0..=u8::MAX).filter_map(Suite::from_byte);
    // Cipher 2 has no handshake of its own, and no name.
    for suite in suites.filter(|suite| !suite.is_readable()) {
        let name = suite.noise_name();
        let mut own = vectors.iter().filter(|vector| field(vector, "protocol_name") == Some(name));
        check(own.next().expect(name), suite);
        covered += 1;
    }
    assert_eq!((covered, vectors.len()), (16, 16));
}

fn check(vector: &Value, suite: Suite) {
    let mut sides = [side(vector, suite, "init"), side(vector, suite, "resp")];
    let messages = vector["messages"].as_array().unwrap();
    let handshake = pattern::messages(suite.pattern).len();
    let data = |index: usize| {
        let part = |name| hex(field(&messages[index], name).unwrap());
        (part("payload"), part("ciphertext"))
    };
    for index in 0..handshake {
        let (payload, message) = data(index);
        let (mut written, mut read) = (Vec::new(), Vec::new());
        sides[index % 2].write_message(&payload, &mut written).unwrap();
        assert_eq!(written, message, "{suite} message {index}");
        assert_eq!(pattern::overhead(suite, index), Some(message.len() - payload.len()));
        sides[(index + 1) % 2].read_message(&message, &mut read).unwrap();
        assert_eq!(read, payload, "{suite} message {index}");
    }
    assert_eq!(pattern::overhead(suite, handshake), None);
    let [client, server] = sides.map(|side| side.split().unwrap());
    assert_eq!(client.hash[..], hex(field(vector, "handshake_hash").unwrap()), "{suite}");
    assert_eq!(client.hash, server.hash);

    // What follows the handshake is sealed with the split keys, each direction from number 0 on.
    let aead = default_aead();
    let keys = [
        (client.client_to_server, server.client_to_server),
        (server.server_to_client, client.server_to_client),
    ];
    let mut keys = keys.map(|(seal, open)| {
        let cipher = suite.cipher;
        (SealKey::new(&*aead, cipher, &seal, 0), OpenKey::new(&*aead, cipher, &open), 0)
    });
    assert!(messages.len() >= handshake + 2, "both directions are covered");
    for index in handshake..messages.len() {
        let (payload, message) = data(index);
        let (seal, open, number) = &mut keys[index % 2];
        let mut packet = payload.clone();
        seal.seal_packet(*number, &mut packet, 0, 0).unwrap();
        assert_eq!(packet, message, "{suite} message {index}");
        assert_eq!(open.open_packet(*number, &mut packet, 0).unwrap(), payload);
        *number += 1;
    }
}
