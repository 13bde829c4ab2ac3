-- Functions that all transitions share: the clock, the row as JSON, and how a row without a claim ends.

-- The database's clock decides what is due, whose lease has ended and what is over.
-- A function, so that a test can set it. clock_timestamp(): a transaction that waited for a lock needs the current
-- time.
create or replace function prebooking.now() returns timestamptz
language sql volatile as $$ select pg_catalog.clock_timestamp() $$;

create or replace function prebooking.seconds_until(p_instant timestamptz) returns double precision
language sql volatile as $$
  select greatest(0, extract(epoch from p_instant - prebooking.now()))::double precision
$$;

-- Parses an instant; null if it is none.
create or replace function prebooking.instant(p_text text) returns timestamptz
language plpgsql stable set timezone = 'UTC' as $$
begin
  -- A date first: the database also takes `infinity`, `now` and `tomorrow` for instants.
  if p_text ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}' then
    return p_text::timestamptz;
  end if;
  return null;
exception when data_exception then
  return null;
end $$;

-- The class's start by the booking data; null if it is missing or can't be parsed.
create or replace function prebooking.told_start(p_booking_data jsonb) returns timestamptz
language sql stable as $$ select prebooking.instant(p_booking_data ->> 'classTimeUTC') $$;

-- When a row is over: at the class's start, else a day and a half after its day began (UTC), else, for unreadable data
-- of the web application, after its opening.
create or replace function prebooking.give_up_at(p_booking_data jsonb, p_available_at timestamptz)
returns timestamptz language plpgsql stable set timezone = 'UTC' as $$
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

-- Rows are inserted by create_prebooking and, while it is in use, by the web application.
create or replace function prebooking.fill_row() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' and new.starts_at is null then
    new.starts_at := prebooking.told_start(new.booking_data);
  end if;
  if new.give_up_at is null then
    new.give_up_at := prebooking.give_up_at(new.booking_data, new.available_at);
  end if;
  if new.status <> 'failed' then
    new.error_code := null; -- the old writers don't set it
  end if;
  new.updated_at := prebooking.now();
  return new;
end $$;

-- An update that only renews a lease is no change: `updated_at` stays, and open pages are not sent the row.
create or replace trigger prebookings_fill_row
  before insert on public.prebookings for each row execute function prebooking.fill_row();
create or replace trigger prebookings_changed_fill_row
  before update on public.prebookings for each row
  when (new.lease_until is not distinct from old.lease_until or (
    new.status, new.claim_token, new.begun_token, new.ended_token) is distinct from (
    old.status, old.claim_token, old.begun_token, old.ended_token))
  execute function prebooking.fill_row();

-- Sets the same for existing rows (by the trigger), and the start of those that may still be tried.
update public.prebookings set version = version where give_up_at is null;
update public.prebookings set starts_at = prebooking.told_start(booking_data)
where starts_at is null and status in ('pending', 'loaded', 'executing', 'failed')
  and prebooking.told_start(booking_data) is not null;

-- An executing row without a claim is the old cron's: it may have sent its request.
create or replace function prebooking.is_begun(p public.prebookings) returns boolean
language sql immutable as $$
  select p.booking_started_at is not null or (p.status = 'executing' and p.claim_token is null)
$$;

create or replace function prebooking.lease_end(p public.prebookings) returns timestamptz
language sql immutable as $$
  select case when p.status = 'executing' then coalesce(p.lease_until, p.available_at + interval '2 minutes') end
$$;

-- The box of a row; for one of the web application by the web application's table, if there is one.
create or replace function prebooking.box_of(
  p public.prebookings, out subdomain text, out aimharder_id text
) language plpgsql stable as $$
begin
  subdomain := p.box_subdomain;
  aimharder_id := p.box_aimharder_id;
  if subdomain is null and p.box_id is not null and pg_catalog.to_regclass('public.boxes') is not null then
    select b.subdomain, b.box_id into subdomain, aimharder_id from public.boxes b where b.id = p.box_id;
  end if;
end $$;

-- The row as the API shows it. Data of another shape, by an old writer, must not make a query of several rows fail.
create or replace function prebooking.as_json(p public.prebookings) returns jsonb
language plpgsql stable set timezone = 'UTC' as $$
declare
  box record;
begin
  box := prebooking.box_of(p);
  return pg_catalog.jsonb_build_object(
    'id', p.id, 'user_email', p.user_email,
    'status', case p.status when 'loaded' then 'pending' else p.status end,
    'version', p.version, 'attempts', p.attempts,
    'available_at', case when isfinite(p.available_at) then p.available_at else '2100-01-01' end,
    'box_subdomain', box.subdomain, 'box_aimharder_id', box.aimharder_id, 'box_domain', p.box_domain,
    'booking_data', case when pg_catalog.jsonb_typeof(p.booking_data) = 'object' then p.booking_data else '{}' end,
    'class', p.class, 'series_id', p.series_id,
    'qstash_schedule_id', p.qstash_schedule_id,
    'warning', case when p.status in ('pending', 'loaded') then p.warning end,
    'result', case when pg_catalog.jsonb_typeof(p.result) = 'object' then p.result end, 'error_code', p.error_code,
    'error_message', p.error_message, 'created_at', p.created_at, 'updated_at', p.updated_at,
    'executed_at', p.executed_at);
end $$;

-- Returns a refusal with its reason.
create or replace function prebooking.answer(p_outcome text, p public.prebookings) returns jsonb
language sql stable as $$
  select pg_catalog.jsonb_build_object('outcome', p_outcome, 'prebooking', prebooking.as_json(p))
$$;

-- Ends a row that nobody holds and that was not begun, or (outcome_unknown) was begun and could not be settled: then
-- the begin mark stays, because it may be booked.
create or replace function prebooking.end_row(p public.prebookings, p_outcome text, p_message text)
returns public.prebookings language plpgsql as $$
begin
  update public.prebookings set
    status = 'failed', error_code = p_outcome, error_message = p_message, executed_at = prebooking.now(),
    claim_token = null, lease_until = null, retry_at = null,
    result = pg_catalog.jsonb_build_object(
      'success', false, 'outcome', p_outcome, 'bookingId', null, 'bookState', null, 'message', p_message,
      'timings', pg_catalog.jsonb_build_object(
        'delivered_at', null, 'claimed_at', null, 'ready_at', null, 'fired_at', p.shots -> 0 -> 'fired_at',
        'fire_lateness_ms', case when p.shots -> 0 is not null then greatest(0, pg_catalog.round(
          1000 * extract(epoch from (p.shots -> 0 ->> 'fired_at')::timestamptz - p.available_at), 3)) end,
        'answered_at', null, 'response_ms', null, 'clock_offset_ms', null, 'shots', p.shots))
  where id = p.id
  returning * into p;
  return p;
end $$;
