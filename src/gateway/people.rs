//! The gateway's people: the store, who is signed in, and who may have which session. Only where the configuration says
//! that people sign in.

use super::cards::Cards;
use super::config::{Config, ConfigError};
use super::seats::Claims as SeatClaims;
use crate::broker::{Applications, Broker, Invitations, Lapsed};
use crate::clock;
use crate::identity::card::AuthoritiesError;
use crate::identity::oidc::{Provider, ProviderError};
use crate::identity::ticket::{Claims, TicketError};
use crate::identity::{Attempts, BadgePolicy, Identity, Keys, Lifetimes, Person};
use crate::link::Link;
use crate::session::Grant;
use crate::store::{Store, StoreError};
use crate::wire::{CloseCode, Control, Secret};
use aws_lc_rs::hmac;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// How often those who are attached are given their next ticket, and it is looked whether they may stay.
const RENEW_EVERY: Duration = Duration::from_secs(20);
const FORGET_EVERY: Duration = Duration::from_secs(3_600);

pub(crate) struct People {
    broker: Broker,
    keys: Arc<Keys>,
    providers: Vec<Provider>,
    cards: Option<Cards>,
    beginnings: Attempts,
    claims: SeatClaims,
    letting_in: tokio::sync::Mutex<()>,
    invitations: Mutex<Invitations>,
    codes: Attempts,
    /// When who signed in last did something, for as long as something of theirs is attached.
    uses: Mutex<HashMap<String, Weak<AtomicI64>>>,
}

impl People {
    /// Opens the store, if people sign in here.
    pub async fn open(
        config: &Config,
        secret: &hmac::Key,
        applications: &Arc<Applications>,
    ) -> Result<Option<Arc<People>>, PeopleError> {
        let Some(sign_in) = &config.sign_in else { return Ok(None) };
        let url = config.store_url().ok_or(ConfigError::NoStore)?;
        let store = Store::open(&url).await?;
        let keys = Arc::new(Keys::new(secret));
        let minutes = |count: u32| i64::from(count) * 60_000;
        let lifetimes =
            Lifetimes { lasts_ms: minutes(sign_in.lasts_minutes), idle_ms: minutes(sign_in.idle_minutes) };
        let resume_ms = minutes(sign_in.resume_minutes);
        let (publish, applications) = (config.publish.clone(), applications.clone());
        let badges = BadgePolicy {
            grace_ms: minutes(config.seats.grace_minutes),
            grace_in: config.seats.grace_in,
            idle_ms: minutes(config.seats.idle_lock_minutes),
        };
        let identity = Arc::new(Identity::new(store, keys.clone(), lifetimes, badges));
        let shared = config.gateways.is_some();
        let broker =
            Broker::new(identity, keys.clone(), publish, applications, config.policies(), resume_ms, shared);
        let providers = config.oidc.iter().map(Provider::new).collect::<Result<_, _>>()?;
        let cards = config.cards.as_ref().map(Cards::new).transpose()?;
        let (beginnings, claims, letting_in) = Default::default();
        Ok(Some(Arc::new(People {
            broker,
            keys,
            providers,
            cards,
            beginnings,
            claims,
            letting_in,
            invitations: Mutex::default(),
            codes: Attempts::default(),
            uses: Mutex::default(),
        })))
    }

    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// The OpenID providers that people sign in with.
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    /// The smart cards that people sign in with.
    pub fn cards(&self) -> Option<&Cards> {
        self.cards.as_ref()
    }

    /// Sign-ins that are begun elsewhere cost memory, and a request to a provider or a look at a card.
    pub fn may_begin(&self, from: IpAddr) -> bool {
        self.beginnings.admit(from, clock::unix_ms())
    }

    /// Sign-ins at seats that wait for their page.
    pub fn claims(&self) -> &SeatClaims {
        &self.claims
    }

    /// Held while somebody is let in at a seat: of two taps at the same time one is the later, and ends what the other began.
    pub async fn one_at_a_time(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.letting_in.lock().await
    }

    pub fn invitations(&self) -> MutexGuard<'_, Invitations> {
        self.invitations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Codes of invitations are not tried without end.
    pub fn may_try_code(&self, from: IpAddr) -> bool {
        self.codes.admit(from, clock::unix_ms())
    }

    /// All viewers of a sign-in note in one place that it is used.
    fn uses_of(&self, sign_in: &str) -> Arc<AtomicI64> {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = uses.get(sign_in).and_then(Weak::upgrade) {
            return known;
        }
        uses.retain(|_, used| used.strong_count() > 0);
        let used = Arc::default();
        uses.insert(sign_in.to_owned(), Arc::downgrade(&used));
        used
    }

    /// When somebody who is attached last did something, here or by asking the gateway.
    pub async fn last_use(&self, claims: &Claims, grant: &Grant) -> i64 {
        let used = grant.used_at.load(Ordering::Relaxed);
        match self.identity().last_use(&claims.sign_in, clock::unix_ms()).await {
            Ok(seen) => used.max(seen.unwrap_or(0)),
            // A database that is away locks nobody out.
            Err(_) => used.max(clock::unix_ms() - 1),
        }
    }

    /// Ends a sign-in; what of it is attached is left to the caller.
    pub async fn end_sign_in(&self, sign_in: &str) {
        self.broker.sign_in_ended(sign_in, clock::unix_ms());
        if let Err(error) = self.identity().store().end_sign_in(sign_in).await {
            tracing::error!(%error, "a sign-in could not be ended");
        }
    }

    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    pub fn identity(&self) -> &Identity {
        self.broker.identity()
    }

    /// Who shows this secret. A store that does not answer knows nobody.
    pub async fn person(&self, secret: &str) -> Result<Option<Person>, StoreError> {
        self.identity().person(secret, clock::unix_ms()).await
    }

    /// What a link shows for a session, as a grant.
    pub fn admit(
        &self,
        shown: &[u8],
        session: &str,
        link: &Link,
        from: IpAddr,
    ) -> Result<(Claims, Grant), (CloseCode, String)> {
        let exporter = link.exporter();
        let claims = self.broker.redeem(shown, session, exporter.as_ref(), from, clock::unix_ms());
        let claims = claims.map_err(|error| match (&error, self.how_it_ended(session)) {
            // Whoever was let in a moment ago and lost the link with the session's end is told of that end.
            (TicketError::Used, Some(words)) => (CloseCode::ENDED, words),
            _ => (CloseCode::REFUSED, error.to_string()),
        })?;
        let grant = Grant {
            number: claims.grant,
            controls: claims.mode == crate::identity::ticket::Mode::Control,
            admission: claims.admission,
            user: claims.user.as_str().into(),
            title: claims.title.as_str().into(),
            seat: claims.seat.as_str().into(),
            allowed: claims.allowed,
            sign_in: claims.sign_in.as_str().into(),
            used_at: self.uses_of(&claims.sign_in),
            moved: Arc::default(),
            first_screen: Arc::default(),
            sees_pointer: false,
            taps: None,
            witness: None,
        };
        Ok((claims, grant))
    }

    /// How a session that was started for somebody ended, if it has not long ago.
    pub fn how_it_ended(&self, session: &str) -> Option<String> {
        self.broker.applications().how_it_ended(session)
    }

    /// Gives an attached viewer its next tickets for as long as it may stay, and ends its link when it may not.
    pub async fn accompany(&self, link: &Link, claims: &Claims, grant: &Grant) {
        let mut used_at = 0;
        loop {
            let used = grant.used_at.load(Ordering::Relaxed);
            if used > used_at {
                used_at = used;
                if let Err(error) = self.identity().was_used(&claims.sign_in, used).await {
                    tracing::warn!(%error, "the use of a sign-in could not be noted");
                }
            }
            match self.broker.renew(claims, clock::unix_ms()).await {
                Ok(ticket) => {
                    link.control(&Control::Ticket { ticket: Secret(ticket.into_bytes()) });
                }
                Err(lapsed) => {
                    // Nobody may have a session that has just ended, which is not why the viewer has to go.
                    let ended = self.how_it_ended(&claims.session).filter(|_| lapsed == Lapsed::Published);
                    return match ended {
                        Some(words) => link.close(CloseCode::ENDED, &words),
                        None => link.close(CloseCode::SIGNED_OUT, &lapsed.to_string()),
                    };
                }
            }
            tokio::select! {
                _ = link.ended() => return,
                () = tokio::time::sleep(RENEW_EVERY) => {}
            }
        }
    }

    /// Forgets what has ended, now and then.
    pub async fn tidy(&self) {
        loop {
            if let Err(error) = self.identity().store().forget_sign_ins(clock::unix_ms()).await {
                tracing::warn!(%error, "old sign-ins could not be forgotten");
            }
            tokio::time::sleep(FORGET_EVERY).await;
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Cards(#[from] AuthoritiesError),
    #[error(transparent)]
    Provider(#[from] ProviderError),
}
