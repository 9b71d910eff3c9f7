//! Somebody who types into a terminal without a pause, and the terminal that writes down what comes.

use crate::server::{Program::Xvfb, Server};
use crate::stage::{SOON, settle};
use chevet::client::{Client, Event};
use chevet::sync::Exactness;
use chevet::wire::InputEvent;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A display with a terminal that shows what is typed, and writes it into a file.
pub struct Terminal {
    pub server: Server,
    program: Child,
    typed: PathBuf,
}

impl Terminal {
    pub fn open(folder: &Path) -> Terminal {
        let server = Server::start(Xvfb, 640, 480, 24);
        let typed = folder.join("typed");
        let script = format!("stty -icanon -echo; exec tee {}", typed.display());
        let program = Command::new("xterm")
            .args(["-display", &server.display, "-geometry", "100x30+0+0", "-e", "sh", "-c", &script])
            .spawn()
            .unwrap();
        settle("the terminal reads", || (!typed.exists()).then(|| "it has not begun".into()));
        Terminal { server, program, typed }
    }

    pub fn arrived(&self) -> String {
        std::fs::read_to_string(&self.typed).unwrap_or_default()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

#[derive(Default)]
pub struct Typist {
    pub typed: String,
    pub attached: usize,
    pub silences: usize,
    /// Letters that the client did not take.
    pub refused: usize,
    /// The longest time in which nothing was shown of what was typed.
    pub longest_pause: Duration,
    shown: Option<Instant>,
}

impl Typist {
    /// Types the next letter, if there is somebody to take it, and looks for 10 ms at what comes.
    pub async fn strike(&mut self, client: &mut Client) {
        let letter = char::from(b'a' + (self.typed.len() % 26) as u8);
        let key = 4 + u16::from(letter as u8 - b'a');
        if client.input(InputEvent::KeyDown { key, keysym: letter as u32 }) {
            self.typed.push(letter);
            client.input(InputEvent::KeyUp { key, keysym: letter as u32 });
        } else {
            self.refused += 1;
        }
        self.look(client, Duration::from_millis(10)).await;
    }

    pub async fn look(&mut self, client: &mut Client, time: Duration) {
        let pause = tokio::time::Instant::now() + time;
        while let Ok(event) = tokio::time::timeout_at(pause, client.next()).await {
            match event.unwrap() {
                Event::Attached { .. } => self.attached += 1,
                Event::Silent(_) => self.silences += 1,
                Event::Updated(_) => {
                    let now = Instant::now();
                    let before = self.shown.replace(now).unwrap_or(now);
                    self.longest_pause = self.longest_pause.max(now - before);
                }
                _ => {}
            }
        }
    }

    /// Types on for a while.
    pub async fn type_for(&mut self, client: &mut Client, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.strike(client).await;
        }
    }

    /// Types on until the client was attached anew and all that was typed since is on the screen; how long that took.
    pub async fn until_back(&mut self, client: &mut Client, since: Instant) -> Duration {
        let before = self.attached;
        while self.attached == before {
            assert!(since.elapsed() < SOON, "no gateway was found");
            self.strike(client).await;
        }
        while client.exactness() != Exactness::Exact {
            assert!(since.elapsed() < SOON, "the screen is not exact");
            self.look(client, Duration::from_millis(2)).await;
        }
        since.elapsed()
    }

    /// Waits until all has arrived, and nothing more.
    pub async fn all_arrived(&mut self, client: &mut Client, terminal: &Terminal) {
        let end = Instant::now() + SOON;
        while (terminal.arrived().len() < self.typed.len() || client.input_waiting() > 0)
            && Instant::now() < end
        {
            self.look(client, Duration::from_millis(20)).await;
        }
        self.look(client, Duration::from_millis(500)).await;
        assert_eq!(terminal.arrived(), self.typed);
    }
}

/// Drives a client until its screen is exact.
pub async fn until_exact(client: &mut Client) {
    let exact = async {
        while client.exactness() != Exactness::Exact {
            client.next().await.unwrap();
        }
    };
    tokio::time::timeout(SOON, exact).await.expect("the screen is exact in time");
}
