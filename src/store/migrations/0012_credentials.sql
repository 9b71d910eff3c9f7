-- What a user signs in with on a host that has no chevet.
CREATE TABLE credentials (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- As the applications name it.
    host TEXT NOT NULL,
    -- Sealed by a key of the gateway's secret, for this user and host.
    sealed TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, host)
);
