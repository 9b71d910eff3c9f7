use super::Failure;
use chevet::gateway::{Config, kept_keys};
use std::path::PathBuf;

/// Show what other sites know this one by
///
/// Examples:
///   chevet site --config chevet.toml key     goes into `key` of this site's [[site.peer]] at the others
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Site {
    /// The gateway's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(subcommand)]
    job: Job,
}

#[derive(clap::Subcommand)]
enum Job {
    /// Print the public half of the key by which this site proves who it is
    Key,
}

impl Site {
    pub fn run(self) -> Result<(), Failure> {
        let config = Config::read(&self.config)?;
        if config.state_directory.is_none() && config.gateways.is_none() {
            return Err("the key is kept in `state_directory`, which the configuration does not name".into());
        }
        match self.job {
            Job::Key => println!("{}", kept_keys(&config)?.site_key()),
        }
        Ok(())
    }
}
