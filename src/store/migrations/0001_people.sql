-- Text and 64-bit integers only: SQLite and PostgreSQL then read the same schema alike.
-- Times are milliseconds since 1970.

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    role TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    -- A PHC string of Argon2id, or nothing: then no password signs in.
    password TEXT,
    -- The shared secret of TOTP, sealed by the gateway, and the newest time step that was used.
    totp TEXT,
    totp_step BIGINT NOT NULL,
    -- Attempts since the last one that was right, and when the next one is looked at.
    attempts BIGINT NOT NULL,
    retry_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE memberships (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    group_name TEXT NOT NULL,
    PRIMARY KEY (user_id, group_name)
);

CREATE TABLE seats (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    enabled BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE sign_ins (
    id TEXT PRIMARY KEY,
    -- SHA-256 of what the client shows, in hexadecimal digits.
    secret TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    method TEXT NOT NULL,
    seat TEXT NOT NULL,
    begun_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL
);

CREATE INDEX sign_ins_by_user ON sign_ins (user_id);
