-- The user's AimHarder session: connected, read, and refreshed by one replica at a time. The service encrypts its
-- secrets: here a token is text, and cookies are JSON (a list; encrypted, a string).

-- Returns the background session, else the newest one of a device. E-mails are compared in lower case.
create or replace function prebooking.session_of(p_user_email text) returns public.auth_sessions
language sql stable as $$
  select s from public.auth_sessions s
  where pg_catalog.lower(s.user_email) = pg_catalog.lower(p_user_email)
  order by coalesce(s.session_type = 'background', false) desc, s.updated_at desc nulls last, s.id
  limit 1
$$;

-- Returns whether a caller with these capabilities can execute the row. A replica of an earlier release would request a
-- gym under aimharder.es (by the row or the user's session) at aimharder.com, and refuse a class without an id.
create or replace function prebooking.can_execute(p public.prebookings, p_capabilities text[]) returns boolean
language sql stable as $$
  select (p.class is null or p.booking_data ->> 'id' is not null or 'class' = any (p_capabilities))
    and case when 'box_domain' = any (p_capabilities) then true
    else p.box_domain is distinct from 'aimharder.es'
      and not coalesce((prebooking.session_of(p.user_email)).box_domains ? p.box_subdomain, false) end
$$;

-- Returns whether a caller with these capabilities can use the session. A replica of an earlier release would send
-- cookies of aimharder.es to aimharder.com.
create or replace function prebooking.can_refresh(p public.auth_sessions, p_capabilities text[]) returns boolean
language sql immutable as $$
  select coalesce(p.box_domains, '{}') = '{}' or 'box_domain' = any (p_capabilities)
$$;

-- Returns a session for the service. Its secrets are bound to `user_email`. The lease of a refresh is taken before the
-- request is sent, and released with its result: a lease that exists means that a refresh is under way, or that its
-- replica was killed. (The service writes answer_lost.)
create or replace function prebooking.session_as_json(p public.auth_sessions) returns jsonb
language sql stable as $$
  select case when p.id is not null then pg_catalog.jsonb_build_object(
    'id', p.id, 'user_email', coalesce(p.sealed_for, p.user_email), 'token', p.aimharder_token,
    'cookies', p.aimharder_cookies, 'fingerprint', p.fingerprint,
    'token_age_s', extract(epoch from prebooking.now() - greatest(
      p.created_at, p.connected_at, p.last_refresh_date, p.last_token_update_date at time zone 'utc')),
    'token_doubtful', p.refresh_lease is not null or coalesce(p.last_token_update_error = 'answer_lost', false),
    'remembered', a.password is not null, 'password_refused', coalesce(a.password_refused, false),
    'box_domains', coalesce(p.box_domains, '{}')) end
  from (select 1) one left join prebooking.accounts a on a.user_email = pg_catalog.lower(p.user_email)
$$;

-- Returns the part of a session that its user may see.
create or replace function prebooking.session_state(p public.auth_sessions) returns jsonb
language sql stable as $$
  select pg_catalog.jsonb_build_object(
    'since', coalesce(p.connected_at, p.created_at),
    'refreshed_at', greatest(p.last_refresh_date, p.last_token_update_date at time zone 'utc'),
    'session_type', coalesce(p.session_type, 'device'),
    'account_email', a.account_email,
    'remembered', a.password is not null)
  from (select 1) one left join prebooking.accounts a on a.user_email = pg_catalog.lower(p.user_email)
$$;

-- Serializes calls for one user: otherwise two at once could both be admitted, or both insert a background row.
create or replace function prebooking.take_session_turn(p_user_email text) returns void
language sql volatile as $$
  select pg_catalog.pg_advisory_xact_lock(
    pg_catalog.hashtextextended('auth_sessions ' || pg_catalog.lower(p_user_email), 0))
$$;

-- Counts a check of a session, before the request to AimHarder. The caller makes the token: a repeat is the same check.
create or replace function public.admit_session_check(p_user_email text, p_token uuid, p_max_per_minute integer)
returns jsonb language plpgsql as $$
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

-- Returns whether the web application's table allows only one session of a user, as before its migration 007.
create or replace function prebooking.has_one_session_each() returns boolean
language sql stable as $$
  select exists (
    select from pg_catalog.pg_index i
    left join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indrelid = 'public.auth_sessions'::regclass and i.indisunique and i.indpred is null and i.indnkeyatts = 1
      and coalesce(a.attname, pg_catalog.pg_get_expr(i.indexprs, i.indrelid)) ~ 'user_email')
$$;

-- Stores the user's background session.
create or replace function public.connect_session(
  p_user_email text, p_token text, p_cookies jsonb, p_fingerprint text, p_box_domains jsonb default null
) returns jsonb language plpgsql as $$
declare
  s public.auth_sessions;
  t timestamptz;
  one constant boolean := prebooking.has_one_session_each();
begin
  perform prebooking.take_session_turn(p_user_email); -- not every such table has a unique index
  t := prebooking.now();
  -- A fingerprint identifies one sign-in to AimHarder: a device's row with it becomes the background row. So does the
  -- only row if a user may have only one.
  select * into s from public.auth_sessions a
  where pg_catalog.lower(a.user_email) = pg_catalog.lower(p_user_email)
    and (one or a.fingerprint = p_fingerprint or a.session_type = 'background')
  order by coalesce(a.fingerprint = p_fingerprint, false) desc, coalesce(a.session_type = 'background', false) desc,
    a.updated_at desc nulls last, a.id
  limit 1 for update;
  delete from public.auth_sessions a
  where pg_catalog.lower(a.user_email) = pg_catalog.lower(p_user_email)
    and a.session_type = 'background' and a.id is distinct from s.id;
  if s.id is null then
    insert into public.auth_sessions (
      user_email, aimharder_token, aimharder_cookies, fingerprint, box_domains, session_type,
      created_at, updated_at, connected_at, last_token_update_date)
    values (
      -- In the web application's spelling: it compares e-mails case-sensitively.
      coalesce((prebooking.session_of(p_user_email)).user_email, p_user_email),
      p_token, p_cookies, p_fingerprint, p_box_domains, 'background', t, t, t, t at time zone 'utc')
    returning * into s;
  else
    update public.auth_sessions set
      aimharder_token = p_token, aimharder_cookies = p_cookies, fingerprint = p_fingerprint, sealed_for = null,
      box_domains = p_box_domains,
      -- It is a new session: a clean-up by age must not remove it as the old one.
      created_at = case when one then t else created_at end, last_refresh_date = case when one then t else last_refresh_date end,
      session_type = 'background', connected_at = t, updated_at = t,
      last_token_update_date = t at time zone 'utc', last_token_update_error = null,
      refresh_lease = null, refresh_lease_until = null
    where id = s.id returning * into s;
  end if;
  return pg_catalog.jsonb_build_object('outcome', 'connected', 'state', prebooking.session_state(s));
end $$;

-- Returns the session that an execution would use.
create or replace function public.read_session(p_user_email text)
returns jsonb language plpgsql stable as $$
declare
  s public.auth_sessions := prebooking.session_of(p_user_email);
begin
  if s.id is null then
    return '{"outcome": "no_session", "session": null}';
  end if;
  return pg_catalog.jsonb_build_object(
    'outcome', 'found', 'session', prebooking.session_as_json(s), 'state', prebooking.session_state(s));
end $$;

-- Stores the domains of the member's gyms that are not under aimharder.com: {sub-domain: domain}.
create or replace function public.note_box_domains(p_id uuid, p_box_domains jsonb)
returns jsonb language plpgsql as $$
begin
  update public.auth_sessions s set box_domains = p_box_domains
  where s.id = p_id and s.box_domains is distinct from p_box_domains;
  return '{"outcome": "noted"}';
end $$;

-- Deletes the background session, its account and password. Sessions of devices belong to the web application.
create or replace function public.disconnect_session(p_user_email text)
returns jsonb language plpgsql as $$
begin
  perform prebooking.take_session_turn(p_user_email); -- so that a session that is just being stored is deleted, too
  delete from public.auth_sessions a
  where pg_catalog.lower(a.user_email) = pg_catalog.lower(p_user_email) and a.session_type = 'background';
  if found then -- a trigger has deleted its account
    return '{"outcome": "disconnected"}';
  end if;
  perform prebooking.forget_account(p_user_email); -- for a sign-in under way
  return '{"outcome": "no_session"}';
end $$;

-- Leases the right to refresh the user's session. p_token: the AimHarder token that the caller knows.
create or replace function public.lease_session(
  p_user_email text, p_token text, p_lease uuid, p_lease_seconds double precision, p_capabilities text[] default '{}'
) returns jsonb language plpgsql as $$
declare
  s public.auth_sessions;
  t timestamptz;
begin
  s := prebooking.session_of(p_user_email);
  select * into s from public.auth_sessions where id = s.id for update;
  if not found then
    return '{"outcome": "no_session", "session": null}';
  end if;
  t := prebooking.now();
  if s.aimharder_token <> p_token then -- it was refreshed: use the new one
    return pg_catalog.jsonb_build_object('outcome', 'changed', 'session', prebooking.session_as_json(s));
  elsif not prebooking.can_refresh(s, p_capabilities) then
    return pg_catalog.jsonb_build_object('outcome', 'busy', 'retry_after', 5, 'session', prebooking.session_as_json(s));
  elsif s.refresh_lease <> p_lease and s.refresh_lease_until > t then
    return pg_catalog.jsonb_build_object(
      'outcome', 'busy', 'retry_after', prebooking.seconds_until(s.refresh_lease_until),
      'session', prebooking.session_as_json(s));
  end if;
  update public.auth_sessions set
    refresh_lease = p_lease, refresh_lease_until = t + pg_catalog.make_interval(secs => p_lease_seconds)
  where id = s.id returning * into s;
  return pg_catalog.jsonb_build_object('outcome', 'leased', 'session', prebooking.session_as_json(s));
end $$;

-- Stores a refreshed session, by compare-and-set on the old token. p_error instead of a new token: the refresh failed.
create or replace function public.save_session(
  p_id uuid, p_lease uuid, p_old_token text,
  p_new_token text default null, p_cookies jsonb default null, p_error text default null
) returns jsonb language plpgsql as $$
declare
  s public.auth_sessions;
begin
  select * into s from public.auth_sessions where id = p_id for update;
  if not found then
    return '{"outcome": "no_session", "session": null}';
  elsif s.aimharder_token = p_new_token and p_new_token <> p_old_token then -- the answer to the first call was lost
    return pg_catalog.jsonb_build_object('outcome', 'saved', 'session', prebooking.session_as_json(s));
  elsif s.aimharder_token <> p_old_token then
    return pg_catalog.jsonb_build_object('outcome', 'changed', 'session', prebooking.session_as_json(s));
  end if;
  update public.auth_sessions set
    aimharder_token = coalesce(p_new_token, aimharder_token),
    aimharder_cookies = coalesce(p_cookies, aimharder_cookies),
    last_token_update_date = case when p_new_token is null then last_token_update_date
      else prebooking.now() at time zone 'utc' end,
    token_update_count = coalesce(token_update_count, 0) + (p_new_token is not null)::integer,
    last_token_update_error = p_error,
    refresh_lease = case when refresh_lease = p_lease then null else refresh_lease end,
    refresh_lease_until = case when refresh_lease = p_lease then null else refresh_lease_until end,
    updated_at = prebooking.now()
  where id = p_id returning * into s;
  return pg_catalog.jsonb_build_object(
    'outcome', case when p_new_token is null then 'noted' else 'saved' end,
    'session', prebooking.session_as_json(s));
end $$;
