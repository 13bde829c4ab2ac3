-- Signs a dead session in again with the remembered password: one replica at a time, under the lease of the session's
-- refresh, and with a rate limit of its own.

-- Leases the right to sign in again, with the credentials. p_token: the session's stored one, by the caller's
-- knowledge. p_attempt: a repeat has the same one.
create or replace function public.lease_sign_in(
  p_user_email text, p_token text, p_lease uuid, p_lease_seconds double precision, p_attempt uuid,
  p_most integer default 3, p_minutes double precision default 15, p_capabilities text[] default '{}'
) returns jsonb language plpgsql as $$
declare
  email constant text := pg_catalog.lower(p_user_email);
  during constant interval := pg_catalog.make_interval(secs => 60 * p_minutes);
  account text;
  s public.auth_sessions;
  a prebooking.accounts;
  t timestamptz;
begin
  perform prebooking.take_session_turn(email);
  s := prebooking.session_of(email);
  select * into s from public.auth_sessions where id = s.id for update;
  if not found then
    return '{"outcome": "no_session", "session": null}';
  end if;
  select * into a from prebooking.accounts where user_email = email;
  t := prebooking.now();
  if s.aimharder_token <> p_token then -- it was replaced: use the new one
    return pg_catalog.jsonb_build_object('outcome', 'changed', 'session', prebooking.session_as_json(s));
  elsif a.password is null then
    return pg_catalog.jsonb_build_object(
      'outcome', case when a.password_refused then 'refused' else 'not_remembered' end, 'session', null);
  elsif not prebooking.can_refresh(s, p_capabilities) then
    return '{"outcome": "busy", "retry_after": 5, "session": null}';
  elsif s.refresh_lease <> p_lease and s.refresh_lease_until > t then
    return pg_catalog.jsonb_build_object(
      'outcome', 'busy', 'retry_after', prebooking.seconds_until(s.refresh_lease_until), 'session', null);
  end if;
  account := pg_catalog.lower(pg_catalog.btrim(a.account_email));
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('own_sign_ins ' || account, 0));
  delete from prebooking.own_sign_ins old where old.token in (
    select o.token from prebooking.own_sign_ins o where o.tried_at <= t - during
    order by o.tried_at limit 100 for update skip locked);
  if not exists (select from prebooking.own_sign_ins o where o.token = p_attempt) then
    if (select pg_catalog.count(*) from prebooking.own_sign_ins o
        where o.account_email = account and o.tried_at > t - during and o.tried_at <= t) >= p_most then
      return '{"outcome": "too_many", "session": null}';
    end if;
    insert into prebooking.own_sign_ins (token, account_email, tried_at) values (p_attempt, account, t);
  end if;
  update public.auth_sessions set
    refresh_lease = p_lease, refresh_lease_until = t + pg_catalog.make_interval(secs => p_lease_seconds)
  where id = s.id;
  return pg_catalog.jsonb_build_object(
    'outcome', 'leased', 'session', null, 'generation', a.generation, 'account_email', a.account_email,
    'sealed_for', coalesce(a.sealed_for, a.user_email), 'password', a.password, 'fingerprint', a.fingerprint);
end $$;

-- Stores the new session, unless session or account were replaced since. Returns the user's current session.
create or replace function public.save_sign_in_again(
  p_user_email text, p_generation bigint, p_lease uuid, p_token text, p_cookies jsonb
) returns jsonb language plpgsql as $$
declare
  email constant text := pg_catalog.lower(p_user_email);
  t timestamptz;
  saved boolean;
begin
  perform prebooking.take_session_turn(email);
  t := prebooking.now();
  update public.auth_sessions s set
    aimharder_token = p_token, aimharder_cookies = p_cookies, sealed_for = null, fingerprint = a.fingerprint,
    updated_at = t,
    last_token_update_date = t at time zone 'utc', last_token_update_error = null,
    refresh_lease = null, refresh_lease_until = null
  from prebooking.accounts a
  where pg_catalog.lower(s.user_email) = email and s.refresh_lease = p_lease
    and a.user_email = email and a.generation = p_generation and a.password is not null;
  saved := found;
  return pg_catalog.jsonb_build_object(
    'outcome', case when saved then 'saved' else 'superseded' end, -- superseded also for a repeat
    'session', prebooking.session_as_json(prebooking.session_of(email)));
end $$;

-- Releases the lease after a failure. p_refused: the password was wrong, and is deleted if it is still the stored one;
-- otherwise the user's current session is returned.
create or replace function public.end_sign_in_again(
  p_user_email text, p_generation bigint, p_lease uuid, p_refused boolean
) returns jsonb language plpgsql as $$
declare
  email constant text := pg_catalog.lower(p_user_email);
begin
  perform prebooking.take_session_turn(email);
  update public.auth_sessions set refresh_lease = null, refresh_lease_until = null
  where pg_catalog.lower(user_email) = email and refresh_lease = p_lease;
  if p_refused then
    update prebooking.accounts set password = null, password_refused = true
    where user_email = email and generation = p_generation;
    if not found then
      return pg_catalog.jsonb_build_object(
        'outcome', 'superseded', 'session', prebooking.session_as_json(prebooking.session_of(email)));
    end if;
  end if;
  return '{"outcome": "ended", "session": null}';
end $$;
