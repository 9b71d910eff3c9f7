//! From the server's greeting to the size of its screen: versions, security, and who we are.

use super::inbox::{Inbox, Reader, Stop, bounded};
use super::{RfbError, vnc_auth};

const VERSION: usize = 12;
/// What a server says of its reasons, and its name.
const MAX_TEXT: u32 = 4_096;

/// Whether the connection is to be encrypted, by VeNCrypt with a certificate that is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// Nothing else will do.
    #[default]
    Required,
    /// Where the server offers it; who meddles with the connection can keep it from being offered.
    IfOffered,
    Never,
}

/// Who chevet is to the server.
#[derive(Clone, Default)]
pub struct Credentials {
    pub user: Option<String>,
    pub password: Option<String>,
}

/// How a connection is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    None,
    VncAuth,
    X509None,
    X509Vnc,
    X509Plain,
}

impl Security {
    pub fn name(self) -> &'static str {
        match self {
            Security::None => "None",
            Security::VncAuth => "VncAuth",
            Security::X509None => "VeNCrypt X509None",
            Security::X509Vnc => "VeNCrypt X509Vnc",
            Security::X509Plain => "VeNCrypt X509Plain",
        }
    }
}

/// The server, once it has let us in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// 3, 7 or 8: the version in use is 3.3, 3.7 or 3.8.
    pub minor: u32,
    pub security: Security,
    pub width: u32,
    pub height: u32,
    pub name: String,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Send(Vec<u8>),
    /// TLS begins, as its client; what it brings is fed from then on.
    StartTls,
    Ready(Server),
}

#[derive(Clone, Copy)]
enum State {
    Version,
    Offers,
    /// Of 3.3: one type, which the server has chosen.
    Decreed,
    Vencrypt,
    VencryptStatus,
    Subtypes,
    Acknowledged(Security),
    Tls(Security),
    Challenge(Security),
    Verdict(Security),
    Init(Security),
    Done,
}

/// The handshake as a machine: bytes in, steps out.
pub struct Handshake {
    encryption: Encryption,
    credentials: Credentials,
    inbox: Inbox,
    state: State,
    minor: u32,
}

impl Handshake {
    pub fn new(encryption: Encryption, credentials: Credentials) -> Self {
        Handshake { encryption, credentials, inbox: Inbox::default(), state: State::Version, minor: 8 }
    }

    /// Takes what the server sent. After [`Step::StartTls`] that comes from within TLS, and is nothing at first.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Step>, RfbError> {
        self.inbox.push(bytes);
        let mut steps = Vec::new();
        if let State::Tls(security) = self.state {
            self.state = self.after_tls(security, &mut steps)?;
        }
        while !matches!(self.state, State::Done) {
            let mut inbox = std::mem::take(&mut self.inbox);
            let read = inbox.read(|reader| self.advance(reader, &mut steps));
            self.inbox = inbox;
            let Some(state) = read? else { break };
            self.state = state;
            if matches!(self.state, State::Tls(_)) {
                if !self.inbox.rest().is_empty() {
                    return Err(RfbError::EarlyBytes);
                }
                break;
            }
        }
        Ok(steps)
    }

    /// What came after the handshake.
    pub fn into_rest(self) -> Vec<u8> {
        self.inbox.rest().to_vec()
    }

    fn advance(&mut self, reader: &mut Reader, steps: &mut Vec<Step>) -> Result<State, Stop> {
        Ok(match self.state {
            State::Version => self.version(reader, steps)?,
            State::Offers => self.offers(reader, steps)?,
            State::Decreed => match reader.u32()? {
                0 => return Err(RfbError::Refused(reader.text("the server's reason", MAX_TEXT)?).into()),
                decreed => {
                    let security = self.choose_plain(&[u8::try_from(decreed).unwrap_or(u8::MAX)])?;
                    self.begin(security, steps)?
                }
            },
            State::Vencrypt => {
                let (major, minor) = (reader.u8()?, reader.u8()?);
                if (major, minor) < (0, 2) {
                    return Err(RfbError::VencryptVersion(major, minor).into());
                }
                steps.push(Step::Send(vec![0, 2]));
                State::VencryptStatus
            }
            State::VencryptStatus => match reader.u8()? {
                0 => State::Subtypes,
                _ => return Err(RfbError::VencryptVersion(0, 2).into()),
            },
            State::Subtypes => self.subtypes(reader, steps)?,
            State::Acknowledged(security) => match reader.u8()? {
                1 => {
                    steps.push(Step::StartTls);
                    State::Tls(security)
                }
                _ => return Err(RfbError::Withdrawn.into()),
            },
            State::Challenge(security) => {
                let bytes = reader.take(vnc_auth::CHALLENGE)?;
                let challenge = bytes.first_chunk().ok_or(Stop::More)?;
                let password = self.credentials.password.as_deref();
                let password = password.ok_or(RfbError::NeedsPassword(security.name()))?;
                steps.push(Step::Send(vnc_auth::response(password, challenge).to_vec()));
                State::Verdict(security)
            }
            State::Verdict(security) => self.verdict(security, reader, steps)?,
            State::Init(security) => {
                let (width, height) = (reader.u16()?.into(), reader.u16()?.into());
                // Its own pixel format, which is not used.
                reader.take(16)?;
                let name = reader.text("the desktop's name", MAX_TEXT)?;
                steps.push(Step::Ready(Server { minor: self.minor, security, width, height, name }));
                State::Done
            }
            State::Tls(_) | State::Done => return Err(Stop::More),
        })
    }

    fn version(&mut self, reader: &mut Reader, steps: &mut Vec<Step>) -> Result<State, Stop> {
        let greeting = reader.take(VERSION)?;
        let (major, minor) = parse_version(greeting)
            .ok_or_else(|| RfbError::NotRfb(String::from_utf8_lossy(greeting).trim_end().to_owned()))?;
        self.minor = match (major, minor) {
            (0..=2, _) | (3, 0..=2) => return Err(RfbError::OldVersion(major, minor).into()),
            (3, 7) => 7,
            (3, 3..=6) => 3,
            _ => 8,
        };
        steps.push(Step::Send(format!("RFB 003.00{}\n", self.minor).into_bytes()));
        Ok(if self.minor == 3 { State::Decreed } else { State::Offers })
    }

    fn offers(&mut self, reader: &mut Reader, steps: &mut Vec<Step>) -> Result<State, Stop> {
        let count = reader.u8()?;
        if count == 0 {
            return Err(RfbError::Refused(reader.text("the server's reason", MAX_TEXT)?).into());
        }
        let offered = reader.take(count.into())?;
        if self.encryption != Encryption::Never && offered.contains(&VENCRYPT) {
            steps.push(Step::Send(vec![VENCRYPT]));
            return Ok(State::Vencrypt);
        }
        let security = self.choose_plain(offered)?;
        steps.push(Step::Send(vec![if security == Security::None { NONE } else { VNC_AUTH }]));
        Ok(self.begin(security, steps)?)
    }

    /// One of the types without encryption, if that may be.
    fn choose_plain(&self, offered: &[u8]) -> Result<Security, RfbError> {
        let names = || names(offered.iter().map(|&number| type_name(number.into())));
        if self.encryption == Encryption::Required {
            return Err(RfbError::NeedsTls {
                offered: names(),
                wanted: "the connection would not be encrypted (for TigerVNC: `-SecurityTypes X509Vnc`)",
            });
        }
        // With a password at hand, the server that can be asked to check it, is.
        let has_password = self.credentials.password.is_some();
        let wanted = if has_password { [VNC_AUTH, NONE] } else { [NONE, VNC_AUTH] };
        match wanted.into_iter().find(|wanted| offered.contains(wanted)) {
            Some(NONE) => Ok(Security::None),
            Some(_) if has_password => Ok(Security::VncAuth),
            Some(_) => Err(RfbError::NeedsPassword("VncAuth")),
            None if offered.contains(&VENCRYPT) => Err(RfbError::NeedsNoTls(names())),
            None => Err(RfbError::NoCommonSecurity(names())),
        }
    }

    fn subtypes(&mut self, reader: &mut Reader, steps: &mut Vec<Step>) -> Result<State, Stop> {
        let count = reader.u8()?;
        let offered = (0..count).map(|_| reader.u32()).collect::<Result<Vec<u32>, Stop>>()?;
        let names = names(offered.iter().map(|&number| type_name(number)));
        let Credentials { user, password } = &self.credentials;
        let wanted = [
            (X509_PLAIN, Security::X509Plain, user.is_some() && password.is_some()),
            (X509_VNC, Security::X509Vnc, password.is_some()),
            (X509_NONE, Security::X509None, true),
        ];
        let possible = wanted.into_iter().find(|(number, _, able)| *able && offered.contains(number));
        let Some((number, security, _)) = possible else {
            return Err(match () {
                () if offered.contains(&X509_VNC) => RfbError::NeedsPassword("X509Vnc"),
                () if offered.contains(&X509_PLAIN) => RfbError::NeedsUser,
                () if offered.iter().any(|subtype| ANONYMOUS.contains(subtype)) => {
                    RfbError::AnonymousTls(names)
                }
                () => RfbError::NoCommonSecurity(names),
            }
            .into());
        };
        steps.push(Step::Send(number.to_be_bytes().to_vec()));
        Ok(State::Acknowledged(security))
    }

    fn after_tls(&mut self, security: Security, steps: &mut Vec<Step>) -> Result<State, RfbError> {
        if security == Security::X509Plain {
            let Credentials { user: Some(user), password: Some(password) } = &self.credentials else {
                return Err(RfbError::NeedsUser);
            };
            let mut message = Vec::new();
            for length in [user.len(), password.len()] {
                let length = bounded("a name or password's length", length as u32, MAX_TEXT)?;
                message.extend_from_slice(&length.to_be_bytes());
            }
            message.extend_from_slice(user.as_bytes());
            message.extend_from_slice(password.as_bytes());
            steps.push(Step::Send(message));
        }
        self.begin(security, steps)
    }

    fn begin(&self, security: Security, steps: &mut Vec<Step>) -> Result<State, RfbError> {
        Ok(match security {
            Security::VncAuth | Security::X509Vnc => State::Challenge(security),
            // Before 3.8, nobody says that nothing was asked.
            Security::None if self.minor < 8 => enter(security, steps),
            Security::None | Security::X509None | Security::X509Plain => State::Verdict(security),
        })
    }

    fn verdict(&self, security: Security, reader: &mut Reader, steps: &mut Vec<Step>) -> Result<State, Stop> {
        let verdict = reader.u32()?;
        if verdict == 0 {
            return Ok(enter(security, steps));
        }
        let reason = match self.minor {
            8 => reader.text("the server's reason", MAX_TEXT)?,
            _ => "it gives no reason".to_owned(),
        };
        let asked = !matches!(security, Security::None | Security::X509None);
        Err(match verdict {
            1 if asked && !too_many(&reason) => RfbError::WrongPassword(reason),
            1 if !asked => RfbError::Refused(reason),
            1 | 2 => RfbError::TooManyAttempts(reason),
            value => RfbError::Meaningless { what: "the verdict on our credentials", value: value.into() },
        }
        .into())
    }
}

/// Asks for a screen that others may share.
fn enter(security: Security, steps: &mut Vec<Step>) -> State {
    steps.push(Step::Send(vec![1]));
    State::Init(security)
}

/// Servers that count attempts say so in words only.
fn too_many(reason: &str) -> bool {
    reason.to_ascii_lowercase().contains("too many")
}

fn parse_version(greeting: &[u8]) -> Option<(u32, u32)> {
    let text = std::str::from_utf8(greeting).ok()?.strip_prefix("RFB ")?.strip_suffix('\n')?;
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

const NONE: u8 = 1;
const VNC_AUTH: u8 = 2;
const VENCRYPT: u8 = 19;
const X509_NONE: u32 = 260;
const X509_VNC: u32 = 261;
const X509_PLAIN: u32 = 262;
/// TLSNone, TLSVnc, TLSPlain, TLSSASL: encrypted, with whomever.
const ANONYMOUS: [u32; 4] = [257, 258, 259, 263];

fn names(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.collect();
    names.dedup();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

fn type_name(number: u32) -> String {
    let name = match number {
        1 => "None",
        2 => "VncAuth",
        5 => "RA2",
        6 => "RA2ne",
        16 => "Tight",
        17 => "Ultra",
        18 => "TLS",
        19 => "VeNCrypt",
        20 => "SASL",
        30 => "Apple's",
        113 => "MS-Logon II",
        129 => "RA2_256",
        256 => "Plain",
        257 => "TLSNone",
        258 => "TLSVnc",
        259 => "TLSPlain",
        260 => "X509None",
        261 => "X509Vnc",
        262 => "X509Plain",
        263 => "TLSSASL",
        264 => "X509SASL",
        _ => return format!("type {number}"),
    };
    name.to_owned()
}

#[cfg(test)]
#[path = "handshake_tests.rs"]
mod tests;
