//! A person who is signed in at a gateway, and what it gives them.

use super::card::SmartCard;
use super::http::Site;
use super::nearest::Distances;
use super::{Address, AddressError};
use crate::identity::ticket::HolderKey;
use crate::link::{Proxy, Target, parse_fingerprint};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use url::Url;

#[derive(Debug, thiserror::Error)]
pub enum SignInFailed {
    #[error("asking {host}: {reason}; is the gateway running?")]
    Unreachable { host: String, reason: String },
    #[error("{0}")]
    Refused(String),
    #[error("a one-time code is needed too: give it with --code")]
    CodeNeeded,
    /// The host of a session wants to know from its user with what to sign in.
    #[error("{reason}")]
    Credentials { reason: String, asks: Box<HostAsks> },
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error("making a key for the ticket failed")]
    Key,
}

/// What a host without chevet wants to know before it lets a user in.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct HostAsks {
    pub host: String,
    /// What is proposed.
    pub user: String,
    pub domain: String,
    /// Whether the gateway would keep what is typed.
    pub remember: bool,
}

/// What a user signs in with on a host without chevet.
pub struct HostLogin {
    pub user: String,
    pub domain: String,
    pub password: zeroize::Zeroizing<String>,
    /// The gateway is to keep it for the next time.
    pub remember: bool,
}

/// The secret of a sign-in, and where it holds.
pub struct SignedIn {
    site: Site,
    target: Target,
    secret: String,
    /// Where it holds, too.
    others: Vec<Site>,
    distances: Distances,
}

impl SignedIn {
    /// Signs in with a password, and a one-time code if the user has one.
    pub async fn with_password(
        site: Site,
        name: &str,
        password: &str,
        code: Option<&str>,
        seat: &str,
    ) -> Result<SignedIn, SignInFailed> {
        let target = super::address::target_of(&site).await?;
        let wish = json!({"name": name, "password": password, "code": code, "seat": seat});
        let answer = ask(&site, Method::POST, "/api/sign-in", None, Some(&wish)).await?;
        let secret = answer["token"].as_str().unwrap_or_default().to_owned();
        Ok(SignedIn::shown(site, target, secret))
    }

    /// Signs in with a smart card, where the gateway asks for one.
    pub async fn with_card(site: Site, card: &SmartCard, seat: &str) -> Result<SignedIn, SignInFailed> {
        let target = super::address::target_of(&site).await?;
        let connect = ask(&site, Method::GET, "/api/connect", None, None).await?;
        let place = connect["sign_in"]["card"]["address"].as_str().and_then(|text| Url::parse(text).ok());
        let place = place.filter(|place| place.scheme() == "https");
        let none = || SignInFailed::Refused("nobody signs in by card at this gateway".into());
        let place = place.ok_or_else(none)?;
        let host = place.host_str().ok_or_else(none)?.trim_matches(['[', ']']).to_owned();
        let port = place.port_or_known_default().ok_or_else(none)?;
        // It has the gateway's own certificate.
        let (pins, proxy) = (target.pins.clone(), site.proxy.clone());
        let asking = Site { host, port, tls: true, pins, proxy };
        let answer = asking.ask_showing(card.shows(), "/sign-in", &json!({"seat": seat})).await;
        let answer = read(&asking, answer)?;
        let secret = answer["token"].as_str().unwrap_or_default().to_owned();
        Ok(SignedIn::shown(site, target, secret))
    }

    pub(super) fn shown(site: Site, target: Target, secret: String) -> SignedIn {
        SignedIn { site, target, secret, others: Vec::new(), distances: Distances::default() }
    }

    /// The sign-in holds at these sites, too, of gateways that share a database: they are asked when its own does not answer.
    pub fn also_at(mut self, others: Vec<Site>) -> SignedIn {
        self.others = others;
        self
    }

    /// A session's address with a ticket that opens it once, on a connection of this process alone.
    pub async fn address(&self, session: &str) -> Result<Address, SignInFailed> {
        let key = HolderKey::new().map_err(|_| SignInFailed::Key)?;
        let wish = json!({"session": session, "holder": key.holder()});
        let answer = self.ask(Method::POST, "/api/tickets", Some(&wish)).await?;
        // A session of another site is opened at that one's gateways.
        let told = answer["gateways"].as_array().map(Vec::as_slice).unwrap_or_default();
        let elsewhere = told.iter().filter_map(|gateway| target_of(gateway, &self.site.proxy)).collect();
        let elsewhere = self.distances.pick(elsewhere).await;
        Ok(Address {
            target: elsewhere.unwrap_or_else(|| self.target.clone()),
            // Of an application it is the one that was started for this person.
            session: answer["session"].as_str().unwrap_or(session).to_owned(),
            ticket: answer["ticket"].as_str().unwrap_or_default().as_bytes().to_vec(),
            holder: Some(Arc::new(key)),
        })
    }

    /// Signs in to the host of an application or session with what its user typed. Returns the session that this opened.
    pub async fn give(&self, session: &str, login: &HostLogin) -> Result<String, SignInFailed> {
        let HostLogin { user, domain, password, remember } = login;
        let typed = json!({
            "session": session, "user": user, "domain": domain, "password": password.as_str(), "remember": remember,
        });
        let answer = self.ask(Method::POST, "/api/credentials", Some(&typed)).await?;
        Ok(answer["session"].as_str().unwrap_or(session).to_owned())
    }

    /// Asks the user who told a code to be let in to watch, and waits for the answer.
    pub async fn watch(&self, code: &str) -> Result<Address, SignInFailed> {
        self.asked("/api/watch", json!({"code": code})).await
    }

    /// Asks to watch a session as an administrator: what its user's policy wants is done first.
    pub async fn shadow(&self, session: &str) -> Result<Address, SignInFailed> {
        self.asked(&format!("/api/admin/sessions/{session}/shadow"), json!({})).await
    }

    async fn asked(&self, path: &str, mut wish: Value) -> Result<Address, SignInFailed> {
        let key = HolderKey::new().map_err(|_| SignInFailed::Key)?;
        wish["holder"] = json!(key.holder());
        let answer = self.ask(Method::POST, path, Some(&wish)).await?;
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        Ok(Address {
            target: self.target.clone(),
            session: text("session"),
            ticket: text("ticket").into_bytes(),
            holder: Some(Arc::new(key)),
        })
    }

    /// A code by which somebody may ask to watch a session that this person has now.
    pub async fn invite(&self, session: &str) -> Result<String, SignInFailed> {
        let path = format!("/api/sessions/{session}/share");
        let answer = self.ask(Method::POST, &path, Some(&json!({}))).await?;
        Ok(answer["code"].as_str().unwrap_or_default().to_owned())
    }

    /// The names of the sessions that this person may have, and of the applications that could be started for them.
    pub async fn sessions(&self) -> Result<Vec<String>, SignInFailed> {
        let answer = self.ask(Method::GET, "/api/sessions", None).await?;
        let listed = |what: &str| answer[what].as_array().map(Vec::as_slice).unwrap_or_default();
        let sessions = listed("sessions").iter();
        let new =
            listed("applications").iter().filter(|it| it["running"].as_array().is_none_or(Vec::is_empty));
        Ok(sessions.chain(new).filter_map(|it| it["name"].as_str()).map(str::to_owned).collect())
    }

    /// Ends the sign-in: what it has open goes dark.
    pub async fn sign_out(self) -> Result<(), SignInFailed> {
        self.ask(Method::POST, "/api/sign-out", None).await.map(drop)
    }

    /// Asks the gateway's API as this person.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, SignInFailed> {
        let secret = Some(self.secret.as_str());
        let mut answer = ask(&self.site, method.clone(), path, secret, body).await;
        for other in &self.others {
            if !matches!(answer, Err(SignInFailed::Unreachable { .. })) {
                break;
            }
            answer = ask(other, method.clone(), path, secret, body).await;
        }
        answer
    }
}

/// How a gateway of another site is reached, as the own one tells.
fn target_of(told: &Value, proxy: &Option<Arc<Proxy>>) -> Option<Target> {
    let port = |name: &str| told[name].as_u64().and_then(|port| u16::try_from(port).ok());
    let pins = told["pins"].as_array()?.iter().map(|pin| parse_fingerprint(pin.as_str()?));
    Some(Target {
        host: told["host"].as_str()?.to_owned(),
        udp_port: port("udp_port").filter(|&port| port != 0),
        tcp_port: Some(port("tcp_port")?),
        tls: told["tls"].as_bool()?,
        pins: pins.collect::<Option<_>>()?,
        proxy: proxy.clone(),
    })
}

pub(super) async fn ask(
    site: &Site,
    method: Method,
    path: &str,
    bearer: Option<&str>,
    body: Option<&Value>,
) -> Result<Value, SignInFailed> {
    read(site, site.ask(method, path, bearer, body).await)
}

fn read(site: &Site, answer: Result<(StatusCode, Value), String>) -> Result<Value, SignInFailed> {
    let unreachable = |reason| SignInFailed::Unreachable { host: site.host.clone(), reason };
    let (status, answer) = answer.map_err(unreachable)?;
    if status.is_success() {
        return Ok(answer);
    }
    if status == StatusCode::UNAUTHORIZED && answer["error"] == "code-needed" {
        return Err(SignInFailed::CodeNeeded);
    }
    let reason = answer["reason"].as_str().map(str::to_owned);
    if answer["error"] == "credentials" {
        let asks = serde_json::from_value(answer["asks"].clone()).unwrap_or_default();
        return Err(SignInFailed::Credentials { reason: reason.unwrap_or_default(), asks: Box::new(asks) });
    }
    Err(SignInFailed::Refused(reason.unwrap_or_else(|| format!("the gateway answered {status}"))))
}
