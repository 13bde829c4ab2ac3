-- A sign-in that is under way while its e-mail goes to another account, or is released, stores nothing.

-- The background session's account goes with it to another e-mail. A row stays where it was, and counts on: what was
-- begun there before is older than whatever its next owner begins.
create or replace function prebooking.account_is_moved() returns trigger language plpgsql set search_path = '' as $$
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

-- All that is kept by an e-mail goes from one to the other. Both turns have been taken.
create or replace function prebooking.move_user(p_from text, p_to text) returns void
language plpgsql volatile set search_path = '' as $$
begin
  perform prebooking.move_sessions(p_from, p_to);
  perform prebooking.forget_account(p_from); -- for a sign-in under way, also where there was no session yet
  perform from public.prebookings p where pg_catalog.lower(p.user_email) = p_from order by p.id for update;
  -- A wish that waits at both is one: the moved row is cancelled, or, if it may be booked, goes without its key.
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
  update prebooking.notices n set prebooking = pg_catalog.jsonb_set(n.prebooking, '{user_email}', pg_catalog.to_jsonb(p_to))
    where n.told_at is null and pg_catalog.lower(n.prebooking ->> 'user_email') = p_from;
end $$;

-- An operator's: what waits under the address ends, its sessions are forgotten, and it is free for who comes next.
create or replace function public.release_email(p_email text)
returns jsonb language plpgsql set search_path = '' as $$
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
    where n.told_at is null and pg_catalog.lower(n.prebooking ->> 'user_email') = address;
  delete from prebooking.idempotency_keys k where k.user_email = address;
  update prebooking.email_owners o set sub = null, former_sub = o.sub, freed_at = prebooking.now()
    where o.email = address and o.sub is not null;
  freed := found;
  return pg_catalog.jsonb_build_object(
    'outcome', 'released', 'owned', freed, 'ended', ended, 'begun', begun, 'sessions', sessions);
end $$;

-- Owner and rights stay as they were; the time-outs don't. See the end of 0010_limits.sql.
alter function public.release_email(text) set statement_timeout = '900ms';
alter function public.release_email(text) set lock_timeout = '500ms';

notify pgrst, 'reload schema';
