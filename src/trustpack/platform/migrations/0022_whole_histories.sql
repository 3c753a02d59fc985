-- A subject may be stored together with its whole history: as many receipts as it has versions, of its own kind and of the very
-- transaction. Before, it had to be inserted at its first version and raised step by step within the transaction, which nobody outside
-- of it ever sees. A history is whole because receipts begin with 1, chain, and are never removed.
CREATE OR REPLACE FUNCTION trustpack.require_next_version() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.version < 1 THEN
      RAISE EXCEPTION 'a new subject begins with version 1, not %', NEW.version USING ERRCODE = 'check_violation';
    END IF;
  ELSIF NEW.version <> OLD.version + 1 OR NEW.tenant_id <> OLD.tenant_id OR NEW.id <> OLD.id THEN
    RAISE EXCEPTION 'a change of % must raise its version from % to %', OLD.id, OLD.version, OLD.version + 1
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

-- The kind is an argument of the trigger: a receipt covers a change of the one table that holds subjects of its kind.
CREATE OR REPLACE FUNCTION trustpack.require_receipt() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  is_covered boolean := EXISTS (SELECT 1 FROM trustpack.receipts r
                  WHERE r.tenant_id = NEW.tenant_id AND r.subject_id = NEW.id AND r.subject_kind = TG_ARGV[0] AND r.seq = NEW.version
                    AND r.state = NEW.status AND r.xmin = pg_current_xact_id()::xid);
BEGIN
  IF is_covered AND TG_OP = 'INSERT' AND NEW.version > 1 THEN
    is_covered := NOT EXISTS (SELECT 1 FROM trustpack.receipts r
                  WHERE r.tenant_id = NEW.tenant_id AND r.subject_id = NEW.id AND r.seq < NEW.version
                    AND (r.subject_kind <> TG_ARGV[0] OR r.xmin <> pg_current_xact_id()::xid));
  END IF;
  IF NOT is_covered THEN
    RAISE EXCEPTION 'version % of % (%) has no receipt', NEW.version, NEW.id, NEW.status
      USING ERRCODE = 'check_violation', CONSTRAINT = 'receipt_for_every_version';
  END IF;
  RETURN NULL;
END $$;

-- Subject and outbox are asked for in one statement of each branch.
CREATE OR REPLACE FUNCTION trustpack.write_out_require_subject() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  branches text := (SELECT string_agg(format(
    'WHEN %L THEN is_recorded := EXISTS (SELECT 1 FROM trustpack.%I s WHERE s.tenant_id = NEW.tenant_id AND s.id = NEW.subject_id'
    ' AND s.version >= NEW.seq AND s.xmin = pg_current_xact_id()::xid) AND EXISTS (SELECT 1 FROM trustpack.log_outbox o'
    ' WHERE o.tenant_id = NEW.tenant_id AND o.receipt_id = NEW.id);', g.kind, g.table_name), ' ' ORDER BY g.kind)
    FROM trustpack.governed_tables g);
BEGIN
  EXECUTE format($function$
    CREATE OR REPLACE FUNCTION trustpack.require_subject() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
    DECLARE
      is_recorded boolean := false;
    BEGIN
      CASE NEW.subject_kind %s ELSE NULL; END CASE;
      IF NOT is_recorded THEN
        RAISE EXCEPTION 'receipt %% of %% records no change of its subject, or is not on its way into the log', NEW.seq, NEW.subject_id
          USING ERRCODE = 'check_violation', CONSTRAINT = 'change_for_every_receipt';
      END IF;
      RETURN NULL;
    END $body$ $function$, branches);
END $$;

CREATE OR REPLACE FUNCTION trustpack.govern(table_name text, kind text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO trustpack.governed_tables (kind, table_name) VALUES (kind, table_name);
  EXECUTE format('GRANT UPDATE ON trustpack.%I TO trustpack_app', table_name);
  EXECUTE format('CREATE TRIGGER next_version BEFORE INSERT OR UPDATE ON trustpack.%I '
                 'FOR EACH ROW EXECUTE FUNCTION trustpack.require_next_version()', table_name);
  EXECUTE format('CREATE CONSTRAINT TRIGGER receipt_for_every_version AFTER INSERT OR UPDATE ON trustpack.%I '
                 'DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trustpack.require_receipt(%L)', table_name, kind);
  EXECUTE format('CREATE TRIGGER governed_rows_stay BEFORE DELETE ON trustpack.%I '
                 'FOR EACH ROW EXECUTE FUNCTION trustpack.refuse_change()', table_name);
  EXECUTE format('CREATE TRIGGER governed_table_stays BEFORE TRUNCATE ON trustpack.%I '
                 'FOR EACH STATEMENT EXECUTE FUNCTION trustpack.refuse_change()', table_name);
  PERFORM trustpack.write_out_require_subject();
END $$;

-- A row is not turned into JSON only to find its subject: it may hold all the terms of a contract.
CREATE OR REPLACE FUNCTION trustpack.require_receipt_of_subject() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  subject text;
BEGIN
  CASE TG_ARGV[0]
    WHEN 'subject_id' THEN subject := NEW.subject_id;
    WHEN 'request_id' THEN subject := NEW.request_id;
    WHEN 'quote_id' THEN subject := NEW.quote_id;
    ELSE subject := to_jsonb(NEW) ->> TG_ARGV[0];
  END CASE;
  IF NOT EXISTS (SELECT 1 FROM trustpack.receipts r
                  WHERE r.tenant_id = NEW.tenant_id AND r.subject_id = subject AND r.seq = NEW.seq
                    AND r.xmin = pg_current_xact_id()::xid) THEN
    RAISE EXCEPTION 'a row in %.% changed without a receipt of its subject', TG_TABLE_SCHEMA, TG_TABLE_NAME
      USING ERRCODE = 'check_violation', CONSTRAINT = 'receipt_for_every_change';
  END IF;
  RETURN NULL;
END $$;

DO $$
DECLARE
  governed record;
BEGIN
  FOR governed IN SELECT g.kind, g.table_name FROM trustpack.governed_tables g LOOP
    EXECUTE format('DROP TRIGGER receipt_for_every_version ON trustpack.%I', governed.table_name);
    EXECUTE format('CREATE CONSTRAINT TRIGGER receipt_for_every_version AFTER INSERT OR UPDATE ON trustpack.%I '
                   'DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trustpack.require_receipt(%L)',
                   governed.table_name, governed.kind);
  END LOOP;
  PERFORM trustpack.write_out_require_subject();
END $$;
