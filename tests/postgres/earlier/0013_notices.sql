-- What users are to be told, written by the very transition that it is about: no crash can come between the two.

create table if not exists prebooking.notices (
  id uuid primary key default gen_random_uuid(),         -- the webhook's id, the same however often it is sent
  key text not null unique,                              -- one event, one notice
  kind text not null check (kind in ('booked', 'waiting_list', 'failed', 'session_dead')),
  prebooking jsonb not null,                             -- the row as it was then
  created_at timestamptz not null,
  try_after timestamptz not null,                        -- whoever takes it has it alone until then
  message_id text,                                       -- the QStash message that carries it
  told_at timestamptz,                                   -- when QStash took that
  failures integer not null default 0,                   -- how often QStash gave up on it
  failure text
);
create index if not exists notices_untold on prebooking.notices (try_after) where told_at is null;
create index if not exists notices_message on prebooking.notices (message_id);
revoke all on prebooking.notices from public;
grant select, insert, update, delete on prebooking.notices to service_role;

create or replace function prebooking.write_notice(p public.prebookings, p_kind text, p_key text) returns void
language sql volatile set search_path = '' as $$
  insert into prebooking.notices (key, kind, prebooking, created_at, try_after)
  values (p_key, p_kind, prebooking.as_json(p), prebooking.now(), prebooking.now())
  on conflict (key) do nothing
$$;

-- The old cron tells its users itself; only our results have an outcome. A version ends once.
create or replace function prebooking.tell_end() returns trigger language plpgsql set search_path = '' as $$
declare
  outcome constant text := new.result ->> 'outcome';
begin
  if outcome is not null then
    perform prebooking.write_notice(
      new,
      case when new.status = 'failed' then 'failed' when outcome = 'waiting_list' then 'waiting_list' else 'booked' end,
      'end ' || new.id || ' v' || new.version);
  end if;
  return null;
end $$;

create or replace trigger prebookings_tell_end
  after update of status on public.prebookings for each row
  when (new.status in ('completed', 'failed') and old.status not in ('completed', 'failed'))
  execute function prebooking.tell_end();

-- What is untold, for one to publish: nobody else gets it for a minute, and then it is published again unless it was
-- told, under the same id. News of yesterday are none.
create or replace function public.take_notices(p_limit integer default 50)
returns jsonb language plpgsql set search_path = '' as $$
declare
  t constant timestamptz := prebooking.now();
  taken jsonb;
begin
  with untold as (
    select n.id from prebooking.notices n
    where n.told_at is null and n.try_after <= t and n.created_at > t - interval '24 hours'
    order by n.created_at limit p_limit for update skip locked
  ), leased as (
    update prebooking.notices n set try_after = t + interval '1 minute' from untold u where n.id = u.id returning n.*
  )
  select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
    'id', l.id, 'kind', l.kind, 'prebooking', l.prebooking, 'created_at', l.created_at, 'failures', l.failures)
    order by l.created_at), '[]')
  into taken from leased l;
  return pg_catalog.jsonb_build_object('outcome', 'taken', 'notices', taken);
end $$;

create or replace function public.note_told(p_id uuid, p_message_id text)
returns jsonb language plpgsql set search_path = '' as $$
begin
  update prebooking.notices set told_at = prebooking.now(), message_id = p_message_id
    where id = p_id and told_at is null;
  return '{"outcome": "noted"}';
end $$;

-- QStash gave up on the message: it is published anew in 5, 10, 20 … minutes, at most an hour.
create or replace function public.note_untold(p_message_id text, p_reason text)
returns jsonb language plpgsql set search_path = '' as $$
begin
  update prebooking.notices set
    told_at = null, failures = failures + 1, failure = p_reason, message_id = null,
    try_after = prebooking.now() + least(interval '1 hour', interval '5 minutes' * 2 ^ least(failures, 4))
  where message_id = p_message_id;
  return pg_catalog.jsonb_build_object('outcome', case when found then 'noted' else 'nothing_to_note' end);
end $$;

-- As every function of ours has it: see the end of 0010_limits.sql.
do $$
declare
  f record;
begin
  for f in
    select p.oid::regprocedure as signature, p.pronamespace = 'public'::regnamespace as is_called
    from pg_catalog.pg_proc p
    where (p.pronamespace = 'prebooking'::regnamespace and p.proname in ('write_notice', 'tell_end'))
      or (p.pronamespace = 'public'::regnamespace and p.proname in ('take_notices', 'note_told', 'note_untold'))
  loop
    if f.is_called then
      execute format('alter function %s set statement_timeout = ''900ms''', f.signature);
      execute format('alter function %s set lock_timeout = ''500ms''', f.signature);
    end if;
    execute format('revoke all on function %s from public, anon, authenticated', f.signature);
    execute format('grant execute on function %s to service_role', f.signature);
  end loop;
end $$;

notify pgrst, 'reload schema';
