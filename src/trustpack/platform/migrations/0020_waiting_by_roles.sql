-- What waits for somebody's yes is found by whose yes it takes. Under row-level security no index serves a condition on arrays: it waits
-- until the row is known to be the tenant's. So the roles that are required stand in a column of plain text too. Of what is pending
-- there are only a few different texts, each one step along the index away from the one before it. The column is kept by a trigger,
-- because whole rows are also copied.
CREATE FUNCTION trustpack.keep_required_roles() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.required_roles := array_to_string(NEW.required_approvals, ' ');
  RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION trustpack.keep_required_roles() FROM PUBLIC;

-- Filled by a change of type, which needs no right to update rows and asks for no receipts.
ALTER TABLE trustpack.high_risk_requests ADD COLUMN required_roles text;
-- squawk-ignore changing-column-type
ALTER TABLE trustpack.high_risk_requests ALTER COLUMN required_roles TYPE text USING array_to_string(required_approvals, ' ');
-- squawk-ignore adding-not-nullable-field
ALTER TABLE trustpack.high_risk_requests ALTER COLUMN required_roles SET NOT NULL;
CREATE TRIGGER required_roles BEFORE INSERT OR UPDATE OF required_approvals, required_roles ON trustpack.high_risk_requests
  FOR EACH ROW EXECUTE FUNCTION trustpack.keep_required_roles();

ALTER TABLE trustpack.quotes ADD COLUMN required_roles text;
-- squawk-ignore changing-column-type
ALTER TABLE trustpack.quotes ALTER COLUMN required_roles TYPE text USING array_to_string(required_approvals, ' ');
-- squawk-ignore adding-not-nullable-field
ALTER TABLE trustpack.quotes ALTER COLUMN required_roles SET NOT NULL;
CREATE TRIGGER required_roles BEFORE INSERT OR UPDATE OF required_approvals, required_roles ON trustpack.quotes
  FOR EACH ROW EXECUTE FUNCTION trustpack.keep_required_roles();

-- A partial index over what is pending is made in milliseconds.
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX trustpack.high_risk_requests_waiting;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX high_risk_requests_waiting ON trustpack.high_risk_requests (tenant_id, required_roles, approval_expires_at, id)
  WHERE status = 'pending_approval';
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX trustpack.quotes_waiting;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX quotes_waiting ON trustpack.quotes (tenant_id, required_roles, approval_expires_at, id) WHERE status = 'pending_approval';
