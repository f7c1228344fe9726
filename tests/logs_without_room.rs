//! Promise: when the disk takes no more, the manifest's `logs.full` says what happens, and the log says
//! exactly how much is missing.

use std::path::PathBuf;

use crate::support::collected::Collected;
use crate::support::hostd::Hostd;
use crate::support::small::Small;
use crate::support::{As, Scene, eventually};

/// How much the disk of the logs has, in MiB.
const ROOM: u32 = 8;

/// An app that writes long lines when it is told to, on a host with a small disk for logs.
struct Crowded<'a> {
    scene: &'a Scene,
    disk: Small,
    place: PathBuf,
    hostd: Hostd<'a>,
}

/// A thousand bytes, of which the first ones are a number.
fn line(number: u32) -> String {
    format!("{number:05}{}", "x".repeat(995))
}

impl<'a> Crowded<'a> {
    /// The app, ready to write: what `logs` says, how many lines it has written then, and how many it
    /// has when it was told to `go`. A last one comes when `more` is wanted.
    fn new(scene: &'a Scene, logs: &str, first: u32, all: u32) -> Crowded<'a> {
        let logs_folder = scene.state().join("logs");
        std::fs::create_dir_all(&logs_folder).unwrap();
        let disk = Small::mount(logs_folder, ROOM);
        let place = scene.open_directory("place");
        let program = format!(
            "import os, time\n\
             def until(name):\n    while not os.path.exists('place/' + name): time.sleep(0.01)\n\
             def write(*numbers):\n    for n in range(*numbers): print(f'{{n:05}}' + 'x' * 995)\n\
             write({first})\n\
             print('ready', flush=True)\n\
             until('go')\n\
             write({first}, {all})\n\
             print('done', flush=True)\n\
             open('place/done', 'w').close()\n\
             until('more')\n\
             print('end', flush=True)\n\
             time.sleep(1000)\n"
        );
        scene.write("main.py", &program);
        let hostd = Hostd::start(scene);
        hostd.deploy_and_wait(&format!(
            "name = \"demo\"\nrun = \"python3 main.py\"\naccess.write = [\"place\"]\n[logs]\n{logs}\n"
        ));
        scene.collected_until("demo.main.1", "ready");
        Crowded { scene, disk, place, hostd }
    }

    fn say(&self, name: &str) {
        std::fs::write(self.place.join(name), "").unwrap();
    }

    fn is_done(&self) -> bool {
        self.place.join("done").exists()
    }

    /// How many lines hostd counts as lost.
    fn dropped(&self) -> u64 {
        let status = self.hostd.status("demo");
        status["services"][0]["instances"][0]["log"]["dropped"]
            .as_u64()
            .unwrap_or_else(|| panic!("{}", status["services"][0]))
    }

    /// Let the last line come, and look at the log.
    fn end(&self) -> Collected {
        self.say("more");
        self.scene.collected_until("demo.main.1", "end")
    }
}

#[test]
fn the_newest_are_dropped_and_the_gap_record_has_their_number() {
    let scene = Scene::new(As::Root);
    let crowded = Crowded::new(&scene, "full = \"drop-newest\"", 0, 4000);
    crowded.disk.fill();
    crowded.say("go");
    eventually("the program does not wait", || crowded.is_done());
    // All that it wrote was taken: none of it is in the pipes any more.
    eventually("lines are counted as lost", || crowded.dropped() >= 3000);
    let mut before = 0;
    eventually("it is over", || {
        let now = crowded.dropped();
        std::mem::replace(&mut before, now) == now
    });
    crowded.disk.make_room();
    let log = crowded.end();
    let lost = log.in_order();
    let there = log.of("stdout");
    assert_eq!((there[0].as_str(), there.last().unwrap().as_str()), ("ready", "end"));
    assert_eq!(there.len() as u64 + lost, 4003, "what is missing is exactly what the records say");
    let is_whole = |text: &String| text.len() == 1000 || text.len() <= 5;
    assert!(there.iter().all(is_whole), "no line is torn");
    assert!(lost >= 3000, "{lost}");
    assert_eq!(crowded.dropped(), lost);
}

#[test]
fn the_oldest_make_room_for_the_newest() {
    let scene = Scene::new(As::Root);
    // Small segments, so that there are some to delete.
    let crowded = Crowded::new(&scene, "keep = \"4M\"", 1500, 3000);
    crowded.disk.fill();
    crowded.say("go");
    let log = crowded.end();
    assert_eq!(log.in_order(), 0, "nothing that is newer than what is kept is missing");
    let there = log.of("stdout");
    let all = (0..1500).map(line).chain(["ready".to_owned()]).chain((1500..3000).map(line));
    let all: Vec<String> = all.chain(["done".to_owned(), "end".to_owned()]).collect();
    assert!(all.ends_with(&there), "the newest are there");
    assert!(there.len() < all.len() - 500, "{} of {} are there", there.len(), all.len());
    assert_eq!(crowded.dropped(), 0);
}

#[test]
fn who_would_rather_wait_waits() {
    let scene = Scene::new(As::Root);
    let crowded = Crowded::new(&scene, "full = \"block\"", 0, 6000);
    crowded.disk.fill();
    crowded.say("go");
    // More than all pipes on the way hold: it can not come to its end, however long it is given.
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert!(!crowded.is_done());
    crowded.disk.make_room();
    eventually("the program goes on", || crowded.is_done());
    let log = crowded.end();
    assert_eq!(log.in_order(), 0);
    let there = log.of("stdout");
    assert_eq!(there.len(), 6003);
    assert!(there[1..6001].iter().zip(0..).all(|(text, number)| *text == line(number)));
    assert_eq!(crowded.dropped(), 0);
}
