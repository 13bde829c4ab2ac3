-- Sign-ins of members to AimHarder: rate limits, which one counts, and the remembered password.

-- Deletes the account except its fingerprint. Sign-ins that began before are not stored any more.
create or replace function prebooking.forget_account(p_user_email text) returns void
language sql volatile as $$
  update prebooking.accounts set
    tickets = tickets + 1, generation = tickets + 1,
    account_email = null, password = null, sealed_for = null, password_refused = false
  where user_email = pg_catalog.lower(p_user_email)
$$;

-- A trigger, so that it covers every writer: a session that was connected without a sign-in may be another account's,
-- and with a deleted session its account is deleted.
create or replace function prebooking.account_is_left() returns trigger language plpgsql as $$
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
create or replace trigger auth_sessions_deleted_leaves_account
  after delete on public.auth_sessions for each row
  when (old.session_type = 'background') execute function prebooking.account_is_left();

-- The account of a background session moves with it to another e-mail. A row stays at the old address and its
-- generation rises on, so that earlier sign-ins there stay older than those of the next owner.
create or replace function prebooking.account_is_moved() returns trigger language plpgsql as $$
declare
  p_from constant text := pg_catalog.lower(old.user_email);
  p_to constant text := pg_catalog.lower(new.user_email);
begin
  insert into prebooking.accounts as there (
    user_email, fingerprint, tickets, generation, account_email, sealed_for, password, password_refused)
  select p_to, a.fingerprint, a.tickets + 1, a.tickets + 1, a.account_email, coalesce(a.sealed_for, p_from), a.password,
    a.password_refused
  from prebooking.accounts a where a.user_email = p_from
  on conflict (user_email) do update set
    fingerprint = excluded.fingerprint,
    tickets = greatest(there.tickets + 1, excluded.tickets), generation = greatest(there.tickets + 1, excluded.tickets),
    account_email = excluded.account_email, sealed_for = excluded.sealed_for, password = excluded.password,
    password_refused = excluded.password_refused;
  perform prebooking.forget_account(p_from);
  update prebooking.sign_in_tries t set user_email = p_to where t.user_email = p_from;
  return null;
end $$;
create or replace trigger auth_sessions_moved_takes_account_along
  after update of user_email on public.auth_sessions for each row
  when (lower(new.user_email) <> lower(old.user_email) and new.session_type = 'background')
  execute function prebooking.account_is_moved();

-- Counts an attempt, before the request to AimHarder. Attempts are limited for each user, and for each account by all
-- users together. The caller makes the token: a repeat is the same attempt. p_fingerprint: for a user who has none yet.
create or replace function public.admit_sign_in(
  p_user_email text, p_account_email text, p_token uuid, p_fingerprint text,
  p_most integer default 5, p_minutes double precision default 15
) returns jsonb language plpgsql as $$
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
  -- Always after the user's lock, which prevents deadlocks.
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

-- Stores the result of a sign-in. The newest counts: one that began before the last stored or deleted one is
-- superseded.
create or replace function public.store_sign_in(
  p_user_email text, p_ticket bigint, p_account_email text, p_token text, p_cookies jsonb, p_fingerprint text,
  p_password text default null, p_box_domains jsonb default null
) returns jsonb language plpgsql as $$
declare
  email constant text := pg_catalog.lower(p_user_email);
  account constant text := pg_catalog.lower(pg_catalog.btrim(p_account_email));
  last bigint;
  s public.auth_sessions;
begin
  perform prebooking.take_session_turn(email);
  select a.generation into last from prebooking.accounts a where a.user_email = email for update;
  if last < p_ticket then -- otherwise it is superseded, or this is a repeat
    -- Resets the account's count, and this user's attempts at it; those of other users still count.
    delete from prebooking.sign_in_tries t where t.user_email = email and t.account_email = account;
    update prebooking.sign_in_tries t set counts_for_account = false where t.account_email = account;
    perform public.connect_session(p_user_email, p_token, p_cookies, p_fingerprint, p_box_domains);
    update prebooking.accounts a set generation = p_ticket, account_email = p_account_email, password = p_password,
      sealed_for = null, password_refused = false where a.user_email = email;
    last := p_ticket;
  end if;
  s := prebooking.session_of(p_user_email);
  return pg_catalog.jsonb_build_object(
    'outcome', case when last = p_ticket then 'stored' else 'superseded' end,
    'state', case when s.id is not null then prebooking.session_state(s) end);
end $$;
