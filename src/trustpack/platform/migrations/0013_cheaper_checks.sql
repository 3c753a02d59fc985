-- The counterpart of receipt_for_every_version looks into one of the governed tables for every receipt. A statement put together
-- for each of them would be planned each time; so the check is written out once, with a branch for every kind, and its plans are kept.
CREATE FUNCTION trustpack.write_out_require_subject() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  branches text := (SELECT string_agg(format(
    'WHEN %L THEN is_there := EXISTS (SELECT 1 FROM trustpack.%I s WHERE s.tenant_id = NEW.tenant_id AND s.id = NEW.subject_id'
    ' AND s.version >= NEW.seq AND s.xmin = pg_current_xact_id()::xid);', g.kind, g.table_name), ' ' ORDER BY g.kind)
    FROM trustpack.governed_tables g);
BEGIN
  EXECUTE format($function$
    CREATE OR REPLACE FUNCTION trustpack.require_subject() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
    DECLARE
      is_there boolean := false;
    BEGIN
      CASE NEW.subject_kind %s ELSE NULL; END CASE;
      IF NOT is_there OR NOT EXISTS (SELECT 1 FROM trustpack.log_outbox o WHERE o.tenant_id = NEW.tenant_id AND o.receipt_id = NEW.id) THEN
        RAISE EXCEPTION 'receipt %% of %% records no change of its subject, or is not on its way into the log', NEW.seq, NEW.subject_id
          USING ERRCODE = 'check_violation', CONSTRAINT = 'change_for_every_receipt';
      END IF;
      RETURN NULL;
    END $body$ $function$, branches);
END $$;
REVOKE ALL ON FUNCTION trustpack.write_out_require_subject() FROM PUBLIC;

-- Every table that is governed from now on gets its branch at once.
CREATE OR REPLACE FUNCTION trustpack.govern(table_name text, kind text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO trustpack.governed_tables (kind, table_name) VALUES (kind, table_name);
  EXECUTE format('GRANT UPDATE ON trustpack.%I TO trustpack_app', table_name);
  EXECUTE format('CREATE TRIGGER next_version BEFORE INSERT OR UPDATE ON trustpack.%I '
                 'FOR EACH ROW EXECUTE FUNCTION trustpack.require_next_version()', table_name);
  EXECUTE format('CREATE CONSTRAINT TRIGGER receipt_for_every_version AFTER INSERT OR UPDATE ON trustpack.%I '
                 'DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trustpack.require_receipt()', table_name);
  EXECUTE format('CREATE TRIGGER governed_rows_stay BEFORE DELETE ON trustpack.%I '
                 'FOR EACH ROW EXECUTE FUNCTION trustpack.refuse_change()', table_name);
  EXECUTE format('CREATE TRIGGER governed_table_stays BEFORE TRUNCATE ON trustpack.%I '
                 'FOR EACH STATEMENT EXECUTE FUNCTION trustpack.refuse_change()', table_name);
  PERFORM trustpack.write_out_require_subject();
END $$;
SELECT trustpack.write_out_require_subject();
