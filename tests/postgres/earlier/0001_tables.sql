-- The two tables. Both may exist already, with rows, made by the web application: every column and row is kept,
-- what is added is nullable or has a default, and each check holds for whatever its writers set.

-- What the outside may not call lives in its own schema, which no API exposes.
create schema if not exists prebooking;

-- Hosted Supabase has these roles; a bare Postgres gets them here, so that the grants mean the same everywhere.
do $$
declare
  role_name text;
begin
  foreach role_name in array array['anon', 'authenticated', 'service_role'] loop
    if not exists (select from pg_catalog.pg_roles where rolname = role_name) then
      execute format('create role %I nologin noinherit', role_name);
      if role_name = 'service_role' then
        alter role service_role bypassrls;
      end if;
    end if;
  end loop;
end $$;

create table if not exists public.prebookings (
  id uuid primary key default gen_random_uuid(),
  user_email text not null,
  booking_data jsonb not null,
  available_at timestamptz not null,
  status text not null default 'pending',
  result jsonb,
  error_message text,
  created_at timestamptz not null default now(),
  loaded_at timestamptz,
  executed_at timestamptz
);

alter table public.prebookings
  add column if not exists qstash_schedule_id text,      -- the id of the message that rings at the opening
  add column if not exists box_id uuid,                  -- the web application's boxes.id, on adopted rows
  add column if not exists box_subdomain text,
  add column if not exists box_aimharder_id text,
  add column if not exists wish_key text,                -- null on adopted rows, which may hold old duplicates
  add column if not exists version integer not null default 1,
  add column if not exists scheduled_version integer,    -- the version that has a message
  add column if not exists armed_at timestamptz,         -- when it was created, moved or retried
  add column if not exists give_up_at timestamptz,
  add column if not exists attempts integer not null default 0,
  add column if not exists retry_at timestamptz,         -- a released row waits until then
  add column if not exists claim_token uuid,             -- who may execute it; null unless executing under a claim
  add column if not exists claimed_at timestamptz,
  add column if not exists claim_counted boolean not null default false, -- whether this claim counts as an attempt
  add column if not exists lease_until timestamptz,
  add column if not exists ended_token uuid,             -- the token that released or parked it last
  add column if not exists finished_token uuid,          -- the token that finished it
  add column if not exists retry_token uuid,             -- the call that retried it last
  add column if not exists replaced_message_id text,     -- the message that this one replaced, to be deleted
  add column if not exists booking_started_at timestamptz, -- the begin mark
  add column if not exists begun_token uuid,             -- the claim that set the begin mark
  add column if not exists parks integer not null default 0,
  add column if not exists last_outcome text,            -- the last true reason for not being booked yet
  add column if not exists last_message text,
  add column if not exists shots jsonb not null default '[]',
  add column if not exists delivery_failures integer not null default 0,
  add column if not exists delivery_failure text,
  add column if not exists error_code text,
  add column if not exists updated_at timestamptz not null default now();

do $$
begin
  if not exists (select from pg_catalog.pg_constraint where conname = 'prebookings_known_status') then
    alter table public.prebookings
      -- `loaded` is the old cron's; it is read as pending.
      add constraint prebookings_known_status
        check (status in ('pending', 'loaded', 'executing', 'completed', 'failed', 'cancelled')),
      add constraint prebookings_counts
        check (version >= 1 and attempts >= 0 and parks >= 0 and delivery_failures >= 0),
      -- A message can't have been published for a version that doesn't exist yet.
      add constraint prebookings_scheduled_version check (scheduled_version between 1 and version),
      -- A begin mark always names the claim that set it.
      add constraint prebookings_begin_mark check ((booking_started_at is null) = (begun_token is null)),
      -- A lease without a holder would block the row for nobody.
      add constraint prebookings_lease_has_holder check (lease_until is null or claim_token is not null),
      -- A reason for failure stands on a failed row alone.
      add constraint prebookings_error_code check (error_code is null or status = 'failed'),
      -- A wish names a box.
      add constraint prebookings_wish_has_box check (wish_key is null or box_subdomain is not null);
  end if;
end $$;

-- Prevents two active prebookings of one wish, from two tabs or two replicas.
create unique index if not exists prebookings_one_active_wish
  on public.prebookings (wish_key) where status in ('pending', 'loaded', 'executing');
-- The sweep: what is due, what has no message, whose lease ends.
create index if not exists prebookings_due
  on public.prebookings (available_at, created_at) where status in ('pending', 'loaded');
create index if not exists prebookings_over
  on public.prebookings (give_up_at) where status in ('pending', 'loaded');
create index if not exists prebookings_without_message
  on public.prebookings (available_at)
  where status in ('pending', 'loaded') and scheduled_version is distinct from version;
create index if not exists prebookings_leases
  on public.prebookings (lease_until) where status = 'executing';
-- The list of one user, newest first.
create index if not exists prebookings_of_user
  on public.prebookings (lower(user_email), created_at desc, id desc);

create table if not exists public.auth_sessions (
  id uuid primary key default gen_random_uuid(),
  user_email varchar(255) not null,
  aimharder_token text not null,
  aimharder_cookies jsonb not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  last_refresh_date timestamptz,
  refresh_count integer default 0,
  last_refresh_error text,
  auto_refresh_enabled boolean default true,
  last_token_update_date timestamp,
  token_update_count integer default 0,
  last_token_update_error text,
  fingerprint varchar(50) not null,
  is_admin boolean default false,
  session_type text default 'device' check (session_type in ('background', 'device')),
  protected boolean default false,
  unique (user_email, fingerprint)
);

alter table public.auth_sessions
  add column if not exists fingerprint varchar(50),
  add column if not exists session_type text default 'device',
  add column if not exists last_token_update_date timestamp,
  add column if not exists token_update_count integer default 0,
  add column if not exists last_token_update_error text,
  add column if not exists refresh_lease uuid,           -- who is refreshing the rotating token
  add column if not exists refresh_lease_until timestamptz;

create index if not exists auth_sessions_of_user on public.auth_sessions (lower(user_email));
