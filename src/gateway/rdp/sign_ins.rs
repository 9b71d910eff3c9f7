//! How sessions on RDP hosts were let in last, and what their users typed to be let in.

use crate::source::rdp::Login;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// What the newest attempt to sign in came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Verdict {
    LetIn,
    /// The host lets nobody in with these credentials. They are not tried again.
    Refused(String),
    /// There are no credentials.
    Missing,
    /// The host was not asked, or did not say: it is away, not trusted or does not get along with this gateway.
    Unsettled,
}

#[derive(Default)]
struct SignIn {
    /// Which of the session's sources is the newest.
    source: u64,
    verdict: Option<Verdict>,
    /// For which host, and with what: in memory alone, for as long as the session lasts.
    typed: Option<(String, Login)>,
}

#[derive(Default)]
pub(in super::super) struct SignIns {
    sessions: Mutex<HashMap<String, SignIn>>,
    numbers: AtomicU64,
    news: Notify,
}

impl SignIns {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, SignIn>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session has a new source: what an older one still says of it counts no longer. Returns the source's number.
    pub(super) fn begin(&self, session: &str) -> u64 {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let mut sessions = self.lock();
        let sign_in = sessions.entry(session.to_owned()).or_default();
        (sign_in.source, sign_in.verdict) = (number, None);
        number
    }

    pub(super) fn tell(&self, session: &str, source: u64, verdict: Verdict) {
        if let Some(sign_in) = self.lock().get_mut(session).filter(|sign_in| sign_in.source == source) {
            sign_in.verdict = Some(verdict);
        }
        self.news.notify_waiters();
    }

    /// No credentials are known for a session's next sign-in.
    pub(in super::super) fn lacks(&self, session: &str) {
        if let Some(sign_in) = self.lock().get_mut(session) {
            sign_in.verdict = Some(Verdict::Missing);
        }
        self.news.notify_waiters();
    }

    pub(in super::super) fn verdict(&self, session: &str) -> Option<Verdict> {
        self.lock().get(session)?.verdict.clone()
    }

    /// The same once there is one; none if that takes too long or the session ends before.
    pub(in super::super) async fn next(&self, session: &str, patience: Duration) -> Option<Verdict> {
        self.next_that(session, patience, |_| true).await
    }

    /// Whether the host lets the session in by this, once it has said so.
    pub(in super::super) async fn lets_in(&self, session: &str, login: &Login, patience: Duration) -> bool {
        let settled = |verdict: &Verdict| *verdict != Verdict::Unsettled;
        let let_in = self.next_that(session, patience, settled).await == Some(Verdict::LetIn);
        let sessions = self.lock();
        let typed = sessions.get(session).and_then(|sign_in| sign_in.typed.as_ref());
        let_in && typed.is_some_and(|(_, typed)| typed == login)
    }

    async fn next_that(
        &self,
        session: &str,
        patience: Duration,
        wanted: impl Fn(&Verdict) -> bool,
    ) -> Option<Verdict> {
        let told = async {
            loop {
                let news = self.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                match self.lock().get(session).map(|sign_in| sign_in.verdict.clone()) {
                    None => return None,
                    Some(Some(verdict)) if wanted(&verdict) => return Some(verdict),
                    Some(_) => {}
                }
                news.await;
            }
        };
        tokio::time::timeout(patience, told).await.ok().flatten()
    }

    /// The user typed these for this host.
    pub(in super::super) fn give(&self, session: &str, host: &str, login: Login) {
        self.lock().entry(session.to_owned()).or_default().typed = Some((host.to_owned(), login));
    }

    /// What was typed for this session and this host: another one is not told it.
    pub(in super::super) fn typed(&self, session: &str, host: &str) -> Option<Login> {
        let sessions = self.lock();
        let (of, login) = sessions.get(session)?.typed.as_ref()?;
        (of == host).then(|| login.clone())
    }

    pub(super) fn was_typed(&self, session: &str) -> bool {
        self.lock().get(session).is_some_and(|sign_in| sign_in.typed.is_some())
    }

    /// The session is over: what was typed for it is overwritten.
    pub(in super::super) fn forget(&self, session: &str) {
        self.lock().remove(session);
        self.news.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    fn login() -> Login {
        let password = Zeroizing::new("Été 2026".into());
        Login { user: "aroy".into(), domain: String::new(), password }
    }

    #[test]
    fn what_was_typed_is_for_one_session_on_one_host_until_it_ends() {
        let sign_ins = SignIns::default();
        sign_ins.give("ts.1", "ts1", login());
        sign_ins.begin("ts.1");
        assert!(sign_ins.typed("ts.1", "ts1").is_some_and(|typed| typed == login()));
        assert!(sign_ins.typed("ts.1", "ts2").is_none() && sign_ins.typed("ts.2", "ts1").is_none());
        sign_ins.forget("ts.1");
        assert!(sign_ins.typed("ts.1", "ts1").is_none() && !sign_ins.was_typed("ts.1"));
    }

    #[tokio::test]
    async fn an_older_source_says_nothing_of_the_newest_sign_in() {
        let sign_ins = SignIns::default();
        let old = sign_ins.begin("ts.1");
        let new = sign_ins.begin("ts.1");
        sign_ins.tell("ts.1", old, Verdict::Refused("late".into()));
        assert_eq!(sign_ins.verdict("ts.1"), None);
        let soon = Duration::from_millis(1);
        assert_eq!(sign_ins.next("ts.1", soon).await, None);
        sign_ins.tell("ts.1", new, Verdict::LetIn);
        assert_eq!(sign_ins.next("ts.1", Duration::from_secs(20)).await, Some(Verdict::LetIn));
        assert_eq!(sign_ins.next("ts.2", Duration::from_secs(20)).await, None, "there is no such session");
    }
}
