//! Whose pages may dial: the gateway's own, and those of sites that its configuration names.

/// The sites beside the gateway's own.
pub(crate) struct Origins(Vec<String>);

impl Origins {
    pub fn new(listed: &[String]) -> Self {
        Origins(listed.to_vec())
    }

    /// A browser says which site's page dials; other programs say nothing. `host` is the name, with a port unless it is
    /// the scheme's own, by which the gateway was dialled.
    pub fn admit(&self, origin: Option<&str>, host: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        if self.0.iter().any(|listed| listed.eq_ignore_ascii_case(origin)) {
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
        let origins = Origins::new(&["https://portal.example".to_owned()]);
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
    fn an_origin_has_a_scheme_and_a_host_and_nothing_else() {
        assert!(is_origin("https://portal.example:8443"));
        for wrong in ["portal.example", "https://portal.example/", "https://*.example", "https://", "*"] {
            assert!(!is_origin(wrong), "{wrong}");
        }
    }
}
