//! One record sent to a sink to see whether it works, and what is said about it.

use agent::logs::sink::trial;
use agent::plan::Secret;

use super::peer::{Reaction, Server, ok};
use super::scene::{Scene, resource, sink};

fn try_out(scene: &Scene, wanted: &agent::logs::route::Wanted) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let work = trial(&wanted.sink, resource(), &scene.around);
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

#[test]
fn what_happens_is_said() {
    let scene = Scene::new();
    let server = Server::new(|_, request| match request.path.as_str() {
        "/good" => ok(),
        "/who" if request.header("authorization") != Some("Bearer x") => {
            Reaction::Answer(401, "", "who are you?".into())
        }
        "/who" => ok(),
        "/busy" => Reaction::Answer(429, "Retry-After: 9\r\n", String::new()),
        "/bad" => Reaction::Answer(422, "", "not this".into()),
        "/v1/logs" => Reaction::Answer(
            200,
            "",
            r#"{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"too old"}}"#.into(),
        ),
        path => panic!("{path}"),
    });
    let at = |path: &str| format!("http://127.0.0.1:{}{path}", server.port);
    let file = format!("file:{}", scene.file("app.log").display());
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let cases = [
        (at("/good"), Ok(format!("{} has taken one record", at("/good")))),
        (file.clone(), Ok(format!("{file} has taken one record"))),
        (at("/who"), Err("answered 401: who are you?".to_owned())),
        (at("/busy"), Err("it is busy: answered 429".to_owned())),
        (at("/bad"), Err("the record was refused: answered 422: not this".to_owned())),
        (format!("otlp+{}", at("")), Err("threw 1 records away: too old".to_owned())),
        (format!("http://{closed}/"), Err(format!("nobody listens at {closed}"))),
        (
            "syslog:udp://127.0.0.1:9".to_owned(),
            Ok("one record was sent to 127.0.0.1:9; nobody says over UDP whether it arrived"
                .to_owned()),
        ),
        (
            "exec:/bin/true".to_owned(),
            Err("no instance of the app runs that it could be run beside".to_owned()),
        ),
    ];
    for (to, expected) in cases {
        assert_eq!(try_out(&scene, &sink(&to)), expected, "{to}");
    }
    let mut known = sink(&at("/who"));
    known.sink.headers = vec![("Authorization".into(), Secret("Bearer x".into()))];
    assert!(try_out(&scene, &known).is_ok());
    let text = std::fs::read_to_string(scene.file("app.log")).unwrap();
    assert!(text.lines().nth(1).unwrap().contains("a test of this sink by hostctl"));
}
