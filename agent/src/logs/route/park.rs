//! Records that a sink did not want: `parked.log` beside the cursors, a JSON object a line.
//!
//! Invariant: bounded: a file that is full takes the place of the one before it. A record is parked
//! before its cursor passes it; killed between the two, it is parked twice.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::Serialize;

/// The file.
const NAME: &str = "parked.log";
/// The one before it.
const EARLIER: &str = "parked.log.1";
/// Bytes after which a new one is begun.
const FULL: u64 = 8 * 1024 * 1024;

/// A record that was parked.
#[derive(Debug, Serialize)]
pub(super) struct Parked<'a> {
    /// When, RFC 3339 in UTC.
    pub(super) parked: String,
    /// The sink.
    pub(super) sink: &'a str,
    /// What it said.
    pub(super) why: &'a str,
    /// Number of the record; of the first lost one if it stands for such.
    pub(super) first: u64,
    /// Number of the record.
    pub(super) seq: u64,
    /// Its line in the log, if that is still there.
    pub(super) line: Option<String>,
}

/// Put a record aside.
pub(super) fn park(folder: &Path, parked: &Parked<'_>) -> io::Result<()> {
    let path = folder.join(NAME);
    if fs::metadata(&path).is_ok_and(|metadata| metadata.len() >= FULL) {
        fs::rename(&path, folder.join(EARLIER))?;
    }
    let mut line = serde_json::to_vec(parked)?;
    line.push(b'\n');
    let mut file = File::options().create(true).append(true).mode(0o600).open(&path)?;
    let before = file.metadata()?.len();
    file.write_all(&line).inspect_err(|_| {
        // Half a line would spoil the next one.
        let _ = file.set_len(before);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_parked_is_bounded_and_its_end_stays() {
        let folder = std::env::temp_dir().join(format!("parked-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        let line = "x".repeat(1 << 20);
        for seq in 1..=30 {
            let parked = Parked {
                parked: "2026-01-02T03:04:05Z".into(),
                sink: "journal",
                why: "no",
                first: seq,
                seq,
                line: Some(line.clone()),
            };
            park(&folder, &parked).unwrap();
        }
        let seqs = |name: &str| {
            let text = fs::read_to_string(folder.join(name)).unwrap();
            assert!(text.len() as u64 <= FULL + (1 << 20) + 200, "{name}");
            let lines = text.lines().map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64().unwrap()
            });
            lines.collect::<Vec<_>>()
        };
        let all = [seqs(EARLIER), seqs(NAME)].concat();
        assert_eq!(all, (all[0]..=30).collect::<Vec<_>>());
        assert!(all.len() >= 8 && fs::read_dir(&folder).unwrap().count() == 2);
        let _ = fs::remove_dir_all(&folder);
    }
}
