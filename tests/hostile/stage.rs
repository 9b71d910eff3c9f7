//! The gateway under attack, the honest viewer beside it, and what a viewer says first.

use chevet::client::{Address, Client, Event};
use chevet::gateway::{Access, Config, Gateway, PatternConfig, SessionConfig, Tls};
use chevet::wire::{Attach, Control, InputEvent, Role, Secret};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

pub const TICKET: &str = "the ticket of these tests";
pub const SECRET: &str = "the hosts' secret of these tests";
/// A site whose pages may dial.
pub const PORTAL: &str = "https://portal.example";
pub const SESSION: &str = "pattern";
/// Longer than any patience of the gateway's.
pub const LONG: Duration = Duration::from_secs(20);

/// A gateway with a moving session, and somebody who watches it.
pub struct Stage {
    pub gateway: Gateway,
    honest: mpsc::Sender<oneshot::Sender<Seen>>,
}

/// What the honest viewer has met with.
#[derive(Debug)]
struct Seen {
    silences: Vec<String>,
    mismatches: u64,
    sizes: u64,
}

impl Stage {
    pub async fn open() -> Stage {
        Stage::open_with(Tls::default(), "").await
    }

    /// With a certificate from files, of this fingerprint.
    pub async fn open_pinned(tls: Tls, pin: &str) -> Stage {
        Stage::open_with(tls, &format!("&tls=1&pin={pin}")).await
    }

    async fn open_with(tls: Tls, more: &str) -> Stage {
        let pattern = PatternConfig { width: 640, height: 480, frames_per_second: 15, seed: 1 };
        let config = Config {
            listen: vec![([127, 0, 0, 1], 0).into()],
            access: Access {
                ticket: Some(TICKET.into()),
                host_secret: Some(SECRET.into()),
                origins: vec![PORTAL.into()],
            },
            tls,
            sessions: vec![SessionConfig {
                name: SESSION.into(),
                pattern: Some(pattern),
                ..SessionConfig::default()
            }],
            ..Config::default()
        };
        let gateway = Gateway::start(&config).await.expect("the gateway starts");
        let honest = Address::parse(&format!("{}{more}", gateway.native_url(SESSION))).expect("an address");
        let honest = watch(honest).await;
        let stage = Stage { gateway, honest };
        stage.is_well().await;
        stage
    }

    pub fn address(&self) -> SocketAddr {
        self.gateway.addresses()[0]
    }

    /// The honest viewer types, sees it, is told that it is exact, and has noticed nothing until now.
    pub async fn is_well(&self) {
        self.sizes_seen().await;
    }

    /// The same; how often the screen has begun anew.
    pub async fn sizes_seen(&self) -> u64 {
        let (tell, told) = oneshot::channel();
        self.honest.send(tell).await.expect("the honest viewer is still there");
        let seen = timeout(LONG, told).await.expect("the honest viewer became exact").expect("and said so");
        assert!(seen.silences.is_empty() && seen.mismatches == 0, "{seen:?}");
        seen.sizes
    }
}

/// Where a session of this gateway is.
pub fn address(gateway: &Gateway, session: &str) -> Address {
    Address::parse(&gateway.native_url(session)).expect("the gateway's own address")
}

async fn watch(address: Address) -> mpsc::Sender<oneshot::Sender<Seen>> {
    let (ask, mut asked) = mpsc::channel::<oneshot::Sender<Seen>>(1);
    let mut client = Client::connect(address).await.expect("the honest viewer gets in");
    tokio::spawn(async move {
        let mut seen = Seen { silences: Vec::new(), mismatches: 0, sizes: 0 };
        let mut waiting: Option<(oneshot::Sender<Seen>, bool)> = None;
        let mut typed = 0;
        loop {
            tokio::select! {
                tell = asked.recv(), if waiting.is_none() => {
                    let Some(tell) = tell else { return };
                    typed += 1;
                    client.input(InputEvent::KeyDown { key: 4, keysym: 0x61 });
                    client.input(InputEvent::KeyUp { key: 4, keysym: 0x61 });
                    waiting = Some((tell, false));
                }
                event = client.next() => match event.expect("the honest viewer is never closed") {
                    Event::Silent(reason) => seen.silences.push(format!("before {typed}: {reason}")),
                    Event::Updated(update) => {
                        seen.sizes += u64::from(update.applied.new_screen);
                        if let Some((_, updated)) = &mut waiting {
                            *updated = true;
                        }
                    }
                    Event::Exact => {
                        seen.mismatches = client.mismatches();
                        if let Some((tell, _)) = waiting.take_if(|(_, updated)| *updated) {
                            let told = Seen { silences: seen.silences.clone(), ..seen };
                            tell.send(told).expect("who asked still listens");
                        }
                    }
                    _ => {}
                },
            }
        }
    });
    ask
}

pub fn hello(role: Role) -> Control {
    Control::Hello { major: chevet::wire::MAJOR, minor: 0, role, software: "hostile".into() }
}

pub fn attach() -> Attach {
    Attach {
        session: SESSION.into(),
        ticket: TICKET.into(),
        width: 0,
        height: 0,
        cache_bytes: 0,
        features: 0,
        token: None,
        screen: None,
    }
}

pub fn offer(session: &str, secret: &str) -> Control {
    Control::Offer { session: session.into(), title: String::new(), secret: Secret(secret.into()) }
}

/// The memory that this process has in use, in bytes.
pub fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux tells");
    let pages: usize = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4_096
}

/// RFC 9000 section 16, in the longest form.
pub fn varint(value: u64) -> Vec<u8> {
    (value | 3 << 62).to_be_bytes().to_vec()
}
