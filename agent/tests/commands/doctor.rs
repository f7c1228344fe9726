//! `hostctl doctor`: this host, whatever it is.

use crate::scene::Scene;

#[test]
fn both_forms_say_the_same_and_the_exit_code_says_whether_it_works() {
    let scene = Scene::new("doctor");
    let (told, run) = (scene.hostctl(&["doctor"]), scene.hostctl(&["doctor", "--json"]));
    let report = run.json();
    let works = report["works"].as_bool().unwrap();
    assert_eq!((told.code, run.code), if works { (0, 0) } else { (1, 1) }, "{report:#}");
    let findings = report["findings"].as_array().unwrap();
    let fatal =
        |finding: &&serde_json::Value| finding["needed"] == true && finding["status"] == "missing";
    assert_eq!(works, findings.iter().find(fatal).is_none(), "{report:#}");
    for finding in findings {
        assert!(told.out.contains(finding["name"].as_str().unwrap()), "{}", told.out);
        let cost = finding["cost"].as_str().unwrap_or_default();
        assert!(told.out.contains(cost), "{}", told.out);
    }
    assert!(told.out.ends_with(&format!("\n{}\n", report["verdict"].as_str().unwrap())));
}

#[test]
fn a_wrong_host_policy_is_found() {
    let scene = Scene::new("doctor-policy");
    let config = scene.kept().join("config");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("policy.toml"), "[ceilings]\nmemory = \"lots\"\n").unwrap();
    let run = scene.hostctl(&["doctor"]);
    assert_eq!(run.code, 1, "{run:#?}");
    assert!(run.out.contains("policy.toml:2:10: ceilings.memory"), "{}", run.out);
}

#[test]
fn it_writes_nothing() {
    let scene = Scene::new("doctor-writes");
    scene.hostctl(&["doctor"]);
    assert!(!scene.kept().exists());
}
