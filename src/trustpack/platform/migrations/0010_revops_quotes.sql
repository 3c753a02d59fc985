-- Quotes with their revisions, and the contracts that they become (stories 2.1, 2.3, 2.7).
CREATE TABLE trustpack.quotes (
  tenant_id           text NOT NULL,
  id                  text NOT NULL,
  version             bigint NOT NULL,
  revision            bigint NOT NULL,
  status              text NOT NULL,
  opportunity_id      text NOT NULL,
  account_key         text NOT NULL,
  segment             text NOT NULL,
  currency            text NOT NULL,
  owner_id            text NOT NULL,
  team_id             text,
  people              text[] NOT NULL,
  title               text,
  terms               bytea NOT NULL,
  terms_digest        text NOT NULL,
  list_minor          bigint NOT NULL,
  net_minor           bigint NOT NULL,
  required_approvals  text[] NOT NULL,
  self_approvable     text[] NOT NULL,
  decision_id         text,
  valid_until         date NOT NULL,
  submitted_at        timestamptz,
  approval_expires_at timestamptz,
  use_by              timestamptz,
  derived_from        text,
  external_id         text,
  created_at          timestamptz NOT NULL,
  CONSTRAINT quotes_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT quotes_external_id UNIQUE (tenant_id, external_id),
  CONSTRAINT quotes_opportunity_fkey FOREIGN KEY (tenant_id, opportunity_id) REFERENCES trustpack.opportunities (tenant_id, id),
  CONSTRAINT quotes_owner_fkey FOREIGN KEY (tenant_id, owner_id) REFERENCES trustpack.people (tenant_id, id),
  CONSTRAINT quotes_decision_fkey FOREIGN KEY (tenant_id, id, decision_id)
    REFERENCES trustpack.policy_decisions (tenant_id, subject_id, id),
  CONSTRAINT quotes_terms_digest CHECK (terms_digest = 'sha256:' || encode(sha256(terms), 'hex')),
  CONSTRAINT quotes_amounts CHECK (0 <= net_minor AND net_minor <= list_minor),
  CONSTRAINT quotes_decided CHECK (status IN ('draft', 'recalled', 'expired') OR decision_id IS NOT NULL),
  CONSTRAINT quotes_status CHECK (status IN ('draft', 'pending_approval', 'approved', 'activated', 'rejected', 'recalled', 'expired'))
);
CREATE INDEX quotes_by_owner ON trustpack.quotes (tenant_id, owner_id, id);
CREATE INDEX quotes_by_team ON trustpack.quotes (tenant_id, team_id, id);
CREATE INDEX quotes_by_status ON trustpack.quotes (tenant_id, status, id);
CREATE INDEX quotes_by_account ON trustpack.quotes (tenant_id, account_key, currency, created_at);
CREATE INDEX quotes_by_opportunity ON trustpack.quotes (tenant_id, opportunity_id, id);
SELECT trustpack.protect_tenant_table('quotes');
SELECT trustpack.govern('quotes', 'quote');

-- Where to look for the quotes that somebody had a part in. Whether they may read one is decided by the quote's own `people`.
CREATE TABLE trustpack.quote_people (
  tenant_id text NOT NULL,
  person_id text NOT NULL,
  quote_id  text NOT NULL,
  CONSTRAINT quote_people_pkey PRIMARY KEY (tenant_id, person_id, quote_id),
  CONSTRAINT quote_people_quote_fkey FOREIGN KEY (tenant_id, quote_id) REFERENCES trustpack.quotes (tenant_id, id)
);
SELECT trustpack.protect_tenant_table('quote_people');
SELECT trustpack.make_append_only('quote_people');

-- Every revision as it was written; whatever is not the newest is superseded.
CREATE TABLE trustpack.quote_revisions (
  tenant_id    text NOT NULL,
  id           text NOT NULL,
  quote_id     text NOT NULL,
  seq          bigint NOT NULL,
  revision     bigint NOT NULL,
  terms        bytea NOT NULL,
  terms_digest text NOT NULL,
  list_minor   bigint NOT NULL,
  net_minor    bigint NOT NULL,
  created_by   text NOT NULL,
  created_at   timestamptz NOT NULL,
  CONSTRAINT quote_revisions_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT quote_revisions_once UNIQUE (tenant_id, quote_id, revision),
  CONSTRAINT quote_revisions_quote_fkey FOREIGN KEY (tenant_id, quote_id) REFERENCES trustpack.quotes (tenant_id, id),
  CONSTRAINT quote_revisions_terms_digest CHECK (terms_digest = 'sha256:' || encode(sha256(terms), 'hex'))
);
SELECT trustpack.protect_tenant_table('quote_revisions');
SELECT trustpack.follow_receipts('quote_revisions', 'quote_id', false);

-- One contract per quote, whatever races; it holds the terms that were approved.
CREATE TABLE trustpack.contracts (
  tenant_id    text NOT NULL,
  id           text NOT NULL,
  quote_id     text NOT NULL,
  seq          bigint NOT NULL,
  status       text NOT NULL,
  terms        bytea NOT NULL,
  terms_digest text NOT NULL,
  activated_by text NOT NULL,
  decision_id  text NOT NULL,
  created_at   timestamptz NOT NULL,
  CONSTRAINT contracts_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT contracts_one_per_quote UNIQUE (tenant_id, quote_id),
  CONSTRAINT contracts_quote_fkey FOREIGN KEY (tenant_id, quote_id) REFERENCES trustpack.quotes (tenant_id, id),
  CONSTRAINT contracts_decision_fkey FOREIGN KEY (tenant_id, quote_id, decision_id)
    REFERENCES trustpack.policy_decisions (tenant_id, subject_id, id),
  CONSTRAINT contracts_terms_digest CHECK (terms_digest = 'sha256:' || encode(sha256(terms), 'hex')),
  CONSTRAINT contracts_status CHECK (status IN ('activated'))
);
SELECT trustpack.protect_tenant_table('contracts');
SELECT trustpack.follow_receipts('contracts', 'quote_id', false);

-- A vote on a quote stands with the roles of its time, also when its voter has left since (research/revops case 27).
ALTER TABLE trustpack.approvals ADD COLUMN roles text[];

-- List prices by SKU and currency; the entry in force on a day is the latest one valid from then or before. One book per tenant.
CREATE TABLE trustpack.price_books (
  tenant_id  text NOT NULL,
  id         text NOT NULL,
  version    bigint NOT NULL,
  status     text NOT NULL,
  created_at timestamptz NOT NULL,
  CONSTRAINT price_books_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT price_books_one_per_tenant UNIQUE (tenant_id),
  CONSTRAINT price_books_status CHECK (status IN ('active'))
);
SELECT trustpack.protect_tenant_table('price_books');
SELECT trustpack.govern('price_books', 'price_book');

CREATE TABLE trustpack.price_book_entries (
  tenant_id   text NOT NULL,
  id          text NOT NULL,
  book_id     text NOT NULL,
  seq         bigint NOT NULL,
  sku         text NOT NULL,
  currency    text NOT NULL,
  valid_from  date NOT NULL,
  list_minor  bigint NOT NULL,
  description text NOT NULL,
  recurring   boolean NOT NULL,
  CONSTRAINT price_book_entries_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT price_book_entries_book_fkey FOREIGN KEY (tenant_id, book_id) REFERENCES trustpack.price_books (tenant_id, id),
  CONSTRAINT price_book_entries_list CHECK (list_minor >= 0)
);
CREATE INDEX price_book_entries_in_force ON trustpack.price_book_entries (tenant_id, sku, currency, valid_from, seq);
SELECT trustpack.protect_tenant_table('price_book_entries');
SELECT trustpack.follow_receipts('price_book_entries', 'book_id', false);
