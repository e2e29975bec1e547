//! What stands inside the handshake messages: payloads and parameters (PROTOCOL.md §2.2, §2.3, §6).

use super::frame::text;
use super::read::{Flaw, Reader, varint_len};

/// Credit is below this.
const CREDITS: u64 = 1 << 60;

/// The payload of OPEN, in XX of CONFIRM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    /// The user id.
    pub user_id: &'a [u8; 8],
    /// The route.
    pub route: &'a [u8],
    /// What the client allows.
    pub limits: Limits,
}

/// Reads the payload of OPEN or CONFIRM.
///
/// # Errors
/// It is none.
pub fn hello(payload: &[u8]) -> Result<Hello<'_>, Flaw> {
    let mut reader = Reader::new(payload);
    let user_id = reader.array()?;
    let route_len = usize::from(reader.byte()?);
    let route = reader.take(route_len)?;
    Ok(Hello { user_id, route, limits: limits(reader.rest())? })
}

/// The payload of CHALLENGE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// Accepted: the server's ID, and what the server allows.
    Accept(u64, Limits),
    /// Refused: why, and the same in words.
    Refuse(u64, &'a str),
    /// Referred elsewhere.
    Forward(Referral<'a>),
}

/// Reads the payload of CHALLENGE.
///
/// # Errors
/// It is none.
pub fn answer(payload: &[u8]) -> Result<Answer<'_>, Flaw> {
    if payload.len() > 512 {
        return Err(Flaw("a payload of CHALLENGE of more than 512 bytes (§2.3)"));
    }
    let mut reader = Reader::new(payload);
    let answer = match reader.byte()? {
        0 => Answer::Accept(reader.eight()?, limits(reader.take_rest())?),
        1 => Answer::Refuse(reader.varint()?, text(&mut reader)?),
        2 => Answer::Forward(Referral::read(&mut reader)?),
        _ => return Err(Flaw("an unknown kind of answer (§2.3)")),
    };
    match reader.rest() {
        [] => Ok(answer),
        _ => Err(Flaw("bytes behind an answer (§2.3)")),
    }
}

/// A referral, known to be sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Referral<'a> {
    /// How many addresses there are.
    pub count: u8,
    /// The key of who is there.
    pub key: &'a [u8; 32],
    /// The route to ask for.
    pub route: &'a [u8],
    len: usize,
}

impl<'a> Referral<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Flaw> {
        let before = reader.rest().len();
        let count = reader.byte()?;
        if !(1..=4).contains(&count) {
            return Err(Flaw("a referral to no or more than four addresses (R-CHAL-3c)"));
        }
        for _ in 0..count {
            let family = reader.byte()?;
            match family {
                4 => drop(reader.take(4)?),
                6 => drop(reader.take(16)?),
                _ => return Err(Flaw("a referral to an unknown family (R-CHAL-3c)")),
            }
            if reader.two()? == 0 {
                return Err(Flaw("a referral to port 0 (R-CHAL-3c)"));
            }
        }
        let key = reader.array()?;
        let route_len = usize::from(reader.byte()?);
        let route = reader.take(route_len)?;
        Ok(Self { count, key, route, len: before - reader.rest().len() })
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }
}

/// What a side's parameters allow the other, defaults filled in (§6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Idle timeout in ms; 0 for never.
    pub idle: u64,
    /// The sum of offsets that may be sent.
    pub connection_credit: u64,
    /// The offset that may be sent on each stream.
    pub stream_credit: u64,
    /// The first index of two-way streams that may not be opened.
    pub two_way: u64,
    /// The same of one-way streams.
    pub one_way: u64,
    /// The largest message.
    pub message: u64,
    /// The largest datagram.
    pub datagram: u64,
    /// The longest delay of an ACK in ms.
    pub ack_delay: u64,
    /// The reset token of the side's first ID.
    pub reset: Option<[u8; 16]>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            idle: 30_000,
            connection_credit: 16 * 262_144,
            stream_credit: 262_144,
            two_way: 128,
            one_way: 128,
            message: 65_536,
            datagram: 65_527,
            ack_delay: 25,
            reset: None,
        }
    }
}

/// Reads parameters, to the end of the payload.
///
/// # Errors
/// A known one comes twice or is out of range (R-PARAM-1), or one cannot be read.
pub fn limits(parameters: &[u8]) -> Result<Limits, Flaw> {
    let mut reader = Reader::new(parameters);
    let mut limits = Limits::default();
    let mut seen = 0_u16;
    let mut connection = None;
    while !reader.rest().is_empty() {
        let (id, length) = (reader.varint()?, reader.varint()?);
        let value = reader.take_counted(length)?;
        if !(1..=12).contains(&id) {
            continue;
        }
        let bit = 1_u16 << id;
        if seen & bit != 0 {
            return Err(Flaw("a parameter that comes twice (R-PARAM-1)"));
        }
        seen |= bit;
        match id {
            11 => limits.reset = Some(value.try_into().map_err(|_| Flaw("a short token (§6)"))?),
            12 if value.len() % 4 == 0 && value.len() <= 64 => {}
            12 => return Err(Flaw("versions that are no numbers of four bytes (§6)")),
            _ => limits.set(id, number(value)?, &mut connection)?,
        }
    }
    limits.connection_credit =
        connection.unwrap_or((limits.stream_credit.saturating_mul(16)).min(CREDITS - 1));
    let least = limits.message + 8;
    if limits.connection_credit < least || limits.stream_credit < least {
        return Err(Flaw("credit that a message does not fit into (§6)"));
    }
    Ok(limits)
}

/// A number that fills its parameter.
fn number(value: &[u8]) -> Result<u64, Flaw> {
    let mut reader = Reader::new(value);
    let number = reader.varint()?;
    if varint_len(number) == value.len() {
        Ok(number)
    } else {
        Err(Flaw("a parameter longer than its number (§6)"))
    }
}

impl Limits {
    fn set(&mut self, id: u64, value: u64, connection: &mut Option<u64>) -> Result<(), Flaw> {
        let within = match id {
            1 | 2 => 0..1 << 32,
            3 | 4 => 0..CREDITS,
            5 | 6 => 0..1 << 58,
            7 => 0..1 << 30,
            8 => 1_200..65_536,
            9 => 0..1 << 14,
            _ => 0..1 << 62,
        };
        if !within.contains(&value) {
            return Err(Flaw("a parameter out of range (R-PARAM-1)"));
        }
        match id {
            1 => self.idle = value,
            3 => *connection = Some(value),
            4 => self.stream_credit = value,
            5 => self.two_way = value,
            6 => self.one_way = value,
            7 => self.message = value,
            8 => self.datagram = value,
            9 => self.ack_delay = value,
            _ => {}
        }
        Ok(())
    }
}
