//! A ward with badges: Anne's and Paul's sessions in a colour of their own, and seats that are enrolled.

use chevet::client::seat::{How, Opened, Seat, SeatFile, Tapped};
use chevet::client::{Address, Client, ClientError, Event, SignedIn, Site};
use chevet::gateway::{Access, Config, Gateway, SeatsConfig, SignInConfig};
use chevet::identity::{Hasher, Keys, add_user, badge_number, new_id, new_seat_code};
use chevet::screen::HashKey;
use chevet::session::Session;
use chevet::source::{Canvas, Source, SourceEvent, SourceState};
use chevet::store::{Role, SeatMode, Store};
use chevet::wire::{CloseCode, InputEvent, Policy};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

pub const PASSWORD: &str = "a long enough password";
pub const PIN: &str = "4711";
pub const ANNES: &str = "04A22F91";
pub const PAULS: &str = "04B73C10";
pub const ANNES_COLOUR: u32 = 0x00E0_2020;
pub const PAULS_COLOUR: u32 = 0x0020_40E0;
const SECRET: &str = "the hosts' secret of these tests";

pub struct Ward {
    pub gateway: Gateway,
    pub store: Store,
    pub folder: PathBuf,
    pub keys: Keys,
}

/// A desktop that shows one colour.
struct Still;

impl Source for Still {
    fn input(&self, _: InputEvent) {}
    fn resize(&self, _: u32, _: u32) {}
}

impl Ward {
    pub async fn open(name: &str) -> Ward {
        Ward::open_with(name, SeatsConfig::default()).await
    }

    pub async fn open_with(name: &str, seats: SeatsConfig) -> Ward {
        let folder = std::env::temp_dir().join(format!("chevet-badges-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let publish = "[[publish]]\nsession = 'anne'\nusers = ['anne']\n\
                       [[publish]]\nsession = 'paul'\nusers = ['paul']";
        let config = Config {
            listen: vec![([127, 0, 0, 1], 0).into()],
            access: Access { host_secret: Some(SECRET.into()), ..Access::default() },
            state_directory: Some(folder.join("state")),
            sign_in: Some(SignInConfig::default()),
            seats,
            ..toml::from_str(publish).unwrap()
        };
        let gateway = Gateway::start(&config).await.unwrap();
        let store = Store::open(&config.store_url().unwrap()).await.unwrap();
        let keys = chevet::gateway::kept_keys(&config).unwrap();
        let hasher = Hasher::default();
        let (password, pin) = (hasher.hash(PASSWORD).await.unwrap(), hasher.hash_pin(PIN).await.unwrap());
        for (name, title, badge) in [("anne", "Anne Roy", ANNES), ("paul", "Paul Petit", PAULS)] {
            let id = add_user(&store, name, title, Role::User, &[], 0).await.unwrap();
            store.set_password(&id, &password).await.unwrap();
            store.set_pin(&id, &pin).await.unwrap();
            let hash = keys.badge_hash(&badge_number(badge).unwrap());
            store.add_badge(&new_id(), &hash, &id, 0).await.unwrap();
        }
        let ward = Ward { gateway, store, folder, keys };
        ward.offer("anne", ANNES_COLOUR).await;
        ward.offer("paul", PAULS_COLOUR).await;
        ward
    }

    async fn offer(&self, name: &'static str, colour: u32) {
        let canvas = Arc::new(Canvas::new(640, 400).unwrap());
        {
            let mut painting = canvas.lock();
            for y in 0..400 {
                painting.framebuffer.row_mut(0, y, 640).fill(colour);
            }
        }
        canvas.notify();
        let (events, to_session) = mpsc::channel(8);
        events.send(SourceEvent::State(SourceState::Live)).await.unwrap();
        let (key, policy) = (HashKey(3), Policy::default());
        let session = Session::start(name, name, key, policy, canvas, Arc::new(Still), to_session).unwrap();
        let target = Address::parse(&self.gateway.native_url(name)).unwrap().target;
        tokio::spawn(async move {
            let _events = events;
            chevet::host::offer(&session, &target, SECRET.as_bytes()).await
        });
        let live = || {
            let list = self.gateway.registry().list();
            list.iter().any(|listed| listed.name == name && listed.state == "live" && listed.width == 640)
        };
        let end = Instant::now() + Duration::from_secs(20);
        while !live() {
            assert!(Instant::now() < end, "the session {name:?} is not live");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn site(&self) -> Site {
        let address = self.gateway.addresses()[0];
        Site {
            host: address.ip().to_string(),
            port: address.port(),
            tls: false,
            pins: Vec::new(),
            proxy: None,
        }
    }

    /// A configuration for commands that work on this ward's store.
    pub fn config_file(&self) -> PathBuf {
        let path = self.folder.join("chevet.toml");
        let state = self.folder.join("state");
        std::fs::write(&path, format!("state_directory = {state:?}\n[sign_in]\n")).unwrap();
        path
    }

    pub fn page(&self) -> String {
        format!("http://{}/", self.gateway.addresses()[0])
    }

    pub async fn enrol(&self, name: &str, zone: &str, mode: SeatMode) -> SeatFile {
        let now = chevet::clock::unix_ms();
        let code = new_seat_code(&self.store, name, zone, mode, now).await.unwrap();
        SeatFile::enrol(&self.page(), None, &code).await.unwrap()
    }

    /// An enrolled seat in the zone "east".
    pub async fn seat(&self, name: &str) -> Seat {
        Seat::open(self.enrol(name, "east", SeatMode::Wedge).await).await.unwrap()
    }

    pub fn badge_hash(&self, number: &str) -> String {
        self.keys.badge_hash(&badge_number(number).unwrap())
    }

    pub async fn user_id(&self, name: &str) -> String {
        self.store.user_named(name).await.unwrap().unwrap().id
    }

    /// What the audit journal says, once all of this is in it.
    pub async fn journal_with(&self, wanted: &[&str]) -> String {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let entries = std::fs::read_dir(self.folder.join("state/audit")).unwrap();
            let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
            files.sort();
            let journal: String =
                files.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect();
            let Some(missing) = wanted.iter().find(|text| !journal.contains(*text)) else { return journal };
            assert!(Instant::now() < end, "no {missing:?} in {journal}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Ward {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The tap asks for the PIN, and says for which tap.
pub fn waiting(tapped: Tapped) -> String {
    match tapped {
        Tapped::Pin(waiting) => waiting,
        Tapped::Open(opened) => panic!("it let {} in without a PIN", opened.title),
    }
}

pub fn opened(tapped: Tapped) -> Opened {
    match tapped {
        Tapped::Open(opened) => opened,
        Tapped::Pin(_) => panic!("it asked for the PIN"),
    }
}

/// Who was let in here, with the session's address.
pub fn here(opened: Opened) -> (SignedIn, Address) {
    match opened.how {
        How::Here(here) => (here.person, here.address.expect("a session is published to them")),
        How::Page { .. } => panic!("it was for a page"),
    }
}

/// Taps, types the PIN, and is let in.
pub async fn tap_and_pin(seat: &Seat, badge: &str) -> (SignedIn, Address) {
    let waiting = waiting(seat.tap_here(badge).await.unwrap());
    here(opened(seat.pin_here(&waiting, PIN).await.unwrap()))
}

/// Drives a client until its session is gone for good, and says why.
pub async fn until_closed(client: &mut Client) -> (CloseCode, String) {
    let closed = async {
        loop {
            match client.next().await {
                Ok(_) => {}
                Err(ClientError::Closed(closed)) => return (closed.code, closed.reason),
                Err(other) => panic!("{other}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), closed).await.expect("the session is closed to it")
}

pub async fn until_colour(client: &mut Client, colour: u32) {
    let shown = async {
        while client.screen().is_none_or(|screen| screen.row(10, 10, 1) != [colour]) {
            let _: Event = client.next().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(10), shown).await.expect("the host's pixels come");
}
