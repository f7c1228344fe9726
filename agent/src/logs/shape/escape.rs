//! JSON strings and numbers, appended to a line.
//!
//! Invariant: what is appended is one JSON value (RFC 8259). The text of most lines needs no
//! escape: it is looked through in steps that the compiler can do at once, and copied as a whole.

/// How much is looked through at once, in bytes.
const STEP: usize = 32;

/// The numbers up to 99, two digits each.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// A string with its quotes.
pub(super) fn string(buffer: &mut Vec<u8>, text: &str) {
    buffer.reserve(text.len() + 2);
    buffer.push(b'"');
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let (plain, special) = rest.split_at(plain(rest));
        buffer.extend_from_slice(plain);
        let (step, later) = special.split_at(special.len().min(STEP));
        escaped(buffer, step);
        rest = later;
    }
    buffer.push(b'"');
}

/// How many bytes, in whole steps or to the end, need no escape.
fn plain(bytes: &[u8]) -> usize {
    // No early exit within a step, so that it is one comparison of all of it.
    let is_special = |step: &[u8]| step.iter().fold(false, |found, byte| found | is_special(*byte));
    let steps = bytes.chunks(STEP).take_while(|step| !is_special(step)).count();
    bytes.len().min(steps * STEP)
}

fn escaped(buffer: &mut Vec<u8>, step: &[u8]) {
    for byte in step {
        match *byte {
            b'"' => buffer.extend_from_slice(b"\\\""),
            b'\\' => buffer.extend_from_slice(b"\\\\"),
            b'\n' => buffer.extend_from_slice(b"\\n"),
            b'\r' => buffer.extend_from_slice(b"\\r"),
            b'\t' => buffer.extend_from_slice(b"\\t"),
            control @ 0..0x20 => {
                buffer.extend_from_slice(b"\\u00");
                digits(buffer, &[control]);
            }
            plain => buffer.push(plain),
        }
    }
}

/// Two hexadecimal digits for each byte.
pub(super) fn digits(buffer: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        buffer.push(DIGITS[usize::from(byte >> 4)]);
        buffer.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// A whole number.
pub(super) fn number(buffer: &mut Vec<u8>, mut number: u64) {
    let mut text = [0; 20];
    let mut start = text.len();
    while number >= 100 {
        start -= 2;
        text[start..start + 2].copy_from_slice(&PAIRS[(number % 100) as usize]);
        number /= 100;
    }
    let [ten, one] = PAIRS[number as usize];
    start -= 1;
    text[start] = one;
    if number >= 10 {
        start -= 1;
        text[start] = ten;
    }
    buffer.extend_from_slice(&text[start..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_are_read_back(text in "(\\PC|[\\x00-\\x7f]|[a-z]{20,90}){0,100}") {
            let mut buffer = Vec::new();
            string(&mut buffer, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&buffer).unwrap(), text);
        }

        #[test]
        fn numbers_are_read_back(value in any::<u64>()) {
            for value in [value, value % 10, value % 100, value % 1000, 0, u64::MAX] {
                let mut buffer = Vec::new();
                number(&mut buffer, value);
                prop_assert_eq!(String::from_utf8(buffer).unwrap(), value.to_string());
            }
        }
    }
}
