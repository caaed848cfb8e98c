// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who is at the other end of the control socket, and what they may do.
//!
//! The kernel says which user and group opened the connection; the group file says what else that user belongs to. No
//! password, no token: whoever the machine trusts, weirgate trusts. The decision is a pure function of numbers and
//! names, so that it can be read and tested as a table.

use std::fs;

/// The group whose members may change things.
pub const ADMIN_GROUP: &str = "weirgate-admin";

/// The group whose members may look.
pub const VIEWER_GROUP: &str = "weirgate";

/// Longest account file that is read.
const ACCOUNTS_BYTES_MAX: u64 = 16 << 20;

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// May read everything but secrets.
    Viewer,
    /// May also change things.
    Admin,
}

impl Role {
    /// The word for it in a status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Admin => "admin",
        }
    }
}

/// The user at the other end of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub uid: u32,
    pub login: String,
    /// None for a user who may do nothing.
    pub role: Option<Role>,
}

impl Caller {
    /// The caller with these credentials, by the account files of this machine.
    pub fn of(uid: u32, gid: u32) -> Self {
        let accounts = Accounts::read();
        let own = rustix::process::geteuid().as_raw();
        let groups = accounts.groups(uid, gid);
        Self { uid, login: accounts.login(uid), role: role(uid, own, &groups) }
    }

    /// How a revision names its author, such as `ana (console)`.
    pub fn author(&self, channel: &str) -> String {
        format!("{} ({channel})", self.login)
    }
}

/// What a user with these groups may do. `own` is the user that the daemon runs as.
pub fn role(uid: u32, own: u32, groups: &[&str]) -> Option<Role> {
    let member = |group: &str| groups.contains(&group);
    if uid == 0 || uid == own || member(ADMIN_GROUP) {
        Some(Role::Admin)
    } else if member(VIEWER_GROUP) {
        Some(Role::Viewer)
    } else {
        None
    }
}

/// The channel a caller names, if it is one of those we know; anything else is the API.
pub fn channel(named: Option<&str>) -> &'static str {
    match named {
        Some("console") => "console",
        Some("cli") => "cli",
        _ => "api",
    }
}

/// The account files as text. Read at each connection: joining a group counts at once, without logging in again.
#[derive(Debug, Default)]
pub struct Accounts {
    passwd: String,
    group: String,
}

impl Accounts {
    /// The files of this machine; what cannot be read is empty, and then nobody but root and the daemon gets in.
    pub fn read() -> Self {
        Self { passwd: bounded("/etc/passwd"), group: bounded("/etc/group") }
    }

    /// The login name of a user, or `uid 1234`.
    pub fn login(&self, uid: u32) -> String {
        let named = self.passwd_of(uid).and_then(|fields| fields.first().copied());
        named.map_or_else(|| format!("uid {uid}"), str::to_owned)
    }

    /// The number of a group.
    pub fn group_id(&self, name: &str) -> Option<u32> {
        let line = self.group.lines().map(fields).find(|line| line.first() == Some(&name))?;
        line.get(2)?.parse().ok()
    }

    /// The names of the groups a user is in: the one of the process, the primary one, and those that list it.
    pub fn groups(&self, uid: u32, gid: u32) -> Vec<&str> {
        let account = self.passwd_of(uid).unwrap_or_default();
        let login = account.first().copied();
        let primary: Option<u32> = account.get(3).and_then(|gid| gid.parse().ok());
        let belongs = |line: &Vec<&str>| {
            let id: Option<u32> = line.get(2).and_then(|id| id.parse().ok());
            let listed = line.get(3).is_some_and(|members| members.split(',').any(|name| Some(name) == login));
            listed || id == Some(gid) || (id.is_some() && id == primary)
        };
        let lines = self.group.lines().map(fields).filter(belongs);
        lines.filter_map(|line| line.first().copied()).collect()
    }

    fn passwd_of(&self, uid: u32) -> Option<Vec<&str>> {
        let id = |line: &Vec<&str>| line.get(2).and_then(|id| id.parse().ok()) == Some(uid);
        self.passwd.lines().map(fields).find(id)
    }
}

fn fields(line: &str) -> Vec<&str> {
    line.split(':').collect()
}

fn bounded(path: &str) -> String {
    let small = fs::metadata(path).is_ok_and(|file| file.len() <= ACCOUNTS_BYTES_MAX);
    if small { fs::read_to_string(path).unwrap_or_default() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::{Accounts, Role, channel, role};

    fn accounts() -> Accounts {
        Accounts {
            passwd: "root:x:0:0::/root:/bin/sh\nana:x:1000:1000::/srv/ana:/bin/sh\nben:x:1001:990::/:/bin/sh\n\
                     weirgate:x:990:990::/:/usr/sbin/nologin\nbroken\n:x::\n"
                .to_owned(),
            group: "root:x:0:\nana:x:1000:\nweirgate:x:990:cat\nweirgate-admin:x:991:ana,dan\nempty:x:992:\nbroken\n"
                .to_owned(),
        }
    }

    /// Each row: user, group of its process, and what it may do. The daemon runs as user 990.
    #[test]
    fn roles() {
        let rows = [
            (0, 0, Some(Role::Admin)),
            (990, 990, Some(Role::Admin)),
            (1000, 1000, Some(Role::Admin)),
            (1001, 990, Some(Role::Viewer)),
            (1001, 1001, Some(Role::Viewer)),
            (1234, 990, Some(Role::Viewer)),
            (1234, 991, Some(Role::Admin)),
            (1234, 1234, None),
        ];
        let accounts = accounts();
        for (uid, gid, want) in rows {
            assert_eq!(role(uid, 990, &accounts.groups(uid, gid)), want, "uid {uid} gid {gid}");
        }
    }

    #[test]
    fn names_and_numbers() {
        let accounts = accounts();
        assert_eq!(accounts.login(1000), "ana");
        assert_eq!(accounts.login(4242), "uid 4242");
        assert_eq!(accounts.group_id("weirgate-admin"), Some(991));
        assert_eq!(accounts.group_id("nobody-has-this"), None);
        assert_eq!(Accounts::default().groups(1000, 1000), Vec::<&str>::new());
    }

    #[test]
    fn only_known_channels_are_named() {
        let rows = [(Some("console"), "console"), (Some("cli"), "cli"), (Some("root (cli)"), "api"), (None, "api")];
        for (given, want) in rows {
            assert_eq!(channel(given), want);
        }
    }
}
