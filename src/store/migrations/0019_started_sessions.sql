-- Sessions that hosts start for the users of several gateways. Times are the database's own, in milliseconds since 1970.
CREATE TABLE started_sessions (
    session TEXT PRIMARY KEY,
    application TEXT NOT NULL,
    user_id TEXT NOT NULL,
    -- The user's name for people.
    title TEXT NOT NULL,
    -- Empty where a user has one session of the application; else the session itself.
    slot TEXT NOT NULL,
    host TEXT NOT NULL,
    -- The start of the gateway that orders it.
    start_id TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    -- 0: it is being started; 1: it runs; 2: it has ended.
    state BIGINT NOT NULL,
    reason TEXT NOT NULL,
    ended_at BIGINT NOT NULL
);
-- Whichever gateways are asked, and at whatever moment: a user has one.
CREATE UNIQUE INDEX started_once ON started_sessions (user_id, application, slot) WHERE state < 2;
