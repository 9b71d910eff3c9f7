//! Which Unix user somebody is on this host.

use super::config::HostConfig;
use std::path::PathBuf;
use std::process::Command;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AccountError {
    #[error(
        "{user} has no Unix account {account} on this host; make one, or map the user in the host's [users]"
    )]
    Unknown { user: String, account: String },
    #[error("sessions of root are not started; map {user} to another account in the host's [users]")]
    Root { user: String },
    #[error(
        "{account} is a system account (uid {uid}); if {user} is to be it all the same, say so in the host's [users]"
    )]
    System { user: String, account: String, uid: u32 },
    #[error(
        "the host does not run as root, so its sessions are all {own}'s and {user} ({account}) cannot have one; run it as \
         root, or map the user in the host's [users]"
    )]
    NotRoot { user: String, account: String, own: String },
    #[error("asking the system for the account {account}: {reason}")]
    Ask { account: String, reason: String },
}

/// A Unix account.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: PathBuf,
    pub shell: String,
    /// The host is root, and becomes this user for its programs.
    pub becomes: bool,
}

/// The account of somebody who is called `user` at the gateway.
///
/// # Errors
/// When there is none, or this host may not be it.
pub fn account_of(user: &str, config: &HostConfig) -> Result<Account, AccountError> {
    let mapped = config.users.get(user);
    let account = mapped.map_or(user, String::as_str);
    let line = ask(account)?;
    let unknown = || AccountError::Unknown { user: user.into(), account: account.into() };
    let found = line.as_deref().and_then(parse).ok_or_else(unknown)?;
    let own = rustix::process::geteuid();
    if !own.is_root() && found.uid != own.as_raw() {
        let own = ask(&own.as_raw().to_string())?.as_deref().and_then(parse);
        return Err(AccountError::NotRoot {
            user: user.into(),
            account: account.into(),
            own: own.map_or_else(|| "its own user".into(), |own| own.name),
        });
    }
    if found.uid == 0 {
        return Err(AccountError::Root { user: user.into() });
    }
    if found.uid < config.least_uid && mapped.is_none() {
        return Err(AccountError::System { user: user.into(), account: account.into(), uid: found.uid });
    }
    Ok(Account { becomes: own.is_root(), ..found })
}

/// A line of the password database, wherever the system has it from.
fn ask(account: &str) -> Result<Option<String>, AccountError> {
    // A name that begins with a dash would be an option.
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | '$');
    if account.is_empty() || account.starts_with('-') || !account.chars().all(plain) {
        return Ok(None);
    }
    let asked = Command::new("getent").args(["passwd", "--", account]).output();
    let failed = |reason: String| AccountError::Ask { account: account.into(), reason };
    let answer = asked.map_err(|error| failed(error.to_string()))?;
    match answer.status.code() {
        Some(0) => Ok(Some(String::from_utf8_lossy(&answer.stdout).into_owned())),
        Some(2) => Ok(None),
        _ => Err(failed(format!("getent ended with {}", answer.status))),
    }
}

fn parse(line: &str) -> Option<Account> {
    let mut fields = line.trim_end().split(':');
    let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
    let _password = fields.next()?;
    let uid = fields.next()?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    let _name_for_people = fields.next()?;
    let home = PathBuf::from(fields.next()?);
    let shell = fields.next().unwrap_or_default().to_owned();
    Some(Account { name, uid, gid, home, shell, becomes: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> HostConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn nobody_is_root_and_who_has_no_account_is_told_what_to_do() {
        let unknown = account_of("chevet-has-no-such-user", &config("")).unwrap_err();
        assert!(matches!(unknown, AccountError::Unknown { .. }) && unknown.to_string().contains("[users]"));
        for name in ["-s", "", "a b", "a:b", "../x"] {
            assert!(matches!(account_of(name, &config("")), Err(AccountError::Unknown { .. })), "{name}");
        }
        let root = account_of("anne", &config("users = { anne = 'root' }")).unwrap_err();
        match rustix::process::geteuid().is_root() {
            true => assert!(matches!(root, AccountError::Root { .. })),
            false => assert!(matches!(root, AccountError::NotRoot { .. }), "{root}"),
        }
    }

    #[test]
    fn system_accounts_are_only_those_that_the_host_maps() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        assert!(matches!(account_of("daemon", &config("")), Err(AccountError::System { uid: 1, .. })));
        let mapped = account_of("anne", &config("users = { anne = 'daemon' }")).unwrap();
        assert!(mapped.becomes && mapped.uid == 1);
    }

    #[test]
    fn a_line_of_the_password_database_is_read_whole_or_not_at_all() {
        let line = "anne:x:1001:1002:Anne Roy,,,:/home/anne:/bin/bash\n";
        let account = parse(line).unwrap();
        assert_eq!((account.uid, account.gid, account.shell.as_str()), (1001, 1002, "/bin/bash"));
        assert_eq!(parse("anne:x:many:1:::"), None);
        assert_eq!(parse("anne:x"), None);
    }
}
