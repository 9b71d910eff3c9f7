//! HTTP proxies before the way out: a TCP connection through one is asked for by CONNECT (RFC 9110, 9.3.6), and what then goes
//! through it is TLS that the proxy does not open.

use crate::policy::Network;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

/// The head of a proxy's answer is no longer, in bytes.
const MOST_HEAD: usize = 16 << 10;
/// What is shown of a proxy's own words, in characters.
const MOST_WORDS: usize = 120;
/// Exceptions that are kept of NO_PROXY.
const MOST_EXCEPTIONS: usize = 256;

/// What is wrong with what was said of a proxy.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAProxy {
    #[error("{from}: {reason}; write http://HOST:PORT or http://USER@HOST:PORT")]
    Address { from: &'static str, reason: &'static str },
    #[error("{from}: chevet goes through HTTP proxies, by CONNECT, not through {scheme}")]
    Scheme { from: &'static str, scheme: String },
}

/// Why there is no connection through a proxy.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    #[error("connecting to the proxy {proxy}: {source}; check its address, or take it away with NO_PROXY")]
    Reach { proxy: String, source: std::io::Error },
    #[error(
        "the proxy {proxy} wants to know who asks (407): give USER with --proxy http://USER@HOST:PORT, and the password with \
         --proxy-password-file"
    )]
    WhoAsks { proxy: String },
    #[error("the proxy {proxy} does not know this user, or not this password (407)")]
    NotThisUser { proxy: String },
    #[error("the proxy {proxy} wants to know who asks by {wants} (407); chevet can say so by Basic alone")]
    OtherScheme { proxy: String, wants: String },
    #[error(
        "the proxy {proxy} does not let anybody connect to {to} ({status}); whoever runs it has to allow CONNECT to this port"
    )]
    Forbidden { proxy: String, to: String, status: u16 },
    #[error("the proxy {proxy} could not connect to {to}: it answered {status} {words}")]
    Refused { proxy: String, to: String, status: u16, words: String },
    #[error("{proxy} does not answer as an HTTP proxy does; check its address and port")]
    NoProxy { proxy: String },
    #[error("what is to be dialled through the proxy is no host's name or address")]
    NoHost,
}

/// An HTTP proxy, and whom it does not stand before.
#[derive(PartialEq, Eq)]
pub struct Proxy {
    host: String,
    port: u16,
    user: Option<(String, String)>,
    exceptions: Vec<Exception>,
    /// This machine's own addresses are reached straight.
    spares_loopback: bool,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proxy({})", self.name())
    }
}

/// Where no proxy is wanted: an entry of NO_PROXY.
#[derive(Debug, PartialEq, Eq)]
enum Exception {
    All,
    /// A name and those below it, in lower case, without a dot before; and of which port, if of one.
    Name(String, Option<u16>),
    Network(Network),
    Address(IpAddr, u16),
}

impl Proxy {
    /// The proxy that is asked for, or else the one that the environment names, if any. A password may be given apart.
    pub fn wanted(
        asked: Option<&str>,
        password: Option<&str>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Arc<Proxy>>, NotAProxy> {
        let read = |name: &str| environment(name).filter(|text| !text.is_empty());
        let found = match asked {
            Some(text) => Some(Proxy::read("--proxy", text, false)?),
            None => from_environment(read)?,
        };
        let Some(mut proxy) = found else { return Ok(None) };
        let exceptions = read("no_proxy").or_else(|| read("NO_PROXY")).unwrap_or_default();
        proxy.exceptions = exceptions_of(&exceptions);
        if let Some(password) = password {
            let user = proxy.user.map(|(user, _)| user).unwrap_or_default();
            proxy.user = Some((user, password.to_owned()));
        }
        Ok(Some(Arc::new(proxy)))
    }

    fn read(from: &'static str, text: &str, spares_loopback: bool) -> Result<Proxy, NotAProxy> {
        let wrong = |reason| NotAProxy::Address { from, reason };
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        // What is said of it never shows the text: a password may be in it.
        let url = Url::parse(&whole).map_err(|_| wrong("this is no address"))?;
        if url.scheme() != "http" {
            return Err(NotAProxy::Scheme { from, scheme: url.scheme().chars().take(20).collect() });
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or(80);
        let user = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => {
                let both = decoded(user).zip(decoded(password.unwrap_or_default()));
                Some(both.ok_or_else(|| wrong("user and password are not UTF-8"))?)
            }
        };
        // Basic parts them by a colon (RFC 7617, 2).
        if user.as_ref().is_some_and(|(user, _)| user.contains(':')) {
            return Err(wrong("a user's name has no colon"));
        }
        Ok(Proxy { host, port, user, exceptions: Vec::new(), spares_loopback })
    }

    /// Host and port, as messages name it.
    pub fn name(&self) -> String {
        authority(&self.host, self.port)
    }

    /// Whether this host and port are reached through it.
    pub fn stands_before(&self, host: &str, port: u16) -> bool {
        let address: Option<IpAddr> = host.parse().ok();
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let loopback = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        if self.spares_loopback && loopback {
            return false;
        }
        !self.exceptions.iter().any(|exception| match exception {
            Exception::All => true,
            Exception::Name(name, of) => {
                let below = host
                    .strip_suffix(name.as_str())
                    .is_some_and(|left| left.is_empty() || left.ends_with('.'));
                below && of.is_none_or(|of| of == port)
            }
            Exception::Network(network) => address.is_some_and(|address| network.holds(address)),
            Exception::Address(spared, of) => address == Some(*spared) && *of == port,
        })
    }

    /// A connection to `host` and `port` through it. Names are looked up by the proxy.
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, ProxyError> {
        let (proxy, to) = (self.name(), authority(host, port));
        // Hosts may be told by a peer: more than a name would be more than one line.
        if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]%".contains(&byte)) {
            return Err(ProxyError::NoHost);
        }
        let reach = |source| ProxyError::Reach { proxy: self.name(), source };
        let mut stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(reach)?;
        stream.set_nodelay(true).map_err(reach)?;
        stream.write_all(self.request(&to).as_bytes()).await.map_err(reach)?;
        let head = read_head(&mut stream).await.map_err(reach)?;
        let answer = head.as_deref().and_then(Answer::read);
        let Some(Answer { status, words, schemes }) = answer else {
            return Err(ProxyError::NoProxy { proxy });
        };
        Err(match status {
            200..=299 => return Ok(stream),
            407 if !schemes.is_empty()
                && !schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic")) =>
            {
                ProxyError::OtherScheme { proxy, wants: schemes.join(", ") }
            }
            407 if self.user.is_some() => ProxyError::NotThisUser { proxy },
            407 => ProxyError::WhoAsks { proxy },
            403 | 405 => ProxyError::Forbidden { proxy, to, status },
            _ => ProxyError::Refused { proxy, to, status, words },
        })
    }

    fn request(&self, to: &str) -> String {
        let mut request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n");
        if let Some((user, password)) = &self.user {
            let pair = STANDARD.encode(format!("{user}:{password}"));
            request.push_str(&format!("Proxy-Authorization: Basic {pair}\r\n"));
        }
        request + "\r\n"
    }
}

/// TLS goes through HTTPS_PROXY, and all that has none of its own through ALL_PROXY.
fn from_environment(read: impl Fn(&str) -> Option<String>) -> Result<Option<Proxy>, NotAProxy> {
    if let Some(text) = read("https_proxy").or_else(|| read("HTTPS_PROXY")) {
        return Proxy::read("HTTPS_PROXY", &text, true).map(Some);
    }
    let Some(text) = read("all_proxy").or_else(|| read("ALL_PROXY")) else { return Ok(None) };
    match Proxy::read("ALL_PROXY", &text, true) {
        // It is often there for others' sake.
        Err(NotAProxy::Scheme { scheme, .. }) => {
            tracing::warn!(scheme, "ALL_PROXY is no HTTP proxy: gateways are dialled straight");
            Ok(None)
        }
        read => read.map(Some),
    }
}

fn exceptions_of(text: &str) -> Vec<Exception> {
    let entries = text.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty());
    entries.take(MOST_EXCEPTIONS).map(exception_of).collect()
}

fn exception_of(entry: &str) -> Exception {
    if entry == "*" {
        return Exception::All;
    }
    if let Ok(network) = Network::from_str(entry.trim_matches(['[', ']'])) {
        return Exception::Network(network);
    }
    let (name, port) = match entry.rsplit_once(':').and_then(|(name, port)| Some((name, port.parse().ok()?)))
    {
        Some((name, port)) => (name, Some(port)),
        None => (entry, None),
    };
    match (name.trim_matches(['[', ']']).parse(), port) {
        (Ok(address), Some(port)) => Exception::Address(address, port),
        _ => {
            let name = name.trim_start_matches('*').trim_start_matches('.').trim_end_matches('.');
            Exception::Name(name.to_ascii_lowercase(), port)
        }
    }
}

/// What percent signs stand for in an address (RFC 3986, 2.1); `None` if it is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        let meant = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match meant.filter(|_| bytes[at] == b'%') {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok()
}

/// As CONNECT and Host write it: an IPv6 address in brackets.
fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// An answer's head, and not a byte of what comes after it; `None` if there is none within bounds.
async fn read_head(stream: &mut TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    // A proxy says nothing after its head before the client has, so that what is read at once is not too much.
    while head.len() < MOST_HEAD {
        let mut piece = [0; 1_024];
        let count = stream.peek(&mut piece).await?;
        if count == 0 {
            return Ok(None);
        }
        let before = head.len();
        head.extend_from_slice(&piece[..count]);
        let from = before.saturating_sub(3);
        let end = head[from..].windows(4).position(|four| four == b"\r\n\r\n").map(|at| from + at + 4);
        head.truncate(end.unwrap_or(head.len()));
        let taken = head.len() - before;
        stream.read_exact(&mut piece[..taken]).await?;
        if end.is_some() {
            return Ok(Some(head));
        }
    }
    Ok(None)
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    words: String,
    /// What a proxy that asks who is there would take.
    schemes: Vec<String>,
}

impl Answer {
    /// Reads a head (RFC 9112, 4).
    fn read(head: &[u8]) -> Option<Answer> {
        let text = String::from_utf8_lossy(head);
        let mut lines = text.split("\r\n");
        let (version, rest) = lines.next()?.split_once(' ')?;
        let (status, words) = rest.split_once(' ').unwrap_or((rest, ""));
        let three_digits = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
        if !matches!(version, "HTTP/1.1" | "HTTP/1.0") || !three_digits {
            return None;
        }
        let status = status.parse().ok()?;
        let plain = |text: &str| -> String {
            text.chars().filter(|each| !each.is_control()).take(MOST_WORDS).collect()
        };
        let fields = lines.filter_map(|line| line.split_once(':'));
        let asks = fields.filter(|(name, _)| name.eq_ignore_ascii_case("proxy-authenticate"));
        let schemes = asks.filter_map(|(_, value)| value.split_whitespace().next().map(plain));
        Some(Answer { status, words: plain(words), schemes: schemes.take(8).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(asked: Option<&str>, environment: &[(&str, &str)]) -> Result<Option<Arc<Proxy>>, NotAProxy> {
        let read = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Proxy::wanted(asked, None, read)
    }

    #[test]
    fn a_proxy_is_read_with_its_user_and_none_of_it_is_shown() {
        let proxy = wanted(Some("http://anne:s%40cret@proxy.clinic:3128"), &[]).unwrap().unwrap();
        assert_eq!(proxy.name(), "proxy.clinic:3128");
        let request = proxy.request("edge:443");
        // "anne:s@cret"
        assert_eq!(
            request,
            "CONNECT edge:443 HTTP/1.1\r\nHost: edge:443\r\nProxy-Authorization: Basic YW5uZTpzQGNyZXQ=\r\n\r\n"
        );
        assert_eq!(format!("{proxy:?}"), "Proxy(proxy.clinic:3128)");
        assert_eq!(wanted(Some("proxy:3128"), &[]).unwrap().unwrap().name(), "proxy:3128");
        assert_eq!(wanted(Some("http://[::1]:8080/"), &[]).unwrap().unwrap().name(), "[::1]:8080");
        for wrong in [
            "http://anne:s3cret@",
            "socks5://anne:s3cret@proxy",
            "http://a%3Ab:s3cret@proxy:1",
            "http://x:99999",
        ] {
            let error = wanted(Some(wrong), &[]).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_password_given_apart_is_the_named_user_s() {
        let proxy = Proxy::wanted(Some("http://anne@proxy:1"), Some("a:b"), |_| None).unwrap().unwrap();
        assert_eq!(proxy.user, Some(("anne".into(), "a:b".into())));
    }

    #[test]
    fn the_environment_s_proxy_is_taken_where_none_is_asked_for() {
        let name =
            |environment: &[(&str, &str)]| wanted(None, environment).unwrap().map(|proxy| proxy.name());
        assert_eq!(name(&[]), None);
        assert_eq!(name(&[("HTTPS_PROXY", "")]), None);
        assert_eq!(name(&[("HTTP_PROXY", "http://a:1")]), None);
        assert_eq!(name(&[("ALL_PROXY", "http://a:1"), ("HTTPS_PROXY", "b:2")]).unwrap(), "b:2");
        assert_eq!(name(&[("HTTPS_PROXY", "http://a:1"), ("https_proxy", "b:2")]).unwrap(), "b:2");
        assert_eq!(name(&[("all_proxy", "socks5h://a:1")]), None);
        let asked = wanted(Some("http://c:3"), &[("HTTPS_PROXY", "http://a:1")]).unwrap().unwrap();
        assert_eq!(asked.name(), "c:3");
        assert!(wanted(None, &[("HTTPS_PROXY", "socks5://a:1")]).is_err());
    }

    #[test]
    fn no_proxy_stands_before_those_that_are_excepted() {
        let list =
            "example.org, .clinic.example,*.ward.example ,10.0.0.0/8,192.0.2.7,gate:8443,[2001:db8::1]:443";
        let proxy = wanted(Some("http://p:1"), &[("NO_PROXY", list)]).unwrap().unwrap();
        for (host, port) in [
            ("example.org", 443),
            ("a.EXAMPLE.org.", 443),
            ("clinic.example", 1),
            ("x.ward.example", 1),
            ("10.1.2.3", 1),
            ("192.0.2.7", 1),
            ("gate", 8443),
            ("2001:db8::1", 443),
        ] {
            assert!(!proxy.stands_before(host, port), "{host}:{port}");
        }
        for (host, port) in [
            ("notexample.org", 443),
            ("11.1.2.3", 1),
            ("192.0.2.8", 1),
            ("gate", 443),
            ("2001:db8::1", 8443),
            ("127.0.0.1", 443),
        ] {
            assert!(proxy.stands_before(host, port), "{host}:{port}");
        }
        let all = wanted(Some("http://p:1"), &[("no_proxy", "*")]).unwrap().unwrap();
        assert!(!all.stands_before("anything", 1));
    }

    #[test]
    fn the_environment_s_proxy_does_not_stand_before_this_machine() {
        let proxy = wanted(None, &[("HTTPS_PROXY", "http://p:1")]).unwrap().unwrap();
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "::1"] {
            assert!(!proxy.stands_before(host, 443), "{host}");
        }
        assert!(proxy.stands_before("192.0.2.1", 443));
    }

    #[test]
    fn an_answer_is_read_and_what_is_none_is_not() {
        let answer = |text: &str| Answer::read(text.as_bytes());
        let asked = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Negotiate\r\n\
                     proxy-authenticate: Basic realm=\"x\"\r\n\r\n";
        let schemes = vec!["Negotiate".to_owned(), "Basic".to_owned()];
        let words = "Proxy Authentication Required".to_owned();
        assert_eq!(answer(asked), Some(Answer { status: 407, words, schemes }));
        assert_eq!(answer("HTTP/1.0 200\r\n\r\n").map(|answer| answer.status), Some(200));
        for wrong in [
            "",
            "SSH-2.0-OpenSSH\r\n\r\n",
            "HTTP/1.1 +20 x\r\n\r\n",
            "HTTP/1.1 2000 x\r\n\r\n",
            "HTTP/2 200 x\r\n\r\n",
        ] {
            assert_eq!(answer(wrong), None, "{wrong}");
        }
    }
}
