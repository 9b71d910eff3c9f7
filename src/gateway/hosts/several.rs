//! The same sessions at several gateways: what others started is known here, and what ended there ends here.

use super::super::Shared;
use super::forget;
use crate::broker::Running;
use crate::clock;

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
