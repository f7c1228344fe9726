//! What every promise needs: a scene with directories of its own, hostctl started in it, and the
//! two users it is tried as.
//!
//! Invariant: a test touches nothing outside its scene; processes are ended by number, and a scene
//! that is dropped leaves nothing behind. What a test needs and the machine lacks is said in words
//! and fails the test: nothing is skipped.

pub mod api;
pub mod attack;
pub mod collected;
pub mod hostd;
pub mod landlock;
pub mod launch;
pub mod load;
pub mod namespace;
pub mod ports;
pub mod programs;
pub mod random;
pub mod schema;
pub mod small;
pub mod updates;
pub mod written;

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The ordinary user that rootless tests run as.
pub const USER: u32 = 54_321;

/// Who starts hostctl.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum As {
    /// uid 0.
    Root,
    /// [`USER`], without any privilege.
    User,
}

impl As {
    /// The uid that hostctl is started with.
    pub fn uid(self) -> u32 {
        match self {
            As::Root => 0,
            As::User => USER,
        }
    }
}

/// Both, for promises that hold in every mode.
pub const EVERYONE: [As; 2] = [As::Root, As::User];

/// A temporary world: an app's folder, and hostctl's directories.
#[derive(Debug)]
pub struct Scene {
    root: PathBuf,
    who: As,
}

impl Scene {
    /// A fresh scene for one user.
    pub fn new(who: As) -> Scene {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        assert!(is_root(), "these tests try hostctl as root and as a user: run them as root");
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("hostctl-e2e-{}-{number}", std::process::id());
        let root = std::env::temp_dir().join(name);
        for dir in ["", "app", "state", "run", "config", "home"] {
            let path = root.join(dir);
            std::fs::create_dir(&path).unwrap();
            if who == As::User {
                chown(&path, Some(USER), Some(USER)).unwrap();
            }
        }
        Scene { root, who }
    }

    /// The app's folder.
    pub fn app(&self) -> PathBuf {
        self.root.join("app")
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// The configuration directory.
    pub fn config(&self) -> PathBuf {
        self.root.join("config")
    }

    /// A place outside the app's folder.
    pub fn outside(&self) -> &Path {
        &self.root
    }

    /// Write a file of the app.
    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.app().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        self.own(&path);
        path
    }

    /// Write a program of the app.
    pub fn script(&self, name: &str, content: &str) -> PathBuf {
        let path = self.write(name, content);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    }

    /// Copy a folder into the app's.
    pub fn copy_app(&self, folder: &Path) {
        let from = folder.join(".");
        let status = Command::new("cp").arg("-R").args([&from, &self.app()]).status().unwrap();
        assert!(status.success(), "{} can't be copied", folder.display());
        if self.who == As::User {
            let owner = format!("{USER}:{USER}");
            let status =
                Command::new("chown").args(["-R", &owner]).arg(self.app()).status().unwrap();
            assert!(status.success());
        }
    }

    /// Write an app.toml whose program is this shell script; `rest` follows its first two keys.
    pub fn shell_app(&self, script: &str, rest: &str) {
        self.write("main.sh", script);
        self.write("app.toml", &format!("name = \"demo\"\nrun = \"sh main.sh\"\n{rest}"));
    }

    /// Compile `tests/attackers/NAME.c` into the app's folder, statically.
    pub fn attacker(&self, name: &str) -> PathBuf {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("attackers/{name}.c"));
        let program = self.app().join(name);
        let built = Command::new("cc")
            .args(["-static", "-O1", "-Wall", "-o"])
            .args([&program, &source])
            .output()
            .expect("a C compiler (package gcc) is needed for the attackers");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        self.own(&program);
        program
    }

    fn own(&self, path: &Path) {
        if self.who == As::User {
            chown(path, Some(USER), Some(USER)).unwrap();
        }
    }

    /// A command in this scene: its user, its directories, the app's folder, nothing inherited.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.app())
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.root.join("home"))
            .env("HOSTCTL_STATE_DIR", self.root.join("state"))
            .env("HOSTCTL_RUN_DIR", self.root.join("run"))
            .env("HOSTCTL_CONFIG_DIR", self.root.join("config"))
            .stdin(Stdio::null());
        if self.who == As::User {
            command.uid(USER).gid(USER); // leaves every group too
        }
        command
    }

    /// hostctl with these arguments.
    pub fn hostctl<S: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = self.command(&hostctl());
        command.args(arguments);
        command
    }

    /// Run hostctl to its end.
    pub fn run<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        Ran::from(self.hostctl(arguments).output().unwrap())
    }

    /// Start hostctl and go on.
    pub fn start<S: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Running {
        let mut command = self.hostctl(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running { child: Some(command.spawn().unwrap()) }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

/// What a finished command said.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Exit code; 128+N for signal N.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        use std::os::unix::process::ExitStatusExt;
        let code = output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap());
        Ran {
            code,
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    /// The same, after checking the exit code.
    #[track_caller]
    pub fn exited(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
}

/// hostctl at work; ended by its number if the test does not end it.
#[derive(Debug)]
pub struct Running {
    child: Option<Child>,
}

impl Running {
    /// Its process number.
    pub fn pid(&self) -> i32 {
        self.child.as_ref().unwrap().id() as i32
    }

    /// Send it a signal, as kill(1) would.
    pub fn signal(&self, name: &str) {
        kill(name, self.pid());
    }

    /// Take standard output up to a line with this in it; the rest stays for [`Running::wait`].
    pub fn until_output(&mut self, part: &str) {
        until(self.child().stdout.as_mut().unwrap(), part);
    }

    /// The same for standard error.
    pub fn until_error(&mut self, part: &str) {
        until(self.child().stderr.as_mut().unwrap(), part);
    }

    /// Wait for its end.
    pub fn wait(mut self) -> Ran {
        Ran::from(self.child.take().unwrap().wait_with_output().unwrap())
    }

    /// Standard input and the two outputs, to talk to it.
    pub fn child(&mut self) -> &mut Child {
        self.child.as_mut().unwrap()
    }

    /// Processes of its tree, itself left out.
    pub fn descendants(&self) -> Vec<i32> {
        descendants(self.pid())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The hostctl under test: `HOSTCTL_BIN`, or the one built beside this test.
pub fn hostctl() -> PathBuf {
    if let Some(path) = std::env::var_os("HOSTCTL_BIN") {
        return path.into();
    }
    let own = std::env::current_exe().unwrap();
    let path = own.ancestors().nth(2).unwrap().join("hostctl");
    assert!(path.exists(), "{} is missing: build it first, `cargo build -p agent`", path.display());
    path
}

/// Send a process a signal, by the shell's own kill: not every machine has kill(1).
pub fn kill(name: &str, pid: i32) {
    let pid = pid.to_string();
    let status = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &pid]).status();
    assert!(status.unwrap().success(), "SIG{name} to {pid}");
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

/// Children of children, of a process.
pub fn descendants(pid: i32) -> Vec<i32> {
    let mut found = Vec::new();
    let path = format!("/proc/{pid}/task/{pid}/children");
    for child in std::fs::read_to_string(path).unwrap_or_default().split_whitespace() {
        let child = child.parse().unwrap();
        found.push(child);
        found.extend(descendants(child));
    }
    found
}

/// Read up to the line that holds `part`, byte by byte so that nothing behind it is lost.
fn until(stream: &mut impl std::io::Read, part: &str) {
    let mut said = Vec::new();
    let mut byte = [0];
    while !said.ends_with(b"\n") || !String::from_utf8_lossy(last_line(&said)).contains(part) {
        let count = stream.read(&mut byte).unwrap();
        assert!(count > 0, "{part:?} was never said, but:\n{}", String::from_utf8_lossy(&said));
        said.push(byte[0]);
    }
}

fn last_line(text: &[u8]) -> &[u8] {
    text.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default()
}

/// Wait until something holds; what it was, if it does not in a minute.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
