-- What gateways that share this database tell administrators of themselves, as JSON. Times are the database's own.
CREATE TABLE gateway_views (
    name TEXT PRIMARY KEY,
    start_id TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    view TEXT NOT NULL
);

-- What an administrator at one gateway asks of another one.
CREATE TABLE gateway_orders (
    id TEXT PRIMARY KEY,
    -- Of the gateway that is asked.
    start_id TEXT NOT NULL,
    -- Who asks, where, and for what, as JSON.
    text TEXT NOT NULL,
    -- 1: it is being done, or was.
    taken BIGINT NOT NULL,
    -- JSON; empty: not yet.
    answer TEXT NOT NULL,
    -- Not begun later than this.
    until BIGINT NOT NULL
);

-- The certificates that hosts without chevet showed at first use.
CREATE TABLE known_certificates (
    -- rdp or vnc
    protocol TEXT NOT NULL,
    -- HOST:PORT
    host TEXT NOT NULL,
    -- The SHA-256, as hexadecimal digits.
    fingerprint TEXT NOT NULL,
    -- By the clock of the gateway that saw it, in milliseconds since 1970.
    first_at BIGINT NOT NULL,
    -- The gateway that saw it; empty: the only one.
    gateway TEXT NOT NULL,
    PRIMARY KEY (protocol, host)
);
