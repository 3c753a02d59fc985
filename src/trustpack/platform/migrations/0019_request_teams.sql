-- Where to look for the requests of a team. Whether somebody may read one is decided by the request's own `requester_team_ids`, which
-- no index serves under row-level security: a condition on arrays waits until the row is known to be the tenant's.
CREATE TABLE trustpack.request_teams (
  tenant_id  text NOT NULL,
  team_id    text NOT NULL,
  request_id text NOT NULL,
  CONSTRAINT request_teams_pkey PRIMARY KEY (tenant_id, team_id, request_id),
  CONSTRAINT request_teams_request_fkey FOREIGN KEY (tenant_id, request_id)
    REFERENCES trustpack.high_risk_requests (tenant_id, id)
);

-- The requests that are there, of every tenant: the owner is under row-level security too, so it is lifted for this statement.
ALTER TABLE trustpack.high_risk_requests NO FORCE ROW LEVEL SECURITY;
INSERT INTO trustpack.request_teams (tenant_id, team_id, request_id)
  SELECT DISTINCT q.tenant_id, team, q.id FROM trustpack.high_risk_requests q CROSS JOIN unnest(q.requester_team_ids) AS team;
ALTER TABLE trustpack.high_risk_requests FORCE ROW LEVEL SECURITY;

SELECT trustpack.protect_tenant_table('request_teams');
SELECT trustpack.make_append_only('request_teams');

-- Filled by the row itself, because whole rows are also copied.
CREATE FUNCTION trustpack.keep_request_teams() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO trustpack.request_teams (tenant_id, team_id, request_id)
    SELECT NEW.tenant_id, team, NEW.id FROM unnest(NEW.requester_team_ids) AS team
    ON CONFLICT ON CONSTRAINT request_teams_pkey DO NOTHING;
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION trustpack.keep_request_teams() FROM PUBLIC;
CREATE TRIGGER request_teams AFTER INSERT OR UPDATE OF requester_team_ids ON trustpack.high_risk_requests
  FOR EACH ROW EXECUTE FUNCTION trustpack.keep_request_teams();
