-- What the lists of Switchboard are found and ordered by.

-- People name an object by the end of its id. Under row-level security an index serves plain comparisons of columns alone: a condition
-- with a function in it waits until the row is known to be the tenant's, so the end is a column of its own. It is filled as a generated
-- one, which needs no right to update rows, and kept by a trigger, because whole rows are also copied.
CREATE FUNCTION trustpack.keep_id_end() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.id_end := right(NEW.id, 8);
  RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION trustpack.keep_id_end() FROM PUBLIC;

CREATE FUNCTION trustpack.find_by_id_end(table_name text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('ALTER TABLE trustpack.%I ADD COLUMN id_end text NOT NULL GENERATED ALWAYS AS (right(id, 8)) STORED', table_name);
  EXECUTE format('ALTER TABLE trustpack.%I ALTER COLUMN id_end DROP EXPRESSION', table_name);
  EXECUTE format('CREATE TRIGGER id_end BEFORE INSERT OR UPDATE OF id_end ON trustpack.%I FOR EACH ROW'
                 ' EXECUTE FUNCTION trustpack.keep_id_end()', table_name);
  EXECUTE format('CREATE INDEX %I ON trustpack.%I (tenant_id, id_end)', table_name || '_by_id_end', table_name);
END $$;
REVOKE ALL ON FUNCTION trustpack.find_by_id_end(text) FROM PUBLIC;

SELECT trustpack.find_by_id_end('high_risk_requests');
SELECT trustpack.find_by_id_end('quotes');
SELECT trustpack.find_by_id_end('leads');
SELECT trustpack.find_by_id_end('opportunities');

-- 200,000 rows are indexed in less than a second, and writers wait no longer than for any migration.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX high_risk_requests_by_target ON trustpack.high_risk_requests (tenant_id, target_name, id);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX high_risk_requests_by_ticket ON trustpack.high_risk_requests (tenant_id, ticket, id);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX high_risk_requests_by_creation ON trustpack.high_risk_requests (tenant_id, created_at);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX opportunities_by_owner_and_id ON trustpack.opportunities (tenant_id, owner_id, id);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX opportunities_by_team_and_id ON trustpack.opportunities (tenant_id, team_id, id);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX opportunities_by_status ON trustpack.opportunities (tenant_id, status, id);

-- An account is found by how its name or its key begins, whatever the order of letters in this database, and listed by its name.
CREATE FUNCTION trustpack.keep_account_folded() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.account_folded := lower(NEW.account);
  RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION trustpack.keep_account_folded() FROM PUBLIC;
-- squawk-ignore adding-field-with-default
ALTER TABLE trustpack.opportunities ADD COLUMN account_folded text NOT NULL GENERATED ALWAYS AS (lower(account)) STORED;
-- squawk-ignore ban-drop-generated-expression
ALTER TABLE trustpack.opportunities ALTER COLUMN account_folded DROP EXPRESSION;
CREATE TRIGGER account_folded BEFORE INSERT OR UPDATE OF account, account_folded ON trustpack.opportunities
  FOR EACH ROW EXECUTE FUNCTION trustpack.keep_account_folded();
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX opportunities_by_name ON trustpack.opportunities (tenant_id, account_folded, id);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX opportunities_by_beginning_of_name ON trustpack.opportunities (tenant_id, account_folded text_pattern_ops, account_key);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX opportunities_by_beginning_of_key ON trustpack.opportunities (tenant_id, account_key text_pattern_ops);

-- Views of lists that people keep for themselves: a preference, which proves nothing, so it has no receipts and may go.
CREATE TABLE trustpack.saved_views (
  tenant_id  text NOT NULL,
  id         text NOT NULL,
  person_id  text NOT NULL,
  path       text NOT NULL,
  name       text NOT NULL,
  query      text NOT NULL,
  created_at timestamptz NOT NULL,
  CONSTRAINT saved_views_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT saved_views_name UNIQUE (tenant_id, person_id, path, name),
  CONSTRAINT saved_views_person_fkey FOREIGN KEY (tenant_id, person_id) REFERENCES trustpack.people (tenant_id, id)
);
SELECT trustpack.protect_tenant_table('saved_views');
GRANT UPDATE (name, query) ON trustpack.saved_views TO trustpack_app;
GRANT DELETE ON trustpack.saved_views TO trustpack_app;
