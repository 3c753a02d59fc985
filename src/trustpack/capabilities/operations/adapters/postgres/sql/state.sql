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
  objects_digest text,
  installation_id uuid not null default gen_random_uuid()    -- made once; a re-installation keeps it
);
alter table {state}.settings add column if not exists installation_id uuid not null default gen_random_uuid();
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
  generation integer not null default 0    -- of the credential that is set
);
alter table {state}.grants add column if not exists generation integer not null default 0;
create index if not exists grants_role_oid on {state}.grants (role_oid);
-- A row lock here makes reverts of one role take turns. An advisory lock would not do: a grantee can take any of those.
create table if not exists {state}.turns (role_name text primary key, taken_at timestamptz not null);

insert into {state}.settings (layout, target, definition_digest, max_duration_seconds, max_connection_limit, max_live_grants)
values ({layout}, {target}, {definition_digest}, {max_duration_seconds}, {max_connection_limit}, {max_live_grants})
on conflict (is_only_row) do update set
  layout = excluded.layout, target = excluded.target, definition_digest = excluded.definition_digest,
  max_duration_seconds = excluded.max_duration_seconds, max_connection_limit = excluded.max_connection_limit,
  max_live_grants = excluded.max_live_grants;
delete from {state}.scopes;
insert into {state}.scopes (scope) select jsonb_array_elements_text({scopes}::jsonb);

grant usage on schema {state} to {owner};
grant select (role_name, role_oid, scope, expires_at, dropped_at) on {state}.grants to {owner};
reset role;

-- 3. What a grantee reads: rows of its scope, until its grant expires on this server's clock, whether or not trustpack still runs.
set local role {owner};
create function {views}.scope() returns text
language sql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp
as $body$
  select held.scope
    from {state}.grants as held
    join pg_catalog.pg_roles as role on role.oid = held.role_oid and role.rolname = held.role_name
   where held.role_name = session_user and held.dropped_at is null and held.expires_at > clock_timestamp()
$body$;
revoke all on function {views}.scope() from public;
grant execute on function {views}.scope() to {reader};
grant usage on schema {views} to {reader};
reset role;
