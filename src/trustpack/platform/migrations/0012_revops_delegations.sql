-- Approver's roles that their holders lend for some days (ADR-0020). Why, in the delegator's own words, lies in the disclosures of
-- the receipt, where it can be erased.
CREATE TABLE trustpack.delegations (
  tenant_id   text NOT NULL,
  id          text NOT NULL,
  version     bigint NOT NULL,
  status      text NOT NULL,
  role        text NOT NULL,
  from_person text NOT NULL,
  to_person   text NOT NULL,
  from_date   date NOT NULL,
  until_date  date NOT NULL,
  created_by  text NOT NULL,
  created_at  timestamptz NOT NULL,
  ended_at    timestamptz,
  CONSTRAINT delegations_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT delegations_from_fkey FOREIGN KEY (tenant_id, from_person) REFERENCES trustpack.people (tenant_id, id),
  CONSTRAINT delegations_to_fkey FOREIGN KEY (tenant_id, to_person) REFERENCES trustpack.people (tenant_id, id),
  CONSTRAINT delegations_two_people CHECK (from_person <> to_person),
  CONSTRAINT delegations_days CHECK (from_date <= until_date),
  CONSTRAINT delegations_role CHECK (role IN ('manager', 'finance')),
  CONSTRAINT delegations_ended CHECK ((status = 'ended') = (ended_at IS NOT NULL)),
  CONSTRAINT delegations_status CHECK (status IN ('active', 'ended'))
);
CREATE INDEX delegations_by_delegate ON trustpack.delegations (tenant_id, to_person, id);
CREATE INDEX delegations_by_delegator ON trustpack.delegations (tenant_id, from_person, id);
CREATE INDEX delegations_by_status ON trustpack.delegations (tenant_id, status, until_date);
SELECT trustpack.protect_tenant_table('delegations');
SELECT trustpack.govern('delegations', 'delegation');

-- By which delegation a vote counted, and whether that was made only after the submission that was voted on. No older vote has
-- one, so there is nothing to check again.
ALTER TABLE trustpack.approvals ADD COLUMN delegation_id text;
ALTER TABLE trustpack.approvals ADD COLUMN delegation_is_newer boolean NOT NULL DEFAULT false;
ALTER TABLE trustpack.approvals ADD CONSTRAINT approvals_delegation_fkey FOREIGN KEY (tenant_id, delegation_id)
  REFERENCES trustpack.delegations (tenant_id, id) NOT VALID;
ALTER TABLE trustpack.approvals ADD CONSTRAINT approvals_delegation_flagged
  CHECK (delegation_id IS NOT NULL OR NOT delegation_is_newer) NOT VALID;
