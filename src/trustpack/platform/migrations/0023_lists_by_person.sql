-- What somebody, or a team, offers is listed in both orders and in each state, by one step along the index for each state; a colleague's
-- quotes are told from other teams' within the index. Under row-level security it serves plain comparisons of columns alone.
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX trustpack.quotes_by_owner;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX quotes_by_owner ON trustpack.quotes (tenant_id, owner_id, status, id, team_id);
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX trustpack.quotes_by_team;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX quotes_by_team ON trustpack.quotes (tenant_id, team_id, status, id);

-- A colleague's opportunities are told from other teams' within the index.
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX trustpack.opportunities_by_owner_and_id;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX opportunities_by_owner_and_id ON trustpack.opportunities (tenant_id, owner_id, id, team_id);

-- Where to look for quotes of others that somebody had a part in, whoever owns them. It is made anew, because its rows never change:
-- an owner's own rows, by far the most, led to nothing that their quotes do not lead to.
-- squawk-ignore ban-drop-table
DROP TABLE trustpack.quote_people;
CREATE TABLE trustpack.quote_people (
  tenant_id text NOT NULL,
  person_id text NOT NULL,
  owner_id  text NOT NULL,
  quote_id  text NOT NULL,
  CONSTRAINT quote_people_pkey PRIMARY KEY (tenant_id, person_id, quote_id),
  CONSTRAINT quote_people_quote_fkey FOREIGN KEY (tenant_id, quote_id) REFERENCES trustpack.quotes (tenant_id, id)
);
CREATE INDEX quote_people_by_owner ON trustpack.quote_people (tenant_id, person_id, owner_id, quote_id);

-- The quotes that are there, of every tenant: the owner is under row-level security too, so it is lifted for this statement.
ALTER TABLE trustpack.quotes NO FORCE ROW LEVEL SECURITY;
INSERT INTO trustpack.quote_people (tenant_id, person_id, owner_id, quote_id)
  SELECT DISTINCT q.tenant_id, person, q.owner_id, q.id FROM trustpack.quotes q CROSS JOIN unnest(q.people) AS person
  WHERE person <> q.owner_id;
ALTER TABLE trustpack.quotes FORCE ROW LEVEL SECURITY;

SELECT trustpack.protect_tenant_table('quote_people');
SELECT trustpack.make_append_only('quote_people');

-- The same for requests: what somebody asked for, in each state and in the order of targets, and what was asked for on a target.
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX trustpack.high_risk_requests_by_requester;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX high_risk_requests_by_requester ON trustpack.high_risk_requests (tenant_id, requester_id, status, id);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX high_risk_requests_by_requester_and_target
  ON trustpack.high_risk_requests (tenant_id, requester_id, target_name, id, status);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX high_risk_requests_by_target_and_status ON trustpack.high_risk_requests (tenant_id, target_name, status, id);

-- Where to look for a team's requests, whoever asked. It is made anew too: its rows never change.
-- squawk-ignore ban-drop-table
DROP TABLE trustpack.request_teams;
CREATE TABLE trustpack.request_teams (
  tenant_id    text NOT NULL,
  team_id      text NOT NULL,
  requester_id text NOT NULL,
  request_id   text NOT NULL,
  CONSTRAINT request_teams_pkey PRIMARY KEY (tenant_id, team_id, request_id),
  CONSTRAINT request_teams_request_fkey FOREIGN KEY (tenant_id, request_id)
    REFERENCES trustpack.high_risk_requests (tenant_id, id)
);
CREATE INDEX request_teams_by_requester ON trustpack.request_teams (tenant_id, team_id, requester_id, request_id);

ALTER TABLE trustpack.high_risk_requests NO FORCE ROW LEVEL SECURITY;
INSERT INTO trustpack.request_teams (tenant_id, team_id, requester_id, request_id)
  SELECT DISTINCT q.tenant_id, team, q.requester_id, q.id
  FROM trustpack.high_risk_requests q CROSS JOIN unnest(q.requester_team_ids) AS team;
ALTER TABLE trustpack.high_risk_requests FORCE ROW LEVEL SECURITY;

SELECT trustpack.protect_tenant_table('request_teams');
SELECT trustpack.make_append_only('request_teams');
CREATE OR REPLACE FUNCTION trustpack.keep_request_teams() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO trustpack.request_teams (tenant_id, team_id, requester_id, request_id)
    SELECT NEW.tenant_id, team, NEW.requester_id, NEW.id FROM unnest(NEW.requester_team_ids) AS team
    ON CONFLICT ON CONSTRAINT request_teams_pkey DO NOTHING;
  RETURN NULL;
END $$;
