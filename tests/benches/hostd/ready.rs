//! From the request to `ready` of examples/hello, beside the same program started by hand.
//!
//! Invariant: rounds take turns, so both had the same neighbours.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::daemon::{Hostd, end};
use crate::stage::Stage;
use crate::{Outcome, median};

const ROUNDS: usize = 25;
const BY_HAND: u16 = 8180;
/// As an app has it: the same words may mean another program to whoever started the benchmark.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Time both, and print the table.
pub(crate) fn measure(stage: &Stage) -> Outcome<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/hello");
    let folder: PathBuf =
        folder.canonicalize().map_err(|error| format!("find {}: {error}", folder.display()))?;
    let manifest = folder.join("app.toml");
    let text = std::fs::read_to_string(&manifest)
        .map_err(|error| format!("read {}: {error}", manifest.display()))?;
    let hostd = Hostd::start(stage, "ready")?;
    let (mut own, mut kept) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let times = [by_hand(&folder)?, deployed(&hostd, &text, &folder)?];
        if round > 0 {
            own.push(times[0]);
            kept.push(times[1]);
        }
    }
    let mut beyond: Vec<_> = kept.iter().zip(&own).map(|(kept, own)| kept - own).collect();
    println!("### From the request to ready, examples/hello, {ROUNDS} rounds taking turns\n");
    println!("| start | median ms | least | beyond, median by round | least |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    for (name, times) in [("by hand, until its port accepts", &mut own), ("deployed", &mut kept)] {
        let middle = median(times);
        let beyond = match name {
            "deployed" => format!("{:.1} | {:.1}", median(&mut beyond), beyond[0]),
            _ => "– | –".to_owned(),
        };
        println!("| {name} | {middle:.1} | {:.1} | {beyond} |", times[0]);
    }
    println!();
    Ok(())
}

/// Milliseconds until the program accepts a connection.
fn by_hand(folder: &Path) -> Outcome<f64> {
    let port = BY_HAND.to_string();
    let begun = Instant::now();
    let mut child = Command::new("python3")
        .args(["-m", "http.server", &port, "--bind", "127.0.0.1", "--directory", "public"])
        .current_dir(folder)
        .env_clear()
        .env("PATH", PATH)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("start python3: {error}"))?;
    while TcpStream::connect(("127.0.0.1", BY_HAND)).is_err() {
        std::thread::sleep(Duration::from_micros(500));
    }
    let took = begun.elapsed();
    end(&mut child, "KILL");
    Ok(took.as_secs_f64() * 1e3)
}

/// Milliseconds from before the request until hostd says that it is ready.
fn deployed(hostd: &Hostd, text: &str, folder: &Path) -> Outcome<f64> {
    hostd.forget();
    let begun = Instant::now();
    hostd.deploy(text, folder, 0)?;
    let took = hostd.wait_for("ready", 1)?.duration_since(begun);
    hostd.remove("hello")?;
    Ok(took.as_secs_f64() * 1e3)
}
