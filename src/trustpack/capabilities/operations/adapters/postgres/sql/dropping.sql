-- 6. Dropping the role, and proving that it is gone.
set local role {provisioner};

-- Names everything in the cluster that still refers to a role. Objects of other databases have no names here. No counts: the
-- text says what stands in the way, and stays the same for as long as it does.
create function {state}.remains(p_oid oid) returns text[]
language sql volatile
set search_path = pg_catalog, pg_temp
as $body$
  select array(
    select format('%s %s in database %s',
             case dependency.deptype when 'o' then 'owner of' when 'a' then 'in the access list of'
                                     when 'i' then 'in the initial access list of' when 'r' then 'in a policy of' else 'needed by' end,
             case when dependency.dbid in (0, here.oid)
               then string_agg(object.type || ' ' || coalesce(object.identity, '?'), ', ' order by dependency.objid)
                    || case when count(*) > count(object.type) then ' and more' else '' end
               else format('objects of %s', dependency.classid::regclass) end,
             case dependency.dbid when 0 then '(shared)' else coalesce(other.datname, dependency.dbid::text) end)
      from (select *, row_number() over (partition by dbid, deptype, classid order by objid) as place
              from pg_catalog.pg_shdepend where refclassid = 'pg_catalog.pg_authid'::regclass and refobjid = p_oid) as dependency
      join pg_catalog.pg_database as here on here.datname = current_database()
      left join pg_catalog.pg_database as other on other.oid = dependency.dbid
      left join lateral pg_identify_object(dependency.classid, dependency.objid, dependency.objsubid) as object
             on dependency.place <= 10 and dependency.dbid in (0, here.oid)
     group by dependency.dbid, dependency.deptype, dependency.classid, here.oid, other.datname
     order by dependency.dbid, dependency.deptype, dependency.classid)
$body$;

-- Drops what the role owns and then the role, never with CASCADE. `again` asks for another call, after a commit;
-- `other_databases` are those where something of it lies; `p_evidence` is kept for a caller that resumes after a crash.
create function {api}.drop_role(p_role text, p_evidence jsonb) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set lock_timeout = '2s'
as $body$
declare
  batch constant integer := 2000;    -- one lock each: tens of thousands in one transaction exhaust the lock table
  held {state}.grants;
  large_object oid;
  unlinked integer := 0;
  failure text;
  detail text;
begin
  select * into held from {state}.grants where role_name = p_role for update;
  if not found or held.expires_at > clock_timestamp() then
    raise exception 'there is no expired grant of this name' using errcode = 'TP004';
  end if;
  if held.dropped_at is not null then
    return jsonb_build_object('at', clock_timestamp(), 'dropped', true, 'dropped_at', held.dropped_at);
  end if;
  perform set_config('synchronous_commit', 'on', true);
  if {state}.role_is_ours(held) then
    perform {state}.take_over(held);
    -- Once the role is gone, nobody without pg_signal_backend can end its sessions.
    if cardinality({state}.signal_sessions(held.role_oid)) > 0 then
      return jsonb_build_object('at', clock_timestamp(), 'dropped', false, 'again', true, 'reason', 'sessions');
    end if;
    -- Before 16 a grantee could SET ROLE to the group and leave large objects in its name.
    for large_object in
      select oid from pg_catalog.pg_largeobject_metadata where lomowner in (held.role_oid, {reader_name}::regrole) limit batch
    loop
      perform lo_unlink(large_object);
      unlinked := unlinked + 1;
    end loop;
    if unlinked = batch then
      return jsonb_build_object('at', clock_timestamp(), 'dropped', false, 'again', true, 'reason', 'more large objects');
    end if;
    begin
      begin
        execute format('drop owned by %I', held.role_name);
      exception when dependent_objects_still_exist then
        get stacked diagnostics detail = pg_exception_detail;
      end;
      execute format('drop role %I', held.role_name);
    exception when others then
      failure := format('%s %s', sqlstate, sqlerrm);
    end;
    if failure is not null then
      return jsonb_build_object(
        'at', clock_timestamp(), 'dropped', false, 'again', false, 'reason', failure,
        'blockers', array(select 'owned_or_granted: ' || remaining from unnest({state}.remains(held.role_oid)) as remaining)
                    || array(select 'depended_on: ' || line from string_to_table(coalesce(detail, ''), chr(10)) as line
                              where line <> '' and line !~ '^and [0-9]+ other')
                    || array(select format('prepared_transaction: %L of database %s', gid, dbid)
                               from pg_prepared_xact() where ownerid = held.role_oid order by gid),
        'other_databases', (select coalesce(jsonb_agg(distinct elsewhere.datname), '[]')
                              from pg_catalog.pg_shdepend as dependency
                              join pg_catalog.pg_database as elsewhere on elsewhere.oid = dependency.dbid
                             where dependency.refclassid = 'pg_catalog.pg_authid'::regclass
                               and dependency.refobjid = held.role_oid and elsewhere.datname <> current_database()));
    end if;
  elsif exists (select from pg_catalog.pg_roles where oid = held.role_oid or rolname = held.role_name) then
    return jsonb_build_object('at', clock_timestamp(), 'dropped', false, 'again', false, 'reason', 'role_renamed_or_replaced',
                              'blockers', jsonb_build_array('role_renamed_or_replaced'), 'other_databases', '[]'::jsonb);
  end if;
  update {state}.grants set dropped_at = clock_timestamp(), evidence = p_evidence where role_name = p_role returning * into held;
  perform {state}.close_counter(p_role);
  perform {state}.prune_accesses();
  return jsonb_build_object('at', clock_timestamp(), 'dropped', true, 'dropped_at', held.dropped_at);
end
$body$;

-- Reads from the catalogues of the cluster whether anything of the role is left.
create function {api}.prove(p_role text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $body$
declare
  held {state}.grants;
begin
  select * into held from {state}.grants where role_name = p_role;
  if not found then
    raise exception 'there is no grant of this name' using errcode = 'TP004';
  end if;
  perform pg_stat_clear_snapshot();
  return jsonb_build_object(
    'at', clock_timestamp(), 'database', current_database(), 'server_version', current_setting('server_version'),
    'role_name', held.role_name, 'role_oid', held.role_oid::bigint, 'role_existed', held.role_oid is not null,
    'granted_at', held.granted_at, 'expires_at', held.expires_at, 'dropped_at', held.dropped_at, 'evidence', held.evidence,
    'checks', jsonb_build_object(
      'grant_is_live', held.expires_at > clock_timestamp(),
      'name_exists', exists (select from pg_catalog.pg_roles where rolname = held.role_name),
      'oid_exists', exists (select from pg_catalog.pg_roles where oid = held.role_oid),
      'can_login', coalesce((select rolcanlogin from pg_catalog.pg_roles where rolname = held.role_name), false),
      'sessions', (select count(*) from pg_catalog.pg_stat_activity where usesysid = held.role_oid),
      'prepared_transactions', (select count(*) from pg_prepared_xact() where ownerid = held.role_oid),
      'memberships', (select count(*) from pg_catalog.pg_auth_members where member = held.role_oid),
      'members', (select count(*) from pg_catalog.pg_auth_members
                   where (roleid = held.role_oid and member <> {provisioner_name}::regrole) or grantor = held.role_oid),
      'role_settings', (select count(*) from pg_catalog.pg_db_role_setting where setrole = held.role_oid),
      'owned_or_granted', to_jsonb({state}.remains(held.role_oid))));
end
$body$;
reset role;
