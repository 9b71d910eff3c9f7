-- Who holds a session now. Each grant has a higher number than all before it; the highest one is right.
CREATE TABLE holdings (
    session TEXT PRIMARY KEY,
    grant_number BIGINT NOT NULL,
    user_id TEXT NOT NULL,
    seat TEXT NOT NULL,
    granted_at BIGINT NOT NULL
);
