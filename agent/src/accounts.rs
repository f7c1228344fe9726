//! Users and groups of the host by number and name.
//!
//! Owns reading of passwd(5) and group(5). Invariant: pure; a line that is none is skipped, as the
//! C library does. Names that only a directory such as LDAP knows are not found: a static program
//! can't load the modules that ask it.

/// A group by number, with its name if it has one.
pub type Group = (u32, Option<String>);

/// The name of a user in the text of passwd(5).
#[must_use]
pub fn user(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let (name, rest) = line.split_once(':')?;
        (rest.split(':').nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// Groups with the names they have in the text of group(5), each once, in the order given.
#[must_use]
pub fn groups(group: &str, gids: impl IntoIterator<Item = u32>) -> Vec<Group> {
    let name = |gid: u32| {
        group.lines().find_map(|line| {
            let (name, rest) = line.split_once(':')?;
            (rest.split(':').nth(1)?.parse() == Ok(gid)).then(|| name.to_owned())
        })
    };
    let mut found: Vec<Group> = Vec::new();
    for gid in gids {
        if found.iter().all(|(known, _)| *known != gid) {
            found.push((gid, name(gid)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\n+::::::\nann:x:1000:100::/:\n";
    const GROUP: &str = "root:x:0:\nbroken:x\nusers:x:100:\nusers:x:101:ann\n";

    #[test]
    fn users_have_the_name_of_the_first_line_with_their_number() {
        assert_eq!(user(PASSWD, 0).as_deref(), Some("root"));
        assert_eq!(user(PASSWD, 1000).as_deref(), Some("ann"));
        assert_eq!(user(PASSWD, 100), None);
    }

    #[test]
    fn groups_are_named_once_and_kept_without_a_name() {
        let named = |gid, name: &str| (gid, Some(name.to_owned()));
        assert_eq!(
            groups(GROUP, [100, 7, 100, 0]),
            [named(100, "users"), (7, None), named(0, "root")]
        );
    }
}
