//! Hearing what changed of another site's accounts, and what follows from it here.

use super::call::{Problem, distance};
use super::{Peer, Sites};
use crate::audit::{Event, Record};
use crate::clock;
use crate::gateway::{Shared, admin};
use crate::identity::{TotpSecret, new_id, sha256_hex};
use crate::site::{Account, AskPage, Change, MOST_CODES, Page, UsedCode, copy_name};
use crate::store::{ASKED, AccountCopy, Store, StoreError, User};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const PULL_EVERY: Duration = Duration::from_secs(4);
/// The same while there are more asked accounts to look at than are asked for at once.
const LOOK_ON: Duration = Duration::from_secs(1);
/// Pages that are read at a stretch; a site that has more to tell waits until the next time.
const MOST_PAGES: usize = 512;
/// A site's accounts are at most so many here.
pub(super) const MOST_ACCOUNTS: usize = 100_000;
/// How many pulls there are between two looks at all of a site's gateways.
const LOOK_AT_ALL: u32 = 15;
/// Whoever hears a site does so until this long after its last page.
const TURN_MS: i64 = 30_000;
/// Codes older than this many steps are of no use to anybody.
const CODES_LAST: i64 = 20;
const STEP_MS: i64 = 30_000;

/// Follows a site for ever: its accounts are pulled, and it is told which of its sign-ins are over.
pub(in crate::gateway) async fn follow(shared: Arc<Shared>, sites: Arc<Sites>, at: usize) {
    let Some(peer) = sites.peers.get(at).cloned() else { return };
    let site = peer.config.name.as_str();
    let (mut is_cut, mut round, puller) = (None, 0u32, new_id());
    // Up to which one all asked accounts were looked at.
    let mut looked_at = String::new();
    loop {
        if round.is_multiple_of(LOOK_AT_ALL) && peer.config.gateways.len() > 1 {
            look_at_all(&peer).await;
        }
        round = round.wrapping_add(1);
        let pulled = pull(&shared, &sites, &peer, &puller, &mut looked_at).await;
        if is_cut != Some(pulled.is_err()) {
            match &pulled {
                Ok(()) => tracing::info!(site, "the site is heard"),
                Err(error) => tracing::warn!(site, %error, "the site is not heard"),
            }
            is_cut = Some(pulled.is_err());
        }
        let pause = if pulled.is_ok() && !looked_at.is_empty() { LOOK_ON } else { PULL_EVERY };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = peer.ended.notified() => {}
        }
    }
}

async fn look_at_all(peer: &Peer) {
    for gateway in &peer.config.gateways {
        match distance(gateway).await {
            Some(took) => peer.nearest().answered(gateway, took),
            None => peer.nearest().did_not_answer(gateway),
        }
    }
}

/// Hears what changed since the last time, and how some of the accounts are that are asked for: those after `looked_at`, which
/// is then where to go on, or empty.
async fn pull(
    shared: &Arc<Shared>,
    sites: &Sites,
    peer: &Peer,
    puller: &str,
    looked_at: &mut String,
) -> Result<(), Problem> {
    let Some(people) = &shared.people else { return Ok(()) };
    let store = people.identity().store();
    let site = peer.config.name.as_str();
    let mut call = sites.call(peer).await?;
    for visit in store.visits_that_are_over(site, clock::unix_ms()).await? {
        let _: Value = call.ask("/api/site/sign-out", &json!({"there": visit.there})).await?;
        store.forget_visit(&visit).await?;
    }
    let before = store.site_pulled(site).await?;
    // What both sites decide by: if either is another than before, all is heard anew.
    let ours = sha256_hex(peer.config.accept_groups.join("\n").as_bytes());
    let (theirs, known_ours) = before.terms.split_once('/').unwrap_or_default();
    let terms = if known_ours == &ours[..16] { theirs.to_owned() } else { String::new() };
    let recent = clock::unix_ms() / STEP_MS - CODES_LAST;
    let used = store.codes_used_by(site, recent, MOST_CODES as u32).await?;
    let used = used.into_iter().map(|(id, step)| UsedCode { id, step }).collect();
    let asked = store.asked_accounts(site, looked_at, MOST_CODES as u32).await?;
    let look_on = asked.last().filter(|_| asked.len() == MOST_CODES).cloned().unwrap_or_default();
    let mut wish = AskPage { since: before.version, terms, used, asked };
    // What is heard from the beginning counts once all of it was: then what was not among it is gone.
    let mut anew = before.version == 0;
    let mut looks = true;
    for _ in 0..MOST_PAGES {
        let begun = clock::unix_ms();
        let is_mine = store.take_turn(site, puller, begun, begun + TURN_MS).await?;
        let page: Page = call.ask("/api/site/accounts", &wish).await?;
        let upto = page.check(wish.since).map_err(|error| Problem::Absurd(error.to_string()))?;
        peer.wants_to_be_asked.store(page.ask, Ordering::Relaxed);
        // Another gateway on this database hears the site: all that is told is in there soon.
        if !is_mine {
            looked_at.clear();
            return Ok(());
        }
        let terms = format!("{}/{}", page.terms, &ours[..16]);
        if page.restarted {
            if wish.terms == page.terms && wish.since == 0 {
                return Err(Problem::Absurd("it begins anew again and again".into()));
            }
            store.forget_site_version(site).await?;
            (anew, looks) = (true, false);
            wish = AskPage { since: 0, terms: page.terms, ..AskPage::default() };
            continue;
        }
        for change in &page.changes {
            take(shared, sites, peer, change, false).await?;
        }
        for change in &page.asked {
            take(shared, sites, peer, change, true).await?;
        }
        if looks {
            // It is told of as many as have room on the page; of none, if it does not want to be asked.
            let is_cut = (1..wish.asked.len()).contains(&page.asked.len());
            let last = wish.asked.get(page.asked.len().wrapping_sub(1)).filter(|_| is_cut);
            looked_at.clone_from(last.unwrap_or(&look_on));
            looks = false;
        }
        if anew && !page.more {
            for id in store.copies_not_heard_of(site).await? {
                take(shared, sites, peer, &Change { version: upto, id, account: None }, false).await?;
            }
        }
        if !anew || !page.more {
            store.note_pulled(site, upto, (!page.more).then_some(begun), &terms).await?;
        }
        if !page.more {
            return Ok(());
        }
        wish = AskPage { since: upto, terms: page.terms, ..AskPage::default() };
    }
    Ok(())
}

/// Makes a copy what its home says.
async fn take(
    shared: &Arc<Shared>,
    sites: &Sites,
    peer: &Peer,
    change: &Change,
    asked: bool,
) -> Result<(), Problem> {
    let Some(people) = &shared.people else { return Ok(()) };
    let store = people.identity().store();
    let known = store.copy_of(&peer.config.name, &change.id).await?;
    match (&change.account, known) {
        (None, None) => Ok(()),
        (None, Some((user, _))) => {
            end_all(shared, &user, "its own site has the account no longer, or not for this one").await;
            store.remove_user(&user.id).await?;
            record(shared, &user, "removed at its own site");
            Ok(())
        }
        // Who never signed in here need not be known.
        (Some(_), None) if asked => Ok(()),
        (Some(account), known) => {
            let version = if asked { ASKED } else { change.version };
            if known.is_none() && store.count_copies(&peer.config.name).await? >= MOST_ACCOUNTS {
                return Err(Problem::Absurd(format!("it has more than {MOST_ACCOUNTS} accounts")));
            }
            let known_id = known.as_ref().map(|(user, _)| user.id.as_str());
            if let Err(error) = keep(sites, store, peer, &change.id, account, version, known_id).await? {
                tracing::warn!(site = peer.config.name, user = account.name, error, "an account is left out");
            }
            if let Some((user, password)) = known {
                let locked = user.enabled && !account.enabled;
                let other_password = password.is_some() && password != account.password;
                let ends = match (locked, other_password) {
                    (true, _) => Some("locked at its own site"),
                    (_, true) => Some("has a new password at its own site"),
                    _ => None,
                };
                if let Some(reason) = ends {
                    end_all(shared, &user, reason).await;
                    record(shared, &user, reason);
                }
            }
            Ok(())
        }
    }
}

/// Keeps a copy; `Ok(Err)`: why it is left out.
pub(super) async fn keep(
    sites: &Sites,
    store: &Store,
    peer: &Peer,
    home_id: &str,
    account: &Account,
    version: i64,
    known_id: Option<&str>,
) -> Result<Result<String, String>, StoreError> {
    let home = peer.config.name.as_str();
    let Some(name) = copy_name(&account.name, home) else {
        return Ok(Err("its name with its site's is too long".into()));
    };
    let id = known_id.map_or_else(new_id, str::to_owned);
    let totp = account.totp.as_deref().map(|secret| TotpSecret::seal_told(secret, &id, &sites.keys));
    if totp.as_ref().is_some_and(Option::is_none) {
        return Ok(Err("the secret of its one-time codes cannot be read".into()));
    }
    let (groups, totp) = (peer.accepted(&account.groups), totp.flatten());
    let copy = AccountCopy {
        id: &id,
        name: &name,
        title: &account.title,
        enabled: account.enabled,
        groups: &groups,
        password: account.password.as_deref(),
        totp: totp.as_deref(),
        totp_step: account.totp_step,
        home,
        home_id,
        home_name: &account.name,
        version,
    };
    match store.keep_copy(&copy, clock::unix_ms()).await {
        Ok(()) => Ok(Ok(id.clone())),
        Err(error @ StoreError::Taken(_)) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

async fn end_all(shared: &Arc<Shared>, user: &User, reason: &str) {
    let Some(people) = &shared.people else { return };
    if admin::end_all(shared, people, user, reason).await.is_err() {
        tracing::warn!(user = user.name, "what a user of another site has open could not be ended");
    }
}

fn record(shared: &Shared, user: &User, change: &str) {
    let (changed_user, change) = (user.name.as_str().into(), change.into());
    shared.audit.record(Record::new(Event::UserChanged { changed_user, change }));
}
