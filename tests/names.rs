//! Promise: a program finds what it needs and what it may connect to by name, and a name leads to
//! nothing that is not granted.

use std::io::Write;
use std::net::TcpListener;
use std::thread;

use crate::support::namespace::{Namespace, alone};
use crate::support::{As, EVERYONE, Ran, Scene};

/// Says what its variables and its table of names say.
const SAY: &str = "env | grep -E '^(DB|TWO_WORDS|MUTE)_' | sort\ncat /etc/hosts\n";

const NEEDS: &str = r#"
name = "forum"
[services.db]
run = "true"
port = 5432
[services.two-words]
run = "true"
port = 6379
[services.mute]
run = "true"
[services.web]
run = "sh main.sh"
needs = ["db", "two-words", "mute"]
"#;

fn variables(offset: u16) -> String {
    let (db, two) = (5432 + offset, 6379 + offset);
    format!(
        "DB_HOST=127.0.0.1\nDB_PORT={db}\nDB_URL=tcp://127.0.0.1:{db}\nMUTE_HOST=127.0.0.1\n\
         TWO_WORDS_HOST=127.0.0.1\nTWO_WORDS_PORT={two}\nTWO_WORDS_URL=tcp://127.0.0.1:{two}\n"
    )
}

#[test]
fn needs_are_in_variables_and_in_the_table_of_names() {
    for who in EVERYONE {
        for (offset, host) in [(0, "forum"), (3, "forum-3")] {
            let scene = Scene::new(who);
            scene.write("main.sh", SAY);
            scene.write("app.toml", NEEDS);
            let offset_is = offset.to_string();
            let arguments = ["run", "app.toml", "--service", "web", "--port-offset", &offset_is];
            let ran = scene.run(arguments).exited(0);
            let names = format!(
                "127.0.0.1 localhost {host}\n::1 localhost ip6-localhost\n\
                 127.0.0.1 db {host}.db.internal\n\
                 127.0.0.1 two-words {host}.two-words.internal\n\
                 127.0.0.1 mute {host}.mute.internal\n"
            );
            let expected = format!("{}{names}", variables(offset));
            assert_eq!(ran.out, expected, "{who:?}: {}", ran.err);
        }
    }
}

/// Tries names, and what lies beside them.
const CLIENT: &str = r#"
import os, socket, sys
def attempt(name, host, port):
    try:
        if host.startswith('udp/'):
            socket.socket(type=socket.SOCK_DGRAM).sendto(b'question', (host[4:], port))
            print(name, 'sent')
        else:
            print(name, socket.create_connection((host, port), 2).recv(16).decode())
    except OSError:
        print(name, 'nothing')
for word in sys.argv[1:]:
    host, port = word.rsplit(':', 1)
    attempt(word, host, int(port))
print('url', os.environ.get('DB_URL'))
"#;

/// Greets everybody on a port, with what it is called.
fn greet(name: &'static str, address: &str) {
    let listener = TcpListener::bind(address).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.and_then(|mut stream| stream.write_all(name.as_bytes()));
        }
    });
}

fn knowing(scene: &Scene, names: &str, arguments: &[&str]) -> Ran {
    Ran::from(scene.hostctl_knowing(names, arguments).output().unwrap())
}

#[test]
fn a_need_is_reached_by_its_name_and_no_other_port_of_it() {
    for who in EVERYONE {
        alone(|| {
            greet("hello", "127.0.0.1:5432");
            greet("hello", "127.0.0.1:5433");
            let scene = Scene::new(who);
            scene.write("main.py", CLIENT);
            // Of TCP a second wall knows the port; of UDP there is but the one.
            let program = "python3 main.py db:5432 db:5433 udp/db:5433";
            scene.write("app.toml", &NEEDS.replace("sh main.sh", program));
            let ran = scene.run(["run", "app.toml", "--service", "web"]).exited(0);
            // Without root nothing judges datagrams, as the run says.
            let datagram = if who == As::Root { "nothing" } else { "sent" };
            let expected = format!(
                "db:5432 hello\ndb:5433 nothing\nudp/db:5433 {datagram}\n\
                 url tcp://127.0.0.1:5432\n"
            );
            assert_eq!(ran.out, expected, "{who:?}: {}", ran.err);
        });
    }
}

/// The host may know another machine by the same name; the app's own word counts inside.
#[test]
fn the_name_of_a_need_is_not_the_host_s_word() {
    for who in EVERYONE {
        alone(|| {
            greet("need", "127.0.0.1:5432");
            greet("other", "127.0.7.7:5432");
            let scene = Scene::new(who);
            scene.write("main.py", CLIENT);
            scene.write("app.toml", &NEEDS.replace("sh main.sh", "python3 main.py db:5432"));
            let ran = knowing(&scene, "127.0.7.7 db\n", &["run", "app.toml", "--service", "web"]);
            let ran = ran.exited(0);
            assert!(ran.out.starts_with("db:5432 need\n"), "{who:?}: {}{}", ran.out, ran.err);
        });
    }
}

#[test]
fn a_granted_name_is_known_inside_and_no_other_is() {
    let names = "127.0.3.1 one.example two.example\n127.0.3.2 one.example\n";
    for who in EVERYONE {
        alone(|| {
            let scene = Scene::new(who);
            let script = "cat /etc/hosts; getent ahosts two.example; echo $?";
            scene.shell_app(script, "[access]\nconnect = [\"one.example:7001\"]\n");
            let ran = knowing(&scene, names, &["run", "--quiet", "app.toml"]).exited(0);
            // Blank lines only make room for later.
            let said: Vec<_> = ran.out.lines().filter(|line| !line.is_empty()).collect();
            let expected = [
                "127.0.0.1 localhost demo",
                "::1 localhost ip6-localhost",
                "127.0.3.1 one.example",
                "127.0.3.2 one.example",
                "2",
            ];
            assert_eq!(said, expected, "{who:?}: {}", ran.err);
        });
    }
}

#[test]
fn a_granted_name_is_reached_on_its_port() {
    for who in EVERYONE {
        alone(|| {
            greet("hello", "127.0.3.1:7001");
            greet("hello", "127.0.3.1:7002");
            let scene = Scene::new(who);
            scene.write("main.py", CLIENT);
            let words = "cache.example:7001 cache.example:7002";
            let text = format!("name = \"demo\"\nrun = \"python3 main.py {words}\"\n");
            let text = format!("{text}[access]\nconnect = [\"cache.example:7001\"]\n");
            scene.write("app.toml", &text);
            let names = "127.0.3.1 cache.example\n";
            let ran = knowing(&scene, names, &["run", "--quiet", "app.toml"]).exited(0);
            let expected = "cache.example:7001 hello\ncache.example:7002 nothing\nurl None\n";
            assert_eq!(ran.out, expected, "{who:?}: {}", ran.err);
        });
    }
}

/// In a network of its own, too; the file behind the table goes with the run.
#[test]
fn names_lead_out_of_a_private_network() {
    let (host, other) = (Namespace::new(), Namespace::new());
    host.wire("eth0", &["192.0.2.1/24"], &other, "eth0", &["192.0.2.2/24"]);
    other.enter(|| greet("hello", "192.0.2.2:7001"));
    host.enter(|| greet("need", "127.0.0.1:5432"));
    let scene = Scene::new(As::Root);
    scene.write("main.py", CLIENT);
    let words = "cache.example:7001 cache.example:7002 db:5432 two-words:6379";
    let access = "access = { network = \"private\", connect = [\"cache.example:7001\"] }\n";
    let text = NEEDS.replace("sh main.sh", &format!("python3 main.py {words}")) + access;
    scene.write("app.toml", &text);
    let names = "192.0.2.2 cache.example\n";
    let ran = host.enter(|| knowing(&scene, names, &["run", "app.toml", "--service", "web"]));
    let expected = "\
cache.example:7001 hello
cache.example:7002 nothing
db:5432 need
two-words:6379 nothing
url tcp://169.254.1.1:5432
";
    assert_eq!(ran.out, expected, "{}", ran.err);
    let left = std::fs::read_dir(scene.outside().join("run/hosts")).into_iter().flatten().count();
    assert_eq!(left, 0);
}

/// The table is hostctl's: the program can neither change it nor put another in its place.
#[test]
fn the_table_of_names_is_not_the_program_s() {
    let script = "echo 127.0.9.9 x >> /etc/hosts && echo SUCCEEDED
echo 127.0.9.9 x > /tmp/hosts; mv /tmp/hosts /etc/hosts && echo SUCCEEDED
rm /etc/hosts && echo SUCCEEDED
true";
    for who in EVERYONE {
        alone(|| {
            let scene = Scene::new(who);
            scene.shell_app(script, "[access]\nconnect = [\"one.example:7001\"]\n");
            let names = "127.0.3.1 one.example\n";
            let ran = knowing(&scene, names, &["run", "--quiet", "app.toml"]).exited(0);
            assert_eq!(ran.out, "", "{who:?}");
            assert_eq!(ran.err.lines().count(), 3, "{who:?}: {}", ran.err);
        });
    }
}
