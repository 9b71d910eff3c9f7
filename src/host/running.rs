//! One session that was ordered: its keeper, its X display as a source, and its way to the gateway.

use super::account::account_of;
use super::config::HostConfig;
use super::gateway_at::GatewayAt;
use super::keeper::{Order, Word};
use super::offer::offer_to;
use super::{command, place};
use crate::broker::Limits;
use crate::screen::HashKey;
use crate::session::Session;
use crate::source::{Canvas, X11Source, XServer};
use crate::wire::{EndReason, RunningSession, Start};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

/// For the X server and the program to be there.
const START_PATIENCE: Duration = Duration::from_secs(20);
/// For everything of a session to end before its keeper is killed.
const END_PATIENCE: Duration = Duration::from_secs(15);

/// What the agent knows of a session.
pub struct Handle {
    pub announced: RunningSession,
    /// By which gateway, and on which link: only that one may be answered.
    pub ordered_on: (usize, u64),
    pub request: u64,
    pub up: bool,
    pub idle: Option<Duration>,
    end: mpsc::Sender<EndReason>,
}

impl Handle {
    /// Asks for the session's end. [`Happened::Over`] follows.
    pub fn end(&self, reason: EndReason) {
        // One that ends already needs no second reason.
        let _ = self.end.try_send(reason);
    }
}

/// What happens to sessions.
pub enum Happened {
    Up {
        session: String,
    },
    NotStarted {
        session: String,
        error: String,
    },
    Ended {
        session: String,
        reason: EndReason,
        text: String,
    },
    /// Nothing of it is left.
    Over {
        session: String,
    },
}

/// Starts a session, and tells what happens to it.
pub fn start(
    order: Start,
    ordered_on: (usize, u64),
    config: Arc<HostConfig>,
    gateways: Vec<GatewayAt>,
    happened: mpsc::Sender<Happened>,
) -> Handle {
    let (end, ended) = mpsc::channel(1);
    let announced = RunningSession {
        session: order.session.clone(),
        application: order.application.clone(),
        user: order.user.clone(),
        token: order.token.clone(),
    };
    let idle = (order.idle_seconds > 0).then(|| Duration::from_secs(order.idle_seconds));
    let request = order.request;
    tokio::spawn(async move {
        let session = order.session.clone();
        if let Err(error) = run(order, &config, gateways, ended, &happened).await {
            tracing::warn!(session, error, "a session could not be started");
            let _ = happened.send(Happened::NotStarted { session: session.clone(), error }).await;
        }
        let _ = happened.send(Happened::Over { session }).await;
    });
    Handle { announced, ordered_on, request, up: false, idle, end }
}

struct Keeper {
    child: Child,
    input: Option<ChildStdin>,
    words: Lines<BufReader<ChildStdout>>,
}

impl Keeper {
    async fn start(order: &Order) -> Result<Keeper, String> {
        // The program that runs, even if its file has been replaced meanwhile.
        let mut command = Command::new("/proc/self/exe");
        command.arg("host-keeper").stdin(Stdio::piped()).stdout(Stdio::piped());
        // A Ctrl-C at the host's terminal is for the host.
        let spawned = command.process_group(0).spawn();
        let mut child = spawned.map_err(|error| format!("starting the session's keeper: {error}"))?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the session's keeper has no pipes".into());
        };
        let mut line = serde_json::to_vec(order).map_err(|error| error.to_string())?;
        line.push(b'\n');
        let told = input.write_all(&line).await;
        told.map_err(|error| format!("telling the session's keeper: {error}"))?;
        Ok(Keeper { child, input: Some(input), words: BufReader::new(output).lines() })
    }

    /// What it says next. `None`: it is gone.
    async fn next(&mut self) -> Option<Word> {
        let line = self.words.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }

    /// Has everything of the session ended, and waits for that.
    async fn end(mut self, runtime: PathBuf) {
        drop(self.input.take());
        let ended = tokio::time::timeout(END_PATIENCE, self.child.wait()).await;
        if ended.is_err() {
            tracing::error!("a session's keeper does not end, and is killed");
            let _ = self.child.kill().await;
        }
        if !matches!(ended, Ok(Ok(status)) if status.success()) {
            // A keeper that was killed cannot have swept up.
            let _ = tokio::task::spawn_blocking(move || place::sweep(&runtime)).await;
        }
    }
}

async fn run(
    order: Start,
    config: &Arc<HostConfig>,
    gateways: Vec<GatewayAt>,
    mut ended: mpsc::Receiver<EndReason>,
    happened: &mpsc::Sender<Happened>,
) -> Result<(), String> {
    let told = order_for(&order, config).await?;
    let mut keeper = Keeper::start(&told).await?;
    let up = tokio::select! {
        up = tokio::time::timeout(START_PATIENCE, keeper.next()) => up,
        _ = ended.recv() => Ok(Some(Word::Failed("it was not waited for".into()))),
    };
    let (shown_on, authority) = match up {
        Ok(Some(Word::Up { display, authority, server_ms, limits })) => {
            let user = &told.account.name;
            let (name, shown_on) = (&order.session, display);
            tracing::info!(session = name, user, shown_on, server_ms, limits, "a session is started");
            (shown_on, authority)
        }
        other => {
            keeper.end(config.runtime()).await;
            return Err(match other {
                Ok(Some(Word::Failed(error))) => error,
                Ok(_) => "the session's keeper ended before the session was up".into(),
                Err(_) => "the session was not up within 20 s".into(),
            });
        }
    };
    let session = match show(&order, shown_on, authority) {
        Ok(session) => session,
        Err(error) => {
            keeper.end(config.runtime()).await;
            return Err(error);
        }
    };
    let _ = happened.send(Happened::Up { session: order.session.clone() }).await;
    let offered = session.clone();
    let token = order.token.0.clone();
    // Refused for good: what becomes of the session then is said on the host's own link.
    let offering = tokio::spawn(async move { offer_to(&offered, &gateways, &token).await });
    let (reason, text) = tokio::select! {
        word = keeper.next() => match word {
            Some(Word::ProgramEnded(how)) => (EndReason::Program, how),
            Some(Word::ServerDied(words)) => (EndReason::XServer, words),
            _ => (EndReason::XServer, "the session's keeper died".into()),
        },
        reason = ended.recv() => (reason.unwrap_or(EndReason::Maintenance), String::new()),
    };
    tracing::info!(session = order.session, reason = reason.name(), text, "a session ends");
    let name = order.session.clone();
    let _ = happened.send(Happened::Ended { session: name, reason, text }).await;
    offering.abort();
    drop(session);
    keeper.end(config.runtime()).await;
    Ok(())
}

/// Who the user is here and what is run, looked up before anything is started.
async fn order_for(order: &Start, config: &Arc<HostConfig>) -> Result<Order, String> {
    let (user, asked) = (order.user_name.clone(), config.clone());
    let found = tokio::task::spawn_blocking(move || account_of(&user, &asked)).await;
    let account = found.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    let x_server = command::x_server(config.x_server.as_deref())?.to_owned();
    let command = if order.command.is_empty() { config.desktop.clone() } else { order.command.clone() };
    let program = command.first().cloned().unwrap_or_default();
    if command::find(&program).is_none() {
        return Err(format!(
            "the program {program:?} of {} is not installed on this host",
            order.application
        ));
    }
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    if order.session.starts_with('.') || !order.session.chars().all(plain) {
        return Err(format!("{:?} is not a session's name", order.session));
    }
    Ok(Order {
        folder: config.runtime().join(&order.session),
        account,
        x_server,
        width: order.width.clamp(64, 16_384),
        height: order.height.clamp(64, 16_384),
        command,
        environment: order.environment.clone(),
        limits: Limits { memory_mib: order.memory_mib, cpu_percent: order.cpu_percent, tasks: order.tasks },
    })
}

/// The session's display as chevet sees it.
fn show(order: &Start, display: String, authority: PathBuf) -> Result<Session, String> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| format!("the system gives no random numbers: {error}"))?;
    let failed = |error: &dyn std::fmt::Display| format!("showing display {display}: {error}");
    let canvas = Canvas::new(order.width, order.height).map_err(|error| failed(&error))?;
    let canvas = Arc::new(canvas);
    let (events, to_session) = mpsc::channel(64);
    let server = XServer { display: display.clone(), authority: Some(authority) };
    let source = X11Source::start(&server, canvas.clone(), events).map_err(|error| failed(&error))?;
    let key = HashKey(u64::from_le_bytes(random));
    let (name, title) = (&order.session, &order.title);
    let session = Session::start(name, title, key, order.policy, canvas, Arc::new(source), to_session);
    session.map_err(|error| failed(&error))
}
