//! A page on the seat's own workstation, as the agent sees it: by hand, so that it can also be another page.

use chevet::seat::{Agent, Seen};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// A running agent.
pub struct Running {
    pub tap: mpsc::Sender<Seen>,
    pub start: String,
    pub end: oneshot::Sender<()>,
    pub task: JoinHandle<()>,
    /// Where to begin again, whenever no page is there.
    pub again: mpsc::UnboundedReceiver<String>,
}

pub fn run(agent: Agent) -> Running {
    let beginning = agent.beginning();
    let start = beginning.url();
    let (tap, seen) = mpsc::channel(8);
    let (end, ended) = oneshot::channel::<()>();
    let (tell, again) = mpsc::unbounded_channel();
    let page_gone = move || drop(tell.send(beginning.url()));
    let task = tokio::spawn(agent.run(seen, async { drop(ended.await) }, page_gone));
    Running { tap, start, end, task, again }
}

/// One request, and the whole answer.
pub fn get(url: &str, host: Option<&str>) -> String {
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let host = host.unwrap_or(address);
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The port and secret that a browser is sent on with.
pub fn secret_of(start: &str) -> (u16, String) {
    let answer = get(start, None);
    let location =
        answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap_or_else(|| panic!("{answer}"));
    let (_, agent) = location.split_once("#agent=").unwrap();
    let (port, secret) = agent.trim().split_once('.').unwrap();
    (port.parse().unwrap(), secret.to_owned())
}

pub struct Page(WebSocketStream<TcpStream>);

impl Page {
    /// Opens the WebSocket as a page of this origin. `None` if it is refused.
    pub async fn dial(port: u16, origin: &str) -> Option<Page> {
        let mut request = format!("ws://127.0.0.1:{port}/page").into_client_request().unwrap();
        request.headers_mut().insert("Origin", origin.parse().unwrap());
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        tokio_tungstenite::client_async(request, stream).await.ok().map(|(socket, _)| Page(socket))
    }

    /// The page that the agent's own browser loads.
    pub async fn open(start: &str, origin: &str) -> Page {
        let (port, secret) = secret_of(start);
        let mut page = Page::dial(port, origin).await.expect("its own page is let in");
        page.say(json!({"secret": secret})).await;
        assert_eq!(page.heard().await["show"], "tap");
        page
    }

    pub async fn say(&mut self, what: Value) {
        self.0.send(Message::text(what.to_string())).await.unwrap();
    }

    /// What the agent says next. `Null`: it has closed.
    pub async fn heard(&mut self) -> Value {
        let next = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    _ => return Value::Null,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), next).await.expect("the agent says something")
    }

    /// What it says that is not that it is asking.
    pub async fn told(&mut self) -> Value {
        loop {
            let said = self.heard().await;
            if said["show"] != "busy" {
                return said;
            }
        }
    }
}
