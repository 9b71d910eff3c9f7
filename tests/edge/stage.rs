//! A gateway and an edge, each with a state directory of its own, on the loopback.

use chevet::client::{Address, Client, ClientError, Event, Roads};
use chevet::edge::{Config as EdgeSettings, Edge, EdgeError};
use chevet::gateway::{Access, Config, EdgeConfig, Gateway, PatternConfig, SessionConfig, identity};
use chevet::link::{Identity, fingerprint_text};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub const TICKET: &str = "the ticket of these tests";
pub const SOON: Duration = Duration::from_secs(30);

/// A folder that goes away with the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("chevet-edge-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        for part in ["gateway", "edge"] {
            std::fs::create_dir_all(path.join(part)).unwrap();
        }
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub struct Stage {
    pub folder: Folder,
    pub settings: EdgeSettings,
    pub config: Config,
    pub edge: Option<Edge>,
    pub gateway: Gateway,
}

impl Stage {
    pub async fn open() -> Stage {
        Stage::open_with(|_, _| {}).await
    }

    /// The same, with settings of both changed before they start.
    pub async fn open_with(change: impl FnOnce(&mut EdgeSettings, &mut Config)) -> Stage {
        let folder = Folder::new();
        let ours = identity(&folder.0.join("gateway")).unwrap();
        let mut settings = EdgeSettings {
            listen: vec![([127, 0, 0, 1], 0).into()],
            inside: ([127, 0, 0, 1], 0).into(),
            state_directory: Some(folder.0.join("edge")),
            gateways: vec![fingerprint_text(&ours.fingerprint())],
            ..EdgeSettings::default()
        };
        let pattern = PatternConfig { width: 640, height: 480, frames_per_second: 5, seed: 7 };
        let session =
            SessionConfig { name: "pattern".into(), pattern: Some(pattern), ..SessionConfig::default() };
        let mut config = Config {
            listen: vec![([127, 0, 0, 1], 0).into()],
            state_directory: Some(folder.0.join("gateway")),
            access: Access {
                ticket: Some(TICKET.into()),
                host_secret: Some(TICKET.into()),
                ..Access::default()
            },
            sessions: vec![session],
            ..Config::default()
        };
        let theirs = Identity::kept(&settings.key_file().unwrap()).unwrap();
        config.edges = vec![EdgeConfig {
            address: String::new(),
            fingerprint: fingerprint_text(&theirs.fingerprint()),
            zones: Vec::new(),
            mtu: 1_452,
        }];
        change(&mut settings, &mut config);
        let edge = Edge::start(&settings).await.unwrap();
        // Started again, it is at the same places.
        (settings.listen, settings.inside) = (edge.addresses().to_vec(), edge.inside());
        for each in &mut config.edges {
            each.address = edge.inside().to_string();
        }
        let gateway = Gateway::start(&config).await.unwrap();
        Stage { folder, settings, config, edge: Some(edge), gateway }
    }

    pub async fn ready(self) -> Stage {
        let edge = self.edge.as_ref().unwrap();
        until("the gateway has a tunnel", || edge.gateways() == 1).await;
        self
    }

    /// Stops the edge and starts it again, at the same places.
    pub async fn restart_edge(&mut self) {
        if let Some(edge) = self.edge.take() {
            edge.stop().await;
        }
        let end = Instant::now() + SOON;
        loop {
            match Edge::start(&self.settings).await {
                Ok(edge) => break self.edge = Some(edge),
                // Connections that are being ended may still hold the port.
                Err(EdgeError::Listen { .. }) if Instant::now() < end => {}
                Err(error) => panic!("{error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Where clients come.
    pub fn outside(&self) -> SocketAddr {
        self.settings.listen[0]
    }

    /// A session's address through the edge.
    pub fn address(&self, session: &str) -> Address {
        let straight = self.gateway.native_url(session);
        let gateway = self.gateway.addresses()[0].to_string();
        Address::parse(&format!("{}&tls=1", straight.replace(&gateway, &self.outside().to_string()))).unwrap()
    }

    pub async fn view(&self, roads: Roads) -> Result<Client, ClientError> {
        view(self.address("pattern"), roads).await
    }

    pub async fn close(self) {
        self.gateway.stop().await;
    }
}

/// Attaches, and sees the screen proven exact.
pub async fn view(address: Address, roads: Roads) -> Result<Client, ClientError> {
    let seeing = async {
        let mut client = Client::connect_by(address, roads, (0, 0)).await?;
        while !matches!(client.next().await?, Event::Exact) {}
        Ok(client)
    };
    tokio::time::timeout(SOON, seeing).await.expect("an answer")
}

/// Waits until it is so.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not within {SOON:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
