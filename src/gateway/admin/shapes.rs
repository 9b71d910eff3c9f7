//! The API's shapes, as OpenAPI describes them.

use super::super::hosts::HostStatus;
use super::super::remote_hosts::RemoteHost;
use super::super::takeovers::Takeover;
use crate::identity::ticket::Holder;
use crate::session::ViewerSnapshot;
use crate::store::{self, Role};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Serialize, ToSchema)]
pub(super) struct Problem {
    /// A word for programs.
    pub error: String,
    /// A sentence for their users.
    pub reason: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    pub name: String,
    /// The gateway that has it. Empty: this one, which has no name.
    pub gateway: String,
    pub title: String,
    /// live or waiting
    pub state: &'static str,
    pub waiting_for: String,
    pub width: u32,
    pub height: u32,
    pub policy: &'static str,
    /// Of a session that was started on a host: which application, on which host, since when.
    pub application: Option<String>,
    pub host: Option<String>,
    /// Whose it is.
    pub owner: Option<String>,
    pub started_at: Option<i64>,
    pub viewers: Vec<ViewerSnapshot>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Sessions {
    #[schema(value_type = Vec<Session>)]
    pub sessions: Vec<serde_json::Value>,
    /// The gateway that answers; null: it is the only one.
    pub here: Option<String>,
    /// false: the database does not answer, and only this gateway's are here.
    pub whole: bool,
}

/// Which of several gateways is asked; without, this one or the one that has the session.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AtWish {
    #[serde(default)]
    pub gateway: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Gateways {
    /// Whether several gateways can share this one's database.
    pub shared: bool,
    /// false: the database does not answer, and only this gateway is here.
    pub database: bool,
    pub gateways: Vec<GatewayState>,
}

/// One of the gateways of a database. Times are in milliseconds since 1970.
#[derive(Serialize, ToSchema)]
pub(super) struct GatewayState {
    pub name: String,
    /// The gateway that answers.
    pub here: bool,
    /// there, draining, or gone
    pub state: &'static str,
    /// null: it has not told of itself.
    pub version: Option<String>,
    /// As others reach it.
    pub address: String,
    pub started_at: Option<i64>,
    /// Its last sign of life.
    pub seen_at: i64,
    pub sessions: usize,
    pub viewers: usize,
    /// Hosts with a link there.
    pub hosts: usize,
    /// How many sessions it can have.
    pub most_sessions: usize,
    /// When it said so.
    pub told_at: Option<i64>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageWish {
    /// At most 1,000 bytes.
    pub text: String,
    /// One viewer; without, all of the session.
    #[serde(default)]
    pub viewer: Option<u64>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Told {
    pub viewers: usize,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EndWish {
    /// One viewer; without, all of the session.
    #[serde(default)]
    pub viewer: Option<u64>,
    /// What they are told; at most 200 bytes.
    #[serde(default)]
    pub reason: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Hosts {
    pub hosts: Vec<HostAt>,
    /// false: the database does not answer, and only links to this gateway are here.
    pub whole: bool,
}

/// A host, and the gateways that it has a link with.
#[derive(Serialize, ToSchema)]
pub(super) struct HostAt {
    #[serde(flatten)]
    #[schema(value_type = HostStatus)]
    pub status: serde_json::Value,
    pub gateways: Vec<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DrainWish {
    /// Whether it is to be given no new sessions.
    pub drained: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TerminateWish {
    /// What who looks is told; at most 200 bytes.
    #[serde(default)]
    pub reason: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct RemoteHosts {
    pub hosts: Vec<RemoteHostStatus>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct RemoteHostStatus {
    pub host: RemoteHost,
    /// It is in the gateway's configuration file, and is changed there.
    pub configured: bool,
    /// A password is kept; it is never shown.
    pub has_password: bool,
    /// live, waiting, elsewhere (at another gateway) or none, of the session that everybody shares
    pub state: &'static str,
    pub waiting_for: String,
    pub sessions: usize,
    /// Why it could not be started.
    pub problem: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RemoteHostWish {
    pub host: RemoteHost,
    /// Of shared credentials.
    #[serde(default)]
    pub password: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TestWish {
    pub host: RemoteHost,
    /// With whom to try where people sign in as themselves; without, only the certificate is looked at.
    #[serde(default)]
    pub user: String,
    #[serde(default)]
    pub password: Option<String>,
}

/// What was seen of a host.
#[derive(Serialize, ToSchema)]
pub(super) struct RemoteHostTest {
    pub ok: bool,
    /// Why no picture came.
    pub failure: Option<String>,
    /// The SHA-256 of its certificate.
    pub fingerprint: Option<String>,
    /// What was negotiated and received.
    pub lines: Vec<Seen>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Seen {
    pub name: &'static str,
    pub value: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Certificates {
    pub certificates: Vec<HostCertificate>,
}

/// A certificate that a host without chevet showed at first use.
#[derive(Serialize, ToSchema)]
pub(super) struct HostCertificate {
    /// rdp or vnc
    pub protocol: String,
    /// HOST:PORT
    pub host: String,
    /// The SHA-256, as hexadecimal digits.
    pub fingerprint: String,
    /// Milliseconds since 1970.
    pub first_at: i64,
    /// The gateway that saw it; empty: the only one.
    pub gateway: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct User {
    /// What is typed to sign in.
    pub name: String,
    pub title: String,
    /// user, auditor or administrator
    #[schema(value_type = String)]
    pub role: Role,
    pub enabled: bool,
    pub groups: Vec<String>,
    pub has_password: bool,
    pub has_totp: bool,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

impl From<store::User> for User {
    fn from(user: store::User) -> User {
        let store::User {
            id: _,
            name,
            title,
            role,
            enabled,
            groups,
            has_password,
            has_totp,
            created_at,
            home: _,
        } = user;
        User { name, title, role, enabled, groups, has_password, has_totp, created_at }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct Users {
    pub users: Vec<User>,
    /// Where the next page begins; null after the last one.
    pub next: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageWish {
    /// The `next` of the page before.
    #[serde(default)]
    pub after: String,
    /// 1 to 200.
    #[serde(default)]
    pub limit: Option<u32>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    pub name: String,
    #[serde(default)]
    pub title: String,
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    pub role: Option<Role>,
    #[serde(default)]
    pub groups: Vec<String>,
    /// Without one the user signs in by other means.
    #[serde(default)]
    pub password: Option<String>,
}

/// What is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserChange {
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    pub role: Option<Role>,
    #[serde(default)]
    pub groups: Option<Vec<String>>,
    /// Disabling ends what the user has open.
    #[serde(default)]
    pub enabled: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    pub password: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShadowWish {
    /// `{"secret": SHA-256 of a secret}` or `{"key": Ed25519 public key}`, in base64url.
    #[schema(value_type = Object)]
    pub holder: Holder,
}

/// How to watch.
#[derive(Serialize, ToSchema)]
pub(super) struct Watching {
    pub ticket: String,
    pub session: String,
    pub title: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct SignIn {
    pub id: String,
    pub method: String,
    pub seat: String,
    pub begun_at: i64,
    pub seen_at: i64,
    pub ends_at: i64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct SignIns {
    pub sign_ins: Vec<SignIn>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Ended {
    /// Sign-ins that ended.
    pub sign_ins: usize,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Audit {
    /// The journal keeps every record.
    pub healthy: bool,
    /// People are let in.
    pub admits: bool,
    /// Bytes that the repository has not taken yet.
    pub owed_bytes: u64,
    pub spool_full: bool,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Gateway {
    /// By which its rows of availability are known.
    pub name: Option<String>,
    pub site: Option<String>,
    pub version: &'static str,
    pub protocol: String,
    pub started_at: i64,
    pub now: i64,
    pub addresses: Vec<String>,
    pub udp_port: Option<u16>,
    pub tls: bool,
    pub sessions: usize,
    pub viewers: usize,
    /// By the road of their link.
    pub roads: Vec<ByRoad>,
    /// Resident; null where the system does not say.
    pub memory_bytes: Option<u64>,
    pub certificate: Certificate,
    pub store_up: bool,
    pub audit: Audit,
}

/// Of a stretch of time.
#[derive(Serialize, ToSchema)]
pub(super) struct Figures {
    pub attempts: i64,
    pub in_time: i64,
    pub late: i64,
    pub failed: i64,
    /// Of attempts with a usable screen in time, 0 to 1; null without attempts.
    pub share: Option<f64>,
    pub minutes: i64,
    pub minutes_degraded: i64,
    pub screen_p50_ms: Option<f64>,
    pub screen_p95_ms: Option<f64>,
    pub tap_p50_ms: Option<f64>,
    pub tap_p95_ms: Option<f64>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Stretch {
    /// The last 24 hours.
    pub day: Figures,
    /// The last 30 times 24 hours.
    pub month: Figures,
}

#[derive(Serialize, ToSchema)]
pub(super) struct AvailabilityOf {
    pub application: String,
    pub site: String,
    pub day: Figures,
    pub month: Figures,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Availability {
    pub now: i64,
    /// The hour since 1970 that runs, with which both stretches end.
    pub hour: i64,
    pub screen_target_ms: Option<u64>,
    pub tap_target_ms: Option<u64>,
    pub whole: Stretch,
    pub applications: Vec<AvailabilityOf>,
    /// 24, the oldest first.
    pub hours: Vec<Figures>,
    /// 30 of 24 hours, the oldest first.
    pub days: Vec<Figures>,
    /// Rows whose times could not be read.
    pub damaged: usize,
    /// This gateway's, since it started, the newest first, at most 100.
    pub takeovers: Vec<Takeover>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ByRoad {
    pub road: &'static str,
    pub viewers: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Certificate {
    pub self_signed: bool,
    /// Null if it cannot be read.
    pub ends_at: Option<i64>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct There {
    pub name: String,
    pub title: String,
    pub since: i64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Seat {
    pub name: String,
    pub zone: String,
    /// wedge: a tap opens and the next one locks; card: open while the card lies there
    pub mode: &'static str,
    pub created_at: i64,
    pub revoked_at: Option<i64>,
    /// When a badge last opened something there.
    pub used_at: Option<i64>,
    /// Whom a badge let in there, if somebody is there now.
    pub there: Option<There>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Seats {
    pub seats: Vec<Seat>,
    /// Where the next page begins; null after the last one.
    pub next: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSeat {
    pub name: String,
    /// Without one, "main".
    #[serde(default)]
    pub zone: Option<String>,
    /// wedge or card; without, wedge.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    pub mode: store::SeatMode,
}

#[derive(Serialize, ToSchema)]
pub(super) struct SeatCode {
    /// For `chevet seat enrol`, once.
    pub code: String,
    pub ends_at: i64,
}

/// A badge, by a name that is not its number: the number is not kept.
#[derive(Serialize, ToSchema)]
pub(super) struct Badge {
    pub id: String,
    pub created_at: i64,
    pub revoked_at: Option<i64>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Badges {
    pub badges: Vec<Badge>,
    pub has_pin: bool,
    /// So many PINs were wrong that a new one must be set.
    pub pin_is_blocked: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewBadge {
    /// As its reader gives it. Told to nobody again.
    pub number: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct NamedBadge {
    pub id: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPin {
    /// 4 to 12 digits.
    pub pin: String,
}

/// The recordings that are kept, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct KeptRecordings {
    pub recordings: Vec<crate::recording::Kept>,
}
