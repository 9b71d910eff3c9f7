//! The user of a person whom something other than a password has proven: the one who is bound, or one who is bound now.

use super::new_id;
use crate::store::{NewUser, Role, Store, StoreError, User};
use std::collections::BTreeSet;

/// Why a person who is proven is nobody here. To strangers all of them are the same.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("nobody here is bound to this person, and the configuration makes no new users")]
    Unknown,
    #[error("the name {0:?} belongs to another user here")]
    NameTaken(String),
    #[error("the user is disabled")]
    Disabled,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A person as this gateway would call them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    pub name: String,
    pub title: String,
    /// Of the groups that whoever proved them decides about, those the person is in.
    pub groups: Vec<String>,
}

/// Who was proven, by whom, and what that may change here.
pub struct Newcomer<'a> {
    pub issuer: &'a str,
    pub subject: &'a str,
    pub who: &'a Who,
    /// Whether who is called as a user here is that user, at the first time.
    pub link: bool,
    /// Whether who is not known is made a user.
    pub create: bool,
    /// The groups that are decided about; none: groups are left alone.
    pub decided: BTreeSet<&'a String>,
    /// By what, for the records.
    pub method: &'a str,
}

/// A user, and what was changed to know them.
pub struct Known {
    pub user: User,
    pub changes: Vec<String>,
}

impl Who {
    /// The groups that a user has from now on: those that are decided about by what was proven, and the others as they were.
    pub fn groups_from(&self, has: &[String], decided: &BTreeSet<&String>) -> Vec<String> {
        let own = has.iter().filter(|group| !decided.contains(group));
        let all: BTreeSet<&String> = own.chain(&self.groups).collect();
        all.into_iter().cloned().collect()
    }
}

impl Newcomer<'_> {
    /// Finds the user by issuer and subject, never by a name alone. Who is not bound is linked or made only if that is
    /// allowed.
    pub async fn known(&self, store: &Store, now_ms: i64) -> Result<Known, AccountError> {
        let (issuer, subject, name) = (self.issuer, self.subject, &self.who.name);
        let mut changes = Vec::new();
        let user = match store.user_bound_to(issuer, subject).await? {
            Some(user) => user,
            None => match store.user_named(name).await? {
                Some(user) => {
                    // Whoever is one subject of an issuer is not another one too.
                    // Whose home is another site is that site's alone to know.
                    if !self.link || !user.home.is_empty() || store.is_bound_at(issuer, &user.id).await? {
                        return Err(AccountError::NameTaken(name.clone()));
                    }
                    if user.enabled {
                        store.bind_identity(issuer, subject, &user.id, now_ms).await?;
                        changes.push(format!("linked to {subject} of {issuer}"));
                    }
                    user
                }
                None if self.create => {
                    let user = self.make(store, now_ms).await?;
                    changes.push(format!("created for {subject} of {issuer}"));
                    user
                }
                None => return Err(AccountError::Unknown),
            },
        };
        if !user.enabled {
            return Err(AccountError::Disabled);
        }
        let groups = self.who.groups_from(&user.groups, &self.decided);
        if self.decided.is_empty() || groups == user.groups {
            return Ok(Known { user, changes });
        }
        store.set_groups(&user.id, &groups).await?;
        changes.push(format!("groups by {}: {}", self.method, groups.join(", ")));
        Ok(Known { user: User { groups, ..user }, changes })
    }

    async fn make(&self, store: &Store, now_ms: i64) -> Result<User, AccountError> {
        let Who { name, title, .. } = self.who;
        let id = new_id();
        let user = NewUser { id: &id, name, title, role: Role::User, groups: &[] };
        match store.add_bound_user(&user, self.issuer, self.subject, now_ms).await {
            // The same person at the same time in two places is made once.
            Ok(()) | Err(StoreError::Taken(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let made = store.user_bound_to(self.issuer, self.subject).await?;
        made.ok_or_else(|| AccountError::NameTaken(name.clone()))
    }
}
