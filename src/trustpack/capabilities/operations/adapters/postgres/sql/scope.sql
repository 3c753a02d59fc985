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
