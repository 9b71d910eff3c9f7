//! Who claims say that somebody is, by the configuration. Pure.

use super::config::ProviderConfig;
use super::token::Claims;
use crate::identity::{MAX_TITLE, Who, is_title, user_name};
use serde_json::Value;
use std::collections::BTreeSet;

/// More values of a claim of groups are no directory's.
const MOST_GROUPS: usize = 4_096;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    #[error("the claim `{0}`, which names the user, is missing or is no user's name")]
    NoName(String),
    #[error("the claim `email` names the user, and the provider has not verified it")]
    Unverified,
    #[error("the claim `{0}` is not a list of groups")]
    Groups(String),
    #[error(
        "the user has too many groups for the provider to list them: let it send those of this client alone"
    )]
    GroupsElsewhere,
}

impl Who {
    pub fn of(claims: &Claims, config: &ProviderConfig) -> Result<Who, ClaimsError> {
        let name = match claim(claims, &config.user_claim) {
            Some(Value::String(name)) => user_name(name),
            Some(Value::Number(number)) => user_name(&number.to_string()),
            _ => None,
        };
        let name = name.ok_or_else(|| ClaimsError::NoName(config.user_claim.clone()))?;
        // Whoever can write any address at the provider must not become its owner here.
        if config.user_claim == "email" && claims.get("email_verified") != Some(&Value::Bool(true)) {
            return Err(ClaimsError::Unverified);
        }
        let titles = config.title_claims.iter().filter_map(|name| claim(claims, name)?.as_str());
        let mut title = titles.map(str::trim).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ");
        title.retain(|c| !c.is_control());
        while title.len() > MAX_TITLE {
            title.pop();
        }
        let title = if is_title(&title) { title } else { name.clone() };
        Ok(Who { name, title, groups: groups(claims, config)? })
    }
}

fn groups(claims: &Claims, config: &ProviderConfig) -> Result<Vec<String>, ClaimsError> {
    let Some(name) = &config.groups_claim else { return Ok(Vec::new()) };
    let values: Vec<&str> = match claim(claims, name) {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(all)) if all.len() <= MOST_GROUPS => all.iter().filter_map(Value::as_str).collect(),
        Some(Value::Null) => Vec::new(),
        None => match claims.get("_claim_names").is_some_and(|elsewhere| elsewhere.get(name).is_some()) {
            true => return Err(ClaimsError::GroupsElsewhere),
            false => Vec::new(),
        },
        Some(_) => return Err(ClaimsError::Groups(name.clone())),
    };
    let mapped: BTreeSet<&String> = values.iter().filter_map(|value| config.groups.get(*value)).collect();
    Ok(mapped.into_iter().cloned().collect())
}

/// A claim by its name, or by a path of names with dots between.
fn claim<'a>(claims: &'a Claims, name: &str) -> Option<&'a Value> {
    claims.get(name).or_else(|| {
        let mut parts = name.split('.');
        let first = claims.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(more: &str) -> ProviderConfig {
        let text = "id='a'\ntitle='A'\nissuer='https://a.example'\npage='https://p.example'\nclient_id='c'\n";
        toml::from_str(&format!("{text}{more}")).unwrap()
    }

    fn who(claims: Value, more: &str) -> Result<Who, ClaimsError> {
        Who::of(claims.as_object().unwrap(), &config(more))
    }

    #[test]
    fn claims_become_a_user_with_the_groups_of_the_map_alone() {
        let claims = json!({"SubjectNameID": "899700218896", "given_name": "Anne", "family_name": "Roy",
            "realm_access": {"roles": ["/nurses", "admin"]}});
        let more = "user_claim='SubjectNameID'\ntitle_claims=['given_name','family_name']\n\
                    groups_claim='realm_access.roles'\ngroups={'/nurses'='nurses'}";
        let anne = who(claims, more).unwrap();
        assert_eq!((anne.name.as_str(), anne.title.as_str()), ("899700218896", "Anne Roy"));
        assert_eq!(anne.groups, ["nurses"]);
    }

    #[test]
    fn the_provider_decides_about_the_groups_of_its_map_and_no_others() {
        let more = "groups_claim='g'\ngroups={a='nurses', b='surgeons'}";
        let anne = who(json!({"preferred_username": "anne", "g": ["b"]}), more).unwrap();
        let has = ["nurses".to_owned(), "staff".to_owned()];
        let config = config(more);
        let decided = config.decided();
        assert_eq!(anne.groups_from(&has, &decided), ["staff", "surgeons"]);
        let nobody = who(json!({"preferred_username": "anne"}), more).unwrap();
        assert_eq!(nobody.groups_from(&has, &decided), ["staff"]);
    }

    #[test]
    fn an_address_that_the_provider_has_not_verified_names_nobody() {
        let by_email = "user_claim='email'";
        let claims = |verified: Value| json!({"email": "anne@clinic.example", "email_verified": verified});
        assert!(who(claims(json!(true)), by_email).is_ok());
        for verified in [json!(false), json!("true"), json!(1), Value::Null] {
            assert_eq!(who(claims(verified), by_email), Err(ClaimsError::Unverified));
        }
        assert_eq!(who(json!({"email": "anne@clinic.example"}), by_email), Err(ClaimsError::Unverified));
    }

    #[test]
    fn claims_of_the_wrong_shape_are_refused_and_long_titles_cut() {
        for name in [json!(null), json!(["anne"]), json!({"a": 1}), json!(""), json!("a b"), json!("x\u{0}")]
        {
            assert!(matches!(who(json!({"preferred_username": name}), ""), Err(ClaimsError::NoName(_))));
        }
        let more = "groups_claim='groups'";
        let wrong = who(json!({"preferred_username": "a", "groups": {"x": 1}}), more);
        assert!(matches!(wrong, Err(ClaimsError::Groups(_))));
        let elsewhere = json!({"preferred_username": "a", "_claim_names": {"groups": "src1"}});
        assert_eq!(who(elsewhere, more), Err(ClaimsError::GroupsElsewhere));
        let long = who(json!({"preferred_username": "a", "name": format!("\u{1b}{}", "é".repeat(500))}), "");
        assert_eq!(long.unwrap().title, "é".repeat(MAX_TITLE / 2));
    }
}
