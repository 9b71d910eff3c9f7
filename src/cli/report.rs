use super::Failure;
use chevet::availability::{Month, Summary, csv, html};
use chevet::gateway::Config;
use chevet::store::Store;
use std::path::PathBuf;

/// Write a month's availability for the auditor
///
/// Reads what the gateways of the configuration's store measured: attempts to attach that gave a usable screen in time,
/// times from a tap to its screen, minutes degraded. Writes availability-MONTH.html and availability-MONTH.csv.
///
/// Example:
///   chevet report --config chevet.toml --month 2026-11 --out reports
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Report {
    /// The gateway's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The month, such as 2026-11 (UTC)
    #[arg(long, value_name = "YEAR-MONTH")]
    month: Month,
    /// The folder to write to; made if it is not there
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

impl Report {
    pub async fn run(self) -> Result<(), Failure> {
        let config = Config::read(&self.config)?;
        let url =
            config.store_url().ok_or("the configuration has neither `state_directory` nor [store] `url`")?;
        let store = Store::open(&url).await?;
        let hours = self.month.hours();
        let rows = store.availability(hours.start, hours.end).await?;
        let writing = |path: &PathBuf, error: std::io::Error| format!("writing {}: {error}", path.display());
        std::fs::create_dir_all(&self.out).map_err(|error| writing(&self.out, error))?;
        let texts = [("html", html(&Summary::of(self.month, &rows))), ("csv", csv(&rows))];
        for (kind, text) in texts {
            let path = self.out.join(format!("availability-{}.{kind}", self.month));
            std::fs::write(&path, text).map_err(|error| writing(&path, error))?;
            println!("{}", path.display());
        }
        Ok(())
    }
}
