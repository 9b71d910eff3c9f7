//! `chevet source check rdp://...`

use super::Failure;
use super::source::Host;
use chevet::source::check::{self, Seen};
use chevet::source::rdp::{
    CertificatePolicy, KerberosSettings, KnownHosts, Login, RdpConfig, RdpSettings, parse_fingerprint,
};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

#[derive(clap::Args)]
#[group(id = "rdp-options")]
pub struct Options {
    /// Also take hosts without network level authentication, such as xrdp
    #[arg(long)]
    screen_sign_in: bool,
    /// Sign in by Kerberos with a ticket of this realm, such as CLINIC.EXAMPLE
    #[arg(long, requires = "kdc")]
    realm: Option<String>,
    /// The realm's KDCs, such as dc1.clinic.example:88, several with commas between
    #[arg(long, requires = "realm")]
    kdc: Option<String>,
    /// Take NTLM when Kerberos gives no ticket
    #[arg(long, requires = "realm")]
    ntlm: bool,
    /// Offer RemoteFX, which has losses
    #[arg(long)]
    lossy: bool,
    /// Offer compression
    #[arg(long)]
    compression: bool,
}

pub async fn check(url: &url::Url, asked: &Host, options: &Options) -> Result<ExitCode, Failure> {
    let host = url.host_str().ok_or("the address names no host: write rdp://USER@HOST")?;
    if url.password().is_some() {
        return Err("a password in an address is seen by everybody on this machine: leave it out".into());
    }
    let user = percent_decoded(url.username());
    let (domain, user) = user.split_once(';').unwrap_or(("", &user));
    let kerberos = options.realm.clone().zip(options.kdc.clone());
    let kerberos = kerberos.map(|(realm, kdc)| KerberosSettings { realm, kdc, ntlm: options.ntlm });
    let settings = RdpSettings {
        address: format!("{host}:{}", url.port().unwrap_or(3389)),
        user: user.to_owned(),
        domain: domain.to_owned(),
        certificate: CertificatePolicy::Pinned,
        fingerprint: Some(asked.fingerprint.clone().unwrap_or_else(|| "0".repeat(64))),
        screen_sign_in: options.screen_sign_in,
        kerberos,
        lossy: options.lossy,
        compression: options.compression,
        ..RdpSettings::default()
    };
    if let Some(fault) = settings.fault() {
        return Err(fault.into());
    }
    let settings = match asked.fingerprint {
        Some(_) => settings,
        None => believe(settings).await?,
    };
    let password = password(asked, user)?;
    let seen = look(settings, user, domain, password, asked.watch()).await?;
    for (name, value) in &seen.lines {
        println!("{name:<16}{value}");
    }
    match seen.failure {
        None => {
            println!("OK");
            Ok(ExitCode::SUCCESS)
        }
        Some(failure) => {
            println!("FAILED  {failure}");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Looks at the certificate without signing in, and asks whether it is the right one.
async fn believe(settings: RdpSettings) -> Result<RdpSettings, Failure> {
    let seen = look(settings.clone(), "", "", Zeroizing::default(), Duration::ZERO).await?;
    let Some(text) = seen.fingerprint else {
        return Err(seen.failure.unwrap_or_else(|| "the host showed no certificate".into()).into());
    };
    if !std::io::stdin().is_terminal() {
        return Err(format!(
            "the certificate of {} has the fingerprint\n  {text}\nIf that is right, say so with --fingerprint; \
             nothing secret was sent",
            settings.address
        )
        .into());
    }
    eprint!("The certificate's fingerprint is\n  {text}\nIs that right? (yes/no) ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    match answer.trim() {
        "yes" => Ok(RdpSettings { fingerprint: Some(text), ..settings }),
        _ => Err("not signed in".into()),
    }
}

fn password(asked: &Host, user: &str) -> Result<Zeroizing<String>, Failure> {
    if let Some(path) = &asked.password_file {
        let text =
            std::fs::read_to_string(path).map_err(|error| format!("reading {}: {error}", path.display()))?;
        return Ok(text.trim_end_matches(['\r', '\n']).to_owned().into());
    }
    if let Ok(password) = std::env::var("CHEVET_PASSWORD") {
        return Ok(password.into());
    }
    if !std::io::stdin().is_terminal() {
        return Err(
            "there is no terminal to ask for the password: use --password-file or CHEVET_PASSWORD".into()
        );
    }
    Ok(rpassword::prompt_password(format!("Password of {user}: "))?.into())
}

/// Connects as these settings say, without asking anything.
async fn look(
    settings: RdpSettings,
    user: &str,
    domain: &str,
    password: Zeroizing<String>,
    watch: Duration,
) -> Result<Seen, Failure> {
    if let Some(text) = &settings.fingerprint
        && parse_fingerprint(text).is_none()
    {
        return Err("--fingerprint is 64 hexadecimal digits".into());
    }
    let login = Login { user: user.to_owned(), domain: domain.to_owned(), password };
    let config = RdpConfig {
        settings,
        keyring: Arc::new(move || Ok(login.clone())),
        known: Arc::new(KnownHosts::new(None)),
        size: (1280, 800),
        notify: Arc::new(|_| {}),
    };
    Ok(check::rdp(config, watch).await?)
}

fn percent_decoded(text: &str) -> String {
    url::form_urlencoded::parse(text.replace('+', "%2B").as_bytes())
        .map(|(name, _)| name.into_owned())
        .collect()
}
