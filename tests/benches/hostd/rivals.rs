//! Others that keep programs running, with the same 100 programs.
//!
//! Owns how they are configured, started and ended. Invariant: nothing of theirs is left, on the
//! host or in the host's own directories of theirs. Never weighs.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::daemon::{end, wait};
use crate::idle::Kind;
use crate::stage::{Stage, write};
use crate::weigh::{everyone, family};
use crate::{CROWD, Outcome};

/// Where hosts with both versions of cgroups say what crun refuses to see (benches/start/hybrid.rs).
const CONTROLLERS: &str = "/sys/fs/cgroup/unified/cgroup.controllers";

/// supervisord in the foreground, without a socket and without log files.
pub(crate) fn supervisord<T>(stage: &Stage, look: impl FnOnce(&[Kind]) -> T) -> Outcome<T> {
    let folder = stage.folder("supervisord")?;
    let path = folder.join("supervisord.conf");
    let text = format!(
        "[supervisord]\nnodaemon = true\nlogfile = /dev/null\nlogfile_maxbytes = 0\n\
         pidfile = {}/pid\n[program:idle]\ncommand = {}/sleeper\nnumprocs = {CROWD}\n\
         process_name = %(process_num)d\nstdout_logfile = NONE\nstderr_logfile = NONE\n",
        folder.display(),
        stage.app.display(),
    );
    write(&path, &text)?;
    let mut child = Command::new("supervisord")
        .args(["--user", "root", "--configuration"])
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("start supervisord (package supervisor): {error}"))?;
    let children = || family(child.id()).get(1).map_or(0, Vec::len);
    let looked = wait("supervisord has started all", || children() == CROWD).map(|()| {
        // It calls a program running after a second.
        std::thread::sleep(std::time::Duration::from_secs(5));
        look(&[Kind { name: "supervisord", pids: vec![child.id()] }])
    });
    end(&mut child, "TERM");
    looked
}

/// podman as root, one container a program, each kept by a conmon; there is no daemon.
pub(crate) fn podman<T>(stage: &Stage, look: impl FnOnce(&[Kind]) -> T) -> Outcome<T> {
    let folder = stage.folder("podman")?;
    let script = folder.join("start.sh");
    // Its own limits and the first words are what lets it run in a sandbox or on a hybrid host.
    let text = format!(
        "set -e\n\
         [ ! -e {CONTROLLERS} ] || mount --bind /dev/null {CONTROLLERS}\n\
         tar -C {app} -cf image.tar sleeper\n\
         {podman} import --quiet image.tar hostd-bench:1\n\
         for n in $(seq {CROWD}); do\n\
         \x20 {podman} run --detach --name hostd-bench-$n --cgroups=disabled --network=none \\\n\
         \x20   --log-driver=none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 \\\n\
         \x20   hostd-bench:1 /sleeper\n\
         done\n",
        app = stage.app.display(),
        podman = words(&folder),
    );
    write(&script, &text)?;
    let started = Command::new("unshare")
        .args(["--mount", "sh", "start.sh"])
        .current_dir(&folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("start unshare (package util-linux): {error}"))?;
    let looked = match started.status.success() {
        true => Ok(look(&[Kind { name: "podman's conmons", pids: conmons(&folder) }])),
        false => Err(last(&String::from_utf8_lossy(&started.stderr))),
    };
    let clean = format!("{} rm --force --all --time 0; {0} rmi --all --force", words(&folder));
    let _ = Command::new("sh").args(["-c", &clean]).stdout(Stdio::null()).status();
    looked
}

/// podman with everything it keeps below this folder.
fn words(folder: &Path) -> String {
    let place = folder.display();
    format!(
        "podman --root {place}/root --runroot {place}/run --tmpdir {place}/tmp \
         --storage-driver=vfs --cgroup-manager=cgroupfs --events-backend=none"
    )
}

fn conmons(folder: &Path) -> Vec<u32> {
    let place = folder.to_string_lossy().into_owned();
    let ours = |pid: &u32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        name.trim_end() == "conmon" && String::from_utf8_lossy(&line).contains(&place)
    };
    everyone().into_iter().filter(ours).collect()
}

fn last(said: &str) -> String {
    let line = said.lines().last().unwrap_or_default();
    format!("does not work here: {line}")
}
