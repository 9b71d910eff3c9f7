//! Talking to a realm's KDC (RFC 4120, section 7.2.2: over TCP), and what its refusals mean.

use super::kerberos::KerberosSettings;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// All that is asked for one sign-in takes no longer; nor does one KDC's answer, nor reaching one.
const PATIENCE: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(5);
const REACH: Duration = Duration::from_secs(3);
/// Bytes of an answer: a ticket with the groups of somebody who is in a thousand of them fits twice.
const MOST: usize = 128 << 10;

/// The application tags of what a KDC answers (RFC 4120, section 5.10).
pub const AS_REP: u8 = 0x6b;
const TGS_REP: u8 = 0x6d;
const KRB_ERROR: u8 = 0x7e;

/// RFC 4120, section 7.5.9.
const PREAUTHENTICATION_REQUIRED: u32 = 25;
const SKEW: u32 = 37;

/// Why there is no ticket. The text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KdcFault {
    #[error("no KDC of {realm} can be reached ({detail}): is `kdc` right, and is TCP to it open?")]
    Unreachable { realm: String, detail: String },
    #[error(
        "the KDC {kdc} answers with more than {MOST} bytes, or with something else than Kerberos: is `kdc` right?"
    )]
    Garbled { kdc: String },
    #[error(
        "the KDC gives this user tickets without pre-authentication, which is not safe: have the account demand it"
    )]
    NoPreauthentication,
    /// About the user: never tried again with the same password.
    #[error("{0}")]
    User(&'static str),
    #[error("the realm {realm} does not know this user")]
    UserUnknown { realm: String },
    #[error(
        "the realm {realm} knows no {service}: write the host in `address` as the directory names it, or register \
         that service principal for it"
    )]
    ServiceUnknown { realm: String, service: String },
    #[error(
        "{service} belongs to another realm than {realm}, and only hosts of the user's realm are signed in to"
    )]
    Elsewhere { realm: String, service: String },
    #[error("the clocks of the KDC and of this gateway differ too much: set them by NTP")]
    Skew,
    #[error(
        "the KDC shares no encryption with this gateway, which takes AES with SHA-1 (RFC 3962): allow it there"
    )]
    Encryption,
    #[error("the KDC is not of the realm {realm}: is `realm` right?")]
    Realm { realm: String },
    #[error("the KDC refused with error {0} of RFC 4120, section 7.5.9")]
    Other(u32),
}

/// The KDCs of a realm, for the time of one sign-in.
pub struct Kdc<'a> {
    settings: &'a KerberosSettings,
    service: &'a str,
    until: Instant,
    /// The one that has answered: it knows what was asked before.
    settled: Option<usize>,
    asked: u32,
    /// What the last answer complained of.
    complaint: Option<u32>,
}

impl<'a> Kdc<'a> {
    pub fn new(settings: &'a KerberosSettings, service: &'a str) -> Kdc<'a> {
        let until = Instant::now() + PATIENCE;
        Kdc { settings, service, until, settled: None, asked: 0, complaint: None }
    }

    /// Sends a message of Kerberos with its length before it, and returns the answer with its length before it.
    pub async fn ask(&mut self, request: &[u8]) -> Result<Vec<u8>, KdcFault> {
        let addresses = self.settings.addresses();
        let mut detail = String::from("`kdc` names none");
        for (number, (host, port)) in addresses.iter().enumerate() {
            if self.settled.is_some_and(|settled| settled != number) {
                continue;
            }
            match self.exchange(host, *port, request).await {
                Ok(answer) => {
                    self.settled = Some(number);
                    return self.judge(answer);
                }
                Err(Trouble::Io(error)) => detail = format!("{host}:{port}: {error}"),
                Err(Trouble::Garbled) => return Err(KdcFault::Garbled { kdc: format!("{host}:{port}") }),
            }
        }
        Err(KdcFault::Unreachable { realm: self.settings.realm.clone(), detail })
    }

    async fn exchange(&self, host: &str, port: u16, request: &[u8]) -> Result<Vec<u8>, Trouble> {
        let silent = |_| std::io::Error::new(std::io::ErrorKind::TimedOut, "it does not answer");
        let reach = self.until.min(Instant::now() + REACH);
        let mut stream = timeout_at(reach, TcpStream::connect((host, port))).await.map_err(silent)??;
        timeout_at(self.until.min(Instant::now() + ANSWER), async {
            stream.write_all(request).await?;
            let mut length = [0; 4];
            stream.read_exact(&mut length).await?;
            let size = u32::from_be_bytes(length) as usize;
            if size > MOST {
                return Err(Trouble::Garbled);
            }
            let mut answer = length.to_vec();
            // Grows with what comes, not with what is announced.
            (&mut stream).take(size as u64).read_to_end(&mut answer).await?;
            if answer.len() != size + length.len() {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
            Ok(answer)
        })
        .await
        .map_err(silent)?
    }

    /// Passes on what the next step can use; a refusal ends it.
    fn judge(&mut self, answer: Vec<u8>) -> Result<Vec<u8>, KdcFault> {
        self.asked += 1;
        let garbled = || KdcFault::Garbled { kdc: self.name() };
        let (tag, body, rest) = element(answer.get(4..).unwrap_or_default()).ok_or_else(garbled)?;
        if !rest.is_empty() {
            return Err(garbled());
        }
        match tag {
            AS_REP if self.asked == 1 => return Err(KdcFault::NoPreauthentication),
            AS_REP | TGS_REP => self.complaint = None,
            KRB_ERROR => {
                let code = error_code(body).ok_or_else(garbled)?;
                self.complaint = Some(code);
                match code {
                    PREAUTHENTICATION_REQUIRED if self.asked == 1 => {}
                    // It says what time it has, and is asked once more by that.
                    SKEW => {}
                    code => return Err(self.refusal(code)),
                }
            }
            _ => return Err(garbled()),
        }
        Ok(answer)
    }

    /// Why what it answered gives no ticket.
    pub fn fault(&self) -> KdcFault {
        match self.complaint {
            Some(SKEW) => KdcFault::Skew,
            _ => KdcFault::Garbled { kdc: self.name() },
        }
    }

    pub fn elsewhere(&self) -> KdcFault {
        KdcFault::Elsewhere { realm: self.settings.realm.clone(), service: self.service.to_owned() }
    }

    fn name(&self) -> String {
        let addresses = self.settings.addresses();
        let settled = self.settled.and_then(|number| addresses.get(number));
        settled.map(|(host, port)| format!("{host}:{port}")).unwrap_or_default()
    }

    fn refusal(&self, code: u32) -> KdcFault {
        let realm = self.settings.realm.clone();
        match code {
            1 => KdcFault::User("the account has expired"),
            6 => KdcFault::UserUnknown { realm },
            7 => KdcFault::ServiceUnknown { realm, service: self.service.to_owned() },
            12 => KdcFault::User("the realm's policy does not let the user sign in here or now"),
            14 => KdcFault::Encryption,
            18 => KdcFault::User("the account is locked or disabled"),
            21 => KdcFault::User("the account is not valid yet"),
            23 => KdcFault::User("the password has expired: it must be changed first"),
            24 | 31 => KdcFault::User("the user or the password is wrong"),
            SKEW => KdcFault::Skew,
            68 => KdcFault::Realm { realm },
            code => KdcFault::Other(code),
        }
    }
}

impl KdcFault {
    /// Whether the user is refused, so that trying again would lock the account.
    pub fn is_about_the_user(&self) -> bool {
        matches!(self, KdcFault::User(_) | KdcFault::UserUnknown { .. })
    }

    /// Whether NTLM may do what Kerberos cannot: not for a password that was refused already.
    pub fn leaves_ntlm(&self) -> bool {
        !matches!(self, KdcFault::User(_))
    }
}

enum Trouble {
    Io(std::io::Error),
    Garbled,
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Trouble {
        Trouble::Io(error)
    }
}

/// The first element of DER: its tag, its content, and what comes after.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (size, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |size, &digit| size << 8 | usize::from(digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(size)?;
    Some((tag, content, rest))
}

/// Field 6 of a KRB-ERROR (RFC 4120, section 5.9.1), an INTEGER.
fn error_code(body: &[u8]) -> Option<u32> {
    let (_, mut fields, _) = element(body)?;
    while let Some((tag, content, rest)) = element(fields) {
        if tag == 0xa6 {
            let (tag, digits, _) = element(content)?;
            let fits = tag == 2 && (1..=4).contains(&digits.len());
            return fits.then(|| digits.iter().fold(0, |code, &digit| code << 8 | u32::from(digit)));
        }
        fields = rest;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A KRB-ERROR with this code and nothing else that counts, its length before it.
    fn refusal(code: u8) -> Vec<u8> {
        let fields = [0xa0, 3, 2, 1, 5, 0xa1, 3, 2, 1, 30, 0xa6, 3, 2, 1, code];
        let mut answer = vec![0, 0, 0, 19, KRB_ERROR, 17, 0x30, 15];
        answer.extend(fields);
        answer
    }

    fn settings() -> KerberosSettings {
        KerberosSettings { realm: "CLINIC.EXAMPLE".into(), kdc: "kdc".into(), ntlm: false }
    }

    #[test]
    fn refusals_are_told_by_their_codes() {
        let settings = settings();
        let judge = |code| Kdc::new(&settings, "TERMSRV/ts1").judge(refusal(code));
        assert!(judge(25).is_ok(), "what it wants before a ticket is no refusal");
        assert!(judge(24).unwrap_err().is_about_the_user());
        assert!(!judge(24).unwrap_err().leaves_ntlm());
        assert!(judge(6).unwrap_err().to_string().contains("does not know this user"));
        let unknown = judge(7).unwrap_err();
        assert!(unknown.to_string().contains("TERMSRV/ts1") && unknown.leaves_ntlm());
        assert!(!unknown.is_about_the_user());
        assert_eq!(judge(99), Err(KdcFault::Other(99)));
    }

    #[test]
    fn a_second_demand_for_pre_authentication_is_a_refusal() {
        let settings = settings();
        let mut kdc = Kdc::new(&settings, "TERMSRV/ts1");
        assert!(kdc.judge(refusal(25)).is_ok());
        assert_eq!(kdc.judge(refusal(25)), Err(KdcFault::Other(25)));
    }

    #[test]
    fn a_skew_that_stays_is_told_as_one() {
        let settings = settings();
        let mut kdc = Kdc::new(&settings, "TERMSRV/ts1");
        assert!(kdc.judge(refusal(37)).is_ok());
        assert_eq!(kdc.fault(), KdcFault::Skew);
    }

    #[test]
    fn what_is_no_answer_of_kerberos_is_garbled() {
        let settings = settings();
        let longer = [refusal(24), vec![0]].concat();
        let answers: [&[u8]; 7] = [
            b"",
            &[0, 0, 0, 0],
            &[0, 0, 0, 2, KRB_ERROR, 0],
            &[0, 0, 0, 2, AS_REP, 0x84],
            &[0, 0, 0, 6, KRB_ERROR, 0x84, 0xff, 0xff, 0xff, 0xff],
            b"\0\0\0\x04HTTP",
            &longer,
        ];
        for answer in answers {
            let judged = Kdc::new(&settings, "TERMSRV/ts1").judge(answer.to_vec());
            assert!(matches!(judged, Err(KdcFault::Garbled { .. })), "{answer:02x?}: {judged:?}");
        }
    }
}
