//! Quantities as people write them: `20ms`, `64kB`, `10Mbit/s`, `0.5%`.
//!
//! In goes a word, out comes an exact number or what is wrong with the word; and back. Printing and
//! reading again gives the same number, always: no float is involved.

use crate::chance::Chance;
use std::fmt;
use tripline_sansio::Duration;

/// A length of time: a whole number and a unit.
///
/// # Errors
/// What is wrong with the word.
pub fn duration(word: &str) -> Result<Duration, String> {
    let nanos = scaled(word, &DURATIONS).ok_or_else(|| {
        format!("`{word}` is no length of time: a whole number and ns, us, ms, s, min, h or d")
    })?;
    Ok(Duration::from_nanos(nanos))
}

/// A number of bytes, decimal: `1200`, `64kB`, `20MB`.
///
/// # Errors
/// What is wrong with the word.
pub fn bytes(word: &str) -> Result<u64, String> {
    scaled(word, &BYTES)
        .ok_or_else(|| format!("`{word}` is no size: a whole number, alone or with kB, MB or GB"))
}

/// A rate, in bytes per second: `10Mbit/s`, `125kB/s`.
///
/// # Errors
/// What is wrong with the word.
pub fn rate(word: &str) -> Result<u64, String> {
    let bits = scaled(word, &RATES).filter(|bits| bits % 8 == 0 && *bits > 0);
    bits.map(|bits| bits / 8).ok_or_else(|| {
        format!("`{word}` is no rate: a whole number and bit/s, kbit/s, Mbit/s, B/s, kB/s or MB/s")
    })
}

/// A chance: `5%`, `0.25%`, `never`, `always`.
///
/// # Errors
/// What is wrong with the word.
pub fn chance(word: &str) -> Result<Chance, String> {
    let parse = || {
        let number = word.strip_suffix('%')?;
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if part.len() > 4 || !part.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let whole: u32 = digits(whole)?;
        let part: u32 = format!("{part:0<4}").parse().ok()?;
        let ppm = whole.checked_mul(10_000)?.checked_add(part)?;
        (ppm <= 1_000_000).then(|| Chance::ppm(ppm))
    };
    match word {
        "never" => Ok(Chance::NEVER),
        "always" => Ok(Chance::ALWAYS),
        _ => parse().ok_or_else(|| {
            format!("`{word}` is no chance: a percentage of at most four decimals, such as 2.5%")
        }),
    }
}

/// So much too fast, or too slow with a minus, in millionths: `5%`, `-0.25%`; up to ±90 %.
///
/// # Errors
/// What is wrong with the word.
pub fn skew(word: &str) -> Result<i32, String> {
    let (sign, share) = word.strip_prefix('-').map_or((1, word), |share| (-1, share));
    let ppm = chance(share).ok().map(Chance::as_ppm).filter(|ppm| *ppm <= SKEW_MAX);
    ppm.and_then(|ppm| i32::try_from(ppm).ok()).map(|ppm| sign * ppm).ok_or_else(|| {
        format!("`{word}` is no skew: a percentage from -90% to 90%, of at most four decimals")
    })
}

/// The largest skew of a clock, either way, in millionths.
const SKEW_MAX: u32 = 900_000;

/// A whole number.
pub(super) fn number<N: std::str::FromStr>(word: &str) -> Result<N, String> {
    digits(word).ok_or_else(|| format!("`{word}` is no number, or too large a one"))
}

/// Digits only: the standard parser also takes a sign.
fn digits<N: std::str::FromStr>(word: &str) -> Option<N> {
    let plain = !word.is_empty() && word.bytes().all(|digit| digit.is_ascii_digit());
    plain.then(|| word.parse().ok())?
}

/// Units, the smallest first.
type Units = [(&'static str, u64)];

const DURATIONS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];
const BYTES: [(&str, u64); 4] = [("", 1), ("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000)];
const RATES: [(&str, u64); 6] = [
    ("bit/s", 1),
    ("B/s", 8),
    ("kbit/s", 1_000),
    ("kB/s", 8_000),
    ("Mbit/s", 1_000_000),
    ("MB/s", 8_000_000),
];

fn scaled(word: &str, units: &Units) -> Option<u64> {
    let end = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
    let (number, unit) = word.split_at(end);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    digits::<u64>(number)?.checked_mul(*scale)
}

/// Writes `number` in the largest of `units` that leaves it whole.
fn write(f: &mut fmt::Formatter<'_>, number: u64, units: &Units) -> fmt::Result {
    let fits = |(_, scale): &&(&str, u64)| number.is_multiple_of(*scale) && number >= *scale;
    let (name, scale) = units.iter().rev().find(fits).or(units.first()).copied().unwrap_or(("", 1));
    write!(f, "{}{name}", number / scale)
}

/// A length of time as it is written.
#[derive(Clone, Copy, Debug)]
pub struct Time(pub Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u64::try_from(self.0.as_nanos()) {
            Ok(0) => f.write_str("0s"),
            Ok(nanos) => write(f, nanos, &DURATIONS),
            Err(_) => write!(f, "{}s", self.0.as_secs()),
        }
    }
}

/// A number of bytes as it is written.
#[derive(Clone, Copy, Debug)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, &BYTES)
    }
}

/// A rate in bytes per second as it is written.
#[derive(Clone, Copy, Debug)]
pub struct Rate(pub u64);

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0.saturating_mul(8), &RATES)
    }
}

/// A chance as it is written.
#[derive(Clone, Copy, Debug)]
pub struct Percent(pub Chance);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ppm = self.0.as_ppm();
        write!(f, "{}", ppm / 10_000)?;
        if !ppm.is_multiple_of(10_000) {
            write!(f, ".{}", format!("{:04}", ppm % 10_000).trim_end_matches('0'))?;
        }
        f.write_str("%")
    }
}

/// How much too fast something is, in millionths, as it is written.
#[derive(Clone, Copy, Debug)]
pub struct Skew(pub i32);

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}", Percent(Chance::ppm(self.0.unsigned_abs())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_print_as_they_read() {
        for word in ["0s", "1ns", "1500us", "20ms", "90s", "2min", "36h", "14d"] {
            assert_eq!(Time(duration(word).unwrap()).to_string(), word);
        }
        for word in ["0", "1200", "64kB", "1500kB", "20MB", "1GB"] {
            assert_eq!(Size(bytes(word).unwrap()).to_string(), word);
        }
        for word in ["1kB/s", "10Mbit/s", "125B/s", "1500kbit/s", "3MB/s"] {
            assert_eq!(rate(&Rate(rate(word).unwrap()).to_string()), rate(word), "{word}");
        }
        for word in ["0%", "5%", "0.0001%", "2.5%", "33.3333%", "100%"] {
            assert_eq!(Percent(chance(word).unwrap()).to_string(), word);
        }
        for word in ["0%", "5%", "-0.0001%", "-20%", "90%"] {
            assert_eq!(Skew(skew(word).unwrap()).to_string(), word);
        }
        assert_eq!((skew("-2%"), skew("0.5%")), (Ok(-20_000), Ok(5_000)));
        assert_eq!(rate("10Mbit/s"), Ok(1_250_000));
        assert_eq!(chance("never"), Ok(Chance::NEVER));
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for word in ["", "s", "1.5s", "-1s", "+1s", "1 s", "1S", "99999999999d", "1sec"] {
            assert!(duration(word).is_err(), "{word}");
        }
        for word in ["", "kB", "1KB", "1.5kB", "-1", "1kib"] {
            assert!(bytes(word).is_err(), "{word}");
        }
        for word in ["1", "1bit/s", "0MB/s", "fast"] {
            assert!(rate(word).is_err(), "{word}");
        }
        for word in ["", "%", "5", "101%", "1.23456%", "1.+1%", "-1%", ".5%"] {
            assert!(chance(word).is_err(), "{word}");
        }
        for word in ["", "-", "--1%", "+1%", "91%", "-90.0001%", "1", "always"] {
            assert!(skew(word).is_err(), "{word}");
        }
        assert!(number::<u8>("256").is_err() && number::<u64>("+1").is_err());
    }
}
