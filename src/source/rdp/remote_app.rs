//! An application that is shown alone (RemoteApp): when a host is asked for it, and how it is known that it came.

use super::failure::Failure;
use crate::rdp::rail::{Rail, refusal};
use crate::rdp::windows::Windows;
use ironrdp_svc::SvcMessage;
use std::time::{Duration, Instant};

/// A host that has not greeted by then waits to be asked, as xrdp does; and one that has shown no window of what runs there
/// already has none.
const GREETING: Duration = Duration::from_secs(3);
/// A host that was woken and has not greeted is slow; asked too early it would start the application once more.
const WAKING: Duration = Duration::from_secs(12);
/// A host that says nothing and shows nothing for so long after it was asked has no such application.
const START: Duration = Duration::from_secs(20);

/// An application whose last window was closed is over if it opens none within this: some show their first one, and load the next.
const NEXT_WINDOW: Duration = Duration::from_secs(10);

pub struct RemoteApp {
    pub windows: Windows,
    /// Since when it is waited: it was connected, then woken, then it greeted.
    begun: Instant,
    greeted: bool,
    asked: Option<Instant>,
    came: bool,
    closed: Option<Instant>,
    active: Option<u32>,
}

impl RemoteApp {
    pub fn new(now: Instant) -> RemoteApp {
        RemoteApp {
            windows: Windows::default(),
            begun: now,
            greeted: false,
            asked: None,
            came: false,
            closed: None,
            active: None,
        }
    }

    /// Whether the application has been seen to run.
    pub fn has_come(&self) -> bool {
        self.came
    }

    /// Whether it is waited for: to come, or to open another window.
    pub fn is_awaited(&self) -> bool {
        !self.came || self.windows.are_closed()
    }

    /// What the host is to be told now.
    ///
    /// # Errors
    /// When there will be no application, or it is over.
    pub fn due(&mut self, rail: &mut Rail, now: Instant) -> Result<Vec<SvcMessage>, Failure> {
        if let Some((code, raw)) = rail.result().filter(|_| !self.came) {
            if let Some(reason) = refusal(code) {
                return Err(Failure::NoRemoteApp(format!("{reason} ({code}, {raw:#x})")));
            }
            self.came = true;
        }
        self.came |= self.windows.any();
        if self.came {
            return self.look_for_end(now).map(|()| Vec::new());
        }
        if rail.is_asked() {
            let asked = *self.asked.get_or_insert(now);
            return match now.duration_since(asked) < START {
                true => Ok(Vec::new()),
                false => Err(Failure::NoRemoteApp("it did not start the application".into())),
            };
        }
        if rail.is_greeted() && !self.greeted {
            (self.greeted, self.begun) = (true, now);
        }
        let patience = if rail.is_woken() && !self.greeted { WAKING } else { GREETING };
        if now.duration_since(self.begun) < patience {
            return Ok(Vec::new());
        }
        if rail.resumes() && !rail.is_greeted() && !rail.is_woken() {
            self.begun = now;
            return Ok(rail.wake());
        }
        Ok(rail.ask())
    }

    fn look_for_end(&mut self, now: Instant) -> Result<(), Failure> {
        if !self.windows.are_closed() {
            self.closed = None;
            return Ok(());
        }
        match now.duration_since(*self.closed.get_or_insert(now)) < NEXT_WINDOW {
            true => Ok(()),
            false => Err(Failure::Closed),
        }
    }

    /// What the host is told before it is clicked at this pixel: which window that is, as it does not look by itself.
    pub fn press(&mut self, rail: &Rail, x: u32, y: u32) -> Vec<SvcMessage> {
        let Some(window) = self.windows.at(x, y).filter(|&window| self.active != Some(window)) else {
            return Vec::new();
        };
        self.active = Some(window);
        self.windows.raise(window);
        rail.activate(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rdp::rail::Launch;
    use ironrdp_pdu::window::{WindowOrder, WindowOrderBody, WindowSize, WindowState, WindowingOrder};
    use ironrdp_svc::SvcProcessor as _;

    fn both(resumes: bool) -> (RemoteApp, Rail, Instant) {
        let now = Instant::now();
        let launch = Launch { program: "||x".into(), ..Launch::default() };
        (RemoteApp::new(now), Rail::new(launch, (800, 600), resumes), now)
    }

    fn after(seconds: u64, now: Instant) -> Instant {
        now + Duration::from_secs(seconds)
    }

    #[test]
    fn a_host_that_does_not_greet_is_asked_once_and_given_up_when_nothing_comes() {
        let (mut app, mut rail, now) = both(false);
        assert!(app.due(&mut rail, after(1, now)).unwrap().is_empty());
        assert_eq!(app.due(&mut rail, after(4, now)).unwrap().len(), 1);
        assert!(app.due(&mut rail, after(5, now)).unwrap().is_empty());
        assert!(matches!(app.due(&mut rail, after(26, now)), Err(Failure::NoRemoteApp(_))));
    }

    #[test]
    fn a_host_is_woken_for_what_runs_already_before_that_is_started_again() {
        let (mut app, mut rail, now) = both(true);
        assert_eq!(app.due(&mut rail, after(4, now)).unwrap().len(), 1);
        assert!(rail.is_woken() && !rail.is_asked());
        assert!(app.due(&mut rail, after(15, now)).unwrap().is_empty());
        assert_eq!(app.due(&mut rail, after(17, now)).unwrap().len(), 1);
        assert!(rail.is_asked());
    }

    #[test]
    fn a_host_that_greets_late_has_as_long_as_any_to_show_what_runs_already() {
        let (mut app, mut rail, now) = both(true);
        assert_eq!(app.due(&mut rail, after(4, now)).unwrap().len(), 1);
        rail.process(&[5, 0, 8, 0, 1, 0, 0, 0]).unwrap();
        assert!(app.due(&mut rail, after(14, now)).unwrap().is_empty());
        assert!(app.due(&mut rail, after(16, now)).unwrap().is_empty());
        assert!(!rail.is_asked());
        assert_eq!(app.due(&mut rail, after(18, now)).unwrap().len(), 1);
    }

    #[test]
    fn an_application_is_over_when_no_window_follows_its_last_one() {
        let (mut app, mut rail, now) = both(false);
        let window = |id, body| WindowingOrder::Window(WindowOrder { window_id: id, is_new: true, body });
        let size = Some(WindowSize { width: 5, height: 5 });
        let open = |id| {
            let state = WindowState { window_size: size, ..WindowState::default() };
            window(id, WindowOrderBody::State(Box::new(state)))
        };
        app.windows.apply(&[open(1)]);
        assert!(app.due(&mut rail, after(1, now)).is_ok() && app.has_come() && !app.is_awaited());
        app.windows.apply(&[window(1, WindowOrderBody::Deleted)]);
        assert!(app.due(&mut rail, after(100, now)).is_ok() && app.is_awaited());
        app.windows.apply(&[open(2)]);
        assert!(app.due(&mut rail, after(105, now)).is_ok() && !app.is_awaited());
        app.windows.apply(&[window(2, WindowOrderBody::Deleted)]);
        assert!(app.due(&mut rail, after(200, now)).is_ok());
        assert!(app.due(&mut rail, after(209, now)).is_ok());
        assert_eq!(app.due(&mut rail, after(211, now)).err(), Some(Failure::Closed));
    }

    #[test]
    fn a_refusal_is_told_and_an_application_without_windows_is_waited_for() {
        let (mut app, mut rail, now) = both(false);
        rail.process(&[5, 0, 8, 0, 0, 0, 0, 0]).unwrap();
        rail.process(&[0x80, 0, 16, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        assert!(app.due(&mut rail, after(1, now)).unwrap().is_empty());
        assert!(app.has_come());
        assert!(app.due(&mut rail, after(60, now)).unwrap().is_empty());
        let (mut app, mut rail, now) = both(false);
        rail.process(&[5, 0, 8, 0, 0, 0, 0, 0]).unwrap();
        rail.process(&[0x80, 0, 16, 0, 8, 0, 5, 0, 2, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        let told = app.due(&mut rail, after(1, now)).err();
        assert_eq!(told, Some(Failure::NoRemoteApp("it has no such program (5, 0x2)".into())));
    }
}
