//! Sizes as people write them, both ways.

/// Reads `64KiB`, `1MiB`, `10M`, `512`: a whole number and an optional unit. `K`, `M`, `G`, `T` and
/// `KiB` … `TiB` are powers of 1024, `kB`, `KB`, `MB`, `GB`, `TB` powers of 1000; case matters only
/// where it is written here.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let end = text.find(|one: char| !one.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let number: u64 = digits.parse().map_err(|_| "a size is a number such as 64KiB or 10M")?;
    let (base, power) = match unit.trim_start() {
        "" | "B" => (1, 0),
        "k" | "K" | "KiB" => (1024, 1),
        "M" | "MiB" => (1024, 2),
        "G" | "GiB" => (1024, 3),
        "T" | "TiB" => (1024, 4),
        "kB" | "KB" => (1000, 1),
        "MB" => (1000, 2),
        "GB" => (1000, 3),
        "TB" => (1000, 4),
        other => {
            return Err(format!(
                "unknown unit {other:?}: use KiB, MiB, GiB, K, M, G, kB, MB or GB"
            ));
        }
    };
    let factor = u64::pow(base, power);
    number.checked_mul(factor).ok_or_else(|| "the size is too large".to_string())
}

/// Writes a size for people: `1.5 MiB`.
pub(crate) fn show(bytes: u64) -> impl std::fmt::Display {
    indicatif::BinaryBytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        let cases = [
            ("0", 0),
            ("512", 512),
            ("512B", 512),
            ("64KiB", 64 << 10),
            ("1MiB", 1 << 20),
            ("10M", 10 << 20),
            ("2 GB", 2_000_000_000),
            ("3T", 3 << 40),
        ];
        for (text, bytes) in cases {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "K", "-1", "1.5M", "1 parsec", "1mb", "99999999999999999999", "16777216T"]
        {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
