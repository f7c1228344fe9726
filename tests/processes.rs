//! Promise: a program sees, signals and reads its own processes only: none of the host, not even of
//! the same user, and not the sandbox's pid 1.

use crate::support::attack::BARE;
use crate::support::{As, EVERYONE, Scene, eventually};

const OUTSIDER: &str = "\
pid 1 and the attacker are all there is: holds
look: ENOENT
enter its root: ENOENT
signal: ESRCH
signal its group: ESRCH
signal a thread: ESRCH
queue a signal: ESRCH
hold by pidfd: ESRCH
trace: ESRCH
read memory: ESRCH
limit: ESRCH
slow down: ESRCH
";

/// The uid that the app of a scene runs as, known after its first run.
fn own_uid(scene: &Scene, who: As) -> Option<u32> {
    if who == As::User {
        return None;
    }
    let mut uids = std::fs::read_dir(scene.state().join("uids")).unwrap();
    Some(uids.next().unwrap().unwrap().file_name().to_str().unwrap().parse().unwrap())
}

#[test]
fn processes_outside_are_out_of_reach_even_of_the_same_user() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.attack("reach", "", BARE).exited(0);
        let uid = own_uid(&scene, who);
        for uid in [None, uid] {
            let mut bystander = scene.bystander(uid);
            assert!(bystander.pid() > 64, "no process inside has this number by chance");
            let pid = bystander.pid().to_string();
            scene.attack("outsider", &pid, BARE).attempts(who, OUTSIDER);
            assert!(bystander.lives(), "{who:?}");
        }
    }
}

#[test]
fn another_sandbox_of_the_same_user_is_out_of_reach() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        let mut other = scene.start(["run", "--quiet", "--name", "attacker", "--", "sleep", "600"]);
        let mut inside = Vec::new();
        eventually("the other sandbox is up", || {
            inside = other.descendants();
            inside.len() == 2
        });
        for pid in inside {
            if pid > 64 {
                scene.attack("outsider", &pid.to_string(), BARE).attempts(who, OUTSIDER);
            }
        }
        assert!(other.child().try_wait().unwrap().is_none(), "{who:?}");
    }
}

const PROCESS_ONE: &str = "\
memory file: EACCES
environment: EACCES
maps: EACCES
auxiliary vector: EACCES
descriptor 0's name: EACCES
descriptor 0: EACCES
descriptor information: EACCES
root: EACCES
root's /etc/shadow: EACCES
working directory: EACCES
program: EACCES
mount namespace: EACCES
trace: EPERM
read memory: EPERM
take a descriptor: EPERM
compare: EPERM
it survives SIGKILL: holds
it survives SIGSTOP: holds
it survives SIGTERM: holds
it survives SIGINT: holds
it survives SIGSEGV: holds
it survives SIGQUIT: holds
it survives SIGUSR1: holds
";

#[test]
fn pid_1_of_the_sandbox_is_out_of_reach() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.attack("process_one", "", BARE).attempts(who, PROCESS_ONE);
    }
}

#[test]
fn pid_1_of_the_sandbox_is_out_of_reach_of_uid_0() {
    let scene = Scene::new(As::Root);
    std::fs::write(scene.config().join("policy.toml"), "[allow]\nroot = [\"attacker\"]\n").unwrap();
    let access = format!("{BARE}\nuser = \"root\"");
    scene.attack("process_one", "", &access).attempts(As::Root, PROCESS_ONE);
    let mut bystander = scene.bystander(None);
    let pid = bystander.pid().to_string();
    scene.attack("outsider", &pid, &access).attempts(As::Root, OUTSIDER);
    assert!(bystander.lives());
}
