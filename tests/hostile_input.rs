//! Promise: a manifest, however it was made, ends in a plain error in a moment: nothing is echoed
//! raw, nothing grows with it, nothing is written.

use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::support::{As, EVERYONE, Ran, Scene};

/// Ten times what any of these may take on a slow machine.
const MOMENT: Duration = Duration::from_secs(10);

/// A TOML string of these characters, each escaped.
fn quoted(text: &str) -> String {
    let escaped: String = text.chars().map(|c| format!("\\u{:04X}", u32::from(c))).collect();
    format!("\"{escaped}\"")
}

/// No byte that a terminal would obey.
#[track_caller]
fn plain(ran: &Ran) {
    for text in [&ran.out, &ran.err] {
        let control = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None, "{text:?}");
    }
}

const NAMES: [&str; 16] = [
    "..",
    ".",
    "/",
    "a/b",
    "../a",
    "/etc/passwd",
    "a\0b",
    "a\nb",
    "a\u{1b}[2Jb",
    "a\u{9b}2Jb",
    "a\u{7f}",
    "",
    "A",
    "a+3",
    "a b",
    "\u{202e}gro.elpmaxe",
];

#[test]
fn names_that_are_none_are_refused_and_shown_as_text() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        for name in NAMES {
            scene.write("app.toml", &format!("name = {}\nrun = \"true\"\n", quoted(name)));
            let ran = scene.run(["run", "app.toml"]).exited(65);
            plain(&ran);
            assert!(ran.err.contains("app.toml:1:8: name: "), "{who:?} {name:?}: {}", ran.err);
        }
        assert!(std::fs::read_dir(scene.state()).unwrap().next().is_none(), "nothing is written");
    }
}

#[test]
fn names_from_elsewhere_are_refused_and_shown_as_text() {
    let scene = Scene::new(As::User);
    scene.write("app.toml", "name = \"a\"\nrun = \"true\"\n");
    for name in NAMES.iter().filter(|name| !name.contains('\0')) {
        let set = format!("name={}", quoted(name));
        plain(&scene.run(["run", "app.toml", "--set", &set]).exited(65));
        plain(&scene.run(["run", "--name", name, "--", "true"]).exited(65));
        let mut command = scene.hostctl(["run", "app.toml"]);
        command.env("HOSTCTL_SET_NAME", quoted(name));
        plain(&Ran::from(command.output().unwrap()).exited(65));
    }
}

#[test]
fn escapes_in_arguments_and_paths_are_shown_as_text() {
    let scene = Scene::new(As::User);
    scene.write("app.toml", "name = \"a\"\nrun = \"true\"\n");
    let hostile = "x\u{1b}[2J\u{7}";
    let arguments: [&[&str]; 8] = [
        &["run", hostile],
        &["run", "app.toml", "--profile", hostile],
        &["run", "app.toml", "--service", hostile],
        &["run", "app.toml", "--unset", hostile],
        &["run", "app.toml", "--set", hostile],
        &["run", "app.toml", "--grace", hostile],
        &["run", "--name", "a", "--read", hostile, "--", "true"],
        &["run", "--name", "a", "--", hostile],
    ];
    for arguments in arguments {
        let ran = scene.run(arguments);
        assert_ne!(ran.code, 0, "{arguments:?}");
        plain(&ran);
    }
}

#[test]
fn escapes_in_every_value_of_a_manifest_are_shown_as_text() {
    let scene = Scene::new(As::User);
    let hostile = quoted("x\u{1b}[2J\u{7}\u{9b}");
    let keys = [
        "run = VALUE",
        "dir = VALUE",
        "health = VALUE",
        "route = VALUE",
        "policy = VALUE",
        "needs = [VALUE]",
        "VALUE = 1",
        "[ports]\nVALUE = 1",
        "[access]\nread = [VALUE]",
        "[access]\nwrite = [VALUE]",
        "[access]\nconnect = [VALUE]",
        "[access]\ninterfaces = [VALUE]",
        "[access]\ncapabilities = [VALUE]",
        "[access]\nsyscalls = [VALUE]",
        "[access]\nbase = VALUE",
        "[limits]\nmemory = VALUE",
        "[env]\nVALUE = \"x\"",
        "[env]\nA = VALUE",
        "[logs]\nsinks = [VALUE]",
        "[services.VALUE]\nrun = \"true\"",
        "[hooks.VALUE]\nrun = \"true\"",
    ];
    for key in keys {
        let text = format!("name = \"a\"\n{}\n", key.replace("VALUE", &hostile));
        let text =
            if key.contains("run") { text } else { text.replacen('\n', "\nrun = \"true\"\n", 1) };
        scene.write("app.toml", &text);
        for command in ["check", "plan"] {
            plain(&scene.run([command, "app.toml"]));
        }
    }
}

/// How a manifest beyond reason is not refused as it should be; empty if it is.
fn complaints(scene: &Scene, what: &str, text: &str) -> String {
    scene.write("app.toml", text);
    let mut complaints = String::new();
    for command in ["run", "plan", "check"] {
        let start = Instant::now();
        let ran = scene.run([command, "app.toml"]);
        let (took, told) = (start.elapsed(), ran.err.len());
        if ran.code != 65 || took > MOMENT || told > 64 << 10 || !ran.err.contains("app.toml") {
            let code = ran.code;
            writeln!(complaints, "{command} of {what}: code {code}, {told} bytes, {took:?}")
                .unwrap();
        }
    }
    complaints
}

#[test]
fn sizes_beyond_reason_are_refused_in_a_moment() {
    let scene = Scene::new(As::User);
    let head = "name = \"a\"\nrun = \"true\"\n";
    let entries = |count: usize, entry: &dyn Fn(usize) -> String| {
        (0..count).fold(String::new(), |mut text, index| {
            write!(text, "{}", entry(index)).unwrap();
            text
        })
    };
    let grants = entries(10_000, &|index| format!("\"/srv/{index}\", "));
    let same = entries(10_000, &|_| "\"/srv/x\", ".to_owned());
    let cases = [
        ("a string of 2 MiB", format!("{head}health = \"{}\"\n", "x".repeat(2 << 20))),
        ("a string of 512 KiB", format!("{head}[env]\nA = \"{}\"\n", "x".repeat(512 << 10))),
        ("a key of 512 KiB", format!("{head}{} = 1\n", "x".repeat(512 << 10))),
        ("ten thousand grants", format!("{head}[access]\nread = [{grants}]\n")),
        ("ten thousand times one grant", format!("{head}[access]\nwrite = [{same}]\n")),
        ("ten thousand keys", format!("{head}{}", entries(10_000, &|i| format!("k{i} = 1\n")))),
        (
            "ten thousand variables",
            format!("{head}[env]\n{}", entries(10_000, &|i| format!("K{i} = \"$K{}\"\n", i + 1))),
        ),
        (
            "ten thousand services",
            format!(
                "name = \"a\"\n{}",
                entries(10_000, &|i| format!("[services.s{i}]\nrun = \"x\"\n"))
            ),
        ),
        ("deep lists", format!("{head}x = {}{}\n", "[".repeat(100_000), "]".repeat(100_000))),
        ("deep tables", format!("{head}x = {}1{}\n", "{a=".repeat(50_000), "}".repeat(50_000))),
        ("a deep key", format!("{head}{}a = 1\n", "a.".repeat(50_000))),
        ("a number without end", format!("{head}port = {}\n", "9".repeat(100_000))),
        ("no text at all", "\0".repeat(1000)),
    ];
    let complaints: String =
        cases.iter().map(|(what, text)| complaints(&scene, what, text)).collect();
    assert_eq!(complaints, "");
}

#[test]
fn variables_that_grow_are_refused_in_a_moment() {
    let scene = Scene::new(As::User);
    let mut text =
        "name = \"a\"\nrun = \"echo $V63\"\n[env]\nV00 = \"xxxxxxxxxxxxxxxx\"\n".to_owned();
    for index in 1..64 {
        writeln!(text, "V{index:02} = \"$V{:02}$V{:02}\"", index - 1, index - 1).unwrap();
    }
    scene.write("app.toml", &text);
    let start = Instant::now();
    let mut command = scene.command("sh".as_ref());
    // What doubles 63 times is stopped by this if by nothing else.
    command.args(["-c", "ulimit -v 1048576; exec \"$@\"", "sh"]).arg(crate::support::hostctl());
    let ran = Ran::from(command.args(["run", "app.toml"]).output().unwrap());
    assert_eq!(ran.code, 65, "{}", ran.err);
    assert!(start.elapsed() < MOMENT);
}
