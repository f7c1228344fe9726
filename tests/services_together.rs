//! Promise: an app with several services runs whole in the foreground: each after what it needs,
//! their lines told apart, restarted as by hostd, and all of them ended together.

use std::path::Path;

use crate::support::{EVERYONE, Running, Scene, eventually};

/// Says when it starts and when it is asked to end, and answers on its port meanwhile.
const SERVICE: &str = "
import os, signal, socket, sys
name = sys.argv[1]
def end(*_):
    # Not by print, which the signal may have interrupted.
    os.write(1, f'{name} ends\\n'.encode())
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
server = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))
print(name, 'serves', flush=True)
while True:
    server.accept()[0].close()
";

/// Three services, of which each needs the one before, at ports from this one on.
fn chain(scene: &Scene, port: u16) {
    scene.write("service.py", SERVICE);
    let service = |name: &str, port: u16, rest: &str| {
        format!("[services.{name}]\nrun = \"python3 service.py {name}\"\nport = {port}\n{rest}\n")
    };
    let services = [
        service("web", port + 2, "needs = [\"queue\"]"),
        service("db", port, ""),
        service("queue", port + 1, "needs = [\"db\"]"),
    ];
    scene.write("app.toml", &format!("name = \"chain\"\n{}", services.concat()));
}

/// The lines of these services, without what stands before them.
fn lines(out: &str) -> Vec<&str> {
    out.lines().filter_map(|line| line.split_once(" | ")).map(|(_, text)| text).collect()
}

fn started(scene: &Scene) -> Running {
    let mut running = scene.start(["run", "app.toml"]);
    running.until_error("web: ready");
    running
}

#[test]
fn they_start_after_what_they_need_and_end_before_it() {
    for (who, port) in EVERYONE.into_iter().zip([6510, 6520]) {
        let scene = Scene::new(who);
        chain(&scene, port);
        let running = started(&scene);
        running.signal("TERM");
        let ran = running.wait().exited(0);
        let said = ["db serves", "queue serves", "web serves", "web ends", "queue ends", "db ends"];
        assert_eq!(lines(&ran.out), said, "{who:?}: {}\n{}", ran.out, ran.err);
        assert!(ran.out.starts_with("db    | db serves\n"), "{}", ran.out);
    }
}

#[test]
fn what_ends_is_started_again_and_the_others_go_on() {
    let scene = Scene::new(crate::support::As::Root);
    chain(&scene, 6530);
    let mut running = started(&scene);
    let queue = running.descendants().into_iter().find(|pid| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.contains("service.py\0queue")
    });
    crate::support::kill("KILL", queue.expect("the queue runs"));
    running.until_error("queue: ended by SIGKILL; started again in");
    running.until_error("queue: ready");
    running.signal("INT");
    let ran = running.wait().exited(0);
    let serves = |name: &str| {
        lines(&ran.out).iter().filter(|line| **line == format!("{name} serves")).count()
    };
    assert_eq!([serves("db"), serves("queue"), serves("web")], [1, 2, 1], "{}", ran.out);
}

#[test]
fn one_that_never_becomes_ready_ends_them_all() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let text = "name = \"half\"\n[services.db]\nrun = \"sleep 300\"\nready = \"10ms\"\n\
            [services.web]\nrun = \"sh -c 'echo no >&2; exit 7'\"\nneeds = [\"db\"]\n";
        scene.write("app.toml", text);
        let ran = scene.run(["run", "app.toml"]).exited(1);
        let told = "hostctl: everything was stopped, because web.1: exited with 7";
        assert!(ran.err.contains(told), "{who:?}: {}", ran.err);
        assert!(ran.err.contains("web | no\n"), "{}", ran.err);
    }
}

#[test]
fn a_kill_of_hostctl_ends_them_all_and_the_next_run_finds_nothing_in_its_way() {
    for (who, port) in EVERYONE.into_iter().zip([6540, 6550]) {
        let scene = Scene::new(who);
        chain(&scene, port);
        let running = started(&scene);
        let all = running.descendants();
        running.signal("KILL");
        running.wait().exited(128 + 9);
        let gone = || all.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        eventually("nothing is left", gone);
        let running = started(&scene);
        running.signal("TERM");
        running.wait().exited(0);
        let run = std::fs::read_dir(scene.outside().join("run")).unwrap();
        let left: Vec<_> = run.map(|one| one.unwrap().file_name()).collect();
        let is_place =
            |name: &&std::ffi::OsString| name.to_string_lossy().starts_with("foreground");
        assert_eq!(left.iter().find(is_place), None, "{left:?}");
    }
}

#[test]
fn several_instances_have_ports_of_their_own() {
    let scene = Scene::new(crate::support::As::Root);
    scene.write("service.py", SERVICE);
    let text = "name = \"pair\"\nrun = \"sh -c 'echo port $PORT; exec python3 service.py pair'\"\n\
        port = 6560\ncount = 2\n";
    scene.write("app.toml", text);
    let mut running = scene.start(["run", "app.toml"]);
    running.until_error("main: ready");
    running.until_error("main: ready");
    running.signal("TERM");
    let ran = running.wait().exited(0);
    let mut ports: Vec<_> =
        lines(&ran.out).into_iter().filter(|line| line.contains("port")).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 2, "{}", ran.out);
    assert!(ran.out.contains("main.2 | "), "{}", ran.out);
}

#[test]
fn one_of_them_runs_alone_as_before() {
    let scene = Scene::new(crate::support::As::Root);
    chain(&scene, 6570);
    let mut running = scene.start(["run", "app.toml", "--service", "db"]);
    running.until_output("db serves");
    running.signal("TERM");
    let ran = running.wait().exited(0);
    assert_eq!(ran.out, "db ends\n");
}
