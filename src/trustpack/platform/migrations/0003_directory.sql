-- Who is who. Tenants, people, teams and tokens are governed subjects with receipts; accounts are global and hold no personal data.
CREATE TABLE trustpack.tenants (
  tenant_id  text NOT NULL,
  id         text NOT NULL,
  version    bigint NOT NULL,
  status     text NOT NULL,
  name       text NOT NULL,
  is_demo    boolean NOT NULL,
  created_at timestamptz NOT NULL,
  CONSTRAINT tenants_pkey PRIMARY KEY (tenant_id),
  CONSTRAINT tenants_is_its_own CHECK (id = tenant_id),
  CONSTRAINT tenants_slug CHECK (tenant_id ~ '^[a-z][a-z0-9-]{1,39}$'),
  CONSTRAINT tenants_status CHECK (status IN ('active', 'suspended'))
);
SELECT trustpack.protect_tenant_table('tenants');
SELECT trustpack.govern('tenants', 'tenant');
CREATE POLICY system_reads ON trustpack.tenants FOR SELECT TO trustpack_system USING (true);
GRANT SELECT (tenant_id, is_demo, status) ON trustpack.tenants TO trustpack_system;

CREATE TABLE trustpack.accounts (
  id         text NOT NULL,
  created_at timestamptz NOT NULL,
  CONSTRAINT accounts_pkey PRIMARY KEY (id)
);
GRANT SELECT, INSERT ON trustpack.accounts TO trustpack_app;

CREATE TABLE trustpack.people (
  tenant_id    text NOT NULL,
  id           text NOT NULL,
  version      bigint NOT NULL,
  status       text NOT NULL,
  handle       text NOT NULL,
  display_name text NOT NULL,
  kind         text NOT NULL,
  roles        text[] NOT NULL,
  team_ids     text[] NOT NULL,
  created_at   timestamptz NOT NULL,
  CONSTRAINT people_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT people_handle UNIQUE (tenant_id, handle),
  CONSTRAINT people_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES trustpack.tenants (tenant_id),
  CONSTRAINT people_kind CHECK (kind IN ('person', 'bot')),
  CONSTRAINT people_status CHECK (status IN ('active', 'deactivated')),
  CONSTRAINT people_roles CHECK (roles <@ ARRAY['engineer', 'team_lead', 'security_officer', 'ae', 'manager', 'finance', 'auditor', 'admin'])
);
SELECT trustpack.protect_tenant_table('people');
SELECT trustpack.govern('people', 'person');

CREATE TABLE trustpack.person_accounts (
  tenant_id  text NOT NULL,
  account_id text NOT NULL,
  person_id  text NOT NULL,
  seq        bigint NOT NULL,
  CONSTRAINT person_accounts_pkey PRIMARY KEY (tenant_id, account_id),
  CONSTRAINT person_accounts_account_fkey FOREIGN KEY (account_id) REFERENCES trustpack.accounts (id),
  CONSTRAINT person_accounts_person_fkey FOREIGN KEY (tenant_id, person_id) REFERENCES trustpack.people (tenant_id, id)
);
CREATE INDEX person_accounts_by_person ON trustpack.person_accounts (tenant_id, person_id);
SELECT trustpack.protect_tenant_table('person_accounts');
SELECT trustpack.follow_receipts('person_accounts', 'person_id', false);

CREATE TABLE trustpack.teams (
  tenant_id  text NOT NULL,
  id         text NOT NULL,
  version    bigint NOT NULL,
  status     text NOT NULL,
  name       text NOT NULL,
  created_at timestamptz NOT NULL,
  CONSTRAINT teams_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT teams_name UNIQUE (tenant_id, name),
  CONSTRAINT teams_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES trustpack.tenants (tenant_id),
  CONSTRAINT teams_status CHECK (status IN ('active', 'closed'))
);
SELECT trustpack.protect_tenant_table('teams');
SELECT trustpack.govern('teams', 'team');

CREATE TABLE trustpack.tokens (
  tenant_id  text NOT NULL,
  id         text NOT NULL,
  version    bigint NOT NULL,
  status     text NOT NULL,
  account_id text NOT NULL,
  person_id  text NOT NULL,
  label      text NOT NULL,
  digest     text NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  CONSTRAINT tokens_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT tokens_digest UNIQUE (tenant_id, digest),
  CONSTRAINT tokens_account_fkey FOREIGN KEY (tenant_id, account_id) REFERENCES trustpack.person_accounts (tenant_id, account_id),
  CONSTRAINT tokens_person_fkey FOREIGN KEY (tenant_id, person_id) REFERENCES trustpack.people (tenant_id, id),
  CONSTRAINT tokens_status CHECK (status IN ('active', 'revoked'))
);
CREATE INDEX tokens_by_person ON trustpack.tokens (tenant_id, person_id);
SELECT trustpack.protect_tenant_table('tokens');
SELECT trustpack.govern('tokens', 'token');

-- Last use is an observation, not a state: it changes without a receipt and therefore lies apart.
CREATE TABLE trustpack.token_uses (
  tenant_id    text NOT NULL,
  token_id     text NOT NULL,
  last_used_at timestamptz NOT NULL,
  CONSTRAINT token_uses_pkey PRIMARY KEY (tenant_id, token_id),
  CONSTRAINT token_uses_token_fkey FOREIGN KEY (tenant_id, token_id) REFERENCES trustpack.tokens (tenant_id, id)
);
SELECT trustpack.protect_tenant_table('token_uses');
GRANT UPDATE ON trustpack.token_uses TO trustpack_app;

-- Who holds a token, in one round trip and without a transaction block: every request begins with this. Last use is noted to the
-- grain that the caller gives. Runs with the caller's rights, so row-level security holds as everywhere.
CREATE FUNCTION trustpack.sign_in(p_tenant text, p_digest text, p_now timestamptz, p_grain interval)
RETURNS TABLE (id text, account_id text, kind text, handle text, roles text[], team_ids text[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  holder record;
BEGIN
  PERFORM set_config('trustpack.tenant', p_tenant, true);
  SELECT t.id AS token_id, t.account_id, p.id, p.kind, p.handle, p.roles, p.team_ids, u.last_used_at INTO holder
    FROM trustpack.tokens t
    JOIN trustpack.people p ON p.tenant_id = t.tenant_id AND p.id = t.person_id AND p.status = 'active'
    JOIN trustpack.tenants n ON n.tenant_id = t.tenant_id AND n.status = 'active'
    LEFT JOIN trustpack.token_uses u ON u.tenant_id = t.tenant_id AND u.token_id = t.id
   WHERE t.tenant_id = p_tenant AND t.digest = p_digest AND t.status = 'active' AND t.expires_at > p_now;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  IF holder.last_used_at IS NULL OR p_now - holder.last_used_at > p_grain THEN
    INSERT INTO trustpack.token_uses (tenant_id, token_id, last_used_at) VALUES (p_tenant, holder.token_id, p_now)
    ON CONFLICT ON CONSTRAINT token_uses_pkey DO UPDATE SET last_used_at = excluded.last_used_at;
  END IF;
  RETURN QUERY SELECT holder.id, holder.account_id, holder.kind, holder.handle, holder.roles, holder.team_ids;
END $$;
REVOKE ALL ON FUNCTION trustpack.sign_in(text, text, timestamptz, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION trustpack.sign_in(text, text, timestamptz, interval) TO trustpack_app;
