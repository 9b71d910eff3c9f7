//! A network of the test's own: a namespace for each machine, bridges between them in one more, and what is wrong with it as
//! nftables rules. Nothing of it is outside those namespaces, and they end with it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PREFIX: &str = "chevet-faults-";

/// A machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    Gateway(usize),
    Edge(usize),
    Host(usize),
    Database,
    /// Where somebody sits who reaches gateways, and somebody who reaches edges alone.
    Inside,
    Outside,
}

pub const NODES: [Node; 10] = [
    Node::Gateway(0),
    Node::Gateway(1),
    Node::Gateway(2),
    Node::Edge(0),
    Node::Edge(1),
    Node::Host(0),
    Node::Host(1),
    Node::Database,
    Node::Inside,
    Node::Outside,
];

impl Node {
    pub fn name(self) -> String {
        match self {
            Node::Gateway(number) => format!("gateway-{number}"),
            Node::Edge(number) => format!("edge-{number}"),
            Node::Host(number) => format!("host-{number}"),
            Node::Database => "database".into(),
            Node::Inside => "inside".into(),
            Node::Outside => "outside".into(),
        }
    }

    fn number(self) -> usize {
        1 + NODES.iter().position(|&node| node == self).unwrap()
    }

    /// Its address on the inner bridge.
    pub fn inner(self) -> Option<String> {
        (self != Node::Outside).then(|| format!("10.77.0.{}", self.number()))
    }

    /// Its address on the outer bridge.
    pub fn outer(self) -> Option<String> {
        matches!(self, Node::Outside | Node::Edge(_)).then(|| format!("10.78.0.{}", self.number()))
    }
}

/// What is wrong with the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Pairs that do not hear each other.
    pub cut: BTreeSet<(Node, Node)>,
    /// Of what these send and are sent, this percentage is lost.
    pub lossy: BTreeSet<(Node, u8)>,
}

/// What a node's kernel is told to drop of what arrives.
pub fn rules(node: Node, weather: &Weather) -> String {
    let mut rules =
        String::from("table ip faults {}\ndelete table ip faults\ntable ip faults {\n chain arrive {\n");
    rules.push_str("  type filter hook input priority 0; policy accept;\n");
    let addresses = |node: Node| node.inner().into_iter().chain(node.outer());
    for &(one, other) in &weather.cut {
        let from = if one == node { other } else { one };
        if one == node || other == node {
            addresses(from).for_each(|from| writeln!(rules, "  ip saddr {from} drop").unwrap());
        }
    }
    for &(lossy, percent) in &weather.lossy {
        if lossy == node {
            writeln!(rules, "  numgen random mod 100 < {percent} drop").unwrap();
        } else {
            addresses(lossy).for_each(|from| {
                writeln!(rules, "  ip saddr {from} numgen random mod 100 < {percent} drop").unwrap();
            });
        }
    }
    rules + " }\n}\n"
}

pub struct Network {
    prefix: String,
    pub weather: Weather,
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("install iproute2");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {said}");
}

impl Network {
    pub fn make() -> Network {
        assert!(
            rustix::process::geteuid().is_root(),
            "these tests make network namespaces, and mount: run them as root"
        );
        remove_leftovers();
        let network =
            Network { prefix: format!("{PREFIX}{}-", std::process::id()), weather: Weather::default() };
        let switch = network.namespace("switch");
        ip(&format!("netns add {switch}"));
        for bridge in ["inner", "outer"] {
            ip(&format!("-n {switch} link add {bridge} type bridge"));
            ip(&format!("-n {switch} link set {bridge} up"));
        }
        for node in NODES {
            let name = network.of(node);
            ip(&format!("netns add {name}"));
            ip(&format!("-n {name} link set lo up"));
            for (bridge, address) in [("inner", node.inner()), ("outer", node.outer())] {
                let Some(address) = address else { continue };
                let port = format!("{bridge}{}", node.number());
                ip(&format!("-n {switch} link add {port} type veth peer name {bridge} netns {name}"));
                ip(&format!("-n {switch} link set {port} master {bridge} up"));
                ip(&format!("-n {name} addr add {address}/24 dev {bridge}"));
                ip(&format!("-n {name} link set {bridge} up"));
            }
        }
        network.apply();
        network
    }

    fn namespace(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The namespace of a node.
    pub fn of(&self, node: Node) -> String {
        self.namespace(&node.name())
    }

    /// A program that will run on a node, and end with this process.
    pub fn command(&self, node: Node, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "nsenter"]).arg(format!("--net=/run/netns/{}", self.of(node)));
        command.arg(program);
        command
    }

    /// Changes what is wrong.
    pub fn change(&mut self, change: impl FnOnce(&mut Weather)) {
        change(&mut self.weather);
        self.apply();
    }

    fn apply(&self) {
        for node in NODES {
            let mut nft = Command::new("nsenter");
            nft.arg(format!("--net=/run/netns/{}", self.of(node))).args(["nft", "-f", "-"]);
            let mut nft = nft.stdin(Stdio::piped()).spawn().unwrap();
            nft.stdin.take().unwrap().write_all(rules(node, &self.weather).as_bytes()).unwrap();
            let done = nft.wait().unwrap().success();
            assert!(done, "nft took no rules: is nftables installed, and does the kernel have it?");
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        remove(|name| name.starts_with(&self.prefix));
    }
}

/// What runs of these tests have left whose process is gone.
fn remove_leftovers() {
    let is_dead = |name: &str| {
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        process.is_some_and(|process| !std::path::Path::new(&format!("/proc/{process}")).exists())
    };
    remove(is_dead);
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    for path in mounts.lines().filter_map(|line| line.split(' ').nth(1)) {
        let folder = path.split('/').find(|part| part.starts_with(PREFIX));
        if folder.is_some_and(is_dead) {
            let _ = Command::new("umount").args(["-l", path]).status();
        }
    }
    for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(is_dead) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Ends the programs in these namespaces, and then them.
fn remove(which: impl Fn(&str) -> bool) {
    let names = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let names: Vec<String> = names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    for name in names.iter().filter(|name| which(name)) {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let there = Command::new("ip").args(["netns", "pids", name]).output().unwrap().stdout;
            let there = String::from_utf8_lossy(&there).into_owned();
            let own = std::process::id().to_string();
            let others: Vec<&str> = there.split_whitespace().filter(|process| *process != own).collect();
            if others.is_empty() || Instant::now() > end {
                break;
            }
            let _ = Command::new("kill").arg("-KILL").args(&others).stderr(Stdio::null()).status();
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = Command::new("ip").args(["netns", "del", name]).status();
    }
}

#[test]
fn a_cut_concerns_the_two_alone_and_loss_everybody() {
    let mut weather = Weather::default();
    weather.cut.insert((Node::Gateway(0), Node::Database));
    weather.lossy.insert((Node::Host(1), 7));
    let (gateway, database) = (rules(Node::Gateway(0), &weather), rules(Node::Database, &weather));
    assert!(gateway.contains("ip saddr 10.77.0.8 drop") && database.contains("ip saddr 10.77.0.1 drop"));
    assert!(!rules(Node::Gateway(1), &weather).contains("0.1 drop"));
    assert!(rules(Node::Gateway(1), &weather).contains("ip saddr 10.77.0.7 numgen random mod 100 < 7 drop"));
    assert!(rules(Node::Host(1), &weather).contains("\n  numgen random mod 100 < 7 drop"));
}
