//! Synthetic sessions to load a gateway with: in a gateway of its own, or offered to one as hosts do.

use super::timetable::Profile;
use crate::gateway::{Access, Config, Gateway, GatewayError, RegistryError};
use crate::host::{self, GatewayAt};
use crate::link::Target;
use crate::screen::{HashKey, SizeError};
use crate::session::Session;
use crate::source::{Canvas, SYNTHETIC_TITLE, SyntheticConfig, SyntheticSource};
use crate::wire::Policy;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// What is offered.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    pub sessions: usize,
    pub width: u32,
    pub height: u32,
    pub profile: Profile,
    pub seed: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Size(#[from] SizeError),
    #[error("offering {session}: {source}")]
    Refused { session: String, source: host::HostError },
}

/// Sessions that run. They end when it is dropped.
pub enum Serving {
    Own(Gateway),
    Hosts(JoinSet<ServeError>),
}

impl Offer {
    /// What the sessions are called, with a `*` for their number.
    pub fn pattern(&self) -> String {
        let name = match self.profile {
            Profile::Ward => "ward",
            Profile::Practice => "practice",
            Profile::Imaging => "imaging",
            Profile::Video => "video",
            Profile::Watch => "watch",
        };
        format!("{name}-*")
    }

    fn name(&self, number: usize) -> String {
        self.pattern().replace('*', &number.to_string())
    }

    fn title(&self, number: usize) -> String {
        format!("{SYNTHETIC_TITLE} {}", self.name(number))
    }

    fn config(&self, number: usize) -> SyntheticConfig {
        SyntheticConfig {
            seed: self.seed.wrapping_add(number as u64),
            width: self.width,
            height: self.height,
            stack: self.profile == Profile::Imaging,
            video: self.profile == Profile::Video,
        }
    }

    /// Starts a gateway with these sessions.
    pub async fn serve(&self, listen: SocketAddr, ticket: Option<String>) -> Result<Serving, ServeError> {
        let config = Config {
            listen: vec![listen],
            access: Access { ticket, ..Access::default() },
            ..Config::default()
        };
        let gateway = Gateway::start(&config).await?;
        for number in 0..self.sessions {
            let config = self.config(number);
            gateway.registry().start_synthetic(&self.name(number), &self.title(number), config)?;
        }
        Ok(Serving::Own(gateway))
    }

    /// Offers these sessions to a gateway elsewhere, or to several that share a database, one link each, as that many hosts would.
    pub fn offer_to(&self, targets: &[Target], secret: &[u8]) -> Result<Serving, ServeError> {
        let mut hosts = JoinSet::new();
        for number in 0..self.sessions {
            let canvas = Arc::new(Canvas::new(self.width, self.height)?);
            let (events, to_session) = mpsc::channel(64);
            let config = self.config(number);
            let source = Arc::new(SyntheticSource::start(canvas.clone(), &events, config)?);
            // Not for its own viewers: the gateway keys its hashes by itself.
            let key = HashKey(config.seed);
            let (name, title) = (self.name(number), self.title(number));
            let session = Session::start(&name, &title, key, Policy::default(), canvas, source, to_session)?;
            let gateways: Vec<GatewayAt> = targets.iter().cloned().map(GatewayAt::from).collect();
            let secret = secret.to_vec();
            hosts.spawn(async move {
                let source = host::offer_to(&session, &gateways, &secret).await;
                ServeError::Refused { session: name, source }
            });
        }
        Ok(Serving::Hosts(hosts))
    }
}
