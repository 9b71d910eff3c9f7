//! The requests that carry spans to a collector.

use crate::outbound::Http;
use http_body_util::Full;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;
use tokio::runtime::Handle;
use url::Url;

const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Collector {
    http: Http,
    url: Url,
    /// The exporter's thread has no runtime of its own.
    runtime: Handle,
}

impl Collector {
    pub fn new(url: Url, ca: Option<&Path>, runtime: Handle) -> Result<Self, String> {
        Ok(Collector { http: Http::new(ca)?, url, runtime })
    }
}

impl HttpClient for Collector {
    // As `async_trait` writes it in the trait.
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        let (http, url) = (self.http.clone(), self.url.clone());
        let sent = self.runtime.spawn(async move {
            tokio::time::timeout(PATIENCE, http.send(&url, request.map(Full::new))).await
        });
        Box::pin(async move {
            let answer = sent.await??.map_err(|error| -> HttpError { error })?;
            Ok(Response::builder().status(answer.status).body(answer.body)?)
        })
    }
}
