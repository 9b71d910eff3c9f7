//! Traces in a real collector: from the request for a ticket to the screen that it brought.

use crate::chevet::{Folder, Program, free_port, settle, with_password};
use crate::lanes::beside;
use chevet::client::seat::{How, Seat, SeatFile, Tapped};
use chevet::gateway::{Config, kept_keys};
use chevet::identity::{Hasher, new_id, new_seat_code};
use chevet::store::{SeatMode, Store};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

/// A collector that writes down what it is sent.
struct Collector(Child);

impl Collector {
    fn start(folder: &Folder, port: u16) -> Collector {
        // The package is for Debian's Python, and brings a program of its own.
        let packages = "/tests/end_to_end/collector/venv/lib/python3.11/site-packages";
        let program = format!("{}{packages}/rotel/rotel-agent", env!("CARGO_MANIFEST_DIR"));
        let other = format!("127.0.0.1:{}", free_port());
        let out = std::fs::File::create(folder.file("collector.out")).unwrap();
        let mut command = Command::new(program);
        command.args([
            "start",
            "--exporter",
            "blackhole",
            "--debug-log",
            "traces",
            "--debug-log-verbosity",
            "detailed",
        ]);
        command.args(["--otlp-http-endpoint", &format!("127.0.0.1:{port}"), "--otlp-grpc-endpoint", &other]);
        command.args(["--pid-file".as_ref(), folder.file("collector.pid").as_os_str()]);
        command.args(["--log-file".as_ref(), folder.file("collector.log").as_os_str()]);
        command.stdin(Stdio::null()).stderr(out.try_clone().unwrap()).stdout(out);
        let started = command.spawn().expect("`make test` installs the collector");
        settle("the collector listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).err().map(|error| error.to_string())
        });
        Collector(started)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A span as the collector writes it down.
#[derive(Debug, Default)]
struct Span {
    trace: String,
    parent: String,
    id: String,
    name: String,
    text: String,
}

fn spans(written: &str) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for line in written.lines() {
        if line.starts_with("Span #") {
            spans.push(Span::default());
        }
        let Some(span) = spans.last_mut() else { continue };
        let (what, value) = line.split_once(':').unwrap_or_default();
        let field = match what.trim() {
            "Trace ID" => &mut span.trace,
            "Parent ID" => &mut span.parent,
            "ID" => &mut span.id,
            "Name" => &mut span.name,
            _ => &mut span.text,
        };
        field.push_str(value.trim());
    }
    spans
}

/// A gateway that sends its spans to a collector, and what they say once it has ended.
struct Traced {
    folder: Folder,
    config: std::path::PathBuf,
    port: u16,
    gateway: Option<Program>,
    _collector: Collector,
}

impl Traced {
    fn start() -> Traced {
        let (folder, port, collecting) = (Folder::new(), free_port(), free_port());
        let collector = Collector::start(&folder, collecting);
        let config = folder.file("chevet.toml");
        let text = format!(
            "listen = [\"127.0.0.1:{port}\"]\nstate_directory = {:?}\n[sign_in]\n[telemetry]\n\
             otlp = \"http://127.0.0.1:{collecting}\"\n[[publish]]\nsession = \"desk\"\nusers = [\"anne\"]\n\
             [[session]]\nname = \"desk\"\npattern = {{ width = 640, height = 480, frames_per_second = 0, seed = 1 }}\n",
            folder.file("state")
        );
        std::fs::write(&config, text).unwrap();
        let mut traced = Traced { folder, config, port, gateway: None, _collector: collector };
        traced.run("anne", &["user", "--config", "CONFIG", "add", "anne", "--title", "Anne Roy"]);
        let arguments = ["gateway", "--config", traced.config.to_str().unwrap()];
        traced.gateway = Some(Program::chevet(&traced.folder, "gateway", &arguments));
        settle("the gateway listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).err().map(|error| error.to_string())
        });
        traced
    }

    /// Runs a command that reads Anne's password.
    fn run(&self, name: &str, arguments: &[&str]) {
        let config = self.config.to_str().unwrap();
        let arguments: Vec<&str> =
            arguments.iter().map(|each| if *each == "CONFIG" { config } else { each }).collect();
        assert!(with_password(&self.folder, name, &arguments).wait().unwrap().success());
    }

    fn page(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Ends the gateway, which sends what waits, and reads what was collected once this span is there.
    fn collected(&mut self, last: &str) -> String {
        let gateway = self.gateway.as_mut().unwrap();
        gateway.signal("-INT");
        settle("the gateway ends", || gateway.ended().is_none().then(|| gateway.log()));
        let mut written = String::new();
        settle("the spans are written down", || {
            written = std::fs::read_to_string(self.folder.file("collector.out")).unwrap();
            spans(&written).iter().all(|span| span.name != last).then(|| written.clone())
        });
        written
    }
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name:?}: {spans:#?}"))
}

#[test]
fn a_trace_leads_from_the_request_for_a_ticket_to_the_screen_that_it_brought_and_names_nobody() {
    let _beside = beside();
    let mut traced = Traced::start();
    traced.run("view", &["view", "--headless", "--user", "anne", "--duration", "1", &traced.page()]);
    let written = traced.collected("first screen");
    let spans = spans(&written);
    let (ticket, attach) = (named(&spans, "POST /api/tickets"), named(&spans, "attach"));
    let screen = named(&spans, "first screen");
    assert!(ticket.parent.is_empty() && ticket.text.contains("200"), "{ticket:#?}");
    assert_eq!((&attach.trace, &attach.parent), (&ticket.trace, &ticket.id));
    assert_eq!((&screen.trace, &screen.parent), (&ticket.trace, &attach.id));
    assert!(attach.text.contains("desk") && screen.text.contains("true"), "{spans:#?}");
    assert!(!written.to_lowercase().contains("anne"), "a span says who it is: {written}");
}

#[test]
fn a_seats_page_is_told_the_trace_of_the_tap_that_it_goes_on_with() {
    const BADGE: &str = "04A22F91";
    let _beside = beside();
    let mut traced = Traced::start();
    let claim = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let config = Config::read(&traced.config).unwrap();
        let store = Store::open(&config.store_url().unwrap()).await.unwrap();
        let anne = store.user_named("anne").await.unwrap().unwrap().id;
        store.set_pin(&anne, &Hasher::default().hash_pin("4711").await.unwrap()).await.unwrap();
        let hash = kept_keys(&config).unwrap().badge_hash(BADGE);
        store.add_badge(&new_id(), &hash, &anne, 0).await.unwrap();
        let now = chevet::clock::unix_ms();
        let code = new_seat_code(&store, "Room 1", "east", SeatMode::Wedge, now).await.unwrap();
        let seat = Seat::open(SeatFile::enrol(&traced.page(), None, &code).await.unwrap()).await.unwrap();
        let Tapped::Pin(tap) = seat.tap(BADGE).await.unwrap() else { panic!("no PIN was asked for") };
        let Tapped::Open(opened) = seat.pin(&tap, "4711").await.unwrap() else { panic!("not opened") };
        let How::Page { claim } = opened.how else { panic!("it was for a page") };
        claim
    });
    let body = format!("{{\"claim\":\"{claim}\"}}");
    let host = format!("127.0.0.1:{}", traced.port);
    let mut gateway = std::net::TcpStream::connect(&host).unwrap();
    write!(
        gateway,
        "POST /api/seats/claim HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    gateway.read_to_string(&mut answer).unwrap();
    let written = traced.collected("POST /api/seats/claim");
    let spans = spans(&written);
    let tap = named(&spans, "POST /api/seats/pin");
    assert!(answer.contains(&format!("\"trace\":\"00-{}-{}-01\"", tap.trace, tap.id)), "{answer} {tap:#?}");
}
