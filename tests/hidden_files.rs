//! Promise: only what is granted exists. The host's secrets, hostctl's own files, other apps' data
//! and the controls of the kernel are not there, whoever the program runs as.

use std::collections::BTreeSet;
use std::os::unix::fs::{lchown, symlink};

use crate::support::attack::BARE;
use crate::support::{As, EVERYONE, Scene};

/// Both bases: a secret must not come in with the system's files either.
const BASES: [&str; 2] = [BARE, "base = \"system\""];

#[test]
fn secrets_of_the_host_are_not_there() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        std::fs::write(scene.outside().join("secret"), "secret").unwrap();
        let secret = scene.outside().join("secret").display().to_string();
        let paths =
            ["/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/root", "/home", "/var", "/boot"]
                .map(str::to_owned)
                .into_iter()
                .chain([secret, scene.outside().join("app/../secret").display().to_string()]);
        let paths: Vec<_> = paths.collect();
        let expected: String = paths.iter().map(|path| format!("{path}: ENOENT\n")).collect();
        for base in BASES {
            scene.attack("reach", &paths.join(" "), base).attempts(who, &expected);
        }
    }
}

#[test]
fn neither_hostctl_s_files_nor_another_app_s_data_are_there() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let keep = "--quiet --name other --write data:/srv/other -- touch /srv/other/secret";
        scene.run(["run"].into_iter().chain(keep.split(' '))).exited(0);
        std::fs::write(scene.config().join("policy.toml"), "").unwrap();
        let kept = scene.state().join("data/other/srv-other/secret");
        assert!(kept.exists());
        let paths = [
            scene.state(),
            scene.state().join("uids"),
            kept,
            scene.config(),
            scene.config().join("policy.toml"),
            scene.outside().join("run"),
            "/srv/other/secret".into(),
        ]
        .map(|path| path.display().to_string());
        let expected: String = paths.iter().map(|path| format!("{path}: ENOENT\n")).collect();
        for base in BASES {
            let access = format!("{base}\nwrite = [\"data:/srv/own\"]");
            scene.attack("reach", &paths.join(" "), &access).attempts(who, &expected);
        }
    }
}

#[test]
fn hostctl_s_files_are_granted_by_no_name() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let link = scene.outside().join("link");
        symlink(scene.state(), &link).unwrap();
        lchown(&link, Some(who.uid()), None).unwrap();
        let direct = scene.state();
        for path in [direct.as_path(), scene.outside(), &link] {
            let access = format!("{BARE}\nread = [\".\", {path:?}]");
            let ran = scene.attack("reach", "/proc/self/mountinfo", &access).exited(65);
            assert!(ran.err.contains("access.read[1]"), "{}", ran.err);
        }
    }
}

/// What the kernel says of an app's mounts: where, and what may not be done there.
fn mounts(who: As, base: &str) -> (Scene, BTreeSet<String>) {
    let scene = Scene::new(who);
    let ran = scene.attack("mounts", "", base).exited(0);
    let shown = |line: &str| {
        let fields: Vec<_> = line.split(' ').collect();
        let flags = fields[1].split(',').filter(|flag| !flag.ends_with("atime"));
        format!("{} {}", fields[0], flags.collect::<Vec<_>>().join(","))
    };
    let lines = ran.out.lines().map(shown).collect();
    (scene, lines)
}

/// Mounts of every sandbox.
const ALWAYS: &str = "\
/ ro,nosuid,nodev
/dev/null rw,nosuid,noexec
/dev/zero rw,nosuid,noexec
/dev/full rw,nosuid,noexec
/dev/random rw,nosuid,noexec
/dev/urandom rw,nosuid,noexec
/dev/tty rw,nosuid,noexec
/dev/pts rw,nosuid,noexec
/dev/shm rw,nosuid,nodev,noexec
/tmp rw,nosuid,nodev,noexec
/proc ro,nosuid,nodev,noexec";

/// Mounts of `base = \"system\"` where the host has them.
const SYSTEM: &str = "\
/usr ro,nosuid,nodev
/etc/alternatives ro,nosuid,nodev,noexec
/etc/ssl/certs ro,nosuid,nodev,noexec
/etc/pki/tls/certs ro,nosuid,nodev,noexec
/etc/crypto-policies ro,nosuid,nodev,noexec";

/// Hidden parts of /proc, where the kernel has them.
const MASKED: &str = "\
/proc/acpi /proc/asound /proc/interrupts /proc/kallsyms /proc/kcore /proc/key-users /proc/keys \
/proc/kmsg /proc/sched_debug /proc/sysrq-trigger /proc/timer_list";

#[test]
fn nothing_else_is_mounted() {
    for who in EVERYONE {
        for (base, more) in [(BARE, ""), ("base = \"system\"", SYSTEM)] {
            let (scene, found) = mounts(who, base);
            let on_host = |line: &&str| std::fs::metadata(line.split(' ').next().unwrap()).is_ok();
            let mut expected: BTreeSet<_> = ALWAYS.lines().map(str::to_owned).collect();
            expected.extend(more.lines().filter(on_host).map(str::to_owned));
            let masked = MASKED.split(' ').filter(on_host);
            expected.extend(masked.map(|path| format!("{path} ro,nosuid,nodev,noexec")));
            expected.insert(format!("{} ro,nosuid,nodev", scene.app().display()));
            assert_eq!(found, expected, "{who:?} {base}");
        }
    }
}

/// What pulling at each control comes to. The kernel asks first who wants to write a sysctl, then
/// whether its mount is read-only: uid 0 runs into the second wall.
const CONTROLS: &str = "\
write /proc/sys/kernel/core_pattern: SYSCTL
write /proc/sys/kernel/modprobe: SYSCTL
write /proc/sys/kernel/hostname: SYSCTL
write /proc/sys/vm/overcommit_memory: SYSCTL
write /proc/sys/net/ipv4/ip_forward: SYSCTL
write /proc/sysrq-trigger: EACCES
write /proc/1/oom_score_adj: SYSCTL
write /proc/self/oom_score_adj: EROFS
write /proc/self/uid_map: EROFS
read /proc/kcore: EACCES
read /proc/kmsg: EACCES
read /proc/kallsyms: EACCES
read /proc/keys: EACCES
read /proc/timer_list: EACCES
open /dev/kmsg: ENOENT
open /dev/mem: ENOENT
open /dev/vda: ENOENT
open /dev/vsock: ENOENT
open /dev/console: ENOENT
list /sys: ENOENT
list cgroups: ENOENT
syslog: EPERM
replace /dev/null: EROFS
create in /dev: EROFS
create in /: EROFS
create in /etc: EROFS
/dev/null is the null device: holds
/dev/zero is the zero device: holds
/dev/urandom is the random device: holds
/dev/tty is the terminal device: holds
";

/// The table above for this kernel, which may have been built without some of it.
fn controls(sysctl: &str) -> String {
    let line = |line: &str| {
        let (attempt, outcome) = line.split_once(": ").unwrap();
        let missing = attempt
            .split_once(' ')
            .is_some_and(|(_, path)| path.starts_with("/proc") && std::fs::metadata(path).is_err());
        let outcome = if missing { "ENOENT" } else { &outcome.replace("SYSCTL", sysctl) };
        format!("{attempt}: {outcome}\n")
    };
    CONTROLS.lines().map(line).collect()
}

#[test]
fn the_kernel_s_controls_are_out_of_reach() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.attack("host_controls", "", BARE).attempts(who, &controls("EACCES"));
    }
}

#[test]
fn the_kernel_s_controls_are_out_of_reach_of_uid_0() {
    let scene = Scene::new(As::Root);
    std::fs::write(scene.config().join("policy.toml"), "[allow]\nroot = [\"attacker\"]\n").unwrap();
    let access = format!("{BARE}\nuser = \"root\"");
    scene.attack("host_controls", "", &access).attempts(As::Root, &controls("EROFS"));
}

#[test]
fn a_null_device_that_is_none_is_refused() {
    let scene = Scene::new(As::Root);
    scene.aim("reach", "", BARE);
    let fake = scene.write("fake", "");
    // In a mount namespace of its own the host's stays what it is.
    let script = "mount --bind \"$1\" /dev/null && exec \"$2\" run --quiet app.toml";
    let mut command = scene.command("unshare".as_ref());
    command.args(["--mount", "sh", "-c", script, "sh"]);
    let output = command.arg(fake).arg(crate::support::hostctl()).output().unwrap();
    let ran = crate::support::Ran::from(output).exited(71);
    assert!(ran.err.contains("/dev/null on this host is not a device"), "{}", ran.err);
}
