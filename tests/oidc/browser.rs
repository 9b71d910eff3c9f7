//! What a browser does of HTTP: it keeps cookies for each site, and follows redirects.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use tokio::net::TcpStream;
use url::Url;

#[derive(Default)]
pub struct Browser {
    /// By host and port, then by name.
    cookies: BTreeMap<String, BTreeMap<String, String>>,
    /// Of the page whose script asks; none: an address that was opened.
    origin: Option<String>,
}

pub struct Page {
    pub url: Url,
    pub status: StatusCode,
    pub location: Option<Url>,
    pub text: String,
    /// The lines that set cookies.
    pub set: Vec<String>,
}

impl Page {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The value of a hidden field of the form on it.
    pub fn hidden(&self, name: &str) -> String {
        let (_, after) = self.text.split_once(&format!("name=\"{name}\" value=\"")).expect(&self.text);
        after.split('"').next().unwrap().to_owned()
    }
}

fn site(url: &Url) -> String {
    url[url::Position::BeforeHost..url::Position::AfterPort].to_owned()
}

impl Browser {
    /// Asks as a script of this page.
    pub fn of(page: &Url) -> Browser {
        Browser { origin: Some(page.origin().ascii_serialization()), ..Browser::default() }
    }

    pub async fn get(&mut self, url: &Url) -> Page {
        self.ask(url, "GET", None).await
    }

    pub async fn post_form(&mut self, url: &Url, fields: &[(&str, &str)]) -> Page {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.ask(url, "POST", Some(("application/x-www-form-urlencoded", form))).await
    }

    pub async fn post_json(&mut self, url: &Url, body: &serde_json::Value) -> Page {
        self.ask(url, "POST", Some(("application/json", body.to_string()))).await
    }

    /// Follows redirects until a page of this site is asked for that is not under /api/, or there is no more.
    pub async fn follow(&mut self, mut page: Page, home: &Url) -> Page {
        for _ in 0..12 {
            let Some(to) = page.location.clone() else { return page };
            if to.origin() == home.origin() && !to.path().starts_with("/api/") {
                return page;
            }
            page = self.get(&to).await;
        }
        panic!("redirected for ever: {}", page.url)
    }

    /// Follows redirects until the provider sends back to this path, which is not asked for.
    pub async fn follow_until(&mut self, mut page: Page, path: &str) -> Url {
        for _ in 0..12 {
            let to = page.location.clone().unwrap_or_else(|| panic!("{}: {}", page.url, page.text));
            if to.path() == path {
                return to;
            }
            page = self.get(&to).await;
        }
        panic!("redirected for ever: {}", page.url)
    }

    pub fn cookie(&self, url: &Url, name: &str) -> Option<String> {
        self.cookies.get(&site(url))?.get(name).cloned()
    }

    pub fn forget(&mut self, url: &Url, name: &str) {
        if let Some(kept) = self.cookies.get_mut(&site(url)) {
            kept.remove(name);
        }
    }

    pub fn keep(&mut self, url: &Url, name: &str, value: &str) {
        self.cookies.entry(site(url)).or_default().insert(name.to_owned(), value.to_owned());
    }

    async fn ask(&mut self, url: &Url, method: &str, body: Option<(&str, String)>) -> Page {
        let kept = self.cookies.get(&site(url)).cloned().unwrap_or_default();
        let cookies: Vec<String> = kept.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = Request::builder()
            .method(method)
            .uri(&url[url::Position::BeforePath..url::Position::AfterQuery])
            .header(header::HOST, site(url));
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        if let Some(origin) = &self.origin {
            request = request.header(header::ORIGIN, origin);
        }
        if let Some((kind, _)) = &body {
            request = request.header(header::CONTENT_TYPE, *kind);
        }
        let bytes = Bytes::from(body.map(|(_, text)| text).unwrap_or_default());
        let stream = TcpStream::connect(site(url)).await.unwrap_or_else(|error| panic!("{url}: {error}"));
        let (mut sender, link) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let link = tokio::spawn(link);
        let answer = sender.send_request(request.body(Full::new(bytes)).unwrap()).await.unwrap();
        let page = self.read(url, answer).await;
        link.abort();
        page
    }

    async fn read(&mut self, url: &Url, answer: Response<hyper::body::Incoming>) -> Page {
        let headers = answer.headers().clone();
        let set: Vec<String> = headers
            .get_all(header::SET_COOKIE)
            .iter()
            .map(|line| line.to_str().unwrap().to_owned())
            .collect();
        for line in &set {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            let gone = value.is_empty() || line.to_lowercase().contains("max-age=0");
            match gone {
                true => self.forget(url, name),
                false => self.keep(url, name, value),
            }
        }
        let location = headers.get(header::LOCATION).map(|to| url.join(to.to_str().unwrap()).unwrap());
        let status = answer.status();
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&text).into_owned();
        Page { url: url.clone(), status, location, text, set }
    }
}
