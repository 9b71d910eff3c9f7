//! Traces in a real collector: from the request for a ticket to the screen that it brought.

use crate::alone;
use crate::chevet::{Folder, Program, free_port, settle, with_password};
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

#[test]
fn a_trace_leads_from_the_request_for_a_ticket_to_the_screen_that_it_brought_and_names_nobody() {
    let _alone = alone();
    let (folder, port, collecting) = (Folder::new(), free_port(), free_port());
    let _collector = Collector::start(&folder, collecting);
    let config = folder.file("chevet.toml");
    let text = format!(
        "listen = [\"127.0.0.1:{port}\"]\nstate_directory = {:?}\n[sign_in]\n[telemetry]\n\
         otlp = \"http://127.0.0.1:{collecting}\"\n[[publish]]\nsession = \"desk\"\nusers = [\"anne\"]\n\
         [[session]]\nname = \"desk\"\npattern = {{ width = 640, height = 480, frames_per_second = 0, seed = 1 }}\n",
        folder.file("state")
    );
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let arguments = ["user", "--config", config, "add", "anne", "--title", "Anne Roy"];
    assert!(with_password(&folder, "anne", &arguments).wait().unwrap().success());
    let mut gateway = Program::chevet(&folder, "gateway", &["gateway", "--config", config]);
    settle("the gateway listens", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).err().map(|error| error.to_string())
    });
    let page = format!("http://127.0.0.1:{port}/");
    let arguments = ["view", "--headless", "--user", "anne", "--duration", "1", &page];
    assert!(with_password(&folder, "view", &arguments).wait().unwrap().success());
    // What waits is sent before it ends.
    gateway.signal("-INT");
    settle("the gateway ends", || gateway.ended().is_none().then(|| gateway.log()));
    let mut written = String::new();
    settle("the spans are written down", || {
        written = std::fs::read_to_string(folder.file("collector.out")).unwrap();
        spans(&written).iter().all(|span| span.name != "first screen").then(|| written.clone())
    });
    let spans = spans(&written);
    let named = |name: &str| {
        spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name:?}: {spans:#?}"))
    };
    let (ticket, attach, screen) = (named("POST /api/tickets"), named("attach"), named("first screen"));
    assert!(ticket.parent.is_empty() && ticket.text.contains("200"), "{ticket:#?}");
    assert_eq!((&attach.trace, &attach.parent), (&ticket.trace, &ticket.id));
    assert_eq!((&screen.trace, &screen.parent), (&ticket.trace, &attach.id));
    assert!(attach.text.contains("desk") && screen.text.contains("true"), "{spans:#?}");
    assert!(!written.to_lowercase().contains("anne"), "a span says who it is: {written}");
}
