//! The command lines of a session's processes: its X server, and its program as its user, within its limits.

use super::account::Account;
use super::keeper::Order;
use super::place::{MARK, Place};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games";
/// The X servers that can be started, the one whose screen can grow first.
const SERVERS: [&str; 2] = ["Xtigervnc", "Xvfb"];

/// The X server of a session: the wished one, or the first that there is.
///
/// # Errors
/// What to install.
pub fn x_server(wished: Option<&str>) -> Result<&str, String> {
    match wished {
        Some(name) if find(name).is_some() => Ok(name),
        Some(name) => Err(format!("the X server {name} is not installed on this host")),
        None => SERVERS.into_iter().find(|name| find(name).is_some()).ok_or_else(|| {
            "this host has neither Xtigervnc nor Xvfb: install tigervnc-standalone-server".to_owned()
        }),
    }
}

/// Where a program is, as a session would find it.
pub fn find(program: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let runs = |path: &Path| {
        path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| path.is_absolute() && runs(path));
    }
    PATH.split(':').map(|folder| Path::new(folder).join(program)).find(|path| runs(path))
}

/// The X server, which names its display on its standard output.
pub fn server(order: &Order, place: &Place) -> Command {
    let authority = place.authority().display().to_string();
    let mut line: Vec<String> =
        [&order.x_server, "-displayfd", "1", "-nolisten", "tcp", "-noreset", "-auth", &authority]
            .map(str::to_owned)
            .to_vec();
    let geometry = format!("{}x{}", order.width, order.height);
    match order.x_server.ends_with("Xvfb") {
        true => line.extend(["-screen", "0", &format!("{geometry}x24"), "-dpi", "96"].map(str::to_owned)),
        false => {
            let more = ["-rfbport", "-1", "-geometry", &geometry, "-depth", "24", "-dpi", "96", "-s", "0"];
            line.extend(more.map(str::to_owned));
        }
    }
    // A server that is asked to end removes its socket.
    let mut command = command(&[as_user(&order.account, "TERM"), line].concat());
    command.env("PATH", PATH).env(MARK, &order.folder).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The session's program.
pub fn program(order: &Order, place: &Place, display: &str) -> Command {
    let (limits, _) = limits(order);
    let line = [limits, as_user(&order.account, "KILL"), order.command.clone()].concat();
    let mut command = command(&line);
    command.env("PATH", PATH);
    for name in ["LANG", "TZ"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let account = &order.account;
    command.env("SHELL", if account.shell.is_empty() { "/bin/sh" } else { &account.shell });
    command.envs(order.environment.iter().map(|(name, value)| (name, value)));
    // What says who and where a session is, no configuration changes.
    command.env("HOME", &account.home).env("USER", &account.name).env("LOGNAME", &account.name);
    command.env("DISPLAY", display).env("XAUTHORITY", place.authority());
    command.env("XDG_RUNTIME_DIR", place.run()).env("XDG_SESSION_TYPE", "x11").env(MARK, &order.folder);
    command.current_dir(if account.home.is_dir() { account.home.as_path() } else { Path::new("/") });
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn command(line: &[String]) -> Command {
    let mut command = Command::new(&line[0]);
    command.args(&line[1..]).env_clear();
    command
}

/// What makes a program a session leader and its user's, to be ended by the kernel with the keeper. The signal is set
/// last: the kernel forgets it when a process becomes another user.
fn as_user(account: &Account, at_our_death: &str) -> Vec<String> {
    let mut line = vec!["setsid".to_owned(), "setpriv".to_owned()];
    if account.becomes {
        line.push(format!("--reuid={}", account.uid));
        line.push(format!("--regid={}", account.gid));
        line.push("--init-groups".to_owned());
    }
    line.extend(["--pdeathsig", at_our_death, "--"].map(str::to_owned));
    line
}

/// What sets a session's limits, and in words for the log how.
pub fn limits(order: &Order) -> (Vec<String>, String) {
    let limits = &order.limits;
    if *limits == Default::default() {
        return (Vec::new(), "no limits".to_owned());
    }
    // As systemd's own sd_booted does.
    if Path::new("/run/systemd/system").is_dir() && find("systemd-run").is_some() {
        return (scope(order), "limits by a systemd scope".to_owned());
    }
    let mut line = vec!["prlimit".to_owned()];
    if limits.memory_mib > 0 {
        line.push(format!("--as={}", limits.memory_mib.saturating_mul(1 << 20)));
    }
    if limits.tasks > 0 {
        line.push(format!("--nproc={}", limits.tasks));
    }
    line.push("--".to_owned());
    let unlimited = if limits.cpu_percent > 0 { "; processors cannot be limited so" } else { "" };
    (
        line,
        format!(
            "no systemd here: limits by setrlimit, a process's address space and a user's tasks{unlimited}"
        ),
    )
}

fn scope(order: &Order) -> Vec<String> {
    let name = order.folder.file_name().unwrap_or_default().to_string_lossy();
    let mut line = vec!["systemd-run".to_owned()];
    if !order.account.becomes {
        line.push("--user".to_owned());
    }
    line.extend(["--scope", "--quiet", "--collect"].map(str::to_owned));
    line.push(format!("--unit=chevet-{name}.scope"));
    let limits = &order.limits;
    let properties = [
        (limits.memory_mib > 0).then(|| format!("MemoryMax={}M", limits.memory_mib)),
        (limits.cpu_percent > 0).then(|| format!("CPUQuota={}%", limits.cpu_percent)),
        (limits.tasks > 0).then(|| format!("TasksMax={}", limits.tasks)),
    ];
    line.extend(properties.into_iter().flatten().map(|property| format!("--property={property}")));
    line.push("--".to_owned());
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Limits;

    fn order() -> Order {
        let account = Account {
            name: "anne".into(),
            uid: 1_001,
            gid: 1_002,
            home: "/home/anne".into(),
            shell: String::new(),
            becomes: true,
        };
        Order {
            folder: "/run/chevet-host/record.x1".into(),
            account,
            x_server: "Xvfb".into(),
            width: 800,
            height: 600,
            command: vec!["xterm".into()],
            environment: Vec::new(),
            limits: Limits { memory_mib: 512, cpu_percent: 150, tasks: 64 },
        }
    }

    #[test]
    fn limits_are_a_scopes_properties_where_there_is_systemd() {
        let line = scope(&order()).join(" ");
        assert_eq!(
            line,
            "systemd-run --scope --quiet --collect --unit=chevet-record.x1.scope --property=MemoryMax=512M \
             --property=CPUQuota=150% --property=TasksMax=64 --"
        );
        let mut own = order();
        own.account.becomes = false;
        assert!(scope(&own).contains(&"--user".to_owned()));
    }

    #[test]
    fn without_limits_nothing_stands_before_a_program_and_its_user_comes_before_its_leash() {
        let mut free = order();
        free.limits = Limits::default();
        assert!(limits(&free).0.is_empty());
        let line = as_user(&free.account, "KILL").join(" ");
        assert_eq!(line, "setsid setpriv --reuid=1001 --regid=1002 --init-groups --pdeathsig KILL --");
    }
}
