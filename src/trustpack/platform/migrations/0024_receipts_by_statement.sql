-- The receipts of a statement are checked together, and the store itself puts them on their way into the log: whoever writes a receipt
-- cannot forget it, and nobody has to ask afterwards whether it was done. Nobody but the owner may take a row out of the outbox.
DROP TRIGGER receipt_is_consistent ON trustpack.receipts;
-- squawk-ignore ban-drop-function
DROP FUNCTION trustpack.check_receipt();

CREATE FUNCTION trustpack.take_receipts() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  wrong record;
BEGIN
  -- A receipt before another one is looked up row by row: planned for few receipts, a join would read all of many.
  SELECT n.id, n.seq, n.subject_id, n.differs INTO wrong
    FROM (SELECT r.*, (r.id, r.tenant_id, r.subject_id, r.subject_kind, r.seq, r.action, r.state, r.actor_id, r.occurred_at, r.prev_hash)
                 IS DISTINCT FROM
                 (read.body ->> 'id', read.body ->> 'tenant', read.body #>> '{subject,id}', read.body #>> '{subject,kind}',
                  (read.body ->> 'seq')::bigint, read.body ->> 'action', read.body ->> 'state', read.body #>> '{actor,id}',
                  (read.body ->> 'occurred_at')::timestamptz, read.body ->> 'prev_hash') AS differs
            FROM new_receipts r CROSS JOIN LATERAL (SELECT convert_from(r.body, 'UTF8')::jsonb AS body OFFSET 0) AS read) AS n
   WHERE n.differs
      OR CASE WHEN n.seq > 1 THEN n.prev_hash IS DISTINCT FROM
           (SELECT previous.digest FROM trustpack.receipts previous WHERE previous.tenant_id = n.tenant_id
               AND previous.subject_id = n.subject_id AND previous.seq = n.seq - 1) END
   LIMIT 1;
  IF wrong.differs THEN
    RAISE EXCEPTION 'the columns of receipt % differ from its body', wrong.id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'receipts_columns_are_of_body';
  ELSIF FOUND THEN
    RAISE EXCEPTION 'receipt % of % does not continue the chain', wrong.seq, wrong.subject_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'receipts_chain';
  END IF;
  -- A server of the version before puts them there itself, in the same statement.
  INSERT INTO trustpack.log_outbox (tenant_id, receipt_id) SELECT r.tenant_id, r.id FROM new_receipts r ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION trustpack.take_receipts() FROM PUBLIC;
CREATE TRIGGER receipts_are_taken AFTER INSERT ON trustpack.receipts REFERENCING NEW TABLE AS new_receipts
  FOR EACH STATEMENT EXECUTE FUNCTION trustpack.take_receipts();

CREATE OR REPLACE FUNCTION trustpack.write_out_require_subject() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  branches text := (SELECT string_agg(format(
    'WHEN %L THEN is_recorded := EXISTS (SELECT 1 FROM trustpack.%I s WHERE s.tenant_id = NEW.tenant_id AND s.id = NEW.subject_id'
    ' AND s.version >= NEW.seq AND s.xmin = pg_current_xact_id()::xid);', g.kind, g.table_name), ' ' ORDER BY g.kind)
    FROM trustpack.governed_tables g);
BEGIN
  EXECUTE format($function$
    CREATE OR REPLACE FUNCTION trustpack.require_subject() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
    DECLARE
      is_recorded boolean := false;
    BEGIN
      CASE NEW.subject_kind %s ELSE NULL; END CASE;
      IF NOT is_recorded THEN
        RAISE EXCEPTION 'receipt %% of %% records no change of its subject', NEW.seq, NEW.subject_id
          USING ERRCODE = 'check_violation', CONSTRAINT = 'change_for_every_receipt';
      END IF;
      RETURN NULL;
    END $body$ $function$, branches);
END $$;
SELECT trustpack.write_out_require_subject();
