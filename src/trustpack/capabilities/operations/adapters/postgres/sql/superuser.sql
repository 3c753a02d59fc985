-- 10. What only a superuser can install.
-- Only a digest of our own roles' verifiers leaves pg_authid: enough to see that a grantee changed its password.
create function {state}.current_verifier_digest(p_role text) returns bytea
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $body$
  select sha256(convert_to(rolpassword, 'UTF8')) from pg_catalog.pg_authid where rolname = p_role and {state}.is_grantee_name(rolname)
$body$;
revoke all on function {state}.current_verifier_digest(text) from public;
grant execute on function {state}.current_verifier_digest(text) to {provisioner};

-- Sessions whose role was dropped by somebody else can be ended with pg_signal_backend only, so its owner holds nothing besides.
do $install$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = {killer_name}) then
    execute format('create role %I nologin nosuperuser', {killer_name});
  end if;
end
$install$;
grant pg_signal_backend to {killer};
create function {api}.kill_orphans() returns integer
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $body$
  select count(pg_terminate_backend(pid, 3000))::integer from pg_catalog.pg_stat_activity as activity
   where usesysid is not null and not exists (select from pg_catalog.pg_roles where oid = activity.usesysid)
$body$;
grant create on schema {api} to {killer};
alter function {api}.kill_orphans() owner to {killer};
revoke all on schema {api} from {killer};
