//! Attackers: programs that run inside a sandbox and try to get out of it.
//!
//! Invariant: an attacker prints one line an attempt, `name: outcome`, and exits with 0 only if
//! none got through; a test holds every line, so an attempt that was never made is noticed too.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::{As, Ran, Scene, USER};

/// Nothing of the host in view: what an attacker reaches, it was given.
pub const BARE: &str = "base = \"none\"";

impl Scene {
    /// Compile an attacker and run it, with arguments and these lines of `[access]`.
    pub fn attack(&self, attacker: &str, arguments: &str, access: &str) -> Ran {
        self.aim(attacker, arguments, access);
        self.run(["run", "--quiet", "app.toml"])
    }

    /// The same app's first lines: what is said not to be enforced, for what is then not tried.
    #[track_caller]
    pub fn says_not_enforced(&self, what: &str) {
        let ran = self.run(["run", "app.toml"]);
        assert!(ran.err.contains(&format!("not enforced: {what}: ")), "{}", ran.err);
    }

    /// Compile an attacker and write the app.toml that runs it.
    pub fn aim(&self, attacker: &str, arguments: &str, access: &str) {
        self.attacker(attacker);
        let run = format!("./{attacker} {arguments}");
        self.write(
            "app.toml",
            &format!("name = \"attacker\"\nrun = {run:?}\n[access]\n{access}\n"),
        );
    }

    /// A directory of the app's folder that every user may write in, the app's own uid too.
    pub fn open_directory(&self, name: &str) -> PathBuf {
        let path = self.app().join(name);
        std::fs::create_dir_all(&path).unwrap();
        self.own(&path);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
        path
    }

    /// A process outside every sandbox, of the user who will run in this scene's sandbox.
    pub fn bystander(&self, uid: Option<u32>) -> Bystander {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new("sleep");
        command.arg("600").stdin(Stdio::null()).stdout(Stdio::null());
        match (self.who, uid) {
            (_, Some(uid)) => command.uid(uid).gid(uid),
            (As::User, None) => command.uid(USER).gid(USER),
            (As::Root, None) => &mut command,
        };
        Bystander(command.spawn().unwrap())
    }
}

impl Ran {
    /// What an attacker said is exactly this, and it got through nowhere.
    #[track_caller]
    pub fn attempts(&self, who: As, expected: &str) {
        let lines =
            |text: &str| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
        let (found, expected) = (lines(self.out.trim()), lines(expected.trim()));
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "as {who:?}:\n{}\n{}", self.out, self.err);
        }
        assert_eq!(found.len(), expected.len(), "as {who:?}:\n{}\n{}", self.out, self.err);
        assert_eq!(self.code, 0, "as {who:?}: got through\n{}\n{}", self.out, self.err);
    }
}

/// A process that no sandbox may touch; ended by its number.
#[derive(Debug)]
pub struct Bystander(Child);

impl Bystander {
    /// Its process number on the host.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Whether it still runs.
    pub fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
