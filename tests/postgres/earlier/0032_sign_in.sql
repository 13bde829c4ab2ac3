-- A member signs in to AimHarder: who may try how often, which sign-in counts, and the password where it is remembered.
-- What is encrypted, and how, is the service's business: here a password is a text.

-- The account at AimHarder that a user has signed in to. Its row outlives what is forgotten: an answer that comes late
-- must find that out.
create table if not exists prebooking.accounts (
  user_email text primary key,                           -- lower-cased
  fingerprint text not null,                             -- of all sign-ins for this user: to AimHarder one device
  tickets bigint not null default 0,                     -- the last one given out: each sign-in begins with one
  generation bigint not null default 0,                  -- the ticket of what was stored or forgotten last
  account_email text,
  sealed_for text,                                       -- whom the password is bound to; null: user_email
  password text,                                         -- null: not remembered
  password_refused boolean not null default false        -- by AimHarder: then it was forgotten
);
revoke all on prebooking.accounts from public;
grant select, insert, update, delete on prebooking.accounts to service_role;

-- Tries to sign in, of the last quarter of an hour.
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
revoke all on prebooking.sign_in_tries from public;
grant select, insert, update, delete on prebooking.sign_in_tries to service_role;

-- Of the account no more than the fingerprint is left, and what was begun before is stored no more.
create or replace function prebooking.forget_account(p_user_email text) returns void
language sql volatile set search_path = '' as $$
  update prebooking.accounts set
    tickets = tickets + 1, generation = tickets + 1,
    account_email = null, password = null, sealed_for = null, password_refused = false
  where user_email = pg_catalog.lower(p_user_email)
$$;

-- Whoever writes it: a session that was connected otherwise may be another account's, and with the connected session
-- its account is forgotten.
create or replace function prebooking.account_is_left() returns trigger language plpgsql set search_path = '' as $$
begin
  if tg_op = 'INSERT' then
    perform prebooking.forget_account(new.user_email);
  else
    perform prebooking.forget_account(old.user_email);
  end if;
  return null;
end $$;

create or replace trigger auth_sessions_connected_leaves_account
  after insert on public.auth_sessions for each row
  when (new.connected_at is not null) execute function prebooking.account_is_left();
create or replace trigger auth_sessions_reconnected_leaves_account
  after update of connected_at on public.auth_sessions for each row
  when (new.connected_at is not null) execute function prebooking.account_is_left();
-- The background session's account goes with it to another e-mail. One that was there has gone, with its session.
create or replace function prebooking.account_is_moved() returns trigger language plpgsql set search_path = '' as $$
declare
  p_from constant text := pg_catalog.lower(old.user_email);
  p_to constant text := pg_catalog.lower(new.user_email);
begin
  if exists (select from prebooking.accounts a where a.user_email = p_from) then
    delete from prebooking.accounts a where a.user_email = p_to;
    update prebooking.accounts a set user_email = p_to, sealed_for = coalesce(a.sealed_for, p_from)
      where a.user_email = p_from;
  end if;
  update prebooking.sign_in_tries t set user_email = p_to where t.user_email = p_from;
  return null;
end $$;

create or replace trigger auth_sessions_moved_takes_account_along
  after update of user_email on public.auth_sessions for each row
  when (lower(new.user_email) <> lower(old.user_email) and new.session_type = 'background')
  execute function prebooking.account_is_moved();
create or replace trigger auth_sessions_deleted_leaves_account
  after delete on public.auth_sessions for each row
  when (old.session_type = 'background') execute function prebooking.account_is_left();

-- Asked before AimHarder is. So many tries within so many minutes for each user, and for each account whoever tries.
-- The caller makes the token: a repeat is the same try. p_fingerprint: for a user who has none yet.
create or replace function public.admit_sign_in(
  p_user_email text, p_account_email text, p_token uuid, p_fingerprint text,
  p_most integer default 5, p_minutes double precision default 15
) returns jsonb language plpgsql set search_path = '' as $$
declare
  email constant text := pg_catalog.lower(p_user_email);
  account constant text := pg_catalog.lower(pg_catalog.btrim(p_account_email));
  during constant interval := pg_catalog.make_interval(secs => 60 * p_minutes);
  t timestamptz;
  oldest timestamptz;
  a prebooking.accounts;
  given bigint;
begin
  perform prebooking.take_session_turn(email);
  -- After the user's, always: so no two wait for each other.
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('sign_in_tries ' || account, 0));
  t := prebooking.now();
  delete from prebooking.sign_in_tries old where old.token in (
    select s.token from prebooking.sign_in_tries s where s.tried_at <= t - during
    order by s.tried_at limit 100 for update skip locked);
  select s.ticket into given from prebooking.sign_in_tries s where s.token = p_token;
  if not found then
    select greatest(
      (select s.tried_at from prebooking.sign_in_tries s
        where s.user_email = email and s.tried_at > t - during and s.tried_at <= t
        order by s.tried_at desc offset p_most - 1 limit 1),
      (select s.tried_at from prebooking.sign_in_tries s
        where s.account_email = account and s.counts_for_account and s.tried_at > t - during and s.tried_at <= t
        order by s.tried_at desc offset p_most - 1 limit 1))
    into oldest;
    if oldest is not null then
      return pg_catalog.jsonb_build_object(
        'outcome', 'too_many', 'retry_after', extract(epoch from oldest + during - t)::double precision); -- never 0
    end if;
  end if;
  insert into prebooking.accounts as old (user_email, fingerprint, tickets) values (email, p_fingerprint, 1)
  on conflict (user_email) do update set tickets = old.tickets + (given is null)::integer
  returning * into a;
  if given is null then
    given := a.tickets;
    insert into prebooking.sign_in_tries (token, user_email, account_email, tried_at, ticket)
    values (p_token, email, account, t, given);
  end if;
  return pg_catalog.jsonb_build_object('outcome', 'admitted', 'ticket', given, 'fingerprint', a.fingerprint);
end $$;

-- What a sign-in came to. The newest counts: one that began before what was stored or forgotten last is superseded.
create or replace function public.store_sign_in(
  p_user_email text, p_ticket bigint, p_account_email text, p_token text, p_cookies jsonb, p_fingerprint text,
  p_password text default null
) returns jsonb language plpgsql set search_path = '' as $$
declare
  email constant text := pg_catalog.lower(p_user_email);
  account constant text := pg_catalog.lower(pg_catalog.btrim(p_account_email));
  last bigint;
  s public.auth_sessions;
begin
  perform prebooking.take_session_turn(email);
  select a.generation into last from prebooking.accounts a where a.user_email = email for update;
  if last < p_ticket then -- else it is superseded, or this is a repeat
    -- The account's count ends, and of this user's the tries at it; others who tried it have still tried.
    delete from prebooking.sign_in_tries t where t.user_email = email and t.account_email = account;
    update prebooking.sign_in_tries t set counts_for_account = false where t.account_email = account;
    perform public.connect_session(p_user_email, p_token, p_cookies, p_fingerprint);
    update prebooking.accounts a set generation = p_ticket, account_email = p_account_email, password = p_password,
      sealed_for = null, password_refused = false where a.user_email = email;
    last := p_ticket;
  end if;
  s := prebooking.session_of(p_user_email);
  return pg_catalog.jsonb_build_object(
    'outcome', case when last = p_ticket then 'stored' else 'superseded' end,
    'state', case when s.id is not null then prebooking.session_state(s) end);
end $$;

-- What the user may see of it; now also whose account it is, and whether the password is remembered.
create or replace function prebooking.session_state(p public.auth_sessions) returns jsonb
language sql stable set search_path = '' as $$
  select pg_catalog.jsonb_build_object(
    'since', coalesce(p.connected_at, p.created_at),
    'refreshed_at', greatest(p.last_refresh_date, p.last_token_update_date at time zone 'utc'),
    'session_type', coalesce(p.session_type, 'device'),
    'account_email', a.account_email,
    'remembered', a.password is not null)
  from (select 1) one left join prebooking.accounts a on a.user_email = pg_catalog.lower(p.user_email)
$$;

-- Forgets the background session, its account and password; sessions of devices are the web application's.
create or replace function public.disconnect_session(p_user_email text)
returns jsonb language plpgsql set search_path = '' as $$
begin
  perform prebooking.take_session_turn(p_user_email); -- a session that is just being stored is seen then
  delete from public.auth_sessions a
  where pg_catalog.lower(a.user_email) = pg_catalog.lower(p_user_email) and a.session_type = 'background';
  if found then -- which has left its account
    return '{"outcome": "disconnected"}';
  end if;
  perform prebooking.forget_account(p_user_email); -- for a sign-in under way
  return '{"outcome": "no_session"}';
end $$;

-- Passwords that are not encrypted under this key yet, after that user's; and how many these are in all.
create or replace function public.list_passwords_to_encrypt(
  p_key_id text, p_after text default '', p_limit integer default 100
) returns jsonb language sql stable set search_path = '' as $$
  with waiting as (
    select a.user_email, coalesce(a.sealed_for, a.user_email) as sealed_for, a.password from prebooking.accounts a
    where a.password is not null and not pg_catalog.starts_with(a.password, 'enc:v1:' || p_key_id || ':')
  ), page as (
    select * from waiting w where w.user_email > p_after order by w.user_email limit p_limit
  )
  select pg_catalog.jsonb_build_object(
    'outcome', 'listed', 'left', (select pg_catalog.count(*) from waiting),
    'passwords', coalesce((
      select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'user_email', p.user_email, 'sealed_for', p.sealed_for, 'password', p.password) order by p.user_email)
      from page p), '[]'))
$$;

-- Compare-and-set of a password as it is stored.
create or replace function public.replace_password(p_user_email text, p_old text, p_new text)
returns jsonb language plpgsql set search_path = '' as $$
begin
  update prebooking.accounts set password = p_new where user_email = p_user_email and password in (p_old, p_new);
  return pg_catalog.jsonb_build_object('outcome', case when found then 'replaced' else 'changed' end);
end $$;

-- As every function of ours has it: see the end of 0010_limits.sql.
do $$
declare
  f record;
begin
  for f in
    select p.oid::regprocedure as signature, p.pronamespace = 'public'::regnamespace as is_called
    from pg_catalog.pg_proc p
    where (p.pronamespace = 'prebooking'::regnamespace
        and p.proname in ('forget_account', 'account_is_left', 'account_is_moved', 'session_state'))
      or (p.pronamespace = 'public'::regnamespace and p.proname in (
        'admit_sign_in', 'store_sign_in', 'disconnect_session', 'list_passwords_to_encrypt', 'replace_password'))
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
