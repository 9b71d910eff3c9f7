-- Hosts without chevet that administrators added: what the gateway reaches by VNC or RDP.
CREATE TABLE remote_hosts (
    name TEXT NOT NULL PRIMARY KEY,
    -- How it is reached, as JSON; no password is in it.
    settings TEXT NOT NULL,
    -- The password, sealed by a key of the gateway's secret for this host; empty: none.
    sealed TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);
