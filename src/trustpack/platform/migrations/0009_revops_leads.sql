-- Leads and the opportunities that they become at once (stories 2.1 and 2.2).
CREATE TABLE trustpack.opportunities (
  tenant_id          text NOT NULL,
  id                 text NOT NULL,
  version            bigint NOT NULL,
  status             text NOT NULL,
  lead_id            text NOT NULL,
  account            text NOT NULL,
  account_key        text NOT NULL,
  segment            text NOT NULL,
  owner_id           text NOT NULL,
  team_id            text,
  first_touch_due_at timestamptz NOT NULL,
  first_touched_at   timestamptz,
  created_at         timestamptz NOT NULL,
  CONSTRAINT opportunities_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT opportunities_owner_fkey FOREIGN KEY (tenant_id, owner_id) REFERENCES trustpack.people (tenant_id, id),
  CONSTRAINT opportunities_team_fkey FOREIGN KEY (tenant_id, team_id) REFERENCES trustpack.teams (tenant_id, id),
  CONSTRAINT opportunities_status CHECK (status IN ('open', 'won'))
);
CREATE INDEX opportunities_by_account ON trustpack.opportunities (tenant_id, account_key, id);
-- By lead: the list of leads walks these in its own order.
CREATE INDEX opportunities_by_owner ON trustpack.opportunities (tenant_id, owner_id, lead_id);
CREATE INDEX opportunities_by_team ON trustpack.opportunities (tenant_id, team_id, lead_id);
CREATE INDEX opportunities_open ON trustpack.opportunities (tenant_id, owner_id) WHERE status = 'open';
SELECT trustpack.protect_tenant_table('opportunities');
SELECT trustpack.govern('opportunities', 'opportunity');

-- One lead per mailbox: the unique key decides, however many posts arrive at once.
CREATE TABLE trustpack.leads (
  tenant_id      text NOT NULL,
  id             text NOT NULL,
  version        bigint NOT NULL,
  status         text NOT NULL,
  email          text NOT NULL,
  email_key      text NOT NULL,
  company        text NOT NULL,
  segment        text NOT NULL,
  employees      bigint,
  region         text,
  source         text,
  created_by     text NOT NULL,
  opportunity_id text NOT NULL,
  routing_rule   text NOT NULL,
  routing_team   text NOT NULL,
  decision_id    text NOT NULL,
  created_at     timestamptz NOT NULL,
  CONSTRAINT leads_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT leads_email UNIQUE (tenant_id, email_key),
  CONSTRAINT leads_opportunity_fkey FOREIGN KEY (tenant_id, opportunity_id) REFERENCES trustpack.opportunities (tenant_id, id)
    DEFERRABLE INITIALLY DEFERRED,
  CONSTRAINT leads_decision_fkey FOREIGN KEY (tenant_id, id, decision_id)
    REFERENCES trustpack.policy_decisions (tenant_id, subject_id, id) DEFERRABLE INITIALLY DEFERRED,
  CONSTRAINT leads_status CHECK (status IN ('promoted'))
);
CREATE INDEX leads_by_author ON trustpack.leads (tenant_id, created_by, id);
CREATE INDEX leads_by_segment ON trustpack.leads (tenant_id, segment, id);
SELECT trustpack.protect_tenant_table('leads');
SELECT trustpack.govern('leads', 'lead');
