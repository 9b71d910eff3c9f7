//! The administration page of one of two gateways that share a database, in a real browser.

use crate::browser::Browser;
use crate::chevet::{Folder, PASSWORD, Program, free_port, settle, with_password};
use crate::lanes::beside;
use crate::postgres::Postgres;
use std::process::Command;

#[test]
fn an_administrator_at_one_gateway_ends_in_chromium_what_another_one_shows_and_empties_it_and_looks_on_without_the_database()
 {
    let _beside = beside();
    let folder = Folder::new();
    let postgres = Postgres::start();
    let url = postgres.database("chevet");
    let secret = folder.file("secret");
    std::fs::write(&secret, "of both gateways of this test, and long enough\n").unwrap();
    let start = |name: &str| {
        let (port, config) = (free_port(), folder.file(&format!("{name}.toml")));
        let text = format!(
            "listen = [\"127.0.0.1:{port}\"]\nstate_directory = {:?}\n[store]\nurl = {url:?}\n[gateways]\n\
             name = {name:?}\naddress = \"127.0.0.1\"\nsecret_file = {secret:?}\n[sign_in]\n[[publish]]\n\
             session = \"*\"\ngroups = [\"nurses\"]\n[[session]]\nname = \"desk\"\n\
             title = \"Front desk\"\npattern = {{ width = 640, height = 480, frames_per_second = 0, seed = 1 }}\n",
            folder.file(&format!("{name}.state"))
        );
        std::fs::write(&config, text).unwrap();
        let config = config.to_str().unwrap().to_owned();
        let gateway = Program::chevet(&folder, name, &["gateway", "--config", &config]);
        settle("the gateway listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).err().map(|error| error.to_string())
        });
        (gateway, port, config)
    };
    let (there, there_port, _) = start("south");
    settle("it has the session", || (!there.log().contains("has the session")).then(|| there.log()));
    let (_here, here_port, config) = start("north");
    for (name, title, role) in [("boss", "Ada Boss", "administrator"), ("anne", "Anne Roy", "user")] {
        let arguments = ["user", "--config", &config, "add", name, "--title", title, "--role", role];
        let mut adding = with_password(&folder, name, &[&arguments[..], &["--group", "nurses"]].concat());
        assert!(adding.wait().unwrap().success());
    }
    // As a gateway keeps it.
    let kept = "INSERT INTO known_certificates (protocol, host, fingerprint, first_at, gateway) VALUES \
                ('vnc', 'ward7:5900', repeat('ab', 32), 1764000000000, 'south')";
    assert!(postgres.run("chevet", kept));
    let page = format!("http://127.0.0.1:{there_port}/#session=desk");
    let arguments = ["view", "--headless", "--user", "anne", "--seat", "Ward 3", &page];
    let mut viewer = with_password(&folder, "view", &arguments);
    let pictures = std::env::var("CHEVET_PICTURES").unwrap_or("{folder}".into());
    let scenario = ["several", "boss", PASSWORD, "Anne Roy", "south", &pictures];
    let admin = format!("http://127.0.0.1:{here_port}/admin");
    let language = std::env::var("CHEVET_LANGUAGE").unwrap_or("en".into());
    let mut browser = Browser::start("chromium", &admin, &scenario, &[("CHEVET_LANGUAGE", &language)]);
    browser.step("ended");
    let said = || std::fs::read_to_string(folder.file("view.log")).unwrap();
    settle("the viewer ends", || viewer.try_wait().unwrap().is_none().then(said));
    assert!(said().contains("from elsewhere"), "{}", said());
    browser.step("drained");
    settle("the other gateway goes", || (!there.log().contains("asked to go")).then(|| there.log()));
    postgres.stop();
    let lost = browser.step("lost");
    assert_eq!(lost["rows"], 1, "{lost}");
    for (gateway, actions) in
        [("south", &["end viewer", "drain gateway"][..]), ("north", &["end viewer", "drain gateway"])]
    {
        let journal = folder.file(&format!("{gateway}.state")).join("audit");
        let show = Command::new(env!("CARGO_BIN_EXE_chevet"))
            .args(["audit", "show", "--json", journal.to_str().unwrap()])
            .output()
            .unwrap();
        let shown = String::from_utf8(show.stdout).unwrap();
        let place = if gateway == "south" { "asked at gateway north" } else { "at gateway south" };
        assert_eq!(shown.contains("forget certificate"), gateway == "north");
        for action in actions {
            let wanted = format!(r#""action":"{action}""#);
            let is = |line: &str| line.contains(&wanted) && line.contains("Ada Boss") && line.contains(place);
            assert!(shown.lines().any(is), "{gateway}: {wanted} is not in\n{shown}\n{}", there.log());
        }
    }
}
