//! By what right a viewer is attached.

use super::{FirstScreen, Taps, Witness};
use crate::policy::Allowed;
use crate::wire::InputEvent;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::sync::Notify;

/// Characters that an input method brings at one go, at the most.
const MOST_TYPED: usize = 64;

/// What a viewer was granted.
#[derive(Clone, Debug)]
pub struct Grant {
    /// A higher one takes the session over. 0: the viewer shares the session with all others of 0.
    pub number: i64,
    /// Whether what it sends reaches the session.
    pub controls: bool,
    /// The admission by which it watches. 0: none.
    pub admission: u64,
    /// Who it is; empty where nobody signs in.
    pub user: Arc<str>,
    /// Their name, and where they are, for people who lose the session to it.
    pub title: Arc<str>,
    pub seat: Arc<str>,
    /// What its policies allow.
    pub allowed: Allowed,
    /// The sign-in that it comes from. Empty: none.
    pub sign_in: Arc<str>,
    /// When it last sent input, in milliseconds since 1970.
    pub used_at: Arc<AtomicI64>,
    /// Told when this viewer, a gateway, asks to be left for another one.
    pub moved: Arc<Notify>,
    /// When it first showed a whole screen.
    pub first_screen: Arc<FirstScreen>,
    /// It is told where others move the pointer.
    pub sees_pointer: bool,
    /// Where the times from a tap to its screen go.
    pub taps: Option<Arc<Taps>>,
    /// Who writes down what its user does with those who watch.
    pub witness: Option<Witness>,
}

impl Grant {
    /// Of whoever knows a shared secret.
    pub fn shared() -> Self {
        Grant {
            number: 0,
            controls: true,
            admission: 0,
            user: "".into(),
            title: "".into(),
            seat: "".into(),
            allowed: Allowed::default(),
            sign_in: "".into(),
            used_at: Arc::default(),
            moved: Arc::default(),
            first_screen: Arc::default(),
            sees_pointer: false,
            taps: None,
            witness: None,
        }
    }

    /// Whether a viewer of `other` loses the session to one of this grant.
    pub fn takes_over(&self, other: &Grant) -> bool {
        self.controls && other.controls && self.number > other.number
    }

    /// Where the session is, for somebody who lost it.
    pub fn place(&self) -> String {
        match (&*self.seat, &*self.title) {
            ("", title) => title.to_owned(),
            (seat, "") => seat.to_owned(),
            (seat, title) => format!("{seat} ({title})"),
        }
    }

    /// What a mark over the picture says of whoever sees it.
    pub fn mark(&self) -> String {
        match (&*self.title, &*self.seat) {
            (title, "") => title.to_owned(),
            ("", seat) => seat.to_owned(),
            (title, seat) => format!("{title} · {seat}"),
        }
    }

    /// Whether the session takes the size that its viewer asks for.
    pub(super) fn may_resize(&self) -> bool {
        self.controls && self.allowed.resize
    }

    /// Whether an event is one that its policies let through. Text longer than what is typed at one go was pasted.
    pub(super) fn may_send(&self, event: &InputEvent) -> bool {
        match event {
            InputEvent::Text(text) => {
                self.allowed.clipboard.goes_in() || text.chars().nth(MOST_TYPED).is_none()
            }
            _ => true,
        }
    }

    pub(super) fn was_used(&self, unix_ms: i64) {
        self.used_at.store(unix_ms, Ordering::Relaxed);
    }
}

/// Who holds a session now.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct HeldBy {
    #[serde(serialize_with = "as_text")]
    pub title: Arc<str>,
    #[serde(serialize_with = "as_text")]
    pub seat: Arc<str>,
    #[serde(skip)]
    pub sign_in: Arc<str>,
    /// The number of the grant.
    #[serde(skip)]
    pub grant: i64,
    /// Whether the user may invite somebody to watch.
    #[serde(skip)]
    pub may_share: bool,
}

fn as_text<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}
