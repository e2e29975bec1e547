//! The codes with which connections and streams end (PROTOCOL.md §7).

use core::fmt;

/// Why a connection or a stream ended, as a number on the wire.
///
/// Codes below 0x100 are the protocol's, the rest is the application's own. On streams all codes
/// are the application's, but for those that this page gives the protocol.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u64);

impl Code {
    /// 0: no error.
    pub const NONE: Self = Self(0);
    /// 1: the sender failed inside.
    pub const INTERNAL: Self = Self(1);
    /// 2: the peer broke a rule of the protocol.
    pub const PROTOCOL: Self = Self(2);
    /// 3: the peer sent more than its credit.
    pub const FLOW_CONTROL: Self = Self(3);
    /// 4: the peer opened more streams than it may.
    pub const STREAM_LIMIT: Self = Self(4);
    /// 5: a frame that does not fit the state of its stream.
    pub const STREAM_STATE: Self = Self(5);
    /// 6: a message longer than agreed.
    pub const MESSAGE_TOO_LARGE: Self = Self(6);
    /// 7: a parameter missing, twice, or out of range.
    pub const PARAMETER: Self = Self(7);
    /// 8: no room for another connection now.
    pub const BUSY: Self = Self(8);
    /// 9: no common version.
    pub const VERSION: Self = Self(9);
    /// 10: the user refused.
    pub const REFUSED: Self = Self(10);
    /// 11: nothing came for too long.
    pub const IDLE: Self = Self(11);
    /// 12: the keys may not be used any longer.
    pub const KEY_LIMIT: Self = Self(12);
    /// 13: nothing behind this endpoint serves the route.
    pub const NO_ROUTE: Self = Self(13);
    /// 14: the endpoint is shutting down.
    pub const SHUTTING_DOWN: Self = Self(14);
    /// 15: a plain mode that is not allowed here.
    pub const UNSAFE: Self = Self(15);
    /// 16: a newer connection took this one's place.
    pub const REPLACED: Self = Self(16);
    /// The first code that belongs to the application.
    pub const APPLICATION: u64 = 0x100;
    /// The largest code (the largest variable-length integer).
    pub const MAX: u64 = tripline_sansio::codec::VARINT_MAX;

    /// The code with this number; `None` above [`Self::MAX`].
    pub const fn new(number: u64) -> Option<Self> {
        if number > Self::MAX { None } else { Some(Self(number)) }
    }

    /// The application's own code `number`, counted from 0 (0x100 on the wire). Numbers that do not
    /// fit become the largest code.
    pub const fn application(number: u64) -> Self {
        let code = number.saturating_add(Self::APPLICATION);
        Self(if code > Self::MAX { Self::MAX } else { code })
    }

    /// The number on the wire.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// What the code means, in a few words.
    pub const fn text(self) -> &'static str {
        match self.0 {
            0 => "no error",
            1 => "internal error",
            2 => "protocol violation",
            3 => "flow control violated",
            4 => "stream limit exceeded",
            5 => "wrong stream state",
            6 => "message too large",
            7 => "bad parameter",
            8 => "busy",
            9 => "no common version",
            10 => "refused",
            11 => "idle for too long",
            12 => "key limit reached",
            13 => "no such route",
            14 => "shutting down",
            15 => "unsafe mode not allowed",
            16 => "replaced by a newer connection",
            17..0x100 => "unknown reason",
            _ => "application code",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.checked_sub(Self::APPLICATION) {
            Some(own) => write!(f, "application code {own}"),
            None => write!(f, "{} ({})", self.text(), self.0),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
