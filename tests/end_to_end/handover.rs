//! A gateway is replaced while people use it: on SIGHUP the program is started anew, and takes over the ports.

use crate::chevet::{Folder, Program, TICKET, free_port, settle};
use crate::lanes::alone;
use crate::server::Program::Xvfb;
use crate::server::Server;
use ::chevet::client::{Address, Client, Event};
use ::chevet::sync::Exactness;
use ::chevet::wire::InputEvent;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(30);

const PATTERN: &str = "pattern = { width = 640, height = 480, frames_per_second = 5, seed = 1 }";

struct Stage {
    source: String,
    folder: Folder,
    config: PathBuf,
    port: u16,
    gateway: Program,
}

impl Stage {
    fn set(source: &str) -> Stage {
        let (folder, port) = (Folder::new(), free_port());
        let config = folder.file("chevet.toml");
        let path = config.to_str().unwrap().to_owned();
        std::fs::write(&config, text_of(port, &path, source, "One")).unwrap();
        let gateway = Program::chevet(&folder, "gateway", &["gateway", "--config", &path]);
        let stage = Stage { source: source.to_owned(), folder, config, port, gateway };
        settle("the gateway listens", || stage.answers().err());
        stage
    }

    fn rewrite(&self, title: &str) {
        let path = self.config.to_str().unwrap();
        std::fs::write(&self.config, text_of(self.port, path, &self.source, title)).unwrap();
    }

    /// Whether a request on a connection of its own is answered.
    fn answers(&self) -> Result<(), String> {
        self.get("/healthz").map(drop)
    }

    fn get(&self, path: &str) -> Result<String, String> {
        use std::io::{Read, Write};
        let ask = || -> std::io::Result<String> {
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(SOON))?;
            write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        match ask() {
            Ok(answer) if answer.starts_with("HTTP/1.1 200") => Ok(answer),
            Ok(answer) => Err(answer),
            Err(error) => Err(error.to_string()),
        }
    }

    /// A viewer by QUIC.
    async fn client(&self) -> Client {
        let told = self.get("/api/connect").unwrap();
        let pin = told.split("certificate_sha256\":[\"").nth(1).unwrap().split('"').next().unwrap();
        let native = format!("chevet://127.0.0.1:{}/desk?ticket={TICKET}&pin={pin}", self.port);
        Client::connect(Address::parse(&native).unwrap()).await.unwrap()
    }

    /// Has the gateway that serves now replaced.
    fn reload(&self) {
        let process = self.successor().unwrap_or(self.gateway.id());
        assert!(Command::new("kill").args(["-HUP", &process.to_string()]).status().unwrap().success());
    }

    /// The process of the newest gateway that took another's place.
    fn successor(&self) -> Option<u32> {
        let log = self.gateway.log();
        let line = log.lines().rfind(|line| line.contains("takes this one's place"))?;
        line.split("process=").nth(1)?.split_whitespace().next()?.parse().ok()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(process) = self.successor() {
            let _ = Command::new("kill").arg(process.to_string()).status();
        }
    }
}

fn text_of(port: u16, path: &str, source: &str, title: &str) -> String {
    format!(
        "listen = [\"127.0.0.1:{port}\"]\nstate_directory = \"{path}.state\"\n[access]\nticket = {TICKET:?}\n\
         [[session]]\nname = \"desk\"\ntitle = {title:?}\n{source}\n"
    )
}

/// Drives the client until it was attached to a session of this title and is exact; how long it was without one.
async fn until_exact(client: &mut Client, wanted: &str) -> Duration {
    let mut began = Instant::now();
    let mut attached = false;
    while !attached || client.exactness() != Exactness::Exact {
        let event = tokio::time::timeout(SOON, client.next()).await.expect("it shows the session in time");
        match event.unwrap() {
            Event::Attached { title, .. } => attached = title == wanted,
            Event::Silent(_) => began = Instant::now(),
            _ => {}
        }
    }
    began.elapsed()
}

#[test]
fn a_gateway_that_is_reloaded_keeps_its_viewers_and_refuses_nobody_meanwhile() {
    let _alone = alone();
    tokio::runtime::Runtime::new().unwrap().block_on(reload());
}

async fn reload() {
    let mut stage = Stage::set(PATTERN);
    let mut client = stage.client().await;
    until_exact(&mut client, "One").await;
    // A client that has only just dialled does not dial again at once.
    let _ = tokio::time::timeout(Duration::from_millis(700), async { while client.next().await.is_ok() {} })
        .await;

    let over = Arc::new(AtomicBool::new(false));
    let knocking = std::thread::spawn({
        let (over, port) = (over.clone(), stage.port);
        let asked = move || {
            let stream = std::net::TcpStream::connect(("127.0.0.1", port));
            stream.map(drop).map_err(|error| error.to_string())
        };
        move || {
            let mut count = 0;
            while !over.load(Ordering::Relaxed) {
                asked().unwrap();
                count += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
            count
        }
    });
    stage.rewrite("Two");
    stage.reload();
    let took = until_exact(&mut client, "Two").await;
    println!("without a gateway for {took:?}");
    over.store(true, Ordering::Relaxed);
    assert!(knocking.join().unwrap() > 10);
    settle("the old gateway ends", || stage.gateway.ended().is_none().then(|| stage.gateway.log()));
    assert_eq!(client.mismatches(), 0);
    stage.answers().unwrap();

    // Settings that cannot be taken over change nothing.
    stage.rewrite("Three");
    let right = std::fs::read_to_string(&stage.config).unwrap();
    std::fs::write(&stage.config, "lisen = []").unwrap();
    stage.reload();
    let log = || stage.gateway.log();
    settle("the mistake is said", || (!log().contains("this gateway goes on as it is")).then(log));
    assert!(log().contains("lisen"), "{}", log());
    stage.answers().unwrap();
    std::fs::write(&stage.config, right).unwrap();
    stage.reload();
    until_exact(&mut client, "Three").await;
    stage.answers().unwrap();
}

#[test]
fn of_what_is_typed_while_gateways_follow_each_other_no_letter_is_lost_and_none_comes_twice() {
    let _alone = alone();
    tokio::runtime::Runtime::new().unwrap().block_on(type_on());
}

async fn type_on() {
    const GATEWAYS: usize = 3;
    let server = Server::start(Xvfb, 640, 480, 24);
    let stage = Stage::set(&format!("display = {:?}", server.display));
    let typed_file = stage.folder.file("typed");
    let script = format!("stty -icanon -echo; exec cat > {}", typed_file.display());
    let mut terminal = Command::new("xterm")
        .args(["-display", &server.display, "-geometry", "100x30+0+0", "-e", "sh", "-c", &script])
        .spawn()
        .unwrap();
    let arrived = || std::fs::read_to_string(&typed_file).unwrap_or_default();
    settle("the terminal reads", || (!typed_file.exists()).then(|| "it has not begun".into()));
    let mut client = stage.client().await;
    until_exact(&mut client, "One").await;

    let mut typed = String::new();
    let (mut gateways, mut reloaded) = (0, Instant::now());
    let end = Instant::now() + SOON;
    while gateways < GATEWAYS || reloaded.elapsed() < Duration::from_secs(2) {
        assert!(Instant::now() < end, "{gateways} gateways followed: {}", stage.gateway.log());
        if gateways < GATEWAYS && reloaded.elapsed() > Duration::from_millis(1_500) {
            stage.reload();
            (gateways, reloaded) = (gateways + 1, Instant::now());
        }
        let letter = char::from(b'a' + (typed.len() % 26) as u8);
        let key = 4 + u16::from(letter as u8 - b'a');
        // Without a link nothing is taken, and the same letter is typed again.
        if client.input(InputEvent::KeyDown { key, keysym: letter as u32 }) {
            typed.push(letter);
            client.input(InputEvent::KeyUp { key, keysym: letter as u32 });
        }
        let pause = tokio::time::Instant::now() + Duration::from_millis(4);
        while let Ok(event) = tokio::time::timeout_at(pause, client.next()).await {
            event.unwrap();
        }
    }
    let all_arrived = async {
        while arrived().len() < typed.len() {
            let _ = tokio::time::timeout(Duration::from_millis(20), client.next()).await;
        }
    };
    let _ = tokio::time::timeout(SOON, all_arrived).await;
    let _ = terminal.kill();
    let _ = terminal.wait();
    assert_eq!(arrived(), typed);
    assert!(typed.len() > 200, "only {} letters were typed", typed.len());
}
