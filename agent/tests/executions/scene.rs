//! One app in directories of its own, run by this process.
//!
//! Invariant: what a case makes on disk is gone when the scene is dropped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agent::lease::ledger::Choice;
use agent::logs::Tail;
use agent::plan::{Directories, HostFacts, Identity, Plan, Settings, resolve};
use agent::run::{self, Finished, Output, RunError};
use agent::source::{self, Overrides};
use agent::supervise::Companion;
use agent::uids;
use manifest_spec::policy::HostPolicy;

pub struct Scene {
    root: PathBuf,
    facts: HostFacts,
    pub tail: Tail,
    grace: Duration,
}

pub fn is_root() -> bool {
    host_sys::creds::effective().0 == 0
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

impl Scene {
    pub fn new() -> Scene {
        Scene::with_grace(Duration::from_secs(60))
    }

    /// A program that is asked to end gets this long.
    pub fn with_grace(grace: Duration) -> Scene {
        // The logger of the scene before may still be at work in its own.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("executions-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let root = std::env::temp_dir().join(name);
        fs::create_dir_all(root.join("app")).unwrap();
        let mut facts = HostFacts::probe().unwrap();
        let [state, run, config] = ["state", "run", "config"].map(|name| root.join(name));
        facts.directories = Directories { state, run, config };
        Scene { root, facts, tail: Tail::default(), grace }
    }

    pub fn app(&self) -> PathBuf {
        self.root.join("app")
    }

    /// Compile an attacker into the app's folder.
    pub fn attacker(&self, name: &str) {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/attackers");
        let built = Command::new("cc")
            .args(["-static", "-O1", "-Wall", "-o"])
            .args([self.app().join(name), sources.join(format!("{name}.c"))])
            .status()
            .expect("a C compiler (package gcc) is needed for the attackers");
        assert!(built.success());
    }

    /// The plan of a manifest that has these lines beside the app's name.
    pub fn plan(&self, lines: &str) -> Plan {
        let text = format!("name = \"box\"\n{lines}\n");
        let drop_in = |app: &str| self.facts.directories.drop_in(app);
        let loaded = source::load("app.toml", &text, drop_in, &Overrides::default()).unwrap();
        let policy = HostPolicy::default();
        let settings =
            Settings { folder: self.app(), grace: Some(self.grace), ..Settings::default() };
        let mut plan = resolve(&loaded.manifest, &self.facts, &policy, &settings).unwrap();
        if plan.identity == (Identity::Own { uid: None }) {
            let users = || fs::read_to_string("/etc/passwd").unwrap();
            let state = &self.facts.directories.state;
            let uid = uids::claim(state, policy.uids, &plan.app, users).unwrap();
            plan.identity = Identity::Own { uid: Some(uid) };
        }
        plan
    }

    pub fn run(&self, plan: &Plan, companion: &mut dyn Companion) -> Result<Finished, RunError> {
        let (facts, policy) = (&self.facts, HostPolicy::default());
        let (_, held) = run::acquire(plan, facts, &policy, 0, Choice::Planned, now).unwrap();
        let output = Output::Kept { tail: self.tail.clone(), version: None, like: None };
        run::run(plan, held, facts, &[], output, now, companion)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}
