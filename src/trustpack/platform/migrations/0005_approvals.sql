-- Votes: one per person and digest of what was shown, never changed. That a vote is superseded follows from the digest. What
-- people wrote beside it lies in the disclosures of its receipt, where it can be erased.
CREATE TABLE trustpack.approvals (
  tenant_id        text NOT NULL,
  id               text NOT NULL,
  subject_id       text NOT NULL,
  seq              bigint NOT NULL,
  digest           text NOT NULL,
  digest_confirmed boolean NOT NULL,
  person_id        text NOT NULL,
  account_id       text NOT NULL,
  claimed_role     text,
  verdict          text NOT NULL,
  created_at       timestamptz NOT NULL,
  CONSTRAINT approvals_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT approvals_one_vote_per_person UNIQUE (tenant_id, subject_id, digest, person_id),
  CONSTRAINT approvals_person_fkey FOREIGN KEY (tenant_id, person_id) REFERENCES trustpack.people (tenant_id, id),
  CONSTRAINT approvals_verdict CHECK (verdict IN ('approve', 'reject'))
);
SELECT trustpack.protect_tenant_table('approvals');
SELECT trustpack.follow_receipts('approvals', 'subject_id', false);
