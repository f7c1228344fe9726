//! Promise: what asks hostctl to end reaches the program, what does not listen is ended after the
//! grace time, and nothing of a run outlives it.

use std::path::Path;

use crate::support::{EVERYONE, Running, Scene, eventually};

/// Says each signal it gets, and ends with 3 at one that asks for the end.
const LISTENER: &str = "
for signal in HUP USR1 USR2 QUIT; do trap \"echo got $signal\" $signal; done
trap 'echo got TERM; exit 3' TERM
trap 'echo got INT; exit 3' INT
echo ready
while :; do sleep 0.02; done
";

/// Ignores every request, as do the two it starts, one of them in a session of its own.
const DEAF: &str = "
trap '' INT TERM HUP
setsid sleep 300 &
sleep 300 &
echo ready
sleep 300
";

fn start(scene: &Scene, script: &str, grace: &str) -> Running {
    scene.shell_app(script, "");
    let mut running = scene.start(["run", "app.toml", "--grace", grace]);
    running.until_output("ready");
    running
}

/// Whether all of these are gone.
fn gone(pids: &[i32]) -> bool {
    pids.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists())
}

#[test]
fn a_request_to_end_reaches_the_program() {
    for who in EVERYONE {
        for signal in ["TERM", "INT"] {
            let scene = Scene::new(who);
            let running = start(&scene, LISTENER, "10m");
            running.signal(signal);
            let ran = running.wait().exited(3);
            assert_eq!(ran.out, format!("got {signal}\n"), "{who:?}");
            assert!(ran.err.contains(&format!("demo: SIG{signal} sent")), "{}", ran.err);
        }
    }
}

#[test]
fn the_manifest_says_what_asks_its_program_to_end() {
    let script = "
trap 'echo got USR1; exit 3' USR1
trap 'echo got INT; exit 4' INT
echo ready
while :; do sleep 0.02; done
";
    for who in EVERYONE {
        for (asked, sent, code) in [("TERM", "USR1", 3), ("INT", "INT", 4)] {
            let scene = Scene::new(who);
            scene.shell_app(script, "stop = { signal = \"SIGUSR1\" }\n");
            let mut running = scene.start(["run", "app.toml"]);
            running.until_output("ready");
            running.signal(asked);
            let ran = running.wait().exited(code);
            assert_eq!(ran.out, format!("got {sent}\n"), "{who:?}");
            assert!(ran.err.contains(&format!("demo: SIG{sent} sent")), "{}", ran.err);
        }
    }
}

#[test]
fn a_second_terminate_changes_nothing_where_the_first_was_told_as_interrupt() {
    let slow =
        "trap 'echo closing; sleep 0.5; exit 5' INT; echo ready; while :; do sleep 0.02; done";
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app(slow, "stop = { signal = \"INT\", grace = \"10m\" }\n");
        let mut running = scene.start(["run", "app.toml"]);
        running.until_output("ready");
        running.signal("TERM");
        running.until_output("closing");
        running.signal("TERM");
        running.wait().exited(5);
    }
}

#[test]
fn the_manifest_gives_the_grace_time_and_the_command_line_another() {
    for who in EVERYONE {
        for (grace, flags) in [("1s", &[][..]), ("10m", &["--grace", "1s"])] {
            let scene = Scene::new(who);
            scene.shell_app(DEAF, &format!("stop = \"{grace}\"\n"));
            let mut running = scene.start(["run", "app.toml"].iter().chain(flags));
            running.until_output("ready");
            running.signal("TERM");
            let ran = running.wait().exited(137);
            assert!(ran.err.contains("waiting up to 1 s"), "{}", ran.err);
        }
    }
}

#[test]
fn a_program_that_ends_by_the_request_ends_with_its_signal() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let running = start(&scene, "echo ready; exec sleep 300", "10m");
        running.signal("TERM");
        let ran = running.wait().exited(128 + 15);
        assert!(!ran.err.contains("ended by"), "nothing unusual happened: {}", ran.err);
    }
}

#[test]
fn other_signals_are_passed_on() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let mut running = start(&scene, LISTENER, "10m");
        for signal in ["HUP", "USR1", "USR2", "QUIT"] {
            running.signal(signal);
            running.until_output(&format!("got {signal}"));
        }
        running.signal("TERM");
        running.wait().exited(3);
    }
}

#[test]
fn what_ignores_the_request_is_ended_by_force_with_everything_it_started() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let running = start(&scene, DEAF, "1s");
        let mut pids = Vec::new();
        eventually("three sleep", || {
            pids = running.descendants();
            pids.len() == 5
        });
        running.signal("TERM");
        let ran = running.wait().exited(137);
        assert!(ran.err.contains("demo: ended by force"), "{}", ran.err);
        assert!(gone(&pids), "{who:?}: {pids:?}");
    }
}

#[test]
fn a_second_interrupt_ends_everything_at_once() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let mut running = start(&scene, DEAF, "10m");
        running.signal("INT");
        running.until_error("SIGINT sent");
        running.signal("INT");
        let ran = running.wait().exited(137);
        assert!(ran.err.contains("demo: ended by force"), "{}", ran.err);
    }
}

#[test]
fn a_second_terminate_changes_nothing() {
    let slow =
        "trap 'echo closing; sleep 0.5; exit 5' TERM; echo ready; while :; do sleep 0.02; done";
    for who in EVERYONE {
        let scene = Scene::new(who);
        let mut running = start(&scene, slow, "10m");
        running.signal("TERM");
        running.until_output("closing");
        running.signal("TERM");
        running.wait().exited(5);
    }
}

#[test]
fn what_the_program_leaves_behind_is_ended() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app("setsid sleep 300 & sleep 300 & exit 4", "");
        // Both hold the pipe behind standard output, which is read to its end here.
        scene.run(["run", "app.toml", "--grace", "10m"]).exited(4);
    }
}

#[test]
fn what_is_left_behind_and_ignores_the_request_is_ended_by_force() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app("trap '' TERM; setsid sleep 300 & exit 4", "");
        let ran = scene.run(["run", "app.toml", "--grace", "1s"]).exited(4);
        assert!(ran.err.contains("waiting for processes it left behind"), "{}", ran.err);
    }
}

#[test]
fn a_log_held_open_by_a_grandchild_does_not_hold_up_the_end() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app(
            "setsid sleep 300 & echo last; exit 4",
            "logs = { sinks = [\"file:app.log\"] }\n",
        );
        let ran = scene.run(["run", "app.toml"]).exited(4);
        assert_eq!(ran.out, "last\n");
    }
}

#[test]
fn nothing_outlives_hostctl_killed_by_force() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let running = start(&scene, DEAF, "10m");
        let pids = running.descendants();
        assert!(pids.len() >= 3, "{pids:?}");
        running.signal("KILL");
        running.wait().exited(137);
        eventually("every process is gone", || gone(&pids));
    }
}

#[test]
fn a_request_that_comes_with_the_start_reaches_the_program() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app(LISTENER, "");
        let mut running = scene.start(["run", "app.toml", "--grace", "10m"]);
        while running.descendants().is_empty() {
            std::thread::yield_now();
        }
        // hostctl hears of the start only after the program has been seen at work.
        running.signal("STOP");
        running.until_output("ready");
        running.signal("TERM");
        running.signal("CONT");
        let ran = running.wait().exited(3);
        assert_eq!(ran.out, "got TERM\n", "{who:?}");
    }
}
