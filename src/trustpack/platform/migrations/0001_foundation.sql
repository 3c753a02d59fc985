-- The rules of the house, as functions that every later table is put under (architecture sections 3 and 7).
-- The roles trustpack_app and trustpack_system are made by the runner: they belong to the cluster, not to this database.

CREATE SCHEMA trustpack;
GRANT USAGE ON SCHEMA trustpack TO trustpack_app, trustpack_system;

-- nullif: after a transaction the setting is '' and not NULL on a pooled connection.
CREATE FUNCTION trustpack.protect_tenant_table(table_name text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('ALTER TABLE trustpack.%I ENABLE ROW LEVEL SECURITY', table_name);
  EXECUTE format('ALTER TABLE trustpack.%I FORCE ROW LEVEL SECURITY', table_name);
  EXECUTE format('CREATE POLICY tenant_rows ON trustpack.%I '
                 'USING (tenant_id = (SELECT nullif(current_setting(''trustpack.tenant'', true), ''''))) '
                 'WITH CHECK (tenant_id = (SELECT nullif(current_setting(''trustpack.tenant'', true), '''')))', table_name);
  EXECUTE format('GRANT SELECT, INSERT ON trustpack.%I TO trustpack_app', table_name);
END $$;

CREATE FUNCTION trustpack.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% on %.% is refused: its rows are kept as they were written', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION trustpack.make_append_only(table_name text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON trustpack.%I '
                 'FOR EACH ROW EXECUTE FUNCTION trustpack.refuse_change()', table_name);
  EXECUTE format('CREATE TRIGGER append_only_table BEFORE TRUNCATE ON trustpack.%I '
                 'FOR EACH STATEMENT EXECUTE FUNCTION trustpack.refuse_change()', table_name);
END $$;

-- A governed row is one subject: (tenant_id, id, version, status). Each change raises its version by one, and at commit there
-- must be the receipt of that version and state. Deferred, because the row and its receipt are two statements.
CREATE FUNCTION trustpack.require_next_version() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.version <> 1 THEN
      RAISE EXCEPTION 'a new subject begins with version 1, not %', NEW.version USING ERRCODE = 'check_violation';
    END IF;
  ELSIF NEW.version <> OLD.version + 1 OR NEW.tenant_id <> OLD.tenant_id OR NEW.id <> OLD.id THEN
    RAISE EXCEPTION 'a change of % must raise its version from % to %', OLD.id, OLD.version, OLD.version + 1
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

-- "Of this transaction": a receipt that was committed earlier records an earlier change and allows no later one.
CREATE FUNCTION trustpack.require_receipt() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM trustpack.receipts r
                  WHERE r.tenant_id = NEW.tenant_id AND r.subject_id = NEW.id AND r.seq = NEW.version AND r.state = NEW.status
                    AND r.xmin = pg_current_xact_id()::xid) THEN
    RAISE EXCEPTION 'version % of % (%) has no receipt', NEW.version, NEW.id, NEW.status
      USING ERRCODE = 'check_violation', CONSTRAINT = 'receipt_for_every_version';
  END IF;
  RETURN NULL;
END $$;

-- Which table holds the subjects of each kind, so that a receipt can be held to its subject.
CREATE TABLE trustpack.governed_tables (
  kind       text NOT NULL,
  table_name text NOT NULL,
  CONSTRAINT governed_tables_pkey PRIMARY KEY (kind)
);
GRANT SELECT ON trustpack.governed_tables TO trustpack_app;

CREATE FUNCTION trustpack.require_subject() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  subjects text := (SELECT g.table_name FROM trustpack.governed_tables g WHERE g.kind = NEW.subject_kind);
  is_there boolean := false;
BEGIN
  IF subjects IS NOT NULL THEN
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM trustpack.%I WHERE tenant_id = $1 AND id = $2 AND version >= $3'
                   ' AND xmin = pg_current_xact_id()::xid)', subjects)
      INTO is_there USING NEW.tenant_id, NEW.subject_id, NEW.seq;
  END IF;
  IF NOT is_there OR NOT EXISTS (SELECT 1 FROM trustpack.log_outbox o WHERE o.tenant_id = NEW.tenant_id AND o.receipt_id = NEW.id) THEN
    RAISE EXCEPTION 'receipt % of % records no change of its subject, or is not on its way into the log', NEW.seq, NEW.subject_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'change_for_every_receipt';
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION trustpack.govern(table_name text, kind text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
END $$;

-- A row that belongs to a subject and changes with it (an execution, a grant, a linked account) names in `seq` the receipt that
-- made or last changed it.
CREATE FUNCTION trustpack.require_later_seq() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.seq <= OLD.seq OR NEW.tenant_id <> OLD.tenant_id OR NEW.id <> OLD.id
     OR to_jsonb(NEW) ->> TG_ARGV[0] <> to_jsonb(OLD) ->> TG_ARGV[0] THEN
    RAISE EXCEPTION 'a change of a row in %.% must name a later receipt of the same subject', TG_TABLE_SCHEMA, TG_TABLE_NAME
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION trustpack.require_receipt_of_subject() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM trustpack.receipts r
                  WHERE r.tenant_id = NEW.tenant_id AND r.subject_id = to_jsonb(NEW) ->> TG_ARGV[0] AND r.seq = NEW.seq
                    AND r.xmin = pg_current_xact_id()::xid) THEN
    RAISE EXCEPTION 'a row in %.% changed without a receipt of its subject', TG_TABLE_SCHEMA, TG_TABLE_NAME
      USING ERRCODE = 'check_violation', CONSTRAINT = 'receipt_for_every_change';
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION trustpack.follow_receipts(table_name text, subject_column text, changeable boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('CREATE CONSTRAINT TRIGGER receipt_for_every_change AFTER INSERT OR UPDATE ON trustpack.%I '
                 'DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trustpack.require_receipt_of_subject(%L)',
                 table_name, subject_column);
  IF NOT changeable THEN
    PERFORM trustpack.make_append_only(table_name);
    RETURN;
  END IF;
  EXECUTE format('GRANT UPDATE ON trustpack.%I TO trustpack_app', table_name);
  EXECUTE format('CREATE TRIGGER later_seq BEFORE UPDATE ON trustpack.%I '
                 'FOR EACH ROW EXECUTE FUNCTION trustpack.require_later_seq(%L)', table_name, subject_column);
  EXECUTE format('CREATE TRIGGER rows_stay BEFORE DELETE ON trustpack.%I '
                 'FOR EACH ROW EXECUTE FUNCTION trustpack.refuse_change()', table_name);
  EXECUTE format('CREATE TRIGGER table_stays BEFORE TRUNCATE ON trustpack.%I '
                 'FOR EACH STATEMENT EXECUTE FUNCTION trustpack.refuse_change()', table_name);
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA trustpack FROM PUBLIC;

-- Work that must be done later, whatever happens to the process (ADR-0010). The row is the timer: found by a plain scan of the
-- system role over all tenants, claimed by compare-and-set within its tenant. `lease_id` is drawn by each claim; what a holder
-- does to the row names it. Jobs of one lane (of one tenant) wait for each other and hold up nobody else.
CREATE TABLE trustpack.jobs (
  tenant_id    text NOT NULL,
  id           text NOT NULL,
  kind         text NOT NULL,
  lane         text NOT NULL,
  subject_id   text NOT NULL,
  due_at       timestamptz NOT NULL,
  attempts     bigint NOT NULL DEFAULT 0,
  locked_until timestamptz,
  lease_id     text,
  last_error   text,
  created_at   timestamptz NOT NULL,
  CONSTRAINT jobs_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT jobs_one_per_subject UNIQUE (tenant_id, kind, subject_id)
);
CREATE INDEX jobs_due ON trustpack.jobs (due_at);
SELECT trustpack.protect_tenant_table('jobs');
GRANT UPDATE, DELETE ON trustpack.jobs TO trustpack_app;
CREATE POLICY system_reads ON trustpack.jobs FOR SELECT TO trustpack_system USING (true);
GRANT SELECT (tenant_id, id, kind, lane, due_at, locked_until, last_error) ON trustpack.jobs TO trustpack_system;

-- The first answer to a POST, kept in the transaction of its effect (ADR-0011).
CREATE TABLE trustpack.idempotency_keys (
  tenant_id      text NOT NULL,
  actor_id       text NOT NULL,
  method         text NOT NULL,
  path           text NOT NULL,
  key            text NOT NULL,
  request_digest text NOT NULL,
  status         bigint,
  body           bytea,
  holds_secret   boolean NOT NULL DEFAULT false,
  created_at     timestamptz NOT NULL,
  CONSTRAINT idempotency_keys_pkey PRIMARY KEY (tenant_id, actor_id, method, path, key),
  CONSTRAINT idempotency_keys_no_secret CHECK (NOT holds_secret OR body IS NULL)
);
CREATE INDEX idempotency_keys_age ON trustpack.idempotency_keys (tenant_id, created_at);
SELECT trustpack.protect_tenant_table('idempotency_keys');
GRANT UPDATE, DELETE ON trustpack.idempotency_keys TO trustpack_app;
