//! How a VNC server is named and trusted, as a configuration says it.

use crate::link::parse_fingerprint;
use crate::rfb::{Encryption, encodings, wanted};
use serde::Deserialize;
use std::path::PathBuf;

pub const DEFAULT_PORT: u16 = 5900;

/// One VNC server.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct VncConfig {
    /// `host`, `host:port` or `[IPv6]:port`.
    pub address: String,
    pub user: Option<String>,
    /// Read before every attempt; its first line is the password.
    pub password_file: Option<PathBuf>,
    pub tls: Tls,
    /// PEM certificates of the authorities that vouch for the server.
    pub ca_file: Option<PathBuf>,
    /// The SHA-256 of the server's certificate.
    pub fingerprint: Option<String>,
    /// Instead of the two: the first certificate is believed and kept; another one is refused.
    pub first_use: bool,
    pub keys: Keys,
    /// The encoding that the server is asked for, instead of all that chevet reads.
    pub encoding: Option<Encoding>,
    /// Lets the server send JPEG, which has losses, of this quality: 0 to 9.
    pub jpeg_quality: Option<u8>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Tls {
    #[default]
    Required,
    IfOffered,
    Never,
}

impl From<Tls> for Encryption {
    fn from(tls: Tls) -> Self {
        match tls {
            Tls::Required => Encryption::Required,
            Tls::IfOffered => Encryption::IfOffered,
            Tls::Never => Encryption::Never,
        }
    }
}

/// What a key is to the server, where it knows both.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Keys {
    /// Where it is on the keyboard: the server's layout says what it writes.
    #[default]
    Position,
    /// What the viewer's layout says that it writes.
    Symbol,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    Tight,
    Zrle,
    Hextile,
    Raw,
}

impl VncConfig {
    /// The encodings of pixels, best first, and what else is read.
    pub(super) fn encodings(&self) -> Vec<i32> {
        let one = self.encoding.map(|encoding| match encoding {
            Encoding::Tight => encodings::TIGHT,
            Encoding::Zrle => encodings::ZRLE,
            Encoding::Hextile => encodings::HEXTILE,
            Encoding::Raw => encodings::RAW,
        });
        match one {
            Some(one) => wanted(&[encodings::COPY_RECT, one, encodings::RAW], self.jpeg_quality),
            None => wanted(&encodings::PIXELS, self.jpeg_quality),
        }
    }

    /// What is wrong with it, with what to do.
    pub fn fault(&self) -> Option<String> {
        if let Err(fault) = host_and_port(&self.address) {
            return Some(fault);
        }
        let pin = self.fingerprint.as_deref().map(parse_fingerprint);
        if pin == Some(None) {
            return Some("`fingerprint` is the SHA-256 of a certificate: 64 hexadecimal digits".into());
        }
        let ways = [self.ca_file.is_some(), self.fingerprint.is_some(), self.first_use];
        let ways = ways.into_iter().filter(|&way| way).count();
        if ways > 1 {
            return Some("give one of `ca_file`, `fingerprint` and `first_use`".into());
        }
        let trusts = ways > 0;
        match self.tls {
            Tls::Required if !trusts => Some(
                "the connection is to be encrypted, so the server's certificate must be known: give `ca_file` or \
                 `fingerprint` (`chevet source check vnc://HOST` prints it), or set `first_use = true` or `tls = \"never\"`"
                    .into(),
            ),
            Tls::Never if trusts => {
                Some("`ca_file`, `fingerprint` and `first_use` are for encrypted connections; `tls` is \"never\"".into())
            }
            _ if self.jpeg_quality.is_some_and(|quality| quality > 9) => {
                Some("`jpeg_quality` is 0 to 9".into())
            }
            _ => None,
        }
    }
}

/// The parts of `host`, `host:port` or `[IPv6]:port`.
pub(super) fn host_and_port(address: &str) -> Result<(String, u16), String> {
    let wrong = || format!("{address:?} is not an address: write \"host:5900\" or \"[::1]:5900\"");
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
            match rest.strip_prefix(':') {
                None if !rest.is_empty() => return Err(wrong()),
                port => (host, port),
            }
        }
        None if address.matches(':').count() > 1 => (address, None),
        None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Ok(DEFAULT_PORT), |port| port.parse().map_err(|_| wrong()))?;
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '/';
    if host.is_empty() || host.len() > 253 || host.chars().any(odd) || port == 0 {
        return Err(wrong());
    }
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Option<String> {
        toml::from_str::<VncConfig>(text).unwrap().fault()
    }

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let parts = |address| host_and_port(address).unwrap();
        assert_eq!(parts("pc7.example"), ("pc7.example".into(), 5900));
        assert_eq!(parts("pc7:5901"), ("pc7".into(), 5901));
        assert_eq!(parts("[::1]:5901"), ("::1".into(), 5901));
        assert_eq!(parts("::1"), ("::1".into(), 5900));
        for wrong in ["", "pc7:vnc", "[::1", "[::1]5900", "vnc://pc7", "pc7:0"] {
            assert!(host_and_port(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_to_do() {
        assert_eq!(fault("address = 'pc7'\ntls = 'never'"), None);
        assert_eq!(fault("address = 'pc7'\ntls = 'if-offered'"), None);
        assert!(fault("address = 'pc7'").unwrap().contains("ca_file"));
        assert_eq!(fault("address = 'pc7'\nfirst_use = true"), None);
        assert!(fault("address = 'pc7'\nfirst_use = true\nca_file = 'a'").unwrap().contains("one of"));
        assert!(fault("address = 'pc7'\nfingerprint = 'ab'").unwrap().contains("64"));
        assert!(fault("tls = 'never'").unwrap().contains("5900"));
        assert!(fault("address = 'pc7'\ntls = 'never'\nca_file = 'a'").unwrap().contains("never"));
        assert!(fault("address = 'pc7'\ntls = 'never'\njpeg_quality = 10").unwrap().contains("9"));
    }
}
