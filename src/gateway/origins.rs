//! Whose pages may dial: the gateway's own, those of origins that its configuration lists, and those of the gateways of other
//! sites that it knows. The last may dial and nothing else: what stands behind that is the ticket.

use super::sites::PeerConfig;

/// The origins beside the gateway's own.
pub(crate) struct Origins {
    /// As good as the gateway's own.
    listed: Vec<String>,
    /// The pages of other sites' gateways.
    peers: Vec<String>,
}

impl Origins {
    pub fn new(listed: &[String], peers: &[PeerConfig]) -> Self {
        let gateways = peers.iter().flat_map(|peer| &peer.gateways);
        Origins {
            listed: listed.to_vec(),
            peers: gateways.map(|gateway| gateway.origin().ascii_serialization()).collect(),
        }
    }

    /// Whether the page of this origin may dial the gateway with a ticket, and learn how that is done.
    pub fn may_dial(&self, origin: Option<&str>, host: Option<&str>) -> bool {
        let is_peers =
            origin.is_some_and(|origin| self.peers.iter().any(|peer| peer.eq_ignore_ascii_case(origin)));
        is_peers || self.admit(origin, host)
    }

    /// Whether the page of this origin may do what the gateway's own page may. A browser says which origin's page asks; other
    /// programs say nothing. `host` is the name, with a port unless it is the scheme's own, by which the gateway was dialled.
    pub fn admit(&self, origin: Option<&str>, host: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        if self.listed.iter().any(|listed| listed.eq_ignore_ascii_case(origin)) {
            return true;
        }
        let (Some((scheme, site)), Some(host)) = (origin.split_once("://"), host) else { return false };
        // WebTransport always writes https: a page on port 80 dials "host:80".
        let port = if scheme == "http" { ":80" } else { ":443" };
        let same = |host: &str| host.eq_ignore_ascii_case(site);
        same(host) || host.strip_suffix(port).is_some_and(same)
    }
}

/// Whether this is written as browsers write an origin.
pub(super) fn is_origin(text: &str) -> bool {
    let site = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    site.is_some_and(|site| !site.is_empty() && !site.contains(['/', '?', '#', '@', '*', ' ']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_gateways_own_page_and_the_listed_sites_may_dial() {
        let origins = Origins::new(&["https://portal.example".to_owned()], &[]);
        let own = |origin, host| origins.admit(Some(origin), Some(host));
        assert!(own("https://desk.example", "desk.example"));
        assert!(own("https://Desk.example", "desk.example:443"));
        assert!(own("http://desk.example", "desk.example:80"));
        assert!(own("http://[::1]:4380", "[::1]:4380"));
        assert!(own("https://portal.example", "desk.example"));
        assert!(origins.admit(None, Some("desk.example")));
        assert!(!own("https://portal.example.evil", "desk.example"));
        assert!(!own("https://desk.example", "desk.example:4380"));
        assert!(!own("http://desk.example", "desk.example:443"));
        assert!(!own("null", "desk.example"));
        assert!(!origins.admit(Some("https://desk.example"), None));
    }

    #[test]
    fn the_page_of_another_sites_gateway_may_dial_and_nothing_else() {
        let peer: PeerConfig = toml::from_str(
            "name = 'south'\nkey = ''\ngateways = ['https://GW.South.example/', 'https://[2001:db8::1]:4380', \
             'https://gw3.south.example:443']",
        )
        .unwrap();
        let origins = Origins::new(&[], &[peer]);
        let host = Some("gw.north.example:4380");
        for origin in ["https://gw.south.example", "https://[2001:db8::1]:4380", "https://gw3.south.example"]
        {
            assert!(origins.may_dial(Some(origin), host), "{origin}");
            assert!(!origins.admit(Some(origin), host), "{origin}");
        }
        for origin in [
            "http://gw.south.example",
            "https://gw.south.example:8443",
            "https://evil.gw.south.example",
            "https://south.example",
            "null",
            "",
        ] {
            assert!(!origins.may_dial(Some(origin), host), "{origin}");
        }
        assert!(origins.may_dial(Some("https://gw.north.example:4380"), host), "its own");
        assert!(origins.may_dial(None, host));
    }

    #[test]
    fn an_origin_has_a_scheme_and_a_host_and_nothing_else() {
        assert!(is_origin("https://portal.example:8443"));
        for wrong in ["portal.example", "https://portal.example/", "https://*.example", "https://", "*"] {
            assert!(!is_origin(wrong), "{wrong}");
        }
    }
}
