-- What stands open around the installation: severity, code, what, and the statement that mends it.
with system_schemas (name) as (values ('pg_catalog'), ('information_schema'), ('pg_toast')),
     our_schemas (name) as (values ({views_name}), ({state_name}), ({api_name})),
     customer_schemas as (
       select oid, nspname from pg_catalog.pg_namespace
        where nspname not in (select name from system_schemas) and nspname not in (select name from our_schemas)),
     memberships as (
       select membership.roleid::regrole::text as role, membership.member::regrole::text as member, admin_option,
              -- From 16 on the creator of a role keeps a row that neither inherits nor allows SET ROLE; 15 has no such columns.
              coalesce((to_jsonb(membership) ->> 'inherit_option')::boolean, true)
                or coalesce((to_jsonb(membership) ->> 'set_option')::boolean, true) as gives_rights
         from pg_catalog.pg_auth_members as membership)

select 'high' as severity, 'public_definer' as code,
       routine.oid::regprocedure::text || ' runs with the rights of ' || routine.proowner::regrole::text
         || ', and every login may execute it' as what,
       format('revoke execute on routine %s from public;', routine.oid::regprocedure) as remedy
  from pg_catalog.pg_proc as routine join customer_schemas as space on space.oid = routine.pronamespace
 where routine.prosecdef and routine.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
   and has_function_privilege('public', routine.oid, 'execute') and has_schema_privilege('public', space.oid, 'usage')

union all
select 'high', 'public_table',
       'every login may ' || string_agg(distinct lower(entry.privilege_type), ', ') || ' on ' || relation.oid::regclass::text,
       format('revoke all on %s from public;', relation.oid::regclass)
  from pg_catalog.pg_class as relation
  join customer_schemas as space on space.oid = relation.relnamespace,
       lateral (select acl.* from aclexplode(relation.relacl) as acl
                union all
                select acl.* from pg_catalog.pg_attribute as attribute, aclexplode(attribute.attacl) as acl
                 where attribute.attrelid = relation.oid) as entry
 where entry.grantee = 0 and relation.relkind in ('r', 'p', 'v', 'm', 'f')
 group by relation.oid

union all
select 'high', 'foreign_right',
       dependency.refobjid::regrole::text || ' has a right on ' || object.type || ' ' || object.identity
         || ', which is not part of the installation',
       case when dependency.classid = 'pg_class'::regclass
            then format('revoke all on %s from %s;', dependency.objid::regclass, dependency.refobjid::regrole)
            else format('drop owned by %s;    -- then install again', dependency.refobjid::regrole) end
  from pg_catalog.pg_shdepend as dependency
  join pg_catalog.pg_database as here on here.oid = dependency.dbid and here.datname = current_database(),
       lateral pg_identify_object(dependency.classid, dependency.objid, dependency.objsubid) as object
 where dependency.refclassid = 'pg_authid'::regclass and dependency.deptype = 'a'
   and dependency.refobjid::regrole::text in ({reader_name}, {service_name})
   and coalesce(object.schema, object.name) not in (select name from our_schemas)

union all
select 'high', 'foreign_member', member || ' is a member of ' || role, format('revoke %I from %I;', role, member)
  from memberships
 where gives_rights
   and (role in ({owner_name}, {provisioner_name}, {service_name})
        or (role = {reader_name} and member <> {provisioner_name} and member !~ '^tpk_[0-9a-f]+$')
        or member in ({service_name}, {reader_name}, {owner_name}))

union all
select 'high', 'no_admin_option', {provisioner_name} || ' may not hand out ' || {reader_name},
       format('grant %I to %I with admin option;', {reader_name}, {provisioner_name})
 where not exists (select from memberships where role = {reader_name} and member = {provisioner_name} and admin_option)

union all
select 'medium', 'public_schema', 'every login may create objects in the schema ' || quote_ident(nspname),
       format('revoke create on schema %I from public;', nspname)
  from customer_schemas where has_schema_privilege('public', oid, 'create')

union all
select 'medium', 'prepared_transactions',
       'a grantee may leave a prepared transaction behind, which stops its role from being dropped',
       'alter system set max_prepared_transactions = 0;    -- then restart the server'
 where current_setting('max_prepared_transactions')::integer > 0

union all
select 'low', 'row_security',
       relation.oid::regclass::text || ' has row-level security, which the owner of our views is subject to: '
         || 'a grantee may see fewer rows than its scope has',
       format('create policy trustpack on %s for select to %I using (true);', relation.oid::regclass, {owner_name})
  from pg_catalog.pg_class as relation
 where relation.relrowsecurity
   and exists (select from pg_catalog.pg_attribute as attribute, aclexplode(attribute.attacl) as entry
                where attribute.attrelid = relation.oid and entry.grantee::regrole::text = {owner_name})
 order by 1, 2, 3
