//! `hostctl check`: what is wrong, for people and for programs.

use crate::scene::Scene;

#[test]
fn a_good_manifest_is_valid_in_both_forms() {
    let scene = Scene::new("check-good");
    scene.write("app.toml", "name = \"hello\"\nrun = \"./server\"\n");
    let run = scene.hostctl(&["check", "app.toml"]);
    assert_eq!(run.answer(), "app.toml: hello is valid, 1 service\n");
    let report = scene.hostctl(&["check", "--json", "."]).json();
    assert_eq!(report["v"], 1);
    assert_eq!(report["valid"], true);
    assert_eq!(report["errors"].as_array().unwrap().len(), 0);
}

#[test]
fn every_error_has_its_place_its_key_and_the_exit_code_of_bad_data() {
    let scene = Scene::new("check-bad");
    scene.write("app.toml", "name = \"hello\"\nrun = \"./server\"\nprot = 80\n");
    let told = scene.hostctl(&["check", "app.toml"]);
    assert_eq!((told.code, told.out.as_str()), (65, ""), "{told:#?}");
    assert!(told.err.contains("app.toml:3:1"), "{told:#?}");

    let run = scene.hostctl(&["check", "--json", "app.toml", "--set", "limits.memory=lots"]);
    assert_eq!((run.code, run.err.as_str()), (65, ""), "{run:#?}");
    let report = run.json();
    assert_eq!(report["valid"], false);
    let errors = report["errors"].as_array().unwrap();
    assert_eq!(errors.len() as u64, report["count"].as_u64().unwrap());
    let flag = errors.iter().find(|error| error["key"] == "limits.memory").unwrap();
    assert_eq!(flag["origin"], "--set limits.memory=lots");
    assert!(flag["line"].is_null() && flag["file"].is_null(), "{flag:#}");

    let report = scene.hostctl(&["check", "--json", "app.toml"]).json();
    let error = &report["errors"][0];
    assert_eq!(error["file"], "app.toml");
    assert_eq!((&error["line"], &error["column"]), (&3.into(), &1.into()));
    assert_eq!(error["key"], "prot");
    assert!(error["message"].is_string(), "{error:#}");
    assert!(error["hint"].as_str().unwrap().contains("port"), "{error:#}");
}

#[test]
fn a_file_that_is_not_there_is_another_exit_code() {
    let scene = Scene::new("check-missing");
    for arguments in [&["check", "app.toml"][..], &["check", "--json", "app.toml"]] {
        let run = scene.hostctl(arguments);
        assert_eq!((run.code, run.out.as_str()), (66, ""), "{run:#?}");
        assert!(run.err.contains("app.toml: no such file"), "{run:#?}");
    }
}
