-- Hosts that may offer applications, each by a key of its own.
CREATE TABLE hosts (
    name TEXT PRIMARY KEY,
    -- Its Ed25519 public key, in base64url.
    host_key TEXT NOT NULL,
    enrolled_at BIGINT NOT NULL,
    -- 0: never.
    seen_at BIGINT NOT NULL,
    -- 1: it is given no new sessions.
    drained BIGINT NOT NULL
);
