//! Promise: flags without a file are the manifest they spell, and `--save` writes it down.

use serde_json::Value;

use crate::support::ports::{Ports, get};
use crate::support::{EVERYONE, Scene, eventually};

/// What `--save` writes for the flags below.
const SAVED: &str = r#"name = "site"
run = "sh -c 'cat $HOSTCTL_MANIFEST'"
port = 8080

[access]
network = "host"
read = ["."]
write = ["data:/srv/site"]
connect = ["10.0.0.0/8:5432"]

[env]
"QUOTE" = "a \"b\" \\ $HOST"
"#;

const FLAGS: [&str; 18] = [
    "--name",
    "site",
    "--port",
    "8080",
    "--read",
    ".",
    "--write",
    "data:/srv/site",
    "--connect",
    "10.0.0.0/8:5432",
    "--network",
    "host",
    "--env",
    r#"QUOTE=a "b" \ $HOST"#,
    "--",
    "sh",
    "-c",
    "cat $HOSTCTL_MANIFEST",
];

#[test]
fn the_saved_manifest_means_the_same() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let typed = scene.run(["run", "--save", "site.toml"].iter().chain(&FLAGS)).exited(0);
        let saved = std::fs::read_to_string(scene.app().join("site.toml")).unwrap();
        assert_eq!(saved, SAVED);
        let read = scene.run(["run", "site.toml"]).exited(0);
        let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(parse(&typed.out), parse(&read.out), "{who:?}");
        assert_eq!(parse(&read.out)["ports"][0]["port"], 8080);
    }
}

#[test]
fn a_file_that_is_there_is_not_overwritten() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.write("site.toml", "precious");
        let ran = scene.run(["run", "--save", "site.toml"].iter().chain(&FLAGS)).exited(73);
        assert!(ran.err.contains("site.toml: "), "{}", ran.err);
        assert_eq!(ran.out, "", "nothing started");
        assert_eq!(std::fs::read_to_string(scene.app().join("site.toml")).unwrap(), "precious");
    }
}

#[test]
fn a_file_and_flags_are_a_contradiction() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app("echo started", "");
        for flags in [&["--name", "x"][..], &["--port", "1"], &["--save", "x"], &["--", "true"]] {
            let ran = scene.run(["run", "app.toml"].iter().chain(flags)).exited(2);
            assert!(ran.err.contains("app.toml is one"), "{}", ran.err);
            assert!(ran.err.contains("hint: use --set"), "{}", ran.err);
        }
    }
}

#[test]
fn nothing_is_granted_that_was_not_typed() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let ran = scene.run(["run", "--name", "bare", "--", "pwd"]).exited(0);
        assert_eq!(ran.out, "/\n", "the folder is not in view");
        let ls =
            ["run", "--name", "bare", "--", "ls", scene.app().to_str().unwrap()].map(String::from);
        scene.run(ls).exited(2);
    }
}

#[test]
fn the_name_is_the_programs_unless_typed() {
    let scene = Scene::new(crate::support::As::User);
    let ran = scene.run(["run", "--", "/usr/bin/hostname"]).exited(0);
    assert_eq!(ran.out, "hostname\n");
    let ran = scene.run(["run", "--name", "site"]).exited(2);
    assert!(ran.err.contains("there is no program"), "{}", ran.err);
}

#[test]
fn a_site_is_one_line() {
    for who in EVERYONE {
        let (scene, ports) = (Scene::new(who), Ports::hold());
        scene.write("index.html", "typed");
        let port = ports.number(0).to_string();
        let site = ["run", "--name", "site", "--port", &port, "--read", ".", "--", "python3"];
        let server = ["-m", "http.server", &port, "--bind", "127.0.0.1"];
        let running = scene.start(site.iter().chain(&server));
        eventually("the site answers", || get(ports.number(0), "/").as_deref() == Some("typed"));
        running.signal("TERM");
        running.wait().exited(143);
    }
}
