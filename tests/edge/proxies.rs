//! Viewers and hosts in networks that let nothing out but what an HTTP proxy brings: no UDP, and often no names.

use super::squid::{NAME, PASSWORD, SHUT, Squid, USER};
use super::stage::{SOON, Stage, TICKET, until};
use chevet::client::{Client, Event, Roads};
use chevet::link::{DialError, Proxy, ProxyError, Road, Target, dial};
use chevet::load::{Offer, Profile, Serving};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Takes packets and answers none, as a firewall does.
fn swallows() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

fn proxy(port: u16, who: &str, password: Option<&str>) -> Option<Arc<Proxy>> {
    Proxy::wanted(Some(&format!("http://{who}127.0.0.1:{port}")), password, |_| None).unwrap()
}

/// A session's address by this name, with UDP that leads nowhere.
fn address(stage: &Stage, host: &str, udp: u16) -> String {
    let straight = stage.gateway.native_url("pattern");
    let gateway = stage.gateway.addresses()[0].to_string();
    let address = straight.replace(&gateway, &format!("{host}:{udp}"));
    format!("{address}&tls=1&tcp={}", stage.outside().port())
}

async fn chevet(arguments: Vec<String>, environment: Vec<(&'static str, String)>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chevet"));
    for name in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY", "CHEVET_LOG"]
    {
        command.env_remove(name);
    }
    command.args(arguments).envs(environment).stdin(Stdio::null());
    let running = tokio::task::spawn_blocking(move || command.output().unwrap());
    tokio::time::timeout(SOON, running).await.expect("it ends").unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Looks until the screen is exact, and takes a picture of it.
fn look(picture: &Path, address: &str, more: &[&str]) -> Vec<String> {
    let picture = picture.to_str().unwrap();
    let arguments = ["view", "--headless", "--stats", "json", "--screenshot", picture];
    arguments.iter().chain(more).chain([&address]).map(|each| (*each).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_without_udp_comes_by_itself_through_a_proxy_that_alone_knows_the_edge_s_name() {
    let stage = Stage::open().await.ready().await;
    let squid = Squid::start(&stage.folder.0, true);
    let (_swallowed, udp) = swallows();
    let password = stage.folder.0.join("password");
    std::fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let asked = format!("http://{USER}@127.0.0.1:{}", squid.port);
    let asked = ["--proxy", &asked, "--proxy-password-file", password.to_str().unwrap()];
    let named = format!("http://{USER}:s%3Acret%20pass@127.0.0.1:{}", squid.port);
    let picture = stage.folder.0.join("seen.png");
    // Where the name is unknown QUIC fails at once; where packets are swallowed it never says so.
    for (host, asked, environment) in [
        (NAME, &asked[..], vec![]),
        ("127.0.0.1", &asked[..], vec![]),
        (
            NAME,
            &[][..],
            vec![("HTTPS_PROXY", named.clone()), ("NO_PROXY", "localhost,.other.example".into())],
        ),
        (NAME, &[][..], vec![("all_proxy", named)]),
    ] {
        let before = squid.brought().len();
        let output = chevet(look(&picture, &address(&stage, host, udp), asked), environment).await;
        assert!(output.status.success(), "{host}: {}", said(&output));
        assert!(said(&output).contains("WebSocket"), "{}", said(&output));
        assert!(!said(&output).contains("cret"), "the password is shown: {}", said(&output));
        let seen = std::fs::read(&picture).unwrap();
        assert!(seen.starts_with(b"\x89PNG"));
        std::fs::remove_file(&picture).unwrap();
        until("squid brought it", || squid.brought().len() > before).await;
        let last = squid.brought().pop().unwrap();
        assert!(last.contains(&format!(" {USER} ")) && last.contains(host), "{last}");
    }
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_behind_a_proxy_sees_the_exact_screen_and_types() {
    let stage = Stage::open().await.ready().await;
    let squid = Squid::start(&stage.folder.0, false);
    let (_swallowed, udp) = swallows();
    let mut address = chevet::client::Address::parse(&address(&stage, "127.0.0.1", udp)).unwrap();
    address.target.proxy = proxy(squid.port, "", None);
    let mut client = Client::connect_by(address, Roads::All, (0, 0)).await.unwrap();
    let typing = async {
        while !matches!(client.next().await.unwrap(), Event::Exact) {}
        for key in 4..24_u16 {
            let keysym = 0x5D + u32::from(key);
            assert!(client.input(chevet::wire::InputEvent::KeyDown { key, keysym }));
            assert!(client.input(chevet::wire::InputEvent::KeyUp { key, keysym }));
        }
        while client.input_waiting() > 0 {
            client.next().await.unwrap();
        }
    };
    tokio::time::timeout(SOON, typing).await.expect("it is shown, and what is typed is acknowledged");
    assert_eq!((client.road(), client.mismatches()), (Some(Road::WebSocket), 0));
    client.close().await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_in_no_proxy_is_dialled_straight() {
    let stage = Stage::open().await.ready().await;
    let squid = Squid::start(&stage.folder.0, false);
    let (_swallowed, udp) = swallows();
    let picture = stage.folder.0.join("seen.png");
    let environment = |except: &str| {
        vec![("HTTPS_PROXY", format!("http://127.0.0.1:{}", squid.port)), ("NO_PROXY", except.to_owned())]
    };
    // Straight, nobody knows this name.
    let output =
        chevet(look(&picture, &address(&stage, NAME, udp), &[]), environment("x,.clinic.example")).await;
    assert!(!output.status.success() && said(&output).contains("finding the address"), "{}", said(&output));
    // The environment's proxy is another machine: it has no part in what is on this one.
    let output = chevet(look(&picture, &address(&stage, "127.0.0.1", udp), &[]), environment("")).await;
    assert!(output.status.success(), "{}", said(&output));
    assert!(squid.brought().is_empty(), "{:?}", squid.brought());
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_proxy_refuses_is_said_with_what_to_do() {
    let stage = Stage::open().await.ready().await;
    let squid = Squid::start(&stage.folder.0, true);
    let through = async |proxy: Option<Arc<Proxy>>, port: u16| {
        let mut target = stage.address("pattern").target;
        (target.host, target.tcp_port, target.proxy) = (NAME.into(), Some(port), proxy);
        match tokio::time::timeout(SOON, dial(&target, Road::WebSocket)).await.expect("an answer") {
            Err(error) => error,
            Ok(_) => panic!("it was let through"),
        }
    };
    let edge = stage.outside().port();
    let error = through(proxy(squid.port, "", None), edge).await;
    assert!(matches!(error, DialError::Proxy(ProxyError::WhoAsks { .. })), "{error}");
    let error = through(proxy(squid.port, "anne@", Some("wrong")), edge).await;
    assert!(matches!(error, DialError::Proxy(ProxyError::NotThisUser { .. })), "{error}");
    let error = through(proxy(squid.port, "anne@", Some(PASSWORD)), SHUT).await;
    assert!(matches!(error, DialError::Proxy(ProxyError::Forbidden { status: 403, .. })), "{error}");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = through(proxy(squid.port, "anne@", Some(PASSWORD)), nobody).await;
    assert!(matches!(error, DialError::Proxy(ProxyError::Refused { status: 503, .. })), "{error}");
    let error = through(proxy(nobody, "", None), edge).await;
    assert!(matches!(error, DialError::Proxy(ProxyError::Reach { .. })), "{error}");
    // And it is what a viewer is told, who tries QUIC as well.
    let picture = stage.folder.0.join("seen.png");
    let address = address(&stage, NAME, edge);
    let asked = format!("http://127.0.0.1:{}", squid.port);
    let output = chevet(look(&picture, &address, &["--proxy", &asked]), vec![]).await;
    assert!(!output.status.success() && said(&output).contains("(407)"), "{}", said(&output));
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_proxy_or_says_nothing_or_too_much_is_given_up() {
    let answers: [&[u8]; 4] = [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"HTTP/1.1 200", b"", &[b'x'; 64 << 10]];
    for (at, answer) in answers.into_iter().enumerate() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answering = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1_024]).await;
            let _ = stream.write_all(answer).await;
            // The first and the last are whole; the others stay open and say no more.
            let _ = stream.read(&mut [0; 1]).await;
        });
        let (host, tls) = (NAME.to_owned(), true);
        let proxy = proxy(port, "", None);
        let target = Target { host, udp_port: None, tcp_port: Some(443), tls, pins: vec![[0; 32]], proxy };
        let dialled = tokio::time::timeout(SOON, dial(&target, Road::WebSocket)).await.expect("an end");
        let error = dialled.err().expect("an error");
        let told = error.to_string();
        match at {
            0 | 3 => assert!(matches!(error, DialError::Proxy(ProxyError::NoProxy { .. })), "{told}"),
            _ => assert!(told.contains("no answer within"), "{told}"),
        }
        answering.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_udp_offers_its_session_through_a_proxy() {
    let stage = Stage::open().await;
    let squid = Squid::start(&stage.folder.0, true);
    let (_swallowed, udp) = swallows();
    let mut target = stage.address("pattern").target;
    (target.udp_port, target.tls) = (Some(udp), false);
    target.tcp_port = Some(stage.gateway.addresses()[0].port());
    target.host = NAME.into();
    target.proxy = proxy(squid.port, "anne@", Some(PASSWORD));
    let offer = Offer { sessions: 1, width: 640, height: 480, profile: Profile::Ward, seed: 1 };
    let Serving::Hosts(_hosts) = offer.offer_to(&[target], TICKET.as_bytes()).unwrap() else {
        panic!("they are hosts")
    };
    let name = offer.pattern().replace('*', "0");
    until("the gateway has the session", || stage.gateway.registry().session(&name).is_some()).await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_loaded_through_a_proxy() {
    let stage = Stage::open().await.ready().await;
    let squid = Squid::start(&stage.folder.0, false);
    let (_swallowed, udp) = swallows();
    let through = format!("http://127.0.0.1:{}", squid.port);
    let load = |more: &[&str]| {
        let arguments = ["load", "--profile", "watch", "--viewers", "3", "--ramp", "1s", "--duration", "2s"];
        let address = address(&stage, "127.0.0.1", udp);
        let arguments = arguments.iter().chain(more).chain(["--fail-if", "failed-attaches>0"].iter());
        arguments.map(|each| (*each).to_owned()).chain([address]).collect()
    };
    let output = chevet(load(&["--proxy", &through]), vec![]).await;
    assert!(output.status.success(), "{}", said(&output));
    until("squid brought all three", || squid.brought().len() == 3).await;
    // Without a proxy it finds by itself that QUIC does not get through.
    let output = chevet(load(&[]), vec![]).await;
    assert!(output.status.success() && said(&output).contains("WebSocket"), "{}", said(&output));
    let output = chevet(load(&["--proxy", &through, "--road", "quic"]), vec![]).await;
    assert!(
        !output.status.success() && said(&output).contains("does not go through a proxy"),
        "{}",
        said(&output)
    );
    stage.close().await;
}
