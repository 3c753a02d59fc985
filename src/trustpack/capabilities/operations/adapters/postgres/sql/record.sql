-- 8. What was done with an access. Rows and counter outlive the role for a week after the last run of its revert.
set local role {provisioner};
-- Drops the counter of a dropped role and keeps its last value. Whatever stands in the way, such as a lock that a prepared
-- transaction holds, must not stop a revert: the counter then stays and is read where it is.
create function {state}.close_counter(p_role text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $body$
declare
  counter regclass := {state}.counter_of(p_role);
begin
  if counter is null then
    return;
  end if;
  update {state}.grants set touched = coalesce(pg_sequence_last_value(counter), 0) where role_name = p_role;
  execute format('drop sequence %s', counter);
exception when others then
  raise log 'trustpack: the counter of % stays: % %', p_role, sqlstate, sqlerrm;
end
$body$;

-- Deletes the statements of a few old grants: query text is personal data, and nobody comes for it any more.
create function {state}.prune_accesses() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $body$
declare
  old record;
begin
  for old in
    select granted.role_name from {state}.grants as granted join {state}.turns as turn using (role_name)
     where granted.record <> 'none' and granted.pruned_at is null and granted.dropped_at < clock_timestamp() - interval '7 days'
       and turn.taken_at < clock_timestamp() - interval '7 days'
     order by granted.dropped_at limit 2 for update of granted skip locked
  loop
    perform {state}.close_counter(old.role_name);
    delete from {state}.accesses where role_name = old.role_name;
    update {state}.grants set pruned_at = clock_timestamp() where role_name = old.role_name;
  end loop;
end
$body$;

-- A database that is not in UTF-8 can hold text that has no equivalent there; its bytes are shown then.
create function {state}.readable(p_text text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $body$
begin
  perform convert_to(p_text, 'UTF8');
  return p_text;
exception when character_not_in_repertoire or untranslatable_character then
  return encode(convert_to(p_text, getdatabaseencoding()), 'escape');
end
$body$;

-- What was done with an access that has ended: every touch is recorded with its text, or counted only, or was rolled back.
create function {api}.access_record(p_role text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set lock_timeout = '5s'
as $body$
declare
  held {state}.grants;
  touched bigint;
  counted_only bigint;
begin
  select * into held from {state}.grants where role_name = p_role;
  if not found or held.expires_at > clock_timestamp() then
    raise exception 'there is no expired grant of this name' using errcode = 'TP004';
  end if;
  if held.record = 'none' then
    return jsonb_build_object('mode', held.record);
  end if;
  if held.pruned_at is not null then
    raise exception 'the record was deleted a week after the last revert' using errcode = 'TP008';
  end if;
  touched := held.touched;
  if touched is null and {state}.counter_of(p_role) is not null then
    touched := coalesce(pg_sequence_last_value({state}.counter_of(p_role)), 0);
  end if;
  if touched is null then
    raise exception 'the counter of the grant is gone' using errcode = 'TP008';
  end if;
  counted_only := case held.record when 'counter' then touched else greatest(touched - {most_statements}, 0) end;
  return (
    select jsonb_build_object(
      'mode', held.record, 'touched', touched, 'recorded', count(*), 'not_kept', counted_only,
      'rolled_back', touched - counted_only - count(*),
      'statements', coalesce(jsonb_agg(jsonb_build_object(
          'number', number, 'at', at, 'pid', pid, 'application_name', {state}.readable(application_name),
          'statement', {state}.readable(statement)) order by number), '[]'))
      from {state}.accesses where role_name = p_role);
end
$body$;

-- The same for whoever compares the target: after the last revert on it nobody else would.
create function {api}.prune_accesses() returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $body$
begin
  perform {state}.prune_accesses();
end
$body$;

reset role;
