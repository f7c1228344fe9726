//! Promise: what is granted for reading is not changed, by any call, name or descriptor.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::support::attack::BARE;
use crate::support::{As, EVERYONE, Scene};

const OVERWRITES: &str = "\
open for writing: EROFS
open for appending: EROFS
open with truncation: EROFS
truncate: EROFS
reopen a read descriptor: EROFS
reopen a held path: EROFS
open through /proc/self/root: EROFS
map shared for writing: EACCES
map shared, then protect: EACCES
create beside: EROFS
create without a name: EROFS
unlink: EROFS
rename: EROFS
rename out: EXDEV
rename over: EXDEV
exchange: EXDEV
link out: EXDEV
link beside: EROFS
symbolic link beside: EROFS
make a directory: EROFS
make a pipe: EROFS
chmod: EROFS
chown: EROFS
set times: EROFS
set an attribute: EROFS
set inode flags: EROFS
remount: SIGSYS
bind over: SIGSYS
unmount: SIGSYS
mount_setattr: SIGSYS
open_tree: SIGSYS
fsopen: SIGSYS
pivot_root: SIGSYS
chroot: EPERM
open by handle: SIGSYS
";

#[test]
fn no_call_changes_it() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.open_directory("granted");
        scene.open_directory("open");
        for name in ["granted/file", "open/own"] {
            let file = scene.write(name, "as it was");
            std::fs::set_permissions(file, PermissionsExt::from_mode(0o666)).unwrap();
        }
        let granted = scene.app().join("granted/file");
        let before = std::fs::metadata(&granted).unwrap();
        let access = format!("{BARE}\nread = [\".\"]\nwrite = [\"open\"]");
        let environment = format!("{access}\n[env]\nGRANTED = {:?}", granted.display().to_string());
        scene.attack("overwrite", "", &environment).attempts(who, OVERWRITES);

        let after = std::fs::metadata(&granted).unwrap();
        assert_eq!(std::fs::read_to_string(&granted).unwrap(), "as it was");
        let state = |m: &std::fs::Metadata| (m.ino(), m.mode(), m.uid(), m.nlink(), m.mtime_nsec());
        assert_eq!(state(&before), state(&after));
        let names = |dir: &str| std::fs::read_dir(scene.app().join(dir)).unwrap().count();
        assert_eq!((names("granted"), names("open")), (1, 1), "{who:?}: nothing new");
    }
}

const OWN_PROGRAM: &str = "\
own program: ETXTBSY
own program, truncated: EROFS
pid 1's program, held: EACCES
pid 1's program, read: EACCES
pid 1's program, written: EACCES
pid 1's program, run: EACCES
pid 1's map files: EACCES
own program, held and reopened: EROFS
";

#[test]
fn a_program_can_t_write_to_its_own_file_or_to_hostctl_s() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let program = scene.attacker("own_program");
        std::fs::copy(&program, scene.app().join("second")).unwrap();
        scene.aim("own_program", "./second", BARE);
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o777)).unwrap();
        let before = std::fs::read(&program).unwrap();
        scene.run(["run", "--quiet", "app.toml"]).attempts(who, OWN_PROGRAM);
        assert!(std::fs::read(&program).unwrap() == before, "{who:?}");
    }
}

/// CVE-2019-5736: what runs as `/proc/self/exe` would be hostctl, from a mount of the host's.
#[test]
fn hostctl_itself_is_not_run_inside() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.script("script", "#!/proc/self/exe\n");
        for run in ["/proc/self/exe --version", "/proc/1/exe --version", "./script"] {
            scene.write("app.toml", &format!("name = \"attacker\"\nrun = {run:?}\n"));
            let ran = scene.run(["run", "--quiet", "app.toml"]);
            assert!([126, 127].contains(&ran.code), "{who:?} {run}: {} {}", ran.code, ran.err);
            assert_eq!(ran.out, "", "{who:?} {run}");
        }
    }
}

/// Installed below /usr, or anywhere that is granted, it could be executed under its own name too;
/// through /proc it would be the running one.
#[test]
fn hostctl_itself_is_not_run_inside_from_a_grant_that_holds_it() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let copy = scene.app().join("hostctl");
        std::fs::copy(crate::support::hostctl(), &copy).unwrap();
        let mut command = scene.command(&copy);
        command.args(["run", "--quiet", "--read", ".", "--", "/proc/self/exe", "--version"]);
        let ran = crate::support::Ran::from(command.output().unwrap()).exited(126);
        assert!(ran.err.contains("hostctl itself"), "{who:?}: {}", ran.err);
    }
}

#[test]
fn hostctl_itself_is_not_run_inside_by_uid_0_either() {
    let scene = Scene::new(As::Root);
    std::fs::write(scene.config().join("policy.toml"), "[allow]\nroot = [\"attacker\"]\n").unwrap();
    let text = "name = \"attacker\"\nrun = \"/proc/self/exe --version\"\naccess.user = \"root\"\n";
    scene.write("app.toml", text);
    let ran = scene.run(["run", "--quiet", "app.toml"]).exited(126);
    assert_eq!(ran.out, "");
}
