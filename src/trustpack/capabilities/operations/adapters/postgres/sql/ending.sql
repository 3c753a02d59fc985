-- 5. Ending a grant. A function cannot commit, so every step is a call of its own; each may be repeated at any time.
set local role {provisioner};

-- Reverts of one role take turns: the caller holds its turn for as long as the transaction of this call is open.
create function {api}.take_turn(p_role text) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '25s'
as $body$
begin
  perform {state}.require_grantee_name(p_role);
  insert into {state}.turns (role_name, taken_at) values (p_role, clock_timestamp())
  on conflict (role_name) do update set taken_at = excluded.taken_at;
end
$body$;

-- The provisioner inherits a role only once it has expired: the right to end its sessions and to drop what it owns.
create function {state}.take_over(p_grant {state}.grants) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $body$
begin
  if not {state}.role_is_ours(p_grant) or pg_has_role({provisioner_name}, p_grant.role_oid, 'usage') then
    return;
  end if;
  execute format('grant %I to %I' || case when current_setting('server_version_num')::integer >= 160000
                 then ' with inherit true, set false' else '' end, p_grant.role_name, {provisioner_name});
exception when unique_violation or undefined_object then
  null;    -- a parallel call did it, or dropped the role
end
$body$;

-- Ends the grant: no rows, no new login, no group. A step that fails is named and does not undo the others.
create function {api}.expire(p_role text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set timezone = 'UTC'
set lock_timeout = '5s'
as $body$
declare
  held {state}.grants;
  problems text[] := array[]::text[];
begin
  perform {state}.require_grantee_name(p_role);
  perform set_config('synchronous_commit', 'on', true);
  -- A grant that never came to be burns its name here, so that one still under way cannot come to be afterwards.
  insert into {state}.grants (role_name, expires_at, dropped_at) values (p_role, clock_timestamp(), clock_timestamp())
  on conflict (role_name) do nothing;
  update {state}.grants set expires_at = least(expires_at, clock_timestamp()) where role_name = p_role returning * into held;

  if held.dropped_at is null then
    if not {state}.role_is_ours(held) then
      problems := problems || 'role_missing_or_replaced'::text;
    else
      begin
        execute format('alter role %I nologin password null valid until %L', held.role_name, held.expires_at);
      exception when others then
        problems := problems || format('nologin_failed: %s %s', sqlstate, sqlerrm);
      end;
      begin    -- stops new statements under an old REPEATABLE READ snapshot too, which still sees the grant as live
        if exists (select from pg_catalog.pg_auth_members where member = held.role_oid and roleid = {reader_name}::regrole) then
          execute format('revoke %I from %I', {reader_name}, held.role_name);
        end if;
        -- A REVOKE without the right to it only warns, so the catalogue is asked afterwards.
        if exists (select from pg_catalog.pg_auth_members where member = held.role_oid and roleid = {reader_name}::regrole) then
          problems := problems || 'group_not_revoked: somebody else granted it'::text;
        end if;
      exception when others then
        problems := problems || format('group_not_revoked: %s %s', sqlstate, sqlerrm);
      end;
      begin
        perform {state}.take_over(held);
      exception when others then
        problems := problems || format('take_over_failed: %s %s', sqlstate, sqlerrm);
      end;
    end if;
  end if;
  return jsonb_build_object(
    'at', clock_timestamp(), 'expires_at', held.expires_at, 'role_existed', held.role_oid is not null,
    'role_is_there', held.dropped_at is null and {state}.role_is_ours(held), 'problems', problems);
end
$body$;

-- Signals every session of the role and returns the process ids. A client may send post_auth_delay (up to 2147 s): its
-- session has passed the login check but is not yet in pg_stat_activity under its role. Such a process holds a virtualxid
-- lock, and the signal succeeds only if it already is a role that the provisioner inherits. Re-test per major version.
create function {state}.signal_sessions(p_oid oid) returns integer[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set client_min_messages = error
as $body$
declare
  lock_holders integer[] := array(
    select distinct pid from pg_catalog.pg_locks where locktype = 'virtualxid' and pid <> pg_backend_pid());
  process integer;
  signalled integer[] := array[]::integer[];
begin
  perform pg_stat_clear_snapshot();    -- pg_stat_activity is frozen per transaction
  for process in select pid from pg_catalog.pg_stat_activity where usesysid = p_oid and pid <> pg_backend_pid() loop
    perform pg_terminate_backend(process);
    signalled := signalled || process;
  end loop;
  for process in
    select holder from unnest(lock_holders) as holders (holder)
     where not exists (select from pg_catalog.pg_stat_activity where pid = holder and usesysid is not null)
  loop
    begin
      if pg_terminate_backend(process) then
        signalled := signalled || process;
      end if;
    exception when insufficient_privilege then
      null;    -- another role's, or not yet past the login check, which it will now fail
    end;
  end loop;
  return signalled;
end
$body$;

-- Ends the role's sessions: signals until two scans in a row find none, or the time is over.
create function {api}.kill(p_role text, p_timeout_ms integer) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $body$
declare
  held {state}.grants;
  signalled integer[];
  seen integer[] := array[]::integer[];
  clean_scans integer := 0;
  deadline timestamptz := clock_timestamp() + make_interval(secs => least(greatest(coalesce(p_timeout_ms, 0), 1), 15000) / 1000.0);
begin
  select * into held from {state}.grants where role_name = p_role;
  if not found or held.expires_at > clock_timestamp() then
    raise exception 'there is no expired grant of this name' using errcode = 'TP004';
  end if;
  if held.role_oid is null then
    return jsonb_build_object('at', clock_timestamp(), 'signalled', 0, 'left', 0, 'clean_scans', 0);
  end if;
  perform {state}.take_over(held);
  loop
    signalled := {state}.signal_sessions(held.role_oid);
    seen := array(select distinct unnest(seen || signalled));
    clean_scans := case when cardinality(signalled) = 0 then clean_scans + 1 else 0 end;
    exit when clean_scans = 2 or clock_timestamp() > deadline;
    perform pg_sleep(0.002);    -- pg_terminate_backend's own waiting polls every 100 ms, and its answer is ambiguous
  end loop;
  return jsonb_build_object(
    'at', clock_timestamp(), 'signalled', cardinality(seen), 'left', cardinality(signalled), 'clean_scans', clean_scans);
end
$body$;

-- Gives an expired role a throw-away password that is valid, so that only NOLOGIN can refuse it. `expire` takes it away again.
create function {api}.begin_login_probe(p_role text, p_verifier text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set timezone = 'UTC'
set lock_timeout = '5s'
as $body$
declare
  held {state}.grants;
  failure text;
begin
  perform {state}.require_verifier(p_verifier);
  select * into held from {state}.grants where role_name = p_role and dropped_at is null for update;
  if not found or held.expires_at > clock_timestamp() then
    raise exception 'there is no expired grant of this name' using errcode = 'TP004';
  end if;
  if not {state}.role_is_ours(held) or (select rolcanlogin from pg_catalog.pg_roles where oid = held.role_oid) then
    raise exception 'the role may log in, is missing, renamed or replaced' using errcode = 'TP005';
  end if;
  begin
    execute format('alter role %I password %L valid until %L', held.role_name, p_verifier, clock_timestamp() + interval '2 minutes');
  exception when query_canceled or others then
    failure := sqlstate;
  end;
  if failure is not null then
    raise exception 'the probe could not be prepared (SQLSTATE %)', failure using errcode = failure;
  end if;
  return jsonb_build_object('at', clock_timestamp());
end
$body$;
reset role;
