//! Promise: a program can't type into its caller's terminal, read from it, or drive it with names
//! that hostctl prints (CVE-2017-5226, CVE-2019-10063).

use std::process::Stdio;

use crate::support::attack::BARE;
use crate::support::{EVERYONE, Ran, Scene, hostctl};

/// hostctl with a terminal of its own, made by script(1), and these redirections.
fn in_terminal(scene: &Scene, redirections: &str) -> Ran {
    let line = format!("{} run --quiet app.toml {redirections}", hostctl().display());
    let mut command = scene.command("script".as_ref());
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Held open: script(1) would type the end of its input.
    let _input = child.stdin.take();
    let mut ran = Ran::from(child.wait_with_output().unwrap());
    ran.out = ran.out.replace("\r\n", "\n");
    ran
}

const TYPED: &str = "\
TIOCSTI: EPERM
TIOCSTI, upper half set: EPERM
TIOCLINUX: EPERM
TIOCLINUX, upper half set: EPERM
TIOCSETD: EPERM
TIOCSETD, upper half set: EPERM
take over the terminal: EPERM
open a second terminal: ENOENT
open the console: ENOENT
open a virtual console: ENOENT
open a serial line: ENOENT
";

#[test]
fn nothing_is_typed_into_the_caller_s_terminal() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.aim("type_ahead", "", BARE);
        let expected = format!("{TYPED}terminal: /dev/pts/0\n");
        in_terminal(&scene, "").attempts(who, &expected);
    }
}

#[test]
fn the_caller_s_terminal_is_not_the_controlling_one() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.aim("type_ahead", "", BARE);
        in_terminal(&scene, "</dev/null >out 2>err").exited(0);
        let out = std::fs::read_to_string(scene.app().join("out")).unwrap();
        let expected =
            TYPED.replace("take over the terminal: EPERM", "take over the terminal: ENOTTY");
        assert_eq!(out, format!("{expected}open the controlling terminal: ENXIO\n"), "{who:?}");
    }
}

#[test]
fn an_escape_in_a_name_is_shown_as_text() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let hostile = "x\u{1b}]0;title\u{7}\u{1b}[31m\u{9b}2J";
        scene.write("app.toml", &format!("name = {}\nrun = \"true\"\n", quoted(hostile)));
        let ran = in_terminal(&scene, "");
        assert_eq!(ran.code, 65, "{who:?}");
        // hostctl's own colours are escapes too; the name brought in others.
        for raw in ["\u{1b}]", "\u{7}", "\u{9b}", "\u{1b}[31mx", "x\u{1b}"] {
            assert!(!ran.out.contains(raw), "{who:?}: {:?}", ran.out);
        }
    }
}

fn quoted(text: &str) -> String {
    let escaped: String = text.chars().map(|c| format!("\\u{:04X}", u32::from(c))).collect();
    format!("\"{escaped}\"")
}
