//! The same sessions at several gateways: what others started is known here, and what ended there ends here. What no host of
//! this gateway runs is started at one whose hosts do.

use super::super::Shared;
use super::super::siblings::{Opening, Siblings};
use super::{OpenError, forget};
use crate::broker::{Application, Running};
use crate::clock;
use crate::identity::Person;

/// Other gateways that are asked for one wish.
const MOST_GATEWAYS: usize = 3;

/// Whether somebody who asked for an application now could be given it, here or at another gateway.
pub fn is_available(shared: &Shared, application: &str) -> bool {
    let elsewhere = |siblings: &Siblings| !siblings.that_offer(application).is_empty();
    shared.hosts.can_start(application) || shared.siblings.as_deref().is_some_and(elsewhere)
}

/// Has another gateway start what cannot be started here.
pub(super) async fn open_elsewhere(
    shared: &Shared,
    siblings: &Siblings,
    person: &Person,
    application: &Application,
    why_not_here: OpenError,
) -> Result<String, OpenError> {
    let (mut why, title) = (why_not_here, || application.title.english().to_owned());
    for gateway in siblings.that_offer(&application.name).into_iter().take(MOST_GATEWAYS) {
        match siblings.have_opened(&gateway, person, &application.name).await {
            Opening::Opened(session) => {
                tracing::info!(session, "another gateway has the session started");
                learn(shared).await;
                return Ok(session);
            }
            Opening::NoHost => {}
            Opening::Full => why = OpenError::Full(title()),
            Opening::Failed(reason) => return Err(OpenError::Failed { application: title(), reason }),
        }
    }
    Err(why)
}

/// Learns from the database which sessions run and which have ended.
pub async fn learn(shared: &Shared) {
    let Some(siblings) = &shared.siblings else { return };
    let overdue: Vec<(String, String)> = shared.hosts.untold().drain().collect();
    for (session, words) in overdue {
        if siblings.finish(&session, &words, false).await.is_err() {
            shared.hosts.untold().insert(session, words);
        }
    }
    let Ok(rows) = siblings.started().await else { return };
    let applications = shared.hosts.applications();
    for row in rows {
        let known = applications.running(&row.session).is_some();
        let here = applications.named(&row.application).is_some_and(|application| !application.is_remote());
        match row.state {
            1 if !known && here && !shared.hosts.untold().contains_key(&row.session) => {
                // Before the host brings it here.
                applications.add(Running {
                    session: row.session,
                    application: row.application,
                    user: row.user_id,
                    title: row.title,
                    host: row.host,
                    started_at: clock::unix_ms(),
                    sign_in: String::new(),
                    unwatched_since: None,
                });
            }
            2 if known => {
                if let Some(running) = applications.finish(&row.session, &row.reason) {
                    forget(shared, &running, &row.reason, None, false).await;
                }
            }
            _ => {}
        }
    }
}
