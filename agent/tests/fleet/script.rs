//! Rollouts as stories: `rollouts/NAME.txt` says line by line what happens, and below each line,
//! indented, stands what is decided then. `UPDATE_GOLDENS=1` rewrites what is indented.
//!
//! | line | happens |
//! | --- | --- |
//! | `deploy 2: db a replace; web*2 b needs db` | version 2: one `db` of program a, in place; two `web` of b |
//! | `rollback 1` | an operator asks for an earlier version |
//! | `scale web 3` · `restart web` · `stop` · `start` · `remove` | as with hostctl |
//! | `ready web.1` · `ends web.1` · `sick web.1` · `lost web.1` | to that instance |
//! | `time web.1` | its deadline comes: too late, steady, or tried again |
//! | `breaks web.1` | it ends until nobody believes in it any more |
//! | `crash` · `reboot` | of hostd; of the host |
//! | `show` | nothing: the instances are listed |

use std::fmt::Write;
use std::path::Path;

use agent::fleet::{InstanceId, Service, Takeover, Version, Wanted};
use agent::supervise::instance::{Ending, Happening};

use super::check;
use super::world::World;

const APP: &str = "shop";

fn version(text: &str) -> Version {
    let mut version = Version::default();
    for text in text.split(';') {
        let mut words = text.split_whitespace();
        let (name, count) = match words.next().unwrap().split_once('*') {
            Some((name, count)) => (name, count.parse().unwrap()),
            None => (text.split_whitespace().next().unwrap(), 1),
        };
        let mut service = Service {
            name: name.to_owned(),
            count,
            needs: Vec::new(),
            takeover: Takeover::Beside,
            fingerprint: words.next().unwrap().to_owned(),
        };
        while let Some(word) = words.next() {
            match word {
                "replace" => service.takeover = Takeover::Replace,
                "needs" => {
                    let needs = words.next().unwrap().split(',');
                    service.needs = needs.map(ToOwned::to_owned).collect();
                }
                _ => panic!("unknown word: {word}"),
            }
        }
        version.services.push(service);
    }
    version
}

fn id(text: &str) -> InstanceId {
    let (service, number) = text.split_once('.').unwrap();
    let number = number.parse().unwrap();
    InstanceId { app: APP.to_owned(), service: service.to_owned(), number }
}

/// Let it happen.
fn line(world: &mut World, line: &str) {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    if matches!(verb, "ready" | "ends" | "lost" | "sick" | "time" | "breaks") {
        let unknown = rest.split(' ').find(|name| !world.units.contains_key(&id(name)));
        assert_eq!(unknown, None, "there is none: {line}, {:#?}", world.actual());
    }
    let mut tell = |happening: &Happening| {
        for name in rest.split(' ') {
            world.tell(&id(name), happening.clone());
        }
    };
    match verb {
        "ready" => tell(&Happening::Ready),
        "ends" => tell(&Happening::Ended(Ending::Exit(1))),
        "lost" => tell(&Happening::Ended(Ending::KeeperLost)),
        "sick" => tell(&Happening::Sick("no answer".to_owned())),
        "time" => rest.split(' ').for_each(|name| {
            world.let_due(&id(name));
        }),
        "breaks" => {
            for _ in 0..8 {
                world.tell(&id(rest), Happening::Ended(Ending::Exit(1)));
                if world.units[&id(rest)].instance.failures() < 8 {
                    world.let_due(&id(rest));
                }
            }
        }
        "deploy" => {
            let (number, services) = rest.split_once(": ").unwrap();
            world.target(APP, number.parse().unwrap(), Some(version(services)));
        }
        "rollback" => world.target(APP, rest.parse().unwrap(), None),
        "scale" => {
            let (service, count) = rest.split_once(' ').unwrap();
            world.scale(APP, service, count.parse().unwrap());
        }
        "restart" => world.restart(APP, rest),
        "stop" => world.want(APP, Wanted::Stopped),
        "start" => world.want(APP, Wanted::Running),
        "remove" => world.want(APP, Wanted::Removed),
        "crash" => world.crash(),
        "reboot" => world.units.clear(),
        _ => panic!("unknown line: {line}"),
    }
}

fn show(world: &World, text: &mut String) {
    for (id, unit) in &world.units {
        write!(text, "    {id} {}, version {}", unit.state(), unit.version).unwrap();
        match unit.instance.reason() {
            Some(reason) => writeln!(text, ", {reason}").unwrap(),
            None => writeln!(text).unwrap(),
        }
    }
}

/// The story with what is decided in it.
fn tell(story: &str) -> String {
    let mut world = World::default();
    let mut text = String::new();
    for happens in story.lines().filter(|line| !line.starts_with(' ')) {
        writeln!(text, "{happens}").unwrap();
        match happens {
            "show" => show(&world, &mut text),
            _ if happens.is_empty() || happens.starts_with('#') => {}
            _ => {
                line(&mut world, happens);
                let decisions = world.settle();
                if decisions.is_empty() {
                    writeln!(text, "    nothing").unwrap();
                }
                for decision in decisions {
                    writeln!(text, "    {decision}").unwrap();
                }
            }
        }
    }
    // However the story ends, it goes on well if the programs do.
    world.heal();
    check::rest(&world);
    text
}

#[test]
fn rollouts_are_as_told() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rollouts");
    let update = std::env::var_os("UPDATE_GOLDENS").is_some();
    let mut stories: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    stories.sort();
    assert!(stories.len() > 10, "{} stories", stories.len());
    for path in stories {
        let expected = std::fs::read_to_string(&path).unwrap();
        let told = tell(&expected);
        if update {
            std::fs::write(&path, told).unwrap();
        } else {
            assert_eq!(told, expected, "{}", path.display());
        }
    }
}
