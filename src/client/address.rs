//! Where a session is: `chevet://` addresses and the page's own.

use super::http::Site;
use crate::identity::ticket::HolderKey;
use crate::link::{Link, Target, parse_fingerprint};
use hyper::Method;
use serde::Deserialize;
use std::sync::Arc;
use url::Url;

#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error(
        "{0:?} is not an address ({1}): write chevet://HOST:PORT/SESSION?ticket=TICKET, or give the page's \
         address, http://HOST:PORT/#session=SESSION&ticket=TICKET"
    )]
    NotAUrl(String, url::ParseError),
    #[error(
        "{0:?} is not a session's address: write chevet://HOST:PORT/SESSION?ticket=TICKET, or give the page's \
         address, http://HOST:PORT/#session=SESSION&ticket=TICKET"
    )]
    NotASession(String),
    #[error("the pin is not a SHA-256 in hexadecimal digits")]
    BadPin,
    #[error(
        "the gateway's page at {0} is behind TLS, so how to reach it cannot be asked; use the chevet:// address \
         that the gateway prints"
    )]
    NeedsNative(String),
    #[error("asking {host} how it is reached: {reason}; is the gateway running?")]
    Ask { host: String, reason: String },
}

/// A session on a gateway, and the ticket for it.
#[derive(Clone)]
pub struct Address {
    pub target: Target,
    pub session: String,
    pub ticket: Vec<u8>,
    /// The key to which the ticket was given, if it was given to one.
    pub holder: Option<Arc<HolderKey>>,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Address({:?} at {:?})", self.session, self.target)
    }
}

#[derive(Deserialize)]
struct Connect {
    udp_port: Option<u16>,
    certificate_sha256: Vec<String>,
}

impl Address {
    /// What is shown on a link.
    pub(super) fn shown(&self, link: &Link) -> Vec<u8> {
        let (Some(holder), Some(exporter)) = (&self.holder, link.exporter()) else {
            return self.ticket.clone();
        };
        holder.show(&String::from_utf8_lossy(&self.ticket), &exporter).into_bytes()
    }

    /// Reads a `chevet://` address, or a page's `http://` one, whose gateway is asked for the rest.
    pub async fn find(text: &str) -> Result<Address, AddressError> {
        let url = read(text)?;
        match url.scheme() {
            "chevet" => Address::parse(text),
            "http" => find_page(&url).await,
            "https" => Err(AddressError::NeedsNative(url.host_str().unwrap_or_default().to_owned())),
            _ => Err(AddressError::NotASession(without_secrets(&url))),
        }
    }

    /// Reads `chevet://HOST:PORT/SESSION?ticket=TICKET`, with `pin=SHA256` for a certificate that no public
    /// authority signed, and `tcp=PORT`, `tls=1` where TCP differs from plain at the same port.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        let url = read(text)?;
        let not_a_session = || AddressError::NotASession(without_secrets(&url));
        let host = host_of(&url).ok_or_else(not_a_session)?;
        let port = url.port().unwrap_or(4380);
        let session = url.path().trim_matches('/').to_owned();
        if url.scheme() != "chevet" || session.is_empty() || session.contains('/') {
            return Err(not_a_session());
        }
        let mut address = Address {
            target: Target {
                host,
                udp_port: Some(port),
                tcp_port: Some(port),
                tls: false,
                pins: Vec::new(),
                proxy: None,
            },
            session,
            ticket: Vec::new(),
            holder: None,
        };
        for (name, value) in url.query_pairs() {
            match &*name {
                "ticket" => address.ticket = value.as_bytes().to_vec(),
                "pin" => address.target.pins.push(parse_fingerprint(&value).ok_or(AddressError::BadPin)?),
                "tcp" => address.target.tcp_port = Some(value.parse().map_err(|_| not_a_session())?),
                "tls" => address.target.tls = value == "1",
                _ => return Err(not_a_session()),
            }
        }
        Ok(address)
    }
}

async fn find_page(url: &Url) -> Result<Address, AddressError> {
    let not_a_session = || AddressError::NotASession(without_secrets(url));
    let host = host_of(url).ok_or_else(not_a_session)?;
    let port = url.port_or_known_default().ok_or_else(not_a_session)?;
    let mut session = None;
    let mut ticket = Vec::new();
    for (name, value) in url::form_urlencoded::parse(url.fragment().unwrap_or_default().as_bytes()) {
        match &*name {
            "session" => session = Some(value.into_owned()),
            "ticket" => ticket = value.as_bytes().to_vec(),
            _ => {}
        }
    }
    Ok(Address {
        target: ask_target(&host, port).await?,
        session: session.ok_or_else(not_a_session)?,
        ticket,
        holder: None,
    })
}

/// How the gateway on `host:port` is reached, as its page tells: for loopback, where nobody stands between.
pub async fn ask_target(host: &str, port: u16) -> Result<Target, AddressError> {
    target_of(&Site { host: host.to_owned(), port, tls: false, pins: Vec::new(), proxy: None }).await
}

/// How the gateway of a site is reached.
pub(super) async fn target_of(site: &Site) -> Result<Target, AddressError> {
    let place = format!("{}:{}", site.host, site.port);
    let failed = |reason: String| AddressError::Ask { host: place.clone(), reason };
    let (status, answer) = site.ask(Method::GET, "/api/connect", None, None).await.map_err(failed)?;
    let connect: Connect =
        serde_json::from_value(answer).map_err(|error| failed(format!("{status}, {error}")))?;
    let pins =
        connect.certificate_sha256.iter().map(|pin| parse_fingerprint(pin).ok_or(AddressError::BadPin));
    let told = pins.collect::<Result<_, _>>()?;
    Ok(Target {
        udp_port: connect.udp_port,
        tcp_port: Some(site.port),
        tls: site.tls,
        // Who was told pins beforehand trusts no others.
        pins: if site.tls { site.pins.clone() } else { told },
        host: site.host.clone(),
        proxy: site.proxy.clone(),
    })
}

/// The gateway and session of a page's address, for somebody who signs in there.
pub fn page_of(text: &str, pins: Vec<[u8; 32]>) -> Result<(Site, Option<String>), AddressError> {
    let url = read(text)?;
    let not_a_session = || AddressError::NotASession(without_secrets(&url));
    let tls = match url.scheme() {
        "http" => false,
        "https" => true,
        _ => return Err(not_a_session()),
    };
    let host = host_of(&url).ok_or_else(not_a_session)?;
    let port = url.port_or_known_default().ok_or_else(not_a_session)?;
    let mut pairs = url::form_urlencoded::parse(url.fragment().unwrap_or_default().as_bytes());
    let session = pairs.find(|(name, _)| name == "session").map(|(_, value)| value.into_owned());
    Ok((Site { host, port, tls, pins, proxy: None }, session))
}

fn read(text: &str) -> Result<Url, AddressError> {
    // Even what cannot be read may hold a ticket.
    let plain = || text.split(['?', '#']).next().unwrap_or_default().to_owned();
    Url::parse(text).map_err(|error| AddressError::NotAUrl(plain(), error))
}

/// The host without the brackets of an IPv6 address.
fn host_of(url: &Url) -> Option<String> {
    Some(url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned())
}

/// An address for an error: tickets stay out of it.
fn without_secrets(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_gateway_session_ticket_and_pin() {
        let pin = "ab".repeat(32);
        let address = Address::parse(&format!("chevet://[::1]:99/desk?ticket=t&pin={pin}")).unwrap();
        assert_eq!(address.target.host, "::1");
        assert_eq!(address.target.udp_port, Some(99));
        assert_eq!(address.target.pins, [[0xAB; 32]]);
        assert_eq!((address.session.as_str(), address.ticket.as_slice()), ("desk", &b"t"[..]));
    }

    #[test]
    fn what_is_not_an_address_is_refused_without_showing_its_ticket() {
        for text in [
            "chevet://host",
            "chevet://host/a/b?ticket=secret",
            "http2://x/#ticket=secret",
            "desk",
            "h/#ticket=secret",
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(matches!(Address::parse("chevet://h/s?pin=12"), Err(AddressError::BadPin)));
    }
}
