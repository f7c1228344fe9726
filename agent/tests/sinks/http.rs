//! Lines over HTTP, towards servers of every kind.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};

use agent::plan::Secret;

use super::peer::{Reaction, Request, Server, ok};
use super::scene::{Scene, filtered, sink, until};

fn address(server: &Server) -> String {
    format!("http://127.0.0.1:{}/logs?from=test", server.port)
}

#[test]
fn a_batch_is_a_header_and_lines_and_has_a_key() {
    let server = Server::new(|_, _| ok());
    let mut scene = Scene::new();
    let mut wanted = sink(&address(&server));
    wanted.sink.headers = vec![
        ("Authorization".into(), Secret("Bearer x".into())),
        ("X-Own".into(), Secret("1".into())),
    ];
    let routing = scene.route(vec![wanted]);
    scene.write_numbers(1..=5000);
    let metrics = routing.finish(&scene);
    let taken = server.taken();
    assert_eq!(server.seqs(), (1..=5000).collect::<Vec<_>>());
    assert!(taken.len() < 20, "{} requests", taken.len());
    for request in &taken {
        let (lines, seqs) = (request.lines(), request.seqs());
        let (first, last) = (seqs[0], seqs[seqs.len() - 1]);
        assert_eq!(lines[0]["resource"]["app"], "shop");
        assert_eq!(lines[0]["first_seq"], first);
        assert_eq!(lines[1]["body"], format!("line {first}"));
        assert!(lines[1].get("crc").is_none() && lines[1].get("at").is_none());
        assert_eq!(request.path, "/logs?from=test");
        assert_eq!(request.header("content-type"), Some("application/x-ndjson"));
        assert_eq!(request.header("authorization"), Some("Bearer x"));
        assert_eq!(request.header("x-own"), Some("1"));
        let key = format!("\"box.example/shop.web.2@2026-01-02T03:00:00Z:{first}-{last}\"");
        assert_eq!(request.header("idempotency-key"), Some(key.as_str()));
        assert_eq!(request.connection, 0, "the connection is kept");
    }
    let sink = &metrics.sinks[0];
    assert_eq!((sink.delivered, sink.lag_records, sink.retries), (5000, 0, 0));
    assert_eq!(scene.metrics().sinks[0].delivered, 5000);
}

#[test]
fn whatever_a_server_does_first_it_has_everything_once_in_the_end() {
    let reactions = [
        Reaction::Close,
        Reaction::HalfClose,
        Reaction::Hang,
        Reaction::Trickle,
        Reaction::Flood,
        Reaction::Raw("no HTTP at all\n\n\n"),
        Reaction::Raw("HTTP/1.1 200 x\r\nContent-Length: 9\r\n"),
        Reaction::Raw("HTTP/1.1 99999 x\r\n\r\n"),
        Reaction::Raw("HTTP/1.1 100 Continue\r\n\r\n"),
        Reaction::Answer(301, "Location: http://127.0.0.1:1/\r\n", "moved".into()),
        Reaction::Answer(401, "", "who are you".into()),
        Reaction::Answer(404, "", "not here".into()),
        Reaction::Answer(500, "", "\u{1b}[31moh\nno".into()),
        Reaction::Answer(503, "Retry-After: 0\r\n", String::new()),
        Reaction::Answer(429, "Retry-After: tomorrow\r\n", String::new()),
    ];
    // All at once: each waits for its own server alone.
    let threads = reactions.map(|reaction| {
        std::thread::spawn(move || {
            let first = reaction.clone();
            let server =
                Server::new(move |before, _| if before < 2 { first.clone() } else { ok() });
            let mut scene = Scene::new();
            let routing = scene.route(vec![sink(&address(&server))]);
            scene.write_numbers(1..=100);
            until("the first failure", || {
                scene.metrics().sinks.first().is_some_and(|sink| sink.last_error.is_some())
            });
            let said = scene.metrics().sinks[0].last_error.clone().unwrap().said;
            assert!(!said.contains('\u{1b}') && !said.contains('\n'), "{said}");
            let metrics = routing.finish(&scene);
            assert_eq!(server.seqs(), (1..=100).collect::<Vec<_>>(), "{reaction:?}");
            assert_eq!(metrics.sinks[0].parked, 0, "{reaction:?}");
            assert_eq!(metrics.sinks[0].retries, 2, "{reaction:?}");
            (format!("{reaction:?}"), said)
        })
    });
    let said: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    for (reaction, words) in [
        ("Close", "closed the connection without an answer"),
        ("Hang", "does not answer the request"),
        ("301", "answered 301, a redirect, which is not followed"),
        ("401", "answered 401: who are you"),
        ("500", "answered 500: [31moh no"),
    ] {
        let (_, said) = said.iter().find(|(name, _)| name.contains(reaction)).unwrap();
        assert!(said.contains(words), "{reaction}: {said}");
    }
}

#[test]
fn one_record_that_is_refused_is_parked_and_one_that_is_too_much_is_halved() {
    let server = Server::new(|_, request: &Request| {
        let seqs = request.seqs();
        match () {
            () if seqs.len() > 300 => Reaction::Answer(413, "", "too much".into()),
            () if seqs.contains(&777) => Reaction::Answer(400, "", "777 is no number".into()),
            () => ok(),
        }
    });
    let mut scene = Scene::new();
    let routing = scene.route(vec![sink(&address(&server))]);
    scene.write_numbers(1..=2000);
    let metrics = routing.finish(&scene);
    let expected: Vec<u64> = (1..=2000).filter(|seq| *seq != 777).collect();
    assert_eq!(server.seqs(), expected);
    assert_eq!(scene.parked(), [777]);
    assert_eq!(metrics.sinks[0].parked, 1);
}

/// A server that answers at the head of what is too large for it, before it has read the rest, as
/// many do; and goes on reading for a while, as RFC 9112 (9.6) wants it. It sends the lines it takes.
fn hasty(listener: TcpListener, taken: Sender<u64>) {
    for stream in listener.incoming() {
        let mut reader = BufReader::new(stream.unwrap());
        loop {
            let mut length = 0;
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let (status, end) = match length {
                0 => break,
                100_000.. => ("413 x", "Connection: close\r\n"),
                _ => ("200 x", ""),
            };
            if end.is_empty() {
                let mut body = String::new();
                Read::by_ref(&mut reader).take(length).read_to_string(&mut body).unwrap();
                for line in body.lines().skip(1) {
                    let line: serde_json::Value = serde_json::from_str(line).unwrap();
                    taken.send(line["seq"].as_u64().unwrap()).unwrap();
                }
            }
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n{end}\r\n");
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
            if !end.is_empty() {
                let _ = std::io::copy(&mut reader, &mut std::io::sink());
                break;
            }
        }
    }
}

#[test]
fn who_answers_before_it_has_read_everything_is_understood() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, taken) = channel();
    std::thread::spawn(move || hasty(listener, sender));
    let mut scene = Scene::new();
    let routing = scene.route(vec![sink(&format!("http://127.0.0.1:{port}/"))]);
    scene.write((0..30).map(|_| "x".repeat(30_000)));
    let metrics = routing.finish(&scene);
    assert_eq!(taken.try_iter().collect::<Vec<_>>(), (1..=30).collect::<Vec<_>>());
    let said = &metrics.sinks[0].last_error.as_ref().unwrap().said;
    assert!(said.starts_with("answered 413"), "{said}");
}

#[test]
fn a_server_that_comes_back_gets_what_it_missed() {
    let down = Arc::new(AtomicBool::new(true));
    let of_server = Arc::clone(&down);
    let server = Server::new(move |_, _| match of_server.load(Ordering::Relaxed) {
        true => Reaction::Close,
        false => ok(),
    });
    let mut scene = Scene::new();
    let other = scene.file("other.log");
    let file = format!("file:{}", other.display());
    let routing = scene.route(vec![sink(&address(&server)), filtered(&file, "body~\"line 1\"")]);
    for hundred in 0..30 {
        scene.write_numbers(hundred * 100 + 1..=hundred * 100 + 100);
    }
    // The other sink has everything that it wants meanwhile.
    let wanted = (1..=3000).filter(|n| format!("line {n}").contains("line 1")).count();
    until("the file", || {
        let text = std::fs::read_to_string(&other).unwrap_or_default();
        text.lines().count() == wanted + 1
    });
    assert_eq!(server.seqs(), [0_u64; 0]);
    down.store(false, Ordering::Relaxed);
    let metrics = routing.finish(&scene);
    assert_eq!(server.seqs(), (1..=3000).collect::<Vec<_>>());
    assert_eq!(metrics.sinks[1].filtered, 3000 - wanted as u64);
    assert_eq!(metrics.lines_out, 3000 + wanted as u64);
}
