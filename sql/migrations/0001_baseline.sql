-- The tables. `prebookings` and `auth_sessions` may exist already, with rows, made by the web application: every column
-- and row is kept, what is added is nullable or has a default, and each check holds for whatever its writers set.
-- A database that an earlier layout of these files has migrated, to whatever file, is brought to the same end.

-- What the outside may not call lives in its own schema, which no API exposes.
create schema if not exists prebooking;

create table if not exists prebooking.migrations (
  name text primary key, checksum text not null, applied_at timestamptz not null default now()
);

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
  add column if not exists updated_at timestamptz not null default now(),
  -- A token that has claimed a row and lost it never claims it again: a late copy of its claim would revive it, and
  -- with it whatever else its owner still has under way. So the row keeps every token of a claim (16 bytes each).
  add column if not exists claim_tokens uuid[] not null default '{}',
  add column if not exists changed_xid xid8,             -- the transaction that wrote it last
  add column if not exists warning jsonb,                -- {code, message, since}: what the user had better do
  add column if not exists starts_at timestamptz,        -- the class's start, where it is known
  add column if not exists time_zone text,               -- of the box's wall clock, as the wish named it
  add column if not exists message_address text,         -- what the message was ordered for
  add column if not exists readdressed_at timestamptz;   -- when it was last ordered anew for another address

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
-- The sweep: what is due, what has no message or one for another address, whose lease ends.
create index if not exists prebookings_due
  on public.prebookings (available_at, created_at) where status in ('pending', 'loaded');
create index if not exists prebookings_over
  on public.prebookings (give_up_at) where status in ('pending', 'loaded');
create index if not exists prebookings_without_message
  on public.prebookings (available_at)
  where status in ('pending', 'loaded') and scheduled_version is distinct from version;
create index if not exists prebookings_message_addresses
  on public.prebookings (message_address)
  where status in ('pending', 'loaded') and message_address is not null;
create index if not exists prebookings_leases
  on public.prebookings (lease_until) where status = 'executing';
-- The list of one user, newest first, and how many of theirs are active.
create index if not exists prebookings_of_user
  on public.prebookings (lower(user_email), created_at desc, id desc);
create index if not exists prebookings_active_of_user
  on public.prebookings (lower(user_email)) where status in ('pending', 'loaded', 'executing');
create index if not exists prebookings_changed on public.prebookings (changed_xid);
create index if not exists prebookings_ended
  on public.prebookings (updated_at) where status in ('completed', 'failed', 'cancelled');
-- What an operator asks: by status, newest first; what carries a warning; what the old cron ended, and what the web
-- application wrote.
create index if not exists prebookings_by_end
  on public.prebookings (status, executed_at) where status in ('completed', 'failed', 'cancelled');
create index if not exists prebookings_warned
  on public.prebookings (available_at) where status in ('pending', 'loaded') and warning is not null;
create index if not exists prebookings_ended_by_cron
  on public.prebookings (executed_at)
  where status in ('completed', 'failed') and not coalesce(result ? 'outcome', false);
create index if not exists prebookings_without_wish
  on public.prebookings (created_at) where wish_key is null;

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
  fingerprint varchar(50) not null,
  is_admin boolean default false,
  session_type text default 'device' check (session_type in ('background', 'device')),
  protected boolean default false,
  unique (user_email, fingerprint)
);

alter table public.auth_sessions
  add column if not exists fingerprint varchar(50),      -- this and the next: an early table has rows without
  add column if not exists session_type text default 'device',
  add column if not exists last_token_update_date timestamp,
  add column if not exists token_update_count integer default 0,
  add column if not exists last_token_update_error text,
  add column if not exists refresh_lease uuid,           -- who is refreshing the rotating token
  add column if not exists refresh_lease_until timestamptz,
  add column if not exists connected_at timestamptz,     -- when the user connected what the row holds
  -- Sealed secrets are bound to an e-mail, and stay so when the row goes to another.
  add column if not exists sealed_for text;              -- null: for the row's own e-mail

create index if not exists auth_sessions_of_user on public.auth_sessions (lower(user_email));
create index if not exists auth_sessions_sealed_under
  on public.auth_sessions (pg_catalog.split_part(aimharder_token, ':', 3)) where aimharder_token like 'enc:v1:%';

-- A create leaves its row in public.prebookings, whatever else orders a message leaves one here. Kept for a minute.
create table if not exists prebooking.retries (
  user_email text not null,
  retried_at timestamptz not null
);
create index if not exists retries_of_user on prebooking.retries (user_email, retried_at);
comment on table prebooking.retries is
  'Retries and moves of the last minute, and messages ordered anew for another address: each has ordered a message.';

-- How often AimHarder was asked about a user's session of late: each ask leaves its token here for a minute.
create table if not exists prebooking.session_checks (
  user_email text not null,
  token uuid not null,
  checked_at timestamptz not null,
  primary key (user_email, token)
);

create table if not exists prebooking.notices (
  id uuid primary key default gen_random_uuid(),         -- the webhook's id, the same however often it is sent
  key text not null unique,                              -- one event, one notice
  kind text not null check (kind in ('booked', 'waiting_list', 'failed', 'session_dead')),
  prebooking jsonb not null,                             -- the row as it was then
  created_at timestamptz not null,
  try_after timestamptz not null,                        -- whoever takes it has it alone until then
  message_id text,                                       -- the QStash message that carries it
  told_at timestamptz,                                   -- when QStash took that
  failures integer not null default 0,                   -- how often QStash gave up on it
  failure text
);
create index if not exists notices_message on prebooking.notices (message_id);
create index if not exists notices_to_tell on prebooking.notices (created_at, try_after) where told_at is null;
create index if not exists notices_told on prebooking.notices (created_at) where told_at is not null;
-- The earlier layout's.
drop index if exists prebooking.notices_untold, prebooking.notices_untold_by_age;
drop function if exists public.count_messages_elsewhere(text);
drop trigger if exists auth_sessions_moved_leaves_account on public.auth_sessions;

-- Beside the rows, so that a look locks no row, and is no change of it.
create table if not exists prebooking.session_watch (
  prebooking_id uuid primary key references public.prebookings (id) on delete cascade,
  lease_until timestamptz,                               -- somebody is looking
  looked_at timestamptz
);

-- Messages of `prebooking doctor` to the service itself, as they arrived. Kept for a day.
create table if not exists prebooking.pings (
  id uuid primary key,
  arrived_at timestamptz not null
);

create table if not exists prebooking.idempotency_keys (
  user_email text not null,                              -- lower-cased
  key uuid not null,                                     -- made of the request's path and its header
  prebooking_id uuid not null references public.prebookings (id) on delete cascade, -- the row that was answered
  outcome text not null,
  wish text,                                             -- what was asked for; null: a retry, whose row says it
  available_at timestamptz,                              -- the opening that was asked for; null: none was
  used_at timestamptz not null,
  primary key (user_email, key)
);
create index if not exists idempotency_keys_of_prebooking on prebooking.idempotency_keys (prebooking_id);

create table if not exists prebooking.email_owners (
  email text primary key,                                -- lower-cased
  sub text unique,                                       -- its account; null: free again
  owned_at timestamptz not null default now(),
  former_sub text,                                       -- whose it was until freed_at
  freed_at timestamptz
);

-- The account at AimHarder that a user has signed in to. Its row outlives what is forgotten: an answer that comes late
-- must find that out.
create table if not exists prebooking.accounts (
  user_email text primary key,                           -- lower-cased
  fingerprint text not null,                             -- of all sign-ins for this user: to AimHarder one device
  tickets bigint not null default 0,                     -- the last one given out: each sign-in begins with one
  generation bigint not null default 0,                  -- the ticket of what was stored or forgotten last
  account_email text,
  password text                                          -- null: not remembered
);
alter table prebooking.accounts
  add column if not exists sealed_for text,              -- whom the password is bound to; null: user_email
  add column if not exists password_refused boolean not null default false; -- by AimHarder: then it was forgotten

-- Tries to sign in, of the last quarter of an hour: of people, and of our own with a remembered password.
create table if not exists prebooking.sign_in_tries (
  token uuid primary key,
  user_email text not null,
  account_email text not null,
  tried_at timestamptz not null,
  ticket bigint not null,
  counts_for_account boolean not null default true       -- until somebody has signed in to that account
);
create index if not exists sign_in_tries_of_user on prebooking.sign_in_tries (user_email, tried_at desc);
create index if not exists sign_in_tries_of_account on prebooking.sign_in_tries (account_email, tried_at desc);
create index if not exists sign_in_tries_old on prebooking.sign_in_tries (tried_at);
create table if not exists prebooking.own_sign_ins (
  token uuid primary key,
  account_email text not null,
  tried_at timestamptz not null
);
create index if not exists own_sign_ins_of_account on prebooking.own_sign_ins (account_email, tried_at desc);
create index if not exists own_sign_ins_old on prebooking.own_sign_ins (tried_at);

-- Nobody reaches a table but the service, and browsers by functions/90_browsers.sql. `truncate` and the like come with
-- a hosted project's default privileges, and nobody needs them.
alter table public.prebookings enable row level security;
alter table public.auth_sessions enable row level security;
alter table prebooking.email_owners enable row level security;
revoke all on public.prebookings, public.auth_sessions from public, anon, authenticated, service_role;
revoke all on schema prebooking from public;
revoke all on all tables in schema prebooking from public;
grant usage on schema public, prebooking to service_role;
grant select on prebooking.migrations to service_role;
grant select, insert, delete on prebooking.retries, prebooking.session_checks, prebooking.pings to service_role;
grant select, insert, update on prebooking.email_owners to service_role;
grant select, insert, update, delete on
  public.prebookings, public.auth_sessions, prebooking.notices, prebooking.session_watch, prebooking.idempotency_keys,
  prebooking.accounts, prebooking.sign_in_tries, prebooking.own_sign_ins
  to service_role;

-- Realtime tells a subscriber of an insert or update only if the policy shows them the row, and only the columns that
-- were granted. It can't check a deleted row: the default identity has nothing but the id.
alter table public.prebookings replica identity default;
do $$
begin
  if exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime')
    and not exists (
      select from pg_catalog.pg_publication_tables
      where pubname = 'supabase_realtime' and schemaname = 'public' and tablename = 'prebookings') then
    alter publication supabase_realtime add table public.prebookings;
  end if;
end $$;

-- The files of the earlier layout, which this one stands for: a release that had them, rolled back to, applies none.
insert into prebooking.migrations (name, checksum) values
  ('0001_tables.sql', '93d7b728f36c7b8b49452aea2606552b27364818d9c275d2d26ac43a6d5b7a74'),
  ('0002_internals.sql', 'de0a2f4f255851a205dd22cecc0ecda5dc8ff32c9c925b733c682822f0499292'),
  ('0003_wishes.sql', 'c0e09a4d87a3a133c202be8bf69a7bb6f4b732af27af841499b6fccba0482caa'),
  ('0004_execution.sql', '9e4ca0a9048fa00440d8caefe9501c18c44376cb85dd623d5f8f5b0e900b2026'),
  ('0005_sweep.sql', '703417230d54cb402fd37371c6f4c2a9be9c239d6a74ebfafd4748d5594bbd30'),
  ('0006_sessions.sql', 'a8eb3a84eeb78a9dc45d244bd74047ce2206b8cc08637d14dcbd40b22899a977'),
  ('0007_grants.sql', 'f926c78a8611998ed62f493b5a6b41a0c6b201dcfbe7f6f7f69cb4ee93afe831'),
  ('0008_claim_tokens.sql', 'e128545dd473e11a703b6b3fd4ebc4895bf3e50a24f121794e74ecd5cda6f4cf'),
  ('0009_browsers.sql', '0cc6d68795fd5c8ae92082c126358ae0b0c7097aba8b276207eb5020e39adaf3'),
  ('0010_limits.sql', 'cfde9a5a66870076a9ae5d29c16dd4ff883a1bd8b3822e115c8fe1b668325fbe'),
  ('0011_sessions.sql', '2475c630e1b2ac146c21137774d8c0a635e31b0ac948c8aa40fec242dc4b3416'),
  ('0012_changes.sql', '477771aeea283b070e84a6ead45d27271402fc561927e74b289db1c4d544364f'),
  ('0013_notices.sql', 'b729571f617f66d4fd3b9277f1bd1745a44c09e9c243c77040bf50e740d1d5d7'),
  ('0014_session_watch.sql', '7bc4e57252bb97c585906c36316d798f28c8126f28f995ba2b6b1add9c3b6218'),
  ('0015_housekeeping.sql', '176281f12e6ff1bcb7122000dfbec039b2cc3b56ab849db4415e8fae6aff215d'),
  ('0016_inspection.sql', '9ad391d7c57e6e9efc1b5c4ba65d6996e5a911509266f334faaf59c91edb6193'),
  ('0017_old_news.sql', 'cdc5069428b5c97fa4c70f5620824fb9902429692a3bd3baebb78b649dbee78f'),
  ('0018_session_rotation.sql', '88c66e042367340b01c6256f5c8b0ba2ca4c4c64d35ac30b25dabcbadddc5230'),
  ('0019_moves.sql', 'bb73477e7aafa895ae9a6fa534682921625d74eea2e4a9843ef43947e739b034'),
  ('0020_leases.sql', '96901b4a39463b22d5add85fc65c84870d4c3d3be210c877cd4db4e4e7cb3ea7'),
  ('0021_class_start.sql', '2f335ed2501e3b659a9958c5203d6e7403af1e2d2e48967f64b82654878404b5'),
  ('0022_change_pages.sql', '447dda7aca9685514cd35f927c7559ed05a6895065b03618f2d0ed5008c1b611'),
  ('0023_idempotency.sql', '949e06152fcbb264b8bdb560599c4ada30aa341f9c7e8b227fe16d1858cdcdfe'),
  ('0024_email_owners.sql', 'ea860fae65f8da10d289d1f746def7a38cf142a2350596eecce03757067551d6'),
  ('0025_connect_session.sql', '7d4e95791d43372bf044ef9484c1613f85d7ed70c00b9cb47e987d8a83fc59fb'),
  ('0027_message_addresses.sql', '4e533b47bb80553710a9016ff369db6035df3ddb54fb1fac4803381a2f1b8652'),
  ('0028_notices_at_scale.sql', '00a209e18c17858f2ce6fa8595f37527e86820914c0f9971d8141b39be3835bb'),
  ('0030_inspection_at_scale.sql', '38051d59d5c65f63ff4150aabd26aeb30ce445baf869cd304b48a02aff40f896'),
  ('0032_sign_in.sql', '4089b6098c5b1eaa3bbe3497eab80efcb56f280ece5b88bf793497c61836a06f'),
  ('0033_sign_in_again.sql', 'c895dad141afd38b92f139228dca3e9f12e5f0b0946c0be282b07688dea1ca9d')
on conflict do nothing;
