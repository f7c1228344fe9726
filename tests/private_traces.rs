//! Promise: a private network changes nothing of the host that is still there after its end, nor,
//! after a kill, after the next one's.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::namespace::{Namespace, ip};
use crate::support::{As, Running, Scene, eventually};

/// Its name is found again in what it makes.
const NAME: &str = "trace";

fn scene() -> Scene {
    let scene = Scene::new(As::Root);
    let access = "access = { network = \"private\", connect = [\"192.0.2.2:7001\"] }\n";
    scene.shell_app("echo ready; exec sleep 600", &format!("port = 8080\n{access}"));
    scene
}

fn start(scene: &Scene) -> Running {
    let name = format!("name={NAME}-{}", std::process::id());
    let mut running = scene.start(["run", "--quiet", "--set", &name, "app.toml"]);
    running.until_output("ready");
    running
}

fn said(program: &str, words: &str) -> String {
    let output = Command::new(program).args(words.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "{program} {words}");
    String::from_utf8(output.stdout).unwrap()
}

/// Every setting below a folder that has to do with forwarding or with addresses of others.
fn settings(folder: &str) -> String {
    let read = |entry: fs::DirEntry| {
        let names = ["forwarding", "force_forwarding", "proxy_arp", "proxy_ndp", "route_localnet"];
        let one = |name: &str| {
            let path = entry.path().join(name);
            let value = fs::read_to_string(&path).ok()?;
            Some(format!("{} {}\n", path.display(), value.trim()))
        };
        names.iter().filter_map(|name| one(name)).collect::<String>()
    };
    let mut all: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| read(entry.unwrap())).collect();
    all.sort();
    all.concat()
}

/// The host's network as far as an instance could change it.
fn host_s_network() -> String {
    [
        said("ip", "-brief link"),
        said("ip", "-brief addr"),
        said("ip", "route show table all"),
        said("ip", "-6 route show table all"),
        said("ip", "rule"),
        said("ip", "neigh"),
        said("nft", "list ruleset"),
        settings("/proc/sys/net/ipv4/conf"),
        settings("/proc/sys/net/ipv6/conf"),
        fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap(),
        fs::read_to_string("/proc/sys/net/ipv4/ip_local_reserved_ports").unwrap(),
    ]
    .join("--\n")
}

/// Folders of this test's instances on the cgroup v2 mount, and the files that a run may not leave.
fn folders(scene: &Scene) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let own = mounts.lines().find(|line| line.contains(" - cgroup2 ")).expect("cgroup v2 mounted");
    let mut found = Vec::new();
    let name = format!("hostctl-{NAME}-{}", std::process::id());
    below(Path::new(own.split(' ').nth(4).unwrap()), &mut |folder| {
        if folder.file_name().is_some_and(|last| last.to_string_lossy().starts_with(&name)) {
            found.push(folder.display().to_string());
        }
    });
    for kept in ["forwarding", "hosts"] {
        let files = fs::read_dir(scene.outside().join("run").join(kept)).into_iter().flatten();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        found.extend(names.filter(|name| name != "lock"));
    }
    found
}

fn below(folder: &Path, look: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            look(&entry.path());
            below(&entry.path(), look);
        }
    }
}

fn host() -> (Namespace, Namespace) {
    let (host, other) = (Namespace::new(), Namespace::new());
    host.wire("eth0", &["192.0.2.1/24"], &other, "eth0", &["192.0.2.2/24"]);
    host.enter(|| {
        ip("route add default via 192.0.2.2");
        // Its link-local address comes with a route a moment after the device is up.
        eventually("addresses are settled", || said("ip", "-6 addr show tentative").is_empty());
    });
    (host, other)
}

#[test]
fn nothing_is_left_after_the_end() {
    let (host, _other) = host();
    let scene = scene();
    host.enter(|| {
        let before = host_s_network();
        let running = start(&scene);
        let meanwhile = host_s_network();
        assert!(meanwhile.contains("conf/eth0/forwarding 1"), "{meanwhile}");
        assert!(meanwhile.contains("table inet hostctl-trace-"), "{meanwhile}");
        assert!(!folders(&scene).is_empty());
        running.signal("TERM");
        running.wait().exited(143);
        assert_eq!(host_s_network(), before);
        assert_eq!(folders(&scene), Vec::<String>::new());
    });
}

/// Forwarding that the operator had switched on is not switched off.
#[test]
fn what_was_on_before_stays_on() {
    let (host, _other) = host();
    let scene = scene();
    host.enter(|| {
        fs::write("/proc/sys/net/ipv4/conf/eth0/forwarding", "1").unwrap();
        let before = host_s_network();
        let running = start(&scene);
        running.signal("TERM");
        running.wait().exited(143);
        assert_eq!(host_s_network(), before);
    });
}

#[test]
fn nothing_is_left_of_a_killed_one_after_the_next() {
    let (host, _other) = host();
    let scene = scene();
    host.enter(|| {
        let before = host_s_network();
        let killed = start(&scene);
        let inside = killed.descendants();
        killed.signal("KILL");
        killed.wait();
        let gone = |pid: &i32| !Path::new(&format!("/proc/{pid}")).exists();
        eventually("the end of the instance", || inside.iter().all(gone));
        let next = start(&scene);
        next.signal("TERM");
        next.wait().exited(143);
        eventually("the devices of the killed one are gone", || host_s_network() == before);
        assert_eq!(folders(&scene), Vec::<String>::new());
    });
}
