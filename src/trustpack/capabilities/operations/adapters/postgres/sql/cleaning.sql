-- Drops what a role of an ended grant owns in this database. The provisioner inherits a role only once it has expired and may
-- no longer log in, so that this function can do nothing to anybody else.
create function {api}.drop_owned(p_role text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $body$
declare
  large_object oid;
  unlinked integer := 0;
begin
  if length(p_role) <> 36 or p_role !~ '^tpk_[0-9a-f]+$' or p_role is null
     or not exists (select from pg_catalog.pg_roles as role where role.rolname = p_role and not role.rolcanlogin)
     or not pg_has_role({provisioner_name}, p_role, 'usage') then
    raise exception 'there is no expired grant of this name' using errcode = 'TP004';
  end if;
  for large_object in
    select object.oid from pg_catalog.pg_largeobject_metadata as object
      join pg_catalog.pg_roles as role on role.oid = object.lomowner where role.rolname = p_role limit 2000
  loop
    perform lo_unlink(large_object);
    unlinked := unlinked + 1;
  end loop;
  if unlinked = 2000 then
    return false;
  end if;
  execute format('drop owned by %I', p_role);
  return true;
end
$body$;
