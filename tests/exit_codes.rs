//! Promise: the exit code is the program's own, 128+N for a signal, and a program that dies of a
//! refused system call is told which, and which setting would allow it.

use crate::support::{As, EVERYONE, Ran, Scene, eventually, kill};

fn run(scene: &Scene, words: &[&str]) -> Ran {
    let start = ["run", "--name", "demo", "--read", ".", "--"];
    scene.run(start.iter().chain(words))
}

#[test]
fn the_programs_code_is_hostctls() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        for code in [0, 1, 7, 126, 127, 255] {
            let ran = run(&scene, &["sh", "-c", &format!("exit {code}")]).exited(code);
            assert_eq!(ran.out, "");
        }
    }
}

#[test]
fn a_signal_is_its_number_and_128() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        for (name, number) in [("SEGV", 11), ("KILL", 9), ("TERM", 15), ("USR1", 10)] {
            let ran = run(&scene, &["sh", "-c", &format!("kill -{name} $$")]).exited(128 + number);
            assert!(ran.err.contains(&format!("demo ended by SIG{name}")), "{}", ran.err);
        }
    }
}

#[test]
fn a_program_killed_from_outside_is_137() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let running = scene.start(["run", "--name", "demo", "--", "sleep", "60"]);
        let mut program = None;
        eventually("sleep runs", || {
            program = running.descendants().into_iter().find(|pid| name_of(*pid) == "sleep");
            program.is_some()
        });
        kill("KILL", program.unwrap());
        running.wait().exited(137);
    }
}

#[test]
fn the_first_process_killed_from_outside_is_told() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let running = scene.start(["run", "--name", "demo", "--", "sleep", "60"]);
        eventually("sleep runs", || {
            running.descendants().iter().any(|pid| name_of(*pid) == "sleep")
        });
        let pids = running.descendants();
        kill("KILL", *pids.iter().find(|pid| name_of(**pid) == "hostctl-init").unwrap());
        let ran = running.wait().exited(71);
        assert!(ran.err.contains("the sandbox was ended from outside"), "{}", ran.err);
    }
}

fn name_of(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

/// Makes one system call by number and shows errno, so that no library stands between.
fn call(number: u32) -> [String; 3] {
    let code = format!(
        "import ctypes; c = ctypes.CDLL(None, use_errno=True); c.syscall({number}, 0, 0, 0, 0, 0); \
         print(ctypes.get_errno())"
    );
    ["python3".into(), "-c".into(), code]
}

/// Numbers and errors of the x86_64 kernel (syscall_64.tbl, errno.h).
const MOUNT: u32 = 165;
const KEXEC_LOAD: u32 = 246;
const KEYCTL: u32 = 250;
const EPERM: &str = "1\n";
const ENOSYS: &str = "38\n";

#[test]
#[cfg(target_arch = "x86_64")]
fn a_refused_call_is_named_with_the_setting_that_allows_it() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let [python, flag, code] = call(MOUNT);
        let ran = run(&scene, &[&python, &flag, &code]).exited(128 + 31);
        let expected = "demo was ended for calling mount(2): to allow it: [access] capabilities = [\"CAP_SYS_ADMIN\"]";
        assert!(ran.err.contains(expected), "{}", ran.err);
        let [python, flag, code] = call(KEXEC_LOAD);
        let ran = run(&scene, &[&python, &flag, &code]).exited(128 + 31);
        assert!(ran.err.contains("calling kexec_load(2): no setting allows it"), "{}", ran.err);
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_refused_call_works_with_the_setting_that_was_named() {
    let scene = Scene::new(As::Root);
    let [python, flag, code] = call(MOUNT);
    let manifest = format!("name = \"demo\"\nrun = [\"{python}\", \"{flag}\", \"{code}\"]\n");
    scene.write("app.toml", &manifest);
    scene.run(["run", "app.toml"]).exited(159);
    let set = "access.capabilities=CAP_SYS_ADMIN";
    let ran = scene.run(["run", "app.toml", "--set", set]).exited(0);
    assert_ne!(ran.out, EPERM, "the kernel now looks at the arguments, which are nonsense");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_call_added_by_name_reaches_the_kernel() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let [python, flag, code] = call(KEYCTL);
        let manifest = format!("name = \"demo\"\nrun = [\"{python}\", \"{flag}\", \"{code}\"]\n");
        scene.write("app.toml", &manifest);
        assert_eq!(scene.run(["run", "app.toml"]).exited(0).out, ENOSYS);
        let set = ["run", "app.toml", "--set", "access.syscalls=keyctl"];
        assert_ne!(scene.run(set).exited(0).out, ENOSYS);
    }
}
