//! A cgroup with rules on it, and attackers inside.
//!
//! Invariant: an attacker is in the cgroup before it executes; the folder is gone when the wall is
//! dropped.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use agent::cgroup::{Cgroup, folder};
use agent::lease::holder::Process;
use agent::network::enforcement::Enforcement;
use agent::network::rules::{Destination, PortRule, Reach, Rules};
use manifest_spec::manifest::Protocol;

/// Who attackers run as.
const USER: &str = "54321";

/// Rules that grant nothing.
pub fn nothing() -> Rules {
    Rules {
        ports: Vec::new(),
        own: None,
        reach: Reach::Only(Vec::new()),
        interfaces: None,
        raw: false,
        alone: false,
    }
}

/// A leased port that is not moved.
pub fn leased(protocol: Protocol, number: u16) -> PortRule {
    PortRule { protocol, inside: number, outside: number, interface: None }
}

/// Granted destinations: `ADDRESS/PREFIX:PORT`, the port left out for any.
pub fn only(destinations: &[(&str, u8, Option<u16>)]) -> Reach {
    let one = |(network, prefix, port): &(&str, u8, Option<u16>)| Destination {
        network: network.parse().unwrap(),
        prefix: *prefix,
        port: *port,
    };
    Reach::Only(destinations.iter().map(one).collect())
}

/// Rules in force on a cgroup.
#[derive(Debug)]
pub struct Wall {
    folder: PathBuf,
    enforcement: Enforcement,
    // Dropped after the programs' descriptors, before the folders above it.
    cgroup: Option<Cgroup>,
    parent: PathBuf,
}

impl Wall {
    /// Raise it.
    pub fn raise(rules: &Rules) -> Wall {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let mark = format!("enforcement-{}-{number}", std::process::id());
        let (own, _) = folder::own().expect("a cgroup v2 mount is needed");
        let parent = own.join(&mark);
        std::fs::create_dir(&parent).expect("root is needed to make a cgroup");
        let process = Process::of(std::process::id() as i32).unwrap();
        let cgroup = Cgroup::make(&parent, "attacker", process).unwrap();
        let enforcement = Enforcement::attach(cgroup.as_fd(), rules).unwrap();
        let folder = std::env::temp_dir().join(mark);
        std::fs::create_dir(&folder).unwrap();
        Wall { folder, enforcement, cgroup: Some(cgroup), parent }
    }

    /// Put other rules in force.
    pub fn change(&mut self, rules: &Rules) {
        let cgroup = self.cgroup.as_ref().unwrap();
        self.enforcement.change(cgroup.as_fd(), rules).unwrap();
    }

    /// An attacker that is started in the cgroup.
    pub fn command(&self, attacker: &str, words: &[impl AsRef<str>]) -> Command {
        let procs = self.cgroup.as_ref().unwrap().path().join("cgroup.procs");
        let enter = "echo $$ > \"$0\" && exec setpriv --reuid=\"$1\" --clear-groups \
            --bounding-set=-all --no-new-privs \"${@:2}\"";
        let mut command = Command::new("bash");
        command.args(["-c", enter]).arg(procs).arg(USER).arg(self.build(attacker));
        command.args(words.iter().map(AsRef::as_ref));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    /// Run an attacker to its end: what it said.
    pub fn run(&self, attacker: &str, words: &[impl AsRef<str>]) -> String {
        let output = self.command(attacker, words).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Run an attacker to its end; each of its words must have had the outcome beside it.
    #[track_caller]
    pub fn holds(&self, attacker: &str, expected: &[(&str, &str)]) {
        let words: Vec<_> = expected.iter().map(|(word, _)| *word).collect();
        let said = self.run(attacker, &words);
        let line = |(word, outcome): &(&str, &str)| format!("{word}: {outcome}\n");
        assert_eq!(said, expected.iter().map(line).collect::<String>());
    }

    /// The same without any wall: what the attacker would do.
    pub fn outside(&self, attacker: &str, words: &[impl AsRef<str>]) -> String {
        let output =
            Command::new(self.build(attacker)).args(words.iter().map(AsRef::as_ref)).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }

    /// Start an attacker and go on.
    pub fn start(&self, attacker: &str, words: &[impl AsRef<str>]) -> Child {
        self.command(attacker, words).stdin(Stdio::piped()).spawn().unwrap()
    }

    fn build(&self, attacker: &str) -> PathBuf {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/attackers");
        let program = self.folder.join(attacker);
        if !program.exists() {
            let built = Command::new("cc")
                .args(["-static", "-O1", "-Wall", "-o"])
                .args([&program, &sources.join(format!("{attacker}.c"))])
                .status()
                .expect("a C compiler (package gcc) is needed for the attackers");
            assert!(built.success());
        }
        program
    }
}

impl Drop for Wall {
    fn drop(&mut self) {
        self.cgroup.take();
        let _ = std::fs::remove_dir(&self.parent);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
