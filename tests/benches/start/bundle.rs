//! The OCI runtime configuration of a case.
//!
//! Owns the mapping from a case to `config.json`. Invariant: same namespaces, mounts and drops as
//! the other contenders. Never touches the disk.

use std::path::Path;

use serde_json::{Value, json};

use crate::case::{Base, Case, Identity};
use crate::stage;

/// The uid and gid the program gets when the runtime is started by root.
const UNPRIVILEGED: u32 = 65534;

/// What of /proc is hidden, as hostctl does.
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/key-users",
    "/proc/keys",
    "/proc/kmsg",
    "/proc/sched_debug",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
];

/// `config.json` for a case started by `uid`, with the app's folder at /app.
pub(crate) fn config(case: Case, uid: u32, app: &Path) -> Value {
    let inside = if case.identity == Identity::Root { UNPRIVILEGED } else { uid };
    json!({
        "ociVersion": "1.0.0",
        "process": {
            "terminal": false,
            "user": { "uid": inside, "gid": inside },
            "args": [case.inside()],
            "env": ["PATH=/usr/bin:/bin"],
            "cwd": "/app",
            "capabilities": {},
            "noNewPrivileges": true
        },
        "root": { "path": "rootfs", "readonly": true },
        "mounts": mounts(case.base, app),
        "linux": linux(case.identity, uid)
    })
}

fn mounts(base: Base, app: &Path) -> Vec<Value> {
    let mut mounts = vec![
        json!({ "destination": "/proc", "type": "proc", "source": "proc",
                "options": ["ro", "nosuid", "nodev", "noexec"] }),
        json!({ "destination": "/dev", "type": "tmpfs", "source": "dev",
                "options": ["nosuid", "strictatime", "mode=755", "size=64k"] }),
        json!({ "destination": "/dev/pts", "type": "devpts", "source": "devpts",
                "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666"] }),
        json!({ "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
                "options": ["nosuid", "nodev", "noexec", "mode=1777", "size=64m"] }),
        json!({ "destination": "/tmp", "type": "tmpfs", "source": "tmp",
                "options": ["nosuid", "nodev", "noexec", "mode=1777", "size=64m"] }),
        bind(&app.to_string_lossy(), "/app"),
    ];
    if base == Base::System {
        mounts.push(bind("/usr", "/usr"));
        mounts.extend(stage::system_etc().iter().map(|path| bind(path, path)));
    }
    mounts
}

fn bind(source: &str, destination: &str) -> Value {
    json!({ "destination": destination, "type": "bind", "source": source,
            "options": ["rbind", "ro", "nosuid", "nodev"] })
}

fn linux(identity: Identity, uid: u32) -> Value {
    let mut namespaces = vec!["mount", "pid", "ipc", "uts", "cgroup", "network"];
    let mut linux = json!({
        "maskedPaths": MASKED,
        "seccomp": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": ["mount"], "action": "SCMP_ACT_ERRNO" }]
        }
    });
    if identity == Identity::Ordinary {
        namespaces.push("user");
        let own = json!([{ "containerID": uid, "hostID": uid, "size": 1 }]);
        linux["uidMappings"] = own.clone();
        linux["gidMappings"] = own;
    }
    linux["namespaces"] = namespaces.iter().map(|kind| json!({ "type": kind })).collect();
    linux
}
