//! Promise: when a schedule is due is shown, the same whatever zone and language the caller is in;
//! what is wrong with one is said with its field and item.

use serde_json::{Value, json};

use crate::support::{As, Ran, Scene, hostctl};

fn next(scene: &Scene, words: &[&str]) -> Ran {
    let words = ["hooks", "next"].iter().chain(words);
    scene.run(words)
}

#[test]
fn instants_are_the_same_in_every_zone_and_language() {
    let scene = Scene::new(As::Root);
    let words = ["--expr", "30 2 * * *", "--zone", "Europe/Berlin", "--count", "2", "--json"];
    let words = [&words[..], &["--from", "2026-03-28T12:00:00Z"]].concat();
    let expected = json!({
        "fires": ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        "warnings": [],
    });
    for (zone, language) in
        [("UTC", "C"), ("Australia/Lord_Howe", "de_DE.UTF-8"), (":/etc/none", "tr_TR.UTF-8")]
    {
        let mut command = scene.command(&hostctl());
        command.args(["hooks", "next"]).args(&words).env("TZ", zone).env("LC_ALL", language);
        let output = command.output().unwrap();
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found, expected, "{zone}");
    }
}

#[test]
fn people_see_what_clocks_do_and_what_may_surprise() {
    let scene = Scene::new(As::Root);
    let autumn = ["--zone", "Europe/Berlin", "--from", "2026-10-25T00:00:00Z", "--count", "3"];
    let ran = next(&scene, &[&["--expr", "*/30 2 * * *"], &autumn[..]].concat()).exited(0);
    assert_eq!(
        ran.out,
        "  2026-10-25 02:30:00 +02:00  2026-10-25T00:30:00Z  the first time that clocks show it\n  \
           2026-10-25 02:00:00 +01:00  2026-10-25T01:00:00Z  the second time that clocks show it\n  \
           2026-10-25 02:30:00 +01:00  2026-10-25T01:30:00Z  the second time that clocks show it\n"
    );
    assert!(ran.err.contains("clocks of Europe/Berlin, by tzdata 2"), "{}", ran.err);
    let ran = next(&scene, &["--expr", "*/35 * * * *", "--count", "1", "--json"]).exited(0);
    assert!(ran.out.contains("every = \\\"35m\\\" keeps one distance"), "{}", ran.out);
    let ran = next(&scene, &["--expr", "@boot"]).exited(0);
    assert_eq!(ran.out, "when the host has started\n");
}

#[test]
fn what_is_wrong_is_said_with_its_field_and_item() {
    let scene = Scene::new(As::Root);
    let cases: [(&[&str], u8, &str, &str); 6] = [
        (&["--expr", "60 * * * *"], 65, "--expr: minute \"60\": ", "a number from 0 to 59"),
        (&["--expr", "-5 * * * *"], 65, "--expr: minute \"-5\": ", "a number from 0 to 59"),
        (&["--expr", "0 0 13 * fri"], 65, "are both restricted", "--days either"),
        (&["--expr", "0 0 30 2 *"], 65, "there is no such date", "L"),
        (&["--expr", "@daily", "--zone", "Europe/Bonn"], 65, "no time zone", "Europe/Prague"),
        (&["--expr", "@daily", "--zone", "../../etc/passwd"], 65, "is no name", "Europe/Prague"),
    ];
    for (words, code, message, hint) in cases {
        let ran = next(&scene, words).exited(code.into());
        assert!(ran.err.contains(message) && ran.err.contains(hint), "{words:?}: {}", ran.err);
        assert_eq!(ran.out, "");
    }
    let ran = next(&scene, &["--expr", "@daily", "--from", "tomorrow"]).exited(2);
    assert!(ran.err.contains("2026-03-28T12:00:00Z"), "{}", ran.err);
    scene.shell_app("true", "hooks.x = { run = \"./x\", cron = \"0 24 * * *\" }\n");
    let ran = scene.run(["check", "app.toml"]).exited(65);
    assert!(ran.err.contains("hour \"24\": "), "{}", ran.err);
}
