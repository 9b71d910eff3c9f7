//! What somebody may do in a session: read from the configuration's `[[policy]]` and `[[zone]]` sections, matched by who
//! asks, for which session, and from where. Pure; the gateway and the session hold people to what comes of it.

mod allowed;
mod zone;

pub use allowed::{Allowed, Clipboard, Shadow, Watermark};
pub use zone::{Network, NotANetwork, Zone};

use serde::Deserialize;
use std::net::IpAddr;

/// Whether `pattern` stands for `name`: a `*` at its end stands for any further letters.
pub fn stands_for(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

/// A zone's name stands in tickets, which have little room.
const MAX_ZONE_NAME: usize = 64;

/// One section: whom it is for (whoever is named by none of a kind is not asked for that kind), and what it says.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    pub groups: Vec<String>,
    /// By name.
    pub users: Vec<String>,
    pub sessions: Vec<String>,
    pub zone: Option<String>,
    pub seats: Vec<String>,

    pub clipboard: Option<Clipboard>,
    pub resize: Option<bool>,
    pub idle_lock_minutes: Option<f64>,
    pub watermark: Option<Watermark>,
    pub recording: Option<bool>,
    pub share: Option<bool>,
    pub shadow: Option<Shadow>,
    pub sound: Option<bool>,
}

/// Who asks, for what, from where.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    pub user: &'a str,
    pub groups: &'a [String],
    pub session: &'a str,
    /// Empty: in no zone.
    pub zone: &'a str,
    pub seat: &'a str,
}

impl Rule {
    fn is_for(&self, case: &Case<'_>) -> bool {
        let any = |patterns: &[String], name: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| stands_for(pattern, name))
        };
        let user = self.users.iter().any(|name| name.to_lowercase() == case.user)
            || self.groups.iter().any(|group| case.groups.contains(group))
            || self.users.is_empty() && self.groups.is_empty();
        user && any(&self.sessions, case.session)
            && any(&self.seats, case.seat)
            && self.zone.as_deref().is_none_or(|zone| zone == case.zone)
    }
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PolicyError {
    #[error("a [[policy]] names the zone {0:?}, which no [[zone]] describes")]
    NoSuchZone(String),
    #[error(
        "the zone's name {0:?} is empty, longer than 64 bytes, or given twice: give each zone a name of its own"
    )]
    ZoneName(String),
    #[error("idle_lock_minutes = {0} in a [[policy]]: write a number from 0 (never) to 1440")]
    IdleLock(f64),
    #[error("[[policy]] and [[zone]] need people who sign in: add [sign_in], or leave them out")]
    NobodySignsIn,
}

/// All that the configuration says, in its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policies {
    zones: Vec<Zone>,
    rules: Vec<Rule>,
}

impl Policies {
    pub fn new(zones: Vec<Zone>, rules: Vec<Rule>) -> Self {
        Policies { zones, rules }
    }

    /// Whether this can be held to; the error says what to change.
    pub fn check(&self, people_sign_in: bool) -> Result<(), PolicyError> {
        let says_nothing = self.zones.is_empty() && self.rules.is_empty();
        if !people_sign_in && !says_nothing {
            return Err(PolicyError::NobodySignsIn);
        }
        for (index, zone) in self.zones.iter().enumerate() {
            let odd = zone.name.is_empty() || zone.name.len() > MAX_ZONE_NAME;
            if odd || self.zones[..index].iter().any(|other| other.name == zone.name) {
                return Err(PolicyError::ZoneName(zone.name.clone()));
            }
        }
        for rule in &self.rules {
            let unknown = rule.zone.as_ref().filter(|name| self.zones.iter().all(|zone| zone.name != **name));
            if let Some(name) = unknown {
                return Err(PolicyError::NoSuchZone(name.clone()));
            }
            if let Some(minutes) = rule.idle_lock_minutes.filter(|minutes| !(0.0..=1_440.0).contains(minutes))
            {
                return Err(PolicyError::IdleLock(minutes));
            }
        }
        Ok(())
    }

    /// The first zone that holds an address. Empty: none.
    pub fn zone_of(&self, address: IpAddr) -> &str {
        self.zones.iter().find(|zone| zone.holds(address)).map_or("", |zone| &zone.name)
    }

    /// What somebody may do: each setting as the first section says that is for them and speaks of it.
    pub fn allowed(&self, case: &Case<'_>) -> Allowed {
        let rules: Vec<&Rule> = self.rules.iter().filter(|rule| rule.is_for(case)).collect();
        let usual = Allowed::default();
        let idle_lock_ms = |minutes: f64| (minutes * 60_000.0).ceil() as i64;
        Allowed {
            clipboard: first(&rules, |rule| rule.clipboard).unwrap_or(usual.clipboard),
            resize: first(&rules, |rule| rule.resize).unwrap_or(usual.resize),
            idle_lock_ms: first(&rules, |rule| rule.idle_lock_minutes)
                .map_or(usual.idle_lock_ms, idle_lock_ms),
            watermark: first(&rules, |rule| rule.watermark).unwrap_or(usual.watermark),
            recording: first(&rules, |rule| rule.recording).unwrap_or(usual.recording),
            share: first(&rules, |rule| rule.share).unwrap_or(usual.share),
            shadow: first(&rules, |rule| rule.shadow).unwrap_or(usual.shadow),
            sound: first(&rules, |rule| rule.sound).unwrap_or(usual.sound),
        }
    }
}

fn first<T>(rules: &[&Rule], setting: impl Fn(&Rule) -> Option<T>) -> Option<T> {
    rules.iter().find_map(|rule| setting(rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        zone: Vec<Zone>,
        #[serde(default)]
        policy: Vec<Rule>,
    }

    fn policies(text: &str) -> Policies {
        let File { zone, policy } = toml::from_str(text).unwrap();
        Policies::new(zone, policy)
    }

    const CASE: Case<'_> = Case { user: "anne", groups: &[], session: "icu-3", zone: "", seat: "" };

    #[test]
    fn each_setting_is_taken_from_the_first_section_that_speaks_of_it() {
        let policies = policies(
            "[[policy]]\nusers = ['Anne']\nclipboard = 'in'\n\
             [[policy]]\nsessions = ['icu-*']\nclipboard = 'none'\nwatermark = 'viewer'\nidle_lock_minutes = 5\n\
             [[policy]]\nidle_lock_minutes = 30\nresize = false\nrecording = true\nshare = false\nshadow = 'tell'",
        );
        let allowed = policies.allowed(&CASE);
        assert_eq!((allowed.clipboard, allowed.idle_lock_ms), (Clipboard::In, 300_000));
        assert_eq!((allowed.watermark, allowed.shadow), (Watermark::Viewer, Shadow::Tell));
        assert!(!allowed.resize && allowed.recording && !allowed.share);
        let other = policies.allowed(&Case { user: "paul", session: "desk", ..CASE });
        assert_eq!((other.clipboard, other.idle_lock_ms), (Clipboard::Both, 1_800_000));
        assert_eq!(other.watermark, Watermark::None);
        assert_eq!(Policies::default().allowed(&CASE), Allowed::default());
    }

    #[test]
    fn a_section_is_for_whom_all_of_its_kinds_name() {
        let policies = policies(
            "[[zone]]\nname = 'inside'\naddresses = ['10.0.0.0/8', 'fd00::/8']\n\
             [[policy]]\ngroups = ['nurses']\nusers = ['eve']\nzone = 'inside'\nseats = ['Room *']\nshare = false",
        );
        let inside = policies.zone_of("10.2.3.4".parse().unwrap());
        assert_eq!((inside, policies.zone_of("192.0.2.1".parse().unwrap())), ("inside", ""));
        let nurses = ["nurses".to_owned()];
        let case = Case { groups: &nurses, zone: inside, seat: "Room 12", ..CASE };
        let shares = |case: &Case<'_>| policies.allowed(case).share;
        assert!(!shares(&case) && !shares(&Case { user: "eve", groups: &[], ..case }));
        assert!(shares(&Case { groups: &[], ..case }), "another group");
        assert!(shares(&Case { zone: "", ..case }), "another zone");
        assert!(shares(&Case { seat: "Hall", ..case }), "another seat");
    }

    #[test]
    fn what_cannot_be_held_to_is_refused_with_what_to_do() {
        let refused = |text: &str| policies(text).check(true).unwrap_err().to_string();
        assert!(refused("[[policy]]\nzone = 'edge'").contains("edge"));
        assert!(refused("[[policy]]\nidle_lock_minutes = -1").contains("1440"));
        assert!(refused("[[policy]]\nidle_lock_minutes = nan").contains("1440"));
        let twice = "[[zone]]\nname = 'a'\naddresses = []\n[[zone]]\nname = 'a'\naddresses = []";
        assert!(refused(twice).contains("\"a\""));
        let lonely = policies("[[policy]]\nresize = false").check(false).unwrap_err();
        assert!(lonely.to_string().contains("[sign_in]"));
        for unknown in ["clipboard = 'sideways'", "watermark = 'loud'", "shadow = 'always'", "shape = 1"] {
            assert!(toml::from_str::<File>(&format!("[[policy]]\n{unknown}")).is_err(), "{unknown}");
        }
    }
}
