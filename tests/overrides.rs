//! Promise: a value comes from the highest layer that says it: manifest, profile, the operator's
//! drop-in, variable, flag; the host policy refuses and never changes one.

use crate::support::{As, EVERYONE, Ran, Scene};

const MANIFEST: &str = r#"
name = "layers"
run  = ["sh", "-c", "echo $LEVEL $PORT $(ulimit -n)"]
port = 8080

[env]
LEVEL = "manifest"

[profile.dev]
env  = { LEVEL = "profile" }
port = 8081
"#;

/// A scene with every layer in place that a file can hold.
fn scene(who: As, drop_in: Option<&str>) -> Scene {
    let scene = Scene::new(who);
    scene.write("app.toml", MANIFEST);
    if let Some(text) = drop_in {
        std::fs::create_dir(scene.config().join("apps")).unwrap();
        std::fs::write(scene.config().join("apps/layers.toml"), text).unwrap();
    }
    scene
}

fn run(scene: &Scene, variable: Option<(&str, &str)>, flags: &[&str]) -> Ran {
    let mut command = scene.hostctl(["run", "app.toml"].iter().chain(flags));
    command.envs(variable);
    Ran::from(command.output().unwrap())
}

const DROP_IN: Option<&str> = Some("env = { LEVEL = \"drop-in\" }\nlimits = { files = 300 }\n");
const VARIABLE: Option<(&str, &str)> = Some(("HOSTCTL_SET_ENV__LEVEL", "variable"));
const PROFILE: [&str; 2] = ["--profile", "dev"];
const SET: [&str; 2] = ["--set", "env.LEVEL=flag"];

#[test]
fn each_layer_is_above_the_one_before() {
    for who in EVERYONE {
        let default = run(&scene(who, None), None, &[]).exited(0).out;
        assert!(default.starts_with("manifest 8080 "), "{default}");
        let profile = run(&scene(who, None), None, &PROFILE).exited(0).out;
        assert!(profile.starts_with("profile 8081 "), "{profile}");
        let dropped = scene(who, DROP_IN);
        assert_eq!(run(&dropped, None, &PROFILE).exited(0).out, "drop-in 8081 300\n");
        assert_eq!(run(&dropped, VARIABLE, &PROFILE).exited(0).out, "variable 8081 300\n");
        let all = [PROFILE, SET, ["--set", "limits.files=200"]].concat();
        assert_eq!(run(&dropped, VARIABLE, &all).exited(0).out, "flag 8081 200\n");
        let last = [PROFILE, SET, ["--set", "env.LEVEL=last"]].concat();
        assert_eq!(run(&dropped, VARIABLE, &last).exited(0).out, "last 8081 300\n");
    }
}

#[test]
fn the_offset_comes_after_every_layer() {
    for who in EVERYONE {
        let flags = ["--set", "port=9000", "--port-offset", "3"];
        let ran = run(&scene(who, DROP_IN), None, &flags).exited(0);
        assert_eq!(ran.out, "drop-in 9003 300\n");
    }
}

#[test]
fn a_key_can_be_taken_away() {
    for who in EVERYONE {
        let scene = scene(who, None);
        // What is not there can't be referred to, which is found before anything starts.
        let ran = run(&scene, None, &["--unset", "env.LEVEL"]).exited(65);
        assert!(ran.err.contains("the variable $LEVEL will not be set"), "{}", ran.err);
        let ran = run(&scene, None, &["--unset", "port", "--set", "run=env"]).exited(0);
        assert!(!ran.out.contains("PORT="), "{}", ran.out);
    }
}

#[test]
fn a_wrong_override_names_its_layer() {
    for who in EVERYONE {
        let plain = scene(who, None);
        for (flags, part) in [
            (&["--set", "limits.file=1"][..], "--set limits.file=1: "),
            (&["--set", "port"][..], "--set port: "),
            (&["--profile", "prod"][..], "--profile prod: "),
            (&["--unset", "prot"][..], "--unset prot: "),
        ] {
            let ran = run(&plain, None, flags).exited(65);
            assert!(ran.err.contains(part), "{part} in {}", ran.err);
        }
        let ran = run(&plain, Some(("HOSTCTL_SET_LIMITS__FILE", "1")), &[]).exited(65);
        assert!(ran.err.contains("HOSTCTL_SET_LIMITS__FILE: "), "{}", ran.err);
        let dropped = scene(who, Some("limits = { file = 300 }\n"));
        let ran = run(&dropped, None, &[]).exited(65);
        assert!(ran.err.contains("apps/layers.toml:1:"), "{}", ran.err);
    }
}

#[test]
fn the_policy_refuses_and_names_its_ceiling() {
    for who in EVERYONE {
        let scene = scene(who, None);
        let policy = "[ceilings]\nfiles = 256\nprocesses = 8\n[deny]\npaths = [\"/srv/secret\"]\n";
        std::fs::write(scene.config().join("policy.toml"), policy).unwrap();
        let set = ["--set", "limits.files=512", "--set", "limits.processes=9"];
        let ran = run(&scene, None, &set).exited(65);
        assert!(
            ran.err.contains("512 is above the host policy's ceilings.files, 256"),
            "{}",
            ran.err
        );
        assert!(
            ran.err.contains("9 is above the host policy's ceilings.processes, 8"),
            "{}",
            ran.err
        );
        let ran = run(&scene, None, &["--set", "limits.files=256"]).exited(65);
        assert!(
            ran.err.contains("no limit is above the host policy's ceilings.processes"),
            "{}",
            ran.err
        );
        let read = ["--set", "access.read=/srv/secret/key"];
        let ran = run(&scene, None, &read).exited(65);
        assert!(ran.err.contains("/srv/secret/key is never granted"), "{}", ran.err);
        let set = ["--set", "limits.files=256", "--set", "limits.processes=8"];
        run(&scene, None, &set).exited(0);
    }
}

#[test]
fn a_policy_that_is_wrong_lets_nothing_run() {
    for who in EVERYONE {
        let scene = scene(who, None);
        std::fs::write(scene.config().join("policy.toml"), "celings = { files = 1 }\n").unwrap();
        let ran = run(&scene, None, &[]).exited(65);
        assert!(ran.err.contains("policy.toml:1:1: "), "{}", ran.err);
    }
}

#[test]
fn the_plan_shows_where_each_value_comes_from() {
    for who in EVERYONE {
        let scene = scene(who, DROP_IN);
        let flags =
            [&["plan", "app.toml", "--origin"][..], &PROFILE, &["--set", "env.NEW=x"]].concat();
        let mut command = scene.hostctl(flags);
        let ran = Ran::from(command.envs([("HOSTCTL_SET_DIR", ".")]).output().unwrap()).exited(0);
        for (value, origin) in [
            ("base", "default"),
            ("run", "app.toml:3:8"),
            ("port", "profile dev (app.toml:11:8)"),
            ("files", "apps/layers.toml:2:"),
            ("dir", "HOSTCTL_SET_DIR"),
            ("NEW=x", "--set env.NEW=x"),
        ] {
            // A label, or the value of `env`.
            let begins = |line: &&str| line.split_whitespace().take(2).any(|word| word == value);
            let shown = ran.out.lines().find(begins);
            let line = shown.unwrap_or_else(|| panic!("{value} is missing in:\n{}", ran.out));
            assert!(line.contains(origin), "{value} is from {origin}: {line}");
        }
        assert!(!scene.state().join("uids").exists(), "planning writes nothing");
    }
}
