//! Sessions that a gateway opens by itself: whichever takes the lease has them.

use super::super::{SessionConfig, Shared};
use super::{BEAT, Held, Siblings, Told, in_time};
use crate::audit::{Event, Record};
use crate::store::Lease;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::futures::Notified;
use tokio::time::sleep;

/// A session that could not be opened here is left to others for this long.
pub(in super::super) const OPENS_AGAIN: Duration = Duration::from_secs(10);

/// Opens a session of the configuration whenever no other gateway has it, for as long as this one runs.
pub(in super::super) async fn hold(shared: Arc<Shared>, siblings: Arc<Siblings>, config: SessionConfig) {
    let title = config.title.clone().unwrap_or_else(|| config.name.clone());
    loop {
        let news = siblings.news.notified();
        tokio::pin!(news);
        news.as_mut().enable();
        if siblings.knows_others() && !siblings.is_draining() && !siblings.has_now(&config.name) {
            let taken = siblings.store.take_free_session(&config.name, &title, &siblings.start_id);
            if let Ok(Some(fence)) = in_time(taken).await {
                tracing::info!(session = config.name, fence, "this gateway has the session");
                if !open(&shared, &siblings, &config, &title) {
                    let _ = in_time(siblings.store.leave_session(&config.name, &siblings.start_id)).await;
                    sleep(OPENS_AGAIN).await;
                    continue;
                }
                let _ = in_time(siblings.tell(&Told::Session(config.name.clone()))).await;
            }
        }
        tokio::select! {
            () = &mut news => {}
            () = sleep(BEAT) => {}
        }
    }
}

/// Whether it could be opened here.
fn open(shared: &Shared, siblings: &Siblings, config: &SessionConfig, title: &str) -> bool {
    match shared.registry.start_local(config) {
        Ok(()) => {
            siblings.held().insert(config.name.clone(), Held { title: title.to_owned(), told: true });
            shared.audit.record(Record::new(Event::SessionStarted).session(config.name.as_str()));
            siblings.news.notify_waiters();
            true
        }
        Err(error) => {
            tracing::error!(session = config.name, %error, "the session could not be opened");
            false
        }
    }
}

impl Siblings {
    /// The next news of sessions or hosts.
    pub fn news(&self) -> Notified<'_> {
        self.news.notified()
    }

    /// Whether this gateway may open what no other one has.
    pub fn may_open(&self) -> bool {
        self.knows_others() && !self.is_draining()
    }

    /// The sessions that gateways have. `None`: the database does not answer.
    pub async fn leases(&self) -> Option<Vec<Lease>> {
        in_time(self.store.leases()).await.ok()
    }

    pub fn is_own(&self, lease: &Lease) -> bool {
        lease.start_id == self.start_id
    }

    /// Takes a session that no other gateway has. Whether it could be had.
    pub async fn takes_free(&self, session: &str, title: &str) -> bool {
        match in_time(self.store.take_free_session(session, title, &self.start_id)).await {
            Ok(Some(fence)) => {
                tracing::info!(session, fence, "this gateway has the session");
                true
            }
            _ => false,
        }
    }

    /// What was taken is open here.
    pub async fn opened(&self, session: &str, title: &str) {
        self.held().insert(session.to_owned(), Held { title: title.to_owned(), told: true });
        self.news.notify_waiters();
        let _ = in_time(self.tell(&Told::Session(session.to_owned()))).await;
    }

    /// This gateway has a session no longer, which others may open.
    pub async fn leaves(&self, session: &str) {
        self.held().remove(session);
        let left = async {
            self.store.leave_session(session, &self.start_id).await?;
            self.tell(&Told::Session(session.to_owned())).await
        };
        let _ = in_time(left).await;
    }

    /// The hosts that administrators added have changed. Who is not told looks for it.
    pub async fn tell_remote_hosts(&self) {
        if let Err(error) = in_time(self.tell(&Told::RemoteHosts)).await {
            tracing::warn!(error, "other gateways could not be told that a remote host has changed");
        }
    }
}
