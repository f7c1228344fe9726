//! Promise: a program has its three standard streams and no other descriptor of its caller, and no
//! stream or working directory leads out (CVE-2024-21626).

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::support::attack::BARE;
use crate::support::{EVERYONE, Ran, Scene, hostctl};

const NOTHING_INHERITED: &str = "\
open: 0
open: 1
open: 2
the working directory is in view: holds
/etc/shadow above it: ENOENT
/etc/shadow by descriptor 5: EBADF
/etc/shadow by pid 1's descriptor 5: EACCES
";

/// hostctl started by a shell that leaves descriptors open, as bash spells them.
fn inherit(scene: &Scene, redirections: &str) -> Ran {
    let script = format!("exec {redirections}; exec \"$@\"");
    let mut command = scene.command("bash".as_ref());
    command.args(["-c", &script, "bash"]).arg(hostctl()).args(["run", "--quiet", "app.toml"]);
    Ran::from(command.output().unwrap())
}

#[test]
fn no_descriptor_of_the_caller_is_inherited() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.aim("descriptors", "", BARE);
        scene.write("open", "");
        let opened = "3</ 4<. 5</ 6<>open 7<>open 23</etc 24>>open 48</ 49</ 50</";
        inherit(&scene, opened).attempts(who, NOTHING_INHERITED);
    }
}

#[test]
fn a_standard_stream_that_is_a_directory_is_refused() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.aim("descriptors", "", BARE);
        let directory = || Stdio::from(File::open("/").unwrap());
        for (number, name) in
            ["standard input", "standard output", "standard error"].iter().enumerate()
        {
            let mut command = scene.hostctl(["run", "--quiet", "app.toml"]);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            match number {
                0 => command.stdin(directory()),
                1 => command.stdout(directory()),
                _ => command.stderr(directory()),
            };
            let ran = Ran::from(command.spawn().unwrap().wait_with_output().unwrap()).exited(2);
            // With standard error a directory there is nowhere to say so.
            let said = ran.err.contains(&format!("{name} is a directory"));
            assert!(said || number == 2, "{who:?}: {}", ran.err);
            assert_eq!(ran.out, "");
        }
    }
}

#[test]
fn a_standard_stream_that_was_closed_is_no_way_in() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.aim("descriptors", "", BARE);
        inherit(&scene, "0<&- 2>&-").attempts(who, NOTHING_INHERITED);
    }
}

#[test]
fn a_directory_named_by_descriptor_is_refused() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.attacker("descriptors");
        for number in 3..12 {
            for key in [
                "dir = \"/proc/self/fd/N\"\n[access]\n",
                "[access]\nread = [\".\", \"/proc/self/fd/N\"]\n",
            ] {
                let key = key.replace('N', &number.to_string());
                let text = format!("name = \"a\"\nrun = \"./descriptors\"\n{key}{BARE}\n");
                scene.write("app.toml", &text);
                let ran = inherit(&scene, "5</ 7</");
                assert_eq!(ran.code, 65, "{who:?} {key}: {} {}", ran.out, ran.err);
            }
        }
    }
}

/// The caller opened it for reading, and whoever may write the file may open it again by its
/// descriptor; the kernel checks the mount of the caller then, not one of the sandbox.
#[test]
fn a_file_that_is_read_from_is_not_opened_again_for_writing() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let input = scene.write("input", "as it was");
        std::fs::set_permissions(&input, PermissionsExt::from_mode(0o666)).unwrap();
        scene.shell_app("cat; echo changed >> /proc/self/fd/0; true", "");
        let mut command = scene.hostctl(["run", "--quiet", "app.toml"]);
        command.stdin(File::open(&input).unwrap());
        let ran = Ran::from(command.output().unwrap()).exited(0);
        assert_eq!(ran.out, "as it was", "{who:?}");
        assert_eq!(std::fs::read_to_string(&input).unwrap(), "as it was", "{who:?}");
    }
}
