-- 11. Nobody but the service may call, and it may do nothing else.
do $install$
declare
  routine record;
begin
  for routine in
    select installed.oid::regprocedure as name, installed.pronamespace = {api_name}::regnamespace as is_api, owner.rolname as owner
      from pg_catalog.pg_proc as installed join pg_catalog.pg_roles as owner on owner.oid = installed.proowner
     where installed.pronamespace in ({state_name}::regnamespace, {api_name}::regnamespace)
  loop
    execute format('revoke all on function %s from public', routine.name);
    if routine.is_api then
      execute format('grant execute on function %s to %I', routine.name, {service_name});
    end if;
  end loop;
end
$install$;
revoke all on schema {views}, {state}, {api} from public;
grant usage on schema {api} to {service};
set local role {provisioner};
update {state}.settings set seal = {state}.current_seal();
reset role;
