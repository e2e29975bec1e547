//! What an engine says in words shows no payload (I22): explanations, and how a connection ended.
//!
//! An engine writes no log; these texts are what users put into theirs. In go a text and some bytes
//! of payload, out comes whether the text has them, in any of the ways in which programs print
//! bytes.

use super::fault::{Verdict, ensure};
use super::player::Player;
use std::fmt::Write as _;
use tripline::Event;

/// How many bytes of a message are looked for.
pub(super) const SAMPLE: usize = 8;
/// Streams of a connection of which something is looked for.
const STREAMS: usize = 4;

/// Whether a text shows these bytes: as they are, escaped, in hexadecimal or as a list.
fn shows(text: &str, bytes: &[u8]) -> bool {
    let mut hex = String::new();
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    let list = format!("{bytes:?}");
    let list = list.trim_start_matches('[').trim_end_matches(']');
    let raw = text.as_bytes().windows(bytes.len().max(1)).any(|window| window == bytes);
    let escaped = bytes.escape_ascii().to_string();
    raw || text.contains(list) || text.contains(&escaped) || text.to_lowercase().contains(&hex)
}

impl Player<'_> {
    /// The explanations of both ends of a connection.
    pub(super) fn audit_words(&self, pact: usize) -> Verdict {
        for end in &self.pacts[pact].ends {
            let machine = self.world.machine(self.actors[end.host].id);
            let said = end.handle.filter(|_| end.is_live());
            let said = said.and_then(|handle| machine.explain(self.world.now(), handle));
            if let Some(said) = said {
                self.audit_text(pact, &said.to_string())?;
            }
        }
        Ok(())
    }

    /// How a connection ended.
    pub(super) fn audit_event(&self, pact: usize, event: &Event) -> Verdict {
        self.audit_text(pact, &format!("{event:?}"))
    }

    fn audit_text(&self, pact: usize, text: &str) -> Verdict {
        let model = &self.pacts[pact];
        let halves = model.streams.iter().take(STREAMS).flat_map(|stream| &stream.halves);
        for sample in halves.flatten().filter_map(|half| half.sample()) {
            ensure(!shows(text, &sample), "I22", || {
                format!("{}: payload is in the words \"{text}\"", model.name)
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripline::{Config, Endpoint, SecretKey};
    use tripline_sansio::{DatagramMachine, Instant, Seed};

    #[test]
    fn i22_payload_is_found_however_it_is_printed() {
        let bytes = [0x00, 0xff, 0x41, 0x0a, 0x7f, 0x10, 0x22, 0x99];
        for text in [
            format!("received {bytes:?} from it"),
            format!("received {:02x?}", bytes).replace(", ", ""),
            format!("received {}", "00FF410A7F102299"),
            format!("received b\"{}\"", bytes.escape_ascii()),
        ] {
            assert!(shows(&text, &bytes), "{text}");
        }
        assert!(shows("say hello to it", b"hello"));
        assert!(!shows("received 8 bytes [0, 255, 65, 10, 127, 16, 34, 15]", &bytes));
    }

    /// I22: who prints a whole endpoint prints no key.
    #[test]
    fn i22_an_endpoint_in_words_shows_no_secret() {
        let key = SecretKey::generate(&mut Seed::from_number(4).random("key"));
        let secret = *key.to_bytes();
        let config = Config::public_server(key);
        let endpoint = Endpoint::new(config, &Seed::from_number(1), Instant::ZERO);
        assert_eq!(endpoint.poll_timeout(), None);
        let text = format!("{endpoint:?}");
        assert!(text.len() > 500 && !shows(&text, &secret[..SAMPLE]), "{text}");
        assert!(shows(&format!("{:?}", secret), &secret[..SAMPLE]), "or else it would be found");
    }
}
