-- Gives back the place of a completed prebooking: intent → request to the gym → result, or settled by a background
-- task. Status and outcome stay; `result.given_back_at` says that the place is gone.

-- Returns whether a listing without the user proves that the place is gone: not if the session was connected after the
-- booking, since it may be another account's, nor right after the booking, since a listing may lag.
create or replace function prebooking.absence_counts(p public.prebookings, s public.auth_sessions) returns boolean
language sql volatile as $$
  select coalesce(s.connected_at < p.executed_at, true) and p.executed_at < prebooking.now() - interval '30 seconds'
$$;

-- The answer to a lease. p_earlier: another caller has had it, and the result of its request is unknown.
create or replace function prebooking.giving_back_as_json(p public.prebookings, p_earlier boolean) returns jsonb
language plpgsql volatile as $$
declare
  s constant public.auth_sessions := prebooking.session_of(p.user_email);
begin
  return prebooking.answer('leased', p) || pg_catalog.jsonb_build_object(
    'earlier', p_earlier, 'absence_counts', prebooking.absence_counts(p, s), 'session', prebooking.session_as_json(s));
end $$;

-- Leases the right to send the cancellation. The caller makes the token, and a repeat gets the same answer.
create or replace function public.begin_giving_back(
  p_id uuid, p_user_email text, p_token uuid, p_lease_seconds double precision
) returns jsonb language plpgsql as $$
declare
  r public.prebookings;
  t timestamptz;
  earlier boolean;
begin
  select * into r from public.prebookings
    where id = p_id and pg_catalog.lower(user_email) = pg_catalog.lower(p_user_email) for update;
  if not found then
    return '{"outcome": "not_found"}';
  end if;
  t := prebooking.now();
  if r.result ->> 'given_back_at' is not null then
    return prebooking.answer('given_back', r);
  elsif r.status <> 'completed' then
    return prebooking.answer('not_booked', r);
  elsif r.giving_back_token <> p_token and r.giving_back_until > t then
    return prebooking.answer('busy', r)
      || pg_catalog.jsonb_build_object('retry_after', prebooking.seconds_until(r.giving_back_until));
  end if;
  -- Also if this is a repeat of the call that took it over.
  earlier := r.giving_back_since is not null and (r.giving_back_token <> p_token
    or r.giving_back_since < r.giving_back_until - pg_catalog.make_interval(secs => p_lease_seconds));
  update public.prebookings set
    giving_back_since = coalesce(giving_back_since, t), giving_back_token = p_token,
    giving_back_until = t + pg_catalog.make_interval(secs => p_lease_seconds)
  where id = p_id returning * into r;
  return prebooking.giving_back_as_json(r, earlier);
end $$;

-- Ends the lease. p_given_back: whether the place is gone; null: unknown, so it is settled after p_retry_seconds, at
-- growing intervals. Each series whose day this place fills skips that day, or it would be booked again.
create or replace function public.end_giving_back(
  p_id uuid, p_token uuid, p_given_back boolean, p_retry_seconds double precision default 15
) returns jsonb language plpgsql set timezone = 'UTC' as $$
declare
  r public.prebookings;
  t timestamptz;
begin
  perform prebooking.lock_series(p.user_email) from public.prebookings p where p.id = p_id and p_given_back;
  select * into r from public.prebookings where id = p_id for update;
  if not found then
    return '{"outcome": "unknown_prebooking"}';
  elsif r.result ->> 'given_back_at' is not null then
    return prebooking.answer('given_back', r);
  elsif r.giving_back_token is distinct from p_token then
    return prebooking.answer('lost', r);
  end if;
  t := prebooking.now();
  if p_given_back then
    perform prebooking.skip_day(s, r) from public.prebooking_series s
      where s.user_email = pg_catalog.lower(r.user_email) and prebooking.has_day(r, s);
    update public.prebookings set
      result = coalesce(result, '{}') || pg_catalog.jsonb_build_object('given_back_at', t),
      giving_back_since = null, giving_back_until = null
    where id = p_id returning * into r;
    return prebooking.answer('given_back', r);
  elsif not p_given_back or r.giving_back_since <= t - interval '1 day' then
    -- Not settled within a day: the result stays unknown, and the row stays booked.
    update public.prebookings set giving_back_since = null, giving_back_token = null, giving_back_until = null
    where id = p_id returning * into r;
    return prebooking.answer('released', r);
  end if;
  update public.prebookings set giving_back_until = t + greatest(
    pg_catalog.make_interval(secs => p_retry_seconds), least((t - giving_back_since) / 4, interval '10 minutes'))
  where id = p_id returning * into r;
  return prebooking.answer('parked', r);
end $$;

-- Returns unfinished cancellations, each to one caller, which only requests the gym's listing.
create or replace function public.take_given_back(p_token uuid, p_lease_seconds double precision, p_limit integer default 5)
returns jsonb language plpgsql as $$
declare
  t constant timestamptz := prebooking.now();
  taken jsonb;
begin
  with due as (
    select p.id from public.prebookings p where p.giving_back_until <= t
    order by p.giving_back_until limit p_limit for update skip locked
  ), leased as (
    update public.prebookings p set
      giving_back_token = p_token, giving_back_until = t + pg_catalog.make_interval(secs => p_lease_seconds)
    from due where p.id = due.id returning p.*
  )
  select coalesce(pg_catalog.jsonb_agg(prebooking.giving_back_as_json(l, true)), '[]') into taken from leased l;
  return pg_catalog.jsonb_build_object('outcome', 'taken', 'taken', taken);
end $$;
