//! A gateway with an administrator, an auditor and a user, and one session.

use crate::http::{Asked, JSON, ask};
use chevet::client::{Client, ClientError, Event, SignedIn, page_of};
use chevet::clock;
use chevet::gateway::{Config, Gateway, MetricsConfig, PatternConfig, SessionConfig, SignInConfig};
use chevet::identity::{Hasher, add_user};
use chevet::store::Role;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::timeout;

pub const PASSWORD: &str = "a long enough passphrase";
pub const TOKEN: &str = "the token of these tests";
const LONG: Duration = Duration::from_secs(20);

pub struct Stage {
    pub gateway: Gateway,
    config: Config,
    pub folder: Folder,
}

/// A state directory that goes with its test.
pub struct Folder(pub PathBuf);

impl Stage {
    pub async fn open() -> Stage {
        Stage::open_with(MetricsConfig { token: Some(TOKEN.into()), loopback: false }).await
    }

    pub async fn open_with(metrics: MetricsConfig) -> Stage {
        Stage::open_all(metrics, Vec::new()).await
    }

    /// With these sessions beside the pattern.
    pub async fn open_having(sessions: Vec<SessionConfig>) -> Stage {
        Stage::open_all(MetricsConfig { token: Some(TOKEN.into()), loopback: false }, sessions).await
    }

    /// Ends the gateway, and starts it again with the same state.
    pub async fn restart(&mut self) {
        let new = Config { listen: vec![([127, 0, 0, 1], 0).into()], ..self.config.clone() };
        let elsewhere = Config { state_directory: None, sign_in: None, publish: Vec::new(), ..new.clone() };
        // Only one gateway at a time has the state.
        let idle = Gateway::start(&elsewhere).await.expect("a gateway without state");
        std::mem::replace(&mut self.gateway, idle).stop().await;
        let again = Gateway::start(&new).await.expect("the gateway starts again");
        std::mem::replace(&mut self.gateway, again).stop().await;
    }

    async fn open_all(metrics: MetricsConfig, mut more: Vec<SessionConfig>) -> Stage {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("chevet-admin-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let publish = "session = '*'\ngroups = ['nurses']";
        let config = Config {
            listen: vec![([127, 0, 0, 1], 0).into()],
            state_directory: Some(folder.clone()),
            sign_in: Some(SignInConfig::default()),
            publish: vec![toml::from_str(publish).unwrap()],
            metrics,
            sessions: vec![SessionConfig {
                name: "pattern".into(),
                pattern: Some(PatternConfig { width: 320, height: 240, frames_per_second: 10, seed: 1 }),
                ..SessionConfig::default()
            }],
            ..Config::default()
        };
        let mut config = config;
        config.sessions.append(&mut more);
        let gateway = Gateway::start(&config).await.expect("the gateway starts");
        let store = gateway.identity().unwrap().store();
        let hash = Hasher::default().hash(PASSWORD).await.unwrap();
        for (name, title, role) in [
            ("boss", "Boss", Role::Administrator),
            ("vera", "Vera", Role::Auditor),
            ("anne", "Anne", Role::User),
        ] {
            let id = add_user(store, name, title, role, &["nurses".into()], clock::unix_ms()).await.unwrap();
            store.set_password(&id, &hash).await.unwrap();
        }
        Stage { gateway, config, folder: Folder(folder) }
    }

    pub fn address(&self) -> SocketAddr {
        self.gateway.addresses()[0]
    }

    pub async fn try_sign_in(&self, name: &str) -> Asked {
        let body = json!({"name": name, "password": PASSWORD}).to_string();
        ask(self.address(), "POST", "/api/sign-in", JSON, &body).await
    }

    pub async fn sign_in(&self, name: &str) -> Signed {
        let asked = self.try_sign_in(name).await;
        let secret = asked.json["token"].as_str().unwrap_or_else(|| panic!("{asked:?}")).to_owned();
        Signed { address: self.address(), secret }
    }

    /// All of the journal, once what was recorded before is in it.
    pub async fn journal(&self) -> String {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut text = String::new();
        for entry in std::fs::read_dir(self.folder.0.join("audit")).unwrap().flatten() {
            text += &std::fs::read_to_string(entry.path()).unwrap_or_default();
        }
        text
    }

    /// Waits until the journal has such an event, by this user. Empty: by nobody who is known.
    pub async fn expect_audited(&self, event: &str, action: &str, user: &str) {
        let wanted = |line: &str| {
            let has = |what: String| line.contains(&what);
            has(format!(r#""event":"{event}""#))
                && has(format!(r#""action":"{action}""#))
                && (user.is_empty() || line.to_lowercase().contains(&format!(r#""user_name":"{user}""#)))
        };
        for _ in 0..30 {
            if self.journal().await.lines().any(wanted) {
                return;
            }
        }
        panic!("{event} {action} by {user} is not in\n{}", self.journal().await);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Somebody who is signed in.
pub struct Signed {
    address: SocketAddr,
    pub secret: String,
}

impl Signed {
    pub fn bearer(&self) -> String {
        format!("Authorization: Bearer {}\r\n", self.secret)
    }

    pub async fn get(&self, path: &str) -> Asked {
        ask(self.address, "GET", path, &self.bearer(), "").await
    }

    pub async fn send(&self, method: &str, path: &str, body: &Value) -> Asked {
        let headers = format!("{}{JSON}", self.bearer());
        ask(self.address, method, path, &headers, &body.to_string()).await
    }
}

/// A viewer of the session, attached and shown something.
pub struct Viewer(pub Client);

pub async fn view(stage: &Stage, name: &str) -> Viewer {
    let mut viewer = view_session(stage, name, "pattern").await;
    viewer.until("a picture", |event| matches!(event, Ok(Event::Updated(_)))).await.unwrap();
    viewer
}

pub async fn view_session(stage: &Stage, name: &str, session: &str) -> Viewer {
    let address = sign_in(stage, name).await.address(session).await.unwrap();
    Viewer(Client::connect(address).await.unwrap())
}

pub async fn sign_in(stage: &Stage, name: &str) -> SignedIn {
    let (site, _) = page_of(&format!("http://{}/", stage.address()), Vec::new()).unwrap();
    SignedIn::with_password(site, name, PASSWORD, None, "ward 3").await.unwrap()
}

impl Viewer {
    async fn until(
        &mut self,
        what: &str,
        wanted: impl Fn(&Result<Event, ClientError>) -> bool,
    ) -> Result<Event, ClientError> {
        let waiting = async {
            loop {
                let event = self.0.next().await;
                if wanted(&event) || event.is_err() {
                    return event;
                }
            }
        };
        timeout(LONG, waiting).await.unwrap_or_else(|_| panic!("{what} never came"))
    }

    /// Waits for such an event at which the screen is of this size; 0: of any that is not black.
    pub async fn sees(&mut self, what: &str, wanted: impl Fn(&Event) -> bool, size: (u32, u32)) {
        let waiting = async {
            loop {
                let event = self.0.next().await.expect("the session goes on");
                let Some(screen) = self.0.screen().filter(|_| wanted(&event)) else { continue };
                let shown = screen.pixels().iter().any(|&pixel| pixel != 0);
                if (screen.width(), screen.height()) == size || size == (0, 0) && shown {
                    return;
                }
            }
        };
        timeout(LONG, waiting).await.unwrap_or_else(|_| panic!("never seen: {what}"));
    }

    pub async fn hears(&mut self, text: &str) {
        let heard = self.until(text, |event| matches!(event, Ok(Event::Message(_)))).await;
        assert!(matches!(&heard, Ok(Event::Message(said)) if said == text), "{heard:?}");
    }

    /// Waits for the gateway to end it, and gives the reason.
    pub async fn is_ended(&mut self) -> String {
        self.until("the end", Result::is_err).await.unwrap_err().to_string()
    }
}
