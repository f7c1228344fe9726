//! Hosts that mount cgroup v1 and v2 side by side: crun refuses them while v2 has a controller.
//!
//! Owns the view of one file, `cgroup.controllers`, in a mount namespace of the benchmark's own.
//! Invariant: the host's cgroups stay as they are. Never needed on a host with cgroup v2 alone.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::Outcome;

/// The list crun looks at; this path exists on hybrid hosts only.
const CONTROLLERS: &str = "/sys/fs/cgroup/unified/cgroup.controllers";

/// Starts the benchmark again where the list looks empty, if it must and can; else returns.
pub(crate) fn leave() -> Outcome<()> {
    // The second time around the list is empty, so this ends.
    let listed = fs::read_to_string(CONTROLLERS).unwrap_or_default();
    if listed.trim().is_empty() || !is_root() {
        return Ok(());
    }
    let own = std::env::current_exe().map_err(|error| format!("find the benchmark: {error}"))?;
    let script = r#"mount --bind /dev/null "$0" && exec "$@""#;
    let error = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, CONTROLLERS])
        .arg(own)
        .args(std::env::args_os().skip(1))
        .exec();
    Err(format!("start unshare: {error}"))
}

/// /proc/self belongs to the effective user of its reader.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
