//! What clients behind edges share: at which addresses somebody is known, and how much of the gateway each user may take. An
//! edge opens nothing, so that only here it is known who is who.

use crate::wire::household;
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// An address may open QUIC connections for so long after somebody there was known.
pub(super) const ADMITTED: Duration = Duration::from_secs(3_600);
/// It is not said again for so long.
const SAID: Duration = Duration::from_secs(60);
/// Addresses that are remembered, to be told to an edge that comes back.
const MOST: usize = 65_536;
/// Sign-ins that are remembered at one address. With more than that it stays admitted when they end.
const MOST_AT_ADDRESS: usize = 64;
/// Users of whom more is remembered than that they have links.
const MOST_AT_REST: usize = 4_096;
const MINUTE: Duration = Duration::from_secs(60);

/// `[outside]`: what one user may take by way of edges.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct OutsideConfig {
    /// At once.
    pub links_of_user: u32,
    pub attaches_a_minute: u32,
}

impl Default for OutsideConfig {
    fn default() -> Self {
        OutsideConfig { links_of_user: 16, attaches_a_minute: 60 }
    }
}

impl OutsideConfig {
    /// What is wrong with it, if anything.
    pub(super) fn fault(&self) -> Option<&'static str> {
        // Two roads are tried at the same time.
        let too_few = self.links_of_user < 2 || self.attaches_a_minute < 2;
        too_few.then_some(
            "`links_of_user` and `attaches_a_minute` must be 2 or more: one viewer may take two links",
        )
    }
}

/// Where somebody is known.
#[derive(Default)]
pub(super) struct Addresses {
    admitted: HashMap<IpAddr, Admitted>,
    /// Where nobody is known any more, and since when: told to edges that did not hear it.
    withdrawn: HashMap<IpAddr, Instant>,
}

struct Admitted {
    since: Instant,
    sign_ins: HashSet<String>,
    /// Somebody is known there whose end is not heard of: by the ticket that all share, or one sign-in too many.
    others: bool,
}

impl Addresses {
    /// Somebody is known at an address. Whether the edges have to be told. `anew`: even if they were told just now.
    pub fn admit(&mut self, address: IpAddr, sign_in: Option<&str>, anew: bool, now: Instant) -> bool {
        let address = household(address);
        self.withdrawn.remove(&address);
        if self.admitted.len() >= MOST && !self.admitted.contains_key(&address) {
            make_room(&mut self.admitted, |admitted| admitted.since);
        }
        let fresh = || Admitted { since: now, sign_ins: HashSet::new(), others: false };
        let mut say = anew;
        let admitted = self.admitted.entry(address).or_insert_with(|| {
            say = true;
            fresh()
        });
        let age = now.duration_since(admitted.since);
        if age >= ADMITTED {
            *admitted = fresh();
        }
        match sign_in {
            Some(sign_in) if admitted.sign_ins.len() < MOST_AT_ADDRESS => {
                admitted.sign_ins.insert(sign_in.to_owned());
            }
            Some(sign_in) => admitted.others |= !admitted.sign_ins.contains(sign_in),
            None => admitted.others = true,
        }
        say |= age >= SAID;
        if say {
            admitted.since = now;
        }
        say
    }

    /// A sign-in has ended: the addresses where nobody else is known, which are admitted no longer.
    pub fn forget(&mut self, sign_in: &str, now: Instant) -> Vec<IpAddr> {
        let left = |(_, admitted): &(&IpAddr, &mut Admitted)| {
            !admitted.others && admitted.sign_ins.len() == 1 && admitted.sign_ins.contains(sign_in)
        };
        let gone: Vec<IpAddr> = self
            .admitted
            .extract_if(|address, admitted| left(&(address, admitted)))
            .map(|(address, _)| address)
            .collect();
        for admitted in self.admitted.values_mut() {
            admitted.sign_ins.remove(sign_in);
        }
        for &address in &gone {
            if self.withdrawn.len() >= MOST {
                make_room(&mut self.withdrawn, |since| *since);
            }
            self.withdrawn.insert(address, now);
        }
        gone
    }

    /// Each address that is admitted, and for how long yet.
    pub fn admitted(&self, now: Instant) -> impl Iterator<Item = (IpAddr, Duration)> {
        let left = move |since| ADMITTED.saturating_sub(now.duration_since(since));
        let all = self.admitted.iter().map(move |(&address, admitted)| (address, left(admitted.since)));
        all.filter(|(_, left)| !left.is_zero())
    }

    /// Those that were withdrawn, for as long as an edge may still hold them admitted.
    pub fn withdrawn(&mut self, now: Instant) -> Vec<IpAddr> {
        self.withdrawn.retain(|_, since| now.duration_since(*since) < ADMITTED);
        self.withdrawn.keys().copied().collect()
    }
}

/// The oldest eighth goes.
fn make_room<T>(all: &mut HashMap<IpAddr, T>, since: impl Fn(&T) -> Instant) {
    let mut times: Vec<Instant> = all.values().map(&since).collect();
    let (_, oldest, _) = times.select_nth_unstable(MOST / 8);
    let oldest = *oldest;
    all.retain(|_, each| since(each) > oldest);
}

/// Why a user is not let in once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TooMany {
    #[error("you have {0} links from outside, which is the most: close one of them, and try again")]
    Links(u32),
    #[error(
        "you came from outside {0} times within a minute, which is the most: wait a moment, and try again"
    )]
    Attaches(u32),
}

/// What each user has of this gateway by way of edges.
pub(super) struct Users {
    config: OutsideConfig,
    all: Mutex<HashMap<String, User>>,
}

struct User {
    links: u32,
    /// The attaches that may still come at once, and as of when.
    left: f64,
    at: Instant,
}

/// A user's link, for as long as it is held.
pub(super) struct UserLink {
    users: Arc<Users>,
    user: String,
}

impl Users {
    pub fn new(config: OutsideConfig) -> Arc<Users> {
        Arc::new(Users { config, all: Mutex::default() })
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, User>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A user attaches.
    pub fn attach(self: &Arc<Users>, user: &str, now: Instant) -> Result<UserLink, TooMany> {
        let OutsideConfig { links_of_user, attaches_a_minute } = self.config;
        let most = f64::from(attaches_a_minute);
        let mut all = self.all();
        if all.len() >= MOST_AT_REST {
            all.retain(|_, user| user.links > 0 || now.duration_since(user.at) < MINUTE);
        }
        let found = all.entry(user.to_owned()).or_insert(User { links: 0, left: most, at: now });
        let gained = now.duration_since(found.at).as_secs_f64() * most / MINUTE.as_secs_f64();
        (found.left, found.at) = ((found.left + gained).min(most), now);
        if found.links >= links_of_user {
            return Err(TooMany::Links(links_of_user));
        }
        if found.left < 1.0 {
            return Err(TooMany::Attaches(attaches_a_minute));
        }
        found.left -= 1.0;
        found.links += 1;
        Ok(UserLink { users: self.clone(), user: user.to_owned() })
    }
}

impl Drop for UserLink {
    fn drop(&mut self) {
        if let Some(user) = self.users.all().get_mut(&self.user) {
            user.links -= 1;
        }
    }
}

tokio::task_local! {
    /// The sign-in that the request of this task is found to be of.
    static KNOWN: std::cell::RefCell<Option<String>>;
}

/// Has a request answered, and tells which sign-in it was found to be of.
pub(super) async fn learning<T>(answered: impl Future<Output = T>) -> (T, Option<String>) {
    KNOWN
        .scope(std::cell::RefCell::default(), async {
            let answer = answered.await;
            (answer, KNOWN.with(std::cell::RefCell::take))
        })
        .await
}

/// The request that is being answered is of this sign-in. Nobody asks that of those inside.
pub(super) fn known(sign_in: &str) {
    let _ = KNOWN.try_with(|known| known.replace(Some(sign_in.to_owned())));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_said_again_after_a_minute_and_forgotten_with_the_last_who_is_known_there() {
        let (mut addresses, now) = (Addresses::default(), Instant::now());
        let home = address("192.0.2.7");
        assert!(addresses.admit(home, Some("a"), false, now));
        assert!(!addresses.admit(home, Some("b"), false, now + SAID / 2));
        assert!(addresses.admit(home, Some("a"), true, now + SAID / 2), "when somebody asks for it");
        assert!(addresses.admit(home, Some("a"), false, now + SAID * 2));
        assert!(addresses.forget("a", now).is_empty(), "b is known there, too");
        assert!(addresses.forget("x", now).is_empty());
        assert_eq!(addresses.forget("b", now), [home]);
        assert_eq!((addresses.admitted(now).count(), addresses.withdrawn(now)), (0, vec![home]));
        assert!(addresses.withdrawn(now + ADMITTED).is_empty());
        assert!(addresses.admit(home, Some("c"), false, now), "and is known anew");
        assert!(addresses.withdrawn(now).is_empty());
    }

    #[test]
    fn a_household_s_addresses_are_forgotten_together_with_the_last_who_is_known_at_any_of_them() {
        let (mut addresses, now) = (Addresses::default(), Instant::now());
        let (one, other) = (address("2001:db8:1:2::3"), address("2001:db8:1:2::4"));
        assert!(addresses.admit(one, Some("a"), false, now));
        assert!(!addresses.admit(other, Some("b"), false, now), "the edges let the whole household in");
        assert!(addresses.admit(address("2001:db8:1:3::3"), Some("a"), false, now), "which ends here");
        assert_eq!(addresses.forget("a", now), [address("2001:db8:1:3::")], "b is known in the other one");
        assert_eq!(addresses.admitted(now).count(), 1);
        assert_eq!(addresses.forget("b", now), [household(one)]);
        assert_eq!(addresses.admitted(now).count(), 0);
    }

    #[test]
    fn an_address_stays_where_somebody_came_by_the_ticket_that_all_share_or_more_than_are_remembered() {
        let (mut addresses, now) = (Addresses::default(), Instant::now());
        addresses.admit(address("192.0.2.7"), None, false, now);
        addresses.admit(address("192.0.2.7"), Some("a"), false, now);
        for number in 0..=MOST_AT_ADDRESS {
            addresses.admit(address("192.0.2.8"), Some(&number.to_string()), false, now);
        }
        assert!(addresses.forget("a", now).is_empty());
        assert!((0..=MOST_AT_ADDRESS).all(|number| addresses.forget(&number.to_string(), now).is_empty()));
        assert_eq!(addresses.admitted(now).count(), 2);
        assert_eq!(addresses.admitted(now + ADMITTED).count(), 0);
        // After an hour it is another one's.
        addresses.admit(address("192.0.2.8"), Some("z"), false, now + ADMITTED);
        assert_eq!(addresses.forget("z", now + ADMITTED), [address("192.0.2.8")]);
    }

    #[test]
    fn there_are_only_so_many_addresses_and_the_oldest_make_room() {
        let (mut addresses, now) = (Addresses::default(), Instant::now());
        for number in 0..2 * MOST as u32 {
            let at = now + Duration::from_micros(number.into());
            addresses.admit(IpAddr::from(number.to_be_bytes()), Some("a"), false, at);
            assert!(addresses.admitted.len() <= MOST);
        }
        addresses.forget("a", now);
        assert!(addresses.admitted.is_empty() && addresses.withdrawn.len() <= MOST);
    }

    #[test]
    fn a_user_has_so_many_links_at_once_and_another_s_are_another_s() {
        let users = Users::new(OutsideConfig { links_of_user: 2, attaches_a_minute: 9 });
        let now = Instant::now();
        let first = users.attach("anne", now).unwrap();
        let _second = users.attach("anne", now).unwrap();
        assert_eq!(users.attach("anne", now).err(), Some(TooMany::Links(2)));
        let _other = users.attach("paul", now).unwrap();
        drop(first);
        let _third = users.attach("anne", now).unwrap();
        assert_eq!(users.attach("anne", now).err(), Some(TooMany::Links(2)));
    }

    #[test]
    fn a_user_comes_so_often_a_minute() {
        let users = Users::new(OutsideConfig { links_of_user: 9, attaches_a_minute: 3 });
        let now = Instant::now();
        for _ in 0..3 {
            drop(users.attach("anne", now).unwrap());
        }
        assert_eq!(users.attach("anne", now).err(), Some(TooMany::Attaches(3)));
        let later = now + MINUTE / 3 + Duration::from_millis(1);
        drop(users.attach("anne", later).unwrap());
        assert_eq!(users.attach("anne", later).err(), Some(TooMany::Attaches(3)));
    }

    #[test]
    fn users_who_have_left_are_not_remembered_for_ever() {
        let users = Users::new(OutsideConfig::default());
        let now = Instant::now();
        let stays = users.attach("stays", now).unwrap();
        for number in 0..MOST_AT_REST {
            drop(users.attach(&number.to_string(), now));
        }
        drop(users.attach("late", now + MINUTE * 2));
        assert_eq!(users.all().len(), 2);
        drop(stays);
    }
}
