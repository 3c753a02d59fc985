-- Takes everything away again. Nothing is dropped with CASCADE: an object of somebody else that hangs on ours stops it.
do $uninstall$
declare
  granted record;
begin
  for granted in
    select attribute.attrelid::regclass as table_name, string_agg(format('%I', attribute.attname), ', ') as columns
      from pg_catalog.pg_attribute as attribute, lateral aclexplode(attribute.attacl) as entry
     where entry.grantee = {owner_name}::regrole and entry.privilege_type = 'SELECT'
     group by attribute.attrelid
  loop
    execute format('revoke select (%s) on %s from %I', granted.columns, granted.table_name, {owner_name});
  end loop;
end
$uninstall$;
-- Belongs to the superuser who installed it, so that dropping what our roles own would stop at it.
drop function if exists {state}.current_verifier_digest(text);
