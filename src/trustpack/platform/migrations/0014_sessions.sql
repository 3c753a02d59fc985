-- Who is signed in (ADR-0024). A session is a governed subject of its tenant; how an account signs in is global, like the account.

CREATE TABLE trustpack.sessions (
  tenant_id        text NOT NULL,
  id               text NOT NULL,
  version          bigint NOT NULL,
  status           text NOT NULL,
  account_id       text NOT NULL,
  person_id        text NOT NULL,
  digest           text NOT NULL,
  method           text NOT NULL,
  client           text NOT NULL,
  authenticated_at timestamptz NOT NULL,
  created_at       timestamptz NOT NULL,
  absolute_end     timestamptz NOT NULL,
  CONSTRAINT sessions_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT sessions_digest UNIQUE (tenant_id, digest),
  CONSTRAINT sessions_account_fkey FOREIGN KEY (tenant_id, account_id) REFERENCES trustpack.person_accounts (tenant_id, account_id),
  CONSTRAINT sessions_person_fkey FOREIGN KEY (tenant_id, person_id) REFERENCES trustpack.people (tenant_id, id),
  CONSTRAINT sessions_status CHECK (status IN ('active', 'ended'))
);
CREATE INDEX sessions_by_person ON trustpack.sessions (tenant_id, person_id, status);
SELECT trustpack.protect_tenant_table('sessions');
SELECT trustpack.govern('sessions', 'session');

-- Last use is an observation, as with tokens.
CREATE TABLE trustpack.session_uses (
  tenant_id    text NOT NULL,
  session_id   text NOT NULL,
  last_seen_at timestamptz NOT NULL,
  CONSTRAINT session_uses_pkey PRIMARY KEY (tenant_id, session_id),
  CONSTRAINT session_uses_session_fkey FOREIGN KEY (tenant_id, session_id) REFERENCES trustpack.sessions (tenant_id, id)
);
SELECT trustpack.protect_tenant_table('session_uses');
GRANT UPDATE ON trustpack.session_uses TO trustpack_app;

-- A link that lets the owner of an account set up how they sign in, once.
CREATE TABLE trustpack.invitations (
  tenant_id  text NOT NULL,
  id         text NOT NULL,
  version    bigint NOT NULL,
  status     text NOT NULL,
  account_id text NOT NULL,
  person_id  text NOT NULL,
  digest     text NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  CONSTRAINT invitations_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT invitations_digest UNIQUE (tenant_id, digest),
  CONSTRAINT invitations_account_fkey FOREIGN KEY (tenant_id, account_id)
    REFERENCES trustpack.person_accounts (tenant_id, account_id),
  CONSTRAINT invitations_person_fkey FOREIGN KEY (tenant_id, person_id) REFERENCES trustpack.people (tenant_id, id),
  CONSTRAINT invitations_status CHECK (status IN ('open', 'used', 'withdrawn'))
);
CREATE INDEX invitations_by_account ON trustpack.invitations (tenant_id, account_id, status);
SELECT trustpack.protect_tenant_table('invitations');
SELECT trustpack.govern('invitations', 'invitation');

-- How an account signs in. Rows may go: what is proven is that they came and went, by receipts of the person.
CREATE TABLE trustpack.account_names (
  account_id text NOT NULL,
  name       text NOT NULL,
  created_at timestamptz NOT NULL,
  CONSTRAINT account_names_pkey PRIMARY KEY (account_id),
  CONSTRAINT account_names_name UNIQUE (name),
  CONSTRAINT account_names_account_fkey FOREIGN KEY (account_id) REFERENCES trustpack.accounts (id)
);
GRANT SELECT, INSERT, DELETE ON trustpack.account_names TO trustpack_app;
GRANT UPDATE (name) ON trustpack.account_names TO trustpack_app;

CREATE TABLE trustpack.passkeys (
  id            text NOT NULL,
  account_id    text NOT NULL,
  credential_id bytea NOT NULL,
  public_key    bytea NOT NULL,
  sign_count    bigint NOT NULL,
  label         text NOT NULL,
  created_at    timestamptz NOT NULL,
  last_used_at  timestamptz,
  CONSTRAINT passkeys_pkey PRIMARY KEY (id),
  CONSTRAINT passkeys_credential UNIQUE (credential_id),
  CONSTRAINT passkeys_account_fkey FOREIGN KEY (account_id) REFERENCES trustpack.accounts (id)
);
CREATE INDEX passkeys_by_account ON trustpack.passkeys (account_id);
GRANT SELECT, INSERT, DELETE ON trustpack.passkeys TO trustpack_app;
GRANT UPDATE (sign_count, last_used_at) ON trustpack.passkeys TO trustpack_app;

CREATE TABLE trustpack.passwords (
  account_id text NOT NULL,
  hash       text NOT NULL,
  changed_at timestamptz NOT NULL,
  CONSTRAINT passwords_pkey PRIMARY KEY (account_id),
  CONSTRAINT passwords_account_fkey FOREIGN KEY (account_id) REFERENCES trustpack.accounts (id),
  CONSTRAINT passwords_argon2id CHECK (hash LIKE '$argon2id$%')
);
GRANT SELECT, INSERT, DELETE ON trustpack.passwords TO trustpack_app;
GRANT UPDATE (hash, changed_at) ON trustpack.passwords TO trustpack_app;

-- What the server must remember between asking a browser and hearing its answer. Taken out by the answer, so it serves once.
CREATE TABLE trustpack.ceremonies (
  digest     text NOT NULL,
  kind       text NOT NULL,
  kept       jsonb NOT NULL,
  expires_at timestamptz NOT NULL,
  CONSTRAINT ceremonies_pkey PRIMARY KEY (digest)
);
CREATE INDEX ceremonies_by_end ON trustpack.ceremonies (expires_at);
GRANT SELECT, INSERT, DELETE ON trustpack.ceremonies TO trustpack_app;
GRANT UPDATE (expires_at) ON trustpack.ceremonies TO trustpack_app; -- to lock a row asks for the right to change something

-- In which tenants an account is somebody: asked over all tenants at sign-in and when somebody changes the tenant, so by the login
-- that finds things of every tenant. A function with its owner's rights would see nothing where the owner is no superuser, for
-- row-level security is forced on the owner too.
-- One row per person and account: written in milliseconds.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX person_accounts_by_account ON trustpack.person_accounts (account_id);
CREATE POLICY system_reads ON trustpack.person_accounts FOR SELECT TO trustpack_system USING (true);
GRANT SELECT (tenant_id, account_id, person_id) ON trustpack.person_accounts TO trustpack_system;
CREATE POLICY system_reads ON trustpack.people FOR SELECT TO trustpack_system USING (true);
GRANT SELECT (tenant_id, id, status, kind) ON trustpack.people TO trustpack_system;
GRANT SELECT (name) ON trustpack.tenants TO trustpack_system;

-- Whose session this is, in one round trip and without a transaction block, like sign_in.
CREATE FUNCTION trustpack.resume_session(p_tenant text, p_digest text, p_now timestamptz, p_idle interval, p_grain interval)
RETURNS TABLE (
  id text, account_id text, person_id text, kind text, handle text, display_name text, roles text[], team_ids text[],
  method text, authenticated_at timestamptz, absolute_end timestamptz, tenant_name text, is_demo boolean
)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  found_one record;
BEGIN
  PERFORM set_config('trustpack.tenant', p_tenant, true);
  SELECT s.id, s.account_id, s.person_id, p.kind, p.handle, p.display_name, p.roles, p.team_ids, s.method, s.authenticated_at,
         s.absolute_end, n.name AS tenant_name, n.is_demo, u.last_seen_at
    INTO found_one
    FROM trustpack.sessions s
    JOIN trustpack.people p ON p.tenant_id = s.tenant_id AND p.id = s.person_id AND p.status = 'active'
    JOIN trustpack.tenants n ON n.tenant_id = s.tenant_id AND n.status = 'active'
    JOIN trustpack.session_uses u ON u.tenant_id = s.tenant_id AND u.session_id = s.id
   WHERE s.tenant_id = p_tenant AND s.digest = p_digest AND s.status = 'active' AND s.absolute_end > p_now
     AND u.last_seen_at > p_now - p_idle;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  IF p_now - found_one.last_seen_at > p_grain THEN
    UPDATE trustpack.session_uses u SET last_seen_at = p_now
     WHERE u.tenant_id = p_tenant AND u.session_id = found_one.id AND u.last_seen_at < p_now;
  END IF;
  RETURN QUERY SELECT found_one.id, found_one.account_id, found_one.person_id, found_one.kind, found_one.handle,
    found_one.display_name, found_one.roles, found_one.team_ids, found_one.method, found_one.authenticated_at,
    found_one.absolute_end, found_one.tenant_name, found_one.is_demo;
END $$;
REVOKE ALL ON FUNCTION trustpack.resume_session(text, text, timestamptz, interval, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION trustpack.resume_session(text, text, timestamptz, interval, interval) TO trustpack_app;
