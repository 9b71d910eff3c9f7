//! Who is not the site that they say, and a site that is one and behaves badly.

use crate::stage::{Plan, SOON, Stage, free_port, settle};
use crate::{ACCEPTED, COPIED, run};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use chevet::client::Site;
use chevet::link::{Certificate, Exporter, exporter_of, tcp_client_config};
use chevet::site::{SPEAKER, STATEMENT, message};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ACCOUNTS: &str = "/api/site/accounts";

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap()
}

/// A section about a site whose key the test has.
fn west(port: u16) -> String {
    let key = URL_SAFE_NO_PAD.encode(pair().public_key());
    format!(
        "[[site.peer]]\nname = \"west\"\nkey = {key:?}\ngateways = [\"https://127.0.0.1:{port}\"]\n{COPIED}\n{ACCEPTED}\n"
    )
}

/// A connection to a gateway, as a site has one.
struct Dialled {
    sender: SendRequest<Full<Bytes>>,
    exporter: Exporter,
}

impl Dialled {
    async fn to(site: &Site) -> Dialled {
        let stream = TcpStream::connect((site.host.as_str(), site.port)).await.unwrap();
        let tls = Arc::new(tcp_client_config(&site.pins).unwrap());
        let name = ServerName::try_from("localhost").unwrap();
        let stream = tokio_rustls::TlsConnector::from(tls).connect(name, stream).await.unwrap();
        let exporter = exporter_of(stream.get_ref().1).unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Dialled { sender, exporter }
    }

    async fn ask(&mut self, what: &str, speaker: &str, statement: &str, body: &[u8]) -> (StatusCode, Value) {
        let request = Request::post(what)
            .header("host", "localhost")
            .header(SPEAKER, speaker)
            .header(STATEMENT, statement)
            .body(Full::new(Bytes::copy_from_slice(body)))
            .unwrap();
        self.sender.ready().await.unwrap();
        let answer = self.sender.send_request(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    fn statement(&self, hearer: &str, what: &str, body: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(pair().sign(&message(&self.exporter, "west", hearer, what, body)))
    }
}

#[test]
fn a_statement_that_was_changed_or_heard_elsewhere_opens_nothing() {
    run(async {
        let of_south = format!("{COPIED}\n{}", west(free_port()));
        let plan = Plan { of_south: &of_south, of_north: ACCEPTED, believe_minutes: 60, ..Plan::default() };
        let stage = Stage::set("statements", plan);
        stage.north.user(&["add", "anne", "--group", "nurses"]);
        let site = stage.north.site();
        let body = json!({"since": 0, "terms": ""}).to_string().into_bytes();
        let mut dialled = Dialled::to(&site).await;
        let right = dialled.statement("north", ACCOUNTS, &body);
        let (status, page) = dialled.ask(ACCOUNTS, "west", &right, &body).await;
        assert_eq!(status, StatusCode::OK);
        let terms = page["terms"].as_str().unwrap();
        let wish = json!({"since": 0, "terms": terms}).to_string().into_bytes();
        let (_, page) =
            dialled.ask(ACCOUNTS, "west", &dialled.statement("north", ACCOUNTS, &wish), &wish).await;
        assert_eq!(page["changes"][0]["account"]["name"], "anne", "{page}");
        // The same words on another connection.
        let mut another = Dialled::to(&site).await;
        let (status, answer) = another.ask(ACCOUNTS, "west", &right, &body).await;
        assert_eq!((status, &answer["error"]), (StatusCode::FORBIDDEN, &json!("stranger")));
        // Other words, another hearer, another question, another speaker, a signature with one bit changed, none.
        let mut flipped = URL_SAFE_NO_PAD.decode(&right).unwrap();
        flipped[40] ^= 1;
        for (what, speaker, statement, body) in [
            (ACCOUNTS, "west", right.clone(), &b"{\"since\":1}"[..]),
            (ACCOUNTS, "west", dialled.statement("south", ACCOUNTS, &body), &body),
            ("/api/site/sessions", "west", right.clone(), &body),
            (ACCOUNTS, "south", right.clone(), &body),
            (ACCOUNTS, "nowhere", right.clone(), &body),
            (ACCOUNTS, "west", URL_SAFE_NO_PAD.encode(&flipped), &body),
            (ACCOUNTS, "west", String::new(), &body),
        ] {
            let (status, answer) = dialled.ask(what, speaker, &statement, body).await;
            assert_eq!(
                (status, &answer["error"]),
                (StatusCode::FORBIDDEN, &json!("stranger")),
                "{what} {speaker}"
            );
        }
        // A site vouches for its own people and for those of whom it asks, and for nobody else's.
        let visitor = |home: &str, id: &str| {
            json!({"home": home, "id": id, "name": "anne", "title": "Anne", "groups": ["nurses"], "seat": "",
                "from": "127.0.0.1"})
        };
        for (home, id, wanted) in [
            ("west", "w1", StatusCode::OK),
            ("north", "nobody", StatusCode::FORBIDDEN),
            ("south", "s1", StatusCode::FORBIDDEN),
        ] {
            let body = visitor(home, id).to_string().into_bytes();
            let statement = dialled.statement("north", "/api/site/sessions", &body);
            let (status, answer) = dialled.ask("/api/site/sessions", "west", &statement, &body).await;
            assert_eq!(status, wanted, "{home}: {answer}");
        }
        settle("strangers are recorded", || {
            let audit = stage.north.audit();
            (!audit.contains("cannot prove who it is")).then_some(audit)
        });
    });
}

#[test]
fn a_site_that_floods_another_one_with_questions_keeps_nobody_else_from_working() {
    run(async {
        let of_south = format!("{COPIED}\n{}", west(free_port()));
        let plan = Plan { of_south: &of_south, of_north: ACCEPTED, believe_minutes: 60, ..Plan::default() };
        let stage = Stage::set("flood", plan);
        for n in 0..20 {
            stage.north.user(&["add", &format!("user-{n}"), "--no-password", "--group", "nurses"]);
        }
        stage.north.user(&["add", "anne", "--group", "nurses"]);
        let site = stage.north.site();
        let (asked, busy) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut flood = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let (site, asked, busy) = (site.clone(), asked.clone(), busy.clone());
            flood.spawn(async move {
                let mut dialled = Dialled::to(&site).await;
                let body = json!({"since": 0, "terms": ""}).to_string().into_bytes();
                let statement = dialled.statement("north", ACCOUNTS, &body);
                let (_, page) = dialled.ask(ACCOUNTS, "west", &statement, &body).await;
                let terms = page["terms"].as_str().unwrap_or_default();
                let body = json!({"since": 0, "terms": terms}).to_string().into_bytes();
                let statement = dialled.statement("north", ACCOUNTS, &body);
                loop {
                    let (status, _) = dialled.ask(ACCOUNTS, "west", &statement, &body).await;
                    asked.fetch_add(1, Ordering::Relaxed);
                    if status == StatusCode::TOO_MANY_REQUESTS {
                        busy.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let end = Instant::now() + SOON;
        while busy.load(Ordering::Relaxed) == 0 {
            assert!(Instant::now() < end, "{} questions were all answered", asked.load(Ordering::Relaxed));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // The other site is still heard, and people sign in at both.
        stage.south.sign_in("anne@north").await;
        stage.north.sign_in("anne").await;
        println!(
            "{} of {} questions were put off",
            busy.load(Ordering::Relaxed),
            asked.load(Ordering::Relaxed)
        );
    });
}

#[test]
fn a_site_that_tells_absurd_things_is_not_believed_and_harms_nobody_else() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let told = Arc::new(AtomicUsize::new(0));
        let telling = told.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let turn = telling.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move { drop(absurd(stream, turn).await) });
            }
        });
        let of_north = format!("{ACCEPTED}\n{}", west(port));
        let plan = Plan { of_south: COPIED, of_north: &of_north, believe_minutes: 60, ..Plan::default() };
        let stage = Stage::set("absurd", plan);
        stage.north.user(&["add", "anne", "--group", "nurses"]);
        let end = Instant::now() + 2 * SOON;
        while told.load(Ordering::Relaxed) < 2 * ABSURDITIES {
            assert!(Instant::now() < end, "the site was asked {} times", told.load(Ordering::Relaxed));
            stage.south.sign_in("anne@north").await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let listed = stage.south.user(&["list"]);
        assert!(listed.contains("anne@north") && !listed.contains("west"), "{listed}");
    });
}

const ABSURDITIES: usize = 5;

/// Proves to be the site, as it is, and answers with something that no site should say.
async fn absurd(stream: TcpStream, turn: usize) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let certificate = Certificate::self_signed(&["localhost".to_owned()])?.0;
    let tls = tokio_rustls::TlsAcceptor::from(Arc::new(certificate.tcp_server()?));
    let mut stream = tls.accept(stream).await?;
    let exporter = exporter_of(stream.get_ref().1).ok_or("no exporter")?;
    loop {
        let mut request = Vec::new();
        let (head, length) = loop {
            let mut part = [0; 4_096];
            let count = stream.read(&mut part).await?;
            if count == 0 {
                return Ok(());
            }
            request.extend_from_slice(&part[..count]);
            let text = String::from_utf8_lossy(&request).to_lowercase();
            if let Some(at) = text.find("\r\n\r\n") {
                let length = text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
                break (at + 4, length.and_then(|length| length.trim().parse::<usize>().ok()).unwrap_or(0));
            }
        };
        while request.len() < head + length {
            let mut part = [0; 4_096];
            let count = stream.read(&mut part).await?;
            request.extend_from_slice(&part[..count]);
        }
        if request.starts_with(b"POST /api/site/hello") {
            let said = message(&exporter, "west", "south", "/api/site/hello", b"here");
            let body = json!({"statement": URL_SAFE_NO_PAD.encode(pair().sign(&said))}).to_string();
            answer(&mut stream, body.as_bytes()).await?;
            continue;
        }
        let account = |password: &str| {
            json!({"name": "bob", "title": "Bob", "enabled": true, "groups": ["nurses"], "password": password,
                "totp": null})
        };
        let body = match turn % ABSURDITIES {
            // Dear to check.
            0 => json!({"changes": [{"version": 1, "id": "b",
                    "account": account("$argon2id$v=19$m=4194304,t=900,p=1$c2FsdHNhbHQ$aGFzaGhhc2g")}], "more": false}),
            // Versions that go back.
            1 => json!({"changes": [{"version": -7, "id": "b", "account": null}], "more": true}),
            // Anew, for ever.
            2 => json!({"changes": [], "more": false, "restarted": true, "terms": ""}),
            // More, and nothing.
            3 => json!({"changes": [], "more": true}),
            // No end.
            _ => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n").await?;
                loop {
                    stream.write_all(&[b' '; 65_536]).await?;
                }
            }
        };
        answer(&mut stream, body.to_string().as_bytes()).await?;
    }
}

async fn answer(stream: &mut (impl AsyncWriteExt + Unpin), body: &[u8]) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    stream.flush().await
}
