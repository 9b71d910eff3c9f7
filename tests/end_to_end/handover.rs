//! A gateway is replaced while people use it: on SIGHUP the program is started anew, and takes over the ports.

use crate::alone;
use crate::chevet::{Folder, Program, TICKET, free_port, settle};
use ::chevet::client::{Address, Client, Event};
use ::chevet::sync::Exactness;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(30);

struct Stage {
    _folder: Folder,
    config: PathBuf,
    port: u16,
    gateway: Program,
}

impl Stage {
    fn set() -> Stage {
        let (folder, port) = (Folder::new(), free_port());
        let config = folder.file("chevet.toml");
        let path = config.to_str().unwrap().to_owned();
        std::fs::write(&config, text_of(port, &path, "One")).unwrap();
        let gateway = Program::chevet(&folder, "gateway", &["gateway", "--config", &path]);
        let stage = Stage { _folder: folder, config, port, gateway };
        settle("the gateway listens", || stage.answers().err());
        stage
    }

    fn rewrite(&self, title: &str) {
        std::fs::write(&self.config, text_of(self.port, self.config.to_str().unwrap(), title)).unwrap();
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

fn text_of(port: u16, path: &str, title: &str) -> String {
    format!(
        "listen = [\"127.0.0.1:{port}\"]\nstate_directory = \"{path}.state\"\n[access]\nticket = {TICKET:?}\n\
         [[session]]\nname = \"desk\"\ntitle = {title:?}\n\
         pattern = {{ width = 640, height = 480, frames_per_second = 5, seed = 1 }}\n"
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

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_reloaded_keeps_its_viewers_and_refuses_nobody_meanwhile() {
    let _alone = alone();
    let mut stage = Stage::set();
    let told = stage.get("/api/connect").unwrap();
    let pin = told.split("certificate_sha256\":[\"").nth(1).unwrap().split('"').next().unwrap();
    let native = format!("chevet://127.0.0.1:{}/desk?ticket={TICKET}&pin={pin}", stage.port);
    let mut client = Client::connect(Address::parse(&native).unwrap()).await.unwrap();
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
    stage.gateway.signal("-HUP");
    let took = until_exact(&mut client, "Two").await;
    println!("without a gateway for {took:?}");
    over.store(true, Ordering::Relaxed);
    assert!(knocking.join().unwrap() > 10);
    settle("the old gateway ends", || stage.gateway.ended().is_none().then(|| stage.gateway.log()));
    assert_eq!(client.mismatches(), 0);
    stage.answers().unwrap();

    // Settings that cannot be taken over change nothing.
    let successor = stage.successor().expect("the log says which process serves");
    stage.rewrite("Three");
    let right = std::fs::read_to_string(&stage.config).unwrap();
    std::fs::write(&stage.config, "lisen = []").unwrap();
    let hangup = || Command::new("kill").args(["-HUP", &successor.to_string()]).status().unwrap();
    assert!(hangup().success());
    let log = || stage.gateway.log();
    settle("the mistake is said", || (!log().contains("this gateway goes on as it is")).then(log));
    assert!(log().contains("lisen"), "{}", log());
    stage.answers().unwrap();
    std::fs::write(&stage.config, right).unwrap();
    assert!(hangup().success());
    until_exact(&mut client, "Three").await;
    stage.answers().unwrap();
}
