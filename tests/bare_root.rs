//! Promise: with `base = "none"` a static program runs with its grants in view and nothing else of
//! the host.

use crate::support::{EVERYONE, Scene};

/// Everything there is, the app's own folder and /proc left out.
const VIEW: &str = "\
/
/dev
/dev/fd
/dev/full
/dev/null
/dev/ptmx
/dev/pts
/dev/pts/ptmx
/dev/random
/dev/shm
/dev/stderr
/dev/stdin
/dev/stdout
/dev/tty
/dev/urandom
/dev/zero
/etc
/etc/group
/etc/host.conf
/etc/hosts
/etc/passwd
/run
/run/hostctl
/run/hostctl/blank
/run/hostctl/blank-file
/run/hostctl/manifest.json
/tmp
";

/// busybox is the static program: it lists, and brings nothing along.
fn static_program(scene: &Scene) {
    let source = "/usr/bin/busybox";
    let bytes = std::fs::read(source)
        .unwrap_or_else(|error| panic!("{source} (package busybox-static): {error}"));
    let path = scene.script("busybox", "");
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn nothing_but_the_grants_is_in_view() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        static_program(&scene);
        let folder = scene.app().display().to_string();
        let list = "./busybox find / -path /proc -prune -o -path FOLDER -prune -o -print";
        let run = list.replace("FOLDER", &folder);
        scene.write(
            "app.toml",
            &format!("name = \"bare\"\nrun = \"{run}\"\naccess = {{ base = \"none\" }}\n"),
        );
        let ran = scene.run(["run", "app.toml"]).exited(0);
        // The directories that lead to the app's folder are made for it.
        let above: Vec<_> =
            scene.app().ancestors().map(|path| path.display().to_string()).collect();
        let mut lines: Vec<&str> = ran.out.lines().collect();
        lines.sort_unstable();
        lines.retain(|line| {
            VIEW.lines().any(|known| known == *line) || !above.contains(&(*line).to_owned())
        });
        assert_eq!(lines, VIEW.lines().collect::<Vec<_>>(), "{who:?}");
    }
}

#[test]
fn the_folder_of_the_app_holds_what_it_holds_outside() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        static_program(&scene);
        scene.write("deep/er/file", "x");
        let arguments = ["run", "--name", "bare", "--base", "none", "--read", "."];
        let list = ["--", "./busybox", "find", "."];
        let ran = scene.run(arguments.iter().chain(&list)).exited(0);
        let mut lines: Vec<&str> = ran.out.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, [".", "./busybox", "./deep", "./deep/er", "./deep/er/file"]);
    }
}
