//! One viewer's life: connect, see the screen, do what the timetable says, count what comes back; again if the link
//! ends.

use super::echo::{Echo, GIVEN_UP_AFTER};
use super::machine::{Machine, Seen};
use super::tally::{Fault, Tally};
use super::timetable::{Act, Profile, Timetable};
use crate::clock;
use crate::link::{Closed, Dialler, Inbox, Incoming, Link, software};
use crate::source::SYNTHETIC_TITLE;
use crate::sync::{Micros, PING_AFTER, SILENT_AFTER};
use crate::wire::{self, Attach, CloseCode, Control, Role, features};
use std::iter::Peekable;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// After a link that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// Before the next gateway is asked.
const SHORT_PAUSE: Duration = Duration::from_millis(100);
/// Who is let in by none of several gateways within this time has failed to attach: some of them may be going just now.
const ATTACH_WITHIN: Micros = 10_000_000;
/// How long answers are waited for after the last event.
const LINGER: Micros = 2_000_000;

/// What all viewers of a run share. Times are of the monotonic clock.
pub struct Course {
    /// The gateways, in the order in which they are asked.
    pub diallers: Vec<Dialler>,
    /// How long a viewer stays before it leaves and comes anew.
    pub visit_us: Option<Micros>,
    pub ticket: Vec<u8>,
    /// Names of the sessions, over which the viewers are spread evenly.
    pub sessions: Vec<String>,
    pub viewers: usize,
    pub profile: Profile,
    pub seed: u64,
    /// What a viewer's cache holds; without it, viewers keep no screen and read headers only.
    pub cache_bytes: Option<u64>,
    pub begins_us: Micros,
    pub ramp_us: Micros,
    pub ends_us: Micros,
    pub tally: Mutex<Tally>,
}

impl Course {
    pub fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a link is not gone on with.
enum End {
    Done,
    /// The visit is over, and another one begins.
    Left,
    Fault(Fault, String),
    /// Going on would only do harm.
    Refused(String),
}

/// The life of viewer `number`, which begins at its place in the ramp.
pub async fn live(course: &Course, number: usize) {
    let begins = course.begins_us + course.ramp_us * number as u64 / course.viewers.max(1) as u64;
    sleep_until(instant_of(begins)).await;
    let mut agenda = Agenda {
        timetable: Timetable::new(course.profile, course.seed, number as u64).peekable(),
        begins,
        ends: course.ends_us,
    };
    let several = course.diallers.len() > 1;
    let mut at = number % course.diallers.len();
    let mut comes_at = clock::now_us();
    while clock::now_us() < course.ends_us {
        let dialled_at = clock::now_us();
        let mut attached = false;
        let end = match course.diallers[at].dial().await {
            Err(error) => End::Fault(Fault::Dial, error.to_string()),
            Ok((link, inbox)) => {
                let mut viewer = Viewer {
                    course,
                    machine: Machine::new(course.cache_bytes, dialled_at),
                    link,
                    echo: None,
                    seat: number / course.sessions.len(),
                    dialled_at,
                    has_screen: false,
                    counted: false,
                    leaves_at: Micros::MAX,
                };
                let end = viewer.stay(inbox, number, &mut agenda).await;
                attached = viewer.counted;
                viewer.leave();
                end
            }
        };
        if !attached && !matches!(end, End::Done | End::Left) {
            at = (at + 1) % course.diallers.len();
            if several && clock::now_us() - comes_at < ATTACH_WITHIN {
                sleep_until(Instant::now() + SHORT_PAUSE).await;
                continue;
            }
            course.tally().failed_attaches += 1;
            if several {
                let (End::Fault(_, words) | End::Refused(words)) = end else { continue };
                course.tally().fault(Fault::NotAttached, || words);
                comes_at = clock::now_us();
                continue;
            }
        }
        match end {
            End::Done => return,
            End::Left => {}
            End::Fault(fault, words) => course.tally().fault(fault, || words),
            End::Refused(words) => {
                course.tally().fault(Fault::Closed, || words);
                break;
            }
        }
        sleep_until((Instant::now() + PAUSE).min(instant_of(course.ends_us))).await;
        comes_at = clock::now_us();
    }
    // What the timetable held and nobody could send.
    while let Some((at, _)) = agenda.due(course.ends_us) {
        course.tally().unanswered(at, course.ends_us);
    }
}

fn instant_of(time: Micros) -> Instant {
    Instant::now() + Duration::from_micros(time.saturating_sub(clock::now_us()))
}

/// A timetable on the monotonic clock.
struct Agenda {
    timetable: Peekable<Timetable>,
    begins: Micros,
    ends: Micros,
}

impl Agenda {
    /// When the next act is scheduled, if that is within the run.
    fn next_at(&mut self) -> Option<Micros> {
        let at = self.begins + self.timetable.peek()?.0.as_micros() as u64;
        (at < self.ends).then_some(at)
    }

    fn due(&mut self, now: Micros) -> Option<(Micros, Act)> {
        let at = self.next_at().filter(|at| *at <= now)?;
        Some((at, self.timetable.next()?.1))
    }
}

struct Viewer<'a> {
    course: &'a Course,
    machine: Machine,
    link: Link,
    echo: Option<Echo>,
    seat: usize,
    dialled_at: Micros,
    has_screen: bool,
    counted: bool,
    leaves_at: Micros,
}

impl Viewer<'_> {
    /// Until the run is over or the link fails.
    async fn stay(&mut self, mut inbox: Inbox, number: usize, agenda: &mut Agenda) -> End {
        self.link.control(&Control::Hello {
            major: wire::MAJOR,
            minor: wire::MINOR,
            role: Role::Viewer,
            software: software(),
        });
        let wish = Attach {
            session: self.course.sessions[number % self.course.sessions.len()].clone(),
            ticket: self.course.ticket.clone(),
            width: 0,
            height: 0,
            cache_bytes: self.course.cache_bytes.unwrap_or(0),
            features: features::PARTS | features::FAR | features::SHORT,
            token: None,
            screen: None,
        };
        let attach = self.machine.attach(wish, clock::now_us());
        self.link.control(&attach);
        self.flush();
        let timer = sleep_until(Instant::now());
        tokio::pin!(timer);
        let mut look_at = 0;
        loop {
            let next_act = if self.has_screen { agenda.next_at() } else { None };
            let wake = instant_of(look_at.min(next_act.unwrap_or(Micros::MAX)));
            // Setting a timer costs more than looking whether it must be.
            if timer.deadline() > wake || timer.is_elapsed() {
                timer.as_mut().reset(wake);
            }
            tokio::select! {
                biased;
                message = inbox.next() => {
                    let heard = match message {
                        Ok(message) => self.hear(message),
                        Err(closed) => Err(End::Fault(Fault::of(&closed), closed.to_string())),
                    };
                    if let Err(end) = heard {
                        return self.stop(end);
                    }
                }
                () = &mut timer => {}
            }
            let now = clock::now_us();
            self.act(agenda, now);
            // What is still to be answered is waited for, as at the end; from a session that has gone elsewhere nothing comes.
            let waits = self.echo.as_ref().is_some_and(|echo| echo.oldest().is_some());
            if now >= self.leaves_at && (!waits || now - self.leaves_at > LINGER) {
                return self.stop(End::Left);
            }
            if now >= look_at {
                if self.machine.is_silent(now) {
                    return self.stop(End::Fault(Fault::Silent, "nothing was heard for 2 s".into()));
                }
                self.machine.tick(now);
                self.give_up(now);
                // Late enough for a Ping, early enough to notice silence; but for the end, nothing else waits.
                look_at = now + PING_AFTER.min(SILENT_AFTER / 2);
                if now >= self.course.ends_us {
                    let waiting = self.echo.as_ref().is_some_and(|echo| echo.oldest().is_some());
                    if !waiting || now >= self.course.ends_us + LINGER {
                        return self.stop(End::Done);
                    }
                    look_at = now + 50_000;
                } else {
                    look_at = look_at.min(self.course.ends_us);
                }
            }
            self.flush();
        }
    }

    /// Whatever still waits has waited in vain.
    fn stop(&mut self, end: End) -> End {
        let now = clock::now_us();
        let waiting = self.echo.as_mut().map(Echo::forget).unwrap_or_default();
        let mut tally = self.course.tally();
        waiting.into_iter().for_each(|at| tally.unanswered(at, now.max(at)));
        (0..self.machine.mismatches()).for_each(|_| tally.fault(Fault::Mismatch, String::new));
        end
    }

    fn leave(&mut self) {
        if self.counted {
            self.course.tally().attached -= 1;
        }
        self.link.close(CloseCode::DONE, "");
    }

    fn hear(&mut self, message: Incoming) -> Result<(), End> {
        let unreadable = |error: crate::sync::ViewerError| End::Fault(Fault::Unreadable, error.to_string());
        match message {
            Incoming::Update(stream) => {
                let seen = self.machine.update(stream).map_err(unreadable)?;
                self.note(&seen);
            }
            Incoming::Control(control) => {
                let heard = self.machine.control(control, clock::now_us()).map_err(unreadable)?;
                if let Some((title, width, height)) = heard.attached {
                    self.enter(&title, width, height)?;
                }
                if let Some((code, reason)) = heard.closing {
                    let closed = Closed::by_peer(code, &reason);
                    return Err(match code {
                        CloseCode::REFUSED | CloseCode::NO_SESSION | CloseCode::VERSION => {
                            End::Refused(closed.to_string())
                        }
                        _ => End::Fault(Fault::Closed, closed.to_string()),
                    });
                }
                self.note(&heard.seen);
            }
            Incoming::Input(..) | Incoming::Motion(_) | Incoming::Sound(_) => {}
        }
        Ok(())
    }

    fn enter(&mut self, title: &str, width: u32, height: u32) -> Result<(), End> {
        if self.course.profile != Profile::Watch && !title.starts_with(SYNTHETIC_TITLE) {
            return Err(End::Refused(format!(
                "{title:?} is a real session, into which nothing is typed: load it with --profile watch, or \
                 take a session of `chevet load --serve`"
            )));
        }
        let seats = self.course.viewers.div_ceil(self.course.sessions.len());
        self.echo = Some(Echo::new(width, height, self.seat, seats));
        self.counted = true;
        self.leaves_at = self.course.visit_us.map_or(Micros::MAX, |visit| clock::now_us() + visit);
        let mut tally = self.course.tally();
        tally.attached += 1;
        tally.attaches += 1;
        Ok(())
    }

    fn note(&mut self, all: &[Seen]) {
        if all.is_empty() {
            return;
        }
        let now = clock::now_us();
        let mut tally = self.course.tally();
        for seen in all {
            tally.updated(seen.bytes, seen.captured_us, now);
            if seen.complete && !self.has_screen {
                self.has_screen = true;
                tally.first_screen.saturating_record(now - self.dialled_at);
            }
            if let Some(echo) = &mut self.echo {
                let touches = |tile| seen.tiles.binary_search(&tile).is_ok();
                echo.answered(touches).into_iter().for_each(|at| tally.answered(at, now));
            }
        }
    }

    /// Does what is due. What was due while there was no screen is done late, and counts from its time.
    fn act(&mut self, agenda: &mut Agenda, now: Micros) {
        let Some(echo) = self.echo.as_mut().filter(|_| self.has_screen) else { return };
        while let Some((at, act)) = agenda.due(now) {
            self.course.tally().sent();
            for event in echo.act(act, at) {
                if let Some(bytes) = self.machine.input(event) {
                    self.link.input(bytes);
                }
            }
        }
    }

    fn give_up(&mut self, now: Micros) {
        if let Some(echo) = &mut self.echo {
            for _ in 0..echo.give_up(now) {
                self.course.tally().unanswered(now.saturating_sub(GIVEN_UP_AFTER), now);
            }
        }
    }

    fn flush(&mut self) {
        while let Some(reply) = self.machine.reply() {
            self.link.control(&reply);
        }
    }
}
