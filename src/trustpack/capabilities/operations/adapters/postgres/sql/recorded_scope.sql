-- 3. What a grantee reads: rows of its scope, until its grant expires on this server's clock, whether or not trustpack still runs.
-- Each view asks once per statement, and a live grant's question is counted. In a read-only transaction the counting fails,
-- before anything is read.
set local role {provisioner};
create function {state}.touch() returns text
language plpgsql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp
as $body$
declare
  most_statements constant bigint := {most_statements};
  held record;
  number bigint;
  statement text;
begin
  select granted.role_name, granted.scope, granted.record into held
    from {state}.grants as granted
    join pg_catalog.pg_roles as role on role.oid = granted.role_oid and role.rolname = granted.role_name
   where granted.role_name = session_user and granted.dropped_at is null and granted.expires_at > clock_timestamp();
  if not found or held.record = 'none' then
    return held.scope;
  end if;
  number := nextval({state}.counter_of(held.role_name));    -- a rollback does not take it back
  if number is null then
    raise exception 'the access cannot be recorded: its counter is gone' using errcode = 'TP009';
  end if;
  if held.record = 'statements' and number <= most_statements then
    statement := coalesce(current_query(), '');
    insert into {state}.accesses (role_name, number, at, pid, application_name, statement)
    values (held.role_name, number, clock_timestamp(), pg_backend_pid(), current_setting('application_name'),
            left(statement, {longest_statement}));
    -- The server adds the whole statement to each line, however long it is and however often one statement comes by here.
    if length(statement) <= {longest_statement} then
      raise log 'trustpack: % touches the data, number %: %', held.role_name, number, statement;
    end if;
  elsif held.record = 'statements' and number = most_statements + 1 then
    raise log 'trustpack: % touched the data more than % times; from now on it is counted only', held.role_name, most_statements;
  end if;
  return held.scope;
end
$body$;
revoke all on function {state}.touch() from public;
grant execute on function {state}.touch() to {owner};
reset role;

set local role {owner};
create function {views}.scope() returns text
language sql volatile parallel unsafe security definer
set search_path = pg_catalog, pg_temp
as $body$ select {state}.touch() $body$;
revoke all on function {views}.scope() from public;
grant execute on function {views}.scope() to {reader};
grant usage on schema {views} to {reader};
reset role;
