-- Series: classes to book every week. The service, which knows the calendar, decides which days are due and when they
-- open; here each becomes a prebooking at most once. Locks are taken in one order: the user's turn, the series, its
-- prebookings.

-- Returns whether the prebooking fills its day of the series: it is the series' own, or one of the same class for the
-- same person that is active or booked. Names are compared if both have one.
create or replace function prebooking.has_day(p public.prebookings, s public.prebooking_series) returns boolean
language sql stable as $$
  select coalesce((p.result ->> 'given_back_at') is null and case
    when p.series_id = s.id then p.status <> 'cancelled'
    else p.status in ('pending', 'loaded', 'executing', 'completed')
      and p.box_subdomain = s.weekly ->> 'box_subdomain'
      and coalesce(p.booking_data ->> 'familyId', '') = s.weekly ->> 'family_id'
      and coalesce(p.class ->> 'starts', prebooking.hour_of(p.starts_at, s.weekly ->> 'time_zone'))
        = s.weekly ->> 'starts'
      and coalesce(
        prebooking.plain_name(coalesce(p.class ->> 'name', p.booking_data ->> 'activityName'))
          = prebooking.plain_name(s.weekly ->> 'name'), true)
    end, false)
$$;

-- Returns the days from today on that have a prebooking, and whether the series made it.
create or replace function prebooking.taken_days(s public.prebooking_series) returns jsonb
language sql stable as $$
  select coalesce(pg_catalog.jsonb_agg(
    pg_catalog.jsonb_build_object('day', d.day, 'prebooking_id', d.id, 'own', d.own) order by d.day), '[]')
  from (
    select distinct on (p.booking_data ->> 'day')
      p.booking_data ->> 'day' as day, p.id, coalesce(p.series_id = s.id, false) as own
    from public.prebookings p
    where pg_catalog.lower(p.user_email) = s.user_email
      -- The day before, since today is another date in other time zones.
      and p.booking_data ->> 'day' >= pg_catalog.to_char(prebooking.now() at time zone 'UTC' - interval '1 day', 'YYYYMMDD')
      and prebooking.has_day(p, s)
    order by 1, 3 desc, p.created_at, p.id) d
$$;

create or replace function prebooking.series_as_json(s public.prebooking_series) returns jsonb
language sql volatile set timezone = 'UTC' as $$
  select pg_catalog.jsonb_build_object(
    'id', s.id, 'user_email', s.user_email, 'revision', s.revision, 'weekly', s.weekly, 'paused', s.paused,
    'skip', s.skip, 'reasons', s.reasons, 'taken', prebooking.taken_days(s), 'now', prebooking.now(),
    'created_at', s.created_at, 'updated_at', s.updated_at)
$$;

create or replace function prebooking.series_answer(p_outcome text, s public.prebooking_series) returns jsonb
language sql volatile as $$
  select pg_catalog.jsonb_build_object('outcome', p_outcome, 'series', prebooking.series_as_json(s))
$$;

-- Returns null, or the refusal if the user has to wait: each change may delete and schedule messages, which are not
-- counted with those of creates.
create or replace function prebooking.refuse_changes(p_user_email text, p_max_active integer) returns jsonb
language sql volatile as $$
  select pg_catalog.jsonb_build_object(
    'outcome', 'too_many', 'limit', 4 * p_max_active,
    'retry_after', greatest(1, extract(epoch from m.oldest + interval '1 minute' - prebooking.now())))
  from (
    select pg_catalog.count(*) as number, pg_catalog.min(p.created_at) as oldest from public.prebookings p
    where pg_catalog.lower(p.user_email) = pg_catalog.lower(p_user_email) and p.series_id is not null
      and p.created_at > prebooking.now() - interval '1 minute') m
  where m.number >= 4 * p_max_active
$$;

-- Creates a series, or returns an existing one with the same p_weekly. p_most: the maximum number of a user's series.
create or replace function public.create_series(p_id uuid, p_user_email text, p_weekly jsonb, p_most integer)
returns jsonb language plpgsql as $$
declare
  address constant text := pg_catalog.lower(p_user_email);
  s public.prebooking_series;
  t timestamptz;
begin
  perform prebooking.take_turn(address);
  select * into s from public.prebooking_series e where e.id = p_id and e.user_email = address;
  if found then
    return prebooking.series_answer('created', s); -- the answer to the first call was lost
  end if;
  select * into s from public.prebooking_series e where e.user_email = address and e.weekly = p_weekly limit 1;
  if found then
    return prebooking.series_answer('existing', s);
  elsif p_most <= (select pg_catalog.count(*) from public.prebooking_series e where e.user_email = address) then
    return pg_catalog.jsonb_build_object('outcome', 'too_many', 'limit', p_most);
  end if;
  t := prebooking.now();
  insert into public.prebooking_series (id, user_email, weekly, look_at, created_at, updated_at)
  values (p_id, address, p_weekly, t + interval '5 seconds', t, t) -- the creating replica fills it first
  returning * into s;
  return prebooking.series_answer('created', s);
end $$;

create or replace function public.list_series(p_user_email text, p_id uuid default null) returns jsonb
language sql volatile as $$
  select pg_catalog.jsonb_build_object('outcome', 'listed', 'series', coalesce(
    pg_catalog.jsonb_agg(prebooking.series_as_json(s) order by s.created_at, s.id), '[]'))
  from public.prebooking_series s
  where s.user_email = pg_catalog.lower(p_user_email) and (p_id is null or s.id = p_id)
$$;

-- Takes the turn of a user who has series, and locks these: before the lock of a prebooking that the user ends and that
-- may fill a day of a series.
create or replace function prebooking.lock_series(p_user_email text) returns void
language plpgsql as $$
declare
  address constant text := pg_catalog.lower(p_user_email);
begin
  if exists (select from public.prebooking_series s where s.user_email = address) then
    perform prebooking.take_turn(address);
    perform from public.prebooking_series s where s.user_email = address order by s.id for update;
  end if;
end $$;

-- Adds the prebooking's day to the series' skipped ones, and removes those of long ago. The series is locked.
create or replace function prebooking.skip_day(s public.prebooking_series, p public.prebookings) returns void
language sql volatile as $$
  update public.prebooking_series e set
    skip = array(
      select distinct d.day from pg_catalog.unnest(e.skip || array[p.booking_data ->> 'day']) as d (day)
      where d.day >= pg_catalog.to_char(prebooking.now() - interval '30 days', 'YYYYMMDD') order by d.day),
    revision = e.revision + 1, updated_at = prebooking.now(), look_at = prebooking.now()
  where e.id = s.id
$$;

-- Makes other series due whose day the prebooking filled, since it is about to be cancelled. They are locked. Their
-- revision changes, so that a caller who has read one of them before has to read it again.
create or replace function prebooking.leave_day(p public.prebookings) returns void
language sql volatile as $$
  update public.prebooking_series e set revision = e.revision + 1, look_at = prebooking.now()
  where e.user_email = pg_catalog.lower(p.user_email) and p.series_id is distinct from e.id and prebooking.has_day(p, e)
$$;

-- Cancels those of the series' prebookings that can be cancelled. The caller holds the locks of all the user's series.
create or replace function prebooking.cancel_of_series(p_series_id uuid, p_ids uuid[]) returns jsonb
language plpgsql as $$
declare
  going constant uuid[] := array(
    select p.id from public.prebookings p
    where p.id = any (p_ids) and p.series_id = p_series_id and (p.status in ('pending', 'loaded')
      or (p.status = 'executing' and not prebooking.is_begun(p)))
    order by p.id for update);
  cancelled jsonb;
begin
  perform prebooking.leave_day(p) from public.prebookings p where p.id = any (going);
  with gone as (
    update public.prebookings p set status = 'cancelled', claim_token = null, lease_until = null, retry_at = null
    where p.id = any (going)
    returning p.*
  )
  select coalesce(pg_catalog.jsonb_agg(prebooking.as_json(g::public.prebookings)), '[]') into cancelled from gone g;
  return cancelled;
end $$;

-- p_revision: that of the series as the caller has read it; `stale`: the caller has to read it again.
-- p_cancel: the prebookings that no longer fit. Those that have begun stay.
create or replace function public.change_series(
  p_id uuid, p_user_email text, p_revision integer, p_weekly jsonb, p_paused boolean, p_skip text[], p_cancel uuid[],
  p_max_active integer default null
) returns jsonb language plpgsql as $$
declare
  s public.prebooking_series;
  refusal jsonb;
  cancelled jsonb;
begin
  perform prebooking.lock_series(p_user_email);
  select * into s from public.prebooking_series e
    where e.id = p_id and e.user_email = pg_catalog.lower(p_user_email) for update;
  if not found then
    return '{"outcome": "not_found"}';
  elsif s.revision <> p_revision then
    return prebooking.series_answer('stale', s);
  end if;
  refusal := prebooking.refuse_changes(p_user_email, p_max_active);
  if refusal is not null then
    return refusal;
  end if;
  cancelled := prebooking.cancel_of_series(p_id, p_cancel);
  update public.prebooking_series set
    weekly = p_weekly, paused = p_paused, skip = p_skip, revision = revision + 1,
    updated_at = prebooking.now(), look_at = prebooking.now() + interval '5 seconds'
  where id = p_id returning * into s;
  return prebooking.series_answer('changed', s) || pg_catalog.jsonb_build_object('cancelled', cancelled);
end $$;

-- p_keep: pending prebookings stay, as ordinary ones; otherwise they are cancelled.
create or replace function public.end_series(p_id uuid, p_user_email text, p_keep boolean)
returns jsonb language plpgsql as $$
declare
  cancelled jsonb := '[]';
  own uuid[];
begin
  perform prebooking.lock_series(p_user_email);
  perform from public.prebooking_series e
    where e.id = p_id and e.user_email = pg_catalog.lower(p_user_email) for update;
  if not found then
    return '{"outcome": "not_found"}';
  end if;
  own := array(
    select p.id from public.prebookings p
    where p.series_id = p_id and p.status in ('pending', 'loaded', 'executing')
    order by p.id for update);
  if p_keep then
    update public.prebookings set series_id = null where id = any (own);
  else
    cancelled := prebooking.cancel_of_series(p_id, own);
  end if;
  delete from public.prebooking_series e where e.id = p_id;
  return pg_catalog.jsonb_build_object('outcome', 'ended', 'cancelled', cancelled);
end $$;
