-- The seats of 0001 were never filled: nothing is lost.
DROP TABLE seats;

-- Enrolled workstations. The key's private half never leaves its seat.
CREATE TABLE seats (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- The name as names are compared: lower case, single spaces.
    folded TEXT NOT NULL UNIQUE,
    -- Ed25519, base64url.
    public_key TEXT NOT NULL,
    zone TEXT NOT NULL,
    -- 'wedge': a tap opens and the next one locks. 'card': open while the card is there.
    mode TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- 0: not revoked.
    revoked_at BIGINT NOT NULL
);

-- What lets a workstation enrol, once: SHA-256 of the code.
CREATE TABLE seat_codes (
    code TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    zone TEXT NOT NULL,
    mode TEXT NOT NULL,
    ends_at BIGINT NOT NULL
);

-- A badge is known by a hash of its number, keyed by the gateway's secret.
CREATE TABLE badges (
    number_hash TEXT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT NOT NULL
);

CREATE INDEX badges_by_user ON badges (user_id);

CREATE TABLE pins (
    user_id TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    -- A PHC string of Argon2id.
    pin TEXT NOT NULL,
    -- Wrong ones since the last right one, and when the next is looked at.
    attempts BIGINT NOT NULL,
    retry_at BIGINT NOT NULL,
    -- Until when a tap in this place needs no PIN, and with which badge.
    grace_until BIGINT NOT NULL,
    grace_place TEXT NOT NULL,
    grace_badge TEXT NOT NULL
);

-- What was changed by command, until a gateway has written it into its audit journal.
CREATE TABLE changes (
    id TEXT PRIMARY KEY,
    changed_at BIGINT NOT NULL,
    -- 'user' or 'seat'.
    kind TEXT NOT NULL,
    whom TEXT NOT NULL,
    what TEXT NOT NULL
);
