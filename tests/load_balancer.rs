//! Promise: clients of a service reach it from this host and from others, by IPv4 and IPv6, TCP and
//! UDP, with the addresses they have; operators change who gets what while it runs, with backends
//! that hostd knows nothing of, too; and the host's firewall keeps its say.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::hostd::Hostd;
use crate::support::load::Load;
use crate::support::namespace::{Namespace, ip};
use crate::support::ports::get;
use crate::support::{As, Scene, eventually, kill};

/// Tells each client who answers and by which address it is seen, by TCP and UDP.
const PROGRAM: &str = r#"
import os, select, socket
name = os.environ['HOST']
sockets = []
for family, every in [(socket.AF_INET, '0.0.0.0'), (socket.AF_INET6, '::')]:
    web, game = socket.socket(family), socket.socket(family, socket.SOCK_DGRAM)
    for one in web, game:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    web.bind((every, 8080))
    web.listen(64)
    game.bind((every, 27015))
    sockets += [web, game]
while True:
    for one in select.select(sockets, [], [])[0]:
        if one.type == socket.SOCK_STREAM:
            client, address = one.accept()
            client.sendall(f'{name} {address[0]}'.encode())
            client.close()
        else:
            _, address = one.recvfrom(64)
            one.sendto(f'{name} {address[0]}'.encode(), address)
"#;

/// The host between a client and a server of somebody else.
struct Machines {
    client: Namespace,
    host: Namespace,
    far: Namespace,
}

fn machines() -> Machines {
    let (client, host, far) = (Namespace::new(), Namespace::new(), Namespace::new());
    host.wire(
        "eth0",
        &["192.0.2.1/24", "2001:db8:1::1/64"],
        &client,
        "eth0",
        &["192.0.2.2/24", "2001:db8:1::2/64"],
    );
    host.wire("eth1", &["198.51.100.1/24"], &far, "eth0", &["198.51.100.2/24"]);
    Machines { client, host, far }
}

/// Do something on machines of a test's own, with a hostd on the one in the middle.
fn with(act: impl FnOnce(&Machines, &Scene, &mut Hostd<'_>) + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let machines = machines();
            machines.host.enter(|| {
                let scene = Scene::new(As::Root);
                scene.service();
                scene.write("main.py", PROGRAM);
                let mut hostd = Hostd::start(&scene);
                act(&machines, &scene, &mut hostd);
            });
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// Two instances of the program above; `rest` are further keys.
fn demo(rest: &str) -> String {
    format!(
        "name = \"demo\"\nrun = \"python3 main.py\"\nport = 8080\ncount = 2\n{rest}\n\
         [ports]\ngame = {{ port = 27015, protocol = \"udp\" }}\n"
    )
}

fn by_stream(address: &str) -> Option<String> {
    let place = address.parse().unwrap();
    let mut stream = TcpStream::connect_timeout(&place, Duration::from_millis(700)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).ok()?;
    Some(said)
}

/// A client of UDP that keeps its socket.
struct Player(UdpSocket);

impl Player {
    fn new(to: &str) -> Player {
        let place: SocketAddr = to.parse().unwrap();
        let own = if place.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(own).unwrap();
        socket.connect(place).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        Player(socket)
    }

    /// What comes back to a datagram, if anything does before long.
    fn ask(&self) -> Option<String> {
        self.0.send(b"?").ok()?;
        let mut said = [0; 128];
        let length = self.0.recv(&mut said).ok()?;
        Some(String::from_utf8_lossy(&said[..length]).into_owned())
    }

    /// Ask until there is an answer that passes.
    fn until(&self, passes: impl Fn(&str) -> bool) -> String {
        let mut said = None;
        eventually("an answer", || {
            said = self.ask().filter(|said| passes(said));
            said.is_some()
        });
        said.unwrap()
    }
}

/// Who answers, by how many of so many clients it was.
fn turns(count: usize, ask: impl Fn() -> Option<String>) -> BTreeMap<String, usize> {
    let mut turns = BTreeMap::new();
    for _ in 0..count {
        *turns.entry(ask().unwrap_or_else(|| "nobody".to_owned())).or_default() += 1;
    }
    turns
}

#[test]
fn clients_keep_their_addresses_wherever_they_come_from() {
    with(|machines, _, hostd| {
        hostd.deploy_and_wait(&demo(""));
        let seen = |client: &Namespace, place: &str, address: &str| {
            let turns = client.enter(|| turns(16, || by_stream(place)));
            assert_eq!(turns.len(), 2, "{place}: {turns:?}");
            for (said, count) in turns {
                assert!(said.ends_with(&format!(" {address}")), "{place}: {said}");
                assert_eq!(count, 8, "{place}: by turns");
            }
        };
        seen(&machines.client, "192.0.2.1:8080", "192.0.2.2");
        seen(&machines.client, "[2001:db8:1::1]:8080", "2001:db8:1::2");
        let here = Namespace::current();
        seen(&here, "127.0.0.1:8080", "127.0.0.1");
        seen(&here, "192.0.2.1:8080", "192.0.2.1");
        seen(&here, "[::1]:8080", "::1");
        let own = hostd.instances("demo")[0]["ports"][0]["address"].clone();
        let own = own.as_str().unwrap().to_owned();
        // The client would have a way there.
        machines.client.enter(|| ip("route add 10.99.0.0/16 via 192.0.2.1"));
        let reached = machines.client.enter(|| by_stream(&format!("{own}:8080")));
        assert_eq!(reached, None, "an instance is reached by its service alone");
        let direct = by_stream(&format!("{own}:8080")).unwrap();
        assert!(direct.starts_with(&own), "on the host it is itself: {direct}");
    });
}

#[test]
fn players_of_udp_go_where_somebody_is() {
    with(|machines, _, hostd| {
        hostd.deploy_and_wait(&demo(""));
        let player = machines.client.enter(|| Player::new("192.0.2.1:27015"));
        let first = player.until(|said| said.ends_with(" 192.0.2.2"));
        assert_eq!(player.ask().as_deref(), Some(&*first), "a flow stays where it is");
        let who = first.split(' ').next().unwrap();
        let is = |one: &&Value| one["ports"][0]["address"] == who;
        let instances = hostd.instances("demo");
        let gone = instances.iter().find(is).unwrap()["name"].as_str().unwrap().to_owned();
        kill("KILL", hostd.pid_of(&gone) as i32);
        player.until(|said| said != first);
        hostd.settled("demo");
        hostd.post("/v1/apps/demo/stop", &Value::Null).done();
        hostd.settled("demo");
        assert_eq!(player.ask(), None);
        hostd.post("/v1/apps/demo/start", &Value::Null).done();
        player.until(|_| true);
    });
}

#[test]
fn instances_of_private_networks_are_balanced_as_well() {
    with(|machines, _, hostd| {
        hostd.deploy_and_wait(&demo("access.network = \"private\""));
        let far = machines.client.enter(|| turns(16, || by_stream("192.0.2.1:8080")));
        assert_eq!(far.len(), 2, "{far:?}");
        assert!(far.keys().all(|said| said.ends_with(" 192.0.2.2")), "{far:?}");
        let near = turns(16, || by_stream("127.0.0.1:8080"));
        assert_eq!(near.len(), 2, "{near:?}");
        assert!(near.keys().all(|said| said != "nobody"), "{near:?}");
        let player = machines.client.enter(|| Player::new("192.0.2.1:27015"));
        player.until(|said| said.ends_with(" 192.0.2.2"));
        hostd.deploy_and_wait(&demo("access.network = \"private\"\nenv = { A = \"2\" }"));
        let far = machines.client.enter(|| turns(16, || by_stream("192.0.2.1:8080")));
        assert!(far.len() == 2 && !far.contains_key("nobody"), "{far:?}");
    });
}

/// Who needs a service finds it, whichever network either is in.
#[test]
fn what_is_needed_is_found_from_every_network() {
    const ASKS: &str = r#"
import os, socket
server = socket.create_server((os.environ['HOST'], 8080))
while True:
    client, _ = server.accept()
    db = socket.create_connection((os.environ['DB_HOST'], int(os.environ['DB_PORT'])), 5)
    client.sendall(db.recv(64))
    client.close()
"#;
    const ANSWERS: &str = r#"
import os, socket
server = socket.create_server(('0.0.0.0', 5432))
while True:
    client, _ = server.accept()
    client.sendall(b'the database')
    client.close()
"#;
    with(|_, _, hostd| {
        let said = hostd.post(
            "/v1/deploy",
            &hostd.deployment(
                "name = \"shop\"\n[services.db]\nrun = \"true\"\n\
             port = { port = 5432, interface = \"lo\" }\n[services.web]\nrun = \"true\"\n\
             port = 8080\nneeds = [\"db\"]\naccess.network = \"private\"\n",
            ),
        );
        let said = said.refused(422);
        assert!(said.contains("db is found at one place alone"), "{said}");
    });
    for (db, web) in [("host", "host"), ("host", "private"), ("private", "private")] {
        with(|_, scene, hostd| {
            scene.write("db.py", ANSWERS);
            scene.write("web.py", ASKS);
            hostd.deploy_and_wait(&format!(
                "name = \"shop\"\n[services.db]\nrun = \"python3 db.py\"\nport = 5432\n\
                 access.network = \"{db}\"\n[services.web]\nrun = \"python3 web.py\"\n\
                 port = 8080\nneeds = [\"db\"]\naccess.network = \"{web}\"\n"
            ));
            let said = by_stream("127.0.0.1:8080");
            assert_eq!(said.as_deref(), Some("the database"), "{web} needs {db}");
        });
    }
}

#[test]
fn a_port_is_found_where_its_manifest_says() {
    with(|machines, scene, hostd| {
        let text = "name = \"demo\"\nrun = \"python3 main.py\"\n\
                    port = { port = 8080, listen = 80 }\n[ports]\n\
                    game = { port = 27015, protocol = \"udp\", interface = \"lo\" }\n";
        hostd.deploy_and_wait(text);
        assert!(by_stream("127.0.0.1:80").is_some());
        assert!(machines.client.enter(|| by_stream("192.0.2.1:80")).is_some());
        assert_eq!(by_stream("127.0.0.1:8080"), None);
        Player::new("127.0.0.1:27015").until(|_| true);
        let outside = machines.client.enter(|| Player::new("192.0.2.1:27015"));
        assert_eq!(outside.ask(), None);
        hostd.deploy_and_wait(&text.replace("listen = 80", "listen = \"192.0.2.1:81\""));
        assert!(machines.client.enter(|| by_stream("192.0.2.1:81")).is_some());
        assert_eq!(by_stream("127.0.0.1:81"), None);
        let shown = scene.run(["lb", "ls"]).exited(0).out;
        assert!(shown.contains("192.0.2.1:81/tcp"), "{shown}");
        // The addresses of an interface, as they change.
        hostd.deploy_and_wait(&text.replace("listen = 80", "interface = \"eth0\""));
        assert!(machines.client.enter(|| by_stream("192.0.2.1:8080")).is_some());
        assert_eq!(by_stream("198.51.100.1:8080"), None);
        ip("addr add 192.0.2.9/24 dev eth0");
        eventually("it is found at the new address", || {
            machines.client.enter(|| by_stream("192.0.2.9:8080")).is_some()
        });
    });
}

#[test]
fn a_firewall_keeps_its_say_and_foreign_tables_their_rules() {
    with(|machines, _, hostd| {
        let rules = "table inet firewall {\n\tchain input {\n\t\ttype filter hook input \
                     priority filter; policy accept;\n\t\ttcp dport 8080 drop\n\t}\n}\n";
        let nft = |arguments: &[&str]| {
            let output = Command::new("nft").args(arguments).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let file = std::env::temp_dir().join(format!("firewall-{}.nft", std::process::id()));
        std::fs::write(&file, rules).unwrap();
        nft(&["-f", file.to_str().unwrap()]);
        std::fs::remove_file(&file).unwrap();
        let before = nft(&["list", "table", "inet", "firewall"]);
        hostd.deploy_and_wait(
            "name = \"demo\"\nrun = \"python3 main.py\"\nready = \"1s\"\n\
                               port = 8080\n[ports]\ngame = { port = 27015, protocol = \"udp\" }",
        );
        assert_eq!(machines.client.enter(|| by_stream("192.0.2.1:8080")), None, "it stays closed");
        let player = machines.client.enter(|| Player::new("192.0.2.1:27015"));
        player.until(|_| true);
        hostd.api().ask("DELETE", "/v1/apps/demo", &Value::Null).done();
        eventually("it is gone", || {
            hostd.api().ask("GET", "/v1/apps/demo", &Value::Null).status == 404
        });
        assert_eq!(nft(&["list", "table", "inet", "firewall"]), before);
        assert!(!nft(&["list", "tables"]).contains("hostctl"), "nothing of the balancer is left");
    });
}

#[test]
fn what_fails_gets_nobody_any_more() {
    with(|_, _, hostd| {
        let app = "name = \"web\"\nrun = \"./service web port host\"\nport = 8080\ncount = 3\n\
                   access.write = [\"journal\"]\nenv = { JOURNAL = \"journal\" }\n";
        hostd.deploy_and_wait(app);
        // One that hangs is noticed by its health alone; one that ends, at once.
        let load = Load::start(8080);
        load.goes_on(100);
        kill("KILL", hostd.pid_of("web.main.2") as i32);
        eventually("it is known to be gone", || {
            let list = hostd.get("/v1/lb?name=web");
            let backends = list["services"][0]["backends"].as_array().unwrap().clone();
            !backends.iter().any(|one| one["id"] == "web.main.2" && one["state"] == "serving")
                || hostd.instance("web.main.2")["restarts"] != 0
        });
        load.end();
        let load = Load::start(8080);
        load.goes_on(300);
        hostd.settled("web");
        load.goes_on(300);
        assert_eq!(load.end().failed, [""; 0], "nothing new is sent to who is gone");
    });
}

/// A server that hostd knows nothing of, in this thread's namespace: it says by which address it
/// sees its clients.
fn foreign(place: &str) {
    let listener = TcpListener::bind(place).unwrap();
    std::thread::spawn(move || {
        while let Ok((mut client, from)) = listener.accept() {
            let body = format!("far {}\n", from.ip());
            let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            let mut request = [0; 512];
            let _ = client.read(&mut request);
            let _ = client.write_all(format!("{head}{body}").as_bytes());
        }
    });
}

fn get_at(address: &str, port: u16) -> Option<String> {
    let place = format!("{address}:{port}").parse().unwrap();
    let mut stream = TcpStream::connect_timeout(&place, Duration::from_millis(700)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.split_once("\r\n\r\n")?.1.trim().to_owned())
}

#[test]
fn backends_elsewhere_serve_alone_and_beside_instances() {
    with(|machines, scene, hostd| {
        machines.far.enter(|| foreign("198.51.100.2:9000"));
        let said = scene.run(["lb", "add", "legacy", "198.51.100.2:9000"]).exited(65).err;
        assert!(said.contains("--listen 80"), "{said}");
        scene.run(["lb", "add", "legacy", "198.51.100.2:9000", "--listen", "8082"]).exited(0);
        eventually("it serves", || get_at("192.0.2.1", 8082).is_some());
        // Its answers come back because it sees the host as its client.
        assert_eq!(get_at("192.0.2.1", 8082).as_deref(), Some("far 198.51.100.1"));
        let outside = machines.client.enter(|| get_at("192.0.2.1", 8082));
        assert_eq!(outside.as_deref(), Some("far 198.51.100.1"));
        hostd.restart();
        assert!(get_at("192.0.2.1", 8082).is_some(), "it is kept");

        let app = "name = \"web\"\nrun = \"./service web port\"\nport = 8080\n\
                   access.write = [\"journal\"]\nenv = { JOURNAL = \"journal\", TAG = \"v1\" }\n";
        hostd.deploy_and_wait(app);
        scene.run(["lb", "add", "web", "198.51.100.2:9000"]).exited(0);
        let both = || turns(16, || get_at("192.0.2.1", 8080));
        eventually("both serve", || both().len() == 2);
        let half: BTreeMap<String, usize> =
            [("far 198.51.100.1".to_owned(), 8), ("web v1".to_owned(), 8)].into();
        assert_eq!(both(), half);
        let text = scene.run(["lb", "show", "web"]).exited(0).out;
        assert!(text.contains("198.51.100.2:9000 (added)"), "{text}");
        scene.run(["lb", "remove", "web", "198.51.100.2:9000"]).exited(0);
        assert_eq!(both().len(), 1);
        scene.run(["lb", "remove", "legacy"]).exited(0);
        assert_eq!(get_at("192.0.2.1", 8082), None);
        let said = scene.run(["lb", "show", "legacy"]).exited(65).err;
        assert!(said.contains("there is no service legacy"), "{said}");
    });
}

#[test]
fn operators_say_who_gets_what() {
    with(|_, scene, hostd| {
        let app = |tag: &str| {
            format!(
                "name = \"web\"\nrun = \"./service web port\"\nport = 8080\ncount = 2\n\
                 access.write = [\"journal\"]\nenv = {{ JOURNAL = \"journal\", TAG = \"{tag}\" }}\n\
                 drain = \"1m\"\n"
            )
        };
        hostd.deploy_and_wait(&app("v1").replace("web port", "web port host"));
        let turns = |count| turns(count, || get(8080, "/").map(|said| said.trim().to_owned()));
        let counts = |count| {
            let mut all: Vec<usize> = turns(count).into_values().collect();
            all.sort_unstable();
            all
        };
        assert_eq!(counts(32), [16, 16]);
        scene.run(["lb", "policy", "web", "weighted"]).exited(0);
        scene.run(["lb", "weight", "web", "web.main.1", "300"]).exited(0);
        assert_eq!(counts(32), [8, 24]);
        hostd.restart();
        assert_eq!(counts(32), [8, 24], "what was said is kept");
        scene.run(["lb", "drain", "web", "web.main.1"]).exited(0);
        assert_eq!(counts(16), [16]);
        let list: Value =
            serde_json::from_str(&scene.run(["lb", "show", "web", "--json"]).exited(0).out)
                .unwrap();
        let backends = list["services"][0]["backends"].as_array().unwrap();
        assert_eq!(backends[0]["state"], "draining", "{list}");
        assert_eq!((&backends[1]["share"], &backends[1]["version"]), (&json!(100.0), &json!("1")));
        scene.run(["lb", "drain", "web", "web.main.1", "--back"]).exited(0);
        assert_eq!(counts(32), [8, 24]);
        let wrong = [
            (["lb", "weight", "web", "nobody", "1"].as_slice(), "its backends are web.main.1"),
            (&["lb", "weight", "web", "web.main.1", "0"], "a weight is 1 to 1000"),
            (&["lb", "policy", "web", "fastest"], "the policies are round-robin"),
            (&["lb", "policy", "web", "canary"], "a canary needs a version"),
            (&["lb", "drain", "other", "x"], "there is no service other"),
            (&["lb", "remove", "web"], "web is no service that was added"),
            (&["lb", "add", "web", "127.0.0.1:80"], "a backend needs an address"),
        ];
        for (words, said) in wrong {
            let ran = scene.run(words);
            assert!(ran.code != 0 && ran.err.contains(said), "{words:?}: {}", ran.err);
        }
        let metrics = hostd.api().ask("GET", "/v1/metrics", &Value::Null);
        let line = "hostctl_lb_backend_weight{service=\"web\",backend=\"web.main.1\",\
                    version=\"1\",protocol=\"tcp\"} 300";
        assert!(metrics.body.lines().any(|one| one == line), "{}", metrics.body);
        let audit = scene.run(["audit"]).exited(0).out;
        assert!(audit.contains("lb-weight"), "{audit}");
    });
}

/// Gives the first instance three times as much as the others, until there is a file `stop`.
const PLUGIN: &str = r#"
import json, os, sys
for line in sys.stdin:
    if os.path.exists('stop'):
        sys.exit(3)
    question = json.loads(line)
    able = [one for one in question['backends'] if one['healthy'] and not one['draining']]
    weights = {one['id']: 300 if one['id'].endswith('.1') else 100 for one in able}
    print(json.dumps({'id': question['id'], 'weights': weights}), flush=True)
"#;

#[test]
fn a_policy_of_the_apps_own_decides_and_its_death_is_told() {
    with(|_, scene, hostd| {
        scene.write("plugin.py", PLUGIN);
        hostd.deploy_and_wait(
            "name = \"web\"\nrun = \"./service web port host\"\nport = 8080\ncount = 2\n\
             policy = \"mine\"\naccess.write = [\"journal\"]\nenv = { JOURNAL = \"journal\" }\n\
             [policies.mine]\nrun = \"python3 plugin.py\"\nfallback = \"random\"\n",
        );
        let counts = || {
            let turns = turns(32, || get(8080, "/").map(|said| said.trim().to_owned()));
            let mut all: Vec<usize> = turns.into_values().collect();
            all.sort_unstable();
            all
        };
        eventually("the plugin's weights count", || counts() == [8, 24]);
        let shown = scene.run(["lb", "ls"]).exited(0).out;
        assert!(shown.contains("mine"), "{shown}");
        scene.write("stop", "");
        hostd.api().follow("since=0").until("warning", "the plugin of policy mine fails");
        assert_eq!(counts().iter().sum::<usize>(), 32, "nobody is refused for that");
    });
}
