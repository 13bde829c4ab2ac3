-- Prevents double bookings of a class that a member has prebooked twice: by its id, and by its hour and name. No two
-- prebookings of one member that may be for the same class are begun at the same time, nor one after the other was
-- booked. An unknown field never counts as a difference.

-- Returns the known fields of the row's class. p_learnt: those by the gym's listing, {"id", "starts", "name",
-- "beside"}: `beside` has the ids of the other listed classes. The name on the user's page (activityName) is not
-- compared.
create or replace function prebooking.known_class(p public.prebookings, p_learnt jsonb) returns jsonb
language sql stable as $$
  select pg_catalog.jsonb_build_object(
    'ids', pg_catalog.jsonb_path_query_array(
      pg_catalog.jsonb_build_array(p.booking_data ->> 'id', p_learnt ->> 'id', p.result ->> 'class_id'),
      '$[*] ? (@ != null)'),
    'beside', coalesce(p_learnt -> 'beside', '[]'),
    'starts_at', p.starts_at,
    'starts', coalesce(p_learnt ->> 'starts', p.class ->> 'starts', prebooking.hour_of(p.starts_at, p.time_zone)),
    'name', prebooking.plain_name(coalesce(p_learnt ->> 'name', p.class ->> 'name')))
$$;

-- Returns whether one listing has both of them.
create or replace function prebooking.are_listed_apart(p_one jsonb, p_other jsonb) returns boolean
language sql immutable as $$
  select p_other -> 'ids' <> '[]' and p_one -> 'beside' @> (p_other -> 'ids')
$$;

-- Returns whether they may be the same class: the same id, or the same hour (and name, if both have one). If an hour is
-- unknown they differ if they start at different instants, or if one listing has both of them.
create or replace function prebooking.may_be_same_class(p_one jsonb, p_other jsonb) returns boolean
language sql immutable as $$
  select exists (
      select from pg_catalog.jsonb_array_elements(p_one -> 'ids') a (id)
      join pg_catalog.jsonb_array_elements(p_other -> 'ids') b (id) on a.id = b.id)
    or coalesce(
      p_one ->> 'starts' = p_other ->> 'starts' and coalesce(p_one ->> 'name' = p_other ->> 'name', true),
      case when p_one ->> 'starts_at' <> p_other ->> 'starts_at' then false end,
      not prebooking.are_listed_apart(p_one, p_other))
$$;

-- Returns another of the user's prebookings for that box, day and family member that is begun or booked and may be for
-- the same class. The caller has taken the user's turn. p_learnt: see known_class.
-- p_absent: the gym's listing, requested since this claim, has the class without the user. Then a booking from before
-- the claim does not count, if the listing has both of them; otherwise, as a listing may lag, if it is half a minute
-- older: the member has cancelled it at the gym, or it is another class.
create or replace function prebooking.other_of_same_class(p public.prebookings, p_learnt jsonb, p_absent boolean)
returns public.prebookings language plpgsql stable as $$
declare
  wanted jsonb; -- evaluated only if there is another prebooking
  other public.prebookings;
  theirs jsonb;
begin
  for other in
    select o.* from public.prebookings o
    where pg_catalog.lower(o.user_email) = pg_catalog.lower(p.user_email)
      and o.booking_data ->> 'day' = p.booking_data ->> 'day'
      and (o.status = 'completed' or o.status = 'executing' or o.booking_started_at is not null)
      and o.id <> p.id and coalesce(o.booking_data ->> 'familyId', '') = coalesce(p.booking_data ->> 'familyId', '')
      and (prebooking.is_begun(o) or (o.status = 'completed' and o.result ->> 'given_back_at' is null
        and not (p_absent and o.executed_at < p.claimed_at - interval '30 seconds')))
    order by o.status = 'completed', o.booking_started_at
  loop
    wanted := coalesce(wanted, prebooking.known_class(p, p_learnt));
    theirs := prebooking.known_class(other, other.begun_as);
    if coalesce((prebooking.box_of(other)).subdomain = (prebooking.box_of(p)).subdomain, true)
      and prebooking.may_be_same_class(wanted, theirs)
      and not (p_absent and other.status = 'completed' and other.executed_at < p.claimed_at
        and prebooking.are_listed_apart(wanted, theirs)) then
      return other;
    end if;
  end loop;
  return null;
end $$;

-- Returns whether the prebooking that this one waits for may still be booking its class.
create or replace function prebooking.has_to_wait(p public.prebookings) returns boolean
language sql stable as $$
  select p.waits_for is not null and coalesce(
    (select prebooking.is_begun(o) from public.prebookings o where o.id = p.waits_for), false)
$$;
