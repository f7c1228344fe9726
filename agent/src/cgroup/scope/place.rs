//! Where in the host's cgroups something is: what proc_pid_cgroup(5) and proc_pid_mountinfo(5) say,
//! and which of it are units of systemd.
//!
//! Pure, but for [`find`]. Invariant: only the v2 hierarchy counts, alone or beside those of v1.

use std::path::{Path, PathBuf};

/// The v2 cgroup in the text of `/proc/PID/cgroup`: `/system.slice/x.service`.
pub fn cgroup(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::"))
}

/// The folder of a v2 cgroup and the mount point above it, by the text of `/proc/self/mountinfo`;
/// `None` where cgroup v2 is not mounted, or not that part of it.
pub fn folder(mountinfo: &str, cgroup: &str) -> Option<(PathBuf, PathBuf)> {
    mountinfo.lines().find_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        if filesystem.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let below = Path::new(cgroup).strip_prefix(root).ok()?;
        // Joined with nothing, a path would end with a slash.
        let folder = Path::new(point).components().chain(below.components()).collect();
        Some((folder, point.into()))
    })
}

/// The slice that a cgroup's unit is in, by its name, which tells all those above it: the last of
/// those the path begins with. What comes behind another unit is not systemd's own to place.
pub fn slice(cgroup: &str) -> Option<&str> {
    parts(cgroup).take_while(|part| part.ends_with(".slice")).last()
}

/// The unit of the host's systemd that a cgroup is, or is part of.
pub fn unit(cgroup: &str) -> Option<&str> {
    parts(cgroup)
        .find(|part| !part.ends_with(".slice"))
        .filter(|part| part.ends_with(".service") || part.ends_with(".scope"))
}

fn parts(cgroup: &str) -> impl Iterator<Item = &str> {
    cgroup.split('/').filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "/user.slice/user-0.slice/session-3.scope";
    const USERS: &str = "/user.slice/user-0.slice/user@0.service/app.slice/x.scope";

    #[test]
    fn the_v2_line_counts_beside_those_of_v1() {
        let text = format!("12:pids:/init.scope\n1:name=systemd:/init.scope\n0::{SESSION}\n");
        assert_eq!(cgroup(&text), Some(SESSION));
        assert_eq!(cgroup("1:name=systemd:/init.scope\n"), None);
    }

    #[test]
    fn the_mount_may_show_all_or_a_part() {
        let v1 = "30 23 0:26 / /sys/fs/cgroup/pids rw shared:9 - cgroup cgroup rw,pids\n";
        let all = "31 23 0:27 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n";
        let part = "31 23 0:27 /user.slice /mnt rw - cgroup2 cgroup2 rw\n";
        let found = folder(&format!("{v1}{all}"), "/a.slice/b.scope");
        let (found, top) = found.unwrap();
        assert_eq!(found, Path::new("/sys/fs/cgroup/unified/a.slice/b.scope"));
        assert_eq!(top, Path::new("/sys/fs/cgroup/unified"));
        let (found, _) = folder(part, SESSION).unwrap();
        assert_eq!(found, Path::new("/mnt/user-0.slice/session-3.scope"));
        assert_eq!(folder(all, "/").unwrap().0.as_os_str(), "/sys/fs/cgroup/unified");
        assert_eq!(folder(part, "/system.slice/b.scope"), None);
        assert_eq!(folder(v1, "/a"), None);
    }

    #[test]
    fn slices_and_units_of_another_systemd_are_not_ours() {
        assert_eq!(
            (slice(SESSION), unit(SESSION)),
            (Some("user-0.slice"), Some("session-3.scope"))
        );
        assert_eq!((slice(USERS), unit(USERS)), (Some("user-0.slice"), Some("user@0.service")));
        assert_eq!((slice("/init.scope"), unit("/init.scope")), (None, Some("init.scope")));
        assert_eq!((slice("/"), unit("/own/folder")), (None, None));
    }
}
