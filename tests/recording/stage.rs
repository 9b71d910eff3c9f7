//! A gateway with a synthetic session, a viewer that makes things happen, and keys.

use age::secrecy::ExposeSecret;
use chevet::client::{Address, Client, Event};
use chevet::clock;
use chevet::gateway::{Config, Gateway};
use chevet::recording::{
    Command, Ended, Header, Keys, Label, Limits, Opened, Person, Replay, Rhythm, Shelf, Tape, record,
};
use chevet::screen::{Framebuffer, HashKey, hash_tile};
use chevet::source::{Layout, SyntheticConfig};
use chevet::wire::{Button, InputEvent};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

pub const LONG: Duration = Duration::from_secs(30);
pub const TITLE: &str = "A title that is looked for in the files";

/// A directory that goes with its test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("chevet-recording-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A pair of keys: the public one, and the file with the secret one.
pub fn key(folder: &Folder, name: &str) -> (age::x25519::Recipient, PathBuf) {
    let identity = age::x25519::Identity::generate();
    let path = folder.0.join(name);
    std::fs::write(&path, format!("# made for a test\n{}\n", identity.to_string().expose_secret())).unwrap();
    (identity.to_public(), path)
}

pub fn roomy() -> Limits {
    Limits { most_bytes: 1 << 40, least_free_bytes: 0, keep_ms: 86_400_000 }
}

pub async fn gateway(config: Config) -> Gateway {
    let config = Config { listen: vec![([127, 0, 0, 1], 0).into()], ..config };
    let gateway = Gateway::start(&config).await.expect("the gateway starts");
    let screen = SyntheticConfig { seed: 5, width: 640, height: 480, stack: false, video: false };
    gateway.registry().start_synthetic("desk", TITLE, screen).unwrap();
    gateway
}

pub async fn view(gateway: &Gateway) -> Client {
    let mut client = Client::connect(Address::parse(&gateway.native_url("desk")).unwrap()).await.unwrap();
    until(&mut client, "an exact screen", |event| matches!(event, Event::Exact)).await;
    client
}

pub async fn until(client: &mut Client, what: &str, wanted: impl Fn(&Event) -> bool) {
    let waiting = async {
        while !wanted(&client.next().await.unwrap_or_else(|error| panic!("waiting for {what}: {error}"))) {}
    };
    timeout(LONG, waiting).await.unwrap_or_else(|_| panic!("{what} never came"));
}

/// Clicks on a tile that answers, or turns the wheel over it, which scrolls the table; waits until what came of it is exact.
pub async fn act(client: &mut Client, number: usize) {
    let layout = Layout::new(640, 480);
    let echoes = layout.echoes();
    let place = layout.grid().rect(echoes[number * 7 % echoes.len()]);
    let (x, y) = (place.x as u16 + 3, place.y as u16 + 3);
    if number % 3 == 2 {
        client.input(InputEvent::Wheel { horizontal: 0, vertical: 120, x, y });
    } else {
        client.input(InputEvent::PointerButton { button: Button::Left, down: true, x, y });
    }
    until(client, "an update", |event| matches!(event, Event::Updated(_))).await;
    until(client, "an exact screen", |event| matches!(event, Event::Exact)).await;
    stay(client, Duration::from_millis(400)).await;
}

/// Keeps the link alive for a while.
pub async fn stay(client: &mut Client, time: Duration) {
    let end = Instant::now() + time;
    while let Ok(event) = tokio::time::timeout_at(end, client.next()).await {
        event.unwrap();
    }
}

/// One number for all pixels of a screen.
pub fn hash(screen: &Framebuffer) -> u64 {
    let grid = screen.grid();
    let all = (0..grid.len() as u32).map(|tile| hash_tile(HashKey(3), screen, &grid.rect(tile)).0);
    all.fold(u64::from(screen.width()) << 32 | u64::from(screen.height()), |sum, tile| {
        sum.wrapping_mul(0x100_0000_01b3) ^ tile
    })
}

/// A moment at which nothing moved, in milliseconds since 1970, and what a viewer was shown then.
pub struct Moment {
    pub unix_ms: i64,
    pub hash: u64,
}

/// A recording that was ended, and what a live viewer saw meanwhile.
pub struct Recorded {
    pub folder: Folder,
    pub file: PathBuf,
    pub identity: PathBuf,
    pub moments: Vec<Moment>,
    /// The file as it was when all moments but the last three had been.
    pub unfinished: Vec<u8>,
}

impl Recorded {
    pub fn open(&self) -> Replay<Opened> {
        open(&self.file, &self.identity)
    }

    pub fn time_of(&self, moment: &Moment, began_unix_ms: u64) -> u64 {
        (moment.unix_ms as u64 - began_unix_ms) * 1_000
    }
}

pub fn open(file: &Path, identity: &Path) -> Replay<Opened> {
    Replay::open(Keys::read(identity).unwrap().open(file).unwrap()).unwrap()
}

/// Records a session in which a viewer does things, with whole screens every half second.
pub async fn recorded(acts: usize) -> Recorded {
    let folder = Folder::new();
    let (recipient, identity) = key(&folder, "key.txt");
    let gateway = gateway(Config::default()).await;
    let session = gateway.registry().session("desk").unwrap();
    let shelf = Shelf::open(&folder.0.join("shelf"), roomy()).unwrap();
    let (began_unix_ms, began_us) = (clock::unix_ms() as u64, clock::now_us());
    let (name, sealed) = shelf.begin(&Label { began_at: began_unix_ms as i64, ..Label::default() }).unwrap();
    let file = shelf.sealed(&name);
    let header =
        Header { began_unix_ms, session: "desk".into(), title: TITLE.into(), software: "test".into() };
    let mut tape = Tape::begin(sealed, &[recipient], &header).unwrap();
    let (commands, mut commanded) = mpsc::channel(8);
    let rhythm = Rhythm {
        key_after: Duration::from_millis(500),
        key_within: Duration::from_millis(1_500),
        lose_at_most: Duration::from_millis(200),
        ..Rhythm::default()
    };
    let weak = session.weak();
    let runtime = tokio::runtime::Handle::current();
    let recorder = std::thread::spawn(move || {
        let ended =
            runtime.block_on(record(weak, &shelf, &mut tape, rhythm, began_us, &mut commanded, || true));
        assert!(matches!(ended, Ended::Asked("enough")), "{ended}");
        tape.end().unwrap();
    });
    let person = Person { came: true, name: "anne".into(), title: "Anne Roy".into(), seat: "ward 3".into() };
    commands.send(Command::Person(person)).await.unwrap();
    let mut client = view(&gateway).await;
    stay(&mut client, Duration::from_millis(600)).await;
    let mut moments = Vec::new();
    let mut unfinished = Vec::new();
    for number in 0..acts {
        act(&mut client, number).await;
        moments.push(Moment { unix_ms: clock::unix_ms(), hash: hash(client.screen().unwrap()) });
        if number + 3 == acts {
            // Many times what may be lost: the recorder's thread may have to wait for a processor.
            stay(&mut client, Duration::from_secs(3)).await;
            unfinished = std::fs::read(&file).unwrap();
        }
    }
    commands.send(Command::End("enough")).await.unwrap();
    tokio::task::spawn_blocking(move || recorder.join()).await.unwrap().unwrap();
    Recorded { folder, file, identity, moments, unfinished }
}
