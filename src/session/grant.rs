//! By what right a viewer is attached.

use super::{FirstScreen, Taps};
use crate::policy::Allowed;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// What a viewer was granted.
#[derive(Clone, Debug)]
pub struct Grant {
    /// A higher one takes the session over. 0: the viewer shares the session with all others of 0.
    pub number: i64,
    /// Whether what it sends reaches the session.
    pub controls: bool,
    /// Who it is, and where, for people who lose the session to it.
    pub title: Arc<str>,
    pub seat: Arc<str>,
    /// What its policies allow.
    pub allowed: Allowed,
    /// The sign-in that it comes from. Empty: none.
    pub sign_in: Arc<str>,
    /// When it last sent input, in milliseconds since 1970.
    pub used_at: Arc<AtomicI64>,
    /// When it first showed a whole screen.
    pub first_screen: Arc<FirstScreen>,
    /// It is told where others move the pointer.
    pub sees_pointer: bool,
    /// Where the times from a tap to its screen go.
    pub taps: Option<Arc<Taps>>,
}

impl Grant {
    /// Of whoever knows a shared secret.
    pub fn shared() -> Self {
        Grant {
            number: 0,
            controls: true,
            title: "".into(),
            seat: "".into(),
            allowed: Allowed::default(),
            sign_in: "".into(),
            used_at: Arc::default(),
            first_screen: Arc::default(),
            sees_pointer: false,
            taps: None,
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

    pub(super) fn was_used(&self, unix_ms: i64) {
        self.used_at.store(unix_ms, Ordering::Relaxed);
    }
}

/// Who holds a session now.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct HeldBy {
    pub title: Arc<str>,
    pub seat: Arc<str>,
    #[serde(skip)]
    pub sign_in: Arc<str>,
    /// The number of the grant.
    #[serde(skip)]
    pub grant: i64,
}
