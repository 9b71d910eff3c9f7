//! The agent itself: readers, desk, gateway and page joined.

use super::Seen;
use super::desk::{Act, Answer, Desk, Happened, Problem};
use super::local::{Beginning, FromPage, Local, OfPage, ToPage};
use crate::client::seat::{How, Seat, SeatFailed, Tapped};
use crate::clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use url::Url;

const TICK: Duration = Duration::from_secs(1);
/// A gateway that has not heard of a lock is told again.
const LOCK_AGAIN: Duration = Duration::from_secs(2);
/// A nonce is kept at hand.
const READY_EVERY: Duration = Duration::from_secs(30);
/// An ending agent tells the gateway for so long.
const LAST_WORDS: Duration = Duration::from_secs(2);
const AT_ONCE: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("the seat's file names {0:?} as its gateway, which is no address; enrol again")]
    Gateway(String),
    #[error("listening on the loopback: {0}")]
    Listen(#[from] std::io::Error),
}

/// A seat's agent. It works as long as [`Agent::run`] is polled.
pub struct Agent {
    seat: Arc<Seat>,
    local: Local,
    pages: mpsc::Receiver<OfPage>,
    desk: Desk,
    /// The page that shows now.
    page: Option<u64>,
}

impl Agent {
    /// Listens for the page on this workstation.
    pub async fn start(seat: Seat) -> Result<Agent, AgentError> {
        let gateway = &seat.file().gateway;
        let gateway = Url::parse(gateway).map_err(|_| AgentError::Gateway(gateway.clone()))?;
        let (tell, pages) = mpsc::channel(AT_ONCE);
        let local = Local::open(&gateway, tell).await?;
        let desk = Desk::new(seat.file().mode);
        Ok(Agent { seat: Arc::new(seat), local, pages, desk, page: None })
    }

    /// Where the browser of this workstation begins.
    pub fn beginning(&self) -> Beginning {
        self.local.beginning()
    }

    /// Runs until `until` comes, or the readers are gone; then whatever is open is locked. `page_gone` is called
    /// whenever the page has gone.
    pub async fn run(
        mut self,
        mut seen: mpsc::Receiver<Seen>,
        until: impl Future<Output = ()>,
        mut page_gone: impl FnMut(),
    ) {
        let (ask, asked) = mpsc::channel(AT_ONCE);
        let (answer, mut answers) = mpsc::channel(AT_ONCE);
        let asking = tokio::spawn(speak(self.seat.clone(), asked, answer));
        let mut tick = tokio::time::interval(TICK);
        tokio::pin!(until);
        loop {
            let acts = tokio::select! {
                () = &mut until => break,
                seen = seen.recv() => match seen {
                    Some(Seen::Badge(badge)) => self.happened(Happened::Badge(badge)),
                    Some(Seen::Removed) => self.happened(Happened::Removed),
                    Some(Seen::Trouble(Some(trouble))) => {
                        tracing::error!("{trouble}");
                        Vec::new()
                    }
                    Some(Seen::Trouble(None)) => {
                        tracing::info!("the card readers are there again");
                        Vec::new()
                    }
                    None => break,
                },
                Some((number, answer)) = answers.recv() => self.happened(Happened::Told(number, answer)),
                Some(of_page) = self.pages.recv() => {
                    let was = self.page;
                    let acts = self.of_page(of_page);
                    if was.is_some() && self.page.is_none() {
                        page_gone();
                    }
                    acts
                }
                _ = tick.tick() => self.happened(Happened::Tick),
            };
            for act in acts {
                // Questions are few; should the gateway hang, locking waits in the same order.
                if let Some(job) = self.show(act)
                    && ask.send(job).await.is_err()
                {
                    return;
                }
            }
        }
        for act in self.happened(Happened::LockAsked) {
            if let Some(job) = self.show(act) {
                let _ = ask.send(job).await;
            }
        }
        drop(ask);
        let _ = tokio::time::timeout(LAST_WORDS, asking).await;
    }

    fn happened(&mut self, happened: Happened) -> Vec<Act> {
        self.desk.on(happened, clock::now_us())
    }

    fn of_page(&mut self, of_page: OfPage) -> Vec<Act> {
        match of_page {
            OfPage::Came(number) => {
                self.page = Some(number);
                self.desk.page_came()
            }
            OfPage::Gone(number) | OfPage::Said(number, _) if self.page != Some(number) => Vec::new(),
            OfPage::Gone(_) => {
                self.page = None;
                self.happened(Happened::PageGone)
            }
            OfPage::Said(_, said) => self.happened(match said {
                FromPage::Pin { pin } => Happened::PinTyped(pin),
                FromPage::Cancel => Happened::Cancelled,
                FromPage::Used => Happened::Used,
                FromPage::Lock => Happened::LockAsked,
                FromPage::Over => Happened::Over,
            }),
        }
    }

    /// Does what the page is to do, and returns what the gateway is to be asked.
    fn show(&self, act: Act) -> Option<Job> {
        let file = self.seat.file();
        self.local.show(match act {
            Act::ShowTap(problem) => {
                ToPage::Tap { seat: file.name.clone(), mode: file.mode.name(), problem: problem.map(word) }
            }
            Act::ShowPin(problem) => ToPage::Pin { problem: problem.map(word) },
            Act::ShowBusy => ToPage::Busy,
            Act::ShowSession { claim, session, title } => ToPage::Session { claim, session, title },
            Act::AskTap { number, badge } => return Some(Job::Tap { number, badge }),
            Act::AskPin { number, waiting, pin } => return Some(Job::Pin { number, waiting, pin }),
            Act::Lock(reason) => return Some(Job::Lock(reason)),
        });
        None
    }
}

fn word(problem: Problem) -> &'static str {
    match problem {
        Problem::Refused => "refused",
        Problem::TooMany => "too-many",
        Problem::Away => "away",
        Problem::NoPage => "no-page",
    }
}

enum Job {
    Tap { number: u64, badge: String },
    Pin { number: u64, waiting: String, pin: String },
    Lock(&'static str),
}

/// Asks the gateway, one question after the other: a lock that it has not heard of goes before every tap.
async fn speak(seat: Arc<Seat>, mut jobs: mpsc::Receiver<Job>, answers: mpsc::Sender<(u64, Answer)>) {
    // What an earlier agent left open here nobody has locked.
    let mut owed = Some("its agent was started");
    let mut again = tokio::time::interval(LOCK_AGAIN);
    let mut ready = tokio::time::interval(READY_EVERY);
    loop {
        tokio::select! {
            biased;
            job = jobs.recv() => {
                let (number, asked) = match job {
                    None => return pay(&seat, &mut owed).await,
                    Some(Job::Lock(reason)) => {
                        owed = Some(reason);
                        pay(&seat, &mut owed).await;
                        continue;
                    }
                    Some(Job::Tap { number, badge }) => {
                        pay(&seat, &mut owed).await;
                        (number, if owed.is_none() { Some(seat.tap(&badge).await) } else { None })
                    }
                    Some(Job::Pin { number, waiting, pin }) => (number, Some(seat.pin(&waiting, &pin).await)),
                };
                let answer = asked.map_or(Answer::Refused(Problem::Away), in_words);
                if answers.send((number, answer)).await.is_err() {
                    return;
                }
            }
            _ = again.tick(), if owed.is_some() => pay(&seat, &mut owed).await,
            _ = ready.tick() => {
                if let Err(error) = seat.ready().await {
                    tracing::debug!(%error, "no nonce could be had");
                }
            }
        }
    }
}

/// Tells the gateway of a lock that it has not heard of.
async fn pay(seat: &Seat, owed: &mut Option<&'static str>) {
    let Some(reason) = *owed else { return };
    match seat.lock(reason).await {
        Ok(()) => *owed = None,
        Err(error @ SeatFailed::Refused(_)) => {
            // A revoked seat: the gateway has ended everything here.
            tracing::error!(%error, "the gateway does not take this seat's word; is it revoked?");
            *owed = None;
        }
        Err(error) => {
            tracing::warn!(%error, "the gateway could not be told that the seat is locked; it will be")
        }
    }
}

fn in_words(asked: Result<Tapped, SeatFailed>) -> Answer {
    match asked {
        Ok(Tapped::Pin(waiting)) => Answer::PinNeeded { waiting },
        Ok(Tapped::Open(opened)) => match opened.how {
            How::Page { claim } => Answer::Open {
                claim,
                session: opened.session,
                title: opened.title,
                idle_lock: opened.idle_lock,
            },
            How::Here(_) => Answer::Refused(Problem::Refused),
        },
        Err(SeatFailed::Refused(_)) => Answer::Refused(Problem::Refused),
        Err(SeatFailed::TooMany) => Answer::Refused(Problem::TooMany),
        Err(error) => {
            tracing::warn!(%error, "a badge could not be asked about");
            Answer::Refused(Problem::Away)
        }
    }
}
