//! Sinks that come and go while the instance runs.

use std::collections::BTreeMap;

use serde_json::Value;

use super::peer::{Server, ok};
use super::scene::{Scene, sink, until};

fn seqs(scene: &Scene, name: &str) -> Vec<u64> {
    let text = std::fs::read_to_string(scene.file(name)).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| line["seq"].as_u64()).collect()
}

fn file(scene: &Scene, name: &str) -> String {
    format!("file:{}", scene.file(name).display())
}

/// The sinks that `cursors.json` knows, with how far they are.
fn cursors(scene: &Scene) -> BTreeMap<String, u64> {
    let text = std::fs::read(scene.file("run/cursors.json")).unwrap();
    let value: Value = serde_json::from_slice(&text).unwrap();
    let sinks = value["sinks"].as_object().unwrap().iter();
    sinks.map(|(id, noted)| (id.clone(), noted["now"]["seq"].as_u64().unwrap_or(0))).collect()
}

#[test]
fn a_new_sink_begins_with_the_present_or_with_the_beginning() {
    let mut scene = Scene::new();
    let first = sink(&file(&scene, "first.log"));
    let routing = scene.route(vec![first.clone()]);
    scene.write_numbers(1..=10);
    until("the first sink", || seqs(&scene, "first.log").len() == 10);
    let later = sink(&file(&scene, "later.log"));
    let mut whole = sink(&file(&scene, "whole.log"));
    whole.from_beginning = true;
    routing.wanted.send_replace(vec![first, later, whole]);
    until("all of them", || cursors(&scene).len() == 3);
    scene.write_numbers(11..=20);
    routing.finish(&scene);
    assert_eq!(seqs(&scene, "first.log"), (1..=20).collect::<Vec<_>>());
    assert_eq!(seqs(&scene, "later.log"), (11..=20).collect::<Vec<_>>());
    assert_eq!(seqs(&scene, "whole.log"), (1..=20).collect::<Vec<_>>());
}

#[test]
fn a_sink_that_is_removed_is_forgotten_and_one_that_changes_goes_on() {
    let server = Server::new(|_, _| ok());
    let mut scene = Scene::new();
    let gone = sink(&file(&scene, "gone.log"));
    let stays = sink(&format!("http://127.0.0.1:{}/", server.port));
    let routing = scene.route(vec![gone.clone(), stays.clone()]);
    scene.write_numbers(1..=10);
    until("both", || seqs(&scene, "gone.log").len() == 10 && server.seqs().len() == 10);
    let mut changed = stays;
    changed.sink.headers = vec![("X-Tenant".into(), agent::plan::Secret("two".into()))];
    routing.wanted.send_replace(vec![changed]);
    until("one is left", || cursors(&scene).len() == 1);
    scene.write_numbers(11..=20);
    until("the one that stays", || server.seqs().len() == 20);
    let tenants: Vec<_> = server
        .taken()
        .iter()
        .map(|request| request.header("x-tenant").map(str::to_owned))
        .collect();
    assert_eq!(tenants.first(), Some(&None));
    assert_eq!(tenants.last(), Some(&Some("two".into())));
    assert_eq!(server.seqs(), (1..=20).collect::<Vec<_>>());
    // Back again, it is new.
    routing.wanted.send_modify(|wanted| wanted.push(gone));
    until("two again", || cursors(&scene).len() == 2);
    scene.write_numbers(21..=25);
    let metrics = routing.finish(&scene);
    let expected: Vec<u64> = (1..=10).chain(21..=25).collect();
    assert_eq!(seqs(&scene, "gone.log"), expected);
    assert_eq!(metrics.sinks.len(), 2);
}

#[test]
fn what_can_not_be_used_is_said_and_hinders_nobody() {
    let mut scene = Scene::new();
    scene.around.bundles = vec![scene.file("none.pem")];
    let sinks = [
        "https://127.0.0.1:1/".to_owned(),
        file(&scene, "good.log"),
        "syslog:unix:/nowhere/log".to_owned(),
        file(&scene, "missing/a.log"),
    ];
    let routing = scene.route(sinks.iter().map(|to| sink(to)).collect());
    scene.write_numbers(1..=10);
    until("words about all", || {
        let sinks = scene.metrics().sinks;
        sinks.iter().filter(|sink| sink.last_error.is_some()).count() == 3
    });
    let metrics = routing.stop();
    let said: Vec<_> = metrics
        .sinks
        .iter()
        .map(|sink| sink.last_error.as_ref().map(|e| e.said.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            Some(
                "this host has no list of certificate authorities: install the package ca-certificates"
            ),
            None,
            Some("/nowhere/log: there is no such socket"),
            Some("no such file or directory"),
        ]
    );
    assert_eq!(seqs(&scene, "good.log"), (1..=10).collect::<Vec<_>>());
    // They begin where they stood, once that is mended.
    std::fs::create_dir(scene.file("missing")).unwrap();
    let routing = scene.route(sinks.iter().map(|to| sink(to)).collect());
    until("the mended one", || seqs(&scene, "missing/a.log").len() == 10);
    routing.stop();
}
