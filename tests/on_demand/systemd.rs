//! The same with systemd, which is booted for it in namespaces of its own, with nothing but its manager.

use super::stage::is_root;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SYSTEMD: &str = "/lib/systemd/systemd";
/// Folders of the machine that systemd must not touch are covered before it starts, but for what is tested, should that lie
/// there; its only target wants nothing.
const BOOT: &str = "set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir /run/tested
mount --bind \"$TESTED\" /run/tested
mount -t tmpfs tmpfs /tmp
mkdir -p \"$TESTED\"
mount --move /run/tested \"$TESTED\"
mkdir -p /run/systemd/system
printf '[Unit]\\nDefaultDependencies=no\\n' > /run/systemd/system/nothing.target
export container=test
exec /lib/systemd/systemd --system --unit=nothing.target --log-target=null --show-status=no";
/// Says what became of the test, once systemd answers.
const TEST: &str = "set -e
for i in $(seq 100); do systemctl is-system-running >/dev/null 2>&1 && break; sleep 0.1; done
exec \"$@\"";

/// A cgroup for systemd to be the root of; removed with this.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new() -> Cgroup {
        let all = Path::new("/sys/fs/cgroup");
        // Where there are cgroups of both versions, systemd keeps its tree in the older one.
        let older = all.join("systemd");
        let root = if older.is_dir() { older } else { all.to_owned() };
        let cgroup = root.join(format!("chevet-test-{}", std::process::id()));
        std::fs::create_dir(&cgroup).unwrap();
        Cgroup(cgroup)
    }

    /// A shell's words that move it there.
    fn enter(&self) -> String {
        format!("echo $$ > {}/cgroup.procs; ", self.0.display())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // systemd leaves folders of its own; from the deepest up they can go.
        let _ = Command::new("find").arg(&self.0).args(["-depth", "-type", "d", "-delete"]).status();
    }
}

#[test]
fn where_there_is_systemd_a_session_is_a_scope_with_its_applications_limits() {
    if !is_root() {
        eprintln!("only root can boot systemd: not tried");
        return;
    }
    assert!(Path::new(SYSTEMD).exists(), "{SYSTEMD} is not there: scripts/install.sh test");
    let cgroup = Cgroup::new();
    let line = format!(
        "{} exec unshare --fork --kill-child --pid --mount --mount-proc --cgroup --uts --ipc sh -c '{}'",
        cgroup.enter(),
        BOOT.replace('\'', "'\\''")
    );
    // Where this program lies, and chevet's own.
    let tested = std::env::current_exe().unwrap().parent().and_then(Path::parent).unwrap().to_owned();
    let mut booted = Command::new("sh")
        .args(["-c", &line])
        .env("TESTED", tested)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // unshare's only child is systemd.
    let children = format!("/proc/{0}/task/{0}/children", booted.id());
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let manager = loop {
        let child = std::fs::read_to_string(&children).unwrap_or_default().trim().to_owned();
        let name = std::fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
        if name.trim() == "systemd" {
            break child;
        }
        assert!(std::time::Instant::now() < end, "systemd does not start: {child} {name}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let tested = Command::new("nsenter")
        .args(["-t", &manager, "--mount", "--pid", "--uts", "--ipc", "--cgroup", "sh", "-c", TEST, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_session_has_no_more_memory_than_its_application_allows_and_nobody_without_an_account_has_one",
        ])
        .env("CHEVET_TEST_SYSTEMD", "1")
        .output()
        .unwrap();
    booted.kill().unwrap();
    booted.wait().unwrap();
    let said = String::from_utf8_lossy(&tested.stdout);
    assert!(
        tested.status.success() && said.contains("1 passed"),
        "{said}\n{}",
        String::from_utf8_lossy(&tested.stderr)
    );
}
