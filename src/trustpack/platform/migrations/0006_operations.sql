-- Targets on which access can be granted, requests for it, and what was done about them (stories 1.1 to 1.4).
CREATE TABLE trustpack.targets (
  tenant_id        text NOT NULL,
  id               text NOT NULL,
  version          bigint NOT NULL,
  status           text NOT NULL,
  name             text NOT NULL,
  definition       bytea NOT NULL,
  identity_digest  text NOT NULL,
  identity_system  text NOT NULL,
  identity_facts   bytea NOT NULL,
  created_at       timestamptz NOT NULL,
  CONSTRAINT targets_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT targets_name UNIQUE (tenant_id, name),
  CONSTRAINT targets_status CHECK (status IN ('active', 'removed'))
);
SELECT trustpack.protect_tenant_table('targets');
SELECT trustpack.govern('targets', 'target');

-- A target by name in one round trip: every request for access asks for one, outside any transaction.
CREATE FUNCTION trustpack.active_target(p_tenant text, p_name text)
RETURNS TABLE (id text, version bigint, status text, definition bytea, identity_digest text, identity_system text, identity_facts bytea)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('trustpack.tenant', p_tenant, true);
  RETURN QUERY SELECT t.id, t.version, t.status, t.definition, t.identity_digest, t.identity_system, t.identity_facts
    FROM trustpack.targets t WHERE t.tenant_id = p_tenant AND t.name = p_name AND t.status = 'active';
END $$;
REVOKE ALL ON FUNCTION trustpack.active_target(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION trustpack.active_target(text, text) TO trustpack_app;

CREATE TABLE trustpack.high_risk_requests (
  tenant_id           text NOT NULL,
  id                  text NOT NULL,
  version             bigint NOT NULL,
  status              text NOT NULL,
  type                text NOT NULL,
  environment         text NOT NULL,
  target_id           text NOT NULL,
  target_name         text NOT NULL,
  scope               text NOT NULL,
  duration_seconds    bigint NOT NULL,
  justification       text NOT NULL,
  ticket              text,
  requester_id        text NOT NULL,
  requester_team_ids  text[] NOT NULL,
  effect              bytea NOT NULL,
  effect_digest       text NOT NULL,
  required_approvals  text[] NOT NULL,
  self_approvable     text[] NOT NULL,
  decision_id         text NOT NULL,
  created_at          timestamptz NOT NULL,
  approval_expires_at timestamptz NOT NULL,
  use_by              timestamptz,
  CONSTRAINT high_risk_requests_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT high_risk_requests_target_fkey FOREIGN KEY (tenant_id, target_id) REFERENCES trustpack.targets (tenant_id, id),
  CONSTRAINT high_risk_requests_requester_fkey FOREIGN KEY (tenant_id, requester_id) REFERENCES trustpack.people (tenant_id, id),
  CONSTRAINT high_risk_requests_decision_fkey FOREIGN KEY (tenant_id, id, decision_id)
    REFERENCES trustpack.policy_decisions (tenant_id, subject_id, id),
  CONSTRAINT high_risk_requests_effect_digest CHECK (effect_digest = 'sha256:' || encode(sha256(effect), 'hex')),
  CONSTRAINT high_risk_requests_status CHECK (status IN ('pending_approval', 'approved', 'executing', 'active', 'reverting', 'reverted',
    'denied', 'rejected', 'cancelled', 'expired', 'failed', 'revert_failed'))
);
CREATE INDEX high_risk_requests_by_requester ON trustpack.high_risk_requests (tenant_id, requester_id, id);
CREATE INDEX high_risk_requests_by_status ON trustpack.high_risk_requests (tenant_id, status, id);
SELECT trustpack.protect_tenant_table('high_risk_requests');
SELECT trustpack.govern('high_risk_requests', 'high_risk_request');

CREATE TABLE trustpack.executions (
  tenant_id    text NOT NULL,
  id           text NOT NULL,
  request_id   text NOT NULL,
  seq          bigint NOT NULL,
  status       text NOT NULL,
  decision_id  text NOT NULL,
  started_at   timestamptz NOT NULL,
  finished_at  timestamptz,
  error_code   text,
  error_detail text,
  CONSTRAINT executions_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT executions_one_per_request UNIQUE (tenant_id, request_id),
  CONSTRAINT executions_request_fkey FOREIGN KEY (tenant_id, request_id) REFERENCES trustpack.high_risk_requests (tenant_id, id),
  CONSTRAINT executions_decision_fkey FOREIGN KEY (tenant_id, request_id, decision_id)
    REFERENCES trustpack.policy_decisions (tenant_id, subject_id, id),
  CONSTRAINT executions_status CHECK (status IN ('started', 'succeeded', 'failed'))
);
SELECT trustpack.protect_tenant_table('executions');
SELECT trustpack.follow_receipts('executions', 'request_id', true);

CREATE TABLE trustpack.grants (
  tenant_id           text NOT NULL,
  id                  text NOT NULL,
  request_id          text NOT NULL,
  seq                 bigint NOT NULL,
  status              text NOT NULL,
  role_name           text NOT NULL,
  target_system       text NOT NULL,
  role_ref            text,
  granted_at          timestamptz,
  expires_at          timestamptz,
  target_expires_at   timestamptz,
  credentials_issued  bigint NOT NULL DEFAULT 0,
  ended_at            timestamptz,
  proof               bytea,
  blockers            text[] NOT NULL DEFAULT ARRAY[]::text[],
  CONSTRAINT grants_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT grants_one_per_request UNIQUE (tenant_id, request_id),
  CONSTRAINT grants_role UNIQUE (tenant_id, role_name),
  CONSTRAINT grants_request_fkey FOREIGN KEY (tenant_id, request_id) REFERENCES trustpack.high_risk_requests (tenant_id, id),
  CONSTRAINT grants_status CHECK (status IN ('ordered', 'active', 'void', 'reverting', 'reverted', 'revert_failed'))
);
SELECT trustpack.protect_tenant_table('grants');
SELECT trustpack.follow_receipts('grants', 'request_id', true);
