use super::Failure;
use super::seat::{Of, note};
use super::user::find;
use chevet::clock;
use chevet::gateway::kept_keys;
use chevet::identity::{badge_number, new_id};
use std::io::{IsTerminal, Read};

/// Say which badge is whose
///
/// A badge opens its user's session at enrolled seats (`chevet seat`), after the user's PIN (`chevet user pin`). Only a keyed
/// hash of its number is kept. The number is read from standard input, so that it stands in no shell's history: a reader that
/// types like a keyboard can be used as it is.
///
/// Examples:
///   chevet badge --config chevet.toml add anne          then tap the badge
///   chevet badge --config chevet.toml list anne
///   chevet badge --config chevet.toml revoke anne       all of them: a badge was lost
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Badge {
    #[command(flatten)]
    of: Of,
    #[command(subcommand)]
    job: Job,
}

#[derive(clap::Subcommand)]
enum Job {
    /// Give the user the badge whose number is typed, or tapped, next
    Add { user: String },
    /// List the user's badges, by names that are not their numbers
    List { user: String },
    /// Let a badge open nothing any more, and ask for the PIN at the next tap of the others
    Revoke {
        user: String,
        /// One badge, as `list` calls it; without, all of the user's
        #[arg(long, value_name = "NAME")]
        badge: Option<String>,
    },
}

impl Badge {
    pub async fn run(self) -> Result<(), Failure> {
        let (config, store) = self.of.store().await?;
        match self.job {
            Job::Add { user } => {
                let found = find(&store, &user).await?;
                let number = badge_number(&typed_number()?);
                let number = number.ok_or("a badge's number has 4 to 64 letters and digits")?;
                let id = new_id();
                let hash = kept_keys(&config)?.badge_hash(&number);
                store.add_badge(&id, &hash, &found.id, clock::unix_ms()).await?;
                note(&store, "user", &found.name, &format!("badge {id} given")).await?;
                println!("{user} has the badge {id}");
            }
            Job::List { user } => {
                let found = find(&store, &user).await?;
                println!("{:24} STATE", "BADGE");
                for badge in store.badges_of(&found.id).await? {
                    let state = if badge.revoked_at.is_some() { "revoked" } else { "good" };
                    println!("{:24} {state}", badge.id);
                }
            }
            Job::Revoke { user, badge } => {
                let found = find(&store, &user).await?;
                let count = store.revoke_badges(&found.id, badge.as_deref(), clock::unix_ms()).await?;
                if count == 0 {
                    return Err(format!("{user} has no such badge; `chevet badge list` says which").into());
                }
                let which = badge.map_or("all badges revoked".into(), |id| format!("badge {id} revoked"));
                note(&store, "user", &found.name, &which).await?;
                let ended = store.end_sign_ins_of(&found.id).await?.len();
                println!("badges revoked: {count}; sign-ins that ended: {ended}");
            }
        }
        Ok(())
    }
}

/// Not shown on a terminal; the first line of standard input otherwise.
fn typed_number() -> Result<String, Failure> {
    if std::io::stdin().is_terminal() {
        return Ok(rpassword::prompt_password("Tap the badge, or type its number: ")?);
    }
    let mut text = String::new();
    std::io::stdin().take(4_096).read_to_string(&mut text)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
