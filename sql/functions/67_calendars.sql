-- Users' calendars, which anybody with the secret address can read: created, removed, and read by the secret's hash.

-- The caller makes the secret; a new one replaces the old. p_sub: the account of the caller, null for a trusted server.
-- taken: the account does not own the e-mail address any more.
create or replace function public.make_calendar(p_user_email text, p_secret_hash text, p_sub text default null)
returns jsonb language plpgsql as $$
declare
  address constant text := pg_catalog.lower(p_user_email);
begin
  perform prebooking.take_turn(address); -- serialized with own_email and release_email, which remove it
  if p_sub is not null
    and exists (select from prebooking.email_owners o where o.email = address and o.sub is distinct from p_sub) then
    return '{"outcome": "taken"}';
  end if;
  insert into prebooking.calendars (user_email, secret_hash, made_at) values (address, p_secret_hash, prebooking.now())
    on conflict (user_email) do update set secret_hash = excluded.secret_hash, made_at = excluded.made_at;
  return '{"outcome": "made"}';
end $$;

create or replace function public.end_calendar(p_user_email text) returns jsonb language plpgsql as $$
begin
  delete from prebooking.calendars c where c.user_email = pg_catalog.lower(p_user_email);
  return '{"outcome": "ended"}';
end $$;

-- Removes the calendar when an address is taken from its account, or the account is deleted here.
create or replace function prebooking.owner_is_gone() returns trigger language plpgsql as $$
begin
  delete from prebooking.calendars c where c.user_email = old.email;
  return null;
end $$;
create or replace trigger email_owners_gone_ends_calendar
  after delete on prebooking.email_owners for each row execute function prebooking.owner_is_gone();
create or replace trigger email_owners_left_ends_calendar
  after update of sub on prebooking.email_owners for each row
  when (old.sub is not null and old.sub is distinct from new.sub) execute function prebooking.owner_is_gone();

-- Returns null if it is not an instant that a calendar can show.
create or replace function prebooking.shown_instant(p_text text) returns timestamptz
language sql stable as $$
  select i.instant from (select prebooking.instant(p_text)) i (instant)
  where i.instant between '1970-01-02' and '2200-01-01'
$$;

-- Returns the fields that a calendar shows of a row, with bounded lengths.
create or replace function prebooking.calendar_entry(p public.prebookings) returns jsonb
language plpgsql stable set timezone = 'UTC' as $$
declare
  box record;
begin
  box := prebooking.box_of(p);
  return pg_catalog.jsonb_build_object(
    'id', p.id, 'status', case p.status when 'loaded' then 'pending' else p.status end,
    'outcome', pg_catalog.left(p.result ->> 'outcome', 40),
    'given_back', p.result ->> 'given_back_at' is not null,
    'day', case when p.booking_data ->> 'day' ~ '^[0-9]{8}$' then p.booking_data ->> 'day' end,
    'starts_at', prebooking.shown_instant(coalesce(p.starts_at::text, p.booking_data ->> 'classTimeUTC')),
    'minutes', case when p.result ->> 'class_minutes' ~ '^[0-9]{1,4}$' then (p.result ->> 'class_minutes')::integer end,
    'opens_at', prebooking.shown_instant(p.available_at::text), 'time_zone', pg_catalog.left(p.time_zone, 64),
    'name', pg_catalog.left(coalesce(p.booking_data ->> 'activityName', p.class ->> 'name'), 200),
    'gym', pg_catalog.left(coalesce(p.booking_data ->> 'boxName', box.subdomain), 200),
    'created_at', p.created_at, 'updated_at', p.updated_at);
end $$;

-- Returns at most p_limit entries, newest first: active and booked ones, and for 30 days those that were cancelled or
-- given back.
create or replace function public.read_calendar(p_secret_hash text, p_limit integer default 500)
returns jsonb language plpgsql stable as $$
declare
  address text;
  since constant timestamptz := prebooking.now() - interval '30 days';
  entries jsonb;
begin
  select c.user_email into address from prebooking.calendars c where c.secret_hash = p_secret_hash;
  if not found then
    return '{"outcome": "not_found"}';
  end if;
  select coalesce(pg_catalog.jsonb_agg(prebooking.calendar_entry(r) order by r.created_at desc, r.id desc), '[]')
  into entries
  from (
    select p.* from public.prebookings p
    where pg_catalog.lower(p.user_email) = address and case
      when p.status in ('pending', 'loaded', 'executing') then true
      when p.status = 'completed' and p.result ->> 'given_back_at' is null then true
      when p.status = 'completed' then
        coalesce(prebooking.shown_instant(p.result ->> 'given_back_at'), p.updated_at) > since
      when p.status = 'cancelled' then p.updated_at > since
      else false end
    order by p.created_at desc, p.id desc
    limit p_limit
  ) r;
  return pg_catalog.jsonb_build_object('outcome', 'read', 'entries', entries);
end $$;
