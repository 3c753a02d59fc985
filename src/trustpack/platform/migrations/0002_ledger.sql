-- Receipts: one per version of every subject, chained, kept as their canonical bytes (architecture section 3).
CREATE TABLE trustpack.receipts (
  tenant_id    text NOT NULL,
  id           text NOT NULL,
  subject_id   text NOT NULL,
  subject_kind text NOT NULL,
  seq          bigint NOT NULL,
  action       text NOT NULL,
  state        text NOT NULL,
  actor_id     text NOT NULL,
  occurred_at  timestamptz NOT NULL,
  body         bytea NOT NULL,
  digest       text NOT NULL,
  prev_hash    text,
  CONSTRAINT receipts_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT receipts_one_per_version UNIQUE (tenant_id, subject_id, seq),
  CONSTRAINT receipts_digest_is_of_body CHECK (digest = 'sha256:' || encode(sha256(body), 'hex')),
  CONSTRAINT receipts_first_has_no_previous CHECK ((seq = 1) = (prev_hash IS NULL)),
  CONSTRAINT receipts_seq_positive CHECK (seq >= 1)
);
ALTER TABLE trustpack.receipts ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX receipts_by_actor ON trustpack.receipts (tenant_id, actor_id, occurred_at);
SELECT trustpack.protect_tenant_table('receipts');
SELECT trustpack.make_append_only('receipts');

CREATE FUNCTION trustpack.check_receipt() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  body jsonb := convert_from(NEW.body, 'UTF8')::jsonb;
BEGIN
  IF (body ->> 'id', body ->> 'tenant', body #>> '{subject,id}', body #>> '{subject,kind}', (body ->> 'seq')::bigint,
      body ->> 'action', body ->> 'state', body #>> '{actor,id}', (body ->> 'occurred_at')::timestamptz, body ->> 'prev_hash')
     IS DISTINCT FROM
     (NEW.id, NEW.tenant_id, NEW.subject_id, NEW.subject_kind, NEW.seq,
      NEW.action, NEW.state, NEW.actor_id, NEW.occurred_at, NEW.prev_hash) THEN
    RAISE EXCEPTION 'the columns of receipt % differ from its body', NEW.id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'receipts_columns_are_of_body';
  END IF;
  IF NEW.seq > 1 AND NOT EXISTS (SELECT 1 FROM trustpack.receipts r WHERE r.tenant_id = NEW.tenant_id
                                    AND r.subject_id = NEW.subject_id AND r.seq = NEW.seq - 1 AND r.digest = NEW.prev_hash) THEN
    RAISE EXCEPTION 'receipt % of % does not continue the chain', NEW.seq, NEW.subject_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'receipts_chain';
  END IF;
  RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION trustpack.check_receipt() FROM PUBLIC;
CREATE TRIGGER receipt_is_consistent BEFORE INSERT ON trustpack.receipts FOR EACH ROW EXECUTE FUNCTION trustpack.check_receipt();

-- What opens the salted commitments in receipts; kept apart so that it can be erased while every proof still holds (ADR-0012).
CREATE TABLE trustpack.disclosures (
  tenant_id  text NOT NULL,
  receipt_id text NOT NULL,
  path       text NOT NULL,
  salt       bytea NOT NULL,
  value      bytea NOT NULL,
  CONSTRAINT disclosures_pkey PRIMARY KEY (tenant_id, receipt_id, path),
  CONSTRAINT disclosures_receipt_fkey FOREIGN KEY (tenant_id, receipt_id) REFERENCES trustpack.receipts (tenant_id, id)
);
SELECT trustpack.protect_tenant_table('disclosures');

-- Receipts that the tenant's log has not taken up yet.
CREATE TABLE trustpack.log_outbox (
  tenant_id  text NOT NULL,
  receipt_id text NOT NULL,
  CONSTRAINT log_outbox_pkey PRIMARY KEY (tenant_id, receipt_id),
  CONSTRAINT log_outbox_receipt_fkey FOREIGN KEY (tenant_id, receipt_id) REFERENCES trustpack.receipts (tenant_id, id)
);
SELECT trustpack.protect_tenant_table('log_outbox');

-- No receipt without the change that it records: the counterpart of receipt_for_every_version.
CREATE CONSTRAINT TRIGGER change_for_every_receipt AFTER INSERT ON trustpack.receipts
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trustpack.require_subject();

-- Usage events (story 4.1). The id is derived from what is counted, so that counting twice is impossible.
CREATE TABLE trustpack.usage_events (
  tenant_id   text NOT NULL,
  id          text NOT NULL,
  occurred_at timestamptz NOT NULL,
  type        text NOT NULL,
  pack        text NOT NULL,
  metadata    jsonb NOT NULL,
  CONSTRAINT usage_events_pkey PRIMARY KEY (tenant_id, id)
);
CREATE INDEX usage_events_by_time ON trustpack.usage_events (tenant_id, occurred_at);
SELECT trustpack.protect_tenant_table('usage_events');
SELECT trustpack.make_append_only('usage_events');
