-- What happened to a prebooking. A trigger reads the event off the row before and after: it is written with the change,
-- once a transition, whichever function makes it, and a repeated call that changes nothing writes nothing.

-- The process that calls, by the random id that it sends with each call; null where no replica of ours does.
create or replace function prebooking.replica() returns text language sql stable as $$
  select pg_catalog.substring(
    pg_catalog.current_setting('request.headers', true), '"x-instance-id" *: *"([0-9a-f]{6})')
$$;

-- At most 200 a row: the first 20 stay, then the newest. The row's lock is held, so nobody else counts meanwhile.
create or replace function prebooking.note_event(
  p_id uuid, p_event text, p_attempt integer, p_reason text, p_message_id text, p_took_ms double precision
) returns void language plpgsql as $$
declare
  place integer;
begin
  insert into prebooking.history (prebooking_id, n, at, event, attempt, replica, reason, message_id, took_ms)
  values (
    p_id, coalesce((select pg_catalog.max(h.n) from prebooking.history h where h.prebooking_id = p_id), 0) + 1,
    prebooking.now(), p_event, nullif(p_attempt, 0), prebooking.replica(), p_reason, p_message_id, p_took_ms)
  returning n into place;
  if place > 200 then
    delete from prebooking.history h where h.prebooking_id = p_id and h.n > 20 and h.n <= place - 180;
  end if;
end $$;

create or replace function prebooking.begin_history() returns trigger language plpgsql as $$
begin
  perform prebooking.note_event(
    new.id, case when new.wish_key is null then 'adopted' else 'created' end, null, null, null, null);
  return null;
end $$;
create or replace trigger prebookings_begin_history
  after insert on public.prebookings for each row execute function prebooking.begin_history();

create or replace function prebooking.write_history() returns trigger language plpgsql set timezone = 'UTC' as $$
declare
  event constant text := case
    when new.status = 'cancelled' and old.status <> 'cancelled' then 'cancelled'
    when new.status in ('completed', 'failed') and old.status not in ('completed', 'failed') then 'finished'
    when new.status = 'pending' and old.status = 'executing' then 'released'
    when new.status = 'pending' and old.status = 'failed' then 'retried'
    when new.version > old.version then 'rescheduled'
    when new.claim_token is not null and new.claim_token is distinct from old.claim_token then 'claimed'
    when new.begun_token = new.claim_token and new.begun_token is distinct from old.begun_token then 'begun'
    when new.parks > old.parks then 'parked'
    when new.delivery_failures > old.delivery_failures then 'delivery_failed'
    when new.scheduled_version is not null and (new.scheduled_version, new.qstash_schedule_id) is distinct from (
      old.scheduled_version, old.qstash_schedule_id) then 'message_ordered'
    when new.result ? 'given_back_at' and not coalesce(old.result ? 'given_back_at', false) then 'given_back'
    end;
  -- The end of a row that nobody holds has no claim from which it took so long.
  held constant boolean := event in ('begun', 'released', 'parked')
    or (event = 'finished' and new.finished_token is distinct from old.finished_token);
  took_ms constant double precision := case when held then pg_catalog.round(
    1000 * greatest(0, extract(epoch from prebooking.now() - old.claimed_at)), 3) end;
  -- A release without a reason, as by a shutdown, keeps the row's last one, and so does an unknown outcome.
  is_told constant boolean := (new.last_outcome, new.last_message, new.shots) is distinct from (
    old.last_outcome, old.last_message, old.shots);
begin
  if event is null then
    return null;
  end if;
  -- An earlier claim's mark goes: the gym has been asked what became of its request.
  if held and old.begun_token <> old.claim_token and new.begun_token is distinct from old.begun_token then
    perform prebooking.note_event(
      new.id, 'settled', old.attempts,
      case when event = 'finished' and new.status = 'completed' then 'present' else 'absent' end, null, took_ms);
  end if;
  perform prebooking.note_event(
    new.id, event,
    case when event = 'released' then old.attempts
      when event in ('claimed', 'begun', 'parked', 'finished') then new.attempts end,
    case event
      when 'finished' then coalesce(new.result ->> 'outcome', new.error_code)
      when 'released' then case when is_told or new.attempts = old.attempts then new.last_outcome end
      when 'parked' then case when is_told then new.last_outcome end
      when 'delivery_failed' then new.delivery_failure
      when 'rescheduled' then pg_catalog.to_jsonb(new.available_at) #>> '{}' end,
    case event when 'message_ordered' then new.qstash_schedule_id when 'delivery_failed' then old.qstash_schedule_id end,
    took_ms);
  return null;
end $$;
create or replace trigger prebookings_write_history
  after update on public.prebookings for each row
  when ((new.status, new.version, new.claim_token, new.begun_token, new.parks, new.delivery_failures,
      new.scheduled_version, new.qstash_schedule_id) is distinct from (
      old.status, old.version, old.claim_token, old.begun_token, old.parks, old.delivery_failures,
      old.scheduled_version, old.qstash_schedule_id)
    or (new.result ? 'given_back_at' and new.result is distinct from old.result))
  execute function prebooking.write_history();

-- p_user_email: whose it has to be; null: anybody's.
create or replace function public.read_history(p_id uuid, p_user_email text default null)
returns jsonb language sql stable set timezone = 'UTC' as $$
  select coalesce(
    (select prebooking.answer('read', p) || pg_catalog.jsonb_build_object('events', coalesce(
        (select pg_catalog.jsonb_agg(pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
            'at', h.at, 'event', h.event, 'attempt', h.attempt, 'replica', h.replica, 'reason', h.reason,
            'message_id', h.message_id, 'took_ms', h.took_ms)) order by h.n)
          from prebooking.history h where h.prebooking_id = p.id), '[]'))
      from public.prebookings p
      where p.id = p_id and (p_user_email is null or pg_catalog.lower(p.user_email) = pg_catalog.lower(p_user_email))),
    '{"outcome": "not_found"}')
$$;
