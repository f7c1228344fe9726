//! Promise: a program started from a terminal has a terminal: its size, its keys, Ctrl-C; and the
//! caller's own is left as it was found.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{EVERYONE, Ran, Scene, hostctl};

/// All three standard streams.
pub const ALL: &[&str] = &["in", "out", "err"];

/// What the terminal showed, and how hostctl ended.
pub struct Session {
    /// The screen.
    pub screen: String,
    /// Standard output and error that are pipes.
    pub piped: String,
    /// Exit code.
    pub code: i64,
    /// The terminal is as it was.
    pub restored: bool,
}

/// Start hostctl in a terminal; `streams` of it are the terminal, the others pipes.
pub fn play(scene: &Scene, streams: &[&str], arguments: &[&str], steps: Value) -> Session {
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("terminal/driver.py");
    let scenario = json!({ "streams": streams, "steps": steps }).to_string();
    let mut command = scene.command(Path::new("python3"));
    // The driver is read here: the scene's user may have no way to where it lies.
    command.arg("-c").arg(std::fs::read_to_string(driver).unwrap());
    command.arg(scenario).arg(hostctl()).args(arguments).env("TERM", "xterm");
    let ran = Ran::from(command.output().expect("python3 is needed to play a terminal")).exited(0);
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    Session {
        screen: told["screen"].as_str().unwrap().to_owned(),
        piped: told["piped"].as_str().unwrap().to_owned(),
        code: told["code"].as_i64().unwrap(),
        restored: told["restored"].as_bool().unwrap(),
    }
}

fn run(scene: &Scene, script: &str, steps: Value) -> Session {
    scene.shell_app(script, "");
    play(scene, ALL, &["run", "--quiet", "app.toml"], steps)
}

#[test]
fn the_program_has_a_terminal_of_its_own() {
    let script =
        "for n in 0 1 2; do test -t $n && echo terminal $n; done; tty; stty size; echo $TERM";
    for who in EVERYONE {
        let session = run(&Scene::new(who), script, json!([]));
        let lines: Vec<_> = session.screen.lines().collect();
        let expected = ["terminal 0", "terminal 1", "terminal 2", "/dev/pts/0", "24 80", "xterm"];
        assert_eq!(lines, expected, "{who:?}");
        assert_eq!(session.code, 0);
        assert!(session.restored, "the caller's terminal is in the mode it was in");
    }
}

#[test]
fn the_window_size_follows() {
    let script = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done";
    for who in EVERYONE {
        let steps = json!([
            ["expect", "ready"],
            ["resize", 40, 132],
            ["expect", "40 132"],
            ["resize", 10, 20],
            ["expect", "10 20"],
            ["type", "\u{3}"],
        ]);
        let session = run(&Scene::new(who), script, steps);
        assert_eq!(session.code, 130, "{who:?}: {}", session.screen);
    }
}

#[test]
fn what_is_typed_reaches_the_program() {
    let script = "echo name?; read name; echo hello $name";
    for who in EVERYONE {
        let steps = json!([["expect", "name?\r\n"], ["type", "Ada\r"], ["expect", "hello Ada"]]);
        let session = run(&Scene::new(who), script, steps);
        assert_eq!(session.code, 0);
        assert_eq!(session.screen, "name?\r\nAda\r\nhello Ada\r\n", "echoed once, {who:?}");
    }
}

#[test]
fn ctrl_c_ends_a_program_with_its_children() {
    // Not a shell: one that is interrupted while it starts a child may go on waiting for it.
    let program = "\
import os, signal, subprocess
signal.signal(signal.SIGINT, signal.SIG_DFL)
subprocess.Popen(['sleep', '300'])
os.write(1, b'ready')
signal.pause()
";
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.write("main.py", program);
        scene.write("app.toml", "name = \"demo\"\nrun = \"python3 main.py\"\n");
        let steps = json!([["expect", "ready"], ["type", "\u{3}"]]);
        let session = play(&scene, ALL, &["run", "--quiet", "app.toml"], steps);
        assert_eq!(session.code, 130, "{who:?}: {}", session.screen);
        assert!(session.restored);
    }
}

#[test]
fn ctrl_c_twice_ends_what_ignores_it() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app("trap '' INT TERM; echo ready; while :; do sleep 1; done", "");
        let steps = json!([
            ["expect", "ready"],
            ["type", "\u{3}"],
            ["expect", "waiting up to"],
            ["type", "\u{3}"]
        ]);
        let session = play(&scene, ALL, &["run", "app.toml", "--grace", "10m"], steps);
        assert_eq!(session.code, 137, "{who:?}: {}", session.screen);
        assert!(session.restored);
    }
}

#[test]
fn a_program_in_raw_mode_gets_the_key() {
    let program = "\
import os, termios, tty
mode = termios.tcgetattr(0)
tty.setraw(0)
print('ready', end='\\r\\n', flush=True)
key = os.read(0, 1)
termios.tcsetattr(0, termios.TCSANOW, mode)
print('key', key[0])
";
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.write("main.py", program);
        scene.write("app.toml", "name = \"demo\"\nrun = \"python3 main.py\"\n");
        let steps = json!([["expect", "ready"], ["type", "\u{3}"], ["expect", "key 3"]]);
        let session = play(&scene, ALL, &["run", "app.toml"], steps);
        assert_eq!(session.code, 0, "{who:?}: {}", session.screen);
        assert!(!session.screen.contains("sent"), "no request to end: {}", session.screen);
    }
}

#[test]
fn a_program_that_reads_keys_one_by_one_keeps_its_interrupt() {
    let program = "\
import os, signal, tty
signal.signal(signal.SIGINT, lambda *_: os.write(1, b'caught'))
tty.setcbreak(0)
os.write(1, b'ready')
os.write(1, b'key ' + os.read(0, 1))
";
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.write("main.py", program);
        scene.write("app.toml", "name = \"demo\"\nrun = \"python3 main.py\"\n");
        let steps = json!([
            ["expect", "ready"],
            ["type", "\u{3}"],
            ["expect", "caught"],
            ["type", "k"],
            ["expect", "key k"],
        ]);
        let session = play(&scene, ALL, &["run", "app.toml"], steps);
        assert_eq!(session.code, 0, "{who:?}: {}", session.screen);
        assert!(!session.screen.contains("waiting up to"), "{}", session.screen);
    }
}

#[test]
fn interactive_leaves_ctrl_c_to_the_program() {
    let script = "trap 'echo caught' INT; echo ready; read line; read line; echo over";
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app(script, "");
        let steps = json!([
            ["expect", "ready"],
            ["type", "\u{3}"],
            ["expect", "caught"],
            ["type", "\u{3}"],
            ["expect", "caught"],
            ["type", "a\r"],
            ["type", "b\r"],
            ["expect", "over"],
        ]);
        let session = play(&scene, ALL, &["run", "-i", "app.toml", "--grace", "1s"], steps);
        assert_eq!(session.code, 0, "{who:?}: {}", session.screen);
        assert!(!session.screen.contains("SIGINT"), "{}", session.screen);
    }
}

#[test]
fn output_and_error_keep_their_order() {
    let script = "i=0; while [ $i -lt 500 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done";
    for who in EVERYONE {
        let session = run(&Scene::new(who), script, json!([]));
        let expected: Vec<_> =
            (0..500).flat_map(|i| [format!("out {i}"), format!("err {i}")]).collect();
        assert_eq!(session.screen.lines().collect::<Vec<_>>(), expected, "{who:?}");
    }
}

#[test]
fn each_stream_is_a_terminal_where_the_callers_is() {
    let script = "for n in 0 1 2; do test -t $n && echo terminal $n >&2; done; echo piped; exit 5";
    for who in EVERYONE {
        for (streams, shown) in [
            (&["in", "err"][..], "terminal 0 terminal 2"),
            (&["err"], "terminal 2"),
            (&["out", "err"], "terminal 1 terminal 2 piped"),
        ] {
            let scene = Scene::new(who);
            scene.shell_app(script, "");
            let session = play(&scene, streams, &["run", "--quiet", "app.toml"], json!([]));
            let lines: Vec<_> = session.screen.lines().map(str::trim_end).collect();
            assert_eq!(lines.join(" "), shown, "{who:?} {streams:?}");
            let piped = if streams.contains(&"out") { "" } else { "piped\n" };
            assert_eq!((session.piped.as_str(), session.code), (piped, 5));
            assert!(session.restored);
        }
    }
}

#[test]
fn lines_end_as_on_any_terminal_without_a_keyboard_too() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app("echo one; echo two", "");
        let session = play(&scene, &["out", "err"], &["run", "--quiet", "app.toml"], json!([]));
        assert_eq!(session.screen, "one\r\ntwo\r\n", "{who:?}");
    }
}

#[test]
fn a_terminal_that_hangs_up_asks_for_the_end() {
    let script = "trap 'echo bye > \"$DATA_DIR/bye\"; exit 3' HUP TERM; echo ready; while :; do sleep 0.05; done";
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app(script, "access = { write = [\"data:/srv/x\"] }\n");
        let steps = json!([["expect", "ready"], ["close"]]);
        let session = play(&scene, ALL, &["run", "--quiet", "app.toml"], steps);
        assert_eq!(session.code, 3, "{who:?}");
        assert!(scene.state().join("data/demo/srv-x/bye").exists());
    }
}
