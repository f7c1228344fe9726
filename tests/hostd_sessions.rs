//! Promise: a command inside an instance has the app's rights and the caller's streams: byte by
//! byte, apart, with its exit code; with a terminal if there is one.

use std::io::Write;
use std::process::Stdio;

use serde_json::json;

use crate::support::hostd::Hostd;
use crate::support::{As, EVERYONE, Ran, Scene};
use crate::terminal::{ALL, play};

/// An app that waits.
fn deployed(scene: &Scene) -> Hostd<'_> {
    scene.shell_app("while :; do sleep 1; done", "");
    let hostd = Hostd::start(scene);
    scene.run(["deploy", "app.toml", "--wait"]).exited(0);
    hostd
}

fn exec(scene: &Scene, script: &str) -> Ran {
    scene.run(["exec", "demo", "--", "sh", "-c", script])
}

#[test]
fn a_command_has_the_streams_the_rights_and_the_exit_code() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let _hostd = deployed(&scene);
        let ran = exec(&scene, "echo out; echo err >&2; exit 7").exited(7);
        assert_eq!((ran.out.as_str(), ran.err.as_str()), ("out\n", "err\n"), "{who:?}");
        exec(&scene, "kill -9 $$").exited(137);
        let ran = exec(&scene, "cat /etc/shadow; ls /root").exited(2);
        assert_eq!(ran.out, "", "{who:?}");
        let own = exec(&scene, "id -u").exited(0).out;
        assert_ne!((who, own.trim()), (As::Root, "0"));
        let place = ["exec", "demo.main.1", "--dir", "/tmp", "--", "pwd"];
        assert_eq!(scene.run(place).exited(0).out, "/tmp\n");
        scene.run(["exec", "demo", "--", "no-such-program"]).exited(127);
        scene.run(["exec", "demo.main.9", "--", "true"]).exited(75);
        scene.run(["exec", "demo.web", "--", "true"]).exited(65);
        scene.run(["exec", "other", "--", "true"]).exited(65);
    }
}

#[test]
fn ten_megabytes_of_anything_come_back_as_they_went() {
    let scene = Scene::new(As::Root);
    let _hostd = deployed(&scene);
    let mut state = 1_u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(10_000_000)
    .collect();
    let mut command = scene.hostctl(["exec", "demo", "--", "cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        let bytes = &bytes;
        scope.spawn(move || input.write_all(bytes).unwrap());
        child.wait_with_output().unwrap()
    });
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout == bytes, "{} bytes came back", output.stdout.len());
}

#[test]
fn a_reader_that_has_enough_ends_the_command() {
    let scene = Scene::new(As::Root);
    let _hostd = deployed(&scene);
    let script = "\"$0\" exec demo -- yes | head -2; exec \"$0\" exec demo -- pidof yes";
    let mut command = scene.command("sh".as_ref());
    let ran =
        Ran::from(command.args(["-c", script]).arg(crate::support::hostctl()).output().unwrap());
    assert_eq!((ran.out.as_str(), ran.code), ("y\ny\n", 1), "{}", ran.err);
}

#[test]
fn signals_are_passed_on_and_the_second_interrupt_ends_this_side() {
    let scene = Scene::new(As::Root);
    let _hostd = deployed(&scene);
    let start = |script: &str| scene.start(["exec", "demo", "--", "sh", "-c", script]);
    let mut running =
        start("trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.1; done");
    running.until_output("ready");
    running.signal("TERM");
    let ran = running.wait().exited(9);
    assert_eq!(ran.out, "caught\n");
    let mut running = start("trap 'echo caught' INT; echo ready; while :; do sleep 0.1; done");
    running.until_output("ready");
    running.signal("INT");
    running.until_output("caught");
    running.signal("INT");
    running.wait().exited(130);
}

#[test]
fn a_shell_has_the_terminal_and_gives_it_back() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let _hostd = deployed(&scene);
        let steps = json!([
            ["type", "stty size; echo $TERM; test -t 2 && echo terminal\r"],
            ["expect", "24 80"],
            ["expect", "xterm"],
            ["expect", "terminal"],
            ["resize", 30, 100],
            ["type", "sleep 0.2; stty size\r"],
            ["expect", "30 100"],
            ["type", "sh -c 'echo g$((0))od; exec sleep 100'\r"],
            ["expect", "g0od"],
            ["type", "\u{3}"],
            ["expect", "^C"],
            ["expect", "$ "],
            ["type", "echo still $((1+1)) there\r"],
            ["expect", "still 2 there"],
            ["type", "exit 5\r"],
        ]);
        let session = play(&scene, ALL, &["shell", "demo"], steps);
        assert_eq!(session.code, 5, "{who:?}: {}", session.screen);
        assert!(session.restored, "{who:?}");
    }
}

#[test]
fn a_shell_without_a_keyboard_says_so_and_reads_what_is_piped() {
    let scene = Scene::new(As::Root);
    let _hostd = deployed(&scene);
    let mut command = scene.hostctl(["shell", "demo"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"echo inside; exit 3\n").unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap()).exited(3);
    assert_eq!(ran.out, "inside\n");
    assert!(ran.err.contains("no terminal"), "{}", ran.err);
}

#[test]
fn top_takes_the_screen_and_gives_it_back() {
    let scene = Scene::new(As::Root);
    let _hostd = deployed(&scene);
    for key in ["q", "\u{3}"] {
        let steps = json!([["expect", "demo.main.1"], ["expect", "demo.main.1"], ["type", key]]);
        let session = play(&scene, ALL, &["top"], steps);
        assert_eq!(session.code, 0, "{}", session.screen);
        assert!(session.restored && session.screen.ends_with("\u{1b}[?25h\u{1b}[?1049l"));
    }
}

#[test]
fn another_machine_is_reached_through_ssh() {
    let scene = Scene::new(As::Root);
    let _hostd = deployed(&scene);
    // Stands in for ssh(1): runs on this machine what it is told to run on the other.
    let ssh = "#!/bin/sh\n[ \"$1 $2\" = '-T --' ] || exit 255\necho \"to $3\" >&2; shift 3; exec \"$@\"\n";
    scene.script("bin/ssh", ssh);
    let hostctl = crate::support::hostctl();
    std::os::unix::fs::symlink(hostctl, scene.app().join("bin/hostctl")).unwrap();
    let path = format!("{}:/usr/bin:/bin", scene.app().join("bin").display());
    let run = |arguments: &[&str]| {
        Ran::from(scene.hostctl(arguments).env("PATH", &path).output().unwrap())
    };
    let ran = run(&["--host", "me@box", "ps"]).exited(0);
    assert!(ran.out.contains("demo.main.1") && ran.err.contains("to me@box"), "{ran:?}");
    let ran =
        run(&["exec", "demo", "--host", "box", "--", "sh", "-c", "echo in; exit 4"]).exited(4);
    assert_eq!(ran.out, "in\n");
    let mut command = scene.hostctl(["restart", "demo", "--wait"]);
    let ran = Ran::from(command.env("PATH", &path).env("HOSTCTL_HOST", "box").output().unwrap());
    assert!(ran.exited(0).err.contains("to box"));
    scene.script("bin/ssh", "#!/bin/sh\necho 'ssh: no such host' >&2; exit 255\n");
    let ran = run(&["--host", "box", "ps"]).exited(69);
    assert!(ran.err.contains("ssh: no such host") && ran.err.contains("ssh ended with 255"));
}
