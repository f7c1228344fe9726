//! What commands are and can do.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use agent::supervise::Wish;
use host_sys::Errno;
use host_sys::process::Exit;
use host_sys::signal::number;
use host_sys::terminal::Size;

use crate::Case;
use crate::desk::{Desk, Happening, attend};
use crate::scene::Scene;

pub const CASES: &[Case] = &[
    ("commands_are_the_apps_and_end_as_they_do", commands_are_the_apps_and_end_as_they_do),
    ("a_command_that_can_not_start_says_why", a_command_that_can_not_start_says_why),
    ("a_terminal_is_the_sandboxs_own", a_terminal_is_the_sandboxs_own),
    ("as_many_as_may_run_at_once_and_no_more", as_many_as_may_run_at_once_and_no_more),
    ("words_up_to_the_limit_arrive", words_up_to_the_limit_arrive),
    ("what_a_command_leaves_behind_ends_with_the_program", what_a_command_leaves_behind),
    ("commands_that_run_end_with_the_program", commands_that_run_end_with_the_program),
    ("limits_of_the_app_are_told_in_words", limits_of_the_app_are_told_in_words),
    ("no_descriptor_left_is_no_end_of_the_app", no_descriptor_left_is_no_end_of_the_app),
];

const PROGRAM: &str = "run = \"sleep 600\"";

/// Start the program, these commands with it, and stop it when all are done.
pub fn execute(scene: &Scene, lines: &str, commands: &[(u32, &[&str], &str)]) -> Desk {
    let plan = scene.plan(lines);
    let mut script = |desk: &mut Desk, happening| match happening {
        Happening::Started => {
            for (id, words, input) in commands {
                desk.execute(*id, words, input);
            }
        }
        Happening::Answered(_) | Happening::Silent if desk.is_done() => desk.stop(),
        _ => {}
    };
    let (desk, finished) = attend(scene, &plan, &mut script);
    let outcome = finished.unwrap().outcome;
    assert_eq!(outcome.exit, Exit::Signal(number::TERM, false), "{:?}", desk.news);
    assert!(outcome.stopped && !outcome.killed);
    desk
}

fn commands_are_the_apps_and_end_as_they_do() {
    let scene = Scene::new();
    let (uid, gid) = scene.plan(PROGRAM).identity.ids();
    let session = "cut -d ' ' -f 1,4,5,6,7,8 /proc/self/stat; echo $PPID";
    let desk = execute(
        &scene,
        PROGRAM,
        &[
            (1, &["sh", "-c", "id -u; id -g; pwd; echo $APP"], ""),
            (2, &["cat", "/proc/self/status"], ""),
            (3, &["sh", "-c", "exit 7"], ""),
            (4, &["sh", "-c", "kill -KILL $$"], ""),
            (5, &["cat"], "to be read\n"),
            (6, &["sh", "-c", session], ""),
            (7, &["sh", "-c", "cat /proc/self/limits"], ""),
            (8, &["cat", "/proc/2/limits"], ""),
            (9, &["grep", "Sig[BI]", "/proc/self/status"], ""),
            (10, &["grep", "Sig[BI]", "/proc/2/status"], ""),
        ],
    );
    let said = desk.said(1);
    let expected = format!("{uid}\n{gid}\n{}\n", scene.app().display());
    assert!(said.starts_with(&expected), "{said}");
    let status = desk.said(2);
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000"] {
        assert!(status.contains(line), "{status}");
    }
    let ends = [(3, Exit::Code(7)), (4, Exit::Signal(number::KILL, false)), (5, Exit::Code(0))];
    for (id, exit) in ends {
        assert_eq!(desk.answers[&id], Ok(exit));
    }
    assert_eq!(desk.said(5), "to be read\n");
    // cut is a child of the shell, which leads its group and session, without a terminal; the
    // shell's parent is process 1.
    let said = desk.said(6);
    let numbers: Vec<i32> = said.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let [_, shell, group, session, terminal, foreground, parent] = numbers[..] else {
        panic!("{said}")
    };
    assert_eq!([group, session, terminal, foreground, parent], [shell, shell, 0, -1, 1], "{said}");
    assert!(desk.said(7).contains("Max core file size        0"));
    assert_eq!(desk.said(7), desk.said(8));
    assert!(desk.said(9).contains("SigBlk:\t0000000000000000\n"));
    assert_eq!(desk.said(9), desk.said(10));
}

fn a_command_that_can_not_start_says_why() {
    let scene = Scene::new();
    fs::write(scene.app().join("plain"), "#!/bin/sh\n").unwrap();
    let desk = execute(
        &scene,
        PROGRAM,
        &[
            (1, &["no-such-program"], ""),
            (2, &["/no/such/program"], ""),
            (3, &["./plain"], ""),
            (4, &["sh", "a\0b"], ""),
            (5, &["true"], ""),
        ],
    );
    let cases = [
        (1, Errno::ENOENT, "no program no-such-program along PATH="),
        (2, Errno::ENOENT, "/no/such/program does not exist inside the sandbox"),
        (3, Errno::EACCES, "chmod +x"),
        (4, Errno::EINVAL, "NUL"),
    ];
    for (id, errno, part) in cases {
        let failure = desk.failure(id);
        assert!(failure.errno == Some(errno) && failure.detail.contains(part), "{failure:?}");
    }
    assert_eq!(desk.answers[&5], Ok(Exit::Code(0)));
}

fn a_terminal_is_the_sandboxs_own() {
    let scene = Scene::new();
    let plan = scene.plan(PROGRAM);
    let asks = "tty; stty size; read word; echo got $word; exit 3";
    let mut typed = false;
    let mut script = |desk: &mut Desk, happening| match happening {
        Happening::Started => {
            desk.execute_in_terminal(1, &["sh", "-c", asks], Size::new(33, 101));
            desk.execute_in_terminal(2, &["cat"], Size::new(24, 80));
        }
        Happening::Terminal if desk.terminals.contains_key(&2) => desk.type_into(2, "here\n"),
        // Shown by the terminal, then by cat: it runs.
        Happening::Said(_)
            if !typed && desk.said(1).contains("33 101") && desk.said(2) == "here\r\nhere\r\n" =>
        {
            typed = true;
            desk.type_into(1, "word\n");
            desk.type_into(2, "\u{3}");
        }
        Happening::Answered(_) | Happening::Silent if desk.is_done() => desk.stop(),
        _ => {}
    };
    let (desk, finished) = attend(&scene, &plan, &mut script);
    finished.unwrap();
    let said = desk.said(1);
    assert!(said.starts_with("/dev/pts/") && said.contains("got word\r\n"), "{said}");
    assert_eq!(desk.answers[&1], Ok(Exit::Code(3)));
    // The interrupt key reaches who is in the foreground of the terminal: it is theirs.
    assert_eq!(desk.answers[&2], Ok(Exit::Signal(number::INT, false)));
}

/// How many descriptors the sandbox's process 1 has.
fn held_by_process_1() -> usize {
    let own = std::process::id();
    let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap();
    let child = children.split_whitespace().next().unwrap();
    fs::read_dir(format!("/proc/{child}/fd")).map_or(0, Iterator::count)
}

fn as_many_as_may_run_at_once_and_no_more() {
    const MOST: u32 = 64;
    let scene = Scene::new();
    let plan = scene.plan(PROGRAM);
    let (mut before, mut after) = (0, 0);
    let mut script = |desk: &mut Desk, happening| match happening {
        Happening::Started => {
            before = held_by_process_1();
            for id in 0..=MOST {
                desk.execute(id, &["sleep", "600"], "");
            }
        }
        Happening::Answered(id) if id == MOST => {
            for id in 0..MOST {
                desk.signal(id, number::TERM);
            }
        }
        Happening::Answered(_) | Happening::Silent if desk.is_done() => {
            if desk.answers.contains_key(&1000) {
                after = held_by_process_1();
                desk.stop();
            } else {
                desk.execute(1000, &["true"], "");
            }
        }
        _ => {}
    };
    let (desk, finished) = attend(&scene, &plan, &mut script);
    finished.unwrap();
    assert!(desk.failure(MOST).detail.contains("64 commands run inside already"));
    for id in 0..MOST {
        assert_eq!(desk.answers[&id], Ok(Exit::Signal(number::TERM, false)));
    }
    assert_eq!(desk.answers[&1000], Ok(Exit::Code(0)));
    assert_eq!(before, after, "process 1 keeps descriptors");
}

fn words_up_to_the_limit_arrive() {
    let scene = Scene::new();
    let long = "x".repeat(100_000);
    let longer = "x".repeat(200_000);
    let many: Vec<&str> =
        ["sh", "-c", "echo $#", "sh"].into_iter().chain(std::iter::repeat_n("ä", 10_000)).collect();
    let desk = execute(
        &scene,
        PROGRAM,
        &[
            (1, &["sh", "-c", "echo ${#1}", "sh", &long], ""),
            (2, &["echo", &longer], ""),
            (3, &many, ""),
        ],
    );
    assert_eq!(desk.said(1), "100000\n");
    assert!(desk.failure(2).detail.contains("128 KiB"), "{:?}", desk.failure(2));
    assert_eq!(desk.said(3), "10000\n");
}

/// Whether a process with this word among its arguments runs on this host.
fn runs(word: &str) -> bool {
    let named = |entry: &PathBuf| {
        let line = fs::read(entry.join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes())
    };
    fs::read_dir("/proc").unwrap().any(|entry| named(&entry.unwrap().path()))
}

fn what_a_command_leaves_behind() {
    let scene = Scene::with_grace(Duration::from_millis(300));
    let plan = scene.plan(PROGRAM);
    let mark = format!("600.{}", std::process::id());
    let leave =
        format!("trap '' TERM; setsid sleep {mark} & setsid setsid -f sleep {mark}; echo left");
    let mut ran = false;
    let mut script = |desk: &mut Desk, happening| match happening {
        Happening::Started => desk.execute(1, &["sh", "-c", &leave], ""),
        Happening::Answered(_) | Happening::Said(_)
            if desk.answers.contains_key(&1) && desk.said(1) == "left\n" =>
        {
            ran = runs(&mark);
            desk.stop();
        }
        _ => {}
    };
    let (_, finished) = attend(&scene, &plan, &mut script);
    assert!(ran, "it was never there");
    // What ignores the signal is ended by force.
    assert!(finished.unwrap().outcome.killed);
    assert!(!runs(&mark));
}

fn commands_that_run_end_with_the_program() {
    let scene = Scene::with_grace(Duration::from_millis(300));
    let plan =
        scene.plan("run = [\"sh\", \"-c\", \"trap 'exit 9' USR1; while :; do sleep 0.05; done\"]");
    let stubborn = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    let mut script = |desk: &mut Desk, happening| match happening {
        Happening::Started => {
            desk.execute(1, &["sh", "-c", "echo ready; exec sleep 600"], "");
            desk.execute(2, &["sh", "-c", stubborn], "");
        }
        Happening::Said(_) if desk.said(1) == "ready\n" && desk.said(2) == "ready\n" => {
            desk.want(Wish::Signal(number::USR1));
        }
        Happening::ProgramEnded => desk.execute(3, &["true"], ""),
        _ => {}
    };
    let (desk, finished) = attend(&scene, &plan, &mut script);
    let outcome = finished.unwrap().outcome;
    assert_eq!((outcome.exit, outcome.stopped), (Exit::Code(9), false));
    assert_eq!(desk.answers[&1], Ok(Exit::Signal(number::TERM, false)));
    assert_eq!(desk.answers[&2], Ok(Exit::Signal(number::KILL, false)));
    assert_eq!(desk.failure(3).detail, "the program has ended");
}

fn limits_of_the_app_are_told_in_words() {
    let scene = Scene::new();
    let plan = scene.plan(&format!("{PROGRAM}\n[limits]\nprocesses = 3"));
    let mut script = |desk: &mut Desk, happening| match happening {
        Happening::Started => (0..6).for_each(|id| desk.execute(id, &["sleep", "600"], "")),
        Happening::Answered(_) if desk.answers.len() == 4 => desk.stop(),
        _ => {}
    };
    let (desk, finished) = attend(&scene, &plan, &mut script);
    assert_eq!(finished.unwrap().outcome.exit, Exit::Signal(number::TERM, false));
    let refused: Vec<_> =
        desk.answers.values().filter_map(|answer| answer.as_ref().err()).collect();
    assert_eq!(refused.len(), 4, "{:?}", desk.news);
    for failure in refused {
        let words = "the app has as many processes as it may have";
        assert_eq!((failure.errno, failure.detail.as_str()), (Some(Errno::EAGAIN), words));
    }

    let scene = Scene::new();
    let plan = scene.plan(&format!("{PROGRAM}\n[limits]\nfiles = 24"));
    let mut script = |desk: &mut Desk, happening| match happening {
        Happening::Started => (0..40).for_each(|id| desk.execute(id, &["sleep", "600"], "")),
        Happening::Answered(39) => (0..39).for_each(|id| desk.signal(id, number::TERM)),
        Happening::Answered(_) | Happening::Silent if desk.is_done() => desk.stop(),
        _ => {}
    };
    let (desk, finished) = attend(&scene, &plan, &mut script);
    assert_eq!(finished.unwrap().outcome.exit, Exit::Signal(number::TERM, false));
    let failure = desk.failure(39);
    assert!(failure.detail.contains("open files"), "{failure:?}");
    assert_eq!(desk.answers[&0], Ok(Exit::Signal(number::TERM, false)));
}

/// The limit is process 1's, too: at some of these it can't even receive a command's streams.
fn no_descriptor_left_is_no_end_of_the_app() {
    let mut refused = 0;
    for files in 4..24 {
        let scene = Scene::new();
        let plan = scene.plan(&format!("{PROGRAM}\n[limits]\nfiles = {files}"));
        let mut script = |desk: &mut Desk, happening| match happening {
            Happening::Started => desk.execute(0, &["true"], ""),
            Happening::Answered(_) | Happening::Silent if desk.is_done() => desk.stop(),
            _ => {}
        };
        let (desk, finished) = attend(&scene, &plan, &mut script);
        match finished {
            // With fewer, nothing starts at all.
            Err(error) => assert!(desk.news.is_empty(), "{files}: {error:?}"),
            Ok(finished) => {
                let exit = finished.outcome.exit;
                assert_eq!(exit, Exit::Signal(number::TERM, false), "{files}: {:?}", desk.news);
                refused += usize::from(desk.answers[&0].is_err());
            }
        }
    }
    assert!(refused > 1, "it was always enough");
}
