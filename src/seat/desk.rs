//! What follows from a badge, a PIN, a pause: decisions alone, without sockets and clocks. Whatever happens, the screen is dark
//! before anything else is.

use crate::store::SeatMode;
use std::time::Duration;

/// A badge that lies on a reader is read again and again: within this time it is the same tap.
const SAME_TAP_US: u64 = 1_200_000;
/// A PIN that nobody types is not waited for longer. The gateway waits a minute.
const PIN_PATIENCE_US: u64 = 45_000_000;

/// What happens at a seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    Badge(String),
    Removed,
    PinTyped(String),
    /// Somebody gives up typing the PIN.
    Cancelled,
    /// A key or the pointer was used in the session.
    Used,
    /// Somebody locks the screen by its button.
    LockAsked,
    /// The gateway has ended the session's sign-in.
    Over,
    /// The page is no longer there to show or hide anything.
    PageGone,
    /// The gateway's answer to the question of this number.
    Told(u64, Answer),
    Tick,
}

/// What the gateway answers to a tap or a PIN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    PinNeeded { waiting: String },
    Open { claim: String, session: Option<String>, title: String, idle_lock: Duration },
    Refused(Problem),
}

/// What is said to whoever stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Badge or PIN, nobody says which.
    Refused,
    TooMany,
    /// The gateway does not answer.
    Away,
    /// There is no page that could show anything.
    NoPage,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing of a session is on the screen from now on: the tap is awaited.
    ShowTap(Option<Problem>),
    ShowPin(Option<Problem>),
    /// The gateway is being asked.
    ShowBusy,
    /// The page takes the sign-in over and shows the session.
    ShowSession {
        claim: String,
        session: Option<String>,
        title: String,
    },
    AskTap {
        number: u64,
        badge: String,
    },
    AskPin {
        number: u64,
        waiting: String,
        pin: String,
    },
    /// The gateway ends what badges opened here; told again until it hears.
    Lock(&'static str),
}

enum State {
    Locked,
    /// The gateway is asked about a badge.
    Asking {
        badge: String,
    },
    /// The PIN is typed, or being looked at.
    Pin {
        badge: String,
        waiting: String,
        since: u64,
        asked: bool,
    },
    Open {
        badge: String,
        used_at: u64,
        idle_us: u64,
    },
}

/// One seat's state.
pub struct Desk {
    mode: SeatMode,
    state: State,
    /// The last question's number: answers to earlier ones come too late.
    asked: u64,
    last_tap: Option<(String, u64)>,
    page: bool,
}

impl Desk {
    pub fn new(mode: SeatMode) -> Desk {
        Desk { mode, state: State::Locked, asked: 0, last_tap: None, page: false }
    }

    /// The page is there, from the beginning: it shows nothing yet.
    pub fn page_came(&mut self) -> Vec<Act> {
        let mut acts = self.lock("the page was loaded anew", None);
        self.page = true;
        acts.push(Act::ShowTap(None));
        acts
    }

    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// What follows from something that happens at this time, in microseconds.
    pub fn on(&mut self, happened: Happened, now: u64) -> Vec<Act> {
        match happened {
            Happened::Badge(badge) => self.on_badge(badge, now),
            Happened::Removed if self.mode == SeatMode::Card => {
                self.last_tap = None;
                self.lock("the card was taken away", None)
            }
            Happened::Removed => Vec::new(),
            Happened::PinTyped(pin) => self.on_pin(pin),
            Happened::Cancelled => match self.state {
                State::Pin { .. } => self.lock("the PIN was not typed", None),
                _ => Vec::new(),
            },
            Happened::Used => {
                if let State::Open { used_at, .. } = &mut self.state {
                    *used_at = now;
                }
                Vec::new()
            }
            Happened::LockAsked => self.lock("locked by its button", None),
            Happened::Over => self.lock("the session ended", None),
            Happened::PageGone => {
                self.page = false;
                self.lock("the page was closed", None)
            }
            Happened::Told(number, answer) => self.on_answer(number, answer, now),
            Happened::Tick => match &self.state {
                State::Open { used_at, idle_us, .. } if now.saturating_sub(*used_at) >= *idle_us => {
                    self.lock("nobody touched it", None)
                }
                State::Pin { since, .. } if now.saturating_sub(*since) >= PIN_PATIENCE_US => {
                    self.lock("the PIN was not typed", None)
                }
                _ => Vec::new(),
            },
        }
    }

    fn on_badge(&mut self, badge: String, now: u64) -> Vec<Act> {
        let again = matches!(&self.last_tap, Some((last, at)) if *last == badge && now.saturating_sub(*at) < SAME_TAP_US);
        self.last_tap = Some((badge.clone(), now));
        if again {
            return Vec::new();
        }
        let own = match &self.state {
            State::Locked => false,
            State::Asking { badge: own } | State::Pin { badge: own, .. } | State::Open { badge: own, .. } => {
                *own == badge
            }
        };
        match (&self.state, own) {
            // A card that lies there is seen anew when its reader wakes up.
            (State::Open { .. }, true) if self.mode == SeatMode::Card => return Vec::new(),
            (State::Open { .. }, true) => return self.lock("tapped out", None),
            (State::Asking { .. } | State::Pin { .. }, true) => return Vec::new(),
            _ => {}
        }
        let mut acts = self.lock("another badge was tapped", None);
        if !self.page {
            acts.push(Act::ShowTap(Some(Problem::NoPage)));
            return acts;
        }
        self.asked += 1;
        acts.push(Act::ShowBusy);
        acts.push(Act::AskTap { number: self.asked, badge: badge.clone() });
        self.state = State::Asking { badge };
        acts
    }

    fn on_pin(&mut self, pin: String) -> Vec<Act> {
        match &mut self.state {
            State::Pin { waiting, asked, .. } if !*asked => {
                *asked = true;
                self.asked += 1;
                vec![Act::ShowBusy, Act::AskPin { number: self.asked, waiting: waiting.clone(), pin }]
            }
            _ => Vec::new(),
        }
    }

    fn on_answer(&mut self, number: u64, answer: Answer, now: u64) -> Vec<Act> {
        if number != self.asked || matches!(self.state, State::Locked | State::Open { .. }) {
            let Answer::Open { .. } = answer else { return Vec::new() };
            // Whoever was let in has left meanwhile. The gateway ends all that badges opened here, so what is shown goes dark first.
            let late = "its badge had left";
            return if self.is_open() { self.lock(late, None) } else { vec![Act::Lock(late)] };
        }
        let badge = match std::mem::replace(&mut self.state, State::Locked) {
            State::Asking { badge } => badge,
            State::Pin { badge, waiting, since, asked } => {
                if let Answer::Refused(problem @ (Problem::Refused | Problem::Away)) = answer {
                    let _ = asked;
                    self.state = State::Pin { badge, waiting, since, asked: false };
                    return vec![Act::ShowPin(Some(problem))];
                }
                badge
            }
            other => {
                self.state = other;
                return Vec::new();
            }
        };
        match answer {
            Answer::PinNeeded { waiting } => {
                self.state = State::Pin { badge, waiting, since: now, asked: false };
                vec![Act::ShowPin(None)]
            }
            Answer::Open { claim, session, title, idle_lock } => {
                let idle_us = u64::try_from(idle_lock.as_micros()).unwrap_or(u64::MAX);
                self.state = State::Open { badge, used_at: now, idle_us };
                vec![Act::ShowSession { claim, session, title }]
            }
            Answer::Refused(problem) => vec![Act::ShowTap(Some(problem))],
        }
    }

    /// Dark first; then the gateway is told, if something may be open there.
    fn lock(&mut self, reason: &'static str, problem: Option<Problem>) -> Vec<Act> {
        let before = std::mem::replace(&mut self.state, State::Locked);
        // What is being asked comes too late.
        self.asked += 1;
        match before {
            State::Locked => Vec::new(),
            State::Open { .. } => vec![Act::ShowTap(problem), Act::Lock(reason)],
            State::Asking { .. } | State::Pin { .. } => vec![Act::ShowTap(problem)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000;

    fn desk(mode: SeatMode) -> Desk {
        let mut desk = Desk::new(mode);
        assert_eq!(desk.page_came(), [Act::ShowTap(None)]);
        desk
    }

    fn badge(text: &str) -> Happened {
        Happened::Badge(text.into())
    }

    fn open() -> Answer {
        let idle_lock = Duration::from_secs(600);
        Answer::Open { claim: "c".into(), session: None, title: "Anne".into(), idle_lock }
    }

    /// A desk at which this badge has a session open.
    fn opened(mode: SeatMode, by: &str, at: u64) -> Desk {
        let mut desk = desk(mode);
        desk.on(badge(by), at);
        let acts = desk.on(Happened::Told(desk.asked, open()), at);
        assert!(matches!(acts[..], [Act::ShowSession { .. }]), "{acts:?}");
        desk
    }

    #[test]
    fn a_tap_opens_after_the_pin_and_the_next_tap_locks_dark_first() {
        let mut desk = desk(SeatMode::Wedge);
        let acts = desk.on(badge("A"), 0);
        assert_eq!(acts[0], Act::ShowBusy);
        let Act::AskTap { number, .. } = acts[1] else { panic!("{acts:?}") };
        let needed = Answer::PinNeeded { waiting: "w".into() };
        assert_eq!(desk.on(Happened::Told(number, needed), 1), [Act::ShowPin(None)]);
        let acts = desk.on(Happened::PinTyped("4711".into()), 2);
        let Act::AskPin { number, .. } = acts[1] else { panic!("{acts:?}") };
        assert!(desk.on(Happened::PinTyped("4712".into()), 2).is_empty(), "one PIN at a time");
        let wrong = Answer::Refused(Problem::Refused);
        assert_eq!(desk.on(Happened::Told(number, wrong), 3), [Act::ShowPin(Some(Problem::Refused))]);
        let acts = desk.on(Happened::PinTyped("4711".into()), 4);
        let Act::AskPin { number, .. } = acts[1] else { panic!("{acts:?}") };
        assert!(matches!(desk.on(Happened::Told(number, open()), 5)[..], [Act::ShowSession { .. }]));
        assert!(desk.on(badge("A"), SECOND).is_empty(), "the badge still lies there");
        assert_eq!(desk.on(badge("A"), 9 * SECOND), [Act::ShowTap(None), Act::Lock("tapped out")]);
    }

    #[test]
    fn another_badge_darkens_the_screen_before_it_is_asked_about() {
        let mut desk = opened(SeatMode::Wedge, "A", 0);
        let acts = desk.on(badge("B"), 1);
        assert_eq!(acts[..3], [Act::ShowTap(None), Act::Lock("another badge was tapped"), Act::ShowBusy]);
        assert!(matches!(&acts[3], Act::AskTap { badge, .. } if badge == "B"));
    }

    #[test]
    fn a_card_that_is_taken_away_locks_also_while_the_gateway_is_being_asked() {
        let mut there = opened(SeatMode::Card, "A", 0);
        assert!(there.on(badge("A"), 5 * SECOND).is_empty(), "its reader woke up");
        assert_eq!(there.on(Happened::Removed, 6 * SECOND)[0], Act::ShowTap(None));
        let mut asking = desk(SeatMode::Card);
        asking.on(badge("A"), 0);
        let number = asking.asked;
        asking.on(Happened::Removed, 1);
        assert_eq!(asking.on(Happened::Told(number, open()), 2), [Act::Lock("its badge had left")]);
        // The same card at once again is a new one.
        assert!(matches!(asking.on(badge("A"), 3)[1], Act::AskTap { .. }));
        assert!(opened(SeatMode::Wedge, "A", 0).on(Happened::Removed, 1).is_empty(), "a tap is not a stay");
    }

    #[test]
    fn a_seat_that_nobody_touches_locks_and_one_in_use_does_not() {
        let mut desk = opened(SeatMode::Wedge, "A", 0);
        assert!(desk.on(Happened::Tick, 599 * SECOND).is_empty());
        desk.on(Happened::Used, 599 * SECOND);
        assert!(desk.on(Happened::Tick, 1_198 * SECOND).is_empty());
        let locked = desk.on(Happened::Tick, 1_199 * SECOND);
        assert_eq!(locked, [Act::ShowTap(None), Act::Lock("nobody touched it")]);
    }

    #[test]
    fn without_a_page_nothing_is_opened_and_one_that_goes_away_locks() {
        let mut none = Desk::new(SeatMode::Wedge);
        assert_eq!(none.on(badge("A"), 0), [Act::ShowTap(Some(Problem::NoPage))]);
        let mut gone = opened(SeatMode::Wedge, "A", 0);
        assert_eq!(gone.on(Happened::PageGone, 1), [Act::ShowTap(None), Act::Lock("the page was closed")]);
        let mut again = opened(SeatMode::Wedge, "A", 0);
        assert!(again.page_came().contains(&Act::Lock("the page was loaded anew")));
    }

    #[test]
    fn an_answer_for_who_left_darkens_what_the_next_badge_opened() {
        let mut desk = desk(SeatMode::Wedge);
        desk.on(badge("A"), 0);
        let late = desk.asked;
        desk.on(badge("B"), 1);
        let acts = desk.on(Happened::Told(desk.asked, open()), 2);
        assert!(matches!(acts[..], [Act::ShowSession { .. }]), "{acts:?}");
        let acts = desk.on(Happened::Told(late, open()), 3);
        assert_eq!(acts, [Act::ShowTap(None), Act::Lock("its badge had left")]);
        assert!(!desk.is_open());
    }

    fn anything() -> impl Strategy<Value = Happened> {
        prop_oneof![
            "[AB]".prop_map(Happened::Badge),
            Just(Happened::Removed),
            Just(Happened::PinTyped("1".into())),
            Just(Happened::Cancelled),
            Just(Happened::Used),
            Just(Happened::LockAsked),
            Just(Happened::Over),
            Just(Happened::PageGone),
            Just(Happened::Tick),
            (
                0u64..40,
                prop_oneof![
                    Just(open()),
                    Just(Answer::PinNeeded { waiting: "w".into() }),
                    Just(Answer::Refused(Problem::Refused)),
                ]
            )
                .prop_map(|(number, answer)| Happened::Told(number, answer)),
        ]
    }

    proptest! {
        /// Between two sessions the screen was dark, and what was opened is locked at the gateway or replaced there by the next tap.
        #[test]
        fn whatever_happens_no_session_follows_another_without_dark(
            all in prop::collection::vec((anything(), 0u64..3_000_000), 0..60),
            card in any::<bool>(),
        ) {
            let mut desk = desk(if card { SeatMode::Card } else { SeatMode::Wedge });
            let (mut now, mut shown) = (0, false);
            for (happened, later) in all {
                now += later;
                for act in desk.on(happened, now) {
                    match act {
                        Act::ShowSession { .. } => {
                            prop_assert!(!shown, "a session over another");
                            shown = true;
                        }
                        Act::ShowTap(_) | Act::ShowPin(_) | Act::ShowBusy => shown = false,
                        Act::Lock(_) => prop_assert!(!shown, "the gateway was told before the screen was dark"),
                        Act::AskTap { .. } | Act::AskPin { .. } => prop_assert!(!shown),
                    }
                }
                prop_assert_eq!(shown, desk.is_open());
            }
        }
    }
}
