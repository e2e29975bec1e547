//! Who is let in: the user's two questions about a client, and the answer to the engine.

use std::fmt;
use tripline::{Code, Endpoint, Incoming, IncomingHandle, Psk};
use tripline_sansio::Instant;

/// Decides whether a client may come in (row T12), on the thread or task that drives the endpoint:
/// it must not wait. `Err` is the code and the text of the refusal. Never asked about a client of
/// which only the claimed key is known ([`Incoming::preliminary`]).
pub type Screen = Box<dyn FnMut(&Incoming) -> Result<(), (Code, String)> + Send>;

/// Names the pre-shared key of a client that opened with one, by its key, user id or route (row
/// T12), on the thread or task that drives the endpoint: it must not wait. Whoever has none is
/// turned away. Of a client that asked for our key (XX) only the key that it claims is known
/// ([`Incoming::preliminary`]); it is proven once the pre-shared key fits.
pub type ChoosePsk = Box<dyn FnMut(&Incoming) -> Option<Psk> + Send>;

/// Who decides on newcomers; without anybody, nobody comes in who has to be asked about.
#[derive(Default)]
pub struct Door {
    /// Who may come in.
    pub screen: Option<Screen>,
    /// By which pre-shared key.
    pub psk: Option<ChoosePsk>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { screen, psk } = self;
        let mut shown = f.debug_struct("Door");
        shown.field("screen", &screen.is_some()).field("psk", &psk.is_some()).finish()
    }
}

/// What was decided about one client; to be [told](Self::tell) to the engine.
#[derive(Debug)]
#[must_use]
pub struct Decision {
    client: IncomingHandle,
    answer: Result<(), (Code, String)>,
    psk: Option<Psk>,
}

impl Door {
    /// Asks the user about a client (rows T12 and T13). Where the question is only which pre-shared
    /// key to try (R-CHAL-4d), whoever chooses keys answers it alone: what the client wants is not
    /// known before the key fits, and then the engine asks again.
    pub fn decide(&mut self, incoming: &Incoming) -> Decision {
        let Self { screen, psk } = self;
        let client = incoming.handle;
        if incoming.preliminary {
            let psk = psk.as_mut().and_then(|choose| choose(incoming));
            let answer = psk.as_ref().map(drop).ok_or((Code::REFUSED, String::new()));
            return Decision { client, answer, psk };
        }
        let answer = match screen.as_mut() {
            Some(screen) => screen(incoming),
            None => Err((Code::REFUSED, String::new())),
        };
        let psk = psk.as_mut().filter(|_| incoming.wants_psk).and_then(|choose| choose(incoming));
        Decision { client, answer, psk }
    }
}

impl Decision {
    /// Tells the engine. The client may have given up by now, which is no news to anybody. Without
    /// the key that it wants it is turned away by either answer.
    pub fn tell(self, endpoint: &mut Endpoint, now: Instant) {
        let Self { client, answer, psk } = self;
        let _ = match (answer, psk) {
            (Ok(()), Some(psk)) => endpoint.accept_with(now, client, &psk),
            (Ok(()), None) => endpoint.accept(now, client),
            (Err((code, text)), Some(psk)) => endpoint.refuse_with(now, client, &psk, code, &text),
            (Err((code, text)), None) => endpoint.refuse(now, client, code, &text),
        };
    }
}
