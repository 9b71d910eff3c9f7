//! The RDP source: a Windows session host, or whatever else speaks RDP, with nothing installed on it.
//!
//! IronRDP's crates speak the protocol and decode; this drives them. Each source has one thread with a runtime of its own,
//! so that decoding never holds up the gateway's tasks, and so that a panic in a decoder ends one connection only.

mod connect;
mod failure;
mod inbox;
mod kdc;
mod kerberos;
mod keyboard;
mod layout;
mod live;
mod mending;
mod monitors;
mod remote_app;
mod report;
mod settings;
mod sound;
mod trust;

pub use kerberos::KerberosSettings;
pub use monitors::Monitor;
pub use report::{Report, SignIn};
pub use settings::{
    CertificatePolicy, Keyring, Login, RdpSettings, fingerprint_text, host_and_port, keyring,
    parse_fingerprint,
};
pub use trust::{Known, KnownHosts};

use super::{Canvas, Source, SourceEvent, SourceState};
use crate::rdp::rail::Launch;
use crate::rdp::{clipboard, paint};
use crate::wire::{Clip, InputEvent};
use clipboard::Clipboard;
use failure::{Failure, Target};
use inbox::Inbox;
use ironrdp_displaycontrol::pdu::MonitorLayoutEntry;
use layout::Layout;
use remote_app::RemoteApp;
use report::Tally;
use sound::SoundEar;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;

/// The first pause before trying again, for hosts that are away and for those that misbehave, and the longest.
const AWAY_PAUSE: Duration = Duration::from_millis(500);
const BROKEN_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_AWAY_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_BROKEN_PAUSE: Duration = Duration::from_secs(300);
/// A session that lasted so long was a good one: the pauses begin anew.
const GOOD: Duration = Duration::from_secs(10);
/// How often changed credentials are looked for.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A farm may send a client on so often.
const MOST_HOPS: u32 = 5;

#[derive(Debug, thiserror::Error)]
pub enum RdpError {
    #[error("the RDP host's settings are not right: {0}")]
    Settings(String),
    #[error("could not start a thread for an RDP host: {0}")]
    Thread(std::io::Error),
}

/// What an auditor is told.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A host's certificate was seen for the first time, and is believed from now on.
    Trusted {
        host: String,
        fingerprint: [u8; 32],
    },
    Distrusted {
        host: String,
        reason: String,
    },
    SignedIn {
        host: String,
        user: String,
    },
    SignInRefused {
        host: String,
        user: String,
        reason: String,
    },
    /// A host that had let us in is gone.
    Lost {
        host: String,
        reason: String,
    },
    /// A host could not be asked to let us in: it is away, or does not get along with this.
    NotReached,
    /// A host does not show an application alone: its session is one without.
    NoRemoteApp {
        host: String,
        reason: String,
    },
    /// The session on the host is over: its user has signed out there.
    SignedOut,
    /// The application that was shown alone is over: its user has closed it.
    Closed,
}

pub type Notify = Arc<dyn Fn(Notice) + Send + Sync>;

/// Everything that an RDP source is started with.
pub struct RdpConfig {
    pub settings: RdpSettings,
    pub keyring: Keyring,
    pub known: Arc<KnownHosts>,
    /// The first size that is asked for, in pixels.
    pub size: (u32, u32),
    pub notify: Notify,
}

struct Shared {
    config: RdpConfig,
    /// As users know it.
    host: String,
    layout: Layout,
    canvas: Arc<Canvas>,
    events: Sender<SourceEvent>,
    inbox: Inbox,
    tally: Arc<Tally>,
    clipboard: Clipboard,
    size: Mutex<(u32, u32)>,
}

impl Shared {
    async fn tell(&self, event: SourceEvent) {
        // The session is gone when nobody listens; then this source is about to be, too.
        let _ = self.events.send(event).await;
    }

    fn remember_size(&self, size: (u32, u32)) {
        *self.size.lock().unwrap_or_else(PoisonError::into_inner) = size;
    }

    fn size(&self) -> (u32, u32) {
        *self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session on an RDP host as a source. Dropping it disconnects; what runs there goes on, as the host decides.
pub struct RdpSource {
    shared: Arc<Shared>,
}

impl RdpSource {
    /// Shows the host in `canvas` from now on. It need not be there yet: until it is, and whenever it goes away, the source
    /// says that it waits, and for what.
    ///
    /// # Errors
    /// When the settings cannot work, or the machine has no thread to give.
    pub fn start(
        config: RdpConfig,
        canvas: Arc<Canvas>,
        events: Sender<SourceEvent>,
    ) -> Result<RdpSource, RdpError> {
        if let Some(fault) = config.settings.fault() {
            return Err(RdpError::Settings(fault));
        }
        let layout = Layout::named(&config.settings.keyboard);
        let layout = layout.ok_or_else(|| RdpError::Settings("the keyboard is not known".into()))?;
        let size = Mutex::new(monitors::size(&config.settings.monitors).unwrap_or(config.size));
        let shared = Arc::new(Shared {
            host: config.settings.address.clone(),
            layout,
            canvas,
            events,
            inbox: Inbox::default(),
            tally: Tally::new(),
            clipboard: Clipboard::default(),
            size,
            config,
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(RdpError::Thread)?;
        let running = shared.clone();
        std::thread::Builder::new()
            .name("rdp".into())
            .spawn(move || run(&running, &runtime))
            .map_err(RdpError::Thread)?;
        Ok(RdpSource { shared })
    }

    /// What the newest connection negotiated and received.
    pub fn report(&self) -> Report {
        self.shared.tally.lock().clone()
    }
}

impl Source for RdpSource {
    fn input(&self, event: InputEvent) {
        self.shared.inbox.push(event);
    }

    fn resize(&self, width: u32, height: u32) {
        if self.shared.config.settings.monitors.is_empty() {
            self.shared.inbox.resize(width, height);
        }
    }

    fn clip(&self, clip: Clip) {
        if self.shared.config.settings.clipboard && clip.fits() {
            self.shared.inbox.clip(clip);
        }
    }

    /// RDP has no word for it: the host's programs find an empty text.
    fn empty_clipboard(&self) {
        self.clip(Clip::Text(String::new()));
    }
}

impl Drop for RdpSource {
    fn drop(&mut self) {
        self.shared.inbox.stop();
    }
}

/// What outlives a connection.
#[derive(Default)]
struct Memory {
    cookie: Option<ironrdp_pdu::rdp::session_info::ServerAutoReconnect>,
    target: Option<Target>,
    hops: u32,
    /// The credentials that were refused last.
    refused: Option<Login>,
    failures: u32,
    /// Whether the application has been seen to run there, and whether the next session is one without.
    app_came: bool,
    without_app: bool,
    /// Whether the host has let us in since this was asked last.
    let_in: bool,
}

fn run(shared: &Shared, runtime: &tokio::runtime::Runtime) {
    let mut memory = Memory::default();
    let connecting = format!("connecting to {}", shared.host);
    runtime.block_on(shared.tell(SourceEvent::State(SourceState::Waiting(connecting))));
    while !shared.inbox.is_stopping() {
        let begun = Instant::now();
        let attempt = AssertUnwindSafe(|| runtime.block_on(attempt(shared, &mut memory)));
        // The decoders are others' code, and what they decode is a host's: a panic must cost no more than the connection.
        let failure = std::panic::catch_unwind(attempt)
            .unwrap_or_else(|_| Failure::Broken("it sent something that broke the decoder".into()));
        if shared.inbox.is_stopping() {
            return;
        }
        let good = begun.elapsed() >= GOOD && matches!(failure, Failure::Away(_));
        memory.failures = if good { 0 } else { memory.failures.saturating_add(1) };
        let let_in = std::mem::take(&mut memory.let_in);
        if let_in && is_loss(&failure) {
            let (host, reason) = (shared.host.clone(), failure.text(&shared.host));
            (shared.config.notify)(Notice::Lost { host, reason });
        } else if !let_in && matches!(failure, Failure::Away(_) | Failure::Broken(_)) {
            (shared.config.notify)(Notice::NotReached);
        }
        runtime.block_on(after(shared, &mut memory, failure));
    }
}

/// Whether a host is gone by this although nobody wanted that.
fn is_loss(failure: &Failure) -> bool {
    !is_over(failure) && !matches!(failure, Failure::Redirected(_) | Failure::NoRemoteApp(_))
}

/// Whether its user has ended it.
fn is_over(failure: &Failure) -> bool {
    matches!(failure, Failure::SignedOut | Failure::Closed)
}

/// Whether it goes on only when a viewer asks for it.
fn waits_for_viewer(failure: &Failure) -> bool {
    is_over(failure) || *failure == Failure::TakenOver
}

/// Connects and stays connected as long as it goes.
async fn attempt(shared: &Shared, memory: &mut Memory) -> Failure {
    let login = match (shared.config.keyring)() {
        Ok(login) => login,
        Err(reason) => return Failure::Credentials(reason),
    };
    if memory.refused.as_ref() == Some(&login) {
        return Failure::Credentials("the password has not been changed".into());
    }
    shared.tally.begin();
    shared.clipboard.begin();
    let sound = SoundEar::new(shared.events.clone());
    let settings = &shared.config.settings;
    let wanted = !settings.remote_app.is_empty() && !std::mem::take(&mut memory.without_app);
    let remote_app = wanted.then(|| {
        let launch = Launch {
            program: settings.remote_app.clone(),
            directory: settings.directory.clone(),
            arguments: settings.arguments.clone(),
        };
        (launch, memory.app_came)
    });
    let order = connect::Order {
        settings: &shared.config.settings,
        layout: &shared.layout,
        login: &login,
        size: shared.size(),
        target: memory.target.as_ref(),
        cookie: memory.cookie.clone(),
        known: &shared.config.known,
        tally: &shared.tally,
        clipboard: &shared.clipboard,
        sound: &sound,
        notify: &shared.config.notify,
        remote_app,
    };
    let (host, user) = (shared.host.clone(), login.user.clone());
    match connect::connect(&order).await {
        Ok((result, line)) => {
            memory.refused = None;
            memory.hops = 0;
            memory.let_in = true;
            (shared.config.notify)(Notice::SignedIn { host, user });
            let wanted = Some(shared.size());
            let app = order.remote_app.is_some().then(|| RemoteApp::new(Instant::now()));
            match live::Live::new(shared, result, line, wanted, &mut memory.cookie, app) {
                Ok(live) => {
                    let (failure, app_came) = live.run().await;
                    memory.app_came |= app_came;
                    failure
                }
                Err(failure) => failure,
            }
        }
        Err(failure) => {
            if let Failure::Credentials(reason) = &failure {
                memory.refused = Some(login);
                (shared.config.notify)(Notice::SignInRefused { host, user, reason: reason.clone() });
            }
            failure
        }
    }
}

/// Says what happened, and waits until it is worth trying again.
async fn after(shared: &Shared, memory: &mut Memory, failure: Failure) {
    let failure = match failure {
        Failure::Redirected(target) if memory.hops < MOST_HOPS => {
            memory.hops += 1;
            memory.target = Some(*target);
            return;
        }
        Failure::NoRemoteApp(ref reason) => {
            let (host, reason) = (shared.host.clone(), reason.clone());
            tracing::warn!(host, reason, "an RDP host does not show an application alone");
            (shared.config.notify)(Notice::NoRemoteApp { host, reason });
            memory.without_app = true;
            memory.app_came = false;
            return shared.tell(SourceEvent::State(SourceState::Waiting(failure.text(&shared.host)))).await;
        }
        Failure::Redirected(_) => Failure::Broken("its farm sends this session round in circles".into()),
        failure => failure,
    };
    memory.target = None;
    memory.hops = 0;
    if is_over(&failure) {
        memory.cookie = None;
        memory.app_came = false;
        let closed = failure == Failure::Closed;
        (shared.config.notify)(if closed { Notice::Closed } else { Notice::SignedOut });
    }
    let text = failure.text(&shared.host);
    tracing::info!(host = shared.host, "{text}");
    shared.tell(SourceEvent::State(SourceState::Waiting(text))).await;
    let pause = match &failure {
        Failure::Away(_) | Failure::NoTicket(_) => grown(AWAY_PAUSE, memory.failures, LONGEST_AWAY_PAUSE),
        _ => grown(BROKEN_PAUSE, memory.failures, LONGEST_BROKEN_PAUSE),
    };
    let until = Instant::now() + pause;
    loop {
        let left = match &failure {
            Failure::Credentials(_) => LOOK_AGAIN,
            failure if waits_for_viewer(failure) => LOOK_AGAIN,
            _ => until.saturating_duration_since(Instant::now()),
        };
        let rung = tokio::time::timeout(left, shared.inbox.rung()).await.is_ok();
        let asked = rung && listen(shared);
        if shared.inbox.is_stopping() {
            return;
        }
        match &failure {
            Failure::Credentials(_) => {
                let now = (shared.config.keyring)();
                if now.is_ok_and(|login| memory.refused.as_ref() != Some(&login)) {
                    return;
                }
            }
            failure if waits_for_viewer(failure) && asked => return,
            failure if waits_for_viewer(failure) => {}
            _ if Instant::now() >= until => return,
            _ => {}
        }
    }
}

/// Keeps what outlasts the wait, and says whether a viewer did something.
fn listen(shared: &Shared) -> bool {
    let waiting = shared.inbox.take();
    if let Some((width, height)) = waiting.size {
        shared.remember_size(MonitorLayoutEntry::adjust_display_size(width, height));
    }
    if let Some(clip) = waiting.clip {
        shared.clipboard.offer(clip);
    }
    let does = |event: &InputEvent| {
        matches!(event, InputEvent::KeyDown { .. } | InputEvent::PointerButton { down: true, .. })
    };
    waiting.events.iter().any(does)
}

/// A pause that doubles with every failure in a row.
fn grown(first: Duration, failures: u32, most: Duration) -> Duration {
    first.saturating_mul(1 << failures.saturating_sub(1).min(12)).min(most)
}
