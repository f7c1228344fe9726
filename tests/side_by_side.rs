//! Promise: runs do not disturb each other, whether they share hostctl's directories or not.

use std::collections::BTreeSet;

use crate::support::{EVERYONE, Scene};

#[test]
fn twenty_services_of_one_app_at_once() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.write("main.sh", "echo $$ > $DATA_DIR/x; id -u; stat -c %u $DATA_DIR");
        let service = |number| {
            let write = format!("access = {{ read = [\".\"], write = [\"data:/srv/{number}\"] }}");
            format!("[services.s{number}]\nrun = \"sh main.sh\"\n{write}\n")
        };
        let services: String = (0..20).map(service).collect();
        scene.write("app.toml", &format!("name = \"demo\"\n{services}"));
        let start = |number| scene.start(["run", "app.toml", "--service", &format!("s{number}")]);
        let running: Vec<_> = (0..20).map(start).collect();
        let mut uids = BTreeSet::new();
        for one in running {
            let ran = one.wait().exited(0);
            let words: Vec<_> = ran.out.split_whitespace().map(str::to_owned).collect();
            assert_eq!(words[0], words[1], "the directory belongs to the app's user");
            uids.insert(words[0].clone());
        }
        assert_eq!(uids.len(), 1, "{who:?}: one app, one uid: {uids:?}");
        let kept = std::fs::read_dir(scene.state().join("data/demo")).unwrap().count();
        assert_eq!(kept, 20);
    }
}

#[test]
fn twenty_apps_at_once_have_twenty_uids() {
    let scene = Scene::new(crate::support::As::Root);
    let start = |number| scene.start(["run", "--name", &format!("app-{number}"), "--", "id", "-u"]);
    let running: Vec<_> = (0..20).map(start).collect();
    let uids: BTreeSet<_> = running.into_iter().map(|one| one.wait().exited(0).out).collect();
    assert_eq!(uids.len(), 20);
}

#[test]
fn scenes_of_their_own_share_nothing() {
    for who in EVERYONE {
        let scenes = [Scene::new(who), Scene::new(who), Scene::new(who)];
        for scene in &scenes {
            scene.shell_app(
                "echo x >> $DATA_DIR/log; wc -l < $DATA_DIR/log",
                "access = { write = [\"data:/srv/x\"] }\n",
            );
        }
        let running: Vec<_> = scenes.iter().map(|scene| scene.start(["run", "app.toml"])).collect();
        for one in running {
            assert_eq!(one.wait().exited(0).out, "1\n", "{who:?}");
        }
    }
}

#[test]
fn one_run_does_not_see_the_processes_of_another() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let mut first =
            scene.start(["run", "--name", "first", "--", "sh", "-c", "echo up; sleep 300"]);
        first.until_output("up");
        let list = "for d in /proc/[0-9]*; do cat $d/comm; done";
        let ran = scene.run(["run", "--name", "second", "--", "sh", "-c", list]).exited(0);
        let seen: BTreeSet<_> = ran.out.lines().collect();
        assert!(seen.is_subset(&["hostctl-init", "sh", "cat"].into()), "{who:?}: {seen:?}");
        first.signal("TERM");
        first.wait().exited(143);
    }
}
