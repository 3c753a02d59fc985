-- What another system calls the leads and quotes that were imported from it, so that the same file again changes nothing.
-- Several external ids may lead to one lead. `content_digest` tells other content under a known id; like a disclosure, the row
-- can be erased by the schema's owner.
CREATE TABLE trustpack.external_ids (
  tenant_id      text NOT NULL,
  kind           text NOT NULL,
  external_id    text NOT NULL,
  subject_id     text NOT NULL,
  content_digest text NOT NULL,
  created_at     timestamptz NOT NULL,
  CONSTRAINT external_ids_pkey PRIMARY KEY (tenant_id, kind, external_id),
  CONSTRAINT external_ids_kind CHECK (kind IN ('lead', 'quote'))
);
SELECT trustpack.protect_tenant_table('external_ids');
