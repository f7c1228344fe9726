//! Promise: a grant is the object its path names when the manifest is trusted with it. No link that
//! a program or another user planted, no swap in the middle of a start, and no object of another
//! kind leads anywhere else.

use std::os::unix::fs::{lchown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::attack::BARE;
use crate::support::{As, EVERYONE, Ran, Scene, USER, eventually};

/// Somebody who is neither root nor the one who runs hostctl.
const STRANGER: u32 = USER + 1;

/// What must never come to light.
const SECRET: &str = "the secret";

/// A directory that no app of this scene was given.
fn secret(scene: &Scene) -> PathBuf {
    let directory = scene.outside().join("secret");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("file"), SECRET).unwrap();
    directory
}

fn link(target: &Path, at: &Path, owner: u32) {
    symlink(target, at).unwrap();
    lchown(at, Some(owner), Some(owner)).unwrap();
}

/// Run 1 does something in a writable grant; run 2 mounts a grant inside it.
fn second_run(scene: &Scene, first: &str, grants: &str) -> Ran {
    let manifest = |script: &str, grants: &str| {
        scene.shell_app(script, &format!("[access]\nread = [\".\"]\n{grants}"));
    };
    manifest(first, "write = [\"work\"]\n");
    scene.run(["run", "--quiet", "app.toml"]).exited(0);
    manifest("cat work/sub/*", grants);
    scene.run(["run", "--quiet", "app.toml"])
}

#[test]
fn a_link_planted_under_another_grant_is_refused_by_name() {
    for who in EVERYONE {
        for target in ["../secret", "/etc", "/proc/self/root"] {
            for grants in
                ["write = [\"work\", \"work/sub\"]\n", "write = [\"work\", \"work/sub/deeper\"]\n"]
            {
                let scene = Scene::new(who);
                secret(&scene);
                scene.open_directory("work");
                let plant = format!("ln -s {target} work/sub");
                let ran = second_run(&scene, &plant, grants).exited(65);
                assert!(ran.err.contains("work/sub"), "{who:?} {target} {grants}: {}", ran.err);
                assert!(
                    ran.err.contains("symbolic link"),
                    "{who:?} {target} {grants}: {}",
                    ran.err
                );
                assert!(!ran.out.contains(SECRET));
            }
        }
    }
}

/// CVE-2024-42472.
#[test]
fn a_component_swapped_for_a_link_between_runs_is_refused() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let secret = secret(&scene);
        scene.open_directory("work");
        scene.open_directory("work/one");
        scene.open_directory("work/one/sub");
        let swap = format!("mv work/one work/two && ln -s {} work/one", secret.display());
        let access = "write = [\"work\", \"work/one/sub\"]\n";
        let ran = second_run(&scene, &swap, access).exited(65);
        assert!(ran.err.contains("work/one is a symbolic link"), "{who:?}: {}", ran.err);
    }
}

/// The same directory under a second name: the program of run 1 is trusted no more for that.
#[test]
fn a_link_planted_under_another_name_of_a_grant_is_refused() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let secret = secret(&scene);
        scene.open_directory("real");
        link(Path::new("real"), &scene.app().join("alias"), who.uid());
        let plant = format!("ln -s {} alias/sub", secret.display());
        let command = ["sh", "-c", &plant];
        let flags = ["run", "--quiet", "--name", "a", "--write", "alias", "--"];
        scene.run(flags.into_iter().chain(command)).exited(0);
        let flags =
            ["run", "--quiet", "--name", "a", "--write", "alias", "--read", "real/sub", "--"];
        let ran = scene.run(flags.into_iter().chain(["cat", "real/sub/file"]));
        assert!(!ran.out.contains(SECRET), "{who:?}: the planted link was followed");
    }
}

#[test]
fn a_link_of_a_stranger_is_refused() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let secret = secret(&scene);
        let flags = ["run", "--quiet", "--name", "a", "--read", "link", "--", "cat", "link/file"];
        link(&secret, &scene.app().join("link"), STRANGER);
        let ran = scene.run(flags).exited(65);
        let link = scene.app().join("link");
        let reason = format!("{} is a symbolic link that belongs to", link.display());
        assert!(ran.err.contains(&reason), "{who:?}: {}", ran.err);
    }
}

#[test]
fn a_link_of_one_s_own_or_of_root_is_followed() {
    for who in EVERYONE {
        for owner in [who.uid(), 0] {
            let scene = Scene::new(who);
            let target = secret(&scene);
            link(&target, &scene.app().join("link"), owner);
            let flags =
                ["run", "--quiet", "--name", "a", "--read", "link", "--", "cat", "link/file"];
            assert_eq!(scene.run(flags).exited(0).out, SECRET, "{who:?}: link of uid {owner}");
        }
    }
}

#[test]
fn links_in_a_circle_are_refused() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        link(Path::new("b"), &scene.app().join("a"), who.uid());
        link(Path::new("a"), &scene.app().join("b"), who.uid());
        let flags = ["run", "--quiet", "--name", "a", "--read", "a/x", "--", "true"];
        let mut running = scene.start(flags);
        eventually("the circle is noticed", || running.child().try_wait().unwrap().is_some());
        let ran = running.wait().exited(65);
        assert!(ran.err.contains("too many symbolic links"), "{who:?}: {}", ran.err);
    }
}

/// Swap two names in a directory, in one step each time, until told to stop (CVE-2021-30465).
struct Swapping(std::process::Child);

impl Swapping {
    fn start(first: &Path, second: &Path) -> Self {
        let program = first.with_file_name("swap");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("attackers/swap.c");
        let built = Command::new("cc").arg("-o").args([&program, &source]).status().unwrap();
        assert!(built.success());
        let child = Command::new(&program).args([first, second]).spawn().unwrap();
        std::fs::remove_file(program).ok();
        Swapping(child)
    }
}

impl Drop for Swapping {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Start at least fifty times while a granted name is swapped, and on until a start has met each of
/// the two: on a busy machine the swaps come in clumps.
fn start_during_swaps(scene: &Scene, who: As) {
    let (mut seen, mut refused) = (0, 0);
    for count in 0..500 {
        if count >= 50 && seen > 0 && refused > 0 {
            return;
        }
        let ran = scene.run(["run", "--quiet", "app.toml"]);
        assert!(!ran.out.contains(SECRET), "{who:?}: the secret became visible");
        match ran.code {
            0 => seen += 1,
            65 | 71 => refused += 1,
            // The swap came after the start: the program finds its grant gone.
            1 => {}
            code => panic!("{code}: {}", ran.err),
        }
    }
    panic!("{who:?}: the swaps met no start: {seen} seen, {refused} refused");
}

#[test]
fn a_stranger_s_swaps_during_starts_never_show_the_secret() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let secret = secret(&scene);
        scene.attacker("show");
        scene.open_directory("granted");
        scene.write("granted/file", "harmless");
        link(&secret, &scene.app().join("link"), STRANGER);
        let access = format!("{BARE}\nread = [\"show\", \"granted\"]");
        let text = format!("name = \"a\"\nrun = \"./show granted/file\"\n[access]\n{access}\n");
        scene.write("app.toml", &text);
        let _swapping = Swapping::start(&scene.app().join("granted"), &scene.app().join("link"));
        start_during_swaps(&scene, who);
    }
}

#[test]
fn a_program_s_swaps_during_starts_never_show_the_secret() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let secret = secret(&scene);
        scene.attacker("show");
        scene.open_directory("work");
        scene.open_directory("work/granted");
        scene.write("work/granted/file", "harmless");
        // Its owner is trusted elsewhere; here the program itself may write.
        link(&secret, &scene.app().join("work/link"), who.uid());
        let access = format!("{BARE}\nread = [\"show\", \"work/granted\"]\nwrite = [\"work\"]");
        let text =
            format!("name = \"a\"\nrun = \"./show work/granted/file\"\n[access]\n{access}\n");
        scene.write("app.toml", &text);
        let [granted, link] = ["work/granted", "work/link"].map(|name| scene.app().join(name));
        let _swapping = Swapping::start(&granted, &link);
        start_during_swaps(&scene, who);
    }
}

#[test]
fn only_files_and_directories_are_granted() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let made = |program: &str, arguments: &[&str]| {
            let status = Command::new(program).current_dir(scene.app()).args(arguments).status();
            assert!(status.unwrap().success());
        };
        made("mkfifo", &["pipe"]);
        made("mknod", &["device", "c", "1", "3"]);
        let _socket = UnixListener::bind(scene.app().join("socket")).unwrap();
        for (name, what) in
            [("pipe", "a named pipe"), ("device", "a device"), ("socket", "a socket")]
        {
            for how in ["--read", "--write"] {
                let start = Instant::now();
                let flags = ["run", "--quiet", "--name", "a", how, name, "--", "true"];
                let ran = scene.run(flags).exited(65);
                let reason = format!("{name} is {what}; only files and directories can be granted");
                assert!(ran.err.contains(&reason), "{who:?}: {}", ran.err);
                assert!(start.elapsed() < Duration::from_secs(5), "nobody waits for a pipe");
            }
        }
    }
}

#[test]
fn a_grant_that_is_not_there_is_an_error() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        for how in ["--read", "--write"] {
            let flags = ["run", "--quiet", "--name", "a", how, "here/not", "--", "true"];
            let ran = scene.run(flags).exited(65);
            let missing = format!("{} does not exist", scene.app().join("here").display());
            assert!(ran.err.contains(&missing), "{who:?}: {}", ran.err);
        }
        assert!(!scene.app().join("here").exists());
    }
}

/// A log file is written by hostctl itself, with hostctl's rights.
#[test]
fn a_log_file_is_not_led_out_of_a_writable_grant() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let secret = secret(&scene);
        scene.open_directory("work");
        scene.open_directory("work/logs");
        let sink = "[access]\nread = [\".\"]\nwrite = [\"work\"]\n[logs]\nsinks = [\"file:work/logs/app.log\"]\n";
        let swap = format!("rm -rf work/logs; ln -s {} work/logs; echo x", secret.display());
        scene.shell_app(&swap, sink);
        scene.run(["run", "--quiet", "app.toml"]).exited(0);
        scene.run(["run", "--quiet", "app.toml"]);
        assert!(!secret.join("app.log").exists(), "{who:?}: hostctl wrote where the link led");
    }
}

#[test]
fn a_log_file_that_became_a_pipe_stops_nothing() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.open_directory("work");
        let sink = "[access]\nread = [\".\"]\nwrite = [\"work\"]\n[logs]\nsinks = [\"file:work/app.log\"]\n";
        scene.shell_app("rm -f work/app.log; mkfifo work/app.log", sink);
        scene.run(["run", "--quiet", "app.toml"]).exited(0);
        let mut running = scene.start(["run", "--quiet", "app.toml"]);
        eventually("hostctl is done with the pipe", || {
            running.child().try_wait().unwrap().is_some()
        });
        drop(running);
    }
}
