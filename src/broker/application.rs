//! Applications that are started for whoever asks: what they are, who may have them, and which sessions of theirs run.

use crate::policy::stands_for;
use crate::screen::MAX_SIDE;
use crate::store::User;
use crate::wire::Policy;
use crate::wire::limits::{MAX_ARGUMENT, MAX_ARGUMENTS};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

/// An application as the configuration has it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// In addresses, and before the dot of its sessions' names.
    pub name: String,
    pub title: Title,
    /// A picture for the page: an address of this gateway's or a data URL.
    #[serde(default)]
    pub icon: Option<String>,
    #[serde(default = "desktop")]
    pub command: Command,
    /// Variables of its environment beside those that every session has.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The hosts that may run it, by name; a `*` at the end stands for any further letters.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Instead of `hosts`: a host that the gateway itself signs in to, with each user's own credentials.
    #[cfg(feature = "rdp")]
    #[serde(default)]
    pub rdp: Option<crate::source::rdp::RdpSettings>,
    /// With `rdp`: where each user's credentials come from.
    #[serde(default)]
    pub credentials: Option<CredentialPolicy>,
    #[serde(default)]
    pub groups: Vec<String>,
    #[serde(default)]
    pub users: Vec<String>,
    #[serde(default = "first_width")]
    pub width: u32,
    #[serde(default = "first_height")]
    pub height: u32,
    #[serde(default, deserialize_with = "policy")]
    pub policy: Policy,
    /// Whoever asks again is given the session that they have.
    #[serde(default = "yes")]
    pub single: bool,
    /// Nobody looked at it for so long: it ends.
    #[serde(default)]
    pub end_when_idle_minutes: Option<f64>,
    /// It ends when its user signs out.
    #[serde(default)]
    pub end_at_sign_out: bool,
    #[serde(default)]
    pub limits: Limits,
}

fn desktop() -> Command {
    Command::Named("desktop".into())
}

fn first_width() -> u32 {
    1_280
}

fn first_height() -> u32 {
    800
}

fn yes() -> bool {
    true
}

fn policy<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Policy, D::Error> {
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
}

/// What one session may use. 0: as much as there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    pub memory_mib: u64,
    /// 100 is one processor.
    pub cpu_percent: u32,
    /// Processes and threads.
    pub tasks: u32,
}

/// Where the credentials come from that a user signs in with on a host without chevet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialPolicy {
    /// Those that are kept for the user. Nobody is asked.
    Stored,
    /// The same; who has none, or whose are refused, is asked for the one session.
    #[default]
    Ask,
    /// The same; and what was typed is kept if the user wishes it.
    AskAndRemember,
}

impl CredentialPolicy {
    pub fn asks(self) -> bool {
        self != CredentialPolicy::Stored
    }

    pub fn remembers(self) -> bool {
        self == CredentialPolicy::AskAndRemember
    }
}

/// A name for people, in the page's languages.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Title {
    Same(String),
    #[serde(rename_all = "lowercase")]
    By {
        fr: String,
        en: String,
    },
}

impl Title {
    pub fn french(&self) -> &str {
        match self {
            Title::Same(title) | Title::By { fr: title, .. } => title,
        }
    }

    pub fn english(&self) -> &str {
        match self {
            Title::Same(title) | Title::By { en: title, .. } => title,
        }
    }
}

/// What a session runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Command {
    /// "desktop": the host's own desktop.
    Named(String),
    Line(Vec<String>),
}

impl Command {
    /// The program and its arguments; none for the host's desktop.
    pub fn line(&self) -> &[String] {
        match self {
            Command::Named(_) => &[],
            Command::Line(line) => line,
        }
    }
}

impl Application {
    pub fn is_for(&self, user: &User) -> bool {
        self.users.iter().any(|name| name.to_lowercase() == user.name)
            || self.groups.iter().any(|group| user.groups.contains(group))
    }

    pub fn may_run_on(&self, host: &str) -> bool {
        self.hosts.iter().any(|pattern| stands_for(pattern, host))
    }

    /// Whether the gateway brings its sessions itself.
    pub fn is_remote(&self) -> bool {
        #[cfg(feature = "rdp")]
        return self.rdp.is_some();
        #[cfg(not(feature = "rdp"))]
        false
    }

    /// Where each user's credentials for its host come from.
    pub fn credentials(&self) -> CredentialPolicy {
        self.credentials.unwrap_or_default()
    }

    /// How long nobody may look before it ends, in seconds.
    pub fn idle_seconds(&self) -> Option<f64> {
        self.end_when_idle_minutes.map(|minutes| minutes * 60.0)
    }

    /// What is wrong with this application, for whoever wrote it.
    pub fn fault(&self) -> Option<&'static str> {
        let name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        let variable =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let no_nul = |text: &str| text.len() <= MAX_ARGUMENT && !text.contains('\0');
        let line = self.command.line();
        let sensible = |side: u32| (64..=MAX_SIDE).contains(&side);
        match self {
            _ if !(1..=32).contains(&self.name.len()) || !name(&self.name) => {
                Some("a name has 1 to 32 letters of ASCII, digits, dashes or underlines")
            }
            _ if self.title.french().is_empty() || self.title.english().is_empty() => {
                Some("`title` is empty: give it, or one for each language as { fr = \"…\", en = \"…\" }")
            }
            _ if matches!(&self.command, Command::Named(named) if named != "desktop") => {
                Some("`command` is a list, such as [\"xterm\", \"-fs\", \"12\"], or \"desktop\"")
            }
            _ if matches!(&self.command, Command::Line(line) if line.first().is_none_or(String::is_empty)) => {
                Some("`command` is empty")
            }
            _ if line.len() > MAX_ARGUMENTS || !line.iter().all(|argument| no_nul(argument)) => {
                Some("`command` has at most 64 arguments of 4,096 bytes each, without NUL")
            }
            _ if self.environment.len() > MAX_ARGUMENTS
                || !self.environment.iter().all(|(name, value)| variable(name) && no_nul(value)) =>
            {
                Some("`environment` has at most 64 variables, of letters, digits and underlines")
            }
            _ if !self.icon.as_deref().is_none_or(is_icon) => Some(
                "`icon` is an address of this gateway's (\"/icons/a.png\") or a data URL of at most 16 KiB",
            ),
            _ if self.is_remote() && (!self.hosts.is_empty() || !line.is_empty()) => Some(
                "it has `rdp`, so leave `hosts` and `command` out: what is started there is rdp's `program`",
            ),
            _ if self.credentials.is_some() && !self.is_remote() => Some(
                "`credentials` is for an application with `rdp`: hosts with chevet ask for none, leave it out",
            ),
            _ if self.hosts.is_empty() && !self.is_remote() => Some(
                "`hosts` names no host that may run it: give their names, or [\"*\"] for every enrolled one",
            ),
            _ if !sensible(self.width) || !sensible(self.height) => {
                Some("`width` and `height` are between 64 and 16,384 pixels")
            }
            _ if self.end_when_idle_minutes.is_some_and(|minutes| !(0.01..1e6).contains(&minutes)) => {
                Some("`end_when_idle_minutes` is more than 0; leave it out to keep the session")
            }
            _ => None,
        }
    }
}

/// Pages show no pictures of other sites.
fn is_icon(icon: &str) -> bool {
    let own = icon.starts_with('/') && !icon.starts_with("//");
    (own || icon.starts_with("data:image/")) && icon.len() <= 16 << 10
}

/// Sessions that have ended are remembered with the reason, the newest of them: whoever comes at that moment is told it.
const MOST_OVER: usize = 256;

/// A session that runs on a host because its user asked for it.
#[derive(Clone, Debug)]
pub struct Running {
    pub session: String,
    pub application: String,
    pub user: String,
    /// The user's name for people.
    pub title: String,
    pub host: String,
    pub started_at: i64,
    /// The sign-in by which it was last opened; empty after a restart, until it is opened again.
    pub sign_in: String,
    /// Since when nobody looks.
    pub unwatched_since: Option<Instant>,
}

/// The applications of this gateway, and the sessions of theirs that run.
#[derive(Default)]
pub struct Applications {
    list: RwLock<Vec<Arc<Application>>>,
    running: Mutex<BTreeMap<String, Running>>,
    /// Sessions that have ended, and how.
    over: Mutex<VecDeque<(String, String)>>,
}

impl Applications {
    pub fn new(list: Vec<Application>) -> Self {
        let list = list.into_iter().map(Arc::new).collect();
        Applications { list: RwLock::new(list), ..Applications::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn list(&self) -> Vec<Arc<Application>> {
        self.list.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn named(&self, name: &str) -> Option<Arc<Application>> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        list.iter().find(|application| application.name == name).cloned()
    }

    /// One more application, or another in the place of the one of its name.
    pub fn publish(&self, application: Application) {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        list.retain(|other| other.name != application.name);
        list.push(Arc::new(application));
    }

    /// There is no such application any more.
    pub fn withdraw(&self, name: &str) {
        self.list.write().unwrap_or_else(PoisonError::into_inner).retain(|other| other.name != name);
    }

    /// The application that a session's name belongs to, whether there is such a session or not.
    pub fn of_session(&self, session: &str) -> Option<Arc<Application>> {
        self.named(session.split_once('.')?.0)
    }

    pub fn running(&self, session: &str) -> Option<Running> {
        self.lock().get(session).cloned()
    }

    pub fn all_running(&self) -> Vec<Running> {
        self.lock().values().cloned().collect()
    }

    /// The newest session of a user's of this application.
    pub fn running_of(&self, user: &str, application: &str) -> Option<Running> {
        let running = self.lock();
        let theirs = running.values().filter(|one| one.user == user && one.application == application);
        theirs.max_by_key(|one| one.started_at).cloned()
    }

    pub fn add(&self, running: Running) {
        self.lock().insert(running.session.clone(), running);
    }

    pub fn remove(&self, session: &str) -> Option<Running> {
        self.lock().remove(session)
    }

    /// A session has ended, in these words.
    pub fn finish(&self, session: &str, words: &str) -> Option<Running> {
        let mut running = self.lock();
        let finished = running.remove(session)?;
        // Before anybody can see that it is gone.
        let mut over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        over.truncate(MOST_OVER - 1);
        over.push_front((session.to_owned(), words.to_owned()));
        Some(finished)
    }

    /// How a session ended, if it has not long ago.
    pub fn how_it_ended(&self, session: &str) -> Option<String> {
        let over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        over.iter().find(|(name, _)| name == session).map(|(_, words)| words.clone())
    }

    /// Changes what is known of a session, if it still runs.
    pub fn note(&self, session: &str, change: impl FnOnce(&mut Running)) {
        if let Some(running) = self.lock().get_mut(session) {
            change(running);
        }
    }

    /// Whether a user may have a session of this application's, which is theirs and nobody else's.
    pub fn may_have(&self, application: &Application, user: &User, session: &str) -> bool {
        let theirs = self.lock().get(session).is_some_and(|running| running.user == user.id);
        theirs && application.is_for(user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(more: &str) -> Option<&'static str> {
        let text = format!("name = 'record'\ntitle = 'Record'\nhosts = ['*']\n{more}");
        toml::from_str::<Application>(&text).unwrap().fault()
    }

    #[test]
    fn what_cannot_be_run_is_named_before_anybody_asks_for_it() {
        assert_eq!(fault("command = ['xterm']"), None);
        assert_eq!(fault("command = 'desktop'"), None);
        assert!(fault("command = 'xterm'").unwrap().contains("list"));
        assert_eq!(fault("command = ['a']\nicon = '/a.png'"), None);
        assert!(fault("command = ['a']\nicon = '//evil.example/a.png'").unwrap().contains("icon"));
        assert!(fault("credentials = 'ask'").unwrap().contains("rdp"));
        assert!(fault("command = []").unwrap().contains("empty"));
        assert!(fault("command = ['a']\nwidth = 1").unwrap().contains("pixels"));
        assert!(fault("command = ['a']\nenvironment = { 'A B' = '1' }").unwrap().contains("letters"));
        assert!(fault("command = ['a']\nend_when_idle_minutes = 0").unwrap().contains("leave it out"));
        let none = "name = 'a.b'\ntitle = { fr = 'Dossier', en = 'Record' }\nhosts = []\ncommand = ['x']";
        let none = toml::from_str::<Application>(none).unwrap();
        assert!(none.fault().unwrap().contains("letters"), "a dot would be another session's");
        assert_eq!((none.title.french(), none.title.english()), ("Dossier", "Record"));
    }

    #[cfg(feature = "rdp")]
    #[test]
    fn who_has_no_credentials_is_asked_unless_the_configuration_says_otherwise() {
        let policy = |more: &str| {
            let text = format!("name = 'a'\ntitle = 'A'\nrdp = {{ address = 'ts1' }}\n{more}");
            let application = toml::from_str::<Application>(&text).unwrap();
            assert_eq!(application.fault(), None);
            application.credentials()
        };
        assert!(policy("").asks() && !policy("").remembers());
        assert!(!policy("credentials = 'stored'").asks());
        assert!(policy("credentials = 'ask-and-remember'").remembers());
    }

    #[test]
    fn how_a_session_ended_is_known_from_the_moment_on_when_it_is_gone_and_not_for_ever() {
        let applications = Applications::default();
        let running = |session: &str| Running {
            session: session.into(),
            application: "a".into(),
            user: "u".into(),
            title: "U".into(),
            host: "h".into(),
            started_at: 0,
            sign_in: String::new(),
            unwatched_since: None,
        };
        assert!(
            applications.finish("a.0", "never was").is_none() && applications.how_it_ended("a.0").is_none()
        );
        for number in 0..=MOST_OVER {
            let session = format!("a.{number}");
            applications.add(running(&session));
            assert!(applications.finish(&session, &format!("reason {number}")).is_some());
            assert!(applications.running(&session).is_none());
        }
        assert_eq!(applications.how_it_ended("a.0"), None);
        assert_eq!(applications.how_it_ended("a.1").as_deref(), Some("reason 1"));
    }

    #[test]
    fn an_application_runs_where_it_may_by_name_or_by_its_beginning() {
        let text = "name = 'a'\ntitle = 'A'\nhosts = ['app-*', 'one']\ncommand = ['x']";
        let application: Application = toml::from_str(text).unwrap();
        assert!(application.may_run_on("app-7") && application.may_run_on("one"));
        assert!(!application.may_run_on("other") && !application.may_run_on("ones"));
        assert!(application.single);
    }
}
