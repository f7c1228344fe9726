//! Promise: what a program leaves in a writable grant gives nobody a privilege, and nothing it
//! wrote is executed unless the manifest says so.

use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

use crate::support::attack::BARE;
use crate::support::{As, EVERYONE, Scene};

const LEFT: &str = "\
the directory is writable: holds
chmod 4755: EPERM
chmod 2755: EPERM
chmod 6755, upper half set: EPERM
fchmod 4755: EPERM
fchmodat 4755: EPERM
fchmodat2 4755: EPERM
open 06777: EPERM
openat 06777: EPERM
openat2 06777: ENOSYS
creat 06777: EPERM
O_TMPFILE 06777: EPERM
mknod a set-ID file: EPERM
mknod a character device: EPERM
mknod a block device: EPERM
mknodat a device: EPERM
file capability: EPERM
trusted attribute: EPERM
give away: GIVEN
";

/// The table above for one user: in a user namespace uid 0 does not exist.
fn left(who: As) -> String {
    LEFT.replace("GIVEN", if who == As::Root { "EPERM" } else { "EINVAL" })
}

/// Everything in a directory is an ordinary file without set-ID bits; how many there are.
fn harmless_files(scene: &Scene, directory: &std::path::Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let status = std::fs::symlink_metadata(entry.unwrap().path()).unwrap();
        assert_eq!(status.mode() & 0o7000, 0, "{scene:?}: {status:?}");
        let kind = status.file_type();
        assert!(!kind.is_char_device() && !kind.is_block_device(), "{scene:?}: {status:?}");
        count += 1;
    }
    count
}

#[test]
fn no_set_id_file_device_or_capability_is_left() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.attacker("leave_behind");
        let work = scene.open_directory("work");
        let text = "name = \"attacker\"\nrun = \"../leave_behind\"\ndir = \"work\"\n[access]\n";
        scene.write("app.toml", &format!("{text}{BARE}\nread = [\".\"]\nwrite = [\"work\"]\n"));
        scene.run(["run", "--quiet", "app.toml"]).attempts(who, &left(who));
        assert_eq!(harmless_files(&scene, &work), 1, "{who:?}: only its own file");
    }
}

#[test]
fn no_set_id_file_device_or_capability_is_left_in_a_managed_directory() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.attacker("leave_behind");
        let program = scene.app().join("leave_behind");
        let text =
            format!("name = \"attacker\"\nrun = \"{}\"\ndir = \"/srv/x\"\n", program.display());
        let access = format!("[access]\n{BARE}\nread = [\".\"]\nwrite = [\"data:/srv/x\"]\n");
        scene.write("app.toml", &(text + &access));
        scene.run(["run", "--quiet", "app.toml"]).attempts(who, &left(who));
        let data = scene.state().join("data/attacker/srv-x");
        assert_eq!(harmless_files(&scene, &data), 1, "{who:?}: only its own file");
        assert_eq!(std::fs::metadata(data).unwrap().mode() & 0o777, 0o700);
    }
}

#[test]
fn nothing_it_wrote_is_executed() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let work = scene.open_directory("work").display().to_string();
        let places = ["/srv/x", "/tmp", "/dev/shm", &work];
        let access = format!("{BARE}\nread = [\".\"]\nwrite = [\"data:/srv/x\", \"work\"]");
        let expected: String = places
            .iter()
            .map(|place| {
                format!(
                    "{place}: execute: EACCES\n{place}: execute by descriptor: EACCES\n\
                     {place}: map for execution: EPERM\n{place}: map, then protect: EACCES\n"
                )
            })
            .collect();
        scene.attack("execute", &places.join(" "), &access).attempts(who, &expected);
    }
}

/// A set-user-ID program of root in view: it runs as the app.
#[test]
fn a_set_id_program_gives_nothing() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let first = scene.attacker("identity");
        let second = scene.app().join("second");
        std::fs::copy(&first, &second).unwrap();
        std::os::unix::fs::chown(&second, Some(0), Some(0)).unwrap();
        std::fs::set_permissions(&second, PermissionsExt::from_mode(0o6755)).unwrap();
        let ran = scene.attack("identity", "./second", BARE).exited(0);
        let (before, after) = ran.out.split_at(ran.out.len() / 2);
        assert!(before.contains("Uid:"), "{}", ran.out);
        assert_eq!(before, after, "{who:?}: the bit made a difference");
    }
}

#[test]
fn su_and_its_kin_give_nothing() {
    let programs = [
        "su --command id",
        "su nobody --command id",
        "mount -t tmpfs none /mnt",
        "umount /proc",
        "chsh -s /bin/sh root",
        "newgrp root -c id",
        "unshare --mount id",
        "unshare --user --map-root-user id",
        "nsenter --target 1 --mount id",
        "chroot / id",
    ];
    for who in EVERYONE {
        let scene = Scene::new(who);
        for program in programs {
            let script =
                format!("{program} </dev/null; code=$?; cat /proc/self/status; exit $code");
            scene.shell_app(&script, "");
            let ran = scene.run(["run", "--quiet", "app.toml"]);
            assert_ne!(ran.code, 0, "{who:?} {program}: {}", ran.out);
            assert!(!ran.out.contains("uid="), "{who:?} {program}: {}", ran.out);
        }
    }
}

#[test]
fn uid_0_without_capabilities_leaves_nothing_either() {
    let scene = Scene::new(As::Root);
    std::fs::write(scene.config().join("policy.toml"), "[allow]\nroot = [\"attacker\"]\n").unwrap();
    scene.attacker("leave_behind");
    let work = scene.open_directory("work");
    let text = "name = \"attacker\"\nrun = \"../leave_behind\"\ndir = \"work\"\n[access]\nuser = \"root\"\n";
    scene.write("app.toml", &format!("{text}{BARE}\nread = [\".\"]\nwrite = [\"work\"]\n"));
    // It may give its own file to itself: the one attempt that is none.
    let expected = LEFT.replace("GIVEN", "SUCCEEDED");
    let ran = scene.run(["run", "--quiet", "app.toml"]).exited(1);
    assert_eq!(ran.out, expected);
    assert_eq!(harmless_files(&scene, &work), 1);
}
