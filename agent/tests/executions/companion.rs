//! What a companion can wish for and hears.

use agent::run::RunError;
use agent::supervise::Wish;
use host_sys::process::Exit;
use host_sys::signal::number;

use crate::Case;
use crate::desk::{Desk, Happening, attend};
use crate::scene::Scene;

pub const CASES: &[Case] = &[
    ("a_program_that_is_not_executed_never_started", not_executed_never_started),
    ("wishes_are_granted", wishes_are_granted),
    ("the_last_lines_are_kept_and_files_written", the_last_lines_are_kept),
];

fn not_executed_never_started() {
    let scene = Scene::new();
    let plan = scene.plan("run = \"./missing\"");
    let (desk, finished) = attend(&scene, &plan, &mut |_, _| {});
    let error = finished.unwrap_err();
    assert!(matches!(&error, RunError::Step { key, .. } if key == "run"), "{error:?}");
    assert!(desk.news.is_empty(), "{:?}", desk.news);
}

fn wishes_are_granted() {
    let stubborn = "run = [\"sh\", \"-c\", \"trap '' TERM; trap 'exit 4' INT; echo ready; \
        while :; do sleep 0.05; done\"]";
    let run = |wishes: fn() -> Vec<Wish>| {
        let scene = Scene::new();
        let plan = scene.plan(stubborn);
        let tail = scene.tail.clone();
        let mut script = |desk: &mut Desk, happening| {
            // The traps stand once it has said something, which this command waits for.
            match happening {
                Happening::Started => desk.execute(1, &["sleep", "0.5"], ""),
                Happening::Answered(1) => wishes().into_iter().for_each(|wish| desk.want(wish)),
                _ => {}
            }
        };
        let (desk, finished) = attend(&scene, &plan, &mut script);
        assert_eq!(tail.lines()[0].text, "ready");
        (desk, finished.unwrap().outcome)
    };
    let stop = || vec![Wish::Signal(9999), Wish::Stop { signal: Some(number::INT) }];
    let (desk, outcome) = run(stop);
    assert_eq!((outcome.exit, outcome.stopped, outcome.killed), (Exit::Code(4), true, false));
    let stopping = format!("Stopping {{ signal: {}, grace: 60s }}", number::INT);
    let news: Vec<_> = desk.news.iter().map(String::as_str).collect();
    let ended = "ProgramEnded(Code(4))";
    assert_eq!(news, ["Started", "Executed { id: 1, exit: Code(0) }", &stopping, ended]);
    // Twice the same is no reason to end it by force.
    let twice = || {
        let stop = |signal| Wish::Stop { signal: Some(signal) };
        vec![stop(number::TERM), stop(number::TERM), Wish::Signal(number::INT)]
    };
    let (_, outcome) = run(twice);
    assert_eq!((outcome.exit, outcome.killed), (Exit::Code(4), false));
    let (desk, outcome) = run(|| vec![Wish::Kill]);
    let killed = Exit::Signal(number::KILL, false);
    assert_eq!((outcome.exit, outcome.stopped, outcome.killed), (killed, true, true));
    assert!(desk.news.contains(&"Killing".to_owned()));
}

fn the_last_lines_are_kept() {
    let scene = Scene::new();
    let log = scene.app().join("log");
    let lines = "run = [\"sh\", \"-c\", \"echo one; echo two >&2; printf 'th\\\\377ree'\"]";
    let plan = scene.plan(&format!("{lines}\n[logs]\nsinks = [\"file:{}\"]", log.display()));
    let (_, finished) = attend(&scene, &plan, &mut |_, _| {});
    assert_eq!(finished.unwrap().outcome.exit, Exit::Code(0));
    let mut said: Vec<_> =
        scene.tail.lines().into_iter().map(|line| (line.source.name(), line.text)).collect();
    // Two streams that are read at the same moment have no order.
    said.sort();
    let expected = [("stderr", "two"), ("stdout", "one"), ("stdout", "th\u{fffd}ree")];
    assert_eq!(said, expected.map(|(source, text)| (source, text.to_owned())));
    // Nobody waits for sinks in the background.
    let recorded = || std::fs::read_to_string(&log).unwrap().matches("\"seq\":").count();
    while recorded() < 3 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(recorded(), 3);
}
