-- A session that has died is signed in again with the remembered password: by one replica at a time, under the lease of
-- the session's refresh, and within an allowance that nobody else's tries use.

-- Sign-ins of our own, of the last quarter of an hour.
create table if not exists prebooking.own_sign_ins (
  token uuid primary key,
  account_email text not null,
  tried_at timestamptz not null
);
create index if not exists own_sign_ins_of_account on prebooking.own_sign_ins (account_email, tried_at desc);
create index if not exists own_sign_ins_old on prebooking.own_sign_ins (tried_at);
revoke all on prebooking.own_sign_ins from public;
grant select, insert, update, delete on prebooking.own_sign_ins to service_role;

-- A session as the service takes it: also whether it can be signed in again, or could until the password was refused.
create or replace function prebooking.session_as_json(p public.auth_sessions) returns jsonb
language sql stable set search_path = '' as $$
  select case when p.id is not null then pg_catalog.jsonb_build_object(
    'id', p.id, 'user_email', coalesce(p.sealed_for, p.user_email), 'token', p.aimharder_token,
    'cookies', p.aimharder_cookies, 'fingerprint', p.fingerprint,
    'token_age_s', extract(epoch from prebooking.now() - greatest(
      p.created_at, p.connected_at, p.last_refresh_date, p.last_token_update_date at time zone 'utc')),
    'token_doubtful', p.refresh_lease is not null or coalesce(p.last_token_update_error = 'answer_lost', false),
    'remembered', a.password is not null, 'password_refused', coalesce(a.password_refused, false)) end
  from (select 1) one left join prebooking.accounts a on a.user_email = pg_catalog.lower(p.user_email)
$$;

-- The right to sign in again, for a while, with what it takes. p_token: the session's as it is stored, as far as the
-- caller knows. p_attempt: a repeat is the same one.
create or replace function public.lease_sign_in(
  p_user_email text, p_token text, p_lease uuid, p_lease_seconds double precision, p_attempt uuid,
  p_most integer default 3, p_minutes double precision default 15
) returns jsonb language plpgsql set search_path = '' as $$
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
  if s.aimharder_token <> p_token then -- somebody has renewed it: use that
    return pg_catalog.jsonb_build_object('outcome', 'changed', 'session', prebooking.session_as_json(s));
  elsif a.password is null then
    return pg_catalog.jsonb_build_object(
      'outcome', case when a.password_refused then 'refused' else 'not_remembered' end, 'session', null);
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

-- What it came to, unless the session or the account are others by now. Either way the session that the user then has.
create or replace function public.save_sign_in_again(
  p_user_email text, p_generation bigint, p_lease uuid, p_token text, p_cookies jsonb
) returns jsonb language plpgsql set search_path = '' as $$
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
    'outcome', case when saved then 'saved' else 'superseded' end, -- the latter also of a repeat
    'session', prebooking.session_as_json(prebooking.session_of(email)));
end $$;

-- It came to nothing: the lease is given back. p_refused: as a wrong password, which is forgotten, if it is still that;
-- else the session that the user has by now.
create or replace function public.end_sign_in_again(
  p_user_email text, p_generation bigint, p_lease uuid, p_refused boolean
) returns jsonb language plpgsql set search_path = '' as $$
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

-- What the look found. Dead: the rows carry a warning, and their user is told once for each session that died, and
-- once that its password was refused: p_reason. The one without it is taken away, since a call that doesn't name it
-- would fit both.
drop function if exists public.note_session_look(uuid[], boolean, text, text);
create or replace function public.note_session_look(
  p_prebooking_ids uuid[], p_alive boolean, p_session text default '', p_message text default null,
  p_reason text default null
) returns jsonb language plpgsql set search_path = '' as $$
declare
  r public.prebookings;
  t constant timestamptz := prebooking.now();
  warned integer := 0;
begin
  update prebooking.session_watch set looked_at = t, lease_until = null where prebooking_id = any (p_prebooking_ids);
  if p_alive then
    update public.prebookings set warning = null where id = any (p_prebooking_ids) and warning is not null;
  else
    for r in
      select * from public.prebookings
      where id = any (p_prebooking_ids) and status in ('pending', 'loaded') order by id for update
    loop
      if r.warning is null or r.warning ->> 'reason' is distinct from p_reason then
        update public.prebookings set warning = pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
          'code', 'session_expired', 'reason', p_reason, 'message', p_message, 'since', t))
        where id = r.id returning * into r;
      end if;
      warned := warned + 1;
      perform prebooking.write_notice(
        r, 'session_dead',
        pg_catalog.concat_ws(' ', 'session', r.id, 'v' || r.version, pg_catalog.md5(p_session), p_reason));
    end loop;
  end if;
  return pg_catalog.jsonb_build_object('outcome', 'noted', 'warned', warned);
end $$;

-- As every function of ours has it: see the end of 0010_limits.sql.
do $$
declare
  f record;
begin
  for f in
    select p.oid::regprocedure as signature, p.pronamespace = 'public'::regnamespace as is_called
    from pg_catalog.pg_proc p
    where (p.pronamespace = 'prebooking'::regnamespace and p.proname = 'session_as_json')
      or (p.pronamespace = 'public'::regnamespace and p.proname in (
        'lease_sign_in', 'save_sign_in_again', 'end_sign_in_again', 'note_session_look'))
  loop
    if f.is_called then
      execute format('alter function %s set statement_timeout = ''900ms''', f.signature);
      execute format('alter function %s set lock_timeout = ''500ms''', f.signature);
    end if;
    execute format('revoke all on function %s from public, anon, authenticated', f.signature);
    execute format('grant execute on function %s to service_role', f.signature);
  end loop;
end $$;

notify pgrst, 'reload schema';
