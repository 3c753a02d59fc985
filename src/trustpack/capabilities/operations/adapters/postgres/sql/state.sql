-- 2. Private state. Its owner may create roles and reads nothing of yours.
set local role {provisioner};
create table if not exists {state}.settings (
  is_only_row boolean primary key default true check (is_only_row),
  layout integer not null,
  target text not null,
  definition_digest text not null,
  max_duration_seconds integer not null,
  max_connection_limit integer not null,
  max_live_grants integer not null,
  record text not null default 'none',
  seal text,    -- of everything as it was installed; `current_seal` is the same for as long as nobody changes it
  installation_id uuid not null default gen_random_uuid()    -- made once; a re-installation keeps it
);
alter table {state}.settings add column if not exists installation_id uuid not null default gen_random_uuid();
alter table {state}.settings add column if not exists record text not null default 'none';
alter table {state}.settings add column if not exists seal text;
alter table {state}.settings drop column if exists objects_digest;
create table if not exists {state}.scopes (scope text primary key);
-- Rows stay for ever: a role name is used once. A row without role_oid burns a name whose grant was taken back before it was made.
create table if not exists {state}.grants (
  role_name text primary key,
  role_oid oid,
  scope text,
  duration_seconds integer,
  connection_limit integer,
  granted_at timestamptz,
  expires_at timestamptz not null,
  verifier_digest bytea,
  evidence jsonb,
  dropped_at timestamptz,
  generation integer not null default 0,    -- of the credential that is set
  record text not null default 'none',    -- what is kept of its accesses; another installation does not change it
  touched bigint,    -- the last value of its counter, once that is dropped
  pruned_at timestamptz,
  issuer text    -- the store that ordered it: two may share a target
);
alter table {state}.grants add column if not exists generation integer not null default 0;
alter table {state}.grants add column if not exists record text not null default 'none';
alter table {state}.grants add column if not exists touched bigint;
alter table {state}.grants add column if not exists pruned_at timestamptz;
alter table {state}.grants add column if not exists issuer text;
create index if not exists grants_role_oid on {state}.grants (role_oid);
create index if not exists grants_to_prune on {state}.grants (dropped_at) where record <> 'none' and pruned_at is null;
-- What grantees did, statement by statement. No foreign key: its row lock would let a grantee hold up its own end.
create table if not exists {state}.accesses (
  role_name text not null,
  number bigint not null,
  at timestamptz not null,
  pid integer not null,
  application_name text not null,
  statement text not null,
  primary key (role_name, number)
);
-- A row lock here makes reverts of one role take turns. An advisory lock would not do: a grantee can take any of those.
create table if not exists {state}.turns (role_name text primary key, taken_at timestamptz not null);

insert into {state}.settings (layout, target, definition_digest, max_duration_seconds, max_connection_limit, max_live_grants, record)
values ({layout}, {target}, {definition_digest}, {max_duration_seconds}, {max_connection_limit}, {max_live_grants}, {record})
on conflict (is_only_row) do update set
  layout = excluded.layout, target = excluded.target, definition_digest = excluded.definition_digest,
  max_duration_seconds = excluded.max_duration_seconds, max_connection_limit = excluded.max_connection_limit,
  max_live_grants = excluded.max_live_grants, record = excluded.record;
delete from {state}.scopes;
insert into {state}.scopes (scope) select jsonb_array_elements_text({scopes}::jsonb);

grant usage on schema {state} to {owner};
grant select (role_name, role_oid, scope, expires_at, dropped_at) on {state}.grants to {owner};
reset role;
