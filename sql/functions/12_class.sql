-- A class by its hour and name: its id may be unknown, or may change before it opens.

-- Returns a name without case, accents and double spaces, or null if there is none. The service compares names in the
-- same way (domain/wished_class.py); a test compares the two.
create or replace function prebooking.plain_name(p_name text) returns text
language sql immutable as $$
  select nullif(pg_catalog.btrim(pg_catalog.regexp_replace(
    pg_catalog.lower(pg_catalog.regexp_replace(normalize(p_name, NFKD), '[\u0300-\u036f]', '', 'g')),
    '[ \t\n\r\f\v]+', ' ', 'g')), '')
$$;

-- Returns the wish key: two prebookings with the same key are the same wish. It is a JSON array, which separates the
-- values. Without an id it has the hour and name of p_class.
drop function if exists prebooking.wish_key(text, text, jsonb);
create or replace function prebooking.wish_key(
  p_user_email text, p_box_subdomain text, p_booking_data jsonb, p_class jsonb default null
) returns text language sql immutable as $$
  select pg_catalog.jsonb_build_array(
    pg_catalog.lower(p_user_email), p_box_subdomain, p_booking_data ->> 'day',
    case when p_booking_data ->> 'id' is null and p_class is not null
      then pg_catalog.jsonb_build_array(p_class ->> 'starts', prebooking.plain_name(p_class ->> 'name'))
      else pg_catalog.to_jsonb(p_booking_data ->> 'id') end,
    coalesce(p_booking_data ->> 'familyId', ''))::text
$$;

-- Returns the instant at which clocks in the zone show that hour (HH:MM) of the day (YYYYMMDD), as
-- domain/opening_rules.py does: an hour that the clocks skip is read with the offset before, one that they show twice
-- is the first of the two. Null if it is unknown.
create or replace function prebooking.on_the_wall_clock(p_day text, p_hour text, p_zone text) returns timestamptz
language plpgsql stable as $$
declare
  shown timestamp;
begin
  if p_day !~ '^[0-9]{8}$' or p_hour !~ '^[0-9]{2}:[0-9]{2}$' then
    return null;
  end if;
  shown := p_day::date + p_hour::time;
  return least(shown at time zone p_zone, (shown - interval '1 hour') at time zone p_zone + interval '1 hour');
exception when data_exception then
  return null;
end $$;

-- Returns the hour (HH:MM) that clocks in the zone show then; null if the database does not know the zone.
create or replace function prebooking.hour_of(p_instant timestamptz, p_zone text) returns text
language plpgsql stable as $$
begin
  return pg_catalog.to_char(p_instant at time zone p_zone, 'HH24:MI');
exception when data_exception then
  return null;
end $$;

-- Returns the class as its row stores it: with its own zone, else that of the rule, else that of the box (by the user's
-- last prebooking there), else that of most gyms.
create or replace function prebooking.class_told(
  p_class jsonb, p_time_zone text, p_user_email text, p_box_subdomain text
) returns jsonb language sql stable as $$
  select pg_catalog.jsonb_build_object(
    'starts', p_class ->> 'starts', 'name', nullif(pg_catalog.btrim(p_class ->> 'name'), ''),
    'time_zone', coalesce(
      p_class ->> 'time_zone', p_time_zone,
      (select p.time_zone from public.prebookings p
        where pg_catalog.lower(p.user_email) = pg_catalog.lower(p_user_email)
          and p.box_subdomain = p_box_subdomain and p.time_zone is not null
        order by p.created_at desc, p.id desc limit 1),
      'Europe/Madrid'))
  where p_class ->> 'starts' is not null
$$;
