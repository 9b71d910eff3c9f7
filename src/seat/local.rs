//! The page on the same workstation, over the loopback alone. The agent's browser comes by an address that is good once, and is sent on
//! to the gateway's page with a secret; that page, and no other, opens a WebSocket with it. What goes there is which screen to show,
//! and a code that takes a sign-in over at the gateway: never a sign-in's secret.

use crate::identity::new_secret;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use url::Url;

/// A page says nothing longer, in bytes.
const LONGEST: usize = 1_024;
/// What a page has not read yet. One that reads nothing is left.
const WAITING: usize = 32;
/// A new connection says its secret within this time.
const PATIENCE: Duration = Duration::from_secs(5);
/// A page that is gone without a word is noticed within this time.
const SILENCE: Duration = Duration::from_secs(10);
const PING: Duration = Duration::from_secs(3);

/// What the page is to show. Whatever it is but a session, nothing of a session stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "show", rename_all = "snake_case")]
pub enum ToPage {
    Tap { seat: String, mode: &'static str, problem: Option<&'static str> },
    Pin { problem: Option<&'static str> },
    Busy,
    Session { claim: String, session: Option<String>, title: String },
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case", deny_unknown_fields)]
pub enum FromPage {
    Pin {
        pin: String,
    },
    Cancel,
    Used,
    Lock,
    /// The gateway ended the sign-in.
    Over,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hello {
    secret: String,
}

/// What the agent hears of pages. Each has a number; the newest is the one that shows.
#[derive(Debug)]
pub enum OfPage {
    Came(u64),
    Said(u64, FromPage),
    Gone(u64),
}

/// The loopback listener.
pub struct Local {
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    origin: String,
    gateway: Url,
    port: u16,
    secret: String,
    start: Mutex<Option<String>>,
    page: Mutex<Page>,
    tell: mpsc::Sender<OfPage>,
}

#[derive(Default)]
struct Page {
    number: u64,
    to: Option<mpsc::Sender<ToPage>>,
}

impl Local {
    /// Listens on the loopback. Only the page of this gateway is spoken to.
    pub async fn open(gateway: &Url, tell: mpsc::Sender<OfPage>) -> std::io::Result<Local> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            origin: gateway.origin().ascii_serialization(),
            gateway: gateway.clone(),
            port,
            secret: new_secret(),
            start: Mutex::default(),
            page: Mutex::default(),
            tell,
        });
        let routes = Router::new()
            .route("/start/{code}", get(start))
            .route("/page", get(page))
            .with_state(shared.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::error!(%error, "the page on this workstation cannot be spoken to any more");
            }
        });
        Ok(Local { shared, _tasks: tasks })
    }

    /// For whoever starts browsers.
    pub fn beginning(&self) -> Beginning {
        Beginning(self.shared.clone())
    }

    /// Tells the page. One that does not read is left, which darkens it.
    pub fn show(&self, what: ToPage) {
        let mut page = self.shared.page();
        if let Some(to) = &page.to
            && to.try_send(what).is_err()
        {
            page.to = None;
        }
    }
}

/// Where browsers of this workstation begin.
#[derive(Clone)]
pub struct Beginning(Arc<Shared>);

impl Beginning {
    /// An address to open. Good once: another call makes another, and the earlier is of no use.
    pub fn url(&self) -> String {
        let code = new_secret();
        let url = format!("http://127.0.0.1:{}/start/{code}", self.0.port);
        *self.0.start.lock().unwrap_or_else(PoisonError::into_inner) = Some(code);
        url
    }

    /// Whether a page is there that shows what it is told.
    pub fn has_page(&self) -> bool {
        self.0.page().to.is_some()
    }
}

impl Shared {
    fn page(&self) -> std::sync::MutexGuard<'_, Page> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names that were bound to the loopback by others are not this listener's.
    fn is_own_host(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        host.is_some_and(|host| host == format!("127.0.0.1:{}", self.port))
    }
}

async fn start(
    State(shared): State<Arc<Shared>>,
    Path(code): Path<String>,
    headers: HeaderMap,
) -> Result<Response, StatusCode> {
    if !shared.is_own_host(&headers) {
        return Err(StatusCode::FORBIDDEN);
    }
    let mut kept = shared.start.lock().unwrap_or_else(PoisonError::into_inner);
    let right =
        kept.as_ref().is_some_and(|right| verify_slices_are_equal(right.as_bytes(), code.as_bytes()).is_ok());
    if !right {
        return Err(StatusCode::GONE);
    }
    *kept = None;
    let mut there = shared.gateway.clone();
    there.set_fragment(Some(&format!("agent={}.{}", shared.port, shared.secret)));
    let there = HeaderValue::from_str(there.as_str()).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let quiet = [
        (header::LOCATION, there),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer")),
    ];
    Ok((StatusCode::SEE_OTHER, quiet).into_response())
}

async fn page(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, StatusCode> {
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    if !shared.is_own_host(&headers) || origin != Some(shared.origin.as_str()) {
        return Err(StatusCode::FORBIDDEN);
    }
    let upgrade = upgrade.max_message_size(LONGEST).max_frame_size(LONGEST);
    Ok(upgrade.on_upgrade(async move |socket| speak(&shared, socket).await))
}

async fn speak(shared: &Shared, mut socket: WebSocket) {
    let hello = tokio::time::timeout(PATIENCE, socket.recv()).await;
    let Ok(Some(Ok(Message::Text(text)))) = hello else { return };
    let right = serde_json::from_str::<Hello>(&text).is_ok_and(|hello| {
        verify_slices_are_equal(hello.secret.as_bytes(), shared.secret.as_bytes()).is_ok()
    });
    if !right {
        return;
    }
    let (to, mut told) = mpsc::channel(WAITING);
    let number = {
        let mut page = shared.page();
        page.number += 1;
        // The page before is left, which darkens it.
        page.to = Some(to);
        page.number
    };
    if shared.tell.send(OfPage::Came(number)).await.is_err() {
        return;
    }
    let (mut ping, mut heard) = (tokio::time::interval(PING), tokio::time::Instant::now());
    loop {
        tokio::select! {
            what = told.recv() => {
                let Some(what) = what else { break };
                let Ok(text) = serde_json::to_string(&what) else { break };
                if socket.send(Message::text(text)).await.is_err() {
                    break;
                }
            }
            said = socket.recv() => {
                heard = tokio::time::Instant::now();
                match said {
                    Some(Ok(Message::Text(text))) => {
                        let Ok(said) = serde_json::from_str(&text) else { break };
                        if shared.tell.send(OfPage::Said(number, said)).await.is_err() {
                            break;
                        }
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    _ => break,
                }
            }
            _ = ping.tick() => {
                let silent = heard.elapsed() > SILENCE;
                if silent || socket.send(Message::Ping(Default::default())).await.is_err() {
                    break;
                }
            }
        }
    }
    {
        let mut page = shared.page();
        if page.number == number {
            page.to = None;
        }
    }
    let _ = shared.tell.send(OfPage::Gone(number)).await;
}
