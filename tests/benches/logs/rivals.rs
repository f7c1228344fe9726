//! Others that take a program's output: cat(1), s6-log and rsyslogd.
//!
//! Invariant: each is configured to keep every line in files of one folder and nothing more; ended,
//! nothing of it is left. Never measures.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Outcome;
use crate::daemon::{end, wait};
use crate::run::{Contender, Run, finish};
use crate::stage::{Stage, write};

/// The port of rsyslogd, in a network namespace of the benchmark's own.
const PORT: u16 = 5140;

pub(crate) fn all() -> Vec<Contender> {
    vec![
        Contender { name: "cat > file", place: "cat", measure: cat },
        Contender { name: "s6-log", place: "s6", measure: s6 },
        Contender { name: "rsyslogd, JSON", place: "rsyslog", measure: rsyslog },
    ]
}

fn cat(stage: &Stage, place: &str, lines: u64) -> Outcome<Run> {
    let kept = stage.folder(&format!("{place}/kept"))?;
    let file = std::fs::File::create(kept.join("file")).map_err(|error| error.to_string())?;
    let mut collector = Command::new("cat");
    collector.stdout(file);
    piped(stage, place, lines, collector, "coreutils")
}

fn s6(stage: &Stage, place: &str, lines: u64) -> Outcome<Run> {
    let kept = stage.folder(&format!("{place}/kept"))?;
    let mut collector = Command::new("s6-log");
    // Ten files of 16 MiB, each line behind a time.
    collector.args(["n10", "s16777215", "T"]).arg(kept).stdout(Stdio::null());
    piped(stage, place, lines, collector, "s6")
}

/// The writer's standard output is a pipe, the collector's standard input its other end.
fn piped(
    stage: &Stage,
    place: &str,
    lines: u64,
    mut collector: Command,
    package: &str,
) -> Outcome<Run> {
    let mut collector = collector
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("not installed (package {package}): {error}"))?;
    let input = collector.stdin.take().ok_or("no pipe")?;
    let result = result(stage, place);
    let mut writer = write_lines(stage, lines, &result, input.into())?;
    let run =
        finish(&stage.folder(&format!("{place}/kept"))?, &result, lines, || vec![collector.id()]);
    end(&mut writer, "KILL");
    end(&mut collector, "TERM");
    remove(stage, place);
    run
}

/// rsyslogd takes no pipe of a program's; a connection is what it takes fastest. With one worker, or
/// lines change their order.
fn rsyslog(stage: &Stage, place: &str, lines: u64) -> Outcome<Run> {
    let (folder, kept) = (stage.folder(place)?, stage.folder(&format!("{place}/kept"))?);
    let configuration = folder.join("rsyslog.conf");
    let text = format!(
        "module(load=\"imptcp\")\n\
         global(workDirectory=\"{folder}\")\n\
         main_queue(queue.workerThreads=\"1\")\n\
         template(name=\"record\" type=\"list\") {{\n\
         \x20 constant(value=\"{{\") property(name=\"timereported\" dateFormat=\"rfc3339\" format=\"jsonf\")\n\
         \x20 constant(value=\",\") property(name=\"syslogseverity-text\" format=\"jsonf\")\n\
         \x20 constant(value=\",\") property(name=\"rawmsg\" format=\"jsonf\") constant(value=\"}}\\n\") }}\n\
         input(type=\"imptcp\" address=\"127.0.0.1\" port=\"{PORT}\" ruleset=\"all\")\n\
         ruleset(name=\"all\") {{ action(type=\"omfile\" file=\"{kept}/file\" template=\"record\" \
         asyncWriting=\"off\" flushOnTXEnd=\"on\") }}\n",
        folder = folder.display(),
        kept = kept.display(),
    );
    write(&configuration, &text)?;
    let mut daemon = Command::new("rsyslogd")
        .args(["-n", "-f"])
        .arg(&configuration)
        .arg("-i")
        .arg(folder.join("pid"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("not installed (package rsyslog): {error}"))?;
    let mut connection = None;
    wait("rsyslogd listens", || {
        connection = TcpStream::connect(("127.0.0.1", PORT)).ok();
        connection.is_some()
    })?;
    let connection = connection.ok_or("no connection")?;
    let result = result(stage, place);
    let run = write_lines(stage, lines, &result, std::os::fd::OwnedFd::from(connection).into())
        .and_then(|mut writer| {
            let run = finish(&kept, &result, lines, || vec![daemon.id()]);
            end(&mut writer, "KILL");
            run
        });
    end(&mut daemon, "TERM");
    remove(stage, place);
    run
}

fn result(stage: &Stage, place: &str) -> PathBuf {
    stage.memory.join(format!("{place}.result"))
}

fn write_lines(stage: &Stage, lines: u64, result: &Path, output: Stdio) -> Outcome<Child> {
    Command::new(stage.app.join("writer"))
        .arg(lines.to_string())
        .arg(result)
        .stdin(Stdio::null())
        .stdout(output)
        .spawn()
        .map_err(|error| format!("start the writer: {error}"))
}

/// The files of one run are not to be in the way of the next.
pub(crate) fn remove(stage: &Stage, place: &str) {
    let _ = std::fs::remove_dir_all(stage.folder.join(place));
}
