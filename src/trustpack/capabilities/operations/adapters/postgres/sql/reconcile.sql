-- 9. Comparing with what was granted, and setting right what our own roles have the right to.
set local role {provisioner};

-- Whether the role was made by another target of this cluster: its search_path names that one's views. Such a role loses the
-- membership that somebody gave it here, and nothing else. A grantee can change its own search_path: never one that this
-- target has ever granted.
create function {state}.is_of_another_target(p_oid oid) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $body$
  select exists (
    select from pg_catalog.pg_db_role_setting as held, unnest(held.setconfig) as setting
     where held.setrole = p_oid and held.setdatabase = 0
       and setting ~ '^search_path="?trustpack_.*_views"?$' and setting not in ('search_path=' || {views_name}, 'search_path="' || {views_name} || '"'))
    and not exists (
    select from {state}.grants as granted join pg_catalog.pg_roles as role on role.rolname = granted.role_name where role.oid = p_oid)
$body$;

-- Memberships that let somebody use the roles of the installation, grantees aside.
create function {state}.foreign_members() returns table (role_name text, member_name text)
language sql stable
set search_path = pg_catalog, pg_temp
as $body$
  select distinct held.rolname::text, holder.rolname::text
    from pg_catalog.pg_auth_members as membership
    join pg_catalog.pg_roles as held on held.oid = membership.roleid
    join pg_catalog.pg_roles as holder on holder.oid = membership.member
   where held.rolname in ({reader_name}, {owner_name}, {provisioner_name}, {service_name})
     and not (held.rolname = {reader_name} and holder.rolname = {provisioner_name})
     and (held.rolname <> {reader_name} or not {state}.is_grantee_name(holder.rolname) or {state}.is_of_another_target(holder.oid))
     and {state}.is_usable(membership)
$body$;

-- Every temporary role that this target knows or ought to, and what does not fit together.
create function {api}.inventory() returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set timezone = 'UTC'
as $body$
declare
  password_changed jsonb;
  seal text := {state}.current_seal();
  config {state}.settings;
begin
  select * into strict config from {state}.settings;
  if seal is distinct from config.seal then    -- perhaps another installation committed while the catalogue was read
    seal := {state}.current_seal();
    select * into strict config from {state}.settings;
  end if;
  if to_regprocedure({verifier_digest_signature}) is not null then    -- only a superuser can install it
    execute $query$
      select coalesce(jsonb_agg(role_name order by role_name), '[]') from {state}.grants
       where dropped_at is null and expires_at > clock_timestamp()
         and {state}.current_verifier_digest(role_name) is distinct from verifier_digest $query$ into password_changed;
  end if;
  perform pg_stat_clear_snapshot();
  return jsonb_build_object(
    'at', clock_timestamp(),
    'layout', config.layout,
    'definition_digest', config.definition_digest,
    'seal', seal,
    'is_sealed', seal is not distinct from config.seal,
    'roles', (
      select coalesce(jsonb_agg(jsonb_build_object(
          'name', role.rolname, 'oid', role.oid::bigint,
          'is_covered', held.role_name is not null and held.dropped_at is null and held.role_oid is not distinct from role.oid,
          'issuer', held.issuer, 'expires_at', held.expires_at,
          'is_expired', coalesce(held.expires_at <= clock_timestamp(), true),
          'valid_until', coalesce(role.rolvaliduntil::text, 'for ever'),
          'keeps_valid_until', role.rolvaliduntil is not distinct from held.expires_at,
          'can_login', role.rolcanlogin,
          -- From the same snapshot as the rest of the role; pg_has_role would see a revert that commits meanwhile.
          'in_group', exists (
             select from pg_catalog.pg_auth_members as membership
              where membership.member = role.oid and membership.roleid = {reader_name}::regrole and {state}.is_usable(membership)),
          'is_taken_over', exists (
             select from pg_catalog.pg_auth_members as membership
              where membership.member = {provisioner_name}::regrole and membership.roleid = role.oid and {state}.is_usable(membership)),
          'scope', held.scope,
          'connection_limit', role.rolconnlimit,
          'powers', array_remove(array[
             case when role.rolsuper then 'superuser' end, case when role.rolcreaterole then 'createrole' end,
             case when role.rolcreatedb then 'createdb' end, case when role.rolreplication then 'replication' end,
             case when role.rolbypassrls then 'bypassrls' end], null),
          'memberships', array(
             select wider.rolname::text from pg_catalog.pg_auth_members as membership
               join pg_catalog.pg_roles as wider on wider.oid = membership.roleid
              where membership.member = role.oid and wider.rolname <> {reader_name} order by wider.rolname),
          'has_rights', exists (
             select from pg_catalog.pg_shdepend as dependency
              where dependency.refclassid = 'pg_catalog.pg_authid'::regclass and dependency.refobjid = role.oid
                and dependency.deptype = 'a' and dependency.classid <> 'pg_catalog.pg_auth_members'::regclass
                and not {state}.is_grantees_own(dependency))) order by role.rolname), '[]')
        from pg_catalog.pg_roles as role
        left join {state}.grants as held on held.role_name = role.rolname
       where {state}.is_grantee_name(role.rolname)
         and (held.role_name is not null
              -- A role that was locked out has left the group, and is still to be dropped.
              or ((exists (select from pg_catalog.pg_auth_members where member = role.oid and roleid = {reader_name}::regrole)
                   or pg_has_role({provisioner_name}, role.oid, 'usage'))
                  and not {state}.is_of_another_target(role.oid)))),
    'missing', (select coalesce(jsonb_agg(held.role_name order by held.role_name), '[]') from {state}.grants as held
                 where held.dropped_at is null and held.expires_at > clock_timestamp() and not {state}.role_is_ours(held)),
    'orphan_sessions', (select count(*) from pg_catalog.pg_stat_activity as activity
                         where usesysid in (select role_oid from {state}.grants)
                           and not exists (select from pg_catalog.pg_roles where oid = activity.usesysid)),
    'foreign_members', (select coalesce(jsonb_agg(jsonb_build_object('role', role_name, 'member', member_name)
                                                  order by role_name, member_name), '[]')
                          from {state}.foreign_members()),
    'password_changed', password_changed);
end
$body$;

-- Ends a grant no later than at the given time, on the record and on the role; a grant that is being taken back is locked out again.
create function {api}.restore_expiry(p_role text, p_expires_at timestamptz) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set client_min_messages = error
set datestyle = 'ISO, YMD'
set timezone = 'UTC'
set lock_timeout = '5s'
as $body$
declare
  held {state}.grants;
  problems text[] := array[]::text[];
begin
  perform {state}.require_grantee_name(p_role);
  select * into held from {state}.grants where role_name = p_role and dropped_at is null for update;
  if not found or not {state}.role_is_ours(held) then
    raise exception 'there is no grant of this name' using errcode = 'TP004';
  end if;
  perform set_config('synchronous_commit', 'on', true);
  update {state}.grants set expires_at = least(expires_at, p_expires_at) where role_name = p_role returning * into held;
  if held.expires_at <= clock_timestamp() and pg_has_role({provisioner_name}, held.role_oid, 'usage') then
    return jsonb_build_object('problems', {api}.expire(p_role) -> 'problems');
  end if;
  begin
    execute format('alter role %I valid until %L', held.role_name, held.expires_at);
  exception when others then
    problems := problems || format('valid_until_failed: %s %s', sqlstate, sqlerrm);
  end;
  return jsonb_build_object('problems', problems);
end
$body$;

-- The role of a temporary role's name that no grant of this target covers, or of which it once had a grant.
create function {state}.stray_oid(p_role text) returns oid
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $body$
declare
  stray oid;
begin
  perform {state}.require_grantee_name(p_role);
  select role.oid into stray from pg_catalog.pg_roles as role
   where role.rolname = p_role and not {state}.is_of_another_target(role.oid)
     and not exists (select from {state}.grants as held
                      where held.role_name = p_role and held.role_oid = role.oid and held.dropped_at is null)
     and (exists (select from {state}.grants where role_name = p_role)
          or exists (select from pg_catalog.pg_auth_members where member = role.oid and roleid = {reader_name}::regrole)
          or pg_has_role({provisioner_name}, role.oid, 'usage'));
  return stray;
end
$body$;

-- What is said of a role that is there and yet none that may be taken away.
create function {state}.still_there(p_role text) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $body$ select array(select 'may_not_be_removed: the role is another target''s, or covered by a grant' from pg_catalog.pg_roles where rolname = p_role) $body$;

-- First step: no login, no group. A REVOKE without the right to it only warns, so the catalogue is asked afterwards.
create function {api}.lock_out_stray(p_role text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set client_min_messages = error
set lock_timeout = '5s'
as $body$
declare
  stray oid := {state}.stray_oid(p_role);
  problems text[] := {state}.still_there(p_role);
begin
  if stray is null then
    return jsonb_build_object('problems', problems);
  end if;
  problems := array[]::text[];
  perform set_config('synchronous_commit', 'on', true);
  begin
    execute format('alter role %I nologin password null', p_role);
  exception when others then
    problems := problems || format('nologin_failed: %s', sqlstate);
  end;
  begin
    execute format('revoke %I from %I', {reader_name}, p_role);
  exception when others then
    problems := problems || format('group_not_revoked: %s', sqlstate);
  end;
  begin
    if not pg_has_role({provisioner_name}, stray, 'usage') then
      execute format('grant %I to %I' || case when current_setting('server_version_num')::integer >= 160000
                     then ' with inherit true, set false' else '' end, p_role, {provisioner_name});
    end if;
  exception when others then
    problems := problems || format('take_over_failed: %s', sqlstate);
  end;
  if exists (select from pg_catalog.pg_auth_members where member = stray and roleid = {reader_name}::regrole) then
    problems := problems || 'group_not_revoked: somebody else granted it'::text;
  end if;
  return jsonb_build_object('problems', problems);
end
$body$;

-- Between two attempts at that: a session that changes its own role and does not commit holds the lock that both need.
create function {api}.kill_stray(p_role text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $body$
declare
  stray oid := {state}.stray_oid(p_role);
  deadline timestamptz := clock_timestamp() + interval '2 seconds';
begin
  while stray is not null and cardinality({state}.signal_sessions(stray)) > 0 and clock_timestamp() < deadline loop
    perform pg_sleep(0.01);
  end loop;
  return jsonb_build_object('at', clock_timestamp());
exception when insufficient_privilege then    -- the role could not be taken over; the next attempt says so
  return jsonb_build_object('at', clock_timestamp());
end
$body$;

-- Second step: no session, nothing owned, no role. `again` asks for another call, after a commit.
create function {api}.drop_stray(p_role text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $body$
declare
  batch constant integer := 2000;    -- one lock each: tens of thousands in one transaction exhaust the lock table
  stray oid := {state}.stray_oid(p_role);
  large_object oid;
  unlinked integer := 0;
begin
  if stray is null then
    return jsonb_build_object('again', false, 'problems', {state}.still_there(p_role));
  end if;
  if cardinality({state}.signal_sessions(stray)) > 0 then
    perform pg_sleep(0.01);    -- so that a session that takes its time is not asked thousands of times
    return jsonb_build_object('again', true, 'problems', array['sessions_did_not_end']);
  end if;
  for large_object in select oid from pg_catalog.pg_largeobject_metadata where lomowner = stray limit batch loop
    perform lo_unlink(large_object);
    unlinked := unlinked + 1;
  end loop;
  if unlinked = batch then
    return jsonb_build_object('again', true, 'problems', array['drop_unfinished']);
  end if;
  begin
    execute format('drop owned by %I', p_role);
    execute format('drop role %I', p_role);
  exception when others then
    return jsonb_build_object('again', false, 'problems',
      array[format('drop_failed: %s', sqlstate)] || array(select 'owned_or_granted: ' || entry from unnest({state}.remains(stray)) as entry));
  end;
  return jsonb_build_object('again', false, 'problems', array[]::text[]);
end
$body$;

-- Takes a role of the installation from somebody who is no grantee; the catalogue says whether that came to be.
create function {api}.revoke_membership(p_role text, p_member text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set client_min_messages = error
set lock_timeout = '5s'
as $body$
declare
  failure text := 'somebody else granted it';
begin
  if exists (select from {state}.foreign_members() where role_name = p_role and member_name = p_member) then
    begin
      execute format('revoke %I from %I', p_role, p_member);
    exception when others then
      failure := sqlstate;
    end;
  end if;
  return jsonb_build_object('problems', case
    when exists (select from {state}.foreign_members() where role_name = p_role and member_name = p_member)
    then array['membership_not_revoked: ' || failure] else array[]::text[] end);
end
$body$;
reset role;
