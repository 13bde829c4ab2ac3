-- The history of a prebooking. A trigger derives the event from the row before and after a change: it is written in the
-- same statement, once for each transition by any function, and a repeated call that changes nothing writes nothing.

-- It calls no function of ours except the clock: the settings of each would cost as much as the insert.
create or replace function prebooking.write_history() returns trigger language plpgsql as $$
declare
  t constant timestamptz := prebooking.now();
  -- The calling process, by the random id that it sends with each call; null for other callers.
  replica constant text := pg_catalog.substring(
    pg_catalog.current_setting('request.headers', true), '"x-instance-id" *: *"([0-9a-f]{6})');
  event text;
  place integer := 0;
  took_ms double precision; -- since the claim, by its holder
begin
  if tg_op = 'INSERT' then
    insert into prebooking.history (prebooking_id, n, at, event, replica)
    values (new.id, 1, t, case when new.wish_key is null then 'adopted' else 'created' end, replica);
    return null;
  end if;
  event := case
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
  if event is null then
    return null;
  end if;
  -- The row is locked, so the number can't change meanwhile.
  select h.n into place from prebooking.history h where h.prebooking_id = new.id order by h.n desc limit 1;
  place := coalesce(place, 0) + 1;
  if event in ('begun', 'released', 'parked') or (
    event = 'finished' and new.finished_token is distinct from old.finished_token) then
    took_ms := pg_catalog.round(1000 * greatest(0, extract(epoch from t - old.claimed_at)), 3);
    -- The begin mark of an earlier claim is removed: the gym's listing has shown the result of its request.
    if old.begun_token <> old.claim_token and new.begun_token is distinct from old.begun_token then
      insert into prebooking.history (prebooking_id, n, at, event, attempt, replica, reason, took_ms)
      values (
        new.id, place, t, 'settled', nullif(old.attempts, 0), replica,
        case new.status when 'completed' then 'present' else 'absent' end, took_ms);
      place := place + 1;
    end if;
  end if;
  insert into prebooking.history (prebooking_id, n, at, event, attempt, replica, reason, message_id, took_ms)
  values (
    new.id, place, t, event,
    nullif(case when event = 'released' then old.attempts
      when event in ('claimed', 'begun', 'parked', 'finished') then new.attempts end, 0),
    replica,
    case event
      when 'finished' then coalesce(new.result ->> 'outcome', new.error_code)
      -- A release without a reason, as by a shutdown, keeps the row's last one, and so does an unknown outcome.
      when 'released' then case when new.attempts = old.attempts
        or (new.last_outcome, new.last_message, new.shots) is distinct from (
          old.last_outcome, old.last_message, old.shots) then new.last_outcome end
      when 'parked' then case when (new.last_outcome, new.last_message) is distinct from (
        old.last_outcome, old.last_message) then new.last_outcome end
      -- Not the text of a proxy's page, which may quote the request.
      when 'delivery_failed' then pg_catalog.substring(new.delivery_failure, 'HTTP [0-9]+')
      when 'rescheduled' then pg_catalog.to_jsonb(new.available_at at time zone 'UTC') #>> '{}' || '+00:00' end,
    case event when 'message_ordered' then new.qstash_schedule_id when 'delivery_failed' then old.qstash_schedule_id end,
    took_ms);
  -- At most 200 a row: the first 20 stay, then the newest.
  if place > 200 then
    delete from prebooking.history h where h.prebooking_id = new.id and h.n > 20 and h.n <= place - 180;
  end if;
  return null;
end $$;
create or replace trigger prebookings_begin_history
  after insert on public.prebookings for each row execute function prebooking.write_history();
create or replace trigger prebookings_write_history
  after update on public.prebookings for each row
  when ((new.status, new.version, new.claim_token, new.begun_token, new.parks, new.delivery_failures,
      new.scheduled_version, new.qstash_schedule_id) is distinct from (
      old.status, old.version, old.claim_token, old.begun_token, old.parks, old.delivery_failures,
      old.scheduled_version, old.qstash_schedule_id)
    or (new.result ? 'given_back_at' and new.result is distinct from old.result))
  execute function prebooking.write_history();

-- p_user_email: its required user; null: any.
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
