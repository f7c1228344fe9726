//! An app with a policy plugin, and who asks it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use agent::aside::OfPolicy;
use agent::aside::start::Starter;
use agent::plan::Directories;
use agent::planning::Source;
use agent::plugin::{News, Plugins, Setup, Standing};
use manifest_spec::plugin::{Answer, Backend};
use tokio::task::LocalSet;
use tokio::time::sleep;

/// How long a test waits for what must come: far longer than it takes.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is asked and looked at.
const PAUSE: Duration = Duration::from_millis(50);

/// The app's folder and hostctl's directories, removed with the test.
pub struct Scene {
    pub folder: PathBuf,
}

/// Who asks the plugin of `demo.web`.
pub struct Host<'a> {
    pub plugins: Plugins,
    setup: Setup,
    asked: u64,
    scene: &'a Scene,
    news: Rc<RefCell<Vec<News>>>,
}

/// The answer that `a` gets this weight.
pub fn gives(weight: u32) -> Standing {
    Standing::Answer(Answer::Weights(BTreeMap::from([("a".to_owned(), weight)])))
}

impl Scene {
    /// An app whose plugin is this program.
    pub fn new(program: &str) -> Scene {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().canonicalize().unwrap();
        let folder = folder.join(format!("plugins-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("app")).unwrap();
        let scene = Scene { folder };
        std::fs::write(scene.file("app/plug"), program).unwrap();
        for (path, mode) in [("app/plug", 0o755), ("app", 0o755)] {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(scene.file(path), permissions).unwrap();
        }
        scene
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Ask the plugin, which has this long for an answer.
    pub fn run(&self, deadline: Duration, body: impl AsyncFnOnce(&mut Host<'_>)) {
        let text = "name = \"demo\"\nrun = \"true\"\n[policies.p]\nrun = \"./plug\"\n";
        let source = Source {
            name: "app.toml".into(),
            text: text.to_owned(),
            folder: self.file("app"),
            ..Source::default()
        };
        let of = OfPolicy { source, policy: "p".to_owned(), deployer: None, kept: false };
        let directories = Directories {
            state: self.file("state"),
            run: self.file("run"),
            config: self.file("config"),
        };
        let executable = env!("CARGO_BIN_EXE_hostctl").into();
        let starter = Starter { executable, directories };
        let news = Rc::new(RefCell::new(Vec::new()));
        let heard = Rc::clone(&news);
        let tell = move |one| heard.borrow_mut().push(one);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let plugins = Plugins::new(starter, tell);
            let setup = Setup { of, deadline };
            let mut host = Host { plugins, setup, asked: 0, scene: self, news };
            body(&mut host).await;
            host.plugins.keep(|_| false);
            host.gone().await;
        });
    }

    /// Everything in the log of the plugin.
    pub fn log(&self) -> String {
        let logs = self.file("state/logs/demo");
        let folders = std::fs::read_dir(logs).into_iter().flatten().flatten();
        let plugins =
            folders.filter(|one| one.file_name().to_string_lossy().starts_with("policy-p."));
        let files = plugins.flat_map(|folder| std::fs::read_dir(folder.path()).unwrap().flatten());
        files.map(|file| std::fs::read_to_string(file.path()).unwrap_or_default()).collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Host<'_> {
    /// Ask about a service.
    pub fn ask(&mut self, service: &str) {
        let backend = |id: &str| Backend {
            id: id.to_owned(),
            address: "10.99.0.1:80".to_owned(),
            healthy: true,
            draining: false,
            weight: 100,
            connections: Some(3),
            rate: None,
            latency_ms: None,
            cpu: None,
            memory: None,
            labels: BTreeMap::new(),
            version: None,
        };
        // Each question is another one.
        self.asked += 1;
        let mut backends = vec![backend("a"), backend("b")];
        backends[0].connections = Some(self.asked);
        self.plugins.ask(service, 1, || self.setup.clone(), backends);
    }

    /// Ask until what stands, and what went wrong last, are like this.
    pub async fn until(&mut self, what: &str, is: impl Fn(&Standing, Option<&str>) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            let faults = self.faults();
            if is(&self.plugins.standing("demo.web"), faults.last().map(String::as_str)) {
                return;
            }
            assert!(Instant::now() < end, "{what}: {:?}", self.news.borrow());
            self.ask("demo.web");
            sleep(PAUSE).await;
        }
    }

    /// Ask until something is so.
    pub async fn later(&mut self, what: &str, is: impl Fn(&Scene) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is(self.scene) {
            let log = self.scene.log();
            assert!(Instant::now() < end, "{what}: {:?}\n{log:.2000}", self.news.borrow());
            self.ask("demo.web");
            sleep(PAUSE).await;
        }
    }

    /// What went wrong, in the order in which it was told.
    pub fn faults(&self) -> Vec<String> {
        self.news.borrow().iter().filter_map(|news| news.failure.clone()).collect()
    }

    pub fn failed_by(&self, reason: &str) -> bool {
        self.faults().iter().any(|fault| fault.contains(reason))
    }

    /// How many processes there are that run plugins of this scene.
    pub fn processes(&self) -> usize {
        let folder = self.scene.folder.to_str().unwrap();
        let is_one = |process: &Path| {
            let read = |name| std::fs::read(process.join(name)).unwrap_or_default();
            let environment = String::from_utf8_lossy(&read("environ")).into_owned();
            read("cmdline").starts_with(b"hostctl-aside\0") && environment.contains(folder)
        };
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        processes.filter(|process| is_one(&process.path())).count()
    }

    /// Wait until nothing is left.
    pub async fn gone(&self) {
        let end = Instant::now() + PATIENCE;
        while self.processes() > 0 {
            assert!(Instant::now() < end, "a plugin is left");
            sleep(PAUSE).await;
        }
    }
}
