-- Gateways that share this database. Times are the database's own, in milliseconds since 1970.
CREATE TABLE gateways (
    name TEXT PRIMARY KEY,
    -- One start of its process: what an earlier one held is nobody's.
    start_id TEXT NOT NULL,
    -- How others reach it, as JSON.
    address TEXT NOT NULL,
    -- 1: it takes nothing new.
    draining BIGINT NOT NULL,
    -- It is there until then, unless it says so again.
    until BIGINT NOT NULL
);

-- Which gateway has a session: for as long as that one is there.
CREATE TABLE leases (
    session TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    -- Of the gateway that has it.
    start_id TEXT NOT NULL,
    -- Counts the gateways that have had it.
    fence BIGINT NOT NULL
);

-- Tickets that were shown to one of several gateways.
CREATE TABLE used_tickets (
    id TEXT PRIMARY KEY,
    first_at BIGINT NOT NULL,
    until BIGINT NOT NULL
);
