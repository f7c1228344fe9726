//! Sizes, processor shares and durations, as people write them.
//!
//! Invariant: what `Display` prints, `parse` reads back as the same value. Never rounds: a text
//! that is no whole number of its unit is an error, with the exact spelling as its hint.

use std::fmt;
use std::time::Duration;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

/// A share of processor time, in percent of one core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuShare(pub u32);

/// A duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

/// Why a text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantityError {
    /// What was expected.
    pub expected: &'static str,
    /// What to write instead, where it can be told.
    pub hint: Option<String>,
}

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.expected)
    }
}

impl std::error::Error for QuantityError {}

/// Suffixes of [`Bytes`], each 1024 times the one before.
const SIZE_UNITS: [(&str, u32); 5] = [("", 0), ("K", 10), ("M", 20), ("G", 30), ("T", 40)];

/// Units of [`Span`], long to short, in nanoseconds.
const TIME_UNITS: [(&str, u128); 8] = [
    ("w", 604_800_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl Bytes {
    pub(crate) const EXPECTED: &'static str = "a size such as \"512M\"";

    /// Reads `4096`, `512M`, `1Gi`: a whole number with K, M, G or T for powers of 1024 (`Ki`,
    /// `Mi`, `Gi`, `Ti` mean the same).
    ///
    /// # Errors
    /// Anything else, and sizes of 2^64 bytes and more.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let (digits, unit) = split_number(text);
        let unit_bits = SIZE_UNITS.iter().find(|(suffix, bits)| {
            *suffix == unit || *bits > 0 && unit.strip_suffix('i') == Some(suffix)
        });
        let value = unit_bits
            .and_then(|(_, bits)| digits.parse::<u64>().ok()?.checked_mul(1 << bits))
            .map(Self);
        value.ok_or_else(|| QuantityError { expected: Self::EXPECTED, hint: size_hint(text) })
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = |bits: u32| self.0 != 0 && self.0.trailing_zeros() >= bits;
        let (suffix, bits) =
            SIZE_UNITS.into_iter().rev().find(|(_, bits)| exact(*bits)).unwrap_or(SIZE_UNITS[0]);
        write!(f, "{}{suffix}", self.0 >> bits)
    }
}

/// The spelling that was probably meant by `512m`, `512 MB` or `1.5G`.
fn size_hint(text: &str) -> Option<String> {
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let end = compact.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = compact.split_at(end);
    let mut letters = unit.chars();
    let letter = letters.next()?.to_ascii_uppercase();
    let rest = letters.as_str().to_ascii_lowercase();
    if !matches!(rest.as_str(), "" | "b" | "i" | "ib") {
        return None;
    }
    if letter == 'B' {
        return number.parse::<u64>().ok().map(|n| format!("write \"{n}\""));
    }
    let bits = SIZE_UNITS.iter().find(|(suffix, _)| *suffix == letter.to_string())?.1;
    let bytes = match number.split_once('.') {
        None => number.parse::<u64>().ok()?.checked_mul(1 << bits)?,
        Some((whole, fraction)) => {
            let numerator: u64 = format!("{whole}{fraction}").parse().ok()?;
            let denominator = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
            let scaled = u128::from(numerator) << bits;
            u64::try_from(scaled / u128::from(denominator)).ok()?
        }
    };
    Some(format!("write \"{}\"", Bytes(bytes)))
}

fn split_number(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

impl CpuShare {
    pub(crate) const EXPECTED: &'static str = "a share of processor time such as \"150%\"";

    /// Reads `150%`: whole percent of one core.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let percent = text.strip_suffix('%').filter(|digits| is_digits(digits));
        percent.and_then(|digits| digits.parse().ok()).map(Self).ok_or_else(|| QuantityError {
            expected: Self::EXPECTED,
            hint: match text.trim().trim_end_matches('%').trim().parse::<f64>() {
                Ok(cores) if text.contains('.') && !text.contains('%') && cores < 1000.0 => {
                    Some(format!("write \"{:.0}%\": 100% is one core", cores * 100.0))
                }
                Ok(percent) if (0.0..1e6).contains(&percent) => {
                    Some(format!("write \"{percent:.0}%\": 100% is one core"))
                }
                _ => Some("100% is one core".to_owned()),
            },
        })
    }
}

impl fmt::Display for CpuShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

impl Span {
    pub(crate) const EXPECTED: &'static str = "a duration such as \"20s\" or \"1h30m\"";

    /// Reads `20ms`, `1h30m`, `14d`: whole numbers with w, d, h, m, s, ms, us or ns, each unit
    /// once, long before short.
    ///
    /// # Errors
    /// Anything else, and durations a `Duration` cannot hold.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        Self::read(text)
            .ok_or_else(|| QuantityError { expected: Self::EXPECTED, hint: span_hint(text) })
    }

    fn read(text: &str) -> Option<Self> {
        let mut rest = text;
        let mut units = TIME_UNITS.iter();
        let mut total: u128 = 0;
        while !rest.is_empty() {
            let (digits, behind) = split_number(rest);
            let end = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
            let (unit, next) = behind.split_at(end);
            // The iterator goes on behind the unit found: order and single use in one.
            let (_, nanoseconds) = units.find(|(name, _)| *name == unit)?;
            let part = u128::from(digits.parse::<u64>().ok()?).checked_mul(*nanoseconds)?;
            total = total.checked_add(part)?;
            rest = next;
        }
        let seconds = u64::try_from(total / 1_000_000_000).ok()?;
        let nanoseconds = u32::try_from(total % 1_000_000_000).ok()?;
        (!text.is_empty()).then(|| Self(Duration::new(seconds, nanoseconds)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_nanos();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, nanoseconds) in TIME_UNITS.into_iter().skip(1) {
            if rest >= nanoseconds {
                write!(f, "{}{unit}", rest / nanoseconds)?;
                rest %= nanoseconds;
            }
        }
        Ok(())
    }
}

fn span_hint(text: &str) -> Option<String> {
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if is_digits(&compact) {
        return Some(format!(
            "write the unit: \"{compact}s\" for seconds, \"{compact}m\" for minutes"
        ));
    }
    if compact != text && Span::read(&compact).is_some() {
        return Some(format!("write \"{compact}\""));
    }
    let end = compact.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, word) = compact.split_at(end);
    let unit = match word.to_ascii_lowercase().as_str() {
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hr" | "hrs" | "hour" | "hours" => "h",
        "d" | "day" | "days" => "d",
        "w" | "week" | "weeks" => "w",
        "ms" | "msec" | "millis" | "milliseconds" => "ms",
        _ => return None,
    };
    let nanoseconds = TIME_UNITS.iter().find(|(name, _)| *name == unit)?.1;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let numerator: u64 = format!("{whole}{fraction}").parse().ok()?;
    let denominator = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let total = u128::from(numerator).checked_mul(nanoseconds)? / denominator;
    let total = u64::try_from(total).ok()?;
    Some(format!("write \"{}\"", Span(Duration::from_nanos(total))))
}

impl serde::Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl serde::Serialize for CpuShare {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl serde::Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
