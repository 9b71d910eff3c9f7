use super::Failure;
use chevet::audit::{self, Check, Findings, Record, SealKey, Time};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Check and read the audit journal
#[derive(clap::Args)]
pub struct Audit {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Verify(Verify),
    Show(Show),
}

/// Check that the journal is as it was written: nothing changed, removed, added or moved
///
/// Exit status: 0 the chain is whole, 1 it is broken, 2 it could not be read. A chain alone cannot tell that its end was
/// cut off: note the last record's number and hash elsewhere (the audit repository is sent both), and give them with
/// --noted.
///
/// Examples:
///   chevet audit verify /var/lib/chevet/audit
///   chevet audit verify --state /var/lib/chevet --noted 8117:9c1e… /archive/2026 /var/lib/chevet/audit
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
struct Verify {
    /// Files of one journal, or directories with them
    #[arg(value_name = "FILE|DIR", default_value = ".")]
    paths: Vec<PathBuf>,
    /// The gateway's state directory, whose secret the seals are checked with
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// A record that must be there, with its hash
    #[arg(long, value_name = "NUMBER:HASH", value_parser = noted)]
    noted: Option<(u64, String)>,
    /// Fail if the journal does not begin with record 1
    #[arg(long)]
    complete: bool,
}

/// Print the journal's records as a table
///
/// Each line has time (UTC), event, outcome, user, session, seat, address, and what else the record says.
#[derive(clap::Args)]
struct Show {
    /// Files of one journal, or directories with them
    #[arg(value_name = "FILE|DIR", default_value = ".")]
    paths: Vec<PathBuf>,
    /// Only this user's
    #[arg(long)]
    user: Option<String>,
    /// Only this session's
    #[arg(long)]
    session: Option<String>,
    /// Only this event, such as attached
    #[arg(long)]
    event: Option<String>,
    /// From this time on, such as 2026-01-31 or 2026-01-31T08:00Z (UTC)
    #[arg(long, value_name = "TIME")]
    since: Option<Time>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<Time>,
    /// Print the lines as they stand in the journal
    #[arg(long)]
    json: bool,
}

fn noted(text: &str) -> Result<(u64, String), String> {
    let wrong = || "write the record's number, a colon, and its hash of 64 digits".to_owned();
    let (number, hash) = text.split_once(':').ok_or_else(wrong)?;
    let hash = hash.to_ascii_lowercase();
    let right = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    number.parse().ok().filter(|_| right).map(|number| (number, hash)).ok_or_else(wrong)
}

impl Audit {
    pub fn run(self) -> ExitCode {
        let done = match self.command {
            Command::Verify(verify) => verify.run(),
            Command::Show(show) => show.run(),
        };
        done.unwrap_or_else(|error| {
            eprintln!("chevet: {error}");
            ExitCode::from(2)
        })
    }
}

impl Verify {
    fn run(&self) -> Result<ExitCode, Failure> {
        let key = self.state.as_deref().map(seal_key).transpose()?;
        let (files, bytes) = found(&self.paths)?;
        let bar = ProgressBar::new(bytes);
        let style = ProgressStyle::with_template("{elapsed:>4} {bar:24.cyan/blue} {bytes}/{total_bytes}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let noted = self.noted.as_ref().map(|(number, hash)| (*number, hash.as_str()));
        let check = Check { key: key.as_ref(), noted, complete: self.complete };
        let findings = audit::verify(&files, &check, |read| bar.inc(read))?;
        bar.finish_and_clear();
        self.print(&findings);
        Ok(if findings.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn print(&self, findings: &Findings) {
        let Findings { files, records, last_hash, unfinished_bytes, .. } = findings;
        let files = if *files == 1 { "1 file".into() } else { format!("{files} files") };
        match (findings.first, findings.last) {
            (Some((first, from)), Some((last, to))) => {
                println!("{records} records in {files}: {first} to {last}, from {from} to {to}");
                if first > 1 {
                    println!("records 1 to {} are not among these files", first - 1);
                }
                println!("the last one's hash: {last}:{last_hash}");
            }
            _ => println!("no records in {files}"),
        }
        if *unfinished_bytes > 0 {
            println!(
                "{unfinished_bytes} bytes behind them are no whole line: being written, or left by a crash"
            );
        }
        match (findings.noted, &self.noted) {
            (Some(true), Some((number, _))) => println!("record {number} is there with the noted hash"),
            (Some(false), Some((number, _))) => {
                println!("BROKEN: record {number} is not there with the noted hash")
            }
            _ => {}
        }
        match &findings.broken {
            Some(broken) => println!("BROKEN: {}:{}: {}", broken.file.display(), broken.line, broken.fault),
            None if self.state.is_some() => {
                println!("the chain is whole, and every record sealed by this gateway")
            }
            None => println!("the chain is whole; give --state to check the seals as well"),
        }
    }
}

/// The key of a state directory's secret.
fn seal_key(state: &Path) -> Result<SealKey, Failure> {
    let path = state.join("secret");
    let secret = std::fs::read(&path).map_err(|error| format!("reading {}: {error}", path.display()))?;
    Ok(SealKey::derive(&aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret)))
}

fn found(paths: &[PathBuf]) -> Result<(Vec<PathBuf>, u64), Failure> {
    let (files, bytes) = audit::files_of(paths)?;
    if files.is_empty() {
        let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(format!("there is no audit journal in {}", paths.join(", ")).into());
    }
    Ok((files, bytes))
}

impl Show {
    fn run(&self) -> Result<ExitCode, Failure> {
        let (files, _) = found(&self.paths)?;
        let mut out = BufWriter::new(std::io::stdout().lock());
        let mut unread = 0_u64;
        for path in files {
            let failed = |error| format!("reading {}: {error}", path.display());
            let mut reader = BufReader::new(File::open(&path).map_err(failed)?);
            let mut line = Vec::new();
            while audit::read_line(&mut reader, &mut line).map_err(failed)? > 0 {
                let Ok(entry) = audit::read(line.trim_ascii_end(), None) else {
                    unread += 1;
                    continue;
                };
                if !self.wants(&entry.record) {
                    continue;
                }
                let written = match self.json {
                    true => out.write_all(&line),
                    false => writeln!(out, "{}", row(&entry.record)),
                };
                // A reader such as `head` has had enough.
                if written.is_err() {
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
        let _ = out.flush();
        if unread > 0 {
            eprintln!(
                "chevet: {unread} lines are not as they were written; `chevet audit verify` says where"
            );
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    }

    fn wants(&self, record: &Record) -> bool {
        let is = |wanted: &Option<String>, text: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| text == Some(wanted))
        };
        is(&self.user, record.user.as_ref().map(audit::Text::as_str))
            && is(&self.session, record.session.as_ref().map(audit::Text::as_str))
            && is(&self.event, Some(&record.event.name()))
            && self.since.is_none_or(|since| record.time >= since)
            && self.until.is_none_or(|until| record.time < until)
    }
}

fn row(record: &Record) -> String {
    let fields = serde_json::to_value(record).unwrap_or_default();
    let text = |name: &str| match &fields[name] {
        serde_json::Value::Null => "-".to_owned(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    const COLUMNS: [(&str, usize); 7] = [
        ("time", 27),
        ("event", 17),
        ("outcome", 15),
        ("user", 12),
        ("session", 12),
        ("seat", 10),
        ("peer", 15),
    ];
    let mut row = String::new();
    for (name, width) in COLUMNS {
        row += &format!("{:<width$}  ", text(name));
    }
    let others = fields.as_object().into_iter().flatten();
    for (name, _) in others.filter(|(name, _)| COLUMNS.iter().all(|(column, _)| column != name)) {
        row += &format!("{name}={} ", text(name));
    }
    row.trim_end().to_owned()
}
