//! Policy plugins that are slow, silent, wrong, noisy or dead: there is always an answer that stands,
//! and nothing is left of them.
//!
//! Starts sandboxes: as root with a user of the app's own, else in a user namespace.

#![allow(clippy::unwrap_used)]

mod scene;

use std::time::Duration;

use agent::plugin::Standing;
use scene::{Host, Scene, gives};

/// How a shell reads a question, and answers that `a` gets everything.
const ANSWER: &str = r#"
question() { read -r line || exit 0; id=${line#*\"id\":}; id=${id%%,*}; }
answer() { echo "{\"id\":$id,\"weights\":{\"a\":${1:-1}}}"; }
"#;

fn scene(script: &str) -> Scene {
    Scene::new(&format!("#!/bin/sh\n{ANSWER}{script}\n"))
}

/// Long enough for any answer.
const LONG: Duration = Duration::from_secs(60);
/// So short that one who sleeps is late soon.
const SHORT: Duration = Duration::from_secs(1);

#[test]
fn a_good_one_is_started_once_and_asked_again_and_again() {
    let script = "count=0\nwhile question; do count=$((count + 1)); answer $count; done";
    scene(script).run(LONG, async |host: &mut Host| {
        // A question that nobody waited for may have been asked and answered in between.
        host.until("answers", |standing, _| (20..40).any(|count| *standing == gives(count))).await;
        assert_eq!(host.faults(), Vec::<String>::new());
    });
}

#[test]
fn one_that_is_too_slow_keeps_its_word_and_is_replaced() {
    let script = "while question; do while [ -e slow ]; do sleep 1; done; answer; done";
    let scene = scene(script);
    let slow = scene.file("app/slow");
    scene.run(SHORT, async |host: &mut Host| {
        host.until("an answer", |standing, _| *standing == gives(1)).await;
        std::fs::write(&slow, "").unwrap();
        let kept = |standing: &Standing| matches!(standing, Standing::Kept(_));
        host.until("its last answer", |standing, _| kept(standing)).await;
        host.until("no answer any more", |standing, _| *standing == Standing::Fallback).await;
        assert!(host.failed_by("no answer within 1s"), "{:?}", host.faults());
        std::fs::remove_file(&slow).unwrap();
        host.until("an answer again", |standing, _| *standing == gives(1)).await;
    });
}

#[test]
fn one_that_is_silent_is_replaced_by_the_fallback() {
    scene("while question; do :; done").run(SHORT, async |host: &mut Host| {
        host.until("the fallback", |standing, _| *standing == Standing::Fallback).await;
        assert!(host.failed_by("no answer within 1s"), "{:?}", host.faults());
    });
    // Not even its questions are read.
    scene("sleep 1000").run(SHORT, async |host: &mut Host| {
        host.until("the fallback", |standing, _| *standing == Standing::Fallback).await;
    });
}

#[test]
fn one_that_is_wrong_is_told_so() {
    let script = r#"while question; do echo "{\"id\":$id,\"weights\":{\"z\":1}}"; done"#;
    scene(script).run(LONG, async |host: &mut Host| {
        host.until("the fallback", |standing, _| *standing == Standing::Fallback).await;
        let reason = "a wrong answer: the question has no backend \"z\"";
        assert!(host.failed_by(reason), "{:?}", host.faults());
    });
}

#[test]
fn one_that_is_noisy_costs_nothing() {
    for (script, reason) in [
        ("yes", "it writes lines that answer nothing"),
        ("cat /dev/zero", "it writes more than a line may have"),
        // Answers to questions that nobody asked any more.
        ("while question; do while answer; do :; done; done", "lines that answer nothing"),
    ] {
        let scene = scene(script);
        scene.run(LONG, async |host: &mut Host| {
            host.until(reason, |_, fault| fault.is_some_and(|fault| fault.contains(reason))).await;
        });
    }
}

#[test]
fn what_it_says_beside_its_answers_is_in_the_apps_log() {
    let script = "seq 20000 >&2; id -u >&2\nwhile question; do echo asked >&2; answer; done";
    let scene = scene(script);
    scene.run(LONG, async |host: &mut Host| {
        host.until("an answer", |standing, _| *standing == gives(1)).await;
        host.later("its words", |scene| {
            let log = scene.log();
            log.contains("\"body\":\"20000\"") && log.contains("\"body\":\"asked\"")
        })
        .await;
    });
}

#[test]
fn one_that_dies_is_started_again() {
    let script = "[ -e well ] || exit 3\nwhile question; do answer; done";
    let scene = scene(script);
    let well = scene.file("app/well");
    scene.run(LONG, async |host: &mut Host| {
        host.until("the fallback", |standing, _| *standing == Standing::Fallback).await;
        assert!(host.failed_by("it exited with 3"), "{:?}", host.faults());
        std::fs::write(&well, "").unwrap();
        host.until("an answer", |standing, _| *standing == gives(1)).await;
    });
}

#[test]
fn one_that_is_missing_is_named() {
    let scene = scene("");
    std::fs::remove_file(scene.file("app/plug")).unwrap();
    scene.run(LONG, async |host: &mut Host| {
        host.until("the fallback", |standing, _| *standing == Standing::Fallback).await;
        assert!(host.failed_by("it can't be started: "), "{:?}", host.faults());
    });
}

#[test]
fn it_is_granted_nothing() {
    // What it can do is what it answers: a digit for each.
    let script = r#"
        can() { "$@" > /dev/null 2>&1 && echo 2 || echo 1; }
        sum=$(can touch /tmp/../plug.new)$(can touch made)$(can cat /etc/shadow)
        sum=1$sum$(can ls secret)$(can test -e /sys/class/net/eth0)$(can ls /root)
        while question; do answer $((sum % 1000)); echo "can $sum" >&2; done"#;
    let scene = scene(script);
    std::fs::write(scene.folder.join("secret"), "").unwrap();
    scene.run(LONG, async |host: &mut Host| {
        host.later("its words", |scene| scene.log().contains("can 1111111")).await;
    });
}

#[test]
fn nothing_is_left_of_one_that_is_retired() {
    let scene = scene("sleep 1000 & while question; do answer; done");
    scene.run(LONG, async |host: &mut Host| {
        host.until("an answer", |standing, _| *standing == gives(1)).await;
        assert!(host.processes() > 0);
        host.plugins.keep(|service| service != "demo.web");
        assert_eq!(host.plugins.standing("demo.web"), Standing::Nothing);
        host.gone().await;
    });
}

#[test]
fn services_do_not_wait_for_one_another() {
    let script = r#"while question; do case $line in *demo.slow*) sleep 1000;; esac; answer; done"#;
    scene(script).run(LONG, async |host: &mut Host| {
        host.ask("demo.slow");
        host.until("an answer", |standing, _| *standing == gives(1)).await;
        assert_eq!(host.plugins.standing("demo.slow"), Standing::Nothing);
    });
}
