//! What a site is told of another one's accounts, page by page, and what of it is taken.

use crate::identity::{MAX_USER_NAME, is_title, user_name};
use serde::{Deserialize, Serialize};

/// Changes on one page.
pub const MOST_CHANGES: usize = 200;
/// Used one-time codes that are told at once.
pub const MOST_CODES: usize = 500;
/// No page, request or answer between sites is longer, in bytes.
pub const MOST_BYTES: usize = 512 << 10;
const MOST_GROUPS: usize = 64;
/// A hash or secret is at most so long, in bytes.
const MOST_VERIFIER: usize = 512;
const MOST_ID: usize = 64;
const MOST_TERMS: usize = 64;
/// What checking a password may cost: memory in KiB, passes over it, lanes.
const MOST_KIB: u32 = 65_536;
const MOST_PASSES: u32 = 8;
const MOST_LANES: u32 = 4;

/// Asks for the changes after this version, and tells which codes people of the site that is asked have used here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskPage {
    pub since: i64,
    /// The terms of what is known up to then, as they were told with it; others: it is told anew from the beginning.
    #[serde(default)]
    pub terms: String,
    #[serde(default)]
    pub used: Vec<UsedCode>,
    /// The accounts that are asked for at each sign-in and are known here: how are they now?
    #[serde(default)]
    pub asked: Vec<String>,
}

/// The step of a one-time code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsedCode {
    pub id: String,
    pub step: i64,
}

/// Changes in the order of their versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    pub changes: Vec<Change>,
    /// Whether there are more after these.
    pub more: bool,
    /// It is told anew from the beginning: the terms are others, or the site's database is an older one.
    #[serde(default)]
    pub restarted: bool,
    /// By what it is decided which accounts are told of.
    #[serde(default)]
    pub terms: String,
    /// Whether the site is asked whenever one of its people signs in elsewhere.
    #[serde(default)]
    pub ask: bool,
    /// The accounts that were asked for, as they are, from the first one on as many as have room; their versions mean nothing.
    #[serde(default)]
    pub asked: Vec<Change>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub version: i64,
    /// Of its home.
    pub id: String,
    /// None: it is not, or no longer, shared with the site that asks.
    pub account: Option<Account>,
}

/// What is copied of an account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    pub name: String,
    pub title: String,
    pub enabled: bool,
    pub groups: Vec<String>,
    /// A PHC string.
    pub password: Option<String>,
    /// The secret of one-time codes, in base64url, and the newest step that was used.
    pub totp: Option<String>,
    #[serde(default)]
    pub totp_step: i64,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account({:?})", self.name)
    }
}

/// Why a page is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    #[error("a page with {0} changes; there are at most {MOST_CHANGES}")]
    TooMany(usize),
    #[error("a page whose versions do not grow: {0} after {1}")]
    Order(i64, i64),
    #[error("a page that says there are more after it, and has none")]
    Endless,
    #[error("terms that are too long")]
    Terms,
    #[error("an account that cannot be one: {0}")]
    Account(&'static str),
}

/// What a page holds besides its accounts, in bytes.
const FRAME: usize = 1 << 10;

/// What still has room on a page.
pub struct Room {
    left: usize,
}

impl Room {
    pub fn of_page() -> Room {
        Room { left: MOST_BYTES - FRAME }
    }

    /// Whether a change goes on the page, after which there is less room. A page takes many of the largest accounts that
    /// can be: the first one always has room.
    pub fn takes(&mut self, change: &Change) -> bool {
        let bytes = serde_json::to_vec(change).map_or(usize::MAX, |text| text.len() + 1);
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

impl Account {
    pub fn fault(&self) -> Option<&'static str> {
        match () {
            () if user_name(&self.name).as_deref() != Some(&self.name) => Some("its name"),
            () if !is_title(&self.title) => Some("its title"),
            () if self.groups.len() > MOST_GROUPS || !self.groups.iter().all(|group| is_title(group)) => {
                Some("its groups")
            }
            () if [&self.password, &self.totp]
                .into_iter()
                .flatten()
                .any(|text| text.is_empty() || text.len() > MOST_VERIFIER) =>
            {
                Some("what it is proven by")
            }
            () if self.password.as_ref().is_some_and(|text| !is_bearable(text)) => {
                Some("its password's hash")
            }
            () if self.totp_step < 0 => Some("its step"),
            () => None,
        }
    }
}

/// Whether checking a password against this hash costs no more than it should: what it costs stands in the hash.
fn is_bearable(hash: &str) -> bool {
    let mut parts = hash.split('$').skip(1);
    let (kind, version, costs) = (parts.next(), parts.next(), parts.next().unwrap_or_default());
    let cost = |name: &str, most: u32| {
        let told = costs.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        told.and_then(|told| told.parse::<u32>().ok()).is_some_and(|told| (1..=most).contains(&told))
    };
    kind == Some("argon2id")
        && version == Some("v=19")
        && costs.split(',').count() == 3
        && cost("m", MOST_KIB)
        && cost("t", MOST_PASSES)
        && cost("p", MOST_LANES)
}

impl Page {
    /// Whether this can follow what is known up to `since`. Returns up to where it is known then.
    pub fn check(&self, since: i64) -> Result<i64, PageError> {
        if self.changes.len() > MOST_CHANGES {
            return Err(PageError::TooMany(self.changes.len()));
        }
        if self.asked.len() > MOST_CODES {
            return Err(PageError::TooMany(self.asked.len()));
        }
        if self.terms.len() > MOST_TERMS {
            return Err(PageError::Terms);
        }
        let mut known = since;
        for change in &self.changes {
            if change.version <= known {
                return Err(PageError::Order(change.version, known));
            }
            known = change.version;
        }
        for change in self.changes.iter().chain(&self.asked) {
            if change.id.is_empty() || change.id.len() > MOST_ID {
                return Err(PageError::Account("its id"));
            }
            if let Some(fault) = change.account.as_ref().and_then(Account::fault) {
                return Err(PageError::Account(fault));
            }
        }
        if self.more && self.changes.is_empty() {
            return Err(PageError::Endless);
        }
        Ok(known)
    }
}

/// What another site's user is called here: `anne@north`. `None`: too long for a name.
pub fn copy_name(name: &str, home: &str) -> Option<String> {
    let full = format!("{name}@{}", home.to_lowercase());
    (full.len() <= MAX_USER_NAME).then_some(full)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::MAX_TITLE;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn account(name: &str) -> Account {
        Account {
            name: name.into(),
            title: name.into(),
            enabled: true,
            groups: vec!["nurses".into()],
            password: Some("$argon2id$v=19$m=19456,t=2,p=1$salt$hash".into()),
            totp: None,
            totp_step: 0,
        }
    }

    fn change(version: i64, id: &str, account: Option<Account>) -> Change {
        Change { version, id: id.into(), account }
    }

    #[test]
    fn a_page_that_is_too_long_goes_back_or_never_ends_is_not_taken() {
        let page = |changes: Vec<Change>, more| Page { changes, more, ..Page::default() };
        assert_eq!(page(vec![], false).check(5), Ok(5));
        assert_eq!(
            page(vec![change(6, "a", None), change(9, "b", Some(account("anne")))], true).check(5),
            Ok(9)
        );
        assert_eq!(page(vec![change(5, "a", None)], false).check(5), Err(PageError::Order(5, 5)));
        assert_eq!(page(vec![], true).check(5), Err(PageError::Endless));
        let many = (1..=201).map(|version| change(version, "a", None)).collect();
        assert_eq!(page(many, false).check(0), Err(PageError::TooMany(201)));
        for absurd in [
            Account { name: "Anne".into(), ..account("anne") },
            Account { name: "a b".into(), ..account("anne") },
            Account { title: String::new(), ..account("anne") },
            Account { groups: vec!["g".into(); 65], ..account("anne") },
            Account { password: Some("plain".into()), ..account("anne") },
            Account { password: Some("$argon2id$v=19$m=4194304,t=2,p=1$s$h".into()), ..account("anne") },
            Account { password: Some("$argon2id$v=19$m=19456,t=2,m=9$s$h".into()), ..account("anne") },
            Account { totp: Some("x".repeat(513)), ..account("anne") },
            Account { totp_step: -1, ..account("anne") },
        ] {
            let refused = page(vec![change(1, "a", Some(absurd))], false).check(0);
            assert!(matches!(refused, Err(PageError::Account(_))));
        }
    }

    #[test]
    fn a_page_of_the_largest_accounts_that_can_be_is_no_longer_than_an_answer_may_be() {
        let largest = Account {
            name: "é".repeat(MAX_USER_NAME / 2),
            // Nothing takes more bytes than what is escaped.
            title: "\"".repeat(MAX_TITLE),
            groups: vec!["\\".repeat(MAX_TITLE); MOST_GROUPS],
            password: Some(format!("{}{}", "$argon2id$v=19$m=19456,t=2,p=1$", "\"".repeat(480))),
            totp: Some("\"".repeat(MOST_VERIFIER)),
            totp_step: i64::MAX,
            enabled: false,
        };
        assert_eq!(largest.fault(), None);
        let (mut page, mut room) =
            (Page { terms: "\"".repeat(MOST_TERMS), ..Page::default() }, Room::of_page());
        let id = "\"".repeat(MOST_ID);
        page.changes.extend(
            (1..).map(|n| change(i64::MAX - n, &id, Some(largest.clone()))).take_while(|it| room.takes(it)),
        );
        assert!(page.changes.len() > 20, "{} on a page", page.changes.len());
        // Smaller ones have what room is left.
        page.asked.extend((1..).map(|n| change(n, &id, None)).take_while(|it| room.takes(it)));
        let bytes = serde_json::to_vec(&page).unwrap().len();
        assert!((MOST_BYTES - 2 * FRAME..=MOST_BYTES).contains(&bytes), "{bytes}");
    }

    proptest! {
        /// A home that changes accounts while another site reads page by page, and is cut off anywhere.
        #[test]
        fn whatever_changes_between_pages_the_copy_is_in_the_end_what_its_home_is(
            steps: Vec<(u8, bool, bool)>, size in 1usize..5,
        ) {
            let mut home: BTreeMap<String, (i64, Option<String>)> = BTreeMap::new();
            let mut copy: BTreeMap<String, String> = BTreeMap::new();
            let (mut version, mut known) = (0, 0);
            let read = |home: &BTreeMap<String, (i64, Option<String>)>, known: i64| {
                let mut changes: Vec<Change> = home
                    .iter()
                    .filter(|(_, (version, _))| *version > known)
                    .map(|(id, (version, name))| change(*version, id, name.as_deref().map(account)))
                    .collect();
                changes.sort_by_key(|change| change.version);
                let more = changes.len() > size;
                changes.truncate(size);
                Page { changes, more, ..Page::default() }
            };
            let mut take = |page: &Page, known: &mut i64| {
                *known = page.check(*known).unwrap();
                for change in &page.changes {
                    match &change.account {
                        Some(account) => copy.insert(change.id.clone(), account.name.clone()),
                        None => copy.remove(&change.id),
                    };
                }
            };
            for (who, stays, pulls) in steps {
                version += 1;
                let name = stays.then(|| format!("n{version}"));
                home.insert(format!("u{}", who % 6), (version, name));
                if pulls {
                    take(&read(&home, known), &mut known);
                }
            }
            loop {
                let page = read(&home, known);
                take(&page, &mut known);
                if !page.more {
                    break;
                }
            }
            let wanted: BTreeMap<String, String> =
                home.into_iter().filter_map(|(id, (_, name))| Some((id, name?))).collect();
            prop_assert_eq!(copy, wanted);
        }
    }
}
