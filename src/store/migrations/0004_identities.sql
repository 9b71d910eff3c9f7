-- Who a user is at an OpenID provider: bound by what the provider never gives to anybody else.
CREATE TABLE identities (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    bound_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);

CREATE INDEX identities_by_user ON identities (user_id);

-- What is needed of a sign-in by a provider to end it there, or when it ends there.
CREATE TABLE provider_sign_ins (
    sign_in_id TEXT PRIMARY KEY REFERENCES sign_ins (id) ON DELETE CASCADE,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- The provider's session; empty if it has no name.
    sid TEXT NOT NULL,
    -- Sealed by the gateway.
    id_token TEXT NOT NULL
);

CREATE INDEX provider_sign_ins_by_subject ON provider_sign_ins (issuer, subject);
