//! Promise: killed at any moment, hostd is continued by the next one: no instance is lost, none
//! started twice, none restarted that nobody asked to, and what was half done is finished.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::hostd::{Hostd, Journal, is_settled};
use crate::support::namespace::alone;
use crate::support::random::Random;
use crate::support::{As, Scene, eventually};

/// Rounds of the random test; each kills hostd up to four times.
const ROUNDS: usize = 60;

/// An app of the random test, as it should be.
#[derive(Debug, Clone)]
struct Model {
    name: &'static str,
    manifest: &'static str,
    /// Services, what their programs are called, and instances as the manifest says.
    counts: &'static [(&'static str, &'static str, u64)],
    /// Those that were scaled.
    scaled: BTreeMap<&'static str, u64>,
    deployed: bool,
    running: bool,
    tag: u32,
}

impl Model {
    fn new(
        name: &'static str,
        manifest: &'static str,
        counts: &'static [(&str, &str, u64)],
    ) -> Model {
        let (deployed, running) = (false, false);
        Model { name, manifest, counts, scaled: BTreeMap::new(), deployed, running, tag: 0 }
    }

    fn count(&self, service: &str) -> u64 {
        let said = self.counts.iter().find(|(name, ..)| *name == service).unwrap().2;
        self.scaled.get(service).copied().unwrap_or(said)
    }

    fn text(&self) -> String {
        self.manifest.replace("TAGGED", &format!("v{}", self.tag))
    }
}

const PLAIN: &str = r#"
name = "plain"
run = "./service plain"
ready = "20ms"
access.write = ["journal"]
env = { JOURNAL = "journal", TAG = "TAGGED" }
"#;

const WEB: &str = r#"
name = "web"
run = "./service web socket notify"
ready = "notify"
count = 2
port = { port = 8080, activate = true }
access.write = ["journal"]
env = { JOURNAL = "journal", TAG = "TAGGED" }
"#;

const PAIR: &str = r#"
name = "pair"
[services.db]
run = "./service db port alone"
port = 5432
access = { address = "host", write = ["journal"] }
env = { JOURNAL = "journal", TAG = "TAGGED" }
[services.front]
run = "./service front notify"
ready = "notify"
needs = ["db"]
access.write = ["journal"]
env = { JOURNAL = "journal", TAG = "TAGGED" }
"#;

const MANY: &str = r#"
name = "many"
run = "./service many port"
port = 9000
count = 3
access.write = ["journal"]
env = { JOURNAL = "journal", TAG = "TAGGED" }
"#;

fn models() -> [Model; 4] {
    [
        Model::new("plain", PLAIN, &[("main", "plain", 1)]),
        Model::new("web", WEB, &[("main", "web", 2)]),
        Model::new("pair", PAIR, &[("db", "db", 1), ("front", "front", 1)]),
        Model::new("many", MANY, &[("main", "many", 3)]),
    ]
}

/// What somebody does to an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Nothing,
    Deploy { changed: bool },
    Stop,
    Start,
    Restart,
    RestartOne(&'static str),
    Scale(&'static str, u64),
    Remove,
}

fn choose(random: &mut Random, model: &Model) -> Deed {
    let service = model.counts[random.below(model.counts.len() as u64) as usize].0;
    match random.below(12) {
        _ if !model.deployed => Deed::Deploy { changed: false },
        0 => Deed::Nothing,
        1..=3 => Deed::Deploy { changed: true },
        4 => Deed::Deploy { changed: false },
        5 if model.running => Deed::Stop,
        5 | 6 if !model.running => Deed::Start,
        6 | 7 if model.running => Deed::Restart,
        8 if model.running => Deed::RestartOne(service),
        // What binds the manifest's own port has no room for a second one.
        9 | 10 if model.name != "pair" => Deed::Scale(service, 2 + random.below(3)),
        11 => Deed::Remove,
        _ => Deed::Nothing,
    }
}

impl Deed {
    /// The request; `None` for doing nothing.
    fn request(self, hostd: &Hostd<'_>, model: &Model) -> Option<(&'static str, String, Value)> {
        let path = |verb: &str| format!("/v1/apps/{}{verb}", model.name);
        Some(match self {
            Deed::Nothing => return None,
            Deed::Deploy { .. } => ("POST", "/v1/deploy".into(), hostd.deployment(&model.text())),
            Deed::Stop => ("POST", path("/stop"), Value::Null),
            Deed::Start => ("POST", path("/start"), Value::Null),
            Deed::Restart => ("POST", path("/restart"), Value::Null),
            Deed::RestartOne(service) => ("POST", path("/restart"), json!({ "service": service })),
            Deed::Scale(service, count) => {
                ("POST", path("/scale"), json!({ "service": service, "count": count }))
            }
            Deed::Remove => ("DELETE", path(""), Value::Null),
        })
    }

    /// How many instances of a service it starts.
    fn starts(self, before: &Model, service: &str) -> u64 {
        let count = before.count(service);
        match self {
            Deed::Nothing | Deed::Stop | Deed::Remove => 0,
            Deed::Deploy { changed: false } if before.running => 0,
            Deed::Deploy { .. } | Deed::Start | Deed::Restart => count,
            Deed::RestartOne(one) => {
                if one == service {
                    count
                } else {
                    0
                }
            }
            Deed::Scale(one, to) if one == service && before.running => to.saturating_sub(count),
            Deed::Scale(..) => 0,
        }
    }

    fn apply(self, model: &mut Model) {
        match self {
            Deed::Nothing | Deed::Restart | Deed::RestartOne(_) => {}
            Deed::Deploy { .. } => (model.deployed, model.running) = (true, true),
            Deed::Stop => model.running = false,
            Deed::Start => model.running = true,
            Deed::Scale(service, count) => drop(model.scaled.insert(service, count)),
            Deed::Remove => {
                (model.deployed, model.running) = (false, false);
                model.scaled.clear();
            }
        }
    }
}

/// What there is of an app: its newest version, its wish, its counts.
fn seen(hostd: &Hostd<'_>, app: &str) -> (Value, Value) {
    let answer = hostd.api().ask("GET", &format!("/v1/apps/{app}"), &Value::Null);
    if answer.status == 404 {
        return (Value::Null, Value::Null);
    }
    let status = answer.done();
    let history = hostd.api().ask("GET", &format!("/v1/apps/{app}/history"), &Value::Null);
    // It can have gone in between.
    let version = history.json()["versions"][0]["version"].clone();
    let services = status["services"].as_array().unwrap().iter();
    let counts: Vec<_> = services.map(|one| json!([one["name"], one["count"]])).collect();
    (json!([version, status["wanted"], counts]), status)
}

/// Wait until nothing more happens to an app, and say how it is then.
fn rest(hostd: &Hostd<'_>, app: &str) -> (Value, Value) {
    let mut found = Default::default();
    eventually(&format!("{app} is at rest"), || {
        found = seen(hostd, app);
        let status: &Value = &found.1;
        let leaves = status["wanted"] == "removed";
        status.is_null() || (!leaves && is_settled(status))
    });
    found
}

type Pids = BTreeMap<String, Value>;

fn pids(status: &Value) -> Pids {
    let services = status["services"].as_array().into_iter().flatten();
    let instances = services.flat_map(|one| one["instances"].as_array().unwrap());
    instances.map(|one| (one["name"].as_str().unwrap().to_owned(), one["pid"].clone())).collect()
}

/// One thing that is done while hostd is killed, again and again.
struct Round<'a, 'b> {
    hostd: &'a mut Hostd<'b>,
    journal: &'a Journal,
    random: &'a mut Random,
}

impl Round<'_, '_> {
    /// Ask for it, kill hostd meanwhile; whether it was answered.
    fn ask_and_kill(&mut self, deed: Deed, model: &Model) -> bool {
        let api = self.hostd.api();
        let request = deed.request(self.hostd, model);
        let asking = std::thread::spawn(move || {
            let (method, path, body) = request?;
            api.try_ask(method, &path, &body).filter(|answer| answer.status == 200)
        });
        std::thread::sleep(Duration::from_micros(self.random.below(25_000)));
        self.hostd.kill();
        for _ in 0..self.random.below(4) {
            self.hostd.spawn();
            std::thread::sleep(Duration::from_micros(self.random.below(60_000)));
            self.hostd.kill();
        }
        self.hostd.begin();
        asking.join().unwrap().is_some()
    }

    fn play(&mut self, models: &mut [Model; 4], place: usize, deed: Deed) {
        let names: Vec<&str> = models.iter().map(|one| one.name).collect();
        let before: Vec<_> = names.iter().map(|app| rest(self.hostd, app)).collect();
        let of_app = |(app, model): (usize, &Model)| {
            model.counts.iter().map(|(name, program, _)| (app, *name, *program)).collect::<Vec<_>>()
        };
        let services: Vec<_> = models.iter().enumerate().flat_map(of_app).collect();
        let starts = |journal: &Journal| -> Vec<u64> {
            services.iter().map(|(.., program)| journal.count(program, "start") as u64).collect()
        };
        let started = starts(self.journal);
        let tag = models[place].tag;
        models[place].tag += u32::from(deed == (Deed::Deploy { changed: true }));
        let old = models[place].clone();
        let answered = self.ask_and_kill(deed, &old);
        let after: Vec<_> = names.iter().map(|app| rest(self.hostd, app)).collect();
        // What was not answered can have been done all the same; a restart leaves no other trace.
        let done = answered || before[place].0 != after[place].0;
        let perhaps = !answered && matches!(deed, Deed::Restart | Deed::RestartOne(_));
        for ((app, service, program), (was, is)) in
            services.iter().zip(started.iter().zip(starts(self.journal)))
        {
            let own = *app == place;
            let wanted = if own && (done || perhaps) { deed.starts(&old, service) } else { 0 };
            let fits = is - was == wanted || (own && perhaps && is == *was);
            assert!(
                fits,
                "{program} was started {} times, not {wanted}: {deed:?} {old:?}",
                is - was
            );
            assert_eq!(self.journal.count(program, "double"), 0, "{program}: {deed:?}");
        }
        for (app, name) in names.iter().enumerate().filter(|(app, _)| *app != place) {
            assert_eq!(pids(&before[app].1), pids(&after[app].1), "{name}: {deed:?}");
        }
        if done {
            deed.apply(&mut models[place]);
        } else if !perhaps {
            models[place].tag = tag;
            assert_eq!(pids(&before[place].1), pids(&after[place].1), "{deed:?}");
        }
        let all: usize = after.iter().map(|(_, status)| pids(status).len()).sum();
        eventually("as many keepers as instances", || self.hostd.keepers().len() == all);
        let wanted: u64 = models
            .iter()
            .filter(|one| one.running)
            .flat_map(|one| one.counts.iter().map(|(service, ..)| one.count(service)))
            .sum();
        assert_eq!(all as u64, wanted, "{deed:?} {models:?}");
    }
}

#[test]
fn killed_at_any_moment_nothing_is_lost_and_nothing_started_twice() {
    alone(|| {
        let scene = Scene::new(As::Root);
        let journal = scene.service();
        let mut random = Random::new();
        let mut hostd = Hostd::start(&scene);
        let mut models = models();
        for model in &mut models {
            hostd.deploy_and_wait(&model.text());
            (model.deployed, model.running) = (true, true);
        }
        for round in 0..ROUNDS {
            let place = random.below(4) as usize;
            let deed = choose(&mut random, &models[place]);
            println!("{round}: {} {deed:?}", models[place].name);
            let mut round = Round { hostd: &mut hostd, journal: &journal, random: &mut random };
            round.play(&mut models, place, deed);
        }
    });
}
