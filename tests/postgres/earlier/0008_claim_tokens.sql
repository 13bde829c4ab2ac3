-- A token that has claimed a row and lost it never claims it again: a late copy of its claim would revive it, and with
-- it whatever else its owner still has under way. So the row keeps every token that has claimed it (16 bytes each).
alter table public.prebookings add column if not exists claim_tokens uuid[] not null default '{}';

-- The exclusive, leased right to execute one prebooking. It also ends what is over, and says so.
-- p_version: the one the message was published for; null from the sweep, which has no message.
-- p_horizon_seconds: how long before its opening the caller can wait for it.
create or replace function public.claim_prebooking(
  p_id uuid, p_token uuid, p_version integer, p_horizon_seconds double precision, p_max_attempts integer
) returns jsonb language plpgsql set search_path = '' as $$
declare
  r public.prebookings;
  t timestamptz;
  begun boolean;
  reason text;
begin
  select * into r from public.prebookings where id = p_id for update;
  if not found then
    return '{"outcome": "unknown_prebooking"}';
  end if;
  t := prebooking.now();
  begun := prebooking.is_begun(r);
  if r.status in ('completed', 'failed') then
    return prebooking.answer('already_finished', r);
  elsif r.status = 'cancelled' then
    return prebooking.answer('cancelled', r);
  elsif r.version <> p_version then
    return prebooking.answer('stale', r);
  elsif r.claim_token = p_token then
    return prebooking.claim_as_json(r, p_max_attempts); -- the answer to the first call was lost
  elsif r.ended_token = p_token or p_token = any (r.claim_tokens) then
    return prebooking.answer('already_ended', r);       -- a late copy of a claim that is long over
  elsif prebooking.lease_end(r) > t then
    return prebooking.answer('held', r)
      || pg_catalog.jsonb_build_object('retry_after', prebooking.seconds_until(prebooking.lease_end(r)));
  end if;

  -- Nobody holds it. First what is over.
  if begun and t >= r.give_up_at + interval '24 hours' then
    reason := 'outcome_unknown';
    r := prebooking.end_row(r, reason,
      'A booking request was sent, and the gym could not be asked what became of it. Look at your bookings there.');
  elsif not begun and t >= r.give_up_at then
    reason := 'expired';
    r := prebooking.end_row(r, reason, 'The class was over before it could be booked.'
      || coalesce(' Last: ' || r.last_message, ''));
  elsif not begun and r.attempts >= p_max_attempts then
    reason := coalesce(r.last_outcome, 'attempts_exhausted');
    r := prebooking.end_row(r, reason,
      coalesce(r.last_message, 'Each attempt to book was interrupted before it could say why.'));
  end if;
  if reason is not null then
    return prebooking.answer(reason, r);
  end if;

  -- Then what is not due.
  if r.status <> 'executing' and t < r.available_at - pg_catalog.make_interval(secs => p_horizon_seconds) then
    return prebooking.answer('not_due', r)
      || pg_catalog.jsonb_build_object('retry_after', prebooking.seconds_until(r.available_at));
  elsif r.status <> 'executing' and r.retry_at > t then
    return prebooking.answer('retry_later', r)
      || pg_catalog.jsonb_build_object('retry_after', prebooking.seconds_until(r.retry_at));
  end if;

  update public.prebookings set
    status = 'executing', claim_token = p_token, claim_tokens = claim_tokens || p_token, claimed_at = t, retry_at = null,
    lease_until = greatest(t + interval '5 seconds', r.available_at + interval '1 second'),
    -- A claim that only settles is no attempt, unless it begins again.
    claim_counted = not begun, attempts = attempts + (not begun)::integer,
    -- The old cron's request has no mark of its own.
    booking_started_at = case when begun then coalesce(r.booking_started_at, r.available_at) end,
    begun_token = case when begun then coalesce(r.begun_token, '00000000-0000-0000-0000-000000000000') end
  where id = p_id returning * into r;
  return prebooking.claim_as_json(r, p_max_attempts);
end $$;
