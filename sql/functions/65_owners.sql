-- Owners of e-mail addresses. An address belongs to the first account (`sub`) whose token has it: a later account with
-- the same address does not own it, and an account that changes its address keeps its data.

-- Merges the sessions of two addresses: of two that can't both exist the newer one stays.
create or replace function prebooking.move_sessions(p_from text, p_to text) returns void
language plpgsql volatile as $$
declare
  one constant boolean := prebooking.has_one_session_each();
begin
  perform from public.auth_sessions a where pg_catalog.lower(a.user_email) in (p_from, p_to) order by a.id for update;
  with ranked as (
    select a.id, pg_catalog.row_number() over (
      partition by case when one then '' when a.session_type = 'background' then 'background'
        else 'device ' || coalesce(a.fingerprint, a.id::text) end
      order by coalesce(a.session_type = 'background', false) desc,
        greatest(a.connected_at, a.updated_at) desc nulls last, a.id) as place
    from public.auth_sessions a where pg_catalog.lower(a.user_email) in (p_from, p_to)
  )
  delete from public.auth_sessions a using ranked r where a.id = r.id and r.place > 1;
  -- A device's row with the fingerprint of the other address's background session.
  delete from public.auth_sessions a using public.auth_sessions b
  where pg_catalog.lower(a.user_email) in (p_from, p_to) and pg_catalog.lower(b.user_email) in (p_from, p_to)
    and b.session_type = 'background' and a.session_type is distinct from 'background'
    and a.fingerprint = b.fingerprint;
  update public.auth_sessions a set
    sealed_for = coalesce(a.sealed_for, pg_catalog.lower(a.user_email)),
    -- In the web application's spelling: it compares e-mails case-sensitively.
    user_email = coalesce((prebooking.session_of(p_to)).user_email, p_to)
  where pg_catalog.lower(a.user_email) = p_from;
end $$;

-- Moves all data of one e-mail address to the other. The caller has taken both users' turns.
create or replace function prebooking.move_user(p_from text, p_to text) returns void
language plpgsql volatile as $$
begin
  perform prebooking.move_sessions(p_from, p_to);
  perform prebooking.forget_account(p_from); -- for a sign-in under way, also where there was no session yet
  update public.prebooking_series s set user_email = p_to, look_at = coalesce(s.look_at, prebooking.now())
    where s.user_email = p_from;
  perform from public.prebookings p where pg_catalog.lower(p.user_email) = p_from order by p.id for update;
  -- If both have the same active wish, the moved row is cancelled, or, if it may be booked, loses its wish key.
  update public.prebookings p set
    user_email = p_to,
    wish_key = case when twin.id is null or not prebooking.is_begun(p) then
      pg_catalog.jsonb_set(p.wish_key::jsonb, '{0}', pg_catalog.to_jsonb(p_to))::text end,
    status = case when twin.id is null or prebooking.is_begun(p) then p.status else 'cancelled' end,
    claim_token = case when twin.id is null or prebooking.is_begun(p) then p.claim_token end,
    lease_until = case when twin.id is null or prebooking.is_begun(p) then p.lease_until end,
    retry_at = case when twin.id is null or prebooking.is_begun(p) then p.retry_at end
  from public.prebookings o
  left join public.prebookings twin on o.status in ('pending', 'loaded', 'executing')
    and twin.status in ('pending', 'loaded', 'executing')
    and twin.wish_key = pg_catalog.jsonb_set(o.wish_key::jsonb, '{0}', pg_catalog.to_jsonb(p_to))::text
  where o.id = p.id and pg_catalog.lower(o.user_email) = p_from;
  with gone as (delete from prebooking.retries r where r.user_email = p_from returning r.retried_at)
    insert into prebooking.retries (user_email, retried_at) select p_to, g.retried_at from gone g;
  with gone as (delete from prebooking.session_checks c where c.user_email = p_from returning c.token, c.checked_at)
    insert into prebooking.session_checks (user_email, token, checked_at) select p_to, g.token, g.checked_at from gone g
    on conflict do nothing;
  delete from prebooking.idempotency_keys k using prebooking.idempotency_keys o
    where k.user_email = p_from and o.user_email = p_to and o.key = k.key;
  update prebooking.idempotency_keys k set user_email = p_to where k.user_email = p_from;
  delete from prebooking.calendars c where c.user_email = p_to; -- made by a trusted server: it would show more from now on
  update prebooking.calendars c set user_email = p_to where c.user_email = p_from;
  update prebooking.notices n set
    prebooking = pg_catalog.jsonb_set(n.prebooking, '{user_email}', pg_catalog.to_jsonb(p_to)),
    series = pg_catalog.jsonb_set(n.series, '{user_email}', pg_catalog.to_jsonb(p_to))
    where n.told_at is null and pg_catalog.lower(coalesce(n.prebooking, n.series) ->> 'user_email') = p_from;
end $$;

-- Returns whether the account may use the e-mail address. owned: yes, the returned address; taken: it is another
-- account's; stale: the token was issued before the account lost the address.
create or replace function public.own_email(p_sub text, p_email text, p_issued_at timestamptz default null)
returns jsonb language plpgsql as $$
declare
  address constant text := pg_catalog.lower(p_email);
  mine text;
  theirs prebooking.email_owners;
  t timestamptz;
begin
  if exists (select from prebooking.email_owners o where o.email = address and o.sub = p_sub) then
    return pg_catalog.jsonb_build_object('outcome', 'owned', 'email', address);
  end if;
  -- Locks: first the account, then both e-mail addresses in a fixed order.
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('email_owners ' || p_sub, 0));
  select o.email into mine from prebooking.email_owners o where o.sub = p_sub;
  perform prebooking.take_turn(least(mine, address));
  perform prebooking.take_turn(greatest(mine, address));
  select o.email into mine from prebooking.email_owners o where o.sub = p_sub; -- an operator may have released it
  select * into theirs from prebooking.email_owners o where o.email = address;
  t := prebooking.now();
  if mine = address then
    return pg_catalog.jsonb_build_object('outcome', 'owned', 'email', address); -- by another call meanwhile
  elsif theirs.sub is not null then
    return '{"outcome": "taken"}';
  elsif theirs.former_sub = p_sub and p_issued_at < theirs.freed_at then
    -- An account that has another address now uses that.
    return case when mine is null then '{"outcome": "stale"}'::jsonb
      else pg_catalog.jsonb_build_object('outcome', 'owned', 'email', mine) end;
  end if;
  if theirs.former_sub <> p_sub then
    -- The data of the former owner belongs to nobody: no address contains a space.
    update public.prebookings p set
      user_email = address || ' (until ' || pg_catalog.to_char(theirs.freed_at at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS')
        || ' UTC)', wish_key = null
    where pg_catalog.lower(p.user_email) = address and p.created_at < theirs.freed_at;
    delete from prebooking.calendars c where c.user_email = address;
  end if;
  if mine is not null then
    perform prebooking.take_session_turn(least(mine, address));
    perform prebooking.take_session_turn(greatest(mine, address));
    perform prebooking.move_user(mine, address);
    update prebooking.email_owners o set sub = null, former_sub = p_sub, freed_at = t where o.email = mine;
  end if;
  insert into prebooking.email_owners as o (email, sub, owned_at) values (address, p_sub, t)
    on conflict (email) do update set sub = p_sub, owned_at = t;
  return pg_catalog.jsonb_build_object('outcome', 'owned', 'email', address);
end $$;

-- For operators: cancels the pending prebookings of the address, deletes its sessions, and frees it for another
-- account.
create or replace function public.release_email(p_email text)
returns jsonb language plpgsql as $$
declare
  address constant text := pg_catalog.lower(p_email);
  freed boolean;
  sessions integer;
  ended integer;
  begun integer;
begin
  perform prebooking.take_turn(address);
  perform prebooking.take_session_turn(address);
  delete from public.auth_sessions a where pg_catalog.lower(a.user_email) = address;
  get diagnostics sessions = row_count;
  perform prebooking.forget_account(address); -- for a sign-in under way, also where there was no session yet
  delete from public.prebooking_series s where s.user_email = address;
  perform from public.prebookings p
    where pg_catalog.lower(p.user_email) = address and p.status in ('pending', 'loaded', 'executing')
    order by p.id for update;
  update public.prebookings p set
    status = 'cancelled', claim_token = null, lease_until = null, retry_at = null,
    error_message = 'An operator released the e-mail address, so nothing is booked for it any more.'
  where pg_catalog.lower(p.user_email) = address
    and (p.status in ('pending', 'loaded') or (p.status = 'executing' and not prebooking.is_begun(p)));
  get diagnostics ended = row_count;
  select pg_catalog.count(*) into begun from public.prebookings p
    where pg_catalog.lower(p.user_email) = address and p.status = 'executing';
  delete from prebooking.notices n
    where n.told_at is null and pg_catalog.lower(coalesce(n.prebooking, n.series) ->> 'user_email') = address;
  delete from prebooking.idempotency_keys k where k.user_email = address;
  delete from prebooking.calendars c where c.user_email = address; -- also if nobody owned it
  update prebooking.email_owners o set sub = null, former_sub = o.sub, freed_at = prebooking.now()
    where o.email = address and o.sub is not null;
  freed := found;
  return pg_catalog.jsonb_build_object(
    'outcome', 'released', 'owned', freed, 'ended', ended, 'begun', begun, 'sessions', sessions);
end $$;
