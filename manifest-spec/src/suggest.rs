//! "Did you mean": the nearest of the words that would be right.
//!
//! Owns the distance and the words other tools use for our keys. Never guesses when nothing is
//! near: a wrong suggestion costs more than none.

/// Words other tools use, with the key of ours that means the same.
const FOREIGN: [(&str, &str); 35] = [
    ("args", "run"),
    ("blkio", "io"),
    ("cmd", "run"),
    ("command", "run"),
    ("cpus", "cpu"),
    ("cwd", "dir"),
    ("depends-on", "needs"),
    ("depends_on", "needs"),
    ("directory", "dir"),
    ("domain", "route"),
    ("entrypoint", "run"),
    ("environment", "env"),
    ("exec", "run"),
    ("fds", "files"),
    ("healthcheck", "health"),
    ("hostname", "route"),
    ("instances", "count"),
    ("jobs", "hooks"),
    ("kill_timeout", "stop"),
    ("log", "logs"),
    ("nofile", "files"),
    ("permissions", "access"),
    ("pids", "processes"),
    ("readiness", "ready"),
    ("replicas", "count"),
    ("requires", "needs"),
    ("resources", "limits"),
    ("scale", "count"),
    ("start", "run"),
    ("stop_grace_period", "stop"),
    ("stop_signal", "stop"),
    ("timezone", "zone"),
    ("volumes", "write"),
    ("workdir", "dir"),
    ("working_directory", "dir"),
];

/// The candidate that was probably meant.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    // Distance is quadratic; nothing this long is a slip of the finger.
    if word.len() > 64 {
        return None;
    }
    let mut candidates: Vec<&str> = candidates.into_iter().take(1024).collect();
    candidates.sort_unstable();
    let best = candidates
        .iter()
        .map(|candidate| (distance(&word, &candidate.to_lowercase()), *candidate))
        .filter(|(edits, candidate)| *edits <= permitted(&word, candidate))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate);
    best.or_else(|| {
        let ours = foreign(&word)?;
        candidates.into_iter().find(|candidate| *candidate == ours)
    })
}

/// Our key for another tool's word.
pub(crate) fn foreign(word: &str) -> Option<&'static str> {
    FOREIGN.iter().find(|(theirs, _)| *theirs == word).map(|(_, ours)| *ours)
}

/// The nearest candidate as a hint.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(word, candidates).map(|found| format!("did you mean \"{found}\"?"))
}

/// Edits that still look like a slip: one in three characters, so short words need to be close.
fn permitted(word: &str, candidate: &str) -> usize {
    match word.len().max(candidate.len()) {
        0..=1 => 0,
        2..=5 => 1,
        6..=8 => 2,
        _ => 3,
    }
}

/// Damerau-Levenshtein distance (optimal string alignment): insertions, deletions, substitutions
/// and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    if a.len().abs_diff(b.len()) > 3 {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn a_swap_is_one_edit() {
        assert_eq!(distance("memroy", "memory"), 1);
        assert_eq!(distance("prot", "port"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn nothing_near_gives_nothing() {
        assert_eq!(nearest("zebra", ["port", "run"]), None);
        assert_eq!(nearest("rn", ["run"]), Some("run"));
        assert_eq!(nearest("MEMORY", ["memory"]), Some("memory"));
        assert_eq!(nearest("replicas", ["count", "run"]), Some("count"));
        assert_eq!(nearest("replicas", ["run"]), None);
    }
}
