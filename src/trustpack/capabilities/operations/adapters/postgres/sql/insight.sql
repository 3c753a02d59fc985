-- 7. Saying what stands here.
set local role {provisioner};

-- A digest of every object of ours with its definition, owner and rights; default rights count the same written out or not.
-- Settings of the group never apply, since it cannot log in, and before 16 a grantee could SET ROLE to it and change them.
create function {state}.current_objects_digest() returns text
language sql stable
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $body$
  with place as (
         select oid, nspname, nspowner, nspacl from pg_catalog.pg_namespace where nspname in ({views_name}, {state_name}, {api_name})),
       relation as (
         select * from pg_catalog.pg_class where relnamespace in (select oid from place) and relkind in ('r', 'v', 'm', 'f', 'p'))
  select encode(sha256(convert_to(string_agg(line, chr(10) order by line collate "C"), 'UTF8')), 'hex') from (
    select concat_ws('|', 'schema', nspname, nspowner::regrole, coalesce(nspacl, acldefault('n', nspowner))) as line from place
    union all
    select concat_ws('|', 'relation', oid::regclass, relkind, relowner::regrole, coalesce(relacl, acldefault('r', relowner)), reloptions,
                     relrowsecurity, pg_get_viewdef(oid))
      from relation
    union all
    select concat_ws('|', 'column', attrelid::regclass, attnum, attname, attacl, format_type(atttypid, atttypmod))
      from pg_catalog.pg_attribute where attrelid in (select oid from relation) and attnum > 0 and not attisdropped
    union all
    select concat_ws('|', 'function', oid::regprocedure, proowner::regrole, coalesce(proacl, acldefault('f', proowner)), pg_get_functiondef(oid))
      from pg_catalog.pg_proc where pronamespace in (select oid from place)
    union all
    select concat_ws('|', 'trigger', tgrelid::regclass, pg_get_triggerdef(oid))
      from pg_catalog.pg_trigger where tgrelid in (select oid from relation)
    union all
    select concat_ws('|', 'rule', ev_class::regclass, pg_get_ruledef(oid))
      from pg_catalog.pg_rewrite where ev_class in (select oid from relation)
    union all
    select concat_ws('|', 'role', rolname, rolsuper, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolinherit,
                     case when rolname <> {reader_name} then rolconfig end)
      from pg_catalog.pg_roles where rolname in ({reader_name}, {owner_name}, {provisioner_name}, {service_name}, {killer_name})
  ) as lines
$body$;

-- Whether a membership lets its holder use the role. From 16 on the creator of a role keeps a row that neither inherits nor
-- allows SET ROLE; 15 has no such columns.
create function {state}.is_usable(p_membership pg_catalog.pg_auth_members) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $body$
  select coalesce((to_jsonb(p_membership) ->> 'inherit_option')::boolean, true)
         or coalesce((to_jsonb(p_membership) ->> 'set_option')::boolean, true)
$body$;

-- Every membership of, and in, the roles of the installation that no grant made. Names from the same snapshot as the
-- memberships: regrole would show a grantee dropped meanwhile as a number. `is_foreign`: it hands a role of ours to somebody
-- else, as an installation without a superuser does to its installer until it commits.
create function {state}.memberships() returns table (line text, is_foreign boolean)
language sql stable
set search_path = pg_catalog, pg_temp
as $body$
  with fixed as (
    select oid, rolname from pg_catalog.pg_roles
     where rolname in ({reader_name}, {owner_name}, {provisioner_name}, {service_name}, {killer_name}))
  select concat_ws('|', 'member', held.rolname, holder.rolname, membership.admin_option),
         {state}.is_usable(membership) and held.oid in (select oid from fixed where rolname <> {killer_name})
         and holder.oid not in (select oid from fixed)
    from pg_catalog.pg_auth_members as membership
    join pg_catalog.pg_roles as held on held.oid = membership.roleid
    join pg_catalog.pg_roles as holder on holder.oid = membership.member
   where (held.oid in (select oid from fixed) or holder.oid in (select oid from fixed))
     and not {state}.is_grantee_name(holder.rolname) and not {state}.is_grantee_name(held.rolname)
$body$;

-- Whether what a right is about belongs to a grantee, or to the group: such rights give nobody access to anything else.
create function {state}.is_grantees_own(p_dependency pg_catalog.pg_shdepend) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $body$
  select exists (
    select from pg_catalog.pg_shdepend as owned join pg_catalog.pg_roles as proprietor on proprietor.oid = owned.refobjid
     where owned.dbid = p_dependency.dbid and owned.classid = p_dependency.classid and owned.objid = p_dependency.objid
       and owned.deptype = 'o' and owned.refclassid = 'pg_catalog.pg_authid'::regclass
       and (proprietor.rolname = {reader_name} or {state}.is_grantee_name(proprietor.rolname)))
$body$;

-- The same with settings, memberships and rights on everything else: grants and their ends leave it as it is, a change of any
-- definition, right or role does not. `target install` keeps it, `inventory` and `target check` compare.
create function {state}.current_seal() returns text
language sql stable
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $body$
  with fixed as (
    select oid from pg_catalog.pg_roles where rolname in ({reader_name}, {owner_name}, {provisioner_name}, {service_name}, {killer_name}))
  select encode(sha256(convert_to(string_agg(line, chr(10) order by line collate "C"), 'UTF8')), 'hex') from (
    select concat_ws('|', 'objects', {state}.current_objects_digest()) as line
    union all
    select concat_ws('|', 'settings', to_jsonb(settings) - 'seal') from {state}.settings
    union all
    select concat_ws('|', 'scope', scope) from {state}.scopes
    union all
    select line from {state}.memberships() where not is_foreign
    union all
    select concat_ws('|', 'database', entry.grantee::regrole, entry.privilege_type, entry.is_grantable)
      from pg_catalog.pg_database, lateral aclexplode(datacl) as entry
     where datname = current_database() and entry.grantee in (select oid from fixed)
    union all
    -- Without what a grantee can bring about by naming our roles: temporary objects, and whatever it owns or, before 16, where
    -- it may SET ROLE to the group, owns in the group's name. It could end every other grant with them.
    select concat_ws('|', 'right', dependency.deptype, dependency.refobjid::regrole, object.identity)
      from pg_catalog.pg_shdepend as dependency
      join pg_catalog.pg_database as here on here.oid = dependency.dbid,
           lateral pg_identify_object(dependency.classid, dependency.objid, dependency.objsubid) as object
     where here.datname = current_database() and dependency.refclassid = 'pg_catalog.pg_authid'::regclass
       and dependency.refobjid in (select oid from fixed)
       and object.identity !~ '^pg_temp' and coalesce(object.schema, '') !~ '^pg_temp'
       and not case when dependency.deptype = 'o' then dependency.refobjid = {reader_name}::regrole
                    else {state}.is_grantees_own(dependency) end
       -- The counters come and go with the grants.
       and not (dependency.deptype = 'o' and dependency.refobjid = {provisioner_name}::regrole
         and dependency.classid = 'pg_catalog.pg_class'::regclass and exists (
             select from pg_catalog.pg_class as counter
               join {state}.grants as granted on granted.role_name = substr(counter.relname, length({state}.counter_name('')) + 1)
              where counter.oid = dependency.objid and counter.relkind = 'S' and counter.relnamespace = {state_name}::regnamespace))
  ) as lines
$body$;

-- The seal and whoever holds a role of ours besides.
create function {state}.with_foreign_members(p_seal text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $body$
  select encode(sha256(convert_to(string_agg(line, chr(10) order by line collate "C"), 'UTF8')), 'hex') from (
    select p_seal as line
    union all
    select line from {state}.memberships() where is_foreign
  ) as lines
$body$;

-- What a grant is approved on.
create function {api}.definitions_digest() returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $body$ select {state}.with_foreign_members({state}.current_seal()) $body$;

-- Which cluster, database and installation this is, whatever was installed again since.
create function {api}.system() returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $body$
declare
  system_identifier text;
begin
  if has_function_privilege('pg_catalog.pg_control_system()', 'execute') then    -- some managed servers keep it to themselves
    begin
      select control.system_identifier::text into system_identifier from pg_control_system() as control;
    exception when others then    -- a file that cannot be read has the SQLSTATE of a missing right, and is no other system
      raise exception 'the control file cannot be read (SQLSTATE %)', sqlstate using errcode = 'io_error';
    end;
  end if;
  return jsonb_build_object(
    'system_identifier', system_identifier,
    'database', current_database(),
    'database_oid', (select oid::bigint from pg_catalog.pg_database where datname = current_database()),
    'installation_id', (select installation_id from {state}.settings));
end
$body$;

-- Whether a grant is known here, and by which role: looked up before anything is done to it.
create function {api}.locate(p_role text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $body$
begin
  perform {state}.require_grantee_name(p_role);
  return jsonb_build_object(
    'system', {api}.system(), 'role_oid', (select role_oid::bigint from {state}.grants where role_name = p_role));
end
$body$;

-- The same with all that is installed. Nothing here changes with a minor version, a restart, or a grant.
create function {api}.identify() returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $body$
declare
  seal text := {state}.current_seal();
begin
  return {api}.system() || jsonb_build_object(
    'server_major_version', current_setting('server_version_num')::integer / 10000,
    'layout', (select layout from {state}.settings),
    'definition_digest', (select definition_digest from {state}.settings),
    'installation_digest', 'sha256:' || {state}.with_foreign_members(seal),
    'seal', seal,
    'views', (select coalesce(jsonb_object_agg(view.relname, (
                select jsonb_agg(attname order by attnum) from pg_catalog.pg_attribute
                 where attrelid = view.oid and attnum > 0 and not attisdropped)), jsonb_build_object())
                from pg_catalog.pg_class as view
               where view.relnamespace = {views_name}::regnamespace and view.relkind = 'v'));
end
$body$;

reset role;
