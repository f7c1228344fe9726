//! Where the kernel leaves a core file: `kernel.core_pattern`, read as core(5) describes it.
//!
//! Invariant: pure. The host's setting is read and never changed. What a specifier stands for is not
//! guessed at: a name is searched for by what is fixed in it.

use std::path::{Path, PathBuf};

/// Where cores of this host go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Nowhere.
    Nowhere,
    /// To a program of the host's, by its command line.
    Program(String),
    /// To a socket of the host's (kernel 6.16).
    Socket(String),
    /// Into a file, looked up in the mount namespace of the program that crashed.
    File {
        /// The folder; relative to the program's working directory.
        folder: PathBuf,
        /// Its name there.
        name: Name,
    },
    /// Into a folder whose name is not the same for every core.
    Elsewhere,
}

/// A file's name with pieces that are not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// What stands between them.
    fixed: Vec<String>,
}

/// What the two settings say: `kernel.core_pattern` and whether `kernel.core_uses_pid` is on.
pub fn read(pattern: &str, uses_pid: bool) -> Destination {
    let pattern = pattern.trim_end_matches('\n');
    if let Some(program) = pattern.strip_prefix('|') {
        return Destination::Program(program.trim_start().to_owned());
    }
    if let Some(address) = pattern.strip_prefix('@') {
        return Destination::Socket(address.to_owned());
    }
    let (folder, name) = match pattern.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((folder, name)) => (folder, name),
        None => ("", pattern),
    };
    if name.is_empty() {
        return Destination::Nowhere;
    }
    let (folder, name) = (pieces(folder), pieces(name));
    let [folder] = folder.fixed.as_slice() else { return Destination::Elsewhere };
    let (folder, mut name) = (PathBuf::from(folder), name);
    if uses_pid && !pattern.contains("%p") {
        // The kernel adds ".PID" then.
        if let Some(last) = name.fixed.last_mut() {
            last.push('.');
        }
        name.fixed.push(String::new());
    }
    Destination::File { folder, name }
}

/// A text cut at its specifiers.
fn pieces(text: &str) -> Name {
    let mut fixed = Vec::new();
    let mut piece = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c != '%' {
            piece.push(c);
            continue;
        }
        match characters.next() {
            Some('%') => piece.push('%'),
            Some(_) => fixed.push(std::mem::take(&mut piece)),
            // A single one at the end is dropped.
            None => {}
        }
    }
    fixed.push(piece);
    Name { fixed }
}

impl Name {
    /// Whether a file's name can be one of this pattern.
    pub fn fits(&self, name: &str) -> bool {
        let (Some(first), Some(last)) = (self.fixed.first(), self.fixed.last()) else {
            return false;
        };
        if self.fixed.len() == 1 {
            return name == first;
        }
        let Some(rest) = name.strip_prefix(first.as_str()) else { return false };
        let Some(mut rest) = rest.strip_suffix(last.as_str()) else { return false };
        for piece in &self.fixed[1..self.fixed.len() - 1] {
            match rest.find(piece.as_str()) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return false,
            }
        }
        true
    }
}

impl Destination {
    /// The folder as the program saw it, for one that worked in this directory.
    pub fn folder(&self, working: &Path) -> Option<PathBuf> {
        match self {
            Destination::File { folder, .. } => Some(working.join(folder)),
            _ => None,
        }
    }

    /// What to tell whoever misses a backtrace; nothing where a file was searched for.
    pub fn advice(&self) -> Option<String> {
        Some(match self {
            Destination::Nowhere => "this host writes no cores (kernel.core_pattern)".to_owned(),
            Destination::Program(program) if program.contains("systemd-coredump") => {
                "systemd-coredump has the core: `coredumpctl info`".to_owned()
            }
            Destination::Program(program) => {
                let program = program.split_whitespace().next().unwrap_or_default();
                format!("this host hands cores to {program} (kernel.core_pattern)")
            }
            Destination::Socket(_) => {
                "this host hands cores to a socket (kernel.core_pattern)".to_owned()
            }
            Destination::Elsewhere => {
                "this host writes each core into a folder of its own (kernel.core_pattern)"
                    .to_owned()
            }
            Destination::File { .. } => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(pattern: &str, uses_pid: bool) -> (PathBuf, Name) {
        match read(pattern, uses_pid) {
            Destination::File { folder, name } => (folder, name),
            other => panic!("{pattern}: {other:?}"),
        }
    }

    #[test]
    fn a_pattern_says_where_cores_go() {
        assert_eq!(read("", false), Destination::Nowhere);
        assert_eq!(
            read("|/usr/lib/systemd/systemd-coredump %P %u\n", false).advice().unwrap(),
            "systemd-coredump has the core: `coredumpctl info`"
        );
        assert_eq!(read("@/run/core.sock", false), Destination::Socket("/run/core.sock".into()));
        assert_eq!(read("/var/%e/core", false), Destination::Elsewhere);
        let working = Path::new("/srv/app");
        assert_eq!(read("core\n", false).folder(working), Some(working.to_owned()));
        assert_eq!(read("/core", false).folder(working), Some("/".into()));
        assert_eq!(read("tmp/core", false).folder(working), Some("/srv/app/tmp".into()));
        assert_eq!(read("/var/crash/core.%p", false).folder(working), Some("/var/crash".into()));
    }

    #[test]
    fn a_name_is_known_by_what_is_fixed_in_it() {
        let fits = |pattern: &str, uses_pid: bool, name: &str| file(pattern, uses_pid).1.fits(name);
        assert!(fits("core", false, "core"));
        assert!(!fits("core", false, "core.2") && !fits("core", false, "score"));
        assert!(fits("core", true, "core.2") && !fits("core", true, "core"));
        assert!(fits("core.%p", true, "core.2") && !fits("core.%p", true, "core"));
        assert!(fits("%e-%p.%t.core", false, "server-2.1700000000.core"));
        assert!(!fits("%e-%p.%t.core", false, "server-2.core"));
        assert!(fits("100%%.%p", false, "100%.7"));
        assert!(!fits("a%pa", false, "a"), "pieces do not overlap");
        assert!(fits("core%", false, "core"));
    }
}
