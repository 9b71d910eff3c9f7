//! Applications that another gateway has a host for: which those are, and having it start one.

use super::orders::{Unanswered, Wish};
use super::{Shared, Siblings};
use crate::gateway::hosts::{self, OpenError};
use crate::identity::Person;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Several hosts are tried, one after the other.
const OPENS_WITHIN: Duration = Duration::from_secs(40);

/// What came of an application that another gateway was to start.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in super::super) enum Opening {
    /// This is the session.
    Opened(String),
    NoHost,
    Full,
    Failed(String),
}

impl Siblings {
    /// The gateways, by their starts, that can have an application started.
    pub fn that_offer(&self, application: &str) -> Vec<String> {
        let others = self.others.borrow();
        let able =
            others.iter().filter(|other| !other.draining && other.offers.iter().any(|it| it == application));
        able.map(|other| other.start_id.clone()).collect()
    }

    /// Has another gateway give somebody who is signed in here the session of an application.
    pub async fn have_opened(&self, start_id: &str, person: &Person, application: &str) -> Opening {
        let wish = Wish::Open { sign_in: person.sign_in.id.clone(), open: application.to_owned() };
        let reason = match self.ask(start_id, &wish, OPENS_WITHIN).await {
            Ok(opening) => return opening,
            Err(Unanswered::NoDatabase) => "the gateways' database does not answer",
            // Nothing was done there.
            Err(Unanswered::Silent { begun: false }) => return Opening::NoHost,
            Err(Unanswered::Silent { begun: true }) => "the gateway whose machines run it does not answer",
        };
        Opening::Failed(reason.to_owned())
    }
}

/// Another gateway has no host for what somebody asked it for, and this one may.
pub(super) async fn open(shared: &Arc<Shared>, person: Option<&Person>, application: &str) -> Opening {
    let Some(person) = person else { return Opening::Failed("the sign-in is over".into()) };
    match hosts::open_here(shared, person, application).await {
        Ok(session) => Opening::Opened(session),
        Err(OpenError::NoHost(_)) => Opening::NoHost,
        Err(OpenError::Full(_)) => Opening::Full,
        Err(OpenError::Failed { reason, .. }) => Opening::Failed(reason),
        Err(error) => Opening::Failed(error.to_string()),
    }
}
