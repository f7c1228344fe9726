//! 100 apps that do nothing: what keeps them, by memory and processor time.
//!
//! Owns the table. Invariant: everyone keeps the same 100 programs, which are not counted. One row a
//! kind of process, or why there is none.

use std::time::Duration;

use crate::daemon::Hostd;
use crate::stage::Stage;
use crate::weigh::{Weight, family, used, weigh};
use crate::{CROWD, Outcome, rivals};

/// Processes of one kind.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) pids: Vec<u32>,
}

/// What one keeper of apps weighs.
struct Row {
    name: &'static str,
    weight: Weight,
    /// In the time that was looked on.
    used: Duration,
}

/// Measure all, one after another, and print the table.
pub(crate) fn measure(stage: &Stage, span: Duration) -> Outcome<()> {
    println!("### {CROWD} idle apps, processor time over {} s\n", span.as_secs());
    println!("| kept by | processes | resident KiB | proportional | private | cpu ms | % |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    let rows = hostd(stage, span)?;
    print(&rows, span);
    let others = [
        ("supervisord", rivals::supervisord(stage, |kinds| look(kinds, span))),
        ("podman", rivals::podman(stage, |kinds| look(kinds, span))),
    ];
    for (name, rows) in others {
        match rows {
            Ok(rows) => print(&rows, span),
            Err(reason) => {
                let reason = reason.lines().next().unwrap_or_default().to_owned();
                println!("| {name}: {reason} | | | | | | |");
            }
        }
    }
    println!();
    Ok(())
}

fn hostd(stage: &Stage, span: Duration) -> Outcome<Vec<Row>> {
    let hostd = Hostd::start(stage, "idle")?;
    for index in 0..CROWD {
        let text = format!("name = \"idle-{index}\"\nrun = \"./sleeper\"\nready = \"notify\"\n");
        hostd.deploy(&text, &stage.app, 0)?;
    }
    hostd.wait_for("ready", CROWD)?;
    // An instance that was up for a while is said to be running; then all is quiet.
    std::thread::sleep(Duration::from_secs(15));
    let mut kinds = Vec::new();
    for (name, pids) in ["hostd", "its keepers", "its process 1s"].iter().zip(family(hostd.pid())) {
        kinds.push(Kind { name, pids });
    }
    Ok(look(&kinds, span))
}

/// Weigh, wait, and see what was used meanwhile.
fn look(kinds: &[Kind], span: Duration) -> Vec<Row> {
    let before: Vec<_> = kinds.iter().map(|kind| used(&kind.pids)).collect();
    std::thread::sleep(span);
    let row = |(kind, before): (&Kind, Duration)| Row {
        name: kind.name,
        weight: weigh(&kind.pids),
        used: used(&kind.pids).saturating_sub(before),
    };
    kinds.iter().zip(before).map(row).collect()
}

fn print(rows: &[Row], span: Duration) {
    for Row { name, weight, used } in rows {
        let Weight { processes, resident, proportional, private } = weight;
        let milliseconds = used.as_secs_f64() * 1e3;
        let percent = 100.0 * used.as_secs_f64() / span.as_secs_f64();
        println!(
            "| {name} | {processes} | {resident} | {proportional} | {private} | \
             {milliseconds:.2} | {percent:.3} |"
        );
    }
}
