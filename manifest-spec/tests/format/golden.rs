//! Pairs of files: an input, and beside it what must come of it.
//!
//! With `UPDATE_GOLDENS=1` the second file is written instead of compared; look at the difference
//! before you keep it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Whether files are written instead of compared.
#[allow(clippy::disallowed_methods, reason = "the one switch of the tests")]
pub(crate) fn updating() -> bool {
    std::env::var_os("UPDATE_GOLDENS").is_some()
}

/// Compares a file below `tests/` with what comes of its own text.
pub(crate) fn same(file: &str, outcome: impl Fn(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    let found = outcome(&text);
    if updating() {
        fs::write(&path, &found).expect("the folder can be written");
        return;
    }
    assert_eq!(text, found, "{file} is not what comes of it (UPDATE_GOLDENS=1 rewrites it)");
}

/// A folder of pairs.
pub(crate) struct Pairs {
    /// Below `tests/`.
    pub(crate) folder: &'static str,
    /// Prefix of the inputs' names.
    pub(crate) prefix: &'static str,
    /// Extension of what must come of them.
    pub(crate) extension: &'static str,
}

impl Pairs {
    fn path(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(self.folder)
    }

    /// Names of the inputs, sorted, without `.toml`.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.path()).expect("the folder exists").map(|entry| {
            entry.expect("the folder can be read").file_name().into_string().expect("UTF-8 name")
        });
        let names: BTreeSet<String> = names.collect();
        names
            .iter()
            .filter_map(|name| name.strip_suffix(".toml"))
            .filter(|name| name.starts_with(self.prefix))
            .map(str::to_owned)
            .collect()
    }

    /// Text of one input.
    pub(crate) fn input(&self, name: &str) -> String {
        let path = self.path().join(format!("{name}.toml"));
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Compares every input's outcome with its file, and finds files without an input.
    pub(crate) fn check(&self, outcome: impl Fn(&str, &str) -> String) {
        let update = updating();
        let names = self.names();
        let mut drift = Vec::new();
        for name in &names {
            let found = outcome(name, &self.input(name));
            let path = self.path().join(format!("{name}.{}", self.extension));
            if update {
                fs::write(&path, &found).expect("the folder can be written");
                continue;
            }
            match fs::read_to_string(&path) {
                Ok(expected) if expected == found => {}
                Ok(expected) => drift.push(format!(
                    "--- {} says\n{expected}\n+++ but now it is\n{found}",
                    path.display()
                )),
                Err(error) => drift.push(format!("{}: {error}", path.display())),
            }
        }
        drift.extend(self.orphans(&names));
        assert!(drift.is_empty(), "{}\n(UPDATE_GOLDENS=1 rewrites the files)", drift.join("\n\n"));
    }

    fn orphans(&self, names: &[String]) -> Vec<String> {
        let suffix = format!(".{}", self.extension);
        let files = fs::read_dir(self.path()).expect("the folder exists");
        files
            .map(|entry| entry.expect("the folder can be read").file_name())
            .map(|name| name.into_string().expect("UTF-8 name"))
            .filter(|name| name.starts_with(self.prefix))
            .filter(|name| {
                name.strip_suffix(&suffix).is_some_and(|stem| !names.iter().any(|n| n == stem))
            })
            .map(|name| format!("{name} has no input"))
            .collect()
    }
}
