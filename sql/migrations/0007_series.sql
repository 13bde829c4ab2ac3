-- A class that is wanted every week. Its days become prebookings one after the other.
create table if not exists public.prebooking_series (
  id uuid primary key,
  user_email text not null,                              -- lower-cased
  weekly jsonb not null,                                 -- what is wanted, and the rule by which the gym opens it
  paused boolean not null default false,
  skip text[] not null default '{}',                     -- days, YYYYMMDD
  reasons jsonb not null default '{}',                   -- by day: why there is no prebooking, though one is due
  revision integer not null default 1,                   -- rises with each change, and with each day that is made
  look_at timestamptz,                                   -- when there is a day to make; null: never
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint prebooking_series_weekly check (jsonb_typeof(weekly) = 'object')
);
create index if not exists prebooking_series_of_user on public.prebooking_series (user_email);
create index if not exists prebooking_series_to_look_at on public.prebooking_series (look_at) where look_at is not null;

-- The series that made it; null: none did.
alter table public.prebookings add column if not exists series_id uuid;
-- One prebooking a series and day, but for those that were cancelled or given back.
create unique index if not exists prebookings_of_series on public.prebookings (series_id, (booking_data ->> 'day'))
  where series_id is not null and status <> 'cancelled' and (result ->> 'given_back_at') is null;
-- What a series has that waits or is being booked: its next one, and all of them at its end.
create index if not exists prebookings_of_series_active on public.prebookings (series_id, available_at)
  where series_id is not null and status in ('pending', 'loaded', 'executing');

-- A notice may be of a series, where there is no prebooking to tell of.
alter table prebooking.notices
  add column if not exists series jsonb,
  alter column prebooking drop not null,
  drop constraint if exists notices_kind_check,
  add constraint notices_kind_check check (kind in ('booked', 'waiting_list', 'failed', 'session_dead', 'not_made'));

-- The policies are in functions/90_browsers.sql.
alter table public.prebooking_series enable row level security;
revoke all on public.prebooking_series from public, anon, authenticated, service_role;
grant select, insert, update, delete on public.prebooking_series to service_role;
