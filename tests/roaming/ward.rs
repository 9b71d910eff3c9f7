//! A ward: a gateway where people sign in, and two sessions that remember what was typed into them.

use chevet::client::{Client, ClientError, Event, Roads, SignInFailed, SignedIn, Site};
use chevet::gateway::{Access, Config, Gateway, SignInConfig, Tls};
use chevet::identity::{Hasher, TotpSecret, add_user, sha256_hex};
use chevet::link::parse_fingerprint;
use chevet::screen::HashKey;
use chevet::session::Session;
use chevet::source::{Canvas, Source, SourceEvent, SourceState};
use chevet::store::{Role, Store};
use chevet::wire::{Clip, CloseCode, InputEvent, Policy};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

pub const PASSWORD: &str = "a long enough password";
const SECRET: &str = "the hosts' secret of these tests";

pub struct Ward {
    pub gateway: Gateway,
    pub store: Store,
    config: Config,
    folder: PathBuf,
    pins: Vec<[u8; 32]>,
    typed: Arc<Mutex<Vec<InputEvent>>>,
    sizes: Arc<Mutex<Vec<(u32, u32)>>>,
    canvases: Mutex<Vec<(&'static str, Arc<Canvas>)>>,
    clips: Arc<Mutex<Vec<Clip>>>,
    programs: Mutex<Vec<(&'static str, mpsc::Sender<SourceEvent>)>>,
}

/// A desktop that remembers what was typed, which sizes were asked for, and what its clipboard was given.
struct Listening(Arc<Mutex<Vec<InputEvent>>>, Arc<Mutex<Vec<(u32, u32)>>>, Arc<Mutex<Vec<Clip>>>);

impl Source for Listening {
    fn input(&self, event: InputEvent) {
        self.0.lock().unwrap().push(event);
    }
    fn resize(&self, width: u32, height: u32) {
        self.1.lock().unwrap().push((width, height));
    }
    fn clip(&self, clip: Clip) {
        self.2.lock().unwrap().push(clip);
    }
    fn empty_clipboard(&self) {
        self.2.lock().unwrap().clear();
    }
}

impl Ward {
    /// Anne and Paul are nurses and may have "desk"; Eve may have nothing; the boss is an administrator. `tls`: the TCP port speaks TLS.
    pub async fn open(name: &str, tls: bool) -> Ward {
        Ward::open_with(name, tls, "").await
    }

    /// The same, with further sections of the configuration.
    pub async fn open_with(name: &str, tls: bool, sections: &str) -> Ward {
        let more: Config = toml::from_str(sections).unwrap();
        let folder = std::env::temp_dir().join(format!("chevet-ward-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let mut config = Config {
            listen: vec![([127, 0, 0, 1], 0).into()],
            access: Access { host_secret: Some(SECRET.into()), ..Access::default() },
            state_directory: Some(folder.join("state")),
            sign_in: Some(SignInConfig::default()),
            publish: toml_publications(),
            zones: more.zones,
            rules: more.rules,
            ..Config::default()
        };
        let mut pins = Vec::new();
        if tls {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]);
            let made = made.unwrap();
            pins.extend(parse_fingerprint(&sha256_hex(made.cert.der())));
            let (certificate, key) = (folder.join("chain.pem"), folder.join("key.pem"));
            std::fs::write(&certificate, made.cert.pem()).unwrap();
            std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
            config.tls = Tls { certificate: Some(certificate), key: Some(key) };
        }
        let gateway = Gateway::start(&config).await.unwrap();
        let store = Store::open(&config.store_url().unwrap()).await.unwrap();
        for (name, title, groups) in [
            ("anne", "Anne Roy", vec!["nurses".to_owned()]),
            ("paul", "Paul Petit", vec!["nurses".to_owned()]),
            ("eve", "Eve", vec![]),
            ("boss", "Lea Chef", vec![]),
        ] {
            let role = if name == "boss" { Role::Administrator } else { Role::User };
            let id = add_user(&store, name, title, role, &groups, 0).await.unwrap();
            store.set_password(&id, &Hasher::default().hash(PASSWORD).await.unwrap()).await.unwrap();
        }
        let ward = Ward {
            gateway,
            store,
            config,
            folder,
            pins,
            typed: Arc::default(),
            sizes: Arc::default(),
            canvases: Mutex::default(),
            clips: Arc::default(),
            programs: Mutex::default(),
        };
        ward.offer("desk", 0x0030_6090).await;
        ward.offer("secret", 0x0090_3010).await;
        ward
    }

    /// A host offers a session of one colour.
    async fn offer(&self, name: &'static str, colour: u32) {
        let canvas = Arc::new(Canvas::new(640, 400).unwrap());
        {
            let mut painting = canvas.lock();
            for y in 0..400 {
                painting.framebuffer.row_mut(0, y, 640).fill(colour);
            }
        }
        canvas.notify();
        self.canvases.lock().unwrap().push((name, canvas.clone()));
        let (events, to_session) = mpsc::channel(8);
        events.send(SourceEvent::State(SourceState::Live)).await.unwrap();
        self.programs.lock().unwrap().push((name, events.clone()));
        let source = Arc::new(Listening(self.typed.clone(), self.sizes.clone(), self.clips.clone()));
        let session =
            Session::start(name, name, HashKey(3), Policy::default(), canvas, source, to_session).unwrap();
        let mut target = chevet::client::Address::parse(&self.gateway.native_url(name)).unwrap().target;
        target.pins.extend(&self.pins);
        tokio::spawn(async move {
            let _events = events;
            chevet::host::offer(&session, &target, SECRET.as_bytes()).await
        });
        let live = || {
            let list = self.gateway.registry().list();
            list.iter().any(|listed| listed.name == name && listed.state == "live" && listed.width == 640)
        };
        while !live() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A program of a session copies a text.
    pub async fn copy(&self, name: &str, text: &str) {
        self.copy_clip(name, Clip::Text(text.into())).await;
    }

    /// The same of anything.
    pub async fn copy_clip(&self, name: &str, clip: Clip) {
        let program =
            self.programs.lock().unwrap().iter().find(|(other, _)| *other == name).unwrap().1.clone();
        program.send(SourceEvent::Clip(clip)).await.unwrap();
    }

    /// The texts that the sessions' clipboards were given since they were emptied.
    pub fn clips(&self) -> Vec<String> {
        let text = |clip: &Clip| if let Clip::Text(text) = clip { Some(text.clone()) } else { None };
        self.clips.lock().unwrap().iter().filter_map(text).collect()
    }

    /// The pictures, as PNG.
    pub fn pictures(&self) -> Vec<bytes::Bytes> {
        let picture = |clip: &Clip| if let Clip::Picture(png) = clip { Some(png.clone()) } else { None };
        self.clips.lock().unwrap().iter().filter_map(picture).collect()
    }

    pub fn site(&self) -> Site {
        let pins = self.pins.clone();
        let address = self.gateway.addresses()[0];
        Site {
            host: address.ip().to_string(),
            port: address.port(),
            tls: !pins.is_empty(),
            pins,
            proxy: None,
        }
    }

    pub async fn sign_in(&self, name: &str, seat: &str) -> Result<SignedIn, SignInFailed> {
        SignedIn::with_password(self.site(), name, PASSWORD, None, seat).await
    }

    /// Signs in and shows a session, to the pixel.
    pub async fn view(&self, name: &str, seat: &str, session: &str, roads: Roads) -> (SignedIn, Client) {
        let person = self.sign_in(name, seat).await.unwrap();
        let address = person.address(session).await.unwrap();
        let mut client = Client::connect_by(address, roads, (0, 0)).await.unwrap();
        until_exact(&mut client).await;
        (person, client)
    }

    /// The characters that reached the sessions.
    pub fn typed(&self) -> String {
        let typed = self.typed.lock().unwrap();
        let characters = typed.iter().filter_map(|event| match event {
            InputEvent::Text(text) => Some(text.as_str()),
            _ => None,
        });
        characters.collect()
    }

    /// Where a session is painted.
    #[allow(dead_code)]
    pub fn canvas(&self, session: &str) -> Arc<Canvas> {
        let canvases = self.canvases.lock().unwrap();
        canvases.iter().find(|(name, _)| *name == session).unwrap().1.clone()
    }

    /// The sizes that sessions were asked to take.
    pub fn sizes(&self) -> Vec<(u32, u32)> {
        self.sizes.lock().unwrap().clone()
    }

    /// What reached the sessions, event by event.
    pub fn events(&self) -> Vec<InputEvent> {
        self.typed.lock().unwrap().clone()
    }

    /// Gives a user a secret for one-time codes.
    pub async fn give_totp(&self, name: &str) -> TotpSecret {
        let user = self.store.user_named(name).await.unwrap().unwrap();
        let secret = TotpSecret::new(name);
        let keys = chevet::gateway::kept_keys(&self.config).unwrap();
        self.store.set_totp(&user.id, Some(&secret.seal(&user.id, &keys))).await.unwrap();
        secret
    }

    /// What the audit journal says, a line a record, once all of this is in it: records are written by a thread of
    /// their own.
    pub async fn journal_with(&self, wanted: &[&str]) -> String {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let journal = self.journal();
            let Some(missing) = wanted.iter().find(|text| !journal.contains(*text)) else { return journal };
            assert!(Instant::now() < end, "no {missing:?} in {journal}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn journal(&self) -> String {
        let Ok(entries) = std::fs::read_dir(self.folder.join("state/audit")) else { return String::new() };
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect()
    }
}

impl Drop for Ward {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn toml_publications() -> Vec<chevet::broker::Publication> {
    let publish: Config = toml::from_str("[[publish]]\nsession = 'desk'\ngroups = ['nurses']").unwrap();
    publish.publish
}

pub async fn until_exact(client: &mut Client) {
    let exact = async {
        loop {
            match client.next().await {
                Ok(Event::Exact) => return,
                Ok(_) => {}
                Err(error) => panic!("it was to become exact: {error}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), exact).await.expect("it becomes exact within 10 s");
}

/// Drives a client until its session is gone for good, and says why.
pub async fn until_closed(client: &mut Client, within: Duration) -> (CloseCode, String) {
    let closed = async {
        loop {
            if let Err(error) = client.next().await {
                match error {
                    ClientError::Closed(closed) => return (closed.code, closed.reason),
                    other => panic!("{other}"),
                }
            }
        }
    };
    tokio::time::timeout(within, closed).await.expect("the session is closed to it")
}
