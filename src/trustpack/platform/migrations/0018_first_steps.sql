-- What somebody has seen or put away in the console, once each: an observation that helps them along and proves nothing.
CREATE TABLE trustpack.person_marks (
  tenant_id  text NOT NULL,
  person_id  text NOT NULL,
  mark       text NOT NULL,
  created_at timestamptz NOT NULL,
  CONSTRAINT person_marks_pkey PRIMARY KEY (tenant_id, person_id, mark),
  CONSTRAINT person_marks_person_fkey FOREIGN KEY (tenant_id, person_id) REFERENCES trustpack.people (tenant_id, id)
);
SELECT trustpack.protect_tenant_table('person_marks');

-- Whether somebody has voted on anything.
-- Built once, over one row per vote.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX approvals_by_person ON trustpack.approvals (tenant_id, person_id, id);
