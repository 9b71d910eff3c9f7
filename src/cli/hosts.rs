use super::{Failure, store_of};
use chevet::clock;
use chevet::gateway::is_name;
use chevet::identity::is_host_key;
use std::path::PathBuf;

/// Manage the hosts that may start applications for this gateway
///
/// Works on the store of the configuration, whether the gateway runs or not. What a host may run is said by each
/// [[application]]'s `hosts`.
///
/// Examples:
///   chevet hosts --config chevet.toml add app-1 KEY      the key is what `chevet host key` prints there
///   chevet hosts --config chevet.toml list
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Hosts {
    /// The gateway's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(subcommand)]
    job: Job,
}

#[derive(clap::Subcommand)]
enum Job {
    /// Enrol a host; one that had the name before has it no longer
    Add {
        name: String,
        /// What `chevet host key` prints there; it may begin with a dash
        #[arg(allow_hyphen_values = true)]
        key: String,
    },
    /// List the hosts
    List,
    /// Take a host's right away; it is disconnected within 20 s
    Remove { name: String },
}

impl Hosts {
    pub async fn run(self) -> Result<(), Failure> {
        let (_, store) = store_of(&self.config).await?;
        match self.job {
            Job::Add { name, key } => {
                if !is_name(&name) {
                    return Err(format!("{name:?} cannot be a host's name").into());
                }
                if !is_host_key(&key) {
                    return Err("this is not a host's key: `chevet host key` prints it on the host".into());
                }
                store.enrol_host(&name, &key, clock::unix_ms()).await?;
                println!("added {name}");
            }
            Job::List => {
                for host in store.hosts().await? {
                    let seen = if host.seen_at > 0 { "seen" } else { "never seen" };
                    let drained = if host.drained != 0 { ", drained" } else { "" };
                    println!("{}  {}  {seen}{drained}", host.name, host.host_key);
                }
            }
            Job::Remove { name } => match store.remove_host(&name).await? {
                true => println!("removed {name}"),
                false => return Err(format!("there is no host {name:?}").into()),
            },
        }
        Ok(())
    }
}
