//! What tells one bug from another.
//!
//! Invariant: the same place in a program has the same fingerprint on another host, in another
//! folder, built anew, with other values and with lines added above it; where no frame says a
//! function, the file alone is the place. Never changed without need: what others have noted by it
//! would be lost.

use sha2::{Digest, Sha256};

use super::super::draft::hexadecimal;
use super::{Frame, Language, Thrown};

/// Frames of each exception that count, from the innermost on: who called whom far out differs.
const FRAMES: usize = 8;

/// Exceptions that count, each once however often it is in a group.
const MOST: usize = 8;

/// 16 hexadecimal digits; `None` for a trace that says neither what happened nor where.
pub(super) fn of(language: Language, thrown: &[Thrown]) -> Option<String> {
    if thrown.iter().all(|one| one.kind.is_none() && one.frames.is_empty()) {
        return None;
    }
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update(text.as_bytes());
        hash.update(b"\n");
    };
    add(language.name());
    let mut seen: Vec<(&str, Vec<&str>)> = Vec::new();
    for one in thrown {
        // Python says of classes of the program itself that they are of "__main__", or does not.
        let kind = one.kind.as_deref().unwrap_or_default();
        let kind = kind.strip_prefix("__main__.").unwrap_or(kind);
        let exception = (kind, places(&one.frames));
        if seen.len() < MOST && !seen.contains(&exception) {
            add(exception.0);
            exception.1.iter().for_each(|place| add(place));
            seen.push(exception);
        }
    }
    Some(hexadecimal(&hash.finalize()[..8]))
}

/// Those of the program, if there are any; recursion counts once.
fn places(frames: &[Frame]) -> Vec<&str> {
    let is_all_runtime = frames.iter().all(|frame| frame.is_runtime);
    let own = frames.iter().filter(|frame| is_all_runtime || !frame.is_runtime);
    let mut places: Vec<&str> = own.map(|frame| frame.place.as_str()).collect();
    places.dedup();
    places.truncate(FRAMES);
    places
}
