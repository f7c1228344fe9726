//! Promise: the parts of the kernel that no program in a sandbox needs can't be called, by no
//! number and through no gate, and a call that ends the program is named.

use crate::support::attack::BARE;
use crate::support::{As, EVERYONE, Scene};

const CALLS: &str = "\
add_key: ENOSYS
keyctl: ENOSYS
request_key: ENOSYS
bpf: EPERM
perf_event_open: EPERM
userfaultfd: EPERM
io_uring_setup: ENOSYS
io_uring_enter: ENOSYS
fanotify_init: EPERM
kexec_load: SIGSYS
kexec_file_load: SIGSYS
init_module: SIGSYS
finit_module: SIGSYS
delete_module: SIGSYS
reboot: SIGSYS
swapon: SIGSYS
acct: SIGSYS
sethostname: EPERM
clock_settime: EPERM
quotactl: EPERM
personality without randomization: EPERM
personality of another system: EPERM
a call that does not exist: ENOSYS
";

/// The gates of x86_64.
const GATES: &str = "\
iopl: SIGSYS
modify_ldt: ENOSYS
a 32-bit call: SIGSYS
an x32 call: SIGSYS
";

fn calls() -> String {
    let gates = if cfg!(target_arch = "x86_64") { GATES } else { "" };
    format!("{CALLS}{gates}")
}

#[test]
fn they_are_refused() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.attack("kernel_calls", "", BARE).attempts(who, &calls());
    }
}

#[test]
fn they_are_refused_to_uid_0() {
    let scene = Scene::new(As::Root);
    std::fs::write(scene.config().join("policy.toml"), "[allow]\nroot = [\"attacker\"]\n").unwrap();
    let access = format!("{BARE}\nuser = \"root\"");
    scene.attack("kernel_calls", "", &access).attempts(As::Root, &calls());
}

#[test]
fn a_fatal_call_is_named_with_what_would_allow_it() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene
            .shell_app("exec python3 -c 'import ctypes; ctypes.CDLL(None).umount2(b\"/\", 0)'", "");
        let ran = scene.run(["run", "--quiet", "app.toml"]).exited(128 + 31);
        let told = "demo was ended for calling umount2(2): to allow it: [access] capabilities";
        assert!(ran.err.contains(told), "{who:?}: {}", ran.err);
    }
}
