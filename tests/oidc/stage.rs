//! A provider and a gateway that trusts it.

use super::browser::{Browser, Page};
use chevet::gateway::{Config, Gateway};
use chevet::store::Store;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use url::Url;

pub struct Stage {
    pub gateway: Gateway,
    pub home: Url,
    pub provider: Provider,
    folder: PathBuf,
}

pub struct Provider {
    pub url: Url,
    arguments: Vec<String>,
    process: Child,
    /// A provider that cannot say anything more ends.
    _said: BufReader<ChildStdout>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Provider {
    fn start(url: Url, arguments: Vec<String>) -> Provider {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc/provider");
        let installed = folder.join("node_modules").exists();
        assert!(installed, "the provider of the tests is not installed: run `npm ci` in {folder:?}");
        let mut process = Command::new("node")
            .arg(folder.join("provider.mjs"))
            .args(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node runs: scripts/install.sh test");
        let mut said = BufReader::new(process.stdout.take().unwrap());
        assert!(said.by_ref().lines().any(|line| line.unwrap() == "listening"), "the provider ended");
        Provider { url, arguments, process, _said: said }
    }

    /// Tells what the next log-in is.
    pub async fn tell(&self, told: Value) {
        let page = Browser::default().post_json(&self.url.join("/control").unwrap(), &told).await;
        assert!(page.status.is_success(), "{}", page.text);
    }

    pub fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// The same provider, with other keys and without memory.
    pub fn start_again(&mut self) {
        *self = Provider::start(self.url.clone(), self.arguments.clone());
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Stage {
    /// A gateway with these lines more about the provider.
    pub async fn set(name: &str, more: &str) -> Stage {
        Stage::with(name, more, None).await
    }

    /// The same with a provider that speaks TLS with this certificate and key. `{folder}/provider.pem` in the lines holds
    /// them.
    pub async fn with(name: &str, more: &str, pem: Option<&str>) -> Stage {
        let (port, provider_port) = (free_port(), free_port());
        let home = format!("http://127.0.0.1:{port}");
        let folder = std::env::temp_dir().join(format!("chevet-oidc-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let more = more.replace("{folder}", folder.to_str().unwrap());
        let mut arguments = vec![provider_port.to_string(), home.clone()];
        let mut issuer = format!("http://127.0.0.1:{provider_port}");
        if let Some(pem) = pem {
            let file = folder.join("provider.pem");
            std::fs::write(&file, pem).unwrap();
            arguments.push(file.to_str().unwrap().to_owned());
            issuer = format!("https://localhost:{provider_port}");
        }
        let provider = Provider::start(Url::parse(&issuer).unwrap(), arguments);
        let text = format!(
            "listen = ['127.0.0.1:{port}']\nudp = false\nstate_directory = '{}'\n[sign_in]\n[[oidc]]\n\
             id = 'test'\ntitle = 'Test'\nissuer = '{issuer}'\npage = '{home}'\n\
             client_id = 'chevet'\nclient_secret = \"a secret of the test's own: +&%/\"\n\
             scopes = ['openid', 'profile']\n{more}",
            folder.display()
        );
        let config: Config = toml::from_str(&text).unwrap();
        let gateway = Gateway::start(&config).await.unwrap();
        Stage { gateway, home: Url::parse(&home).unwrap(), provider, folder }
    }

    pub fn store(&self) -> &Store {
        self.gateway.identity().unwrap().store()
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn at(&self, path: &str) -> Url {
        self.home.join(path).unwrap()
    }

    /// The whole way from the page's button to the page again.
    pub async fn sign_in(&self, browser: &mut Browser) -> Page {
        let page = browser.get(&self.at("/api/oidc/test/start")).await;
        browser.follow(page, &self.home).await
    }

    /// What the page would say: nothing, or the error's name.
    pub async fn outcome(&self, browser: &mut Browser) -> String {
        let page = self.sign_in(browser).await;
        let location = page.location.unwrap_or_else(|| panic!("{}: {}", page.url, page.text));
        location.fragment().unwrap_or_default().to_owned()
    }

    /// Confirms a device's code in a browser, at the provider.
    pub async fn confirm(&self, place: &str, code: &str) {
        let (mut browser, place) = (Browser::default(), place.parse().unwrap());
        let xsrf = browser.get(&place).await.hidden("xsrf");
        browser.post_form(&place, &[("xsrf", &xsrf), ("user_code", code)]).await;
        let confirmed = [("xsrf", xsrf.as_str()), ("user_code", code), ("confirm", "yes")];
        let page = browser.post_form(&place, &confirmed).await;
        assert_eq!(browser.follow(page, &self.home).await.text, "done");
    }

    /// Who is signed in in this browser.
    pub async fn me(&self, browser: &mut Browser) -> Option<Value> {
        let page = browser.get(&self.at("/api/me")).await;
        page.status.is_success().then(|| page.json()["user"].clone())
    }

    /// The records of the audit journal.
    pub fn records(&self) -> Vec<Value> {
        let journal = self.folder.join("audit");
        let files = std::fs::read_dir(journal).unwrap().map(|entry| entry.unwrap().path());
        let text: String = files.filter_map(|path| std::fs::read_to_string(path).ok()).collect();
        text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).collect()
    }

    /// Whether a record with all these words was written, after a while at most.
    pub async fn recorded(&self, words: &[&str]) -> bool {
        for _ in 0..40 {
            let texts: Vec<String> = self.records().iter().map(Value::to_string).collect();
            if texts.iter().any(|text| words.iter().all(|word| text.contains(word))) {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        false
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A log-in of Anne, with claims beside the usual ones.
pub fn anne(more: Value) -> Value {
    let mut told = json!({"sub": "anne-at-the-provider", "acr": "eidas1",
        "claims": {"preferred_username": "Anne", "name": "Anne Roy", "groups": ["/nurses", "/all"]}});
    for (name, value) in more.as_object().unwrap() {
        told[name] = value.clone();
    }
    told
}
