-- 1. Roles. They are shared by the whole cluster, so every name carries the name of the target.
do $install$
declare
  is_superuser boolean := (select rolsuper from pg_catalog.pg_roles where rolname = current_user);
  has_membership_options boolean := current_setting('server_version_num')::integer >= 160000;
  is_installed boolean := exists (
    select from pg_catalog.pg_namespace where nspname = {state_name} and pg_catalog.pg_get_userbyid(nspowner) = {provisioner_name});
  wanted record;
begin
  for wanted in
    select * from (values
      ({reader_name}, 'nologin'),
      ({owner_name}, 'nologin'),
      ({provisioner_name}, 'nologin createrole'),
      ({service_name}, 'login noinherit connection limit 40')) as roles (name, attributes)
  loop
    if not exists (select from pg_catalog.pg_roles where rolname = wanted.name) then
      execute format('create role %I nosuperuser nocreatedb noreplication nobypassrls %s', wanted.name, wanted.attributes);
    elsif not is_installed then
      -- Adopting it would hand another database's installation, or somebody's own role, to this target.
      raise exception 'role "%" exists although this database holds no installation of the target', wanted.name
        using errcode = '42710', hint = 'Give the target another name, or uninstall it from the other database of this cluster.';
    end if;
  end loop;

  -- From PostgreSQL 16 on CREATEROLE alone does not hand out the group; withheld INHERIT and SET keep its rights from the provisioner.
  execute format('grant %I to %I with admin option', {reader_name}, {provisioner_name});
  if has_membership_options then
    execute format('grant %I to %I with inherit false', {reader_name}, {provisioner_name});
    execute format('grant %I to %I with set false', {reader_name}, {provisioner_name});
  end if;

  if is_superuser then
    -- Only a superuser can delegate these; with them every grantee's statements are logged and it cannot turn that off.
    execute format('grant set on parameter log_statement, temp_file_limit to %I', {provisioner_name});
  elsif has_membership_options then
    execute 'grant {reader}, {owner}, {provisioner}, {service} to current_user with inherit true, set true';
  else
    execute 'grant {reader}, {owner}, {provisioner}, {service} to current_user';
  end if;
end
$install$;

create schema if not exists {views} authorization {owner};
create schema if not exists {state} authorization {provisioner};
create schema if not exists {api} authorization {provisioner};
grant connect on database {database} to {reader}, {service};

-- What an earlier installation left is replaced in this same transaction, so that sessions of live grants never miss it.
-- Nothing is dropped with CASCADE: an object of somebody else that hangs on a view stops the installation.
do $install$
declare
  stale record;
begin
  for stale in
    select relation.oid::regclass as name from pg_catalog.pg_class as relation
     where relation.relnamespace = {views_name}::regnamespace and relation.relkind = 'v'
  loop
    execute format('drop view %s', stale.name);
  end loop;
  for stale in
    select routine.oid::regprocedure as name from pg_catalog.pg_proc as routine
     where routine.pronamespace in ({views_name}::regnamespace, {state_name}::regnamespace, {api_name}::regnamespace)
  loop
    execute format('drop function %s', stale.name);
  end loop;
  -- By column, as it was granted: a REVOKE on the whole table would leave a mark in the table's own access list.
  for stale in
    select attribute.attrelid::regclass as table_name, string_agg(format('%I', attribute.attname), ', ') as columns
      from pg_catalog.pg_attribute as attribute, lateral aclexplode(attribute.attacl) as entry
     where entry.grantee = {owner_name}::regrole and entry.privilege_type = 'SELECT'
     group by attribute.attrelid
  loop
    execute format('revoke select (%s) on %s from %I', stale.columns, stale.table_name, {owner_name});
  end loop;
end
$install$;
