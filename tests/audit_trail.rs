//! The audit trail of a gateway: what it grants and refuses stands in its journal, and `chevet audit` reads and checks it.

use chevet::audit::{Config as AuditConfig, WhenFull};
use chevet::client::{Address, Client, ClientError, Event};
use chevet::gateway::{Access, Config, Gateway, PatternConfig, SessionConfig};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const TICKET: &str = "the ticket of these tests";

/// A state directory that goes with its test.
struct State(PathBuf);

impl State {
    fn new() -> State {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("chevet-trail-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        State(path)
    }

    fn journal(&self) -> PathBuf {
        self.0.join("audit")
    }

    fn config(&self, when_spool_full: WhenFull) -> Config {
        let pattern = PatternConfig { width: 320, height: 240, frames_per_second: 5, seed: 1 };
        Config {
            listen: vec![([127, 0, 0, 1], 0).into()],
            state_directory: Some(self.0.clone()),
            access: Access { ticket: Some(TICKET.into()), ..Access::default() },
            audit: AuditConfig { when_spool_full, ..AuditConfig::default() },
            sessions: vec![SessionConfig {
                name: "pattern".into(),
                pattern: Some(pattern),
                ..SessionConfig::default()
            }],
            ..Config::default()
        }
    }

    /// The events in the journal, in order, as `chevet audit show` finds them.
    fn events(&self, more: &[&str]) -> Vec<serde_json::Value> {
        let output = chevet(&[&["show", "--json"], more, &[self.journal().to_str().unwrap()]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn verify(&self, more: &[&str]) -> (Option<i32>, String) {
        let output = chevet(&[&["verify"], more, &[self.journal().to_str().unwrap()]].concat());
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    fn expect_whole(&self) {
        let (status, said) = self.verify(&["--complete", "--state", self.0.to_str().unwrap()]);
        assert_eq!(status, Some(0), "{said}");
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn chevet(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chevet")).arg("audit").args(arguments).output().unwrap()
}

/// Attaches, and waits for the first picture.
async fn connect(address: &str) -> Result<Client, String> {
    watch(Address::parse(address).expect("an address")).await
}

async fn watch(address: Address) -> Result<Client, String> {
    let seeing = async {
        let mut client = Client::connect(address).await?;
        while !matches!(client.next().await?, Event::Updated(_)) {}
        Ok(client)
    };
    let seen: Result<Client, ClientError> =
        tokio::time::timeout(Duration::from_secs(20), seeing).await.expect("an answer");
    seen.map_err(|error| error.to_string())
}

/// Lists the sessions with a ticket; the first line of the answer.
fn list(address: std::net::SocketAddr, ticket: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let request = format!(
        "GET /api/sessions HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {ticket}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gateway_grants_and_refuses_stands_in_its_journal_without_a_secret() {
    let state = State::new();
    let gateway = Gateway::start(&state.config(WhenFull::Refuse)).await.unwrap();
    let address = gateway.native_url("pattern");
    connect(&address).await.unwrap().close().await;
    let wrong = address.replace("ticket=", "ticket=wrong+");
    assert!(connect(&wrong).await.is_err());
    assert!(connect(&gateway.native_url("nowhere")).await.is_err());
    gateway.stop().await;
    let events = state.events(&[]);
    let named = |name: &str| events.iter().filter(|event| event["event"] == name).collect::<Vec<_>>();
    assert_eq!(events[0]["event"], "gateway_started");
    assert_eq!(events.last().unwrap()["event"], "gateway_stopped");
    let (attached, left) = (named("attached"), named("detached"));
    assert!(!attached.is_empty() && attached.len() == left.len(), "{events:?}");
    assert_eq!((&attached[0]["session"], &attached[0]["peer"]), (&"pattern".into(), &"127.0.0.1".into()));
    let refused = named("attach_refused");
    let reasons: Vec<_> = refused.iter().map(|event| event["reason"].as_str().unwrap()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("ticket")), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("no session \"nowhere\"")), "{reasons:?}");
    assert!(refused.iter().all(|event| event["outcome"] == "minor_failure"));
    assert_eq!(state.events(&["--event", "attached", "--session", "pattern"]).len(), attached.len());
    assert_eq!(state.events(&["--session", "elsewhere"]).len(), 0);
    assert_eq!(state.events(&["--until", "2020-01-01"]).len(), 0);
    let text = format!("{events:?}");
    assert!(!text.contains(TICKET) && !text.contains("ticket of these"), "{text}");
    state.expect_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_attached_when_the_gateway_stops_is_recorded_to_have_left_before_it() {
    let state = State::new();
    let gateway = Gateway::start(&state.config(WhenFull::GoOn)).await.unwrap();
    let client = connect(&gateway.native_url("pattern")).await.unwrap();
    gateway.stop().await;
    drop(client);
    let events = state.events(&[]);
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names.last(), Some(&"gateway_stopped"), "{names:?}");
    let left = events.iter().find(|event| event["event"] == "detached").expect("it left");
    assert!(left["reason"].as_str().unwrap().contains("the session has ended"), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_wrong_tickets_fills_no_journal() {
    let state = State::new();
    let gateway = Gateway::start(&state.config(WhenFull::Refuse)).await.unwrap();
    let address = gateway.addresses()[0];
    let lines =
        tokio::task::spawn_blocking(move || (0..200).map(|_| list(address, "guess")).collect::<Vec<_>>());
    assert!(lines.await.unwrap().iter().all(|line| line.contains("401")));
    gateway.stop().await;
    assert_eq!(state.events(&["--event", "ticket_refused"]).len(), 10);
    let counted = state.events(&["--event", "refused_again"]);
    assert_eq!(counted.iter().map(|event| event["count"].as_u64().unwrap()).sum::<u64>(), 190);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_cannot_record_lets_in_or_not_as_configured() {
    for when_spool_full in [WhenFull::Refuse, WhenFull::GoOn] {
        let state = State::new();
        let gateway = Gateway::start(&state.config(when_spool_full)).await.unwrap();
        // It may be writing what it has just started, and put a file into the directory that goes.
        while let Err(error) = std::fs::remove_dir_all(state.journal()) {
            assert_eq!(error.kind(), std::io::ErrorKind::DirectoryNotEmpty, "{error}");
        }
        let answer = connect(&gateway.native_url("pattern")).await;
        match (when_spool_full, answer) {
            (WhenFull::Refuse, Err(error)) => assert!(error.contains("audit trail"), "{error}"),
            (WhenFull::GoOn, Ok(client)) => client.close().await,
            (_, answer) => panic!("{:?} under {when_spool_full:?}", answer.map(drop)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_somebody_changed_is_found_broken_where_it_is() {
    let state = State::new();
    let (status, _) = state.verify(&[]);
    assert_eq!(status, Some(2), "there is none yet");
    let gateway = Gateway::start(&state.config(WhenFull::GoOn)).await.unwrap();
    for _ in 0..3 {
        connect(&gateway.native_url("pattern")).await.unwrap().close().await;
    }
    gateway.stop().await;
    state.expect_whole();
    let (_, said) = state.verify(&[]);
    let head = said.lines().find_map(|line| line.strip_prefix("the last one's hash: ")).unwrap();
    assert_eq!(state.verify(&["--noted", head]).0, Some(0));
    let file = std::fs::read_dir(state.journal()).unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|path| path.extension().is_some_and(|end| end == "jsonl")).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<_> = text.lines().collect();
    // The whole end taken away: only who noted it can tell.
    std::fs::write(&file, lines[..lines.len() - 1].join("\n") + "\n").unwrap();
    assert_eq!(state.verify(&[]).0, Some(0));
    assert_eq!(state.verify(&["--noted", head]).0, Some(1));
    std::fs::write(&file, text.replacen("127.0.0.1", "127.0.0.2", 1)).unwrap();
    let (status, said) = state.verify(&[]);
    assert_eq!(status, Some(1));
    assert!(said.contains(".jsonl:3: the line is not what it was"), "{said}");
    let output = chevet(&["show", state.journal().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 lines are not as they were written"));
}

/// The gateway as a program, which can be killed.
struct Program(Child);

impl Program {
    fn start(config: &Path, address: std::net::SocketAddr) -> Program {
        Program::start_under(&[], config, address)
    }

    /// Behind these words of a command line.
    fn start_under(words: &[&str], config: &Path, address: std::net::SocketAddr) -> Program {
        let chevet = [env!("CARGO_BIN_EXE_chevet"), "gateway", "--config", config.to_str().unwrap()];
        let all = [words, &chevet].concat();
        let child = Command::new(all[0])
            .args(&all[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(address).is_err() {
            assert!(Instant::now() < end, "the gateway does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Program(child)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A configuration under `refuse`, its address, and the page's.
fn strict(state: &State) -> (PathBuf, std::net::SocketAddr, String) {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = state.0.join("chevet.toml");
    let text = format!(
        "listen = [{:?}]\nstate_directory = {:?}\n[access]\nticket = {TICKET:?}\n[audit]\nwhen_spool_full = \
         \"refuse\"\n[[session]]\nname = \"pattern\"\npattern = {{ width = 320, height = 240 }}\n",
        address.to_string(),
        state.0
    );
    std::fs::write(&config, text).unwrap();
    let page = format!("http://{address}/#session=pattern&ticket={}", TICKET.replace(' ', "+"));
    (config, address, page)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_half_a_record_and_later_the_rest_has_every_record_once() {
    let state = State::new();
    let (config, address, page) = strict(&state);
    // No file may grow beyond 3,000 bytes: a write over that limit is cut short there, then fails.
    let limit = ["env", "--ignore-signal=XFSZ", "prlimit", "--fsize=3000:"];
    let program = Program::start_under(&limit, &config, address);
    let found = Address::find(&page).await.expect("the gateway says how it is reached");
    let mut let_in = 0;
    let refused = loop {
        match watch(found.clone()).await {
            Ok(client) => client.close().await,
            Err(error) => break error,
        }
        let_in += 1;
        assert!(let_in < 20, "the limit is never met");
    };
    assert!(refused.contains("audit trail"), "{refused}");
    let journal = std::fs::read_dir(state.journal()).unwrap().map(|entry| entry.unwrap());
    let longest = journal.map(|entry| entry.metadata().unwrap().len()).max().unwrap();
    assert!((2_000..=3_000).contains(&longest), "{longest} bytes");
    let id = program.0.id().to_string();
    assert!(Command::new("prlimit").args(["--pid", &id, "--fsize=1000000000:"]).status().unwrap().success());
    let end = Instant::now() + Duration::from_secs(20);
    while let Err(error) = watch(found.clone()).await {
        assert!(Instant::now() < end, "{error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(program);
    state.expect_whole();
    let attached = state.events(&["--event", "attached"]).len();
    assert!(attached > let_in, "{attached} of {let_in} and one");
    let refused = state.events(&["--event", "attach_refused"]);
    assert!(
        refused.iter().any(|event| event["reason"].as_str().unwrap().contains("audit trail")),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_killed_leaves_a_journal_that_goes_on() {
    let state = State::new();
    let (config, address, page) = strict(&state);
    let mut let_in = 0;
    for _ in 0..4 {
        let program = Program::start(&config, address);
        let found = Address::find(&page).await.expect("the gateway says how it is reached");
        for _ in 0..3 {
            // Dropped without a word, so that there is something under way when the gateway dies.
            drop(watch(found.clone()).await.expect("let in"));
            let_in += 1;
        }
        drop(program);
    }
    state.expect_whole();
    assert_eq!(state.events(&["--event", "gateway_started"]).len(), 4);
    assert!(state.events(&["--event", "attached"]).len() >= let_in, "nobody was let in without a record");
}
