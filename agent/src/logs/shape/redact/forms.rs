//! The byte strings that are looked for.

use std::collections::BTreeSet;

/// A longer secret is looked for in pieces of this size, in bytes.
const PIECE: usize = 128;

/// Shortest line of a secret with several that is looked for by itself, in bytes: a brace alone is
/// in every JSON file.
const SHORTEST_LINE: usize = 8;

/// Shortest secret that is looked for in base64, in bytes: less has too few letters of its own.
const SHORTEST_ENCODED: usize = 6;

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const OF_URLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Which secrets are looked for in base64 as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoded {
    All,
    /// Those of one piece: what is longer is a key or a certificate, which takes much room.
    Short,
}

/// Every needle, once.
pub(super) fn needles<S: AsRef<str>>(secrets: &[S], encoded: Encoded) -> Vec<Vec<u8>> {
    let mut needles = BTreeSet::new();
    for secret in secrets {
        let secret = secret.as_ref();
        let is_encoded = encoded == Encoded::All || secret.len() < 2 * PIECE;
        add(secret, is_encoded, &mut needles);
        // An ending line break is the editor's, not the secret's.
        let lines = secret.lines().filter(|line| *line != secret && line.len() >= SHORTEST_LINE);
        lines.for_each(|line| add(line, is_encoded, &mut needles));
    }
    needles.into_iter().collect()
}

fn add(text: &str, is_encoded: bool, needles: &mut BTreeSet<Vec<u8>>) {
    for piece in pieces(text) {
        needles.insert(piece.as_bytes().to_vec());
        if is_encoded && piece.len() >= SHORTEST_ENCODED {
            for alphabet in [STANDARD, OF_URLS] {
                needles.extend((0..3).map(|before| encoded(piece.as_bytes(), before, alphabet)));
            }
        }
    }
}

/// A text in pieces of about equal size, no character torn.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        // What would be left over goes with the last piece: a needle of a byte finds too much.
        let most = if rest.len() < 2 * PIECE { rest.len() } else { PIECE };
        let end = (0..=most).rev().find(|end| rest.is_char_boundary(*end)).unwrap_or(rest.len());
        let (piece, behind) = rest.split_at(end);
        rest = behind;
        Some(piece)
    })
}

/// The characters of base64 that these bytes alone decide, when so many others are `before` them in
/// their group of three.
fn encoded(bytes: &[u8], before: usize, alphabet: &[u8; 64]) -> Vec<u8> {
    let bits = |index: usize| -> u8 {
        index.checked_sub(before).and_then(|index| bytes.get(index)).copied().unwrap_or(0)
    };
    let first = (8 * before).div_ceil(6);
    let end = 8 * (before + bytes.len()) / 6;
    let character = |index: usize| {
        let (byte, shift) = (6 * index / 8, 6 * index % 8);
        let pair = u16::from(bits(byte)) << 8 | u16::from(bits(byte + 1));
        alphabet[usize::from(pair >> (10 - shift) & 63)]
    };
    (first..end).map(character).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        assert_eq!(encoded(b"foobar", 0, STANDARD), b"Zm9vYmFy");
        // "x:foobar" and "xxx:foobar" are eDpmb29iYXI= and eHh4OmZvb2Jhcg==.
        assert_eq!(encoded(b"foobar", 2, STANDARD), b"mb29iYX");
        assert_eq!(encoded(b"foobar", 1, STANDARD), b"OmZvb2Jhcg"[2..9].to_vec());
        assert_eq!(encoded(&[0xfb, 0xff, 0xfe], 0, STANDARD), b"+//+");
        assert_eq!(encoded(&[0xfb, 0xff, 0xfe], 0, OF_URLS), b"-__-");
    }

    #[test]
    fn a_long_secret_is_looked_for_in_pieces_that_make_it_up() {
        let text = "\u{e9}x".repeat(333);
        let parts: Vec<_> = pieces(&text).collect();
        assert_eq!(parts.concat(), text);
        assert!(parts.iter().all(|piece| (PIECE - 1..2 * PIECE).contains(&piece.len())));
        assert_eq!(pieces("").count(), 0);
    }
}
