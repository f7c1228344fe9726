//! `hostctl completions` and `hostctl schema`.

use crate::scene::Scene;

#[test]
fn each_shell_completes_every_command() {
    let scene = Scene::new("completions");
    for shell in ["bash", "zsh", "fish"] {
        let run = scene.hostctl(&["completions", shell]);
        let script = run.answer();
        for command in ["run", "plan", "check", "schema", "init", "doctor", "completions"] {
            assert!(script.contains(command), "{shell} does not know {command}");
        }
        assert!(script.contains("port-offset"), "{shell}");
    }
}

#[test]
fn the_schema_is_json_and_says_which() {
    let scene = Scene::new("schema");
    let run = scene.hostctl(&["schema"]);
    assert_eq!(run.code, 0, "{run:#?}");
    let schema = run.json();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
}
