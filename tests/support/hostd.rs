//! A hostd of a test's own: on the directories of its scene, killed and started as often as a test
//! likes.
//!
//! Invariant: what a hostd of a scene started ends with the test: dropped, hostd and then every
//! keeper of the scene's directories is ended by its number, and every sandbox with it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::api::{Answer, Api};
use super::{Ran, Scene, eventually, kill, programs};

/// A hostd, and the scene it is in.
#[derive(Debug)]
pub struct Hostd<'a> {
    scene: &'a Scene,
    child: Option<Child>,
}

impl<'a> Hostd<'a> {
    /// One that answers.
    #[track_caller]
    pub fn start(scene: &'a Scene) -> Hostd<'a> {
        let mut hostd = Hostd { scene, child: None };
        hostd.begin();
        hostd
    }

    /// One that was killed so long after its start.
    pub fn start_killed(scene: &'a Scene, delay: Duration) -> Hostd<'a> {
        let mut hostd = Hostd { scene, child: None };
        hostd.spawn();
        std::thread::sleep(delay);
        hostd.kill();
        hostd
    }

    /// One in a network namespace of its own, where every port is free.
    #[track_caller]
    pub fn start_alone(scene: &'a Scene) -> Hostd<'a> {
        let mut own = scene.command("unshare".as_ref());
        let script = "busybox ip link set lo up && exec \"$0\"";
        own.args(["--net", "sh", "-c", script]).arg(hostd());
        let mut hostd = Hostd { scene, child: None };
        hostd.spawn_as(own);
        hostd.answers();
        hostd
    }

    /// Start it, and wait until it answers.
    #[track_caller]
    pub fn begin(&mut self) {
        self.spawn();
        self.answers();
    }

    #[track_caller]
    fn answers(&mut self) {
        eventually("hostd answers", || {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", self.log());
            self.api().try_ask("GET", "/v1/host", &Value::Null).is_some_and(|one| one.status == 200)
        });
    }

    /// Start it and go on.
    pub fn spawn(&mut self) {
        self.spawn_as(self.scene.command(&hostd()));
    }

    fn spawn_as(&mut self, mut command: Command) {
        assert!(self.child.is_none(), "one at a time");
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    /// What another hostd on the same directories says until it ends, which it must.
    #[track_caller]
    pub fn run(scene: &Scene) -> Ran {
        let mut command = scene.command(&hostd());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = super::Running { child: Some(command.spawn().unwrap()) };
        let child = running.child();
        eventually("hostd ends", || child.try_wait().unwrap().is_some());
        running.wait()
    }

    fn log_path(&self) -> PathBuf {
        self.scene.outside().join("hostd.log")
    }

    /// Everything that every hostd of this scene said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        self.child.as_ref().unwrap().id() as i32
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// kill -9, and the next one.
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill();
        self.begin();
    }

    /// End it as systemd would; its exit code.
    pub fn end(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        kill("TERM", child.id() as i32);
        child.wait().unwrap().code()
    }

    /// A client of this process's user.
    pub fn api(&self) -> Api {
        Api { socket: self.scene.outside().join("run/hostd.sock"), user: None }
    }

    /// The body of a GET.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        self.api().ask("GET", path, &Value::Null).done()
    }

    /// What is answered to a POST.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.api().ask("POST", path, body)
    }

    /// The request that deploys this text from the scene's app folder.
    pub fn deployment(&self, manifest: &str) -> Value {
        json!({ "manifest": {
            "name": "app.toml", "text": manifest, "folder": self.scene.app(),
        } })
    }

    /// Deploy it; the version.
    #[track_caller]
    pub fn deploy(&self, manifest: &str) -> u64 {
        let answer = self.post("/v1/deploy", &self.deployment(manifest)).done();
        answer["version"].as_u64().unwrap()
    }

    /// Deploy it and wait until it serves.
    #[track_caller]
    pub fn deploy_and_wait(&self, manifest: &str) -> u64 {
        let answer = self.post("/v1/deploy", &self.deployment(manifest)).done();
        self.settled(answer["app"].as_str().unwrap());
        answer["version"].as_u64().unwrap()
    }

    /// An app's status.
    #[track_caller]
    pub fn status(&self, app: &str) -> Value {
        self.get(&format!("/v1/apps/{app}"))
    }

    /// The instances of an app.
    #[track_caller]
    pub fn instances(&self, app: &str) -> Vec<Value> {
        let status = self.status(app);
        let services = status["services"].as_array().unwrap();
        services.iter().flat_map(|one| one["instances"].as_array().unwrap().clone()).collect()
    }

    /// One of them.
    #[track_caller]
    pub fn instance(&self, name: &str) -> Value {
        let app = name.split('.').next().unwrap();
        let instances = self.instances(app);
        let found = instances.iter().find(|one| one["name"] == name).cloned();
        found.unwrap_or_else(|| panic!("no {name} among {instances:#?}"))
    }

    /// Process 1 of an instance.
    #[track_caller]
    pub fn pid_of(&self, name: &str) -> i64 {
        self.instance(name)["pid"].as_i64().unwrap_or_else(|| panic!("{name} does not run"))
    }

    /// Wait until an app is what is wanted of it; what it and its events are, if that takes long.
    #[track_caller]
    pub fn settled(&self, app: &str) -> Value {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let status = self.status(app);
            if is_settled(&status) {
                return status;
            }
            if Instant::now() > end {
                let events = self.api().ask("GET", &format!("/v1/events?app={app}"), &Value::Null);
                panic!("{app} does not settle: {status:#}\n{}", events.body);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Wait until an instance is in this state; its status then.
    #[track_caller]
    pub fn until(&self, name: &str, state: &str) -> Value {
        let mut seen = Value::Null;
        let app = name.split('.').next().unwrap();
        eventually(&format!("{name} is {state}"), || {
            let found = self.instances(app).into_iter().find(|one| one["name"] == name);
            seen = found.unwrap_or_default();
            seen["state"] == state
        });
        seen
    }

    /// Numbers of the keepers of this scene.
    pub fn keepers(&self) -> Vec<i32> {
        keepers(self.scene.outside())
    }
}

impl Drop for Hostd<'_> {
    #[allow(clippy::print_stderr)] // of a test that fails
    fn drop(&mut self) {
        self.kill();
        loop {
            let keepers = self.keepers();
            if keepers.is_empty() {
                break;
            }
            for pid in &keepers {
                let _ = Command::new("sh").args(["-c", &format!("kill -9 {pid}")]).status();
            }
            std::thread::yield_now();
        }
        // One that ships to a sink that is not there would go on for ever.
        self.scene.kill_loggers();
        if std::thread::panicking() {
            eprintln!("hostd said:\n{}", self.log());
        }
    }
}

/// Everything that is wanted runs and serves, known by its process, and nothing else does.
pub fn is_settled(status: &Value) -> bool {
    let running = status["wanted"] == "running";
    let serves =
        |one: &Value| (one["state"] == "ready" || one["state"] == "running") && one["pid"].is_u64();
    status["rollout"].is_null()
        && status["services"].as_array().unwrap().iter().all(|service| {
            let instances = service["instances"].as_array().unwrap();
            let wanted = if running { service["count"].as_u64().unwrap() } else { 0 };
            instances.len() as u64 == wanted && instances.iter().all(serves)
        })
}

/// Keepers whose folders are below this place. Process 1 of a sandbox, their child, is called like
/// them.
fn keepers(place: &Path) -> Vec<i32> {
    let place = format!("{}/", place.display());
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|one| one.file_name().to_str()?.parse().ok());
    let ours = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        let words: Vec<&str> = line.split('\0').collect();
        words.first() == Some(&"hostctl-keeper") && words.iter().any(|one| one.starts_with(&place))
    };
    let all: Vec<i32> = numbers.filter(ours).collect();
    let inner: Vec<i32> = all.iter().flat_map(|pid| super::descendants(*pid)).collect();
    all.into_iter().filter(|pid| !inner.contains(pid)).collect()
}

/// The hostd under test, beside hostctl.
fn hostd() -> PathBuf {
    let path = super::hostctl().with_file_name("hostd");
    assert!(path.exists(), "{} is missing: build it first, `cargo build -p agent`", path.display());
    path
}

impl Scene {
    /// Put the program `tests/programs/service.c` into the app's folder, with a journal that every
    /// user may write.
    pub fn service(&self) -> Journal {
        let path = self.app().join("service");
        programs::put("service", &path);
        Journal(self.open_directory("journal"))
    }
}

/// What the program of [`Scene::service`] writes down.
#[derive(Debug, Clone)]
pub struct Journal(pub PathBuf);

impl Journal {
    /// What a service wrote: what, which tag, when in nanoseconds.
    pub fn lines(&self, service: &str) -> Vec<(String, String, u64)> {
        let text = std::fs::read_to_string(self.0.join(service)).unwrap_or_default();
        let line = |line: &str| {
            let mut words = line.split(' ').map(str::to_owned);
            Some((words.next()?, words.next()?, words.next()?.parse().ok()?))
        };
        text.lines().filter_map(line).collect()
    }

    /// How often a service wrote this.
    pub fn count(&self, service: &str, what: &str) -> usize {
        self.lines(service).iter().filter(|(one, ..)| one == what).count()
    }

    /// When a service wrote this for the last time.
    #[track_caller]
    pub fn last(&self, service: &str, what: &str) -> u64 {
        let lines = self.lines(service);
        let found = lines.iter().rev().find(|(one, ..)| one == what).map(|(_, _, at)| *at);
        found.unwrap_or_else(|| panic!("{service} never wrote {what}: {lines:?}"))
    }

    /// Make a file beside the journals.
    pub fn put(&self, name: &str) {
        std::fs::write(self.0.join(name), "").unwrap();
    }

    /// Take it away again.
    pub fn take(&self, name: &str) {
        std::fs::remove_file(self.0.join(name)).unwrap();
    }
}
