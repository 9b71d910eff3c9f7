//! Which sessions are being recorded, by whom they are viewed, and what becomes of recordings.

use crate::audit::{Audit, Event, Outcome, Record};
use crate::clock;
use crate::link::{Link, software};
use crate::recording::{
    Command, Config, Header, Label, Person, RecordedInput, Rhythm, SealError, Shelf, ShelfError, Tape,
    WhenFull, recipients_of, record,
};
use crate::session::{Session, WeakSession, Whom};
use crate::sync::Micros;
use crate::wire::CloseCode;
use age::x25519::Recipient;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// How often it is looked for recordings that are kept no longer.
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);
/// Who fetches a recording piece by piece is recorded once in this time.
const SAME_ACCESS: Duration = Duration::from_secs(900);
const MOST_ACCESSES: usize = 4_096;
const COMMANDS: usize = 256;
/// A stopping gateway gives its recordings this long to be ended.
const ENDING: Duration = Duration::from_secs(5);
/// Shown to who views when a recording fails.
const STOPPED: &str = "L’enregistrement de cette session s’est arrêté.\nThis session is no longer recorded.";

#[derive(Debug, thiserror::Error)]
pub enum RecordingsError {
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    #[error("[recording] recipients: {0}")]
    Recipients(#[from] SealError),
}

/// All recordings of a gateway.
pub(crate) struct Recordings {
    config: Config,
    recipients: Vec<Recipient>,
    shelf: Arc<Shelf>,
    audit: Arc<Audit>,
    running: Mutex<HashMap<String, Running>>,
    /// One is begun at a time.
    beginning: tokio::sync::Mutex<()>,
    accesses: Mutex<HashMap<(String, String), Instant>>,
}

/// A session's recording.
struct Running {
    name: String,
    commands: mpsc::Sender<Command>,
    /// Viewers who are to be recorded.
    present: usize,
    failed: watch::Receiver<bool>,
}

/// Somebody is recorded for as long as this lives.
pub(super) struct Hold {
    recordings: Arc<Recordings>,
    session: String,
    name: String,
    person: Person,
    watching: Option<tokio::task::JoinHandle<()>>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.watching.iter().for_each(|watching| watching.abort());
        let mut running = self.recordings.lock();
        let Some(recording) = running.get_mut(&self.session).filter(|running| running.name == self.name)
        else {
            return;
        };
        recording.present = recording.present.saturating_sub(1);
        let went = Person { came: false, ..self.person.clone() };
        let _ = recording.commands.try_send(Command::Person(went));
    }
}

impl Recordings {
    pub fn open(config: &Config, audit: Arc<Audit>) -> Result<Arc<Recordings>, RecordingsError> {
        Ok(Arc::new(Recordings {
            recipients: recipients_of(&config.recipients)?,
            shelf: Arc::new(Shelf::open(&config.directory, config.limits())?),
            config: config.clone(),
            audit,
            running: Mutex::default(),
            beginning: tokio::sync::Mutex::default(),
            accesses: Mutex::default(),
        }))
    }

    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Whether whoever opens this session is recorded.
    pub fn records(&self, session: &str) -> bool {
        self.config.records(session)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before somebody is let in to a session who is to be recorded there. The error is for them: they are not let in.
    /// `None`: there can be no recording, and they are let in all the same.
    pub async fn hold(
        self: &Arc<Self>,
        session: &Session,
        link: &Link,
        person: Person,
        about: impl Fn(Event) -> Record,
    ) -> Result<Option<Hold>, String> {
        let _one = self.beginning.lock().await;
        let person = Person { came: true, ..person };
        if !self.join(session.name(), &person)
            && let Err(reason) = self.begin(session, &person, &about)
        {
            let failed = Event::RecordingFailed { recording: "".into(), reason: reason.as_str().into() };
            self.audit.record(about(failed));
            tracing::error!(session = session.name(), reason, "a session cannot be recorded");
            return match self.config.when_full {
                WhenFull::Refuse => Err("what is done here must be recorded, and cannot be now".into()),
                WhenFull::Stop => Ok(None),
            };
        }
        session.tell_recorded(true).await;
        Ok(self.held(session.name(), link, person))
    }

    /// Joins the recording that runs.
    fn join(&self, session: &str, person: &Person) -> bool {
        let mut running = self.lock();
        let Some(recording) = running.get_mut(session).filter(|recording| !*recording.failed.borrow()) else {
            return false;
        };
        let told = recording.commands.try_send(Command::Person(person.clone())).is_ok();
        recording.present += usize::from(told);
        if told {
            self.label(&recording.name, |label| {
                label.meet(person);
            });
        }
        told
    }

    fn held(self: &Arc<Self>, session: &str, link: &Link, person: Person) -> Option<Hold> {
        let (name, mut failed) = {
            let running = self.lock();
            let recording = running.get(session)?;
            (recording.name.clone(), recording.failed.clone())
        };
        // Whose recording fails may not go on unrecorded.
        let watching = (self.config.when_full == WhenFull::Refuse).then(|| {
            let link = link.clone();
            tokio::spawn(async move {
                if failed.wait_for(|failed| *failed).await.is_ok() {
                    link.close(CloseCode::LIMIT, "what is done here must be recorded, and no longer can be");
                }
            })
        });
        Some(Hold { recordings: self.clone(), session: session.to_owned(), name, person, watching })
    }

    /// Begins a recording on a thread of its own.
    fn begin(
        self: &Arc<Self>,
        session: &Session,
        person: &Person,
        about: &impl Fn(Event) -> Record,
    ) -> Result<(), String> {
        self.shelf.room().map_err(|full| full.to_string())?;
        let (began_at, began_us) = (clock::unix_ms(), clock::now_us());
        let (name, title) = (session.name().to_owned(), session.title().to_owned());
        let mut label = Label { session: name.clone(), title: title.clone(), began_at, ..Label::default() };
        label.meet(person);
        let (recording, file) = self.shelf.begin(&label).map_err(|error| error.to_string())?;
        let header =
            Header { began_unix_ms: began_at as u64, session: name.clone(), title, software: software() };
        let tape = Tape::begin(file, &self.recipients, &header).map_err(|error| error.to_string())?;
        let (commands, commanded) = mpsc::channel(COMMANDS);
        let (fail, failed) = watch::channel(false);
        let _ = commands.try_send(Command::Person(person.clone()));
        let run = Run {
            recordings: self.clone(),
            session: session.weak(),
            session_name: name.clone(),
            name: recording.clone(),
            tape,
            began_us,
            fail,
            runtime: tokio::runtime::Handle::current(),
        };
        let thread = std::thread::Builder::new().name("recorder".into());
        thread.spawn(move || run.run(commanded)).map_err(|error| error.to_string())?;
        tracing::info!(session = name, recording, "recording");
        self.audit.record(about(Event::RecordingStarted { recording: recording.as_str().into() }));
        self.lock().insert(name, Running { name: recording, commands, present: 1, failed });
        Ok(())
    }

    fn label(&self, name: &str, change: impl FnOnce(&mut Label)) {
        let Some(kept) = self.shelf.find(name) else { return };
        let mut label = kept.label;
        change(&mut label);
        if let Err(error) = self.shelf.keep_label(name, &label) {
            tracing::warn!(recording = name, %error, "a recording's label could not be written");
        }
    }

    /// Whether a recording may end since nobody is left. It is then no longer among those that run.
    fn leave(&self, session: &str, name: &str) -> bool {
        let mut running = self.lock();
        match running.get(session) {
            Some(recording) if recording.name == name && recording.present > 0 => false,
            Some(recording) if recording.name == name => running.remove(session).is_some(),
            _ => true,
        }
    }

    /// Removes what is kept no longer, and records it; what was removed by `chevet recording prune`, too.
    pub async fn prune(self: Arc<Self>) {
        loop {
            let recordings = self.clone();
            let _ = tokio::task::spawn_blocking(move || recordings.prune_now()).await;
            tokio::time::sleep(PRUNE_EVERY).await;
        }
    }

    fn prune_now(&self) {
        for kept in self.shelf.overdue(clock::unix_ms()) {
            if self.lock().values().any(|running| running.name == kept.name) {
                continue;
            }
            if let Err(error) = self.shelf.remove(&kept.name, "kept long enough") {
                tracing::warn!(recording = kept.name, %error, "a recording could not be removed");
            }
        }
        for removed in self.shelf.removed() {
            let (recording, reason) = (removed.name.as_str().into(), removed.label.reason.as_str().into());
            let event = Event::RecordingRemoved { recording, reason };
            self.audit.record(Record::new(event).session(removed.label.session.as_str()));
            self.shelf.forget(&removed.name);
        }
    }

    /// Whether this access is to be recorded: the first of somebody to a recording, and again after a while.
    pub fn is_new_access(&self, sign_in: &str, name: &str) -> bool {
        let mut accesses = self.accesses.lock().unwrap_or_else(PoisonError::into_inner);
        accesses.retain(|_, at| at.elapsed() < SAME_ACCESS);
        let key = (sign_in.to_owned(), name.to_owned());
        let new = !accesses.contains_key(&key);
        if new && accesses.len() < MOST_ACCESSES {
            accesses.insert(key, Instant::now());
        }
        new
    }

    /// Has every recording ended, and waits for that.
    pub async fn stop(&self) {
        let all: Vec<_> = self.lock().values().map(|running| running.commands.clone()).collect();
        for commands in &all {
            let _ = commands.try_send(Command::End("the gateway is stopping"));
        }
        let ended = async {
            for commands in all {
                commands.closed().await;
            }
        };
        let _ = tokio::time::timeout(ENDING, ended).await;
    }
}

/// What a recorder's thread needs.
struct Run {
    recordings: Arc<Recordings>,
    session: WeakSession,
    session_name: String,
    name: String,
    tape: Tape,
    began_us: Micros,
    fail: watch::Sender<bool>,
    runtime: tokio::runtime::Handle,
}

impl Run {
    fn run(self, mut commands: mpsc::Receiver<Command>) {
        let Run { recordings, session, session_name, name, mut tape, began_us, fail, runtime } = self;
        let rhythm = Rhythm {
            lose_at_most: Duration::from_secs(recordings.config.lose_at_most_seconds.into()),
            pointer: recordings.config.input == RecordedInput::Pointer,
            ..Rhythm::default()
        };
        let shelf = recordings.shelf.clone();
        let ended = runtime.block_on(async {
            let alone = || recordings.leave(&session_name, &name);
            record(session.clone(), &shelf, &mut tape, rhythm, began_us, &mut commands, alone).await
        });
        let (failure, mut reason) = (ended.is_failure(), ended.to_string());
        recordings.lock().retain(|_, running| running.name != name);
        let written = tape.end();
        let failure = match written {
            Ok(()) => failure,
            Err(error) => {
                reason = format!("{reason}; ending it failed: {error}");
                true
            }
        };
        recordings
            .label(&name, |label| (label.ended_at, label.reason) = (Some(clock::unix_ms()), reason.clone()));
        let recording = name.as_str().into();
        let record = match failure {
            true => Record::new(Event::RecordingFailed { recording, reason: reason.as_str().into() }),
            false => Record::new(Event::RecordingEnded { recording }).outcome(Outcome::Success),
        };
        recordings.audit.record(record.session(session_name.as_str()));
        tracing::info!(session = session_name, recording = name, reason, "the recording has ended");
        if failure {
            let _ = fail.send(true);
        }
        runtime.block_on(tell_ended(&recordings, &session, &session_name, failure));
        // Who waits for its end waits until here.
        drop(commands);
    }
}

/// Tells who views that nothing is recorded any more, unless the session is recorded anew.
async fn tell_ended(recordings: &Recordings, session: &WeakSession, name: &str, failure: bool) {
    let Some(session) = session.upgrade() else { return };
    let _one = recordings.beginning.lock().await;
    if recordings.lock().contains_key(name) {
        return;
    }
    session.tell_recorded(false).await;
    if failure {
        session.say(Whom::All, STOPPED).await;
    }
}

/// Who is recorded, by what is known of them.
pub(super) fn person(claims: Option<&crate::identity::ticket::Claims>) -> Person {
    claims.map_or_else(Person::default, |claims| Person {
        came: true,
        name: claims.user.clone(),
        title: claims.title.clone(),
        seat: claims.seat.clone(),
    })
}
