//! Three gateways are updated one after the other, while viewers come and go.

use crate::alone;
use crate::network::Node;
use crate::stage::{GATEWAYS, PORT, SOON, Stage, TICKET, settle};
use std::io::Read;
use std::process::{Child, Stdio};
use std::time::Instant;

const VIEWERS: usize = 24;
const SESSIONS: usize = 4;

/// Ends with its owner.
struct Loader(Child);

impl Drop for Loader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn three_gateways_are_updated_one_after_the_other_and_nobody_who_comes_meanwhile_is_not_let_in() {
    let _alone = alone();
    let mut stage = Stage::set("rolling");
    stage.load_sessions(SESSIONS);
    // Viewers that come and go until they are told to stop.
    let figures = stage.folder.join("load.json");
    let mut command = stage.network.command(Node::Inside, env!("CARGO_BIN_EXE_chevet"));
    command.args(["load", "--profile", "practice", "--parse-only", "--duration", "10m", "--ramp", "2s"]);
    command.args(["--visit", "2s", "--fail-if", "failed-attaches>0"]);
    command.args(["--viewers", &VIEWERS.to_string(), "--sessions", &SESSIONS.to_string()]);
    command.arg("--json").arg(&figures);
    let pins: String = stage.pins().map(|pin| format!("&pin={pin}")).collect();
    for number in 0..GATEWAYS {
        let address = Node::Gateway(number).inner().unwrap();
        command.arg(format!("chevet://{address}:{PORT}/practice-*?ticket={TICKET}&tls=1{pins}"));
    }
    let mut load = Loader(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let attached = |stage: &Stage| stage.said("viewer attached");
    settle("viewers come", || (attached(&stage) < VIEWERS).then(|| stage.tell()));
    for number in 0..GATEWAYS {
        let begun = Instant::now();
        stage.drain(number);
        println!("gateway {number} has gone after {:?}", begun.elapsed());
        stage.restart(Node::Gateway(number));
        // All of them have come again.
        let before = attached(&stage);
        settle("viewers come again", || (attached(&stage) < before + VIEWERS).then(|| stage.tell()));
    }
    crate::program::send(load.0.id(), "-INT");
    let end = Instant::now() + SOON;
    let status = loop {
        if let Some(status) = load.0.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < end, "the load does not end");
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    let mut said = String::new();
    load.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    load.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    println!("{said}");
    assert!(status.success(), "{said}");
    let figures: serde_json::Value = serde_json::from_slice(&std::fs::read(figures).unwrap()).unwrap();
    assert_eq!(figures["failed_attaches"], 0, "{said}");
    assert!(figures["attaches"].as_u64().unwrap() >= 4 * VIEWERS as u64, "{said}");
    stage.check();
}
