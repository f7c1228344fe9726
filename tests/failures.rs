//! Promise: a start that fails says which step, on which object, why and where the manifest names
//! it, with a stable exit code, and starts nothing.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{As, EVERYONE, Ran, Scene};

/// Run a manifest that can't start; what was said must hold every part.
#[track_caller]
fn refused(scene: &Scene, manifest: &str, code: i32, parts: &[&str]) -> Ran {
    scene.write("app.toml", manifest);
    let ran = scene.run(["run", "app.toml"]).exited(code);
    assert_eq!(ran.out, "", "nothing started");
    for part in parts {
        assert!(ran.err.contains(part), "{part:?} is missing in:\n{}", ran.err);
    }
    ran
}

#[test]
fn a_granted_path_that_is_missing() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let manifest =
            "name = \"demo\"\nrun = \"echo on\"\n[access]\nread = [\".\", \"/srv/none/x\"]\n";
        let parts = [
            "app.toml:4:14: access.read[1]: /srv/none does not exist (ENOENT)",
            "in step ",
            "\"bind /srv/none/x read-only (nosuid nodev)\"",
        ];
        refused(&scene, manifest, 65, &parts);
        let manifest = "name = \"demo\"\nrun = \"echo on\"\n[access]\nwrite = [\"cache\"]\n";
        refused(
            &scene,
            manifest,
            65,
            &["app.toml:4:10: access.write[0]: ", "/app/cache does not exist"],
        );
    }
}

#[test]
fn a_granted_path_that_leads_through_a_file() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.write("book", "");
        let manifest = "name = \"demo\"\nrun = \"echo on\"\naccess = { read = [\"book/page\"] }\n";
        refused(&scene, manifest, 65, &["app.toml:3:", "access.read[0]: ", "/app/book", "ENOTDIR"]);
    }
}

#[test]
fn a_working_directory_that_is_a_file() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.write("book", "");
        let manifest = "name = \"demo\"\nrun = \"echo on\"\ndir = \"book\"\n";
        refused(&scene, manifest, 126, &["working directory", "/app/book", "ENOTDIR"]);
    }
}

#[test]
fn a_working_directory_that_is_missing() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let manifest = "name = \"demo\"\nrun = \"echo on\"\ndir = \"none\"\n";
        refused(&scene, manifest, 127, &["working directory", "/app/none", "in step "]);
    }
}

#[test]
fn a_working_directory_that_is_not_in_view() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let manifest = "name = \"demo\"\nrun = \"echo on\"\ndir = \"/var/lib\"\n";
        let parts = ["app.toml:3:7: dir: /var/lib is not in view", "hint: add it to [access] read"];
        refused(&scene, manifest, 65, &parts);
    }
}

#[test]
fn a_program_that_does_not_exist() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        for (run, part) in [
            ("no-such-program", "no program no-such-program along PATH="),
            ("./missing", "missing does not exist inside the sandbox"),
            ("/var/lib/missing", "/var/lib/missing does not exist inside the sandbox"),
        ] {
            let manifest = format!("name = \"demo\"\nrun = \"{run}\"\n");
            let step = format!("\"start {run}\"");
            refused(&scene, &manifest, 127, &["app.toml:2:7: run: ", part, &step]);
        }
    }
}

#[test]
fn a_program_that_can_not_be_executed() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.write("data.txt", "text\n");
        scene.script("headless", "echo on\n");
        for (run, part) in [
            ("./data.txt", "data.txt is not executable; chmod +x "),
            ("./headless", "headless is neither a program for this machine nor a script with #!"),
            ("/usr", "/usr is not a file"),
        ] {
            let manifest = format!("name = \"demo\"\nrun = \"{run}\"\n");
            refused(&scene, &manifest, 126, &["app.toml:2:7: run: ", part]);
        }
    }
}

#[test]
fn an_interpreter_that_is_not_in_view() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.script("lost", "#!/opt/none/python\n");
        let manifest = "name = \"demo\"\nrun = \"./lost\"\n";
        refused(&scene, manifest, 127, &["lost needs its interpreter /opt/none/python"]);
        std::fs::copy("/usr/bin/true", scene.script("dynamic", "")).unwrap();
        let manifest = "name = \"demo\"\nrun = \"./dynamic\"\naccess = { base = \"none\" }\n";
        let parts = ["dynamic needs its interpreter /lib", "base = \"system\""];
        refused(&scene, manifest, 127, &parts);
    }
}

#[test]
fn a_program_that_the_apps_user_may_not_read() {
    let scene = Scene::new(As::Root);
    let program = scene.script("private", "#!/bin/sh\necho on\n");
    std::fs::set_permissions(program, PermissionsExt::from_mode(0o700)).unwrap();
    // The file's own mode is the cause, not the grant, which allows to execute.
    let parts = ["private", "may not be executed", "the app's user"];
    refused(&scene, "name = \"demo\"\nrun = \"./private\"\n", 126, &parts);
}

#[test]
fn a_folder_that_the_apps_user_may_not_enter() {
    let scene = Scene::new(As::Root);
    std::fs::set_permissions(scene.app(), PermissionsExt::from_mode(0o700)).unwrap();
    let parts = ["/app can't be entered by the app's user (EACCES)"];
    refused(&scene, "name = \"demo\"\nrun = \"true\"\n", 126, &parts);
}

#[test]
fn a_port_moved_past_the_last() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.write("app.toml", "name = \"demo\"\nrun = \"true\"\nport = 65534\n");
        let ran = scene.run(["run", "app.toml", "--port-offset", "3"]).exited(65);
        assert!(ran.err.contains("port: 65534 + 3 = 65537 is past 65535"), "{}", ran.err);
    }
}

#[test]
fn a_log_that_can_not_be_written() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let manifest =
            "name = \"demo\"\nrun = \"echo on\"\nlogs = { sinks = [\"file:none/app.log\"] }\n";
        refused(&scene, manifest, 73, &["logs.sinks: ", "/none/app.log: no such file"]);
    }
}

#[test]
fn what_this_version_does_not_do_is_refused_by_name() {
    let cases = [
        ("port = 80\nidle = \"10m\"", "idle: scaling to zero is not done"),
        (
            "hooks = { tidy = { cron = \"@daily\", run = \"true\" } }",
            "hooks.tidy: hooks can't be run",
        ),
    ];
    for who in EVERYONE {
        let scene = Scene::new(who);
        for (keys, part) in cases {
            let manifest = format!("name = \"demo\"\nrun = \"echo on\"\n{keys}\n");
            refused(&scene, &manifest, 65, &["app.toml:", part, "in this version", "hint: "]);
        }
    }
    let scene = Scene::new(As::User);
    let manifest = "name = \"demo\"\nrun = \"echo on\"\nport = { port = 80, fixed = true }\n";
    scene.write("app.toml", manifest);
    let ran = scene.run(["run", "app.toml", "--port-offset", "1"]).exited(65);
    assert!(ran.err.contains("the fixed port 80 can be moved as root only"), "{}", ran.err);
}

#[test]
fn a_service_that_is_not_there_is_none() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let manifest =
            "name = \"demo\"\n[services.a]\nrun = \"true\"\n[services.b]\nrun = \"true\"\n";
        scene.write("app.toml", manifest);
        scene.run(["run", "app.toml", "--service", "b"]).exited(0);
        let ran = scene.run(["run", "app.toml", "--service", "c"]).exited(65);
        assert!(ran.err.contains("there is no service \"c\""), "{}", ran.err);
        let ran = scene.run(["run", "app.toml", "--interactive"]).exited(2);
        assert!(ran.err.contains("add --service NAME to run one of them"), "{}", ran.err);
        let ran = scene.run(["plan", "app.toml"]).exited(0);
        assert!(ran.out.contains("demo.a.1 (") && ran.out.contains("demo.b.1 ("), "{}", ran.out);
    }
}

#[test]
fn a_manifest_that_can_not_be_read() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let ran = scene.run(["run", "none.toml"]).exited(66);
        assert!(ran.err.contains("none.toml: no such file"), "{}", ran.err);
        std::fs::copy("/usr/bin/true", scene.write("app.toml", "")).unwrap();
        let ran = scene.run(["run", "app.toml"]).exited(65);
        assert!(ran.err.contains("app.toml: not UTF-8 from byte"), "{}", ran.err);
        refused(&scene, &"#".repeat((1 << 20) + 1), 65, &["app.toml: larger than 1 MiB"]);
        let ran = scene.run(["run"]).exited(2);
        assert!(ran.err.contains("there is no manifest"), "{}", ran.err);
    }
}

#[test]
fn a_state_directory_that_others_may_write() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let manifest =
            "name = \"demo\"\nrun = \"echo on\"\naccess = { write = [\"data:/srv/x\"] }\n";
        let store = scene.state().join(if who == As::Root { "uids" } else { "data" });
        std::fs::create_dir_all(store.join("demo")).unwrap();
        for path in [&store, &store.join("demo")] {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
        }
        let code = if who == As::Root { 69 } else { 73 };
        refused(&scene, manifest, code, &[&store.display().to_string(), "writable by you alone"]);
    }
}

#[test]
fn a_directory_of_hostctls_that_is_relative() {
    let scene = Scene::new(As::User);
    let mut command = scene.hostctl(["run", "--name", "demo", "--", "true"]);
    let ran = Ran::from(command.env("HOSTCTL_STATE_DIR", "state").output().unwrap()).exited(69);
    assert!(ran.err.contains("$HOSTCTL_STATE_DIR must be an absolute path"), "{}", ran.err);
    assert!(!Path::new("state").exists());
}
