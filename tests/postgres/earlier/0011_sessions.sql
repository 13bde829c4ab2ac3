-- Sessions that users connect themselves, and secrets that are encrypted at rest. What is encrypted, and how, is the
-- service's business: here a token is a text, and cookies are JSON (a list; encrypted, a string).

alter table public.auth_sessions
  add column if not exists connected_at timestamptz;     -- when the user connected what the row holds

-- The row's own user: an encrypted value is bound to them.
create or replace function prebooking.session_as_json(p public.auth_sessions) returns jsonb
language sql stable set search_path = '' as $$
  select case when p.id is not null then pg_catalog.jsonb_build_object(
    'id', p.id, 'user_email', p.user_email, 'token', p.aimharder_token, 'cookies', p.aimharder_cookies,
    'fingerprint', p.fingerprint) end
$$;

-- What the user may see of it.
create or replace function prebooking.session_state(p public.auth_sessions) returns jsonb
language sql stable set search_path = '' as $$
  select pg_catalog.jsonb_build_object(
    'since', coalesce(p.connected_at, p.created_at),
    'refreshed_at', greatest(p.last_refresh_date, p.last_token_update_date at time zone 'utc'),
    'session_type', coalesce(p.session_type, 'device'))
$$;

-- How often AimHarder was asked about a user's session of late: each ask leaves its token here for a minute.
create table if not exists prebooking.session_checks (
  user_email text not null,
  token uuid not null,
  checked_at timestamptz not null,
  primary key (user_email, token)
);
revoke all on prebooking.session_checks from public;
grant select, insert, delete on prebooking.session_checks to service_role;

-- Two at once of one user take turns: else both would find room for one check, or no background row yet.
create or replace function prebooking.take_session_turn(p_user_email text) returns void
language sql volatile set search_path = '' as $$
  select pg_catalog.pg_advisory_xact_lock(
    pg_catalog.hashtextextended('auth_sessions ' || pg_catalog.lower(p_user_email), 0))
$$;

-- Asked before AimHarder is. The caller makes the token: a repeat is the same check.
create or replace function public.admit_session_check(p_user_email text, p_token uuid, p_max_per_minute integer)
returns jsonb language plpgsql set search_path = '' as $$
declare
  email constant text := pg_catalog.lower(p_user_email);
  t timestamptz;
  oldest timestamptz;
begin
  perform prebooking.take_session_turn(email);
  t := prebooking.now();
  delete from prebooking.session_checks c
    where c.user_email = email and (c.checked_at <= t - interval '1 minute' or c.checked_at > t);
  if exists (select from prebooking.session_checks c where c.user_email = email and c.token = p_token) then
    return '{"outcome": "admitted"}';
  end if;
  select c.checked_at into oldest from prebooking.session_checks c where c.user_email = email
    order by c.checked_at desc offset p_max_per_minute - 1 limit 1;
  if found then
    return pg_catalog.jsonb_build_object(
      'outcome', 'too_many',
      'retry_after', extract(epoch from oldest + interval '1 minute' - t)::double precision); -- never 0
  end if;
  insert into prebooking.session_checks values (email, p_token, t);
  return '{"outcome": "admitted"}';
end $$;

-- The user's one background session is this one now.
create or replace function public.connect_session(p_user_email text, p_token text, p_cookies jsonb, p_fingerprint text)
returns jsonb language plpgsql set search_path = '' as $$
declare
  s public.auth_sessions;
  t timestamptz;
begin
  perform prebooking.take_session_turn(p_user_email); -- not every such table has an index that allows one row only
  t := prebooking.now();
  -- A fingerprint is one sign-in at AimHarder: a device's row that has it becomes the background row.
  select * into s from public.auth_sessions a
  where pg_catalog.lower(a.user_email) = pg_catalog.lower(p_user_email)
    and (a.fingerprint = p_fingerprint or a.session_type = 'background')
  order by coalesce(a.fingerprint = p_fingerprint, false) desc, coalesce(a.session_type = 'background', false) desc,
    a.updated_at desc nulls last, a.id
  limit 1 for update;
  delete from public.auth_sessions a
  where pg_catalog.lower(a.user_email) = pg_catalog.lower(p_user_email)
    and a.session_type = 'background' and a.id is distinct from s.id;
  if s.id is null then
    insert into public.auth_sessions (
      user_email, aimharder_token, aimharder_cookies, fingerprint, session_type,
      created_at, updated_at, connected_at, last_token_update_date)
    values (
      -- As the web application spells it, which compares e-mails with their case.
      coalesce((prebooking.session_of(p_user_email)).user_email, p_user_email),
      p_token, p_cookies, p_fingerprint, 'background', t, t, t, t at time zone 'utc')
    returning * into s;
  else
    update public.auth_sessions set
      aimharder_token = p_token, aimharder_cookies = p_cookies, fingerprint = p_fingerprint,
      session_type = 'background', connected_at = t, updated_at = t,
      last_token_update_date = t at time zone 'utc', last_token_update_error = null,
      refresh_lease = null, refresh_lease_until = null
    where id = s.id returning * into s;
  end if;
  return pg_catalog.jsonb_build_object('outcome', 'connected', 'state', prebooking.session_state(s));
end $$;

-- The session that an execution would take now.
create or replace function public.read_session(p_user_email text)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
  s public.auth_sessions := prebooking.session_of(p_user_email);
begin
  if s.id is null then
    return '{"outcome": "no_session", "session": null}';
  end if;
  return pg_catalog.jsonb_build_object(
    'outcome', 'found', 'session', prebooking.session_as_json(s), 'state', prebooking.session_state(s));
end $$;

-- Forgets the background session; those of devices are the web application's.
create or replace function public.disconnect_session(p_user_email text)
returns jsonb language plpgsql set search_path = '' as $$
begin
  delete from public.auth_sessions a
  where pg_catalog.lower(a.user_email) = pg_catalog.lower(p_user_email) and a.session_type = 'background';
  return pg_catalog.jsonb_build_object('outcome', case when found then 'disconnected' else 'no_session' end);
end $$;

-- What is not encrypted under this key yet, after that row; and how many these are in all. The stalest first: a
-- trigger of the web application's table stamps each row that changes, and the newest device's row must stay the newest.
create or replace function public.list_sessions_to_encrypt(
  p_key_id text, p_after_at timestamptz default null, p_after_id uuid default null, p_limit integer default 100
) returns jsonb language sql stable set search_path = '' as $$
  with waiting as (
    select a.id, a.user_email, a.aimharder_token, a.aimharder_cookies,
      coalesce(a.updated_at, '-infinity') as at
    from public.auth_sessions a
    where not (
      pg_catalog.starts_with(a.aimharder_token, 'enc:v1:' || p_key_id || ':')
      and pg_catalog.jsonb_typeof(a.aimharder_cookies) = 'string'
      and pg_catalog.starts_with(a.aimharder_cookies #>> '{}', 'enc:v1:' || p_key_id || ':'))
  ), page as (
    select * from waiting w
    where p_after_at is null or (w.at, w.id) > (p_after_at, p_after_id)
    order by w.at, w.id limit p_limit
  )
  select pg_catalog.jsonb_build_object(
    'outcome', 'listed', 'left', (select pg_catalog.count(*) from waiting),
    'sessions', coalesce((select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'id', p.id, 'user_email', p.user_email, 'token', p.aimharder_token, 'cookies', p.aimharder_cookies,
      'at', p.at) order by p.at, p.id) from page p), '[]'))
$$;

-- Compare-and-set of both secrets, as they are stored. Not while somebody refreshes them: theirs are newer.
create or replace function public.replace_session_secrets(
  p_id uuid, p_old_token text, p_old_cookies jsonb, p_new_token text, p_new_cookies jsonb
) returns jsonb language plpgsql set search_path = '' as $$
declare
  s public.auth_sessions;
begin
  select * into s from public.auth_sessions where id = p_id for update;
  if not found then
    return '{"outcome": "no_session"}';
  elsif s.aimharder_token = p_new_token and s.aimharder_cookies = p_new_cookies then -- the first answer was lost
    return '{"outcome": "replaced"}';
  elsif s.aimharder_token <> p_old_token or s.aimharder_cookies <> p_old_cookies then
    return '{"outcome": "changed"}';
  elsif s.refresh_lease_until > prebooking.now() then
    return pg_catalog.jsonb_build_object(
      'outcome', 'busy', 'retry_after', prebooking.seconds_until(s.refresh_lease_until));
  end if;
  update public.auth_sessions set aimharder_token = p_new_token, aimharder_cookies = p_new_cookies where id = p_id;
  return '{"outcome": "replaced"}';
end $$;

-- As for every function of ours: see 0010_limits.sql.
do $$
declare
  f record;
begin
  for f in
    select p.oid::regprocedure as signature, p.pronamespace = 'public'::regnamespace as is_called
    from pg_catalog.pg_proc p
    where (p.pronamespace = 'prebooking'::regnamespace and p.proname in ('session_state', 'take_session_turn'))
      or (p.pronamespace = 'public'::regnamespace and p.proname in (
        'admit_session_check', 'connect_session', 'read_session', 'disconnect_session', 'list_sessions_to_encrypt',
        'replace_session_secrets'))
  loop
    if f.is_called then
      execute format('alter function %s set statement_timeout = ''900ms''', f.signature);
      execute format('alter function %s set lock_timeout = ''500ms''', f.signature);
    end if;
    execute format('revoke all on function %s from public, anon, authenticated', f.signature);
    execute format('grant execute on function %s to service_role', f.signature);
  end loop;
end $$;

-- PostgREST learns of the new functions.
notify pgrst, 'reload schema';
