//! Other sites: their accounts are copied or asked for, their people sign in here, and sessions are opened where they are.
//! What is believed of whom is in `site`; here it is asked, kept and answered.

// A refusal is a whole answer, made once a request.
#![allow(clippy::result_large_err)]

mod call;
mod config;
mod pull;
mod serve;
mod visit;

pub use config::{Accounts, PeerConfig, SiteConfig};
pub(super) use pull::follow;
pub(super) use serve::router;
pub(super) use visit::{are_shown, open, sessions_elsewhere, sign_in_there, split_name};

use super::api::{people, refusal, unavailable};
use super::{Config, Shared};
use crate::audit::{Event, Record};
use crate::clock;
use crate::identity::{Attempts, Keys};
use crate::site::{Belief, Nearest, believe};
use crate::store::User;
use axum::http::StatusCode;
use axum::response::Response;
use call::{Call, Problem};
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, Semaphore};
use url::Url;

/// Questions of one site that are answered at the same time.
const AT_ONCE: usize = 4;
/// How people of another site who work here have signed in: this, and the site's name.
const VISIT: &str = "site ";
/// How those have signed in whose site was asked.
pub(super) const ASKED_HOME: &str = "password at home";

pub(super) struct Sites {
    name: String,
    believe_ms: i64,
    keys: Arc<Keys>,
    peers: Vec<Arc<Peer>>,
}

/// Another site.
struct Peer {
    config: PeerConfig,
    nearest: Mutex<Nearest<Url>>,
    busy: Semaphore,
    asks: Attempts<String>,
    /// It signs its people in itself, wherever they are.
    wants_to_be_asked: AtomicBool,
    /// A sign-in has ended that may have one there.
    ended: Notify,
}

impl Peer {
    fn nearest(&self) -> MutexGuard<'_, Nearest<Url>> {
        self.nearest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a user of this site may be known to that one.
    fn is_told_of(&self, user: &User) -> bool {
        self.config.accounts != Accounts::None && self.shares(&user.groups) && user.home.is_empty()
    }

    fn shares(&self, groups: &[String]) -> bool {
        groups.iter().any(|group| self.config.share_groups.contains(group))
    }

    /// Of the groups that one of its people has there, those that count here.
    fn accepted(&self, groups: &[String]) -> Vec<String> {
        groups.iter().filter(|group| self.config.accept_groups.contains(group)).cloned().collect()
    }

    fn method(&self) -> String {
        format!("{VISIT}{}", self.config.name)
    }
}

impl Sites {
    pub fn new(config: &Config, secret: &aws_lc_rs::hmac::Key) -> Option<Arc<Sites>> {
        let site = config.site.as_ref()?;
        let peer = |config: &PeerConfig| {
            Arc::new(Peer {
                config: config.clone(),
                nearest: Mutex::default(),
                busy: Semaphore::new(AT_ONCE),
                asks: Attempts::default(),
                wants_to_be_asked: AtomicBool::new(false),
                ended: Notify::new(),
            })
        };
        Some(Arc::new(Sites {
            name: site.name.clone(),
            believe_ms: i64::from(site.believe_copies_minutes) * 60_000,
            keys: Arc::new(Keys::new(secret)),
            peers: site.peers.iter().map(peer).collect(),
        }))
    }

    /// How many others there are.
    pub fn count(&self) -> usize {
        self.peers.len()
    }

    fn peer(&self, name: &str) -> Option<&Arc<Peer>> {
        self.peers.iter().find(|peer| peer.config.name == name)
    }

    /// Reaches the nearest of a site's gateways that answers.
    async fn call(&self, peer: &Peer) -> Result<Call, Problem> {
        let order = peer.nearest().order(&peer.config.gateways);
        let mut problem = Problem::Unreachable("it has no gateway".into());
        for gateway in order {
            match Call::open(self, peer, &gateway).await {
                Ok(call) => return Ok(call),
                Err(error) => {
                    peer.nearest().did_not_answer(&gateway);
                    problem = error;
                }
            }
        }
        Err(problem)
    }

    /// A sign-in has ended: those that it has at other sites end, too.
    pub fn sign_in_ended(&self) {
        self.peers.iter().for_each(|peer| peer.ended.notify_one());
    }
}

/// Whether somebody who has proven who they are may sign in here now, and what there is to say of it. A user of this site
/// always may; one of another site if what is known of them is new enough.
pub(super) async fn believed(
    shared: &Shared,
    user: &User,
    method: &str,
    from: IpAddr,
) -> Result<String, Response> {
    if user.home.is_empty() || method == ASKED_HOME || method.starts_with(VISIT) {
        return Ok(String::new());
    }
    let pulled = people(shared)?.identity().store().site_pulled(&user.home).await;
    let pulled_at = pulled.map_err(|error| unavailable(&error))?.pulled_at;
    let sites = shared.sites.as_ref().filter(|sites| sites.peer(&user.home).is_some());
    let belief = sites.map(|sites| believe(pulled_at, clock::unix_ms(), sites.believe_ms));
    let reason = match belief {
        Some(Belief::Holds { age_ms }) => {
            return Ok(format!(", by a copy of {}'s account that is {} s old", user.home, age_ms / 1_000));
        }
        Some(Belief::TooOld { age_ms }) => {
            format!(
                "the copy of {}'s account is {} s old, and that site cannot be reached",
                user.home,
                age_ms / 1_000
            )
        }
        Some(Belief::Unknown) => format!("{}'s accounts are not known to the end", user.home),
        None => format!("{} is not a site that is known here any more", user.home),
    };
    let event = Event::SignInRefused { method: method.into(), reason: reason.into() };
    shared.audit.refused(Record::new(event).user(user.name.as_str(), user.title.as_str()).peer(from));
    let told =
        format!("your site, {}, cannot be reached, and what is known of you here is too old", user.home);
    Err(refusal(StatusCode::SERVICE_UNAVAILABLE, "home-cut-off", &told))
}
