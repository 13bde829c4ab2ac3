-- Notices to users. A notice is written in the transaction of the change that it reports: no crash can separate them.

create or replace function prebooking.write_notice(p public.prebookings, p_kind text, p_key text) returns void
language sql volatile as $$
  insert into prebooking.notices (key, kind, prebooking, created_at, try_after)
  values (p_key, p_kind, prebooking.as_json(p), prebooking.now(), prebooking.now())
  on conflict (key) do nothing
$$;

-- Writes the notice of a row's end, once for each version of the row. Two kinds of rows end without one: those that the
-- old cron executed, which have no outcome (the cron tells its users itself), and those whose time to be booked ended
-- more than two days ago, such as a row that the web application left pending for months. Two days, since a row that
-- ends as `outcome_unknown` does so one day after that time.
create or replace function prebooking.tell_end() returns trigger language plpgsql as $$
declare
  outcome constant text := new.result ->> 'outcome';
begin
  if outcome is not null and new.give_up_at > prebooking.now() - interval '2 days' then
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

-- Writes a notice that there was no room for days of a series: once, until each of its due days has a prebooking again.
create or replace function prebooking.tell_not_made(s public.prebooking_series, p_reasons jsonb) returns void
language sql volatile as $$
  insert into prebooking.notices (key, kind, series, created_at, try_after)
  values (
    'not made ' || s.id || ' ' || prebooking.now(), 'not_made',
    pg_catalog.jsonb_build_object(
      'id', s.id, 'user_email', s.user_email, 'weekly', s.weekly, 'reasons', (
        select pg_catalog.jsonb_object_agg(r.key, r.value) from pg_catalog.jsonb_each_text(p_reasons) r
        where r.value = 'too-many')),
    prebooking.now(), prebooking.now())
$$;

-- Takes the notices that have not been sent, for one caller to publish. For a minute no other caller gets them. One
-- that is not marked as sent by then is taken and published again, under the same id. Notices older than a day are not
-- sent any more. Without sequential scans it takes as long as the notices that it finds: where the planner expects most
-- rows to be unsent, it would read the whole table.
-- p_capabilities: notices of series are not given to earlier releases. `next`: the next prebooking of its series.
drop function if exists public.take_notices(integer);
create or replace function public.take_notices(p_limit integer default 50, p_capabilities text[] default '{}')
returns jsonb language plpgsql set enable_seqscan = off as $$
declare
  t constant timestamptz := prebooking.now();
  untold uuid[];
  taken jsonb;
begin
  untold := array(
    select n.id from prebooking.notices n
    where n.told_at is null and n.try_after <= t and n.created_at > t - interval '24 hours'
      and (n.series is null or 'series' = any (p_capabilities))
    order by n.created_at limit p_limit for update skip locked);
  with leased as (
    update prebooking.notices n set try_after = t + interval '1 minute' where n.id = any (untold)
    returning n.*, coalesce(n.prebooking ->> 'series_id', n.series ->> 'id')::uuid as series_id
  )
  select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
    'id', l.id, 'kind', l.kind, 'prebooking', l.prebooking, 'series', l.series, 'created_at', l.created_at,
    'failures', l.failures, 'next', case when l.series_id is not null then (
      select prebooking.as_json(p) from public.prebookings p
      where p.series_id = l.series_id and p.status in ('pending', 'loaded') order by p.available_at limit 1) end)
    order by l.created_at), '[]')
  into taken from leased l;
  return pg_catalog.jsonb_build_object('outcome', 'taken', 'notices', taken);
end $$;

create or replace function public.note_told(p_id uuid, p_message_id text)
returns jsonb language plpgsql as $$
begin
  update prebooking.notices set told_at = prebooking.now(), message_id = p_message_id
    where id = p_id and told_at is null;
  return '{"outcome": "noted"}';
end $$;

-- Notes that QStash gave up on the message: it is published again after 5, 10, 20 … minutes, at most an hour.
create or replace function public.note_untold(p_message_id text, p_reason text)
returns jsonb language plpgsql as $$
begin
  update prebooking.notices set
    told_at = null, failures = failures + 1, failure = p_reason, message_id = null,
    try_after = prebooking.now() + least(interval '1 hour', interval '5 minutes' * 2 ^ least(failures, 4))
  where message_id = p_message_id;
  return pg_catalog.jsonb_build_object('outcome', case when found then 'noted' else 'nothing_to_note' end);
end $$;
