-- A class by its hour and name: {"starts": "HH:MM", "name": text or null, "time_zone": IANA's name}.
alter table public.prebookings
  add column if not exists class jsonb
    constraint prebookings_class check (
      class is null or coalesce(class ->> 'starts' ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$', false)),
  -- The class that the last begin was for, by the gym's listing: {"id", "starts", "name"}, each null where not known.
  add column if not exists begun_as jsonb,
  add column if not exists waits_for uuid;               -- the user's other prebooking that may be booking this class
-- What a user has booked, or may be booking, on one day: asked by each begin.
create index if not exists prebookings_begun_of_day
  on public.prebookings (lower(user_email), (booking_data ->> 'day'))
  where status = 'completed' or status = 'executing' or booking_started_at is not null;
