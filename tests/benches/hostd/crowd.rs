//! 100 instances at once, until all run, beside a shell loop of bwrap.
//!
//! Invariant: both run the same program, which says itself that it runs; rounds take turns.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::daemon::{Hostd, end};
use crate::stage::Stage;
use crate::weigh::{family, used};
use crate::{CROWD, Outcome, median};

const ROUNDS: usize = 7;

/// What of /etc a system base shows, as in the benchmark of starts.
const SYSTEM_ETC: [&str; 7] = [
    "/etc/alternatives",
    "/etc/ssl/certs",
    "/etc/ld.so.cache",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/group",
    "/etc/hosts",
];

/// How long it took, and the processor time of everything that took part and is there at the end.
struct Run {
    wall: Duration,
    cpu: Duration,
}

/// Time both, and print the table.
pub(crate) fn measure(stage: &Stage) -> Outcome<()> {
    let hostd = Hostd::start(stage, "crowd")?;
    let (mut loops, mut kept) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let runs = (looped(stage), deployed(&hostd, stage)?);
        if round > 0 {
            loops.push(runs.0);
            kept.push(Ok(runs.1));
        }
    }
    println!("### {CROWD} instances at once, {ROUNDS} rounds taking turns\n");
    println!("| start | median ms | least | cpu ms |");
    println!("| --- | ---: | ---: | ---: |");
    print("a shell loop of bwrap", loops);
    print(&format!("a service with count = {CROWD}, deployed"), kept);
    println!();
    Ok(())
}

fn print(name: &str, runs: Vec<Outcome<Run>>) {
    let runs: Vec<Run> = match runs.into_iter().collect() {
        Ok(runs) => runs,
        Err(reason) => {
            println!("| {name}: {reason} | | | |");
            return;
        }
    };
    let of = |part: fn(&Run) -> Duration| -> Vec<f64> {
        runs.iter().map(|run| part(run).as_secs_f64() * 1e3).collect()
    };
    let mut wall = of(|run| run.wall);
    let (middle, cpu) = (median(&mut wall), median(&mut of(|run| run.cpu)));
    println!("| {name} | {middle:.0} | {:.0} | {cpu:.0} |", wall[0]);
}

/// Until every program has written its line.
fn looped(stage: &Stage) -> Outcome<Run> {
    let script = format!("for n in $(seq {CROWD}); do \"$@\" & done; wait");
    let words = bwrap(&stage.app);
    let begun = Instant::now();
    let mut child = Command::new("sh")
        .args(["-c", &script, "sh"])
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("start sh: {error}"))?;
    let mut lines = [0; CROWD];
    let read = child.stdout.take().map(|mut output| output.read_exact(&mut lines));
    let wall = begun.elapsed();
    let cpu = used(&family(child.id()).concat());
    // What it started dies with it.
    end(&mut child, "KILL");
    match read {
        Some(Ok(())) => Ok(Run { wall, cpu }),
        _ => Err("does not work here, or is not installed (package bubblewrap)".to_owned()),
    }
}

/// Until hostd has heard of every program that it is ready.
fn deployed(hostd: &Hostd, stage: &Stage) -> Outcome<Run> {
    let text =
        format!("name = \"crowd\"\nrun = \"./sleeper\"\nready = \"notify\"\ncount = {CROWD}\n");
    hostd.forget();
    let before = used(&[hostd.pid()]);
    let begun = Instant::now();
    hostd.deploy(&text, &stage.app, 0)?;
    let wall = hostd.wait_for("ready", CROWD)?.duration_since(begun);
    let cpu = used(&family(hostd.pid()).concat()).saturating_sub(before);
    hostd.remove("crowd")?;
    Ok(Run { wall, cpu })
}

/// bwrap with the namespaces and views of an app, and the sleeper in it.
fn bwrap(app: &Path) -> Vec<String> {
    let mut words = vec!["bwrap".to_owned()];
    let mut add = |more: &[&str]| words.extend(more.iter().map(|&word| word.to_owned()));
    add(&["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]);
    add(&["--unshare-cgroup", "--new-session", "--die-with-parent", "--clearenv"]);
    add(&["--cap-drop", "ALL", "--ro-bind", "/usr", "/usr"]);
    for link in ["bin", "sbin", "lib", "lib64"] {
        add(&["--symlink", &format!("usr/{link}"), &format!("/{link}")]);
    }
    for path in SYSTEM_ETC.iter().filter(|path| Path::new(path).exists()) {
        add(&["--ro-bind", path, path]);
    }
    add(&["--ro-bind", &app.to_string_lossy(), "/app", "--chdir", "/app"]);
    add(&["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]);
    add(&["--remount-ro", "/", "--", "/app/sleeper"]);
    words
}
