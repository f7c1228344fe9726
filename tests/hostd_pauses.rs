//! Promise: a hostd that stands still holds nobody up, and takes nothing for ended that is not.

use crate::support::hostd::Hostd;
use crate::support::{As, Scene, eventually, kill};

/// Says more of itself than a connection holds, a different thing each time, whenever it is asked.
const TALKER: &str = "
import os, signal, socket
there = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
def say(text):
    there.sendto(text.encode(), os.environ['NOTIFY_SOCKET'])
def talk(*_):
    for number in range(3000):
        say(f'STATUS={number} ' + 'x' * 500)
    open('done', 'w').close()
signal.signal(signal.SIGUSR1, talk)
say('READY=1')
while True:
    signal.pause()
";

#[test]
fn what_it_did_not_read_is_no_end_of_an_instance() {
    let scene = Scene::new(As::Root);
    scene.write("talker.py", TALKER);
    let done = scene.app().join("done");
    std::fs::write(&done, "").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(&done, mode).unwrap();
    let hostd = Hostd::start(&scene);
    let manifest = "name = \"talk\"\nrun = \"python3 talker.py\"\nready = \"notify\"\n\
        access.write = [\"done\"]\n";
    hostd.deploy_and_wait(manifest);
    let pid = hostd.pid_of("talk.main.1");
    let before = std::fs::metadata(&done).unwrap().modified().unwrap();
    kill("STOP", hostd.pid());
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    kill("USR1", children.trim().parse().unwrap());
    // The program is not held up by a hostd that does not read.
    eventually("everything is said", || {
        std::fs::metadata(&done).unwrap().modified().unwrap() != before
    });
    kill("CONT", hostd.pid());
    eventually("the keeper is listened to again", || {
        hostd.instance("talk.main.1")["pid"].as_i64() == Some(pid)
    });
    let instance = hostd.instance("talk.main.1");
    assert_eq!(
        (&instance["restarts"], &instance["failures"]),
        (&0.into(), &0.into()),
        "{instance}"
    );
    let ran = scene.run(["exec", "talk", "--", "echo", "heard"]).exited(0);
    assert_eq!(ran.out, "heard\n");
}
