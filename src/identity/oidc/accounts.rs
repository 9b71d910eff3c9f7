//! The user of a person whom a provider has proven: the one who is bound, or one who is bound now.

use super::config::ProviderConfig;
use super::provider::Proven;
use super::{OidcError, Who};
use crate::identity::new_id;
use crate::store::{NewUser, Role, Store, StoreError, User};

/// A user, and what was changed to know them.
pub struct Known {
    pub user: User,
    pub changes: Vec<String>,
}

/// Finds the user by issuer and subject, never by a name alone. Who is not bound is linked or made only if the
/// configuration says so.
pub async fn known_user(
    store: &Store,
    config: &ProviderConfig,
    proven: &Proven,
    now_ms: i64,
) -> Result<Known, OidcError> {
    let (issuer, subject, who) = (config.issuer.as_str(), proven.subject.as_str(), &proven.who);
    let mut changes = Vec::new();
    let user = match store.user_bound_to(issuer, subject).await? {
        Some(user) => user,
        None => match store.user_named(&who.name).await? {
            Some(user) => {
                // Whoever is one subject of the provider is not another one too.
                if !config.link || store.is_bound_at(issuer, &user.id).await? {
                    return Err(OidcError::NameTaken(who.name.clone()));
                }
                if user.enabled {
                    store.bind_identity(issuer, subject, &user.id, now_ms).await?;
                    changes.push(format!("linked to {subject} of {issuer}"));
                }
                user
            }
            None if config.create => {
                let user = make(store, issuer, subject, who, now_ms).await?;
                changes.push(format!("created for {subject} of {issuer}"));
                user
            }
            None => return Err(OidcError::Unknown),
        },
    };
    if !user.enabled {
        return Err(OidcError::Disabled);
    }
    let groups = who.groups_from(&user.groups, config);
    let regrouped = config.groups_claim.is_some() && groups != user.groups;
    if !regrouped {
        return Ok(Known { user, changes });
    }
    store.set_groups(&user.id, &groups).await?;
    changes.push(format!("groups by {}: {}", config.method(), groups.join(", ")));
    Ok(Known { user: User { groups, ..user }, changes })
}

async fn make(store: &Store, issuer: &str, subject: &str, who: &Who, now_ms: i64) -> Result<User, OidcError> {
    let id = new_id();
    let user = NewUser { id: &id, name: &who.name, title: &who.title, role: Role::User, groups: &[] };
    match store.add_bound_user(&user, issuer, subject, now_ms).await {
        // The same person at the same time in two browsers is made once.
        Ok(()) | Err(StoreError::Taken(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let made = store.user_bound_to(issuer, subject).await?;
    made.ok_or_else(|| OidcError::NameTaken(who.name.clone()))
}
