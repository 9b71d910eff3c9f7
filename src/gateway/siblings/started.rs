//! Sessions that hosts start on demand, at several gateways: which of them starts one or ends it, the database decides.

use super::{Siblings, Told, in_time};
use crate::store::StartedSession;

impl Siblings {
    /// Takes the right to start a session. `None`: another one is there, or on its way; it is told with what it is.
    pub async fn claim_start(&self, row: &StartedSession) -> Result<Option<StartedSession>, String> {
        if in_time(self.store.claim_start(row, &self.start_id)).await? {
            return Ok(None);
        }
        let other = self.store.started_in(&row.user_id, &row.application, &row.slot);
        // It may have ended between the two questions: then it is asked again as one that is on its way.
        Ok(Some(in_time(other).await?.unwrap_or_else(|| StartedSession { state: 0, ..row.clone() })))
    }

    pub async fn order_start(&self, before: &str, session: &str, host: &str) -> Result<(), String> {
        still_ours(in_time(self.store.order_start(before, session, host, &self.start_id)).await)
    }

    /// A session runs, of which all are told.
    pub async fn start_done(&self, session: &str) -> Result<(), String> {
        still_ours(in_time(self.store.start_done(session, &self.start_id)).await)?;
        let _ = in_time(self.tell(&Told::Started)).await;
        Ok(())
    }

    pub async fn start_failed(&self, session: &str) {
        let _ = in_time(self.store.start_failed(session, &self.start_id)).await;
    }

    /// Notes a session of which the database may not know.
    pub async fn note_started(&self, row: &StartedSession) {
        let _ = in_time(self.store.claim_start(row, &self.start_id)).await;
    }

    /// Ends a session for all gateways: whether it was this call that did. `by_policy`: not if another gateway has it.
    pub async fn finish(&self, session: &str, words: &str, by_policy: bool) -> Result<bool, String> {
        let unless = by_policy.then_some(self.start_id.as_str());
        let finished = in_time(self.store.finish_started(session, words, unless)).await?;
        if finished {
            let _ = in_time(self.tell(&Told::Started)).await;
        }
        Ok(finished)
    }

    /// A session has ended, and nobody will ask for it again.
    pub async fn forgets(&self, session: &str) {
        self.held().remove(session);
        let _ = in_time(self.store.forget_lease(session, &self.start_id)).await;
    }

    pub async fn started(&self) -> Result<Vec<StartedSession>, String> {
        in_time(self.store.started_sessions()).await
    }

    /// Whether the database says that a session has ended.
    pub async fn has_ended(&self, session: &str) -> bool {
        let row = in_time(self.store.started_session(session)).await;
        row.is_ok_and(|row| row.is_some_and(|row| row.state == 2))
    }
}

fn still_ours(answer: Result<bool, String>) -> Result<(), String> {
    match answer {
        Ok(true) => Ok(()),
        Ok(false) => Err("another gateway has started it meanwhile".into()),
        Err(error) => {
            Err(format!("the gateways' database does not answer ({error}), so nothing new is started"))
        }
    }
}
