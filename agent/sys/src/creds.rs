//! Credentials: users, groups, capabilities, user-namespace maps.
//!
//! Invariant: dropping goes one way; nothing here can raise a privilege the caller has not got.

use caps::{CapSet, Capability, CapsHashSet};
use nix::unistd::{Gid, Uid};

use crate::{Errno, Result};

/// Real uid and gid of this process.
pub fn real() -> (u32, u32) {
    (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw())
}

/// Effective uid and gid of this process.
pub fn effective() -> (u32, u32) {
    (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw())
}

/// The effective group and every supplementary one of this process (getgroups(2)).
///
/// # Errors
/// What getgroups(2) says.
pub fn groups() -> Result<Vec<u32>> {
    let further = nix::unistd::getgroups()?;
    Ok(std::iter::once(nix::unistd::getegid()).chain(further).map(Gid::as_raw).collect())
}

/// Leave every supplementary group (setgroups(2)).
///
/// # Errors
/// `EPERM` without CAP_SETGID, and in a user namespace whose setgroups file says "deny".
pub fn drop_groups() -> Result<()> {
    nix::unistd::setgroups(&[])
}

/// Change real, effective and saved gid and uid, in this order.
///
/// # Errors
/// What setresgid(2) and setresuid(2) say.
pub fn become_user(uid: u32, gid: u32) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    nix::unistd::setresgid(gid, gid, gid)?;
    nix::unistd::setresuid(uid, uid, uid)
}

/// Do something with another user's rights to files: its uid, gid and groups, and without the
/// capabilities that override permissions, which the kernel takes from a process whose file system
/// uid is not 0 (setfsuid(2), capabilities(7)). The caller's own are back when this returns.
///
/// # Errors
/// `EPERM` when the caller may not become that user, or not itself again.
pub fn with_file_rights_of<T>(
    uid: u32,
    gid: u32,
    groups: &[u32],
    body: impl FnOnce() -> T,
) -> Result<T> {
    let own_groups = nix::unistd::getgroups()?;
    let own = effective();
    let set = |uid: u32, gid: u32, groups: &[Gid]| -> Result<()> {
        nix::unistd::setgroups(groups)?;
        let (user, group) = (Uid::from_raw(uid), Gid::from_raw(gid));
        // Neither call tells whether it worked; a second one tells what holds.
        nix::unistd::setfsgid(group);
        nix::unistd::setfsuid(user);
        let holds = nix::unistd::setfsgid(group) == group && nix::unistd::setfsuid(user) == user;
        if holds { Ok(()) } else { Err(Errno::EPERM) }
    };
    let groups: Vec<Gid> = groups.iter().map(|group| Gid::from_raw(*group)).collect();
    let done = set(uid, gid, &groups).map(|()| body());
    set(own.0, own.1, &own_groups)?;
    done
}

/// Remove every capability but `keep` from the bounding set of this thread (capabilities(7)): all
/// that the running kernel knows, not only those known here by name.
///
/// # Errors
/// `EPERM` without CAP_SETPCAP; `EINVAL` for a name that is not a capability.
pub fn limit_bounding_set(keep: &[String]) -> Result<()> {
    let keep: Vec<u8> = parse(keep)?.into_iter().map(|capability| capability.index()).collect();
    for number in (0..64).filter(|number| !keep.contains(number)) {
        // SAFETY: PR_CAPBSET_DROP takes integers only.
        let dropped =
            unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(number), 0, 0, 0) };
        match crate::raw::check(libc::c_long::from(dropped)) {
            // One more than the last capability of this kernel.
            Err(Errno::EINVAL) => break,
            result => result?,
        };
    }
    Ok(())
}

/// Keep permitted capabilities over the next change of uid (PR_SET_KEEPCAPS); exec clears it.
///
/// # Errors
/// What prctl(2) says.
pub fn keep_capabilities() -> Result<()> {
    // SAFETY: PR_SET_KEEPCAPS takes integers only.
    crate::raw::check(libc::c_long::from(unsafe {
        libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0)
    }))?;
    Ok(())
}

/// Hold exactly `keep` in the permitted, effective, inheritable and ambient sets.
///
/// # Errors
/// `EPERM` when one of them is not permitted; `EINVAL` for a name that is not a capability.
pub fn set_capabilities(keep: &[String]) -> Result<()> {
    let keep = parse(keep)?;
    clear_ambient()?;
    // Permitted last but one: it cannot shrink below effective, nor ambient exceed inheritable.
    for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        caps::set(None, set, &keep).map_err(|_| Errno::EPERM)?;
    }
    for capability in keep {
        caps::raise(None, CapSet::Ambient, capability).map_err(|_| Errno::EPERM)?;
    }
    Ok(())
}

/// Empty the ambient set in one call (PR_CAP_AMBIENT_CLEAR_ALL).
fn clear_ambient() -> Result<()> {
    // SAFETY: PR_CAP_AMBIENT takes integers only.
    let cleared =
        unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    crate::raw::check(libc::c_long::from(cleared)).map(|_| ())
}

fn parse(names: &[String]) -> Result<CapsHashSet> {
    names.iter().map(|name| name.parse::<Capability>().map_err(|_| Errno::EINVAL)).collect()
}

/// Map this process's new user namespace (user_namespaces(7)): one uid and one gid, `outside` seen
/// as `inside`. setgroups is denied first, as the kernel demands of an unprivileged mapper.
///
/// # Errors
/// What write(2) on `/proc/self/{setgroups,uid_map,gid_map}` says.
pub fn map_user(inside: (u32, u32), outside: (u32, u32)) -> Result<()> {
    let write = |file: &str, text: String| {
        std::fs::write(format!("/proc/self/{file}"), text)
            .map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
    };
    write("setgroups", "deny".into())?;
    write("uid_map", format!("{} {} 1\n", inside.0, outside.0))?;
    write("gid_map", format!("{} {} 1\n", inside.1, outside.1))
}
