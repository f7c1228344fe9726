//! Promise: a program finds what its manifest says: its ports, its directories, its name, and
//! nothing of the caller's environment.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::{As, EVERYONE, Ran, Scene, USER};

fn variables(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .map(|line| line.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

const PORTS: &str = r#"
name = "view"
run  = "env"
port = 8080

[ports]
metrics    = 9100
admin-api  = { port = 9200, interface = "lo" }
with_under = { port = 9300, protocol = "udp" }

[access]
write = ["data:/srv/view"]

[env]
LEVEL   = "debug"
ADDRESS = "$HOST:$PORT"
"#;

#[test]
fn the_environment_is_what_the_manifest_says_and_no_more() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.write("app.toml", PORTS);
        let mut command = scene.hostctl(["run", "app.toml", "--port-offset", "3"]);
        command.env("SECRET_TOKEN", "of the caller").env("LD_PRELOAD", "").env("TZ", "Asia/Tokyo");
        let ran = Ran::from(command.output().unwrap()).exited(0);
        let expected = [
            ("ADDRESS", "127.0.0.1:8083"),
            ("DATA_DIR", "/srv/view"),
            ("HOME", "/srv/view"),
            ("HOST", "127.0.0.1"),
            ("HOSTCTL_MANIFEST", "/run/hostctl/manifest.json"),
            ("LANG", "C.UTF-8"),
            ("LEVEL", "debug"),
            ("LOGNAME", "view+3"),
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("PORT", "8083"),
            ("PORT_ADMIN_API", "9203"),
            ("PORT_METRICS", "9103"),
            ("PORT_WITH_UNDER", "9303"),
            ("USER", "view+3"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(variables(&ran.out), expected.into(), "{who:?}");
    }
}

#[test]
fn the_resolved_manifest_is_json_with_every_decided_value() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.write(
            "app.toml",
            &PORTS.replace("\"env\"", r#"["sh", "-c", "cat $HOSTCTL_MANIFEST"]"#),
        );
        let arguments = ["run", "app.toml", "--port-offset", "3", "--set", "limits.files=512"];
        let ran = scene.run(arguments).exited(0);
        let folder = scene.app();
        let expected = json!({
            "v": 1,
            "name": "view+3",
            "service": "main",
            "instance": 1,
            "dir": folder,
            "host": "127.0.0.1",
            "run": ["sh", "-c", "cat /run/hostctl/manifest.json"],
            "ports": [
                { "port": 8083, "protocol": "tcp" },
                { "name": "metrics", "port": 9103, "protocol": "tcp" },
                { "name": "admin-api", "port": 9203, "protocol": "tcp", "interface": "lo" },
                { "name": "with_under", "port": 9303, "protocol": "udp" },
            ],
            "access": {
                "base": "system",
                "read": [folder],
                "write": [],
                "data": ["/srv/view"],
                "network": "host",
                "connect": [],
                "capabilities": [],
            },
            "limits": { "files": 512 },
            "needs": [],
            "logs": {
                "keep_bytes": 500 << 20,
                "keep_seconds": 14 * 24 * 3600,
                "full": "drop-oldest",
                "sinks": [],
            },
        });
        assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap(), expected, "{who:?}");
    }
}

#[test]
fn a_needed_service_is_found_by_its_variables() {
    let manifest = r#"
        name = "forum"
        [services.main-db]
        run  = "true"
        port = 5432
        [services.queue]
        run = "true"
        [services.web]
        run   = "env"
        port  = 3000
        needs = ["main-db", "queue"]
    "#;
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.write("app.toml", manifest);
        let arguments = ["run", "app.toml", "--service", "web", "--port-offset", "3"];
        let found = variables(&scene.run(arguments).exited(0).out);
        assert_eq!(found["PORT"], "3003");
        assert_eq!(found["MAIN_DB_HOST"], "127.0.0.1");
        assert_eq!(found["MAIN_DB_PORT"], "5435");
        assert_eq!(found["MAIN_DB_URL"], "tcp://127.0.0.1:5435");
        assert_eq!(found["QUEUE_HOST"], "127.0.0.1");
        assert!(!found.contains_key("QUEUE_PORT"), "a service without a port has none to tell");
    }
}

#[test]
fn a_program_runs_in_its_folder_as_its_user_on_its_own_host() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app("pwd; umask; hostname; id -un; id -gn; id -G; id -u", "");
        let ran = scene.run(["run", "app.toml", "--port-offset", "3"]).exited(0);
        let lines: Vec<&str> = ran.out.lines().collect();
        let folder = scene.app().display().to_string();
        assert_eq!(lines[..5], [&folder, "0022", "demo-3", "demo+3", "demo+3"], "{who:?}");
        let (groups, uid) = (lines[5], lines[6].parse::<u32>().unwrap());
        assert_eq!(groups, uid.to_string(), "one group, with the uid's number");
        match who {
            As::Root => assert!((1_900_000_000..1_900_065_536).contains(&uid), "{uid}"),
            As::User => assert_eq!(uid, USER),
        }
    }
}

#[test]
fn the_working_directory_is_the_one_the_manifest_names() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.write("sub/word", "found");
        let manifest = "name = \"demo\"\nrun = \"cat word\"\ndir = \"sub\"\n";
        scene.write("app.toml", manifest);
        // The folder counts, not where the caller happens to be.
        let path = scene.app().join("app.toml");
        let mut command = scene.hostctl(["run".as_ref(), path.as_os_str()]);
        let ran = Ran::from(command.current_dir("/").output().unwrap()).exited(0);
        assert_eq!(ran.out, "found");
    }
}

#[test]
fn granted_paths_have_the_same_names_inside() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let (book, drop) = (scene.app().join("book.txt"), scene.app().join("drop"));
        scene.write("book.txt", "read me");
        scene.write("drop/here", "");
        // A write grant of a path of the host's belongs to whom it belongs to.
        std::fs::set_permissions(&drop, PermissionsExt::from_mode(0o777)).unwrap();
        let script = format!("cat {}; echo written > {}/new", book.display(), drop.display());
        scene.shell_app(&script, "[access]\nread = [\".\"]\nwrite = [\"drop\"]\n");
        let ran = scene.run(["run", "app.toml"]).exited(0);
        assert_eq!(ran.out, "read me");
        assert_eq!(std::fs::read_to_string(drop.join("new")).unwrap(), "written\n");
    }
}

#[test]
fn check_knows_the_variables_that_a_program_will_have() {
    let scene = Scene::new(As::User);
    // The first ones are set for every program; of the others no version sets any yet.
    let always = ["HOME", "HOST", "HOSTCTL_MANIFEST", "LANG", "LOGNAME", "PATH", "USER"];
    let never = ["LISTEN_FDS", "LOG_SOCKET", "NOTIFY_SOCKET", "SECRET_TOKEN"];
    for (name, code) in always.map(|name| (name, 0)).into_iter().chain(never.map(|name| (name, 65)))
    {
        scene.write("app.toml", &format!("name = \"demo\"\nrun = \"echo ${name}\"\n"));
        let codes = ["run", "check"].map(|command| scene.run([command, "app.toml"]).code);
        assert_eq!(codes, [code, code], "run and check of ${name}");
    }
}
