//! `hostctl plan`: what it prints, and that it only prints.

use std::os::unix::fs::PermissionsExt;

use crate::scene::{Scene, listing};

const APP: &str = "name = \"shop\"\nrun = \"./shop --port $PORT\"\nport = 8080\n\
                   [access]\nread = [\".\", \"nowhere\"]\nwrite = [\"data:/srv/shop\"]\n";

#[test]
fn it_writes_nothing_anywhere() {
    let scene = Scene::new("plan-writes");
    scene.write("app.toml", APP);
    std::fs::create_dir(scene.kept()).unwrap();
    std::fs::set_permissions(scene.kept(), PermissionsExt::from_mode(0o555)).unwrap();
    let before = (listing(&scene.app()), listing(&scene.kept()));
    for arguments in [
        &["plan", "app.toml"][..],
        &["plan", "app.toml", "--steps", "--origin"],
        &["plan", "app.toml", "--json"],
        &["plan", "--name", "a", "--", "/bin/true"],
    ] {
        scene.hostctl(arguments).answer();
    }
    let run = scene.hostctl(&["plan", "--name", "a", "--save", "b.toml", "--", "/bin/true"]);
    assert_eq!(run.code, 2, "{run:#?}");
    assert_eq!((listing(&scene.app()), listing(&scene.kept())), before);
}

#[test]
fn each_value_comes_with_who_said_it() {
    let scene = Scene::new("plan-origin");
    scene.write("app.toml", APP);
    let run = scene.hostctl_with(
        &[("HOSTCTL_SET_LIMITS__PROCESSES", "9")],
        &["plan", "app.toml", "--origin", "--port-offset", "3", "--set", "limits.files=300"],
    );
    let line = |label: &str| {
        let line = run.answer().lines().find(|line| line.trim_start().starts_with(label));
        line.unwrap_or_else(|| panic!("{label}: {}", run.out))
            .split_whitespace()
            .collect::<Vec<_>>()
    };
    assert_eq!(line("port"), ["port", "8083/tcp", "app.toml:3:8,", "--port-offset", "3"]);
    assert_eq!(line("files"), ["files", "300", "--set", "limits.files=300"]);
    assert_eq!(line("processes"), ["processes", "9", "HOSTCTL_SET_LIMITS__PROCESSES"]);
    assert_eq!(line("base"), ["base", "system", "default"]);
    assert!(run.out.starts_with("shop+3.main.1 (app.toml)\n"), "{}", run.out);
}

#[test]
fn what_will_fail_is_worth_a_look() {
    let scene = Scene::new("plan-advice");
    scene.write("app.toml", APP);
    let run = scene.hostctl(&["plan", "app.toml"]);
    let (_, advice) = run.answer().split_once("to look at\n").unwrap();
    assert!(
        advice.contains("access.read[1]") && advice.contains("nowhere does not exist"),
        "{advice}"
    );
    let plan = scene.hostctl(&["plan", "app.toml", "--json"]).json();
    assert_eq!(plan["warnings"][0]["key"], "access.read[1]");
    assert_eq!(plan["warnings"].as_array().unwrap().len(), 1, "{plan:#}");
}

#[test]
fn the_json_form_holds_values_origins_and_steps() {
    let scene = Scene::new("plan-json");
    scene.write("app.toml", APP);
    let plan = scene.hostctl(&["plan", "app.toml", "--json"]).json();
    assert_eq!((&plan["v"], &plan["file"]), (&1.into(), &"app.toml".into()));
    assert_eq!(plan["plan"]["ports"][0]["port"], 8080);
    let values = plan["values"].as_array().unwrap();
    let port = values.iter().find(|value| value["what"] == "port").unwrap();
    assert_eq!(port["origin"], "app.toml:3:8");
    let steps = plan["steps"].as_array().unwrap();
    assert!(steps[0].as_str().unwrap().starts_with("new namespaces:"), "{steps:#?}");
    assert_eq!(steps.last().unwrap(), "start ./shop --port 8080");
    assert!(!plan.to_string().contains("4294967294"), "a uid that nobody has: {plan:#}");
}

#[test]
fn strict_shows_the_plan_and_refuses_as_run_would() {
    let scene = Scene::new("plan-strict");
    scene.write("app.toml", &format!("{APP}\n[limits]\nmemory = \"64M\"\n"));
    let run = scene.hostctl(&["plan", "app.toml"]);
    // A host that can limit memory has nothing to say.
    let lacks = run.out.contains("limits.memory");
    let refusal = "run refuses limits.memory without --allow-unenforced";
    assert_eq!((run.code, run.out.contains(refusal)), (0, lacks), "{run:#?}");
    let run = scene.hostctl(&["plan", "app.toml", "--strict"]);
    assert!(run.code == 77 || !lacks, "{run:#?}");
    assert_eq!(run.out.contains("not enforced here"), run.code == 77, "{run:#?}");
}
