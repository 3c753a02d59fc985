-- Who brought an opportunity in stands in its row, as its owner and its team do: what a person may read is then found by one walk along an
-- index for each way of being readable, and no longer by joining all leads of somebody. It is kept by a trigger, because whole rows are
-- also copied, and because the lead alone knows it: an opportunity comes after its lead.
CREATE FUNCTION trustpack.keep_author() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.brought_by := (SELECT l.created_by FROM trustpack.leads l WHERE l.tenant_id = NEW.tenant_id AND l.id = NEW.lead_id);
  RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION trustpack.keep_author() FROM PUBLIC;

-- Filled by a change of type, which needs no right to update rows and asks for no receipts. Row-level security holds for the owner too, so
-- it is lifted for this statement.
CREATE FUNCTION trustpack.author_of(tenant text, lead text) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
  $$ SELECT l.created_by FROM trustpack.leads l WHERE l.tenant_id = tenant AND l.id = lead $$;
ALTER TABLE trustpack.leads NO FORCE ROW LEVEL SECURITY;
ALTER TABLE trustpack.opportunities ADD COLUMN brought_by text;
-- squawk-ignore changing-column-type
ALTER TABLE trustpack.opportunities ALTER COLUMN brought_by TYPE text USING trustpack.author_of(tenant_id, lead_id);
-- squawk-ignore adding-not-nullable-field
ALTER TABLE trustpack.opportunities ALTER COLUMN brought_by SET NOT NULL;
ALTER TABLE trustpack.leads FORCE ROW LEVEL SECURITY;
-- squawk-ignore ban-drop-function
DROP FUNCTION trustpack.author_of(text, text);
CREATE TRIGGER author BEFORE INSERT OR UPDATE OF lead_id, brought_by ON trustpack.opportunities
  FOR EACH ROW EXECUTE FUNCTION trustpack.keep_author();

-- Opportunities of a person, of a team, and of who brought them in: in each state, by age and by name. An owner who was asked for is told
-- from others within the index.
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX trustpack.opportunities_by_owner_and_id;
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX trustpack.opportunities_by_team_and_id;
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX trustpack.opportunities_open;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX opportunities_by_owner_and_id ON trustpack.opportunities (tenant_id, owner_id, status, id);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX opportunities_by_owner_and_name ON trustpack.opportunities (tenant_id, owner_id, status, account_folded, id);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX opportunities_by_team_and_id ON trustpack.opportunities (tenant_id, team_id, status, id, owner_id);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX opportunities_by_team_and_name ON trustpack.opportunities (tenant_id, team_id, status, account_folded, id, owner_id);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX opportunities_by_author_and_id ON trustpack.opportunities (tenant_id, brought_by, status, id, owner_id);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX opportunities_by_author_and_name ON trustpack.opportunities (tenant_id, brought_by, status, account_folded, id, owner_id);

-- Leads that somebody, or a team, holds; who brought them in is told within the index too.
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX trustpack.opportunities_by_owner;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX opportunities_by_owner ON trustpack.opportunities (tenant_id, owner_id, lead_id, brought_by);
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX trustpack.opportunities_by_team;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX opportunities_by_team ON trustpack.opportunities (tenant_id, team_id, lead_id, brought_by);

-- What is known of the rows was lost with their old form; plans that are made before the next look at them would read whole indexes.
ANALYZE trustpack.opportunities;

-- Nothing walks along leads by author and opportunity any more.
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX trustpack.leads_by_author_and_opportunity;
