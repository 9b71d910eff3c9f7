//! Where a gateway is. One on the loopback whose certificate was not told is asked for it at each dial: nobody stands between, and
//! it may start later than its hosts, or anew with another certificate.

use crate::client::{AddressError, ask_target};
use crate::link::{Proxy, Target};
use std::sync::Arc;

/// How a host reaches one of its gateways.
#[derive(Clone, Debug)]
pub enum GatewayAt {
    Known(Target),
    /// On the loopback.
    Asked {
        host: String,
        port: u16,
        proxy: Option<Arc<Proxy>>,
    },
}

impl From<Target> for GatewayAt {
    fn from(target: Target) -> GatewayAt {
        GatewayAt::Known(target)
    }
}

impl GatewayAt {
    pub(super) fn host(&self) -> &str {
        match self {
            GatewayAt::Known(target) => &target.host,
            GatewayAt::Asked { host, .. } => host,
        }
    }

    /// How it is dialled now.
    pub(super) async fn target(&self) -> Result<Target, AddressError> {
        match self {
            GatewayAt::Known(target) => Ok(target.clone()),
            GatewayAt::Asked { host, port, proxy } => {
                Ok(Target { proxy: proxy.clone(), ..ask_target(host, *port).await? })
            }
        }
    }
}
