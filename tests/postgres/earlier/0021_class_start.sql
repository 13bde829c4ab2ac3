-- When a class starts, where that is known: told by `classTimeUTC` or by the wish's rule, or learnt from the gym later.
-- From then on nothing is left to book (`give_up_at`), and a caller may want to stop a while before.

alter table public.prebookings
  add column if not exists starts_at timestamptz,        -- the class's start, where it is known
  add column if not exists time_zone text;               -- of the box's wall clock, as the wish named it

-- As the booking tells it; null where it doesn't, or nobody can read it.
create or replace function prebooking.told_start(p_booking_data jsonb) returns timestamptz
language plpgsql stable set search_path = '' set timezone = 'UTC' as $$
begin
  -- A date first: the database also takes `infinity`, `now` and `tomorrow` for instants.
  if p_booking_data ->> 'classTimeUTC' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}' then
    return (p_booking_data ->> 'classTimeUTC')::timestamptz;
  end if;
  return null;
exception when data_exception then
  return null;
end $$;

-- When there is nothing left to book: the class's start, else a day and a half after its day began (UTC),
-- else, for what the web application wrote and nobody can read, after its opening.
create or replace function prebooking.give_up_at(p_booking_data jsonb, p_available_at timestamptz)
returns timestamptz language plpgsql stable set search_path = '' set timezone = 'UTC' as $$
declare
  start constant timestamptz := prebooking.told_start(p_booking_data);
begin
  if start is not null then
    return start;
  end if;
  begin
    if p_booking_data ->> 'day' ~ '^[0-9]{8}$' then
      return (p_booking_data ->> 'day')::date::timestamptz + interval '36 hours';
    end if;
  exception when data_exception then
    null;
  end;
  return p_available_at + interval '36 hours';
end $$;

-- Rows arrive from our create_prebooking and, while it lives, from the web application.
create or replace function prebooking.fill_row() returns trigger language plpgsql set search_path = '' as $$
begin
  if tg_op = 'INSERT' and new.starts_at is null then
    new.starts_at := prebooking.told_start(new.booking_data);
  end if;
  if new.give_up_at is null then
    new.give_up_at := prebooking.give_up_at(new.booking_data, new.available_at);
  end if;
  if new.status <> 'failed' then
    new.error_code := null; -- the old writers don't know of it
  end if;
  new.updated_at := prebooking.now();
  return new;
end $$;

-- Rows that were here before and may yet be tried.
update public.prebookings set starts_at = prebooking.told_start(booking_data)
where starts_at is null and status in ('pending', 'loaded', 'executing', 'failed')
  and prebooking.told_start(booking_data) is not null;

-- What a claim tells its caller; now also the start, or by which clock to read it off the gym's listing.
create or replace function prebooking.claim_as_json(p public.prebookings, p_max_attempts integer) returns jsonb
language sql volatile set search_path = '' as $$
  select prebooking.answer('claimed', p) || pg_catalog.jsonb_build_object(
    'now', prebooking.now(),
    'begun', p.booking_started_at is not null and p.begun_token is distinct from p.claim_token,
    -- Nothing may be sent any more; what was begun is claimed only to be settled.
    'settle_only', p.booking_started_at is not null and p.begun_token is distinct from p.claim_token
      and (prebooking.now() >= p.give_up_at or p.attempts >= p_max_attempts),
    'give_up_at', p.give_up_at, 'starts_at', p.starts_at, 'time_zone', p.time_zone, 'parks', p.parks, 'shots', p.shots,
    'last_outcome', p.last_outcome, 'last_message', p.last_message,
    'session', prebooking.session_as_json(prebooking.session_of(p.user_email)))
$$;

drop function if exists public.create_prebooking(uuid, text, text, text, jsonb, timestamptz, integer, integer);
create or replace function public.create_prebooking(
  p_id uuid, p_user_email text, p_box_subdomain text, p_box_aimharder_id text, p_booking_data jsonb,
  p_available_at timestamptz default null,   -- null: now
  p_max_active integer default null, p_max_per_minute integer default null,
  p_starts_at timestamptz default null, p_time_zone text default null
) returns jsonb language plpgsql set search_path = '' as $$
declare
  r public.prebookings;
  key text := prebooking.wish_key(p_user_email, p_box_subdomain, p_booking_data);
  opening timestamptz := coalesce(p_available_at, prebooking.now());
  give_up timestamptz := coalesce(p_starts_at, prebooking.give_up_at(p_booking_data, opening));
  refusal jsonb;
begin
  perform prebooking.take_turn(p_user_email);
  select * into r from public.prebookings where id = p_id;
  if found then
    return prebooking.answer('created', r); -- the answer to the first call was lost
  end if;
  select * into r from public.prebookings
    where wish_key = key and status in ('pending', 'loaded', 'executing');
  if found then
    return prebooking.answer(
      case when p_available_at is null or r.available_at = p_available_at then 'existing' else 'exists' end, r);
  elsif greatest(opening, prebooking.now()) >= give_up then
    return pg_catalog.jsonb_build_object('outcome', 'too_late', 'give_up_at', give_up);
  end if;
  refusal := prebooking.refuse_more(p_user_email, p_max_active, p_max_per_minute);
  if refusal is not null then
    return refusal;
  end if;
  insert into public.prebookings (
    id, user_email, box_subdomain, box_aimharder_id, booking_data, wish_key,
    available_at, give_up_at, starts_at, time_zone, created_at, armed_at)
  values (
    p_id, pg_catalog.lower(p_user_email), p_box_subdomain, p_box_aimharder_id, p_booking_data, key,
    opening, give_up, p_starts_at, p_time_zone, prebooking.now(), prebooking.now())
  returning * into r;
  return prebooking.answer('created', r);
end $$;

-- The recorded intent to send the booking request. p_settled: the caller has settled the earlier begin as absent.
-- p_starts_at: the class's start, where the caller has learnt it; the row keeps it, also where that is what forbids it.
-- p_book_until_minutes: how long before its start the class is booked no more; what is unknown forbids nothing.
drop function if exists public.begin_booking(uuid, uuid, double precision, integer, boolean);
create or replace function public.begin_booking(
  p_id uuid, p_token uuid, p_lease_seconds double precision, p_max_attempts integer, p_settled boolean,
  p_starts_at timestamptz default null, p_book_until_minutes double precision default 0
) returns jsonb language plpgsql set search_path = '' as $$
declare
  r public.prebookings;
  t timestamptz;
begin
  select * into r from public.prebookings where id = p_id for update;
  if not found then
    return '{"outcome": "unknown_prebooking"}';
  end if;
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
  update public.prebookings set
    booking_started_at = t, begun_token = p_token,
    lease_until = t + pg_catalog.make_interval(secs => p_lease_seconds),
    attempts = attempts + (not claim_counted)::integer, claim_counted = true, parks = 0
  where id = p_id returning * into r;
  return prebooking.answer('begun', r);
end $$;

-- As every function of ours has it: see the end of 0010_limits.sql.
do $$
declare
  f record;
begin
  for f in
    select p.oid::regprocedure as signature, p.pronamespace = 'public'::regnamespace as is_called
    from pg_catalog.pg_proc p
    where (p.pronamespace = 'prebooking'::regnamespace and p.proname in ('told_start', 'claim_as_json'))
      or (p.pronamespace = 'public'::regnamespace and p.proname in ('create_prebooking', 'begin_booking'))
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
