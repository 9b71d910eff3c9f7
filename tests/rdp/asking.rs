//! Users who are asked for their credentials on a host, once: FreeRDP's shadow server with network level authentication.

use crate::peers::{Folder, Shadow, free_port, screen};
use crate::server::{Program, Server};
use crate::session::scribble;
use crate::through::{journal_with, until};
use chevet::client::{Client, HostAsks, HostLogin, Roads, SignInFailed, SignedIn, Site};
use chevet::gateway::{Config, Gateway};
use chevet::identity::{Hasher, add_user};
use chevet::store::{Role, Store};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// On the host; nowhere else.
const PASSWORD: &str = "Correct-Horse-9";
/// A user, and the NT hash of that password.
const USERS: &str = "aroy:::e05afee4e22b6fe7e11549e2193c8202:::\n";
const HERE: &str = "a long enough password";

/// A gateway whose application `ts`, on this host, Anne may open.
pub async fn open_to_anne(folder: &Folder, host: &str) -> (Gateway, PathBuf, Site) {
    let port = free_port();
    let text = format!(
        "listen = ['127.0.0.1:{port}']\nstate_directory = '{}'\n[sign_in]\n[[application]]\nname = 'ts'\n\
         title = {{ fr = 'Dossier', en = 'Record' }}\nusers = ['anne']\nwidth = 800\nheight = 600\n{host}\n",
        folder.path().join("state").display(),
    );
    let config = folder.write("gateway.toml", &text);
    let read = Config::read(&config).unwrap();
    let gateway = Gateway::start(&read).await.unwrap();
    let store = Store::open(&read.store_url().unwrap()).await.unwrap();
    let hash = Hasher::default().hash(HERE).await.unwrap();
    let id = add_user(&store, "anne", "Anne Roy", Role::User, &[], 0).await.unwrap();
    store.set_password(&id, &hash).await.unwrap();
    let site = Site { host: "127.0.0.1".into(), port, tls: false, pins: Vec::new(), proxy: None };
    (gateway, config, site)
}

pub async fn anne(site: &Site) -> SignedIn {
    SignedIn::with_password(site.clone(), "anne", HERE, None, "").await.unwrap()
}

/// A gateway with an application `ts` on a host that lets `aroy` in, and Anne, who may open it.
struct Ward {
    gateway: Gateway,
    folder: Folder,
    config: PathBuf,
    site: Site,
    server: Server,
    shadow: Shadow,
}

impl Ward {
    async fn set(name: &str, credentials: &str) -> Ward {
        let server = Server::start(Program::Xvfb, 800, 600, 24);
        scribble(&server.display, 21, 30);
        let shadow = Shadow::start_for(&server.display, USERS);
        let folder = Folder::new(name);
        let host = format!("{credentials}\nrdp = {{ address = 'localhost:{}', domain = '' }}", shadow.port);
        let (gateway, config, site) = open_to_anne(&folder, &host).await;
        Ward { gateway, folder, config, site, server, shadow }
    }

    async fn anne(&self) -> SignedIn {
        anne(&self.site).await
    }

    /// What an administrator keeps for Anne.
    fn set_credential(&self, password: &str) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chevet"));
        command.args(["user", "--config", self.config.to_str().unwrap(), "credential", "set", "anne"]);
        command.args([&format!("localhost:{}", self.shadow.port), "--as", "aroy"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    async fn sees_the_host(&self, person: &SignedIn, wished: &str) -> Client {
        let address = person.address(wished).await.unwrap();
        let mut client = Client::connect_by(address, Roads::default(), (0, 0)).await.unwrap();
        until(&mut client, "Anne sees the host", |_, client| {
            let (width, height, pixels) = screen(&self.server.display);
            client.screen().is_some_and(|screen| {
                (screen.width(), screen.height()) == (width, height) && screen.pixels() == pixels
            })
        })
        .await;
        client
    }

    async fn end(&self, person: &SignedIn, session: &str) {
        let path = format!("/api/sessions/{session}/end");
        person.ask(hyper::Method::POST, &path, Some(&serde_json::json!({}))).await.unwrap();
        assert!(self.gateway.registry().session(session).is_none());
    }

    /// Whether this stands in a file that the gateway keeps.
    fn keeps(&self, text: &str) -> bool {
        fn holds(folder: &Path, text: &[u8]) -> bool {
            std::fs::read_dir(folder).unwrap().any(|entry| {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => holds(&path, text),
                    false => std::fs::read(&path).unwrap().windows(text.len()).any(|bytes| bytes == text),
                }
            })
        }
        holds(&self.folder.path().join("state"), text.as_bytes())
    }
}

pub fn login(password: &str, remember: bool) -> HostLogin {
    HostLogin { user: "aroy".into(), domain: String::new(), password: password.to_owned().into(), remember }
}

fn asked<T>(answer: Result<T, SignInFailed>) -> (String, HostAsks) {
    match answer.map(drop) {
        Err(SignInFailed::Credentials { reason, asks }) => (reason, *asks),
        other => panic!("nothing was asked: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_credentials_is_asked_and_what_the_host_takes_is_kept_if_they_wish() {
    let ward = Ward::set("asked", "credentials = 'ask-and-remember'").await;
    let anne = ward.anne().await;
    let (_, asks) = asked(anne.address("ts").await);
    assert_eq!((asks.user.as_str(), asks.remember), ("anne", true));
    assert_eq!(asks.host, format!("localhost:{}", ward.shadow.port));
    let (reason, _) = asked(anne.give("ts", &login("something else", true)).await);
    assert!(reason.contains("password is wrong"), "{reason}");
    assert!(ward.gateway.registry().list().is_empty(), "nothing goes on by a wrong password");
    let session = anne.give("ts", &login(PASSWORD, true)).await.unwrap();
    let client = ward.sees_the_host(&anne, "ts").await;
    client.close().await;
    ward.end(&anne, &session).await;
    // The next time nobody asks.
    ward.sees_the_host(&anne, "ts").await.close().await;
    let told = journal_with(&ward.folder, "credentials_stored", 1).await;
    let count = |event: &str| told.matches(&format!(r#""event":"{event}""#)).count();
    assert_eq!(count("host_sign_in_refused"), 1, "a wrong password was tried again: {told}");
    assert_eq!((count("credentials_asked"), count("credentials_refused")), (2, 1), "{told}");
    let stored = told.lines().find(|line| line.contains("credentials_stored")).unwrap();
    assert!(stored.contains(r#""user":"anne""#) && stored.contains(&session), "{stored}");
    assert!(!ward.keeps(PASSWORD) && !ward.keeps("something else"));
    ward.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_leave_to_keep_them_credentials_last_as_long_as_the_session() {
    let ward = Ward::set("once", "").await;
    let anne = ward.anne().await;
    let (_, asks) = asked(anne.address("ts").await);
    assert!(!asks.remember);
    let refused = anne.give("ts", &login(PASSWORD, true)).await.unwrap_err().to_string();
    assert!(refused.contains("may not be kept"), "{refused}");
    let session = anne.give("ts", &login(PASSWORD, false)).await.unwrap();
    ward.sees_the_host(&anne, &session).await.close().await;
    ward.end(&anne, &session).await;
    let (_, asks) = asked(anne.address("ts").await);
    assert_eq!(asks.user, "anne", "nothing is known of what was typed");
    let told = journal_with(&ward.folder, "session_ended", 1).await;
    assert!(!told.contains("credentials_stored") && !told.contains(PASSWORD), "{told}");
    ward.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_and_refused_is_asked_for_and_never_shown_to_the_host_again_by_itself() {
    let ward = Ward::set("refused", "credentials = 'ask'").await;
    let anne = ward.anne().await;
    ward.set_credential("an old password");
    for _ in 0..3 {
        let (reason, asks) = asked(anne.address("ts").await);
        assert!(reason.contains("password is wrong") && asks.user == "aroy", "{reason}");
    }
    for _ in 0..3 {
        asked(anne.give("ts", &login("still wrong", false)).await);
    }
    // One by what was kept and three that were typed: some hosts lock the account at five.
    let refused = anne.give("ts", &login(PASSWORD, false)).await.unwrap_err().to_string();
    assert!(refused.contains("several times"), "{refused}");
    let told = journal_with(&ward.folder, "credentials_refused", 4).await;
    let refusals = told.lines().filter(|line| line.contains("host_sign_in_refused")).count();
    let again = told.lines().filter(|line| line.contains("refused_again")).count();
    assert_eq!((refusals, again), (4, 0), "{told}");
    // What an administrator has put right is tried at once.
    ward.set_credential(PASSWORD);
    ward.sees_the_host(&anne, "ts").await.close().await;
    ward.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_is_asked_only_what_is_kept_opens_an_application() {
    let ward = Ward::set("stored", "credentials = 'stored'").await;
    let anne = ward.anne().await;
    let refused = anne.address("ts").await.map(drop).unwrap_err();
    assert!(
        matches!(&refused, SignInFailed::Refused(reason) if reason.contains("no credential")),
        "{refused}"
    );
    let refused = anne.give("ts", &login(PASSWORD, false)).await.unwrap_err();
    assert!(matches!(refused, SignInFailed::Refused(_)), "{refused}");
    ward.set_credential(PASSWORD);
    ward.sees_the_host(&anne, "ts").await.close().await;
    ward.gateway.stop().await;
}

/// Starts a scenario of src/web/e2e in Chromium, and returns its steps.
fn in_chromium(url: &str, arguments: &[&str], folder: &Path) -> Vec<serde_json::Value> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web");
    assert!(web.join("node_modules/esbuild").exists(), "run `make web` first");
    let built = Command::new("node").args(["build.mjs", "--e2e"]).current_dir(&web).status().unwrap();
    assert!(built.success(), "the browsers' driver could not be built");
    let begun = Instant::now();
    let ran = Command::new("node")
        .arg(web.join("e2e/dist/run.mjs"))
        .args(["chromium", url])
        .args(arguments)
        .env("CHEVET_LANGUAGE", "fr")
        .env("TMPDIR", folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "after {:?}: {said}", begun.elapsed());
    said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_the_page_asks_says_what_was_wrong_and_shows_the_host() {
    let ward = Ward::set("page", "credentials = 'ask-and-remember'").await;
    let url = format!("http://127.0.0.1:{}/", ward.site.port);
    let folder = ward.folder.path().to_owned();
    let pictures = folder.join("form");
    let steps = tokio::task::spawn_blocking(move || {
        let pictures = pictures.to_str().unwrap().to_owned();
        in_chromium(&url, &["credentials", "anne", HERE, "aroy", PASSWORD, &pictures], &folder)
    });
    let steps = steps.await.unwrap();
    let step = |name: &str| {
        let found = steps.iter().find(|step| step["step"] == name);
        found.unwrap_or_else(|| panic!("no {name}: {steps:?}"))
    };
    let asked = step("asked");
    assert_eq!(asked["focus"], "host-password", "the name is proposed: {asked}");
    assert!(asked["title"].as_str().unwrap().contains("Dossier"), "{asked}");
    let refused = step("refused");
    assert!(refused["problem"].as_str().unwrap().contains("mot de passe"), "{refused}");
    assert_eq!((&refused["user"], &refused["password"]), (&"aroy".into(), &"".into()), "{refused}");
    assert_eq!(step("shown")["exactness"], "exact");
    assert!(step("listed")["list"].as_str().unwrap().contains("Dossier"));
    let told = journal_with(&ward.folder, "credentials_stored", 1).await;
    assert_eq!(told.matches("host_sign_in_refused").count(), 1, "{told}");
    tokio::time::timeout(Duration::from_secs(20), ward.gateway.stop()).await.unwrap();
}
