//! Rolling updates of a service whose socket is handed over, under load.
//!
//! Owns wrk's command line and reads its result. Invariant: every request is a connection of its
//! own, so each could meet a server that has just been replaced.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::daemon::{Hostd, end};
use crate::stage::Stage;
use crate::{Outcome, median};

const UPDATES: usize = 20;
const PORT: u16 = 8280;
/// Time without updates that is compared with.
const CALM: Duration = Duration::from_secs(5);

/// Load it without and with updates, and print the table.
pub(crate) fn measure(stage: &Stage) -> Outcome<()> {
    let hostd = Hostd::start(stage, "rollouts")?;
    let deploy = |tag: usize| {
        let text = format!(
            "name = \"rolling\"\nrun = \"./server\"\nready = \"50ms\"\n\
             port = {{ port = {PORT}, activate = true }}\nenv = {{ TAG = \"{tag}\" }}\n"
        );
        hostd.forget();
        let begun = Instant::now();
        hostd.deploy(&text, &stage.app, 0)?;
        let promoted = hostd.wait_for("promoted", 1)?;
        Ok::<f64, String>(promoted.duration_since(begun).as_secs_f64() * 1e3)
    };
    deploy(0)?;
    let load = load()?;
    std::thread::sleep(CALM);
    let calm = result(load)?;
    let busy = self::load()?;
    let mut times = (1..=UPDATES).map(deploy).collect::<Outcome<Vec<f64>>>()?;
    let busy = result(busy)?;
    println!("### {UPDATES} rolling updates under load, 16 connections, one request each\n");
    println!("| time | requests/s | requests | failed | an update, median ms |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    let update = format!("{:.0}", median(&mut times));
    for (name, found, update) in [("without", calm, "–"), ("with updates", busy, &*update)] {
        let Load { rate, requests, failed } = found;
        println!("| {name} | {rate:.0} | {requests} | {failed} | {update} |");
    }
    println!();
    Ok(())
}

/// What wrk counted.
struct Load {
    rate: f64,
    requests: u64,
    failed: u64,
}

/// wrk, which ends when it is told to, at the latest when this is dropped.
struct Wrk(Child);

impl Drop for Wrk {
    fn drop(&mut self) {
        end(&mut self.0, "INT");
    }
}

fn load() -> Outcome<Wrk> {
    Command::new("wrk")
        .args(["--threads", "1", "--connections", "16", "--duration", "600s"])
        .args(["--header", "Connection: close"])
        .arg(format!("http://127.0.0.1:{PORT}/"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map(Wrk)
        .map_err(|error| format!("start wrk (package wrk): {error}"))
}

fn result(mut wrk: Wrk) -> Outcome<Load> {
    let output = wrk.0.stdout.take();
    drop(wrk);
    let said = output.and_then(|output| std::io::read_to_string(output).ok()).unwrap_or_default();
    let strange = || format!("read what wrk said: {said}");
    let after = |key: &str| said.lines().find_map(|line| line.trim().strip_prefix(key));
    let rate = after("Requests/sec:").and_then(|rate| rate.trim().parse().ok());
    let requests = said.lines().find(|line| line.contains(" requests in "));
    let requests = requests.and_then(|line| line.split_whitespace().next()?.parse().ok());
    // "connect 0, read 0, write 0, timeout 0"; the line is there only if one of them happened.
    let numbers = |text: &str| -> u64 {
        text.split([' ', ',']).filter_map(|word| word.parse::<u64>().ok()).sum()
    };
    let failed = ["Socket errors:", "Non-2xx or 3xx responses:"].map(after);
    let failed = failed.into_iter().flatten().map(numbers).sum();
    Ok(Load { rate: rate.ok_or_else(strange)?, requests: requests.ok_or_else(strange)?, failed })
}
