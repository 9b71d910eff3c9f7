-- Every change of an account has a number, higher than all before: other sites ask for what changed since one.
CREATE TABLE account_versions (
    id BIGINT PRIMARY KEY,
    version BIGINT NOT NULL
);

ALTER TABLE users ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
-- The site that the account is of, with its id and name there. Empty: this one.
ALTER TABLE users ADD COLUMN home TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN home_id TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN home_name TEXT NOT NULL DEFAULT '';

-- No two changes have the same number.
UPDATE users SET version = numbered.n
FROM (SELECT id AS of, ROW_NUMBER() OVER (ORDER BY id) AS n FROM users) AS numbered
WHERE numbered.of = users.id;

INSERT INTO account_versions (id, version) SELECT 1, COUNT(*) + 1 FROM users;

CREATE INDEX users_by_version ON users (version);
CREATE INDEX users_by_home ON users (home, home_id);

CREATE TABLE removed_accounts (
    id TEXT PRIMARY KEY,
    version BIGINT NOT NULL
);

-- Other sites: up to which version their accounts were heard of, and when that was last known to be all.
CREATE TABLE sites (
    name TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    pulled_at BIGINT NOT NULL,
    -- By what both sites decide of accounts: others, and all are heard of anew.
    terms TEXT NOT NULL DEFAULT '',
    -- Of several gateways one hears a site: this start of one, until then.
    puller TEXT NOT NULL DEFAULT '',
    puller_until BIGINT NOT NULL DEFAULT 0
);

-- Which sign-in here has which one at another site: that one ends with it.
CREATE TABLE visits (
    sign_in TEXT NOT NULL,
    site TEXT NOT NULL,
    there TEXT NOT NULL,
    PRIMARY KEY (sign_in, site)
);
