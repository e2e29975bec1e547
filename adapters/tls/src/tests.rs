//! Two ends in memory: what passes, and what does not.

use crate::{Tls, TlsLayer, TlsMachine};
use tripline_sansio::{
    Duration, Instant, LayerEvent, LinkError, LinkFailure, StreamLayer, StreamMachine,
};

const NOW: Instant = Instant::ZERO;

fn remote() -> std::net::SocketAddr {
    "127.0.0.1:1".parse().expect("an address")
}

/// A server of the name `localhost`, and the certificate that it shows.
fn server() -> (Tls, crate::CertificateDer<'static>) {
    let identity = crate::ServerIdentity::self_signed(&["localhost"]).expect("made");
    let certificate = identity.certificates[0].clone();
    (Tls::server(identity).expect("a server"), certificate)
}

fn pair() -> [TlsLayer; 2] {
    let client = Tls::client_of_anyone().client_layer(NOW, "localhost", remote());
    [client.expect("a client"), server().0.server_layer(NOW).expect("a server")]
}

/// Carries bytes, cut into pieces of this size, until both are silent; what each side heard.
fn carry(ends: &mut [TlsLayer; 2], piece: usize) -> Result<[Vec<u8>; 2], LinkError> {
    let mut heard = [Vec::new(), Vec::new()];
    let mut quiet = 0;
    for turn in 0_usize.. {
        let (from, to) = (turn % 2, (turn + 1) % 2);
        let mut bytes = Vec::new();
        quiet = if ends[from].poll_write(&mut bytes) { 0 } else { quiet + 1 };
        for cut in bytes.chunks(piece) {
            ends[to].handle_bytes(NOW, cut, &mut heard[to])?;
        }
        if quiet == 2 {
            break;
        }
    }
    Ok(heard)
}

/// Sends back what it gets.
#[derive(Default)]
struct Echo {
    out: Vec<u8>,
    heard: usize,
    ended: bool,
}

impl StreamMachine for Echo {
    type Event = ();
    fn handle_bytes(&mut self, _: Instant, bytes: &[u8]) {
        self.heard += bytes.len();
        self.out.extend_from_slice(bytes);
    }
    fn handle_eof(&mut self, _: Instant) {
        self.ended = true;
    }
    fn handle_timeout(&mut self, _: Instant) {}
    fn poll_write(&mut self, _: Instant, out: &mut Vec<u8>) -> bool {
        let some = !self.out.is_empty();
        out.append(&mut self.out);
        some
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    fn poll_event(&mut self) -> Option<()> {
        None
    }
}

#[test]
fn bytes_pass_both_ways_however_they_are_cut() {
    for piece in [1, 7, 1_000, usize::MAX] {
        let mut ends = pair();
        carry(&mut ends, piece).expect("agreed");
        assert!(ends.iter().all(|end| end.is_open() && end.poll_timeout().is_none()));
        let data: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
        ends[0].write(&data).expect("taken");
        ends[1].write(b"back").expect("taken");
        let heard = carry(&mut ends, piece).expect("carried");
        assert!(heard[1] == data && heard[0] == b"back", "pieces of {piece}");
    }
}

#[test]
fn a_machine_within_tls_is_a_machine() {
    let [mut client, server] = pair();
    let mut server = TlsMachine::around(server, Echo::default());
    let (mut there, mut back, mut heard) = (Vec::new(), Vec::new(), Vec::new());
    let mut said = false;
    loop {
        let some = client.poll_write(&mut there) | server.poll_write(NOW, &mut back);
        server.handle_bytes(NOW, &std::mem::take(&mut there));
        client.handle_bytes(NOW, &std::mem::take(&mut back), &mut heard).expect("sound");
        if client.is_open() && !std::mem::replace(&mut said, true) {
            client.write(&[7; 50_000]).expect("taken");
            client.finish();
        } else if !some {
            break;
        }
    }
    assert_eq!(server.poll_event(), Some(LayerEvent::Open));
    assert_eq!(
        (heard.len(), server.machine().heard, server.machine().ended),
        (50_000, 50_000, true)
    );
    server.handle_eof(NOW);
    assert_eq!(server.poll_event(), None, "the end was orderly");
}

fn text(result: Result<(), LinkError>) -> String {
    let error = result.expect_err("refused");
    assert_eq!(error.failure, LinkFailure::Insecure);
    error.to_string()
}

/// A peer that says nothing, or something else, is named within the handshake's time.
#[test]
fn silence_and_plain_text_end_in_clear_errors() {
    let second = Duration::from_secs(1);
    let tls = Tls::client_of_anyone().timeout(second);
    let new = || tls.client_layer(NOW, "localhost", remote()).expect("a client");
    let mut silent = new();
    assert_eq!(silent.poll_timeout(), Some(NOW + second));
    assert!(silent.handle_timeout(NOW + second / 2).is_ok());
    let told = text(silent.handle_timeout(NOW + second));
    assert!(told.contains("says nothing within 1s"), "{told}");
    for plain in
        [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"SSH-2.0-OpenSSH_9.2\r\n", b"\0\0\0\0\0\0"]
    {
        let told = text(new().handle_bytes(NOW, plain, &mut Vec::new()));
        assert!(told.contains("does not speak TLS"), "{told}");
    }
    let mut server = server().0.server_layer(NOW).expect("a server");
    let told = text(server.handle_bytes(NOW, b"GET / HTTP/1.1\r\n\r\n", &mut Vec::new()));
    assert!(told.contains("does not speak TLS"), "{told}");
    let told = text(new().handle_eof(NOW));
    assert!(told.contains("hung up during the TLS handshake"), "{told}");
}

/// An end without a goodbye is told from an orderly one (truncation).
#[test]
fn a_cut_off_link_is_noticed() {
    for orderly in [true, false] {
        let mut ends = pair();
        carry(&mut ends, 500).expect("agreed");
        ends[0].write(b"half of it").expect("taken");
        if orderly {
            ends[0].finish();
        }
        let heard = carry(&mut ends, 500).expect("carried");
        assert_eq!(heard[1], b"half of it");
        let end = ends[1].handle_eof(NOW);
        assert_eq!((end.is_ok(), ends[1].is_finished()), (orderly, orderly), "{end:?}");
    }
}

/// With roots, the certificate and its name count; without, neither does.
#[test]
fn roots_and_names_count_when_given() {
    let (server, certificate) = server();
    let (_, other) = self::server();
    let roots = |root: &crate::CertificateDer<'static>| Tls::client([root.clone()]).expect("roots");
    for (client, name, passes) in [
        (Tls::client_of_anyone(), "elsewhere.example", true),
        (Tls::client_of_anyone(), "", true),
        (roots(&certificate), "localhost", true),
        (roots(&certificate), "elsewhere.example", false),
        (roots(&certificate), "", false),
        (roots(&other), "localhost", false),
    ] {
        let client = client.client_layer(NOW, name, remote()).expect("a client");
        let mut ends = [client, server.server_layer(NOW).expect("a server")];
        assert_eq!(carry(&mut ends, 500).is_ok(), passes, "{name:?}");
    }
    assert!(server.client_layer(NOW, "localhost", remote()).is_err(), "it is no client");
}

/// A changed byte ends it.
#[test]
fn what_is_tampered_with_is_refused() {
    let mut ends = pair();
    carry(&mut ends, 500).expect("agreed");
    ends[0].write(b"secret").expect("taken");
    let mut bytes = Vec::new();
    ends[0].poll_write(&mut bytes);
    *bytes.last_mut().expect("some") ^= 1;
    let mut heard = Vec::new();
    text(ends[1].handle_bytes(NOW, &bytes, &mut heard));
    assert!(heard.is_empty());
}

/// A PEM file, by hand: nobody else here needs to write one.
fn pem(label: &str, der: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = format!("-----BEGIN {label}-----\n");
    for three in der.chunks(3) {
        let bits = three.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - three.len()));
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= three.len() { letter as char } else { '=' });
        }
    }
    text + &format!("\n-----END {label}-----\n")
}

/// Keys and certificates as they stand in files.
#[test]
fn pem_files_are_read() {
    let made = crate::ServerIdentity::self_signed(&["localhost"]).expect("made");
    let certificate = pem("CERTIFICATE", &made.certificates[0]);
    let both = pem("PRIVATE KEY", made.key.secret_der()) + &certificate;
    let identity = crate::ServerIdentity::from_pem(both.as_bytes(), both.as_bytes());
    let server = Tls::server(identity.expect("read")).expect("a server");
    let client = Tls::client_of_pem(certificate.as_bytes()).expect("roots");
    let client = client.client_layer(NOW, "localhost", remote()).expect("a client");
    let mut ends = [client, server.server_layer(NOW).expect("a server")];
    carry(&mut ends, 500).expect("agreed");
    assert!(Tls::client_of_pem(b"nothing").is_err());
    assert!(crate::ServerIdentity::from_pem(certificate.as_bytes(), b"nothing").is_err());
}
