//! JSON strings and numbers, appended to a line.
//!
//! Invariant: what is appended is one JSON value (RFC 8259). The text of most lines needs no
//! escape: it is looked through in steps that the compiler can do at once, and copied as it is.

/// How much is looked through at once, in bytes.
const STEP: usize = 32;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// A string with its quotes.
pub(super) fn string(buffer: &mut Vec<u8>, text: &str) {
    buffer.reserve(text.len() + 2);
    buffer.push(b'"');
    for step in text.as_bytes().chunks(STEP) {
        // No early exit, so that it is one comparison of the whole step.
        if step.iter().fold(false, |found, byte| found | is_special(*byte)) {
            escaped(buffer, step);
        } else {
            buffer.extend_from_slice(step);
        }
    }
    buffer.push(b'"');
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
    loop {
        start -= 1;
        text[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    buffer.extend_from_slice(&text[start..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_are_read_back(text in "(\\PC|[\\x00-\\x7f]){0,100}") {
            let mut buffer = Vec::new();
            string(&mut buffer, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&buffer).unwrap(), text);
        }

        #[test]
        fn numbers_are_read_back(value in any::<u64>()) {
            for value in [value, value % 10, 0, u64::MAX] {
                let mut buffer = Vec::new();
                number(&mut buffer, value);
                prop_assert_eq!(String::from_utf8(buffer).unwrap(), value.to_string());
            }
        }
    }
}
