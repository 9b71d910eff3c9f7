//! Working at another site: a site vouches for one of its people, the site that has the session decides, and the client is
//! sent to that one's gateways.

use super::call::{Problem, TICKETS, place_of};
use super::pull::{MOST_ACCOUNTS, keep};
use super::{Peer, Sites};
use crate::broker::Title;
use crate::clock;
use crate::gateway::api::{
    answer, end_sign_in, let_in, not_signed_in, people, refusal, shown_session, ticket_for, unavailable,
};
use crate::gateway::registry::Listed;
use crate::gateway::{Place, Shared, applications};
use crate::identity::ticket::Holder;
use crate::identity::{Person, SignInError, is_title, user_name};
use crate::link::fingerprint_text;
use crate::site::{Account, Page};
use crate::store::{ASKED, Role, SignIn, User, Visit};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The sessions of a site that does not say so soon are left out of the list.
const LIST_WITHIN: Duration = Duration::from_secs(2);
/// How a session of another site may be; an application that is not running yet is new, or cannot be started now.
const STATES: [&str; 4] = ["live", "waiting", "new", "unavailable"];
/// Sessions that another site is shown with.
const MOST_SHOWN: usize = 500;

/// Somebody for whom a site vouches.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Visitor {
    /// The site whose account it is: the one that vouches, or the one that is asked.
    pub home: String,
    /// There.
    pub id: String,
    pub name: String,
    pub title: String,
    pub groups: Vec<String>,
    pub seat: String,
    pub from: IpAddr,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    pub visitor: Visitor,
    pub session: String,
    pub holder: Holder,
    /// The sign-in that the visitor has already.
    pub there: Option<String>,
}

/// Of `desk@north` the session and the site. No session's name has an @.
pub(in crate::gateway) fn split_name(name: &str) -> Option<(&str, &str)> {
    name.split_once('@')
}

// ---- at the site where somebody is signed in ----

impl Sites {
    async fn visitor(&self, shared: &Shared, person: &Person, from: IpAddr) -> Result<Visitor, Response> {
        let Person { user, sign_in } = person;
        let store = people(shared)?.identity().store();
        let (home, id, name) = match user.home.is_empty() {
            true => (self.name.clone(), user.id.clone(), user.name.clone()),
            false => {
                let (id, name) = store.home_of(&user.id).await.map_err(|error| unavailable(&error))?;
                (user.home.clone(), id, name)
            }
        };
        let (title, groups, seat) = (user.title.clone(), user.groups.clone(), sign_in.seat.clone());
        Ok(Visitor { home, id, name, title, groups, seat, from })
    }
}

/// Whether a page that is dialled so lists what other sites have. From outside their gateways cannot be dialled: an edge leads
/// to this site's alone.
pub(in crate::gateway) fn are_shown(shared: &Shared, place: &Place) -> bool {
    shared.sites.as_ref().is_some_and(|sites| sites.count() > 0) && !place.way().is_edge()
}

/// The sessions that other sites have for somebody, and the sites that did not answer.
pub(in crate::gateway) async fn sessions_elsewhere(
    shared: &Shared,
    person: &Person,
    from: IpAddr,
) -> (Vec<Value>, Vec<String>) {
    let Some(sites) = &shared.sites else { return Default::default() };
    let Ok(visitor) = sites.visitor(shared, person, from).await else { return Default::default() };
    let asking = sites.peers.iter().filter(|peer| peer.vouched(&visitor, &sites.name)).map(async |peer| {
        let asked = async {
            let mut call = sites.call(peer).await?;
            call.ask::<Value>("/api/site/sessions", &visitor).await
        };
        let told = tokio::time::timeout(LIST_WITHIN, asked).await;
        (peer.config.name.clone(), told)
    });
    let (mut shown, mut silent) = (Vec::new(), Vec::new());
    for (site, told) in futures_util::future::join_all(asking).await {
        match told {
            Ok(Ok(told)) => {
                let listed = told["sessions"].as_array().map(Vec::as_slice).unwrap_or_default();
                shown.extend(listed.iter().take(MOST_SHOWN).filter_map(|session| named(session, &site)));
            }
            Ok(Err(Problem::Refused { .. })) => {}
            _ => silent.push(site),
        }
    }
    (shown, silent)
}

/// A session of another site as it is listed here. Only what is known of sessions is passed on.
fn named(session: &Value, site: &str) -> Option<Value> {
    let text = |name: &str| session[name].as_str().unwrap_or_default().chars().take(128).collect::<String>();
    let name = session["name"].as_str().filter(|name| crate::gateway::is_name(name))?;
    let number = |name: &str| session[name].as_u64().unwrap_or(0);
    let state = session["state"].as_str().filter(|state| STATES.contains(state)).unwrap_or("live");
    let title_in = |language: &str| session["titles"][language].as_str().filter(|title| is_title(title));
    let titles = title_in("fr").zip(title_in("en")).map(|(fr, en)| json!({"fr": fr, "en": en}));
    Some(json!({
        "name": format!("{name}@{site}"),
        "title": text("title"),
        "titles": titles,
        "state": state,
        "waiting_for": text("waiting_for"),
        "width": number("width"), "height": number("height"), "viewers": number("viewers"),
        "holder": Value::Null, "application": Value::Null,
        "site": site,
    }))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    ticket: String,
    session: String,
    there: String,
    /// The gateway that was asked comes first, without its host: that is known.
    gateways: Vec<GivenGateway>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenGateway {
    host: String,
    udp_port: Option<u16>,
    tcp_port: u16,
    tls: bool,
    pins: Vec<String>,
}

/// A ticket for a session of another site.
pub(in crate::gateway) async fn open(
    shared: &Shared,
    person: &Person,
    (session, site): (&str, &str),
    holder: Holder,
    from: IpAddr,
) -> Result<Response, Response> {
    let none = || refusal(StatusCode::NOT_FOUND, "no-session", "there is no such site");
    let sites = shared.sites.as_ref().ok_or_else(none)?;
    let peer = sites.peer(site).ok_or_else(none)?;
    let store = people(shared)?.identity().store();
    let broken = |error: crate::store::StoreError| unavailable(&error);
    let visitor = sites.visitor(shared, person, from).await?;
    if !peer.vouched(&visitor, &sites.name) {
        return Err(none());
    }
    let there = store.visit(&person.sign_in.id, site).await.map_err(broken)?;
    let wish = Wish { visitor, session: session.to_owned(), holder, there };
    let asked = async {
        let mut call = sites.call(peer).await?;
        let given: Given = call.ask(TICKETS, &wish).await?;
        Ok((given, call.gateway().clone()))
    };
    let (mut given, gateway) = asked.await.map_err(|problem| refused(site, &problem))?;
    if given.gateways.is_empty() || given.gateways.len() > crate::wire::limits::MAX_GATEWAYS + 1 {
        return Err(refused(site, &Problem::Absurd("a list of gateways that cannot be one".into())));
    }
    if !crate::gateway::is_name(&given.session) {
        return Err(refused(site, &Problem::Absurd("a session whose name cannot be one".into())));
    }
    let (host, port) = place_of(&gateway);
    (given.gateways[0].host, given.gateways[0].tcp_port) = (host.to_owned(), port);
    let visit = Visit { sign_in: person.sign_in.id.clone(), site: site.to_owned(), there: given.there };
    store.note_visit(&visit).await.map_err(broken)?;
    Ok(answer(json!({"ticket": given.ticket, "session": given.session, "gateways": given.gateways})))
}

fn refused(site: &str, problem: &Problem) -> Response {
    match problem {
        // What is typed for a host there would come to the wrong site.
        Problem::Refused { error, .. } if error == "credentials" => {
            let told =
                format!("this application asks for credentials of your own: open it at a gateway of {site}");
            refusal(StatusCode::CONFLICT, "not-from-here", &told)
        }
        // That this person is not signed in is for this gateway to say.
        Problem::Refused { status, .. } if *status == StatusCode::UNAUTHORIZED => {
            refusal(StatusCode::BAD_GATEWAY, "site", &format!("the site {site} did not take this request"))
        }
        Problem::Refused { status, error, reason } => refusal(*status, error, reason),
        problem => {
            tracing::warn!(site, %problem, "a session of another site could not be opened");
            let told = format!("the site {site} cannot be reached now; its sessions go on there");
            refusal(StatusCode::SERVICE_UNAVAILABLE, "site-cut-off", &told)
        }
    }
}

/// Signs somebody of another site in by asking that site, if it is one that wants to be asked.
pub(in crate::gateway) async fn sign_in_there(
    shared: &Shared,
    name: &str,
    password: &str,
    code: Option<&str>,
    from: IpAddr,
) -> Option<Result<User, Response>> {
    let sites = shared.sites.as_ref()?;
    let name = user_name(name)?;
    let (theirs, site) = name.rsplit_once('@')?;
    let peer = sites.peer(site).filter(|peer| peer.wants_to_be_asked.load(Ordering::Relaxed))?;
    let store = people(shared).ok()?.identity().store();
    match store.user_named(&name).await {
        Ok(Some(user)) if user.home.is_empty() || user.has_password => return None,
        Ok(_) => {}
        Err(error) => return Some(Err(unavailable(&error))),
    }
    if !peer.asks.admit_as(from.to_string(), clock::unix_ms()) {
        return Some(Err(not_signed_in(&SignInError::TooMany)));
    }
    let asked = async {
        let mut call = sites.call(peer).await?;
        let wish = json!({"name": theirs, "password": password, "code": code, "from": from});
        let told: Value = call.ask("/api/site/sign-in", &wish).await?;
        let id = told["id"].as_str().unwrap_or_default().to_owned();
        let account: Account = serde_json::from_value(told["account"].clone())
            .map_err(|error| Problem::Absurd(error.to_string()))?;
        let change = crate::site::Change { version: 0, id: id.clone(), account: Some(account.clone()) };
        let told = Page { asked: vec![change], ..Page::default() }.check(0);
        told.map_err(|error| Problem::Absurd(error.to_string()))?;
        if account.name != theirs || account.password.is_some() || account.totp.is_some() || !account.enabled
        {
            return Err(Problem::Absurd("it told of somebody else".into()));
        }
        let known = store.copy_of(site, &id).await?.map(|(user, _)| user.id);
        let kept = keep(sites, store, peer, &id, &account, ASKED, known.as_deref()).await?;
        let id = kept.map_err(Problem::Absurd)?;
        Ok(store.user(&id).await?)
    };
    let asked: Result<Option<User>, Problem> = asked.await;
    Some(match asked {
        Ok(Some(user)) => Ok(user),
        Ok(None) => Err(not_signed_in(&SignInError::Refused { user: None, reason: "unknown user" })),
        Err(problem @ Problem::Refused { .. }) => Err(refused(site, &problem)),
        Err(problem) => {
            tracing::warn!(site, %problem, "a site could not be asked who somebody is");
            let told = format!("your site, {site}, cannot be reached, and asks to be asked at each sign-in");
            Err(refusal(StatusCode::SERVICE_UNAVAILABLE, "home-cut-off", &told))
        }
    })
}

// ---- at the site that has the session ----

impl Peer {
    /// Whether this site may vouch for somebody to that one, or be vouched to: for its own people, and for those whose home
    /// the other site is.
    fn vouched(&self, visitor: &Visitor, own: &str) -> bool {
        visitor.home == own || visitor.home == self.config.name
    }
}

/// Who a visitor is here, without making anybody known.
async fn user_of(shared: &Shared, sites: &Sites, peer: &Peer, visitor: &Visitor) -> Result<User, Response> {
    let stranger = || refusal(StatusCode::FORBIDDEN, "not-yours", "that site cannot vouch for this person");
    let store = people(shared)?.identity().store();
    let broken = |error: crate::store::StoreError| unavailable(&error);
    if visitor.home == sites.name {
        let user = store.user(&visitor.id).await.map_err(broken)?.filter(|user| peer.is_told_of(user));
        let user = user.filter(|user| user.enabled).ok_or_else(stranger)?;
        // What somebody may do as an administrator they may do at home alone.
        return Ok(User { role: Role::User, ..user });
    }
    if visitor.home != peer.config.name || !visitor.is_possible() || visitor.account().fault().is_some() {
        return Err(stranger());
    }
    let known = store.copy_of(&visitor.home, &visitor.id).await.map_err(broken)?.map(|(user, _)| user);
    if known.as_ref().is_some_and(|user| !user.enabled) {
        return Err(stranger());
    }
    let name = crate::site::copy_name(&visitor.name, &visitor.home).ok_or_else(stranger)?;
    Ok(User {
        id: known.map(|user| user.id).unwrap_or_default(),
        name,
        title: visitor.title.clone(),
        role: Role::User,
        enabled: true,
        groups: peer.accepted(&visitor.groups),
        has_password: false,
        has_totp: false,
        created_at: 0,
        home: visitor.home.clone(),
    })
}

impl Visitor {
    pub fn is_possible(&self) -> bool {
        (1..=64).contains(&self.id.len())
    }

    fn account(&self) -> Account {
        Account {
            name: self.name.clone(),
            title: self.title.clone(),
            enabled: true,
            groups: self.groups.clone(),
            password: None,
            totp: None,
            totp_step: 0,
        }
    }

    /// Where they are, for whoever loses a session to them.
    fn place(&self, site: &str) -> String {
        match self.seat.is_empty() {
            true => site.to_owned(),
            false => format!("{site}: {}", self.seat),
        }
    }
}

/// The sessions that a visitor may have.
pub async fn list(
    shared: &Arc<Shared>,
    sites: &Sites,
    peer: &Peer,
    visitor: &Visitor,
) -> Result<Response, Response> {
    let user = user_of(shared, sites, peer, visitor).await?;
    let broker = people(shared)?.broker();
    let mut listed = shared.registry.list();
    listed.retain(|listed| broker.may_have(&user, &listed.name));
    let sign_in = SignIn {
        id: String::new(),
        user_id: user.id.clone(),
        method: peer.method(),
        seat: String::new(),
        begun_at: 0,
        seen_at: 0,
        ends_at: 0,
    };
    let person = Person { user, sign_in };
    let titled = |listed: &Listed| {
        let mut shown = shown_session(listed, &person);
        let application = broker.applications().of_session(&listed.name);
        shown["titles"] = application.map_or(Value::Null, |application| titles_of(&application.title));
        shown
    };
    let mut shown: Vec<Value> = listed.iter().map(titled).collect();
    let may_have = |session: &str| broker.may_have(&person.user, session);
    shown.extend(super::super::api::elsewhere(shared, may_have).await);
    // Opening one starts it, as here.
    let applications = shared.hosts.applications();
    for application in applications.list().iter().filter(|application| application.is_for(&person.user)) {
        let runs = applications.running_of(&person.user.id, &application.name).is_some();
        if runs && application.single {
            continue;
        }
        let state = if shared.hosts.can_start(&application.name) { "new" } else { "unavailable" };
        let (title, titles) = (application.title.english(), titles_of(&application.title));
        shown.push(json!({"name": application.name, "title": title, "titles": titles, "state": state}));
    }
    shown.truncate(MOST_SHOWN);
    Ok(answer(json!({"sessions": shown})))
}

fn titles_of(title: &Title) -> Value {
    json!({"fr": title.french(), "en": title.english()})
}

/// A ticket for a visitor, at the gateways of this site.
pub async fn ticket(
    shared: &Arc<Shared>,
    sites: &Sites,
    peer: &Peer,
    wish: Wish,
    place: &Place,
) -> Result<Response, Response> {
    let Wish { visitor, mut session, holder, there } = wish;
    let user = user_of(shared, sites, peer, &visitor).await?;
    let place = place.asked_for(visitor.from);
    let mut person = None;
    if let Some(there) = &there {
        let visiting = visiting(shared, peer, there).await?;
        person = visiting.filter(|person| person.user.id == user.id);
    }
    let person = match person {
        // The groups are those that the site tells now.
        Some(person) => Person { user: user.clone(), ..person },
        None => {
            let user = known(shared, sites, peer, &visitor, user).await?;
            let seat = visitor.place(&peer.config.name);
            let_in(shared, user, &peer.method(), &seat, &place).await?.0
        }
    };
    let given = async {
        if people(shared)?.broker().applications().named(&session).is_some() {
            session = applications::opened(shared, &person, &session, visitor.from).await?;
        }
        ticket_for(shared, &person, &session, holder, &place).await
    };
    let ticket = match given.await {
        Ok(ticket) => ticket,
        Err(refused) => {
            // A sign-in that was begun for this alone is for nothing.
            if there.as_ref() != Some(&person.sign_in.id) {
                end_sign_in(shared, &person, "no session was opened", Some(visitor.from)).await?;
            }
            return Err(refused);
        }
    };
    let certificate = shared.certificate();
    let pins = match certificate.is_self_signed() {
        true => vec![fingerprint_text(&certificate.fingerprint())],
        false => Vec::new(),
    };
    let (host, tcp_port) = (String::new(), 0);
    let mut gateways =
        vec![GivenGateway { host, udp_port: shared.udp_port, tcp_port, tls: shared.tls, pins }];
    if let Some(siblings) = &shared.siblings {
        let others = siblings.list_for(&session).await.into_iter();
        gateways.extend(others.map(|other| GivenGateway {
            pins: other.pins.iter().map(fingerprint_text).collect(),
            host: other.host,
            udp_port: other.udp_port,
            tcp_port: other.tcp_port,
            tls: other.tls,
        }));
    }
    Ok(answer(json!(Given { ticket, session, there: person.sign_in.id, gateways })))
}

/// The visitor as somebody whom the store knows, so that they can be signed in.
async fn known(
    shared: &Shared,
    sites: &Sites,
    peer: &Peer,
    visitor: &Visitor,
    user: User,
) -> Result<User, Response> {
    if user.home.is_empty() {
        return Ok(user);
    }
    let store = people(shared)?.identity().store();
    let known_id = Some(user.id.as_str()).filter(|id| !id.is_empty());
    let count = store.count_copies(&peer.config.name).await.map_err(|error| unavailable(&error))?;
    if known_id.is_none() && count >= MOST_ACCOUNTS {
        return Err(refusal(StatusCode::CONFLICT, "taken", "that site has too many accounts here"));
    }
    let kept = keep(sites, store, peer, &visitor.id, &visitor.account(), ASKED, known_id).await;
    let kept = kept.map_err(|error| unavailable(&error))?;
    let id = kept.map_err(|reason| refusal(StatusCode::CONFLICT, "taken", &reason))?;
    Ok(User { id, ..user })
}

/// Who has a sign-in that came from this site.
pub async fn visiting(shared: &Shared, peer: &Peer, there: &str) -> Result<Option<Person>, Response> {
    let store = people(shared)?.identity().store();
    let broken = |error: crate::store::StoreError| unavailable(&error);
    let sign_in = store.sign_in_by_id(there, 0, clock::unix_ms()).await.map_err(broken)?;
    let Some(sign_in) = sign_in.filter(|sign_in| sign_in.method == peer.method()) else { return Ok(None) };
    let user = store.user(&sign_in.user_id).await.map_err(broken)?;
    Ok(user.filter(|user| user.enabled).map(|user| Person { user, sign_in }))
}
