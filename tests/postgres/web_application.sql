-- The web application's database as it stands before us: its tables, indexes, checks and triggers.

create table public.boxes (
  id uuid primary key default gen_random_uuid(),
  box_id text not null unique,
  subdomain text not null unique,
  name text not null,
  phone text,
  email text,
  address text,
  website text,
  logo_url text,
  base_url text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  timezone text not null default 'Europe/Madrid' check (timezone ~ '^[A-Za-z]+/[A-Za-z]+$')
);

create table public.user_boxes (
  id uuid primary key default gen_random_uuid(),
  user_email text not null,
  box_id uuid not null references public.boxes (id) on delete cascade,
  last_accessed_at timestamptz,
  detected_at timestamptz default now(),
  created_at timestamptz default now(),
  updated_at timestamptz default now(),
  unique (user_email, box_id)
);

create table public.prebookings (
  id uuid primary key default gen_random_uuid(),
  user_email text not null,
  booking_data jsonb not null,
  available_at timestamptz not null,
  status text not null default 'pending',
  result jsonb,
  error_message text,
  created_at timestamptz not null default now(),
  loaded_at timestamptz,
  executed_at timestamptz,
  qstash_schedule_id text,
  box_id uuid references public.boxes (id)
);
create index idx_prebookings_available_at_status on public.prebookings (available_at, status)
  where status in ('pending', 'loaded');
create index idx_prebookings_created_at on public.prebookings (created_at);
create index idx_prebookings_user_email on public.prebookings (user_email);
create index idx_prebookings_qstash on public.prebookings (qstash_schedule_id) where qstash_schedule_id is not null;
create index idx_prebookings_box_id on public.prebookings (box_id);
create index idx_prebookings_user_box on public.prebookings (user_email, box_id);

create table public.auth_sessions (
  id uuid primary key default gen_random_uuid(),
  user_email varchar(255) not null,
  aimharder_token text not null,
  aimharder_cookies jsonb not null,
  created_at timestamptz default now(),
  updated_at timestamptz default now(),
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
  constraint auth_sessions_user_fingerprint_unique unique (user_email, fingerprint)
);
create unique index idx_one_background_session on public.auth_sessions (user_email)
  where session_type = 'background';

create function public.update_updated_at_column() returns trigger language plpgsql as $$
begin
  new.updated_at = now();
  return new;
end $$;
create trigger update_auth_sessions_updated_at before update on public.auth_sessions
  for each row execute function public.update_updated_at_column();
create trigger update_boxes_updated_at before update on public.boxes
  for each row execute function public.update_updated_at_column();

create table public.session_locks (
  id uuid primary key default gen_random_uuid(),
  user_email varchar(255) not null,
  fingerprint varchar(50) not null,
  lock_acquired_at timestamptz not null default now(),
  lock_expires_at timestamptz not null,
  acquired_by text,
  created_at timestamptz default now()
);

insert into public.boxes (id, box_id, subdomain, name, base_url) values
  ('00000000-0000-0000-0000-00000000b001', '10584', 'kap', 'KAP', 'https://kap.aimharder.com'),
  ('00000000-0000-0000-0000-00000000b002', '9818', 'other', 'Other', 'https://other.aimharder.com');
insert into public.user_boxes (user_email, box_id) values ('ana@example.com', '00000000-0000-0000-0000-00000000b001');
insert into public.session_locks (user_email, fingerprint, lock_expires_at, acquired_by)
  values ('ana@example.com', 'bg-1', now(), 'cron');
insert into public.auth_sessions (user_email, aimharder_token, aimharder_cookies, fingerprint, session_type) values
  ('Ana@Example.com', '69232|1768841634|d1', '[{"name": "amhrdrauth", "value": "d1"}]', 'device-1', 'device'),
  ('Ana@Example.com', '69232|1768841634|b1', '[{"name": "amhrdrauth", "value": "b1"}]', 'bg-1', 'background'),
  ('bea@example.com', '69233|1768841634|d1', '[]', 'device-2', null);

-- One row of each kind; the id's end tells which. 2099-03-04 08:00 UTC is the instant at which the tests begin.
insert into public.prebookings
  (id, user_email, booking_data, available_at, status, result, error_message, created_at, loaded_at, executed_at,
   qstash_schedule_id, box_id)
values
  -- 1 waits, with the old writer's message; 2 is the same wish, clicked twice; 3 has numbers where strings belong.
  ('00000000-0000-0000-0000-000000000001', 'Ana@Example.com',
   '{"day": "20990305", "familyId": "", "id": "77", "insist": 0, "classTimeUTC": "2099-03-05T17:30:00Z"}',
   '2099-03-04 17:30+00', 'pending', null, null, '2099-03-01 10:00+00', null, null,
   'msg_old_1', '00000000-0000-0000-0000-00000000b001'),
  ('00000000-0000-0000-0000-000000000002', 'Ana@Example.com',
   '{"day": "20990305", "familyId": "", "id": "77", "insist": 0, "classTimeUTC": "2099-03-05T17:30:00Z"}',
   '2099-03-04 17:30+00', 'pending', null, null, '2099-03-01 10:00:01+00', null, null,
   'msg_old_2', '00000000-0000-0000-0000-00000000b001'),
  ('00000000-0000-0000-0000-000000000003', 'ana@example.com', '{"day": 20990305, "id": 78, "insist": "0"}',
   '2099-03-04 17:30+00', 'pending', null, null, '2099-03-01 10:00:02+00', null, null, null,
   '00000000-0000-0000-0000-00000000b002'),
  -- 4 was loaded; 5 and 6 are executed by the old cron, 6 for more than two minutes.
  ('00000000-0000-0000-0000-000000000004', 'ana@example.com', '{"day": "20990305", "id": "79"}',
   '2099-03-04 08:00+00', 'loaded', null, null, '2099-03-01 10:00:03+00', '2099-03-04 07:59:10+00', null, null,
   '00000000-0000-0000-0000-00000000b001'),
  ('00000000-0000-0000-0000-000000000005', 'ana@example.com', '{"day": "20990305", "id": "80"}',
   '2099-03-04 07:58:01+00', 'executing', null, null, '2099-03-01 10:00:04+00', '2099-03-04 07:57+00', null, null,
   '00000000-0000-0000-0000-00000000b001'),
  ('00000000-0000-0000-0000-000000000006', 'ana@example.com', '{"day": "20990305", "id": "81"}',
   '2099-03-04 07:58+00', 'executing', null, null, '2099-03-01 10:00:05+00', null, null, null, null),
  -- 7 and 8 are finished; the second of them is the wish of 1 again.
  ('00000000-0000-0000-0000-000000000007', 'ana@example.com', '{"day": "20990301", "id": "70"}',
   '2099-02-28 17:30+00', 'completed',
   '{"success": true, "bookingId": "1", "bookState": 1, "alreadyBookedManually": false}', null,
   '2099-02-20 10:00+00', null, '2099-02-28 17:30:01+00', 'msg_old_7', '00000000-0000-0000-0000-00000000b001'),
  ('00000000-0000-0000-0000-000000000008', 'Ana@Example.com',
   '{"day": "20990305", "familyId": "", "id": "77", "insist": 0, "classTimeUTC": "2099-03-05T17:30:00Z"}',
   '2099-03-02 17:30+00', 'failed', '{"success": false, "bookState": -12, "errorMssg": "No"}', 'No',
   '2099-03-01 10:00:06+00', null, '2099-03-02 17:30:01+00', 'msg_old_8', '00000000-0000-0000-0000-00000000b001'),
  -- 9 waited for ever: its message was never published. 10 to 13 nobody can read. 14 has no box.
  ('00000000-0000-0000-0000-000000000009', 'ana@example.com',
   '{"day": "20990101", "id": "60", "classTimeUTC": "2099-01-01T17:30:00Z"}',
   '2098-12-31 17:30+00', 'pending', null, null, '2098-12-25 10:00+00', null, null, null,
   '00000000-0000-0000-0000-00000000b001'),
  ('00000000-0000-0000-0000-000000000010', 'bea@example.com', '"a string"',
   '2099-03-04 17:30+00', 'pending', null, null, '2099-03-01 10:00:07+00', null, null, null, null),
  ('00000000-0000-0000-0000-000000000011', 'bea@example.com', '[1, 2]',
   '2099-03-04 17:30+00', 'pending', null, null, '2099-03-01 10:00:08+00', null, null, null, null),
  ('00000000-0000-0000-0000-000000000012', 'bea@example.com', 'null',
   '2099-03-04 17:30+00', 'pending', null, null, '2099-03-01 10:00:09+00', null, null, null, null),
  ('00000000-0000-0000-0000-000000000013', 'bea@example.com', '{"day": "20991399", "classTimeUTC": "noon"}',
   '2099-03-04 17:30+00', 'pending', null, null, '2099-03-01 10:00:10+00', null, null, null, null),
  ('00000000-0000-0000-0000-000000000014', 'ana@example.com', '{"day": "20990305", "id": "82"}',
   '2099-03-04 17:30+00', 'pending', null, null, '2099-03-01 10:00:11+00', null, null, null, null);
