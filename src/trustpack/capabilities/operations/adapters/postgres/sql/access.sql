-- 4. Granting. Every refusal of ours has an SQLSTATE that begins with TP, so that the caller can tell it from an accident.
set local role {provisioner};
create function {state}.is_grantee_name(p_name text) returns boolean
language sql immutable
set search_path = pg_catalog, pg_temp
as $body$ select p_name is not null and length(p_name) = 36 and p_name ~ '^tpk_[0-9a-f]+$' $body$;

-- The sequence that counts what a grant touches. Only the provisioner may use it, so that no grantee can lower it.
create function {state}.counter_name(p_role text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $body$ select 'touches_' || p_role $body$;

create function {state}.counter_of(p_role text) returns regclass
language sql stable
set search_path = pg_catalog, pg_temp
as $body$ select to_regclass(format('%I.%I', {state_name}, {state}.counter_name(p_role))) $body$;

create function {state}.require_grantee_name(p_name text) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $body$
begin
  if not {state}.is_grantee_name(p_name) then
    raise exception 'not a name of a temporary role' using errcode = 'TP001';
  end if;
end
$body$;

-- Anything that is not a well-formed verifier would be taken as a password in clear text and hashed, and iteration counts
-- of 0 and 1 are accepted by the server.
create function {state}.require_verifier(p_verifier text) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $body$
declare
  part text[] := regexp_match(p_verifier,
    '^SCRAM-SHA-256\$([1-9][0-9]{{3,5}}):([A-Za-z0-9+/]{{20,86}}={{0,2}})\$([A-Za-z0-9+/]{{43}}=):([A-Za-z0-9+/]{{43}}=)$');
begin
  if p_verifier is null or part is null or length(part[2]) % 4 <> 0 or part[1]::integer not between 4096 and 200000
     or length(decode(part[2], 'base64')) < 16
     or length(decode(part[3], 'base64')) <> 32 or length(decode(part[4], 'base64')) <> 32 then
    raise exception 'not a SCRAM-SHA-256 verifier' using errcode = 'TP001';
  end if;
exception when invalid_parameter_value then
  raise exception 'not a SCRAM-SHA-256 verifier' using errcode = 'TP001';
end
$body$;

create function {state}.require_order(p_scope text, p_duration_seconds integer, p_connection_limit integer) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $body$
declare
  config {state}.settings;
begin
  select * into strict config from {state}.settings;
  if p_duration_seconds is null or p_duration_seconds not between 1 and config.max_duration_seconds then
    raise exception 'the duration is not within 1 and % seconds', config.max_duration_seconds using errcode = 'TP001';
  end if;
  if p_connection_limit is null or p_connection_limit not between 1 and config.max_connection_limit then
    raise exception 'the connection limit is not within 1 and %', config.max_connection_limit using errcode = 'TP001';
  end if;
  if p_scope is null or length(p_scope) not between 1 and 200 or p_scope ~ '[[:cntrl:]]'
     or (exists (select from {state}.scopes) and not exists (select from {state}.scopes as allowed where allowed.scope = p_scope)) then
    raise exception 'the scope is not one that this target grants' using errcode = 'TP001';
  end if;
end
$body$;

create function {state}.role_is_ours(p_grant {state}.grants) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $body$ select exists (select from pg_catalog.pg_roles where oid = p_grant.role_oid and rolname = p_grant.role_name) $body$;

create function {state}.report(p_grant {state}.grants, p_adopted boolean) returns jsonb
language sql volatile
set search_path = pg_catalog, pg_temp
as $body$
  select jsonb_build_object(
    'role_name', p_grant.role_name, 'role_oid', p_grant.role_oid::bigint, 'adopted', p_adopted,
    'granted_at', p_grant.granted_at, 'expires_at', p_grant.expires_at,
    'remaining_seconds', greatest(0, extract(epoch from p_grant.expires_at - clock_timestamp())))
$body$;

-- Creates the role of a grant, or finds it as an earlier, identical call left it. Nobody can log in yet: it has no password.
-- A new grant needs the digest of the installation that was approved; one that is there already was made under it.
create function {api}.grant_access(
  p_role text, p_scope text, p_duration_seconds integer, p_connection_limit integer, p_installation_digest text,
  p_issuer text default null)
returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set timezone = 'UTC'
set lock_timeout = '5s'
as $body$
declare
  config {state}.settings;
  held {state}.grants;
  is_new boolean := false;
  started timestamptz;
  has_membership_options boolean := current_setting('server_version_num')::integer >= 160000;
begin
  perform {state}.require_grantee_name(p_role);
  perform set_config('synchronous_commit', 'on', true);    -- the caller could have turned it off
  select * into held from {state}.grants where role_name = p_role for update;
  if not found then
    if p_installation_digest is distinct from 'sha256:' || {api}.definitions_digest() then
      raise exception 'the installation is not the approved one' using errcode = 'TP006';
    end if;
    perform {state}.require_order(p_scope, p_duration_seconds, p_connection_limit);
    started := clock_timestamp();
    insert into {state}.grants (role_name, scope, duration_seconds, connection_limit, granted_at, expires_at, issuer)
    values (p_role, p_scope, p_duration_seconds, p_connection_limit, started, started + make_interval(secs => p_duration_seconds),
            p_issuer)
    on conflict (role_name) do nothing
    returning * into held;
    is_new := found;
    if not is_new then    -- a parallel call was faster
      select * into held from {state}.grants where role_name = p_role for update;
    end if;
  end if;
  if not is_new then
    if held.dropped_at is null and held.expires_at > clock_timestamp() and held.scope = p_scope
       and held.duration_seconds = p_duration_seconds and held.connection_limit = p_connection_limit
       and {state}.role_is_ours(held) then
      return {state}.report(held, true);
    end if;
    raise exception 'the role name was used before, for another grant or one that has ended' using errcode = 'TP002';
  end if;
  select * into strict config from {state}.settings;
  if exists (select from pg_catalog.pg_roles where rolname = p_role) then
    raise exception 'a role of this name exists that was not made by a grant of this target' using errcode = 'TP002';
  end if;
  if (select count(*) from {state}.grants where dropped_at is null) > config.max_live_grants then
    raise exception 'this target holds % grants already', config.max_live_grants using errcode = 'TP003';
  end if;

  begin
    if has_membership_options then
      perform set_config('createrole_self_grant', '', true);    -- the caller could have set it
    end if;
    execute format('create role %I login inherit nosuperuser nocreatedb nocreaterole noreplication nobypassrls '
                   'connection limit %s password null valid until %L', p_role, p_connection_limit, held.expires_at);
    -- Before 16 the right to SET ROLE to the group cannot be withheld; it shows the same rows.
    execute format('grant %I to %I' || case when has_membership_options then ' with inherit true, set false' else '' end,
                   {reader_name}, p_role);
    execute format('alter role %I set search_path = %I', p_role, {views_name});
    if config.record <> 'none' then
      execute format('create sequence %I.%I', {state_name}, {state}.counter_name(p_role));
    end if;
    if has_parameter_privilege('log_statement', 'set') then
      execute format('alter role %I set log_statement = %L', p_role, 'all');
      execute format('alter role %I set temp_file_limit = %L', p_role, '256MB');
    end if;
  exception when duplicate_object or unique_violation then
    raise exception 'a role of this name exists that was not made by a grant of this target' using errcode = 'TP002';
  end;
  update {state}.grants
     set role_oid = (select oid from pg_catalog.pg_roles where rolname = p_role), record = config.record
   where role_name = p_role returning * into held;
  return {state}.report(held, false);
end
$body$;

-- Replaces the password of a live grant, unless a later one was set already. A verifier must never reach the server log, and the text of a failed EXECUTE would
-- (it is the CONTEXT of the error): so each error is replaced by one without it, a cancelled statement included.
create function {api}.set_verifier(p_role text, p_verifier text, p_generation integer) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set lock_timeout = '5s'
as $body$
declare
  held {state}.grants;
  failure text;
begin
  perform {state}.require_grantee_name(p_role);
  perform {state}.require_verifier(p_verifier);
  select * into held from {state}.grants where role_name = p_role and dropped_at is null for update;
  if not found or held.expires_at <= clock_timestamp() or not {state}.role_is_ours(held) then
    raise exception 'there is no live grant of this name' using errcode = 'TP004';
  end if;
  if p_generation is null or p_generation <= held.generation then
    raise exception 'a credential as late as this one was set before' using errcode = 'TP007';
  end if;
  perform set_config('synchronous_commit', 'on', true);
  begin
    execute format('alter role %I password %L', held.role_name, p_verifier);
  exception when query_canceled or others then
    failure := sqlstate;
  end;
  if failure is not null then
    raise exception 'the password could not be replaced (SQLSTATE %)', failure using errcode = failure;
  end if;
  update {state}.grants set verifier_digest = sha256(convert_to(p_verifier, 'UTF8')), generation = p_generation
   where role_name = p_role;
  return {state}.report(held, true);
end
$body$;
reset role;
