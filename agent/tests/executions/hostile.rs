//! Attackers: as commands, and as the program beside which commands are started.

use host_sys::process::Exit;
use host_sys::signal::number;

use crate::Case;
use crate::commands::execute;
use crate::desk::{Desk, Happening, attend};
use crate::scene::Scene;

pub const CASES: &[Case] = &[
    ("a_command_has_its_streams_and_nothing_else", a_command_has_its_streams),
    ("a_command_does_not_reach_process_1", a_command_does_not_reach_process_1),
    ("who_kills_every_command_harms_only_them", who_kills_every_command),
    ("who_stops_every_command_holds_up_nobody", who_stops_every_command),
];

const PROGRAM: &str = "run = \"sleep 600\"";

const NOTHING_INHERITED: &str = "\
open: 0
open: 1
open: 2
the working directory is in view: holds
/etc/shadow above it: ENOENT
/etc/shadow by descriptor 5: EBADF
/etc/shadow by pid 1's descriptor 5: EACCES
";

fn a_command_has_its_streams() {
    let scene = Scene::new();
    scene.attacker("descriptors");
    // Others that run at the same time have theirs.
    let bystander: &[&str] = &["sleep", "1"];
    let attacker: &[&str] = &["./descriptors"];
    let mut commands: Vec<(u32, &[&str], &str)> = vec![(0, bystander, ""), (1, bystander, "")];
    commands.extend((2..8).map(|id| (id, attacker, "")));
    let desk = execute(&scene, PROGRAM, &commands);
    for id in 2..8 {
        assert_eq!(desk.said(id), NOTHING_INHERITED);
        assert_eq!(desk.answers[&id], Ok(Exit::Code(0)));
    }
}

fn a_command_does_not_reach_process_1() {
    let scene = Scene::new();
    scene.attacker("process_one");
    let desk = execute(&scene, PROGRAM, &[(1, &["./process_one"], "")]);
    let said = desk.said(1);
    assert_eq!(desk.answers[&1], Ok(Exit::Code(0)), "{said}");
    for line in ["trace: EPERM", "take a descriptor: EPERM", "it survives SIGSTOP: holds"] {
        assert!(said.contains(line), "{said}");
    }
    assert_eq!(said.lines().count(), 23, "{said}");
}

/// Commands beside a program that sends everything a signal; what it says of the end.
fn beside_one_that_sends(signal: i32, mut script: impl FnMut(&mut Desk, Happening)) -> Desk {
    let scene = Scene::new();
    scene.attacker("interfere");
    let plan = scene.plan(&format!("run = \"./interfere {signal}\""));
    let (desk, finished) = attend(&scene, &plan, &mut script);
    let outcome = finished.unwrap().outcome;
    assert_eq!(outcome.exit, Exit::Signal(number::TERM, false), "process 1 does not hear");
    desk
}

fn who_kills_every_command() {
    const COMMANDS: u32 = 300;
    let script = |desk: &mut Desk, happening| match happening {
        Happening::Started => desk.execute(0, &["sleep", "600"], ""),
        Happening::Answered(_) | Happening::Silent if desk.is_done() => {
            let next = desk.answers.len() as u32;
            if next == COMMANDS {
                desk.stop();
            } else {
                desk.execute(next, &["sleep", "600"], "");
            }
        }
        _ => {}
    };
    let desk = beside_one_that_sends(number::KILL, script);
    let killed = Ok(Exit::Signal(number::KILL, false));
    assert!(desk.answers.values().all(|answer| *answer == killed), "{:?}", desk.news);
    assert_eq!(desk.answers.len() as u32, COMMANDS);
}

fn who_stops_every_command() {
    const STOP: i32 = 19;
    // A stopped one is killed all the same, if only process 1 goes on to hear of it.
    let script = |desk: &mut Desk, happening| {
        if happening == Happening::Started {
            for id in 0..32 {
                desk.execute(id, &["sleep", "600"], "");
                desk.signal(id, number::KILL);
            }
        }
        if matches!(happening, Happening::Answered(_) | Happening::Silent) && desk.is_done() {
            desk.stop();
        }
    };
    let desk = beside_one_that_sends(STOP, script);
    assert_eq!(desk.answers.len(), 32, "{:?}", desk.news);
}
