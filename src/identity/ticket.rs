//! Tickets: what lets one client attach to one session, once.
//!
//! A ticket is text: `c1.CLAIMS.SIGNATURE`, both in base64url; the claims are JSON, the signature is Ed25519 over
//! `c1.CLAIMS` (so that an edge needs the public key alone). What a client shows is the ticket, `~`, and a proof that it is
//! the one to whom it was given, its *holder*:
//!
//! - a browser cannot see its TLS session: it makes a secret and gives its SHA-256 with the request; the proof is the
//!   secret;
//! - another client gives an Ed25519 key; the proof is its signature over the TLS exporter of the very connection
//!   (RFC 8446, section 7.5) and the ticket. A ticket that was stolen, or heard on another connection, is of no use.

use super::secret::{Keys, new_id};
use crate::policy::Allowed;
use aws_lc_rs::signature::{ED25519, KeyPair, UnparsedPublicKey};
use aws_lc_rs::{constant_time, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

const PREFIX: &str = "c1.";
/// The gateway of tickets that are good at several. The name of a start is longer.
const SHARED: &str = "shared";
/// The TLS exporter's label, and how many bytes are taken of it.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-chevet-attach";
pub const EXPORTER_BYTES: usize = 32;
/// One client may dial by several roads at the same time with one ticket: for this long after the first one came in.
const ROADS_WITHIN_MS: i64 = 10_000;
/// Tickets whose use is remembered. They are forgotten when they expire.
const MOST_USED: usize = 65_536;

/// What the holder of a session may do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Sees it and works in it.
    Control,
    /// Sees it, and nothing that it sends reaches the session.
    Watch,
}

/// To whom a ticket was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Holder {
    /// SHA-256 of a secret, in base64url.
    Secret(String),
    /// An Ed25519 public key, in base64url.
    Key(String),
}

impl Holder {
    /// How a holder, or none, stands in what a seat signs.
    pub fn in_words(holder: Option<&Holder>) -> String {
        holder.and_then(|holder| serde_json::to_string(holder).ok()).unwrap_or_default()
    }

    /// Reads what a client asks for: 32 bytes of either kind.
    pub fn is_well_formed(&self) -> bool {
        let (Holder::Secret(text) | Holder::Key(text)) = self;
        URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
    }
}

/// What a ticket says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The ticket's own name.
    pub id: String,
    /// The start of the gateway that it is for.
    pub gateway: String,
    pub session: String,
    /// The number of the grant: the highest one of a session is right.
    pub grant: i64,
    pub mode: Mode,
    pub user: String,
    /// The user's title, for people who lose the session to them.
    pub title: String,
    pub sign_in: String,
    pub seat: String,
    /// The zone from which it was asked for, and may be shown. Empty: from outside all of them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub zone: String,
    /// What its user may do there.
    #[serde(default)]
    pub allowed: Allowed,
    /// The admission by which somebody watches; 0 for who controls.
    #[serde(default, skip_serializing_if = "is_none")]
    pub admission: u64,
    pub holder: Holder,
    /// Not after, in milliseconds since 1970.
    pub until: i64,
    /// The trace that goes on where it is shown, as W3C's `traceparent` writes it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trace: String,
}

fn is_none(admission: &u64) -> bool {
    *admission == 0
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    #[error("the ticket is not valid; ask for a new one")]
    Forged,
    #[error("the ticket has expired; ask for a new one")]
    Expired,
    #[error("the ticket was used already; ask for a new one")]
    Used,
    #[error("the ticket is for another session")]
    OtherSession,
    #[error(
        "the ticket is for another gateway, or for this one before it was started again; ask for a new one"
    )]
    OtherGateway,
    #[error("the ticket was asked for from another network; ask for a new one")]
    OtherZone,
    #[error("the ticket was given to another client")]
    NotHolder,
    #[error("the sign-in that the ticket came from has ended; sign in again")]
    SignInEnded,
    #[error("too many tickets are in use; try again in a moment")]
    Full,
}

/// Signs tickets, and takes each of its own once.
pub struct TicketOffice {
    keys: Arc<Keys>,
    gateway: String,
    used: Mutex<HashMap<String, Used>>,
    /// Sign-ins that have ended, and until when tickets of theirs may be about.
    ended: Mutex<HashMap<String, i64>>,
}

struct Used {
    first_ms: i64,
    until: i64,
}

impl TicketOffice {
    pub fn new(keys: Arc<Keys>) -> Self {
        TicketOffice { keys, gateway: new_id(), used: Mutex::default(), ended: Mutex::default() }
    }

    /// The office of one of several gateways that have the same keys: it takes tickets of all.
    pub fn shared(keys: Arc<Keys>) -> Self {
        TicketOffice { gateway: SHARED.to_owned(), ..TicketOffice::new(keys) }
    }

    /// The name of this start of the gateway, or of several together: a ticket's `gateway`.
    pub fn gateway(&self) -> &str {
        &self.gateway
    }

    pub fn sign(&self, claims: &Claims) -> String {
        let json = serde_json::to_vec(claims).unwrap_or_default();
        let signed = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json));
        let signature = self.keys.tickets().sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Whether this looks like a ticket at all, rather than a configured secret.
    pub fn is_ticket(shown: &[u8]) -> bool {
        shown.starts_with(PREFIX.as_bytes())
    }

    /// Takes what a client shows for a session. `exporter` is of the link on which it is shown, if that is over TLS.
    pub fn redeem(
        &self,
        shown: &[u8],
        session: &str,
        exporter: Option<&[u8; EXPORTER_BYTES]>,
        now_ms: i64,
    ) -> Result<Claims, TicketError> {
        let shown = std::str::from_utf8(shown).map_err(|_| TicketError::Forged)?;
        let (ticket, proof) = shown.split_once('~').ok_or(TicketError::NotHolder)?;
        let claims = self.read(ticket)?;
        if claims.until <= now_ms {
            return Err(TicketError::Expired);
        }
        if claims.gateway != self.gateway {
            return Err(TicketError::OtherGateway);
        }
        if claims.session != session {
            return Err(TicketError::OtherSession);
        }
        if !proves(&claims.holder, ticket, proof, exporter) {
            return Err(TicketError::NotHolder);
        }
        if self.ended.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&claims.sign_in) {
            return Err(TicketError::SignInEnded);
        }
        if self.gateway != SHARED {
            self.use_once(&claims, now_ms)?;
        }
        Ok(claims)
    }

    /// Takes a ticket of several gateways, whose use is remembered for all of them elsewhere, as used here at least.
    pub fn use_here(&self, claims: &Claims, now_ms: i64) -> Result<(), TicketError> {
        self.use_once(claims, now_ms)
    }

    fn read(&self, ticket: &str) -> Result<Claims, TicketError> {
        let (signed, signature) = ticket.rsplit_once('.').ok_or(TicketError::Forged)?;
        let payload = signed.strip_prefix(PREFIX).ok_or(TicketError::Forged)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TicketError::Forged)?;
        let key = UnparsedPublicKey::new(&ED25519, self.keys.tickets().public_key());
        key.verify(signed.as_bytes(), &signature).map_err(|_| TicketError::Forged)?;
        let json = URL_SAFE_NO_PAD.decode(payload).map_err(|_| TicketError::Forged)?;
        serde_json::from_slice(&json).map_err(|_| TicketError::Forged)
    }

    fn use_once(&self, claims: &Claims, now_ms: i64) -> Result<(), TicketError> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = used.get(&claims.id) {
            return match now_ms - before.first_ms <= ROADS_WITHIN_MS {
                true => Ok(()),
                false => Err(TicketError::Used),
            };
        }
        if used.len() >= MOST_USED {
            used.retain(|_, used| used.until > now_ms);
        }
        if used.len() >= MOST_USED {
            return Err(TicketError::Full);
        }
        used.insert(claims.id.clone(), Used { first_ms: now_ms, until: claims.until });
        Ok(())
    }

    /// From now on no ticket of this sign-in opens anything. `lifetime_ms` is the longest that one may still be about.
    pub fn sign_in_ended(&self, sign_in: &str, lifetime_ms: i64, now_ms: i64) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.retain(|_, until| *until > now_ms);
        ended.insert(sign_in.to_owned(), now_ms + lifetime_ms);
    }
}

fn proves(holder: &Holder, ticket: &str, proof: &str, exporter: Option<&[u8; EXPORTER_BYTES]>) -> bool {
    match holder {
        Holder::Secret(hash) => {
            let Ok(hash) = URL_SAFE_NO_PAD.decode(hash) else { return false };
            let shown = digest::digest(&digest::SHA256, proof.as_bytes());
            constant_time::verify_slices_are_equal(shown.as_ref(), &hash).is_ok()
        }
        Holder::Key(key) => {
            let (Ok(key), Ok(signature), Some(exporter)) =
                (URL_SAFE_NO_PAD.decode(key), URL_SAFE_NO_PAD.decode(proof), exporter)
            else {
                return false;
            };
            let message = proof_message(ticket, exporter);
            UnparsedPublicKey::new(&ED25519, key).verify(&message, &signature).is_ok()
        }
    }
}

/// What a holder's key signs.
fn proof_message(ticket: &str, exporter: &[u8; EXPORTER_BYTES]) -> Vec<u8> {
    [exporter.as_slice(), ticket.as_bytes()].concat()
}

/// The client's side of a ticket: a key that never leaves it.
pub struct HolderKey(aws_lc_rs::signature::Ed25519KeyPair);

impl HolderKey {
    pub fn new() -> Result<Self, aws_lc_rs::error::Unspecified> {
        aws_lc_rs::signature::Ed25519KeyPair::generate().map(HolderKey)
    }

    pub fn holder(&self) -> Holder {
        Holder::Key(URL_SAFE_NO_PAD.encode(self.0.public_key()))
    }

    /// What to show for a ticket on a link with this exporter.
    pub fn show(&self, ticket: &str, exporter: &[u8; EXPORTER_BYTES]) -> String {
        let signature = self.0.sign(&proof_message(ticket, exporter));
        format!("{ticket}~{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::hmac;
    use proptest::prelude::*;

    fn office(secret: &[u8]) -> TicketOffice {
        TicketOffice::new(Arc::new(Keys::new(&hmac::Key::new(hmac::HMAC_SHA256, secret))))
    }

    fn claims(office: &TicketOffice, holder: Holder) -> Claims {
        Claims {
            id: new_id(),
            gateway: office.gateway().to_owned(),
            session: "desk".into(),
            grant: 7,
            mode: Mode::Control,
            user: "u".into(),
            title: "Anne Roy".into(),
            sign_in: "s".into(),
            seat: "room 12".into(),
            zone: String::new(),
            allowed: Allowed::default(),
            admission: 0,
            holder,
            until: 10_000,
            trace: String::new(),
        }
    }

    fn secret_holder(secret: &str) -> Holder {
        let hash = digest::digest(&digest::SHA256, secret.as_bytes());
        Holder::Secret(URL_SAFE_NO_PAD.encode(hash.as_ref()))
    }

    #[test]
    fn a_ticket_opens_its_session_for_its_holder_once() {
        let office = office(b"k");
        let claims = claims(&office, secret_holder("mine"));
        let ticket = office.sign(&claims);
        assert!(TicketOffice::is_ticket(ticket.as_bytes()));
        let redeem = |shown: &str, session: &str, now| office.redeem(shown.as_bytes(), session, None, now);
        let shown = format!("{ticket}~mine");
        assert_eq!(redeem(&shown, "other", 0), Err(TicketError::OtherSession));
        assert_eq!(redeem(&format!("{ticket}~stolen"), "desk", 0), Err(TicketError::NotHolder));
        assert_eq!(redeem(&ticket, "desk", 0), Err(TicketError::NotHolder));
        assert_eq!(redeem(&shown, "desk", 10_000), Err(TicketError::Expired));
        assert_eq!(redeem(&shown, "desk", -5_000), Ok(claims.clone()));
        assert_eq!(redeem(&shown, "desk", 4_999), Ok(claims), "its holder races two roads");
        assert_eq!(redeem(&shown, "desk", 5_001), Err(TicketError::Used));
    }

    #[test]
    fn a_ticket_of_another_start_or_another_secret_opens_nothing() {
        let (before, after, stranger) = (office(b"k"), office(b"k"), office(b"other"));
        let ticket = before.sign(&claims(&before, secret_holder("mine")));
        let shown = format!("{ticket}~mine");
        assert_eq!(after.redeem(shown.as_bytes(), "desk", None, 0), Err(TicketError::OtherGateway));
        assert_eq!(stranger.redeem(shown.as_bytes(), "desk", None, 0), Err(TicketError::Forged));
    }

    #[test]
    fn a_ticket_of_gateways_that_share_their_secret_opens_at_each_of_them() {
        let office = |secret: &[u8]| {
            TicketOffice::shared(Arc::new(Keys::new(&hmac::Key::new(hmac::HMAC_SHA256, secret))))
        };
        let (one, other, stranger) = (office(b"k"), office(b"k"), office(b"other"));
        let ticket = one.sign(&claims(&one, secret_holder("mine")));
        let shown = format!("{ticket}~mine");
        assert!(other.redeem(shown.as_bytes(), "desk", None, 0).is_ok());
        assert_eq!(stranger.redeem(shown.as_bytes(), "desk", None, 0), Err(TicketError::Forged));
    }

    #[test]
    fn a_ticket_of_a_key_opens_on_the_tls_session_it_was_shown_on_and_on_no_other() {
        let office = office(b"k");
        let key = HolderKey::new().unwrap();
        let ticket = office.sign(&claims(&office, key.holder()));
        let (mine, other) = ([1; EXPORTER_BYTES], [2; EXPORTER_BYTES]);
        let shown = key.show(&ticket, &mine);
        let redeem = |shown: &str, exporter| office.redeem(shown.as_bytes(), "desk", exporter, 0);
        assert_eq!(redeem(&shown, Some(&other)), Err(TicketError::NotHolder), "replayed elsewhere");
        assert_eq!(redeem(&shown, None), Err(TicketError::NotHolder), "without TLS nothing can be bound");
        let thief = HolderKey::new().unwrap();
        assert_eq!(redeem(&thief.show(&ticket, &mine), Some(&mine)), Err(TicketError::NotHolder));
        assert!(redeem(&shown, Some(&mine)).is_ok());
    }

    #[test]
    fn no_ticket_of_a_sign_in_that_has_ended_opens_anything() {
        let office = office(b"k");
        let ticket = office.sign(&claims(&office, secret_holder("mine")));
        office.sign_in_ended("s", 60_000, 0);
        let shown = format!("{ticket}~mine");
        assert_eq!(office.redeem(shown.as_bytes(), "desk", None, 1), Err(TicketError::SignInEnded));
    }

    #[test]
    fn a_signature_of_another_algorithm_or_none_is_no_signature() {
        let office = office(b"k");
        let json = serde_json::to_vec(&claims(&office, secret_holder("mine"))).unwrap();
        let payload = URL_SAFE_NO_PAD.encode(json);
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, office.keys.tickets().public_key().as_ref()),
            format!("c1.{payload}").as_bytes(),
        );
        for signature in [String::new(), URL_SAFE_NO_PAD.encode(tag), "AAAA".into()] {
            let shown = format!("c1.{payload}.{signature}~mine");
            assert_eq!(office.redeem(shown.as_bytes(), "desk", None, 0), Err(TicketError::Forged));
        }
    }

    proptest! {
        #[test]
        fn a_changed_ticket_is_refused(at in any::<prop::sample::Index>(), with in any::<u8>()) {
            let office = office(b"k");
            let ticket = office.sign(&claims(&office, secret_holder("mine")));
            let mut shown = ticket.clone().into_bytes();
            let at = at.index(shown.len());
            prop_assume!(shown[at] != with);
            shown[at] = with;
            shown.extend_from_slice(b"~mine");
            prop_assert!(office.redeem(&shown, "desk", None, 0).is_err());
        }

        #[test]
        fn whatever_is_shown_nothing_panics(shown in prop::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(office(b"k").redeem(&shown, "desk", None, 0).is_err());
        }
    }
}
