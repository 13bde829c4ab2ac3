-- What users are to be told, written by the very transition that it is about: no crash can come between the two.

create or replace function prebooking.write_notice(p public.prebookings, p_kind text, p_key text) returns void
language sql volatile as $$
  insert into prebooking.notices (key, kind, prebooking, created_at, try_after)
  values (p_key, p_kind, prebooking.as_json(p), prebooking.now(), prebooking.now())
  on conflict (key) do nothing
$$;

-- The old cron tells its users itself; only our results have an outcome. A version ends once. What the web application
-- left waiting when its class was over, perhaps for months, ends untold; `outcome_unknown` comes a day after that.
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

-- What is untold, for one to publish: nobody else gets it for a minute, and then it is published again unless it was
-- told, under the same id. News of yesterday are none. It takes as long as what it finds, however many there are: a
-- table of which most has to be told today is read whole otherwise, as far as the planner knows it.
create or replace function public.take_notices(p_limit integer default 50)
returns jsonb language plpgsql set enable_seqscan = off as $$
declare
  t constant timestamptz := prebooking.now();
  untold uuid[];
  taken jsonb;
begin
  untold := array(
    select n.id from prebooking.notices n
    where n.told_at is null and n.try_after <= t and n.created_at > t - interval '24 hours'
    order by n.created_at limit p_limit for update skip locked);
  with leased as (
    update prebooking.notices n set try_after = t + interval '1 minute' where n.id = any (untold) returning n.*
  )
  select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
    'id', l.id, 'kind', l.kind, 'prebooking', l.prebooking, 'created_at', l.created_at, 'failures', l.failures)
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

-- QStash gave up on the message: it is published anew in 5, 10, 20 … minutes, at most an hour.
create or replace function public.note_untold(p_message_id text, p_reason text)
returns jsonb language plpgsql as $$
begin
  update prebooking.notices set
    told_at = null, failures = failures + 1, failure = p_reason, message_id = null,
    try_after = prebooking.now() + least(interval '1 hour', interval '5 minutes' * 2 ^ least(failures, 4))
  where message_id = p_message_id;
  return pg_catalog.jsonb_build_object('outcome', case when found then 'noted' else 'nothing_to_note' end);
end $$;
