//! hostd with the same writer as an app.
//!
//! Invariant: what an app gets without saying anything is on: the sandbox, the log with its checksums
//! and syncs, parsing, redaction, stack traces. Never measures.

use std::path::Path;

use crate::Outcome;
use crate::daemon::Hostd;
use crate::rivals::remove;
use crate::run::{Contender, Run, finish};
use crate::stage::Stage;

pub(crate) fn all() -> Vec<Contender> {
    vec![
        Contender { name: "hostd", place: "hostd", measure: plain },
        Contender { name: "hostd, and a file sink", place: "hostd-sink", measure: sink },
    ]
}

fn plain(stage: &Stage, place: &str, lines: u64) -> Outcome<Run> {
    kept(stage, place, lines, "")
}

fn sink(stage: &Stage, place: &str, lines: u64) -> Outcome<Run> {
    kept(stage, place, lines, "[logs]\nsinks = [\"file:sink/app.log\"]\n")
}

fn kept(stage: &Stage, place: &str, lines: u64, logs: &str) -> Outcome<Run> {
    let hostd = Hostd::start(stage, place)?;
    let out = stage.folder(&format!("{place}/app/out"))?;
    let sink = stage.folder(&format!("{place}/app/sink"))?;
    let app = stage.folder(&format!("{place}/app"))?;
    let copied = std::fs::copy(stage.app.join("writer"), app.join("writer"));
    copied.map_err(|error| format!("copy the writer: {error}"))?;
    open_to_all(&out)?;
    let text = format!(
        "name = \"writes\"\nrun = \"./writer {lines} out/result\"\naccess.write = [\"out\"]\n{logs}"
    );
    hostd.deploy(&text, &app, 0)?;
    let log = match logs {
        "" => stage.folder(&format!("{place}/STATE/logs"))?,
        _ => sink,
    };
    let run = finish(&log, &out.join("result"), lines, loggers);
    hostd.remove("writes")?;
    drop(hostd);
    remove(stage, place);
    run
}

/// The processes that collect: there are no others of that name in a benchmark.
fn loggers() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        std::fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.starts_with(b"hostctl-logger\0"))
    })
    .collect()
}

/// The app runs as a user of its own.
fn open_to_all(folder: &Path) -> Outcome<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777))
        .map_err(|error| format!("open {}: {error}", folder.display()))
}
