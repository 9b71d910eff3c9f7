//! What gateways tell administrators of themselves, and what administrators at one gateway ask of another: rows of the
//! database, announced, and looked for at every beat.

use super::super::Shared;
use super::super::admin::{self, Act, Asker, Done, View};
use super::{Address, LASTS, Siblings, Told, in_time, opens};
use crate::clock;
use crate::identity::{Person, new_id};
use crate::store::{GatewayRow, Order, Role};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// A gateway tells of itself when somebody looks, and so often in any case.
const TELLS_EVERY: Duration = Duration::from_secs(15);
/// What was told so recently is new.
const NEW: Duration = Duration::from_millis(500);
/// Whoever looks waits so long for what is new.
const LOOKS_FOR: Duration = Duration::from_millis(700);
/// A gateway that was asked has so long to begin, and to do what administrators want.
const ANSWERS_WITHIN: Duration = Duration::from_secs(6);
const LOOK_AGAIN: Duration = Duration::from_millis(40);
/// Bytes of what a gateway tells.
const MOST_BYTES: usize = 4 << 20;

/// What all gateways say of themselves.
pub(in super::super) struct Views {
    pub rows: Vec<Seen>,
}

/// A gateway, as the database has it.
pub(in super::super) struct Seen {
    pub name: String,
    pub own: bool,
    pub there: bool,
    pub draining: bool,
    /// As others reach it.
    pub address: String,
    pub silent_ms: i64,
    /// What it said, so many milliseconds ago.
    pub view: Option<View>,
    pub view_ms: i64,
}

/// What came of something that was asked of another gateway.
pub(in super::super) enum Ordered {
    Done(Done),
    NoGateway,
    NoDatabase,
    Silent { begun: bool },
}

/// Who asks what of another gateway.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Wish {
    /// An administrator, who asked the gateway `at`.
    Act { at: String, sign_in: String, from: IpAddr, act: Act },
    /// Somebody who is to have a session of this application.
    Open { sign_in: String, open: String },
}

/// Why nothing is known of what was asked of another gateway.
pub(super) enum Unanswered {
    NoDatabase,
    Silent { begun: bool },
}

impl Siblings {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// This gateway is to go.
    pub fn ask_own_drain(&self) {
        self.drain_asked.notify_one();
    }

    async fn rows(&self) -> Result<Vec<GatewayRow>, String> {
        in_time(self.store.gateway_rows(LASTS.as_millis() as i64)).await
    }

    /// Asks the others to tell of themselves, and waits a little for it. `None`: the database does not answer.
    pub async fn views(&self) -> Option<Views> {
        in_time(self.tell(&Told::Look)).await.ok()?;
        let end = Instant::now() + LOOKS_FOR;
        loop {
            let rows = self.rows().await.ok()?;
            let old = |row: &GatewayRow| {
                let there = row.silent_ms < LASTS.as_millis() as i64 && row.start_id != self.start_id;
                there && !(0..NEW.as_millis() as i64).contains(&row.view_ms)
            };
            if Instant::now() >= end || !rows.iter().any(old) {
                return Some(Views { rows: rows.into_iter().map(|row| self.seen(row)).collect() });
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    fn seen(&self, row: GatewayRow) -> Seen {
        let address = serde_json::from_str::<Address>(&row.address);
        Seen {
            own: row.start_id == self.start_id,
            there: row.silent_ms < LASTS.as_millis() as i64,
            draining: row.draining != 0,
            address: address.map(|it| format!("{}:{}", it.host, it.tcp_port)).unwrap_or_default(),
            silent_ms: row.silent_ms,
            view: serde_json::from_str(&row.view).ok(),
            view_ms: row.view_ms,
            name: row.name,
        }
    }

    /// Has another gateway do something, and waits for what comes of it.
    pub async fn order(&self, name: &str, asker: &Asker, act: &Act) -> Ordered {
        let Ok(rows) = self.rows().await else { return Ordered::NoDatabase };
        let there = |row: &&GatewayRow| row.name == name && row.silent_ms < LASTS.as_millis() as i64;
        let Some(row) = rows.iter().find(there) else { return Ordered::NoGateway };
        let sign_in = asker.person.sign_in.id.clone();
        let wish = Wish::Act { at: self.name.clone(), sign_in, from: asker.from, act: act.clone() };
        match self.ask(&row.start_id, &wish, ANSWERS_WITHIN).await {
            Ok(done) => Ordered::Done(done),
            Err(Unanswered::NoDatabase) => Ordered::NoDatabase,
            Err(Unanswered::Silent { begun }) => Ordered::Silent { begun },
        }
    }

    /// Asks something of the gateway of this start, which has to begin with it soon, and waits for the answer.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        start_id: &str,
        wish: &Wish,
        answers_within: Duration,
    ) -> Result<T, Unanswered> {
        let order = Order { id: new_id(), text: serde_json::to_string(wish).unwrap_or_default() };
        let asked = async {
            self.store.order_gateway(&order, start_id, ANSWERS_WITHIN.as_millis() as i64).await?;
            self.tell(&Told::Orders(start_id.to_owned())).await
        };
        if in_time(asked).await.is_err() {
            return Err(Unanswered::NoDatabase);
        }
        let begun = Instant::now();
        // Who is to answer may die; whether they have is known by then.
        let waits = || begun.elapsed() < LASTS || self.is_there(start_id);
        while begun.elapsed() < answers_within && waits() {
            let answer = in_time(self.store.order_answer(&order.id)).await.unwrap_or_default();
            if let Ok(answer) = serde_json::from_str(&answer) {
                let _ = in_time(self.store.withdraw_order(&order.id)).await;
                return Ok(answer);
            }
            sleep(LOOK_AGAIN).await;
        }
        let begun = in_time(self.store.withdraw_order(&order.id)).await.unwrap_or(true);
        Err(Unanswered::Silent { begun })
    }

    /// Somebody looks at this gateway from another one.
    pub(super) fn is_looked_at(&self) {
        self.looked_at.notify_one();
    }
}

/// Tells of this gateway, for as long as it runs.
pub(in super::super) async fn tell_of_itself(shared: Arc<Shared>, siblings: Arc<Siblings>) {
    loop {
        let mut view = admin::own_view(&shared).await;
        let mut text = serde_json::to_string(&view).unwrap_or_default();
        while text.len() > MOST_BYTES && !view.sessions.is_empty() {
            view.sessions.truncate(view.sessions.len() / 2);
            text = serde_json::to_string(&view).unwrap_or_default();
        }
        // That the database is away is told elsewhere.
        let _ = in_time(siblings.store.keep_gateway_view(&siblings.name, &siblings.start_id, &text)).await;
        tokio::select! {
            () = siblings.looked_at.notified() => {}
            () = sleep(TELLS_EVERY) => {}
        }
    }
}

/// Does what is asked of this gateway at others: each once.
pub(super) async fn obey(shared: &Arc<Shared>, siblings: &Arc<Siblings>) {
    for order in in_time(siblings.store.take_orders(&siblings.start_id)).await.unwrap_or_default() {
        let (shared, siblings) = (shared.clone(), siblings.clone());
        tokio::spawn(async move {
            let text = match serde_json::from_str(&order.text) {
                Ok(Wish::Act { at, sign_in, from, act }) => {
                    answer(&act_on(&shared, at, &sign_in, from, act).await)
                }
                Ok(Wish::Open { sign_in, open }) => {
                    let person = signed_in(&shared, &sign_in).await;
                    answer(&opens::open(&shared, person.as_ref(), &open).await)
                }
                Err(_) => answer(&unknown()),
            };
            if let Err(error) = in_time(siblings.store.answer_order(&order.id, &text)).await {
                tracing::warn!(error, "another gateway could not be told what came of what it asked");
            }
        });
    }
}

fn answer(answer: &impl Serialize) -> String {
    serde_json::to_string(answer).unwrap_or_default()
}

fn unknown() -> Done {
    let reason = "this gateway does not know what is asked: it may be of another version";
    Done::refused(StatusCode::NOT_IMPLEMENTED, "unknown", reason)
}

async fn act_on(shared: &Shared, at: String, sign_in: &str, from: IpAddr, act: Act) -> Done {
    let person = signed_in(shared, sign_in).await;
    match person.filter(|person| person.user.role == Role::Administrator) {
        Some(person) => admin::here(shared, &Asker { person, from, at: Some(at) }, act).await,
        None => Done::refused(StatusCode::FORBIDDEN, "role", "your role does not allow this"),
    }
}

/// The other gateway's word is not enough: who asks must be signed in, and may still do so.
async fn signed_in(shared: &Shared, sign_in: &str) -> Option<Person> {
    let identity = shared.people.as_ref()?.identity();
    let now = clock::unix_ms();
    let user = in_time(identity.still_there(sign_in, now)).await.ok()??;
    let sign_in = in_time(identity.store().sign_in_by_id(sign_in, 0, now)).await.ok()??;
    Some(Person { user, sign_in })
}
