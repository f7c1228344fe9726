//! Promise: a program has a user of its own and no privilege, no way to one, and of capabilities
//! exactly those that were named.

use crate::support::attack::BARE;
use crate::support::{As, EVERYONE, Ran, Scene, USER};

/// What /proc says of the program in a scene's sandbox.
struct Identity {
    uids: Vec<u32>,
    gids: Vec<u32>,
    rest: String,
}

fn identity(ran: &Ran) -> Identity {
    let numbers = |key: &str| {
        let line = ran.out.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().skip(1).map(|word| word.parse().unwrap()).collect()
    };
    let named = |line: &&str| !line.starts_with("Uid:") && !line.starts_with("Gid:");
    let lines: Vec<_> = ran.out.lines().filter(named).map(str::trim_end).collect();
    Identity { uids: numbers("Uid:"), gids: numbers("Gid:"), rest: lines.join("\n") }
}

fn run_as(scene: &Scene, app: &str) -> Identity {
    let text = format!("name = {app:?}\nrun = \"./identity\"\n[access]\n{BARE}\n");
    scene.write("app.toml", &text);
    identity(&scene.run(["run", "--quiet", "app.toml"]).exited(0))
}

/// Lines of /proc/self/status with one mask for all five capability sets.
fn status(capabilities: &str) -> String {
    let sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
    let sets = sets.map(|set| format!("{set}:\t{capabilities}"));
    format!("Groups:\n{}\nNoNewPrivs:\t1\nSeccomp:\t2", sets.join("\n"))
}

const NONE: &str = "0000000000000000";

#[test]
fn a_program_has_no_capability_no_group_and_both_locks() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.attacker("identity");
        assert_eq!(run_as(&scene, "one").rest, status(NONE), "{who:?}");
    }
}

#[test]
fn an_app_has_one_uid_for_ever_and_no_other_app_has_it() {
    let scene = Scene::new(As::Root);
    scene.attacker("identity");
    let [one, other, again] = ["one", "other", "one"].map(|app| run_as(&scene, app));
    for identity in [&one, &other] {
        assert!(identity.uids[0] >= 1_900_000_000, "{:?}", identity.uids);
        assert_eq!(identity.uids, [identity.uids[0]; 4], "real, effective, saved, file system");
        assert_eq!(identity.gids, identity.uids);
    }
    assert_ne!(one.uids, other.uids);
    assert_eq!(one.uids, again.uids);
}

#[test]
fn without_root_an_app_is_its_user_and_nobody_else() {
    let scene = Scene::new(As::User);
    scene.attacker("identity");
    let identity = run_as(&scene, "one");
    assert_eq!((identity.uids, identity.gids), (vec![USER; 4], vec![USER; 4]));
}

#[test]
fn the_caller_s_groups_stay_behind() {
    let scene = Scene::new(As::Root);
    scene.aim("identity", "", BARE);
    let mut command = scene.command("setpriv".as_ref());
    command.args(["--groups", "0,4,6,27"]).arg(crate::support::hostctl());
    let output = command.args(["run", "--quiet", "app.toml"]).output().unwrap();
    assert_eq!(identity(&Ran::from(output).exited(0)).rest, status(NONE));
}

#[test]
fn a_named_capability_is_given_and_no_other() {
    let scene = Scene::new(As::Root);
    let access = format!("{BARE}\ncapabilities = [\"CAP_NET_BIND_SERVICE\"]");
    let ran = scene.attack("identity", "", &access).exited(0);
    assert_eq!(identity(&ran).rest, status("0000000000000400"));
    assert!(identity(&ran).uids[0] >= 1_900_000_000);

    let ports = "bind:81 bind:8081";
    let ran = scene.attack("connect", ports, &access).exited(1);
    assert_eq!(ran.out, "bind:81: SUCCEEDED\nbind:8081: SUCCEEDED\n");
    let ran = scene.attack("connect", ports, BARE).exited(1);
    assert_eq!(ran.out, "bind:81: EACCES\nbind:8081: SUCCEEDED\n");
}

#[test]
fn capabilities_are_not_promised_without_root() {
    let scene = Scene::new(As::User);
    let access = format!("{BARE}\ncapabilities = [\"CAP_NET_BIND_SERVICE\"]");
    let ran = scene.attack("identity", "", &access).exited(65);
    assert!(ran.err.contains("capabilities can't be given without root"), "{}", ran.err);
}

#[test]
fn uid_0_takes_the_manifest_and_the_policy_and_has_no_capability() {
    let scene = Scene::new(As::Root);
    let access = format!("{BARE}\nuser = \"root\"");
    let ran = scene.attack("identity", "", &access).exited(65);
    assert!(ran.err.contains("the host policy does not let this app run as root"), "{}", ran.err);

    let policy = scene.config().join("policy.toml");
    std::fs::write(&policy, "[allow]\nroot = [\"another\"]\n").unwrap();
    scene.attack("identity", "", &access).exited(65);
    std::fs::write(&policy, "[allow]\nroot = [\"attacker\"]\n").unwrap();
    let identity = identity(&scene.attack("identity", "", &access).exited(0));
    assert_eq!((identity.uids, identity.gids), (vec![0; 4], vec![0; 4]));
    assert_eq!(identity.rest, status(NONE));
}

#[test]
fn uid_0_is_never_given_without_root() {
    let scene = Scene::new(As::User);
    std::fs::write(scene.config().join("policy.toml"), "[allow]\nroot = [\"attacker\"]\n").unwrap();
    let ran = scene.attack("identity", "", &format!("{BARE}\nuser = \"root\"")).exited(65);
    assert!(ran.err.contains("only root can run a program as root"), "{}", ran.err);
}

/// The calls whose refusal depends on who asks. In a user namespace there is no uid 0 to become.
fn regains(who: As) -> String {
    let kinds = ["user", "mount", "pid", "network", "ipc", "uts", "cgroup", "user and mount"];
    let namespaces: String = kinds
        .iter()
        .map(|kind| format!("unshare {kind}: EPERM\nclone {kind}: EPERM\nclone3 {kind}: ENOSYS\n"))
        .collect();
    let become_root = if who == As::Root { "EPERM" } else { "EINVAL" };
    format!(
        "setuid 0: {become_root}\nsetresuid 0: {become_root}\nsetgid 0: {become_root}\n\
         setgroups 0: EPERM\ncapset: EPERM\nraise an ambient capability: EPERM\n\
         allow new privileges: EINVAL\nleave seccomp: EINVAL\n{namespaces}unshare time: EPERM\n\
         setns own user: EPERM\nsetns own mount: EPERM\nsetns pid 1's mount: EACCES\n"
    )
}

#[test]
fn no_way_leads_back_up() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.attack("regain", "", BARE).attempts(who, &regains(who));
    }
}

/// The other way, from a caller that goes last, needs a privilege: the guest of vm-tests has it.
#[test]
fn an_app_that_its_caller_lets_go_first_when_memory_runs_out_stays_so() {
    for who in EVERYONE {
        let scene = Scene::new(who);
        scene.shell_app("cat /proc/self/oom_score_adj", "");
        let mut command = scene.command("sh".as_ref());
        let line = "echo 200 > /proc/self/oom_score_adj; exec \"$@\"";
        command.args(["-c", line, "sh"]).arg(crate::support::hostctl());
        let output = command.args(["run", "--quiet", "app.toml"]).output().unwrap();
        assert_eq!(Ran::from(output).exited(0).out, "200\n", "{who:?}");
    }
}
