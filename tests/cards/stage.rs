//! A gateway that takes cards, on real sockets.

use super::authority::{Card, Hospital};
use super::holder::{Holder, Page, tls};
use chevet::gateway::{Config, Gateway};
use chevet::link::parse_fingerprint;
use chevet::store::Store;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

pub struct Stage {
    pub gateway: Gateway,
    pub hospital: Hospital,
    pub folder: PathBuf,
    /// The page, and where cards are asked for.
    pub home: Url,
    pub asking: Url,
    pub pin: [u8; 32],
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Stage {
    /// A gateway with these lines more in its `[cards]`.
    pub async fn set(name: &str, more: &str) -> Stage {
        let folder = std::env::temp_dir().join(format!("chevet-cards-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let hospital = Hospital::new();
        hospital.write(&folder);
        let (port, card_port) = (free_port(), free_port());
        let at = folder.display();
        let text = format!(
            "listen = ['127.0.0.1:{port}']\nstate_directory = '{at}/state'\n[sign_in]\n[cards]\n\
             listen = ['127.0.0.1:{card_port}']\naddress = 'https://localhost:{card_port}'\n\
             page = 'http://127.0.0.1:{port}'\nauthorities = ['{at}/root.pem']\n\
             revocation = ['{at}/root.crl', '{at}/cards.crl', '{at}/withdrawn.crl']\n{more}\n\
             [[session]]\nname = 'desk'\npattern = {{ width = 320, height = 200 }}\n\
             [[publish]]\nsession = 'desk'\ngroups = ['nurses']\n"
        );
        std::fs::write(folder.join("chevet.toml"), &text).unwrap();
        let config: Config = toml::from_str(&text).unwrap();
        let gateway = Gateway::start(&config).await.unwrap();
        let home: Url = format!("http://127.0.0.1:{port}/").parse().unwrap();
        let connect = Holder::default().get(&home.join("api/connect").unwrap()).await.json();
        let pin = parse_fingerprint(connect["certificate_sha256"][0].as_str().unwrap()).unwrap();
        let asking = connect["sign_in"]["card"]["address"].as_str().unwrap().parse().unwrap();
        Stage { gateway, hospital, folder, home, asking, pin }
    }

    pub fn at(&self, path: &str) -> Url {
        self.home.join(path).unwrap()
    }

    pub fn store(&self) -> &Store {
        self.gateway.identity().unwrap().store()
    }

    /// Who has this card, or none.
    pub fn holder(&self, card: Option<&Card>) -> Holder {
        Holder::with(tls(self.pin, card))
    }

    /// From the page's button to where a card was shown; what comes back leads on.
    pub async fn show(&self, holder: &mut Holder) -> Page {
        let there = holder.get(&self.at("api/cards/start?seat=Room%2012")).await.location.unwrap();
        assert!(there.as_str().starts_with(self.asking.as_str()), "{there}");
        holder.get(&there).await
    }

    /// The whole way; what the page would say of it, nothing if somebody is signed in.
    pub async fn sign_in(&self, holder: &mut Holder) -> String {
        let mut page = self.show(holder).await;
        if let Some(back) = page.location.clone().filter(|to| to.path() == "/api/cards/finish") {
            page = holder.get(&back).await;
        }
        let home = page.location.clone().unwrap_or_else(|| panic!("{page:?}"));
        assert_eq!((home.origin(), home.path()), (self.home.origin(), "/"));
        page.fragment().to_owned()
    }

    /// What a program is answered.
    pub async fn sign_in_program(&self, holder: &mut Holder) -> Page {
        holder.post(&self.asking.join("sign-in").unwrap(), &json!({"seat": "ward-2"})).await
    }

    pub async fn me(&self, holder: &mut Holder) -> Option<Value> {
        let page = holder.get(&self.at("api/me")).await;
        page.status.is_success().then(|| page.json())
    }

    /// The records of the audit journal with all these words, once there is one.
    pub async fn recorded(&self, words: &[&str]) -> String {
        for _ in 0..200 {
            let lines = self.journal();
            let found = lines.lines().find(|line| words.iter().all(|word| line.contains(word)));
            if let Some(line) = found {
                return line.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no record has {words:?}: {}", self.journal())
    }

    pub fn journal(&self) -> String {
        let Ok(entries) = std::fs::read_dir(self.folder.join("state/audit")) else { return String::new() };
        entries.filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok()).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
