use super::seat::note;
use super::{Failure, store_of};
use chevet::clock;
use chevet::gateway::kept_keys;
use chevet::identity::{
    Hasher, HostCredential, TotpSecret, add_user, check_new_password, credential_host, is_title, user_name,
};
use chevet::store::{Role, Store, User as Person};
use std::io::{IsTerminal, Read};
use std::path::PathBuf;

/// Manage the people who may sign in
///
/// Works on the store of the configuration, whether the gateway runs or not. A running gateway ends what a user has open
/// within 20 s of their being disabled or removed.
///
/// Examples:
///   chevet user --config chevet.toml add anne --title "Anne Roy" --group nurses
///   chevet user --config chevet.toml totp anne
///   chevet user --config chevet.toml list
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct User {
    /// The gateway's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(subcommand)]
    job: Job,
}

#[derive(clap::Subcommand)]
enum Job {
    /// Add a user; asks for the password, or reads it from standard input
    Add {
        name: String,
        /// The name that people read
        #[arg(long, default_value = "")]
        title: String,
        /// A group; may be given several times
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        /// user, auditor or administrator
        #[arg(long, default_value = "user")]
        role: Role,
        /// Without a password: the user signs in by other means
        #[arg(long)]
        no_password: bool,
    },
    /// List the users
    List,
    /// Set a new password, and end what the user has open
    Password { name: String },
    /// Make a new secret for one-time codes, and print it; or take it away
    Totp {
        name: String,
        #[arg(long)]
        off: bool,
    },
    /// Set the PIN that is asked after a badge; asks for it, or reads it from standard input. Unblocks a blocked one
    Pin {
        name: String,
        /// Take it away: badges open nothing for the user
        #[arg(long)]
        off: bool,
    },
    /// Keep what the user signs in with on a host that has no chevet, or forget it
    Credential {
        #[command(subcommand)]
        job: CredentialJob,
    },
    /// Make these the user's groups, and no others
    Groups { name: String, groups: Vec<String> },
    /// Set what the user may do beside using sessions
    Role { name: String, role: Role },
    /// Let the user sign in again
    Enable { name: String },
    /// Let the user sign in no longer, and end what they have open
    Disable { name: String },
    /// Remove the user
    Remove { name: String },
}

#[derive(clap::Subcommand)]
enum CredentialJob {
    /// Keep it, sealed; asks for the password there, or reads it from standard input
    Set {
        name: String,
        /// The host, as the application's `rdp` has its address
        host: String,
        /// The user's name there; without: the same as here
        #[arg(long = "as", value_name = "USER")]
        user: Option<String>,
        #[arg(long, default_value = "")]
        domain: String,
    },
    /// Forget it
    Forget { name: String, host: String },
}

impl User {
    pub async fn run(self) -> Result<(), Failure> {
        let (config, store) = store_of(&self.config).await?;
        match self.job {
            Job::Add { name, title, groups, role, no_password } => {
                // Before the user is there, so that a bad password leaves nothing behind.
                let password = if no_password { None } else { Some(new_password(&name)?) };
                let id = add_user(&store, &name, &title, role, &groups, clock::unix_ms()).await?;
                if let Some(password) = password {
                    store.set_password(&id, &Hasher::default().hash(&password).await?).await?;
                }
                println!("added {name}");
            }
            Job::List => list(&store).await?,
            Job::Password { name } => {
                let user = find(&store, &name).await?;
                let password = new_password(&name)?;
                store.set_password(&user.id, &Hasher::default().hash(&password).await?).await?;
                let ended = store.end_sign_ins_of(&user.id).await?.len();
                println!("{name} has a new password; sign-ins that ended: {ended}");
            }
            Job::Totp { name, off: true } => {
                let user = find(&store, &name).await?;
                store.set_totp(&user.id, None).await?;
                println!("{name} signs in without one-time codes");
            }
            Job::Totp { name, off: false } => {
                let user = find(&store, &name).await?;
                let secret = TotpSecret::new(&user.name);
                store.set_totp(&user.id, Some(&secret.seal(&user.id, &kept_keys(&config)?))).await?;
                println!("{}", secret.url());
                eprintln!("Put this address into {name}'s authenticator, or type: {}", secret.base32());
            }
            Job::Pin { name, off: true } => {
                let user = find(&store, &name).await?;
                store.remove_pin(&user.id).await?;
                note(&store, "user", &user.name, "PIN taken away").await?;
                println!("{name} has no PIN, so badges open nothing for {name}");
            }
            Job::Pin { name, off: false } => {
                let user = find(&store, &name).await?;
                let pin = typed_twice(&format!("New PIN of {name}: "))?;
                store.set_pin(&user.id, &Hasher::default().hash_pin(&pin).await?).await?;
                note(&store, "user", &user.name, "PIN set").await?;
                println!("{name} has a new PIN");
            }
            Job::Credential { job: CredentialJob::Set { name, host, user: there, domain } } => {
                let user = find(&store, &name).await?;
                let host = credential_host(&host);
                let password = typed_twice(&format!("Password of {name} on {host}: "))?;
                let credential =
                    HostCredential { user: there.unwrap_or(user.name.clone()), domain, password };
                if !credential.is_sensible() {
                    return Err(
                        "each of user, domain and password has 256 bytes at most, and the user is named"
                            .into(),
                    );
                }
                let sealed = credential.seal(&user.id, &host, &kept_keys(&config)?);
                store.set_credential(&user.id, &host, &sealed, clock::unix_ms()).await?;
                note(&store, "user", &user.name, &format!("credential for {host} set")).await?;
                println!("{name} signs in to {host} as {}", credential.user);
            }
            Job::Credential { job: CredentialJob::Forget { name, host } } => {
                let user = find(&store, &name).await?;
                let host = credential_host(&host);
                if !store.forget_credential(&user.id, &host).await? {
                    return Err(format!("no credential of {name} for {host} is kept").into());
                }
                note(&store, "user", &user.name, &format!("credential for {host} forgotten")).await?;
                println!("{name} has no credential for {host} any more");
            }
            Job::Groups { name, groups } => {
                if let Some(wrong) = groups.iter().find(|group| !is_title(group)) {
                    return Err(format!("{wrong:?} cannot be a group's name").into());
                }
                let user = find(&store, &name).await?;
                store.set_groups(&user.id, &groups).await?;
                println!("{name}: {}", groups.join(", "));
            }
            Job::Role { name, role } => {
                let user = find(&store, &name).await?;
                store.set_role(&user.id, role).await?;
                println!("{name} is {}", role.name());
            }
            Job::Enable { name } => {
                let user = find(&store, &name).await?;
                store.enable_user(&user.id, true).await?;
                println!("{name} may sign in");
            }
            Job::Disable { name } => {
                let user = find(&store, &name).await?;
                store.enable_user(&user.id, false).await?;
                let ended = store.end_sign_ins_of(&user.id).await?.len();
                println!("{name} may not sign in; sign-ins that ended: {ended}");
            }
            Job::Remove { name } => {
                let user = find(&store, &name).await?;
                store.remove_user(&user.id).await?;
                println!("removed {name}");
            }
        }
        Ok(())
    }
}

pub(super) async fn find(store: &Store, name: &str) -> Result<Person, Failure> {
    let user = store.user_named(&user_name(name).unwrap_or_default()).await?;
    user.ok_or_else(|| format!("there is no user {name:?}; `chevet user list` says who there is").into())
}

async fn list(store: &Store) -> Result<(), Failure> {
    println!("{:20} {:24} {:14} {:9} {:20}", "NAME", "TITLE", "ROLE", "SIGNS IN", "GROUPS");
    let mut after = String::new();
    loop {
        let users = store.users(&after, 200).await?;
        let Some(last) = users.last() else { return Ok(()) };
        after = last.name.clone();
        for user in users {
            let by = match (user.enabled, user.has_password, user.has_totp) {
                (false, ..) => "disabled",
                (_, true, true) => "with code",
                (_, true, false) => "password",
                _ => "elsewhere",
            };
            let (role, groups) = (user.role.name(), user.groups.join(", "));
            println!("{:20} {:24} {role:14} {by:9} {groups}", user.name, user.title);
        }
    }
}

fn new_password(name: &str) -> Result<zeroize::Zeroizing<String>, Failure> {
    let password = typed_twice(&format!("New password of {name}: "))?;
    check_new_password(&password)?;
    Ok(password)
}

/// Asks twice on a terminal; takes one line of standard input otherwise.
fn typed_twice(question: &str) -> Result<zeroize::Zeroizing<String>, Failure> {
    if std::io::stdin().is_terminal() {
        let typed = zeroize::Zeroizing::new(rpassword::prompt_password(question)?);
        if rpassword::prompt_password("The same again: ")? != *typed {
            return Err("the two differ; nothing was changed".into());
        }
        return Ok(typed);
    }
    let mut text = String::new();
    std::io::stdin().take(4_096).read_to_string(&mut text)?;
    Ok(zeroize::Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}
