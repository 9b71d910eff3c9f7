//! A VNC server as a source. One task dials, writes and dials again; another one, per connection, reads and paints, so
//! that a key never waits behind a picture.

mod config;
mod connect;
mod hear;
mod paint;
mod report;
mod speak;
mod trust;

pub use config::{Encoding, Keys, Tls, VncConfig};
pub use report::Report;

use super::{Canvas, KnownHosts, Source, SourceEvent, SourceState};
use crate::wire::{Clip, InputEvent};
use connect::Failure;
use report::Reporter;
use speak::Speech;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

/// Input that waits for a server; more is dropped, since nobody wants it typed a minute later.
const QUEUE: usize = 1_024;
const SOONEST: Duration = Duration::from_millis(250);
const LATEST: Duration = Duration::from_secs(10);
/// A connection that lasted so long was no accident: the next attempt comes soon.
const STEADY: Duration = Duration::from_secs(5);
/// Servers lock out who tries wrong passwords too often.
const SOONEST_REFUSED: Duration = Duration::from_secs(10);
const LATEST_REFUSED: Duration = Duration::from_secs(60);

/// What an auditor is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The server's certificate was seen for the first time, and is believed from now on.
    Trusted {
        fingerprint: String,
    },
    Distrusted {
        reason: String,
    },
    /// The server has let us in; as this user, if it asks for one.
    SignedIn {
        user: String,
    },
    SignInRefused {
        user: String,
        reason: String,
    },
    /// A server that had let us in is gone.
    Lost {
        reason: String,
    },
}

pub type Notify = Arc<dyn Fn(Notice) + Send + Sync>;

/// What a source shares with whoever starts it.
#[derive(Clone)]
pub struct Ties {
    /// Instead of the configuration's `password_file`.
    pub password: Option<Zeroizing<String>>,
    pub known: Arc<KnownHosts>,
    pub notify: Notify,
}

impl Default for Ties {
    fn default() -> Self {
        Ties { password: None, known: Arc::new(KnownHosts::new(None)), notify: Arc::new(|_| {}) }
    }
}

enum Errand {
    Input(InputEvent),
    Resize(u32, u32),
    Clip(Clip),
}

/// A session on a VNC server. Dropping it ends the connection.
pub struct VncSource {
    errands: mpsc::Sender<Errand>,
    report: Reporter,
}

impl VncSource {
    /// Shows the server's screen in `canvas` from now on. The server need not be there yet: until it is, and whenever
    /// it goes, the source says why it waits and keeps trying. To be called within a runtime.
    pub fn start(
        config: VncConfig,
        ties: Ties,
        canvas: Arc<Canvas>,
        events: mpsc::Sender<SourceEvent>,
    ) -> VncSource {
        let (errands, to_do) = mpsc::channel(QUEUE);
        let report = Reporter::default();
        let speech = Speech::new(config.keys);
        let host = Host { config, ties, told: None, canvas, events, report: report.clone(), speech };
        tokio::spawn(host.run(to_do));
        VncSource { errands, report }
    }

    /// What is known of the newest connection.
    pub fn report(&self) -> Report {
        self.report.read()
    }
}

impl Source for VncSource {
    fn input(&self, event: InputEvent) {
        let _ = self.errands.try_send(Errand::Input(event));
    }

    fn resize(&self, width: u32, height: u32) {
        let _ = self.errands.try_send(Errand::Resize(width, height));
    }

    /// Text alone: RFB's pictures are bitmaps that hardly any server knows.
    fn clip(&self, clip: Clip) {
        if matches!(clip, Clip::Text(_)) {
            let _ = self.errands.try_send(Errand::Clip(clip));
        }
    }

    /// RFB has no word for it: the server's programs find an empty text.
    fn empty_clipboard(&self) {
        self.clip(Clip::Text(String::new()));
    }
}

struct Host {
    config: VncConfig,
    ties: Ties,
    /// The refusal that was told last: the same one again is no news.
    told: Option<Notice>,
    canvas: Arc<Canvas>,
    events: mpsc::Sender<SourceEvent>,
    report: Reporter,
    speech: Speech,
}

impl Host {
    async fn run(mut self, mut errands: mpsc::Receiver<Errand>) {
        let mut wait = SOONEST;
        self.tell(format!("connecting to the VNC server {}", self.config.address)).await;
        loop {
            let since = Instant::now();
            let Some(failure) = self.connection(&mut errands).await else { return };
            let was_steady = self.report.read().first_screen.is_some() && since.elapsed() > STEADY;
            let (soonest, latest) = match failure.is_lasting() {
                true => (SOONEST_REFUSED, LATEST_REFUSED),
                false => (SOONEST, LATEST),
            };
            wait = if was_steady { soonest } else { wait.clamp(soonest, latest) };
            tracing::info!(address = self.config.address, reason = %failure, "no VNC server to show");
            self.tell(format!("{failure}; trying again")).await;
            if self.meanwhile(tokio::time::sleep(wait), &mut errands).await.is_none() {
                return;
            }
            wait = (wait * 2).min(latest);
        }
    }

    /// One connection from dialling to its end. `None`: nobody wants the session any more.
    async fn connection(&mut self, errands: &mut mpsc::Receiver<Errand>) -> Option<Failure> {
        let since = Instant::now();
        self.report.write(|report| *report = Report::default());
        let config = self.config.clone();
        let ties = self.ties.clone();
        let connected = self.meanwhile(connect::connect(&config, &ties), errands).await?;
        let connection = match connected {
            Ok(connection) => connection,
            Err(failure) => {
                self.tell_refusal(&failure);
                return Some(failure);
            }
        };
        self.tell_let_in();
        let failure = self.serve(connection, since, errands).await;
        if let Some(failure) = &failure {
            (self.ties.notify)(Notice::Lost { reason: failure.to_string() });
        }
        failure
    }

    /// Shows a server that has let us in, until it is gone.
    async fn serve(
        &mut self,
        connection: connect::Connection,
        since: Instant,
        errands: &mut mpsc::Receiver<Errand>,
    ) -> Option<Failure> {
        let server = &connection.server;
        self.report.write(|report| {
            report.minor = Some(server.minor);
            report.security = server.security.name();
            report.certificate = connection.certificate.clone();
            report.name = server.name.clone();
        });
        if let Err(error) = self.fit(server.width, server.height) {
            return Some(error);
        }
        let (heard, to_answer) = mpsc::channel(64);
        let hearing = hear::Hearing {
            address: self.config.address.clone(),
            canvas: self.canvas.clone(),
            events: self.events.clone(),
            heard,
            report: self.report.clone(),
            since,
        };
        let size = (server.width, server.height);
        let mut ears = tokio::spawn(hearing.run(connection.reading, connection.early));
        let encodings = self.config.encodings();
        let speaking =
            self.speech.run(connection.writing, size, &encodings, to_answer, errands, &self.report);
        let ended = tokio::select! {
            failure = &mut ears => {
                let gone = |_| Failure::Closed(self.config.address.clone());
                return Some(failure.unwrap_or_else(gone));
            }
            ended = speaking => ended,
        };
        ears.abort();
        // Nothing of it is painted any more when the next connection begins.
        let heard = ears.await;
        // What the server said last is a better reason than that it does not listen.
        ended.map(|failure| heard.unwrap_or(failure))
    }

    fn user(&self) -> String {
        self.config.user.clone().unwrap_or_default()
    }

    fn tell_let_in(&mut self) {
        self.told = None;
        (self.ties.notify)(Notice::SignedIn { user: self.user() });
    }

    /// Tells a refusal once, however often it is met.
    fn tell_refusal(&mut self, failure: &Failure) {
        use crate::rfb::RfbError::{NeedsPassword, NeedsUser, TooManyAttempts, WrongPassword};
        let reason = failure.to_string();
        let notice = match failure {
            Failure::Distrusted(_) => Notice::Distrusted { reason },
            // It says so of what was refused before.
            Failure::Rfb(TooManyAttempts(_)) if self.told.is_some() => return,
            Failure::Rfb(WrongPassword(_) | TooManyAttempts(_) | NeedsPassword(_) | NeedsUser) => {
                Notice::SignInRefused { user: self.user(), reason }
            }
            _ => return,
        };
        if self.told.as_ref() != Some(&notice) {
            (self.ties.notify)(notice.clone());
            self.told = Some(notice);
        }
    }

    /// Gives the canvas the server's size.
    fn fit(&self, width: u32, height: u32) -> Result<(), Failure> {
        let mut painting = self.canvas.lock();
        let size = (painting.framebuffer.width(), painting.framebuffer.height());
        if size != (width, height) {
            painting.resize(width, height).map_err(|error| Failure::Rfb(error.into()))?;
            drop(painting);
            self.canvas.notify();
        }
        Ok(())
    }

    /// Waits for something while there is no server; `None`: nobody wants the session any more.
    async fn meanwhile<T>(
        &mut self,
        what: impl Future<Output = T>,
        errands: &mut mpsc::Receiver<Errand>,
    ) -> Option<T> {
        tokio::pin!(what);
        loop {
            tokio::select! {
                value = &mut what => return Some(value),
                errand = errands.recv() => match errand? {
                    Errand::Resize(width, height) => self.speech.wish(width, height),
                    Errand::Clip(clip) => self.speech.keep(clip),
                    // Keys for a server that is not there would be a surprise when it returns.
                    Errand::Input(_) => {}
                },
            }
        }
    }

    async fn tell(&self, text: String) {
        let _ = self.events.send(SourceEvent::State(SourceState::Waiting(text))).await;
    }
}
