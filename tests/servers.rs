//! Promise: real servers and clients work under enforcement as they do without, and what enforces
//! outlives a killed hostctl, but nobody else.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::support::attack::BARE;
use crate::support::namespace::alone;
use crate::support::ports::get;
use crate::support::{As, EVERYONE, Scene, eventually};

const NGINX: &str = "\
daemon off;
pid /tmp/nginx.pid;
events {}
http {
    access_log off;
    client_body_temp_path /tmp/a;
    proxy_temp_path /tmp/b;
    fastcgi_temp_path /tmp/c;
    uwsgi_temp_path /tmp/d;
    scgi_temp_path /tmp/e;
    server { LISTEN; location / { return 200 \"served\"; } }
}
";

#[test]
fn nginx_listens_however_it_is_told() {
    for listen in [
        "listen 8080",
        "listen 127.0.0.1:8080",
        "listen [::]:8080 ipv6only=off",
        "listen 8080; listen [::]:8080 ipv6only=on",
        "listen 8080 reuseport",
    ] {
        for who in EVERYONE {
            alone(|| {
                let scene = Scene::new(who);
                scene.write("nginx.conf", &NGINX.replace("LISTEN", listen));
                let run =
                    format!("nginx -e stderr -p /tmp -c {}/nginx.conf", scene.app().display());
                scene.write("app.toml", &format!("name = \"web\"\nrun = {run:?}\nport = 8080\n"));
                let mut running = scene.start(["run", "--quiet", "app.toml"]);
                eventually(listen, || {
                    assert!(running.child().try_wait().unwrap().is_none(), "{listen}");
                    get(8080, "/").as_deref() == Some("served")
                });
            });
        }
    }
}

#[test]
fn node_and_python_talk_to_one_another() {
    let server = "require('http').createServer((_, to) => to.end('served')).listen(8080)";
    let client = "\
import urllib.request
print(urllib.request.urlopen('http://localhost:8080/').read().decode())
";
    for who in EVERYONE {
        alone(|| {
            let (node, python) = (Scene::new(who), Scene::new(who));
            node.write("server.js", server);
            node.write("app.toml", "name = \"web\"\nrun = \"node server.js\"\nport = 8080\n");
            let _running = node.start(["run", "--quiet", "app.toml"]);
            eventually("node serves", || get(8080, "/").is_some());
            python.write("client.py", client);
            let text = "name = \"client\"\nrun = \"python3 client.py\"\n\
                [access]\nconnect = [\"localhost:8080\"]\n";
            python.write("app.toml", text);
            let ran = python.run(["run", "--quiet", "app.toml"]).exited(0);
            assert_eq!(ran.out, "served\n", "{who:?}");
        });
    }
}

/// Cgroup folders that name an app.
fn folders(app: &str) -> Vec<PathBuf> {
    let mark = format!("hostctl-{app}.");
    let mut found = Vec::new();
    let mut open = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().starts_with(&mark) {
                    found.push(entry.path());
                }
                open.push(entry.path());
            }
        }
    }
    found
}

/// An app with a name that no other test has.
fn named(scene: &Scene, run: &str, rest: &str) -> String {
    let name = format!("killed{}", std::process::id());
    let text = format!("name = {name:?}\nrun = {run:?}\nport = 8080\n[access]\n{BARE}\n{rest}");
    scene.write("app.toml", &text);
    name
}

/// The program goes on sending for as long as the kernel lets it.
#[test]
fn the_rules_hold_until_the_last_process_is_gone() {
    alone(|| {
        let scene = Scene::new(As::Root);
        scene.attacker("persist");
        let name = named(&scene, "./persist send/udp/127.0.0.1/7000", "");
        let mut running = scene.start(["run", "--quiet", "app.toml"]);
        running.until_output("send/udp/127.0.0.1/7000: ");
        let inside = folders(&name);
        assert_eq!(inside.len(), 1, "{inside:?}");
        let procs = || std::fs::read_to_string(inside[0].join("cgroup.procs")).unwrap_or_default();
        assert!(procs().lines().count() >= 2);
        let output = running.child().stdout.take().unwrap();
        running.signal("KILL");
        running.child().wait().unwrap();
        let mut said = String::new();
        std::io::Read::read_to_string(&mut { output }, &mut said).unwrap();
        // How often it still tried is up to the scheduler; its last line may be cut short.
        let whole = said.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        assert!(whole.into_iter().all(|line| line.ends_with(": EPERM\n")), "{said}");
        eventually("the last process is gone", || procs().is_empty());
        // The next run of any app removes what is left.
        named(&scene, "./persist", "");
        scene.run(["run", "--quiet", "app.toml"]).exited(0);
        assert!(folders(&name).is_empty(), "{:?}", folders(&name));
    });
}

#[test]
fn a_run_that_ends_leaves_no_cgroup() {
    alone(|| {
        let scene = Scene::new(As::Root);
        scene.attacker("persist");
        let name = named(&scene, "./persist", "");
        scene.run(["run", "--quiet", "app.toml"]).exited(0);
        assert!(folders(&name).is_empty(), "{:?}", folders(&name));
        let name = named(&scene, "./absent", "");
        let mut command = scene.hostctl(["run", "--quiet", "app.toml"]);
        assert!(!command.stderr(Stdio::null()).status().unwrap().success());
        assert!(folders(&name).is_empty(), "{:?}", folders(&name));
        assert!(Path::new("/sys/fs/cgroup").is_dir());
    });
}
