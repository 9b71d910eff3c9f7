//! Who may have which session, and who has it now. It gives tickets; the session itself is told by them who takes it
//! over.

mod application;
mod placement;

pub use application::{Application, Applications, Command, CredentialPolicy, Limits, Running, Title};
pub use placement::{Candidate, order};
mod invitations;

pub use invitations::{Invitation, Invitations, LASTS_MS as INVITATION_LASTS_MS};

use crate::identity::ticket::{Claims, Holder, Mode, TicketError, TicketOffice};
use crate::identity::{Identity, Keys, Person, new_id};
use crate::policy::{Allowed, Case, Policies, stands_for};
use crate::store::{StoreError, User};
use crate::telemetry;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

/// A ticket must be shown within this time.
pub const TICKET_MS: i64 = 30_000;

#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("the session {0:?} is not published to this user")]
    NotYours(String),
    #[error("the ticket's holder must be 32 bytes in base64url without padding")]
    Holder,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why somebody who is attached may not stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lapsed {
    #[error("the sign-in has ended, or was not used for too long")]
    SignIn,
    #[error("the session is not published to this user any more")]
    Published,
}

/// To whom sessions are published.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publication {
    /// A session's name; a `*` at its end stands for any further letters.
    pub session: String,
    /// Whoever is in one of these groups may have it.
    #[serde(default)]
    pub groups: Vec<String>,
    /// So may these users, by name.
    #[serde(default)]
    pub users: Vec<String>,
}

impl Publication {
    pub fn is_of(&self, session: &str) -> bool {
        stands_for(&self.session, session)
    }

    fn is_for(&self, user: &User) -> bool {
        self.users.iter().any(|name| name.to_lowercase() == user.name)
            || self.groups.iter().any(|group| user.groups.contains(group))
    }
}

/// A ticket and the number of its grant.
#[derive(Debug)]
pub struct Granted {
    pub ticket: String,
    pub number: i64,
}

/// Gives tickets for sessions.
pub struct Broker {
    identity: Arc<Identity>,
    office: TicketOffice,
    publications: Vec<Publication>,
    /// The groups that sessions were published to since the start, by session.
    published: RwLock<BTreeMap<String, Vec<String>>>,
    applications: Arc<Applications>,
    policies: Policies,
    /// How long somebody who was attached may be away and come back without signing in, in milliseconds.
    resume_ms: i64,
}

impl Broker {
    /// `shared`: other gateways take its tickets, too.
    pub fn new(
        identity: Arc<Identity>,
        keys: Arc<Keys>,
        publications: Vec<Publication>,
        applications: Arc<Applications>,
        policies: Policies,
        resume_ms: i64,
        shared: bool,
    ) -> Self {
        let office = if shared { TicketOffice::shared(keys) } else { TicketOffice::new(keys) };
        let published = RwLock::default();
        Broker { identity, office, publications, published, applications, policies, resume_ms }
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    pub fn applications(&self) -> &Applications {
        &self.applications
    }

    /// Whether a session is published to a user, or is theirs because they started it.
    pub fn may_have(&self, user: &User, session: &str) -> bool {
        // However widely sessions are published, those of applications are their user's alone.
        if let Some(application) = self.applications.of_session(session) {
            return self.applications.may_have(&application, user, session);
        }
        let published = self.published.read().unwrap_or_else(PoisonError::into_inner);
        published.get(session).is_some_and(|groups| groups.iter().any(|group| user.groups.contains(group)))
            || self
                .publications
                .iter()
                .any(|publication| publication.is_of(session) && publication.is_for(user))
    }

    /// Publishes a session to these groups, beside what the configuration says of it.
    pub fn publish(&self, session: &str, groups: &[String]) {
        let mut published = self.published.write().unwrap_or_else(PoisonError::into_inner);
        published.insert(session.to_owned(), groups.to_vec());
    }

    pub fn withdraw(&self, session: &str) {
        self.published.write().unwrap_or_else(PoisonError::into_inner).remove(session);
    }

    /// Gives a session to somebody: the ticket takes it over from whoever has it.
    pub async fn grant(
        &self,
        person: &Person,
        session: &str,
        holder: Holder,
        from: IpAddr,
        now_ms: i64,
    ) -> Result<Granted, BrokerError> {
        if !self.may_have(&person.user, session) {
            return Err(BrokerError::NotYours(session.to_owned()));
        }
        if !holder.is_well_formed() {
            return Err(BrokerError::Holder);
        }
        let Person { user, sign_in } = person;
        let number = self.identity.store().hold(session, &user.id, &sign_in.seat, now_ms).await?;
        let (zone, allowed) = self.allowed(person, session, from);
        let ticket = self.office.sign(&Claims {
            id: new_id(),
            gateway: self.office.gateway().to_owned(),
            session: session.to_owned(),
            grant: number,
            mode: Mode::Control,
            user: user.id.clone(),
            title: user.title.clone(),
            sign_in: sign_in.id.clone(),
            seat: sign_in.seat.clone(),
            zone,
            allowed,
            admission: 0,
            holder,
            until: now_ms + TICKET_MS,
            trace: telemetry::here(),
        });
        Ok(Granted { ticket, number })
    }

    /// Lets somebody watch whom the session's user has admitted.
    pub fn watch(
        &self,
        person: &Person,
        session: &str,
        holder: Holder,
        from: IpAddr,
        admission: u64,
        now_ms: i64,
    ) -> Result<String, BrokerError> {
        if !holder.is_well_formed() {
            return Err(BrokerError::Holder);
        }
        let (zone, allowed) = self.allowed(person, session, from);
        let Person { user, sign_in } = person;
        Ok(self.office.sign(&Claims {
            id: new_id(),
            gateway: self.office.gateway().to_owned(),
            session: session.to_owned(),
            grant: 0,
            mode: Mode::Watch,
            user: user.id.clone(),
            title: user.title.clone(),
            sign_in: sign_in.id.clone(),
            seat: sign_in.seat.clone(),
            zone,
            allowed,
            admission,
            holder,
            until: now_ms + TICKET_MS,
            trace: telemetry::here(),
        }))
    }

    /// Takes a ticket that a link shows.
    pub fn redeem(
        &self,
        shown: &[u8],
        session: &str,
        exporter: Option<&[u8; 32]>,
        from: IpAddr,
        now_ms: i64,
    ) -> Result<Claims, TicketError> {
        let claims = self.office.redeem(shown, session, exporter, now_ms)?;
        // Or what is allowed inside could be had outside.
        match claims.zone == self.policies.zone_of(from) {
            true => Ok(claims),
            false => Err(TicketError::OtherZone),
        }
    }

    /// Notes here that a ticket of several gateways is used, while they cannot note it together.
    pub fn use_here(&self, claims: &Claims, now_ms: i64) -> Result<(), TicketError> {
        self.office.use_here(claims, now_ms)
    }

    /// The zone of an address, and what somebody may do in a session from there.
    pub fn allowed(&self, person: &Person, session: &str, from: IpAddr) -> (String, Allowed) {
        let Person { user, sign_in } = person;
        let zone = self.policies.zone_of(from);
        let case = Case { user: &user.name, groups: &user.groups, session, zone, seat: &sign_in.seat };
        (zone.to_owned(), self.policies.allowed(&case))
    }

    /// The next ticket of somebody who is attached: for the same holder and by the same grant, so that it takes nothing over.
    pub async fn renew(&self, claims: &Claims, now_ms: i64) -> Result<String, Lapsed> {
        self.still_holds(claims, now_ms).await?;
        let until = now_ms + self.resume_ms;
        // Resuming is not what the first ticket's trace is about.
        let trace = String::new();
        Ok(self.office.sign(&Claims { id: new_id(), until, trace, ..claims.clone() }))
    }

    /// Whether a database that answers says that somebody may not stay. One that is away changes nothing for those who
    /// work.
    async fn still_holds(&self, claims: &Claims, now_ms: i64) -> Result<(), Lapsed> {
        match self.identity.still_there(&claims.sign_in, now_ms).await {
            Ok(None) => Err(Lapsed::SignIn),
            // Who watches does so by the user's leave, which the session itself knows.
            Ok(Some(_)) if claims.mode == Mode::Watch => Ok(()),
            Ok(Some(user)) if !self.may_have(&user, &claims.session) => Err(Lapsed::Published),
            Ok(Some(_)) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "whether a sign-in still holds could not be asked");
                Ok(())
            }
        }
    }

    /// A sign-in has ended: nothing that it was given opens anything from now on.
    pub fn sign_in_ended(&self, sign_in: &str, now_ms: i64) {
        self.office.sign_in_ended(sign_in, self.resume_ms.max(TICKET_MS), now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Role;

    fn user(name: &str, groups: &[&str]) -> User {
        User {
            id: name.into(),
            name: name.into(),
            title: name.into(),
            role: Role::User,
            enabled: true,
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            has_password: true,
            has_totp: false,
            created_at: 0,
            home: String::new(),
        }
    }

    #[test]
    fn a_session_is_published_to_groups_and_users_by_name_or_by_its_beginning() {
        let publication = Publication {
            session: "icu-*".into(),
            groups: vec!["nurses".into()],
            users: vec!["Paul".into()],
        };
        assert!(publication.is_of("icu-3") && publication.is_of("icu-") && !publication.is_of("desk"));
        assert!(publication.is_for(&user("anne", &["staff", "nurses"])));
        assert!(publication.is_for(&user("paul", &[])));
        assert!(!publication.is_for(&user("eve", &["nurse"])));
        let nobody = Publication { session: "desk".into(), ..Publication::default() };
        assert!(!nobody.is_for(&user("anne", &["nurses"])));
    }
}
