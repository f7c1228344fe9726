//! Promise: standard input, output and error are the program's as if it ran alone: nothing is lost,
//! nothing is added, nothing is mixed.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;

use crate::support::{EVERYONE, Ran, Scene};

/// Bytes without a pattern that a lost or doubled block could hide in.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

#[test]
fn ten_megabytes_pass_through_unchanged() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let mut command = scene.hostctl(["run", "--quiet", "--name", "copy", "--", "cat"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let bytes = noise(10 << 20);
        let mut input = child.stdin.take().unwrap();
        let fed = bytes.clone();
        let feeding = std::thread::spawn(move || input.write_all(&fed).unwrap());
        let mut came = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut came).unwrap();
        feeding.join().unwrap();
        assert!(child.wait().unwrap().success());
        assert!(came == bytes, "{} bytes came of {}", came.len(), bytes.len());
    }
}

#[test]
fn output_and_error_are_two_streams() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app("echo answer; echo complaint >&2", "");
        let ran = scene.run(["run", "--quiet", "app.toml"]).exited(0);
        assert_eq!((ran.out.as_str(), ran.err.as_str()), ("answer\n", "complaint\n"), "{who:?}");
    }
}

#[test]
fn hostctl_speaks_on_standard_error_only() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app("echo answer", "port = 8080\n");
        let ran = scene.run(["run", "app.toml"]).exited(0);
        assert_eq!(ran.out, "answer\n");
        assert!(ran.err.lines().all(|line| line.starts_with("hostctl: ")), "{}", ran.err);
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_program() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let mut running = scene.start(["run", "--name", "endless", "--", "yes"]);
        let mut some = [0; 64];
        let mut output = running.child().stdout.take().unwrap();
        output.read_exact(&mut some).unwrap();
        drop(output);
        running.wait().exited(128 + 13);
    }
}

#[test]
fn the_end_of_the_input_is_seen() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let mut command = scene.hostctl(["run", "--name", "count", "--", "wc", "-c"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"twelve bytes").unwrap();
        let ran = Ran::from(child.wait_with_output().unwrap()).exited(0);
        assert_eq!(ran.out, "12\n");
    }
}

#[test]
fn a_directory_as_a_stream_is_refused() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let mut command = scene.hostctl(["run", "--name", "demo", "--", "true"]);
        command.stdin(Stdio::from(File::open("/").unwrap()));
        let ran = Ran::from(command.output().unwrap()).exited(2);
        assert!(ran.err.contains("standard input is a directory"), "{}", ran.err);
    }
}
