-- What the reconciler needs: who we are on a shared target, when each target was last compared, and what it found (ADR-0016).

-- Two stores can grant access on one target; each takes back only what it issued. A copy of a store that is to live beside the
-- original needs an id of its own.
CREATE TABLE trustpack.store_identity (
  is_only_row boolean NOT NULL DEFAULT true,
  id          uuid NOT NULL DEFAULT gen_random_uuid(),
  CONSTRAINT store_identity_pkey PRIMARY KEY (is_only_row),
  CONSTRAINT store_identity_only_row CHECK (is_only_row)
);
INSERT INTO trustpack.store_identity DEFAULT VALUES;
GRANT SELECT ON trustpack.store_identity TO trustpack_app;

-- One row per target: an observation, not a governed state. `findings` stand as of the last comparison, each told by a receipt that
-- was committed with it; `blocked` are those whose failed repair was told as well.
CREATE TABLE trustpack.reconciliations (
  tenant_id     text NOT NULL,
  target_id     text NOT NULL,
  target_name   text NOT NULL,
  attempted_at  timestamptz NOT NULL,
  succeeded_at  timestamptz,
  error         text,
  findings      text[] NOT NULL DEFAULT ARRAY[]::text[],
  blocked       text[] NOT NULL DEFAULT ARRAY[]::text[],
  CONSTRAINT reconciliations_pkey PRIMARY KEY (tenant_id, target_id),
  CONSTRAINT reconciliations_target_fkey FOREIGN KEY (tenant_id, target_id) REFERENCES trustpack.targets (tenant_id, id)
);
SELECT trustpack.protect_tenant_table('reconciliations');
GRANT UPDATE ON trustpack.reconciliations TO trustpack_app;

-- The system role finds the targets that are to be compared, and says of a role's name which tenant's grant it is. By policies and
-- columns: a SECURITY DEFINER function would see nothing, because row-level security is forced on the owner of the tables as well.
CREATE POLICY system_reads ON trustpack.targets FOR SELECT TO trustpack_system USING (true);
GRANT SELECT (tenant_id, id, status, identity_system) ON trustpack.targets TO trustpack_system;
CREATE POLICY system_reads ON trustpack.high_risk_requests FOR SELECT TO trustpack_system USING (true);
GRANT SELECT (tenant_id, id, target_id) ON trustpack.high_risk_requests TO trustpack_system;
CREATE POLICY system_reads ON trustpack.grants FOR SELECT TO trustpack_system USING (true);
GRANT SELECT (tenant_id, request_id, role_name, status, ended_at) ON trustpack.grants TO trustpack_system;
CREATE POLICY system_reads ON trustpack.reconciliations FOR SELECT TO trustpack_system USING (true);
GRANT SELECT (tenant_id, target_id, target_name, succeeded_at, findings) ON trustpack.reconciliations TO trustpack_system;
