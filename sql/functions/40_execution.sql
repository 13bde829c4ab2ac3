-- Executes one prebooking: claim → begin → finish, or release, or park.
-- Each is one guarded transition, fenced by the claim's token; a repeat with the same token gets the same answer.

-- The answer to a claim. It has the class's start, or the time zone in which the gym's listing has it.
create or replace function prebooking.claim_as_json(p public.prebookings, p_max_attempts integer) returns jsonb
language sql volatile as $$
  select prebooking.answer('claimed', p) || pg_catalog.jsonb_build_object(
    'now', prebooking.now(),
    'begun', p.booking_started_at is not null and p.begun_token is distinct from p.claim_token,
    -- No request may be sent any more; a begun row is claimed only to be settled.
    'settle_only', p.booking_started_at is not null and p.begun_token is distinct from p.claim_token
      and (prebooking.now() >= p.give_up_at or p.attempts >= p_max_attempts),
    'begun_as', p.begun_as,
    'give_up_at', p.give_up_at, 'starts_at', p.starts_at, 'time_zone', p.time_zone, 'parks', p.parks, 'shots', p.shots,
    'last_outcome', p.last_outcome, 'last_message', p.last_message,
    'session', prebooking.session_as_json(prebooking.session_of(p.user_email)))
$$;

-- Claims the prebooking: the exclusive right to execute it, for the time of a lease. A row that is over is ended
-- instead.
-- p_version: that of the message; null from the sweep, which has no message.
-- p_horizon_seconds: how long the caller can wait for the opening.
-- p_lease_seconds: the length of the lease unless it is renewed; null: until a second after the opening.
-- p_capabilities: see can_execute. A row that the caller can't execute is left to other replicas.
create or replace function public.claim_prebooking(
  p_id uuid, p_token uuid, p_version integer, p_horizon_seconds double precision, p_max_attempts integer,
  p_lease_seconds double precision default null, p_capabilities text[] default '{}'
) returns jsonb language plpgsql as $$
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
  elsif r.claim_token = p_token then -- the answer to the first call was lost
    if p_lease_seconds is not null and r.begun_token is distinct from p_token and r.ended_token is distinct from p_token
    then
      update public.prebookings
        set lease_until = greatest(lease_until, t + pg_catalog.make_interval(secs => p_lease_seconds))
        where id = p_id returning * into r;
    end if;
    return prebooking.claim_as_json(r, p_max_attempts);
  elsif r.ended_token = p_token or p_token = any (r.claim_tokens) then
    return prebooking.answer('already_ended', r);       -- a late copy of a claim that has ended
  elsif prebooking.lease_end(r) > t then
    return prebooking.answer('held', r)
      || pg_catalog.jsonb_build_object('retry_after', prebooking.seconds_until(prebooking.lease_end(r)));
  elsif not prebooking.can_execute(r, p_capabilities) then
    return prebooking.answer('held', r) || '{"retry_after": 5}';
  end if;

  -- Nobody holds it. A claim that was lost before the opening can't have booked, so it does not count as an attempt.
  if r.status = 'executing' and not begun and r.claim_counted and prebooking.lease_end(r) < r.available_at then
    r.attempts := r.attempts - 1;
  end if;

  -- First, end a row that is over.
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

  -- Then, refuse a row that is not due, perhaps only for this caller: the previous one could wait longer.
  if (r.status <> 'executing' or not begun)
    and t < r.available_at - pg_catalog.make_interval(secs => p_horizon_seconds) then
    return prebooking.answer('not_due', r)
      || pg_catalog.jsonb_build_object('retry_after', prebooking.seconds_until(r.available_at));
  elsif r.status <> 'executing' and r.retry_at > t then
    return prebooking.answer('retry_later', r)
      || pg_catalog.jsonb_build_object('retry_after', prebooking.seconds_until(r.retry_at));
  elsif r.status <> 'executing' and prebooking.has_to_wait(r) then
    return prebooking.answer('retry_later', r) || '{"retry_after": 1}';
  end if;

  update public.prebookings set
    waits_for = null,
    status = 'executing', claim_token = p_token, claim_tokens = claim_tokens || p_token, claimed_at = t, retry_at = null,
    lease_until = case when p_lease_seconds is not null then t + pg_catalog.make_interval(secs => p_lease_seconds)
      else greatest(t + interval '5 seconds', r.available_at + interval '1 second') end,
    -- A claim that only settles does not count as an attempt, unless it begins again.
    claim_counted = not begun, attempts = r.attempts + (not begun)::integer,
    -- The old cron's request has no begin mark.
    booking_started_at = case when begun then coalesce(r.booking_started_at, r.available_at) end,
    begun_token = case when begun then coalesce(r.begun_token, '00000000-0000-0000-0000-000000000000') end
  where id = p_id returning * into r;
  return prebooking.claim_as_json(r, p_max_attempts);
end $$;

-- Records that the booking request may be sent. p_settled: the caller has settled the earlier begin as absent.
-- p_starts_at: the class's start, if the caller knows it. It is stored even if it is the reason of a refusal.
-- p_book_until_minutes: how long before its start the class is no longer booked; an unknown start refuses nothing.
-- p_class: the class by the gym's listing, see known_class; null: the caller is of a version that always sends the
-- row's id. p_absent: see other_of_same_class. If another of the user's prebookings may be booking the same class, the
-- answer is `held`, and the row is released without counting an attempt.
create or replace function public.begin_booking(
  p_id uuid, p_token uuid, p_lease_seconds double precision, p_max_attempts integer, p_settled boolean,
  p_starts_at timestamptz default null, p_book_until_minutes double precision default 0,
  p_class jsonb default null, p_absent boolean default false
) returns jsonb language plpgsql as $$
declare
  r public.prebookings;
  other public.prebookings;
  email text;
  t timestamptz;
begin
  -- The user's lock comes before any row's lock. If the row was moved to another e-mail meanwhile, that one's is taken.
  loop
    select p.user_email into email from public.prebookings p where p.id = p_id;
    if not found then
      return '{"outcome": "unknown_prebooking"}';
    end if;
    perform prebooking.take_turn(email);
    select * into r from public.prebookings where id = p_id and user_email = email for update;
    exit when found;
  end loop;
  t := prebooking.now();
  if r.status = 'cancelled' then
    return prebooking.answer('cancelled', r);
  elsif r.status <> 'executing' or r.claim_token is distinct from p_token then
    return prebooking.answer('lost', r);
  elsif r.begun_token = p_token then
    return prebooking.answer('begun', r); -- the answer to the first call was lost
  elsif r.begun_token is not null and not p_settled then
    return prebooking.answer('unsettled', r);
  end if;
  if p_starts_at <> r.starts_at or (p_starts_at is not null and r.starts_at is null) then
    update public.prebookings set starts_at = p_starts_at, give_up_at = p_starts_at
      where id = p_id returning * into r;
  end if;
  if t >= r.give_up_at or t >= r.starts_at - pg_catalog.make_interval(secs => 60 * p_book_until_minutes) then
    return prebooking.answer('expired', r) || pg_catalog.jsonb_build_object('starts_at', r.starts_at);
  elsif not r.claim_counted and r.attempts >= p_max_attempts then
    return prebooking.answer('attempts_exhausted', r);
  end if;
  other := prebooking.other_of_same_class(r, p_class, p_absent);
  if other.id is not null then
    update public.prebookings set
      status = 'pending', waits_for = other.id,
      -- If the other has ended, the gym's listing has to change, and is requested at growing intervals.
      retry_at = t + case other.status
        when 'completed' then greatest(interval '5 seconds', least(interval '5 minutes', (t - r.available_at) / 10))
        else interval '1 second' end,
      last_message = 'Another of your prebookings has booked this class, or may have.',
      claim_token = null, lease_until = null, ended_token = p_token, booking_started_at = null, begun_token = null,
      attempts = attempts - claim_counted::integer, claim_counted = false, parks = 0
    where id = p_id returning * into r;
    return prebooking.answer('held', r) || '{"retry_after": 1}';
  end if;
  update public.prebookings set
    begun_as = coalesce(p_class - 'beside', pg_catalog.jsonb_build_object('id', booking_data ->> 'id')),
    booking_started_at = t, begun_token = p_token,
    lease_until = t + pg_catalog.make_interval(secs => p_lease_seconds),
    attempts = attempts + (not claim_counted)::integer, claim_counted = true, parks = 0
  where id = p_id returning * into r;
  return prebooking.answer('begun', r);
end $$;

create or replace function public.finish_booking(
  p_id uuid, p_token uuid, p_success boolean, p_outcome text, p_message text, p_result jsonb
) returns jsonb language plpgsql as $$
declare
  r public.prebookings;
begin
  select * into r from public.prebookings where id = p_id for update;
  if not found then
    return '{"outcome": "unknown_prebooking"}';
  elsif r.finished_token = p_token and r.status in ('completed', 'failed') then
    return prebooking.answer('finished', r); -- the answer to the first call was lost
  elsif r.status <> 'executing' or r.claim_token is distinct from p_token then
    return prebooking.answer('lost', r);
  end if;
  update public.prebookings set
    status = case when p_success then 'completed' else 'failed' end, result = p_result,
    error_code = case when not p_success then p_outcome end,
    error_message = case when not p_success then p_message end,
    executed_at = prebooking.now(), claim_token = null, lease_until = null, finished_token = p_token,
    booking_started_at = case when p_outcome = 'outcome_unknown' then booking_started_at end,
    begun_token = case when p_outcome = 'outcome_unknown' then begun_token end,
    last_outcome = null, last_message = null, shots = '[]'
  where id = p_id returning * into r;
  return prebooking.answer('finished', r);
end $$;

-- Releases the row: executing → pending, certainly not booked. p_graceful: does not count as an attempt.
-- p_settled: the caller has settled an earlier begin as absent; without it a begun row can only be parked.
create or replace function public.release_prebooking(
  p_id uuid, p_token uuid, p_outcome text, p_message text, p_shots jsonb,
  p_retry_seconds double precision, p_graceful boolean, p_settled boolean
) returns jsonb language plpgsql as $$
declare
  r public.prebookings;
begin
  select * into r from public.prebookings where id = p_id for update;
  if not found then
    return '{"outcome": "unknown_prebooking"}';
  elsif r.ended_token = p_token and r.status in ('pending', 'loaded') then
    return prebooking.answer('released', r) -- the answer to the first call was lost
      || pg_catalog.jsonb_build_object('retry_after', coalesce(prebooking.seconds_until(r.retry_at), 0));
  elsif r.status <> 'executing' or r.claim_token is distinct from p_token then
    return prebooking.answer('lost', r);
  elsif r.begun_token is not null and r.begun_token <> p_token and not p_settled then
    return prebooking.answer('unsettled', r);
  end if;
  update public.prebookings set
    status = 'pending', retry_at = prebooking.now() + pg_catalog.make_interval(secs => p_retry_seconds),
    claim_token = null, lease_until = null, ended_token = p_token, booking_started_at = null, begun_token = null,
    attempts = attempts - (p_graceful and claim_counted)::integer, claim_counted = false, parks = 0,
    last_outcome = coalesce(p_outcome, last_outcome), last_message = coalesce(p_message, last_message),
    shots = p_shots
  where id = p_id returning * into r;
  return prebooking.answer('released', r) || pg_catalog.jsonb_build_object('retry_after', p_retry_seconds);
end $$;

-- Parks a row whose outcome is unknown: it stays executing, with its begin mark, until its lease ends.
-- p_retry_seconds: when it may be claimed again, to be settled; null: at the end of the begin's lease.
create or replace function public.park_prebooking(
  p_id uuid, p_token uuid, p_outcome text, p_message text, p_shots jsonb, p_retry_seconds double precision
) returns jsonb language plpgsql as $$
declare
  r public.prebookings;
begin
  select * into r from public.prebookings where id = p_id for update;
  if not found then
    return '{"outcome": "unknown_prebooking"}';
  elsif r.status <> 'executing' or r.claim_token is distinct from p_token then
    return prebooking.answer('lost', r);
  elsif r.ended_token is distinct from p_token then -- else the answer to the first call was lost
    update public.prebookings set
      -- Until the lease of its own begin ends, its request may still arrive at the gym.
      lease_until = greatest(
        prebooking.now() + pg_catalog.make_interval(secs => p_retry_seconds),
        case when begun_token = p_token or p_retry_seconds is null then lease_until end),
      ended_token = p_token, parks = parks + 1, shots = p_shots,
      last_outcome = coalesce(p_outcome, last_outcome), last_message = coalesce(p_message, last_message)
    where id = p_id returning * into r;
  end if;
  return prebooking.answer('parked', r)
    || pg_catalog.jsonb_build_object('retry_after', prebooking.seconds_until(r.lease_until));
end $$;
