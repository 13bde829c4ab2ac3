-- Creates the prebookings of a series' days: each at most once, with any number of concurrent and repeated calls.

-- Creates the prebooking of one day. Returns the outcome of create_row.
create or replace function prebooking.make_day(s public.prebooking_series, p_day jsonb, p_max_active integer)
returns text language plpgsql as $$
declare
  w constant jsonb := s.weekly;
  row_id constant uuid := p_day ->> 'id';
  answer jsonb;
begin
  answer := prebooking.create_row(
    row_id, s.user_email, w ->> 'box_subdomain', w ->> 'box_aimharder_id',
    pg_catalog.jsonb_build_object('day', p_day -> 'day', 'familyId', w -> 'family_id', 'insist', w -> 'insist'),
    (p_day ->> 'opens_at')::timestamptz, p_max_active, null, (p_day ->> 'starts_at')::timestamptz, w ->> 'time_zone',
    w ->> 'box_domain', pg_catalog.jsonb_build_object('starts', w -> 'starts', 'name', w -> 'name'));
  if answer ->> 'outcome' = 'created' then
    update public.prebookings p set series_id = s.id where p.id = row_id;
  end if;
  return answer ->> 'outcome';
end $$;

-- Creates the missing prebookings of due days. p_days: [{"id", "day", "opens_at", "starts_at"}], by the opening; the
-- caller makes the ids, so a repeat gets the first answer. p_look_at: when the next day becomes due.
create or replace function public.fill_series(
  p_id uuid, p_revision integer, p_days jsonb, p_max_active integer, p_look_at timestamptz
) returns jsonb language plpgsql as $$
declare
  address constant text := (select e.user_email from public.prebooking_series e where e.id = p_id);
  ids constant uuid[] := array(select (d ->> 'id')::uuid from pg_catalog.jsonb_array_elements(p_days) d);
  s public.prebooking_series;
  taken jsonb;
  day jsonb;
  outcome text;
  made integer := 0;
  refused jsonb := '{}';
  rows jsonb;
begin
  if address is null then
    return '{"outcome": "not_found"}';
  end if;
  perform prebooking.take_turn(address);
  select * into s from public.prebooking_series e where e.id = p_id for update;
  if not found then
    return '{"outcome": "not_found"}';
  elsif s.revision <> p_revision or s.user_email <> address then
    if not exists (select from public.prebookings p where p.id = any (ids)) then
      return prebooking.series_answer('stale', s);
    end if; -- else the answer to the first call was lost
  else
    taken := prebooking.taken_days(s);
    for day in select e.d from pg_catalog.jsonb_array_elements(p_days) with ordinality as e (d, n) order by e.n loop
      continue when taken @> pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('day', day -> 'day'));
      outcome := prebooking.make_day(s, day, p_max_active);
      if outcome = 'created' then
        made := made + 1;
      else -- also if another prebooking has the same wish key, but another class by now
        refused := refused || pg_catalog.jsonb_build_object(day ->> 'day', pg_catalog.replace(outcome, '_', '-'));
      end if;
    end loop;
    if refused::text like '%too-many%' and s.reasons::text not like '%too-many%' then
      perform prebooking.tell_not_made(s, refused);
    end if;
    update public.prebooking_series e set
      reasons = refused, revision = e.revision + (made > 0)::integer,
      -- There is room when another prebooking ends.
      look_at = case when refused = '{}' then p_look_at else least(p_look_at, prebooking.now() + interval '1 minute') end
    where e.id = p_id returning * into s;
  end if;
  select coalesce(pg_catalog.jsonb_agg(prebooking.as_json(p) order by p.available_at), '[]') into rows
    from public.prebookings p where p.id = any (ids) and p.series_id = p_id;
  return prebooking.series_answer('filled', s) || pg_catalog.jsonb_build_object('made', rows);
end $$;

-- Returns series with a due day, each to one caller. Unless it is filled it is returned again after a minute.
create or replace function public.take_series(p_limit integer default 20) returns jsonb
language plpgsql as $$
declare
  t constant timestamptz := prebooking.now();
  taken jsonb;
begin
  with due as (
    select e.id from public.prebooking_series e where e.look_at <= t order by e.look_at limit p_limit
    for update skip locked
  ), leased as (
    update public.prebooking_series e set look_at = t + interval '1 minute' from due where e.id = due.id returning e.*
  )
  select coalesce(pg_catalog.jsonb_agg(prebooking.series_as_json(l::public.prebooking_series)), '[]') into taken
  from leased l;
  return pg_catalog.jsonb_build_object('outcome', 'taken', 'series', taken);
end $$;
