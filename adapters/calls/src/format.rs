//! Values as payloads: which bytes they are is a format's to say.

use crate::error::CallError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// Why a value could not be written or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// What was tried, in which format, and what it said.
    text: String,
}

impl FormatError {
    fn writing(format: &str, error: &dyn fmt::Display) -> Self {
        Self { text: format!("cannot be written as {format}: {error}") }
    }

    fn reading(format: &str, error: &dyn fmt::Display) -> Self {
        Self { text: format!("cannot be read as {format}: {error}") }
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for FormatError {}

impl From<FormatError> for CallError {
    fn from(error: FormatError) -> Self {
        Self::Format(error.text)
    }
}

/// A way to write values as bytes and to read them again.
pub trait Format {
    /// Writes a value.
    ///
    /// # Errors
    /// If it is none that the format can hold.
    fn write<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, FormatError>;

    /// Reads a value, from all of the bytes.
    ///
    /// # Errors
    /// If they are no such value, or more than one.
    fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FormatError>;
}

/// [postcard](https://postcard.jamesmunns.com): compact, as nothing but the values travels. Both
/// sides have to have the same types: a `u32` that was written as an `i32` is another number, and
/// nobody notices. So say them at the call: `caller.ask::<u32, u32>("double", &21)`.
#[derive(Clone, Copy, Debug)]
pub enum Postcard {}

impl Format for Postcard {
    fn write<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, FormatError> {
        postcard::to_stdvec(value).map_err(|error| FormatError::writing("postcard", &error))
    }

    fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FormatError> {
        match postcard::take_from_bytes(bytes) {
            Ok((value, [])) => Ok(value),
            Ok((_, rest)) => {
                Err(FormatError::reading("postcard", &format!("{} bytes too many", rest.len())))
            }
            Err(error) => Err(FormatError::reading("postcard", &error)),
        }
    }
}

/// JSON: readable, and known everywhere.
#[cfg(feature = "json")]
#[derive(Clone, Copy, Debug)]
pub enum Json {}

#[cfg(feature = "json")]
impl Format for Json {
    fn write<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, FormatError> {
        serde_json::to_vec(value).map_err(|error| FormatError::writing("JSON", &error))
    }

    fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FormatError> {
        serde_json::from_slice(bytes).map_err(|error| FormatError::reading("JSON", &error))
    }
}

/// MessagePack: compact, and its structures carry the names of their fields.
#[cfg(feature = "msgpack")]
#[derive(Clone, Copy, Debug)]
pub enum MessagePack {}

#[cfg(feature = "msgpack")]
impl Format for MessagePack {
    fn write<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, FormatError> {
        rmp_serde::to_vec_named(value).map_err(|error| FormatError::writing("MessagePack", &error))
    }

    fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FormatError> {
        let mut rest = bytes;
        let value = rmp_serde::from_read(&mut rest)
            .map_err(|error| FormatError::reading("MessagePack", &error))?;
        match rest.len() {
            0 => Ok(value),
            more => Err(FormatError::reading("MessagePack", &format!("{more} bytes too many"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Order {
        what: String,
        count: u32,
        price: Option<f64>,
    }

    fn survives<F: Format>() {
        let order = Order { what: "sword".into(), count: 3, price: Some(9.5) };
        let mut bytes = F::write(&order).expect("it can be written");
        assert_eq!(F::read::<Order>(&bytes), Ok(order));
        bytes.push(0);
        let error = F::read::<Order>(&bytes).expect_err("something behind it").to_string();
        assert!(error.contains("cannot be read as "), "{error}");
        assert!(F::read::<Order>(&bytes[..3]).is_err(), "cut");
    }

    #[test]
    fn values_survive_in_every_format() {
        survives::<Postcard>();
        #[cfg(feature = "json")]
        survives::<Json>();
        #[cfg(feature = "msgpack")]
        survives::<MessagePack>();
    }
}
