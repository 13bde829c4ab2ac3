-- Limits: how much one user may want, and how long a function may run and wait. And what every function of ours has.

create index if not exists prebookings_active_of_user
  on public.prebookings (lower(user_email)) where status in ('pending', 'loaded', 'executing');

-- A create leaves its row; a retry leaves this. Kept for a minute.
create table if not exists prebooking.retries (
  user_email text not null,
  retried_at timestamptz not null
);
create index if not exists retries_of_user on prebooking.retries (user_email, retried_at);
revoke all on prebooking.retries from public;
grant select, insert, delete on prebooking.retries to service_role;

-- Creates and retries of one user come one after the other, until the end of their transactions: else two at once
-- would both find room for one. It is always taken before a row's lock, and by nothing else, so nothing can deadlock.
create or replace function prebooking.take_turn(p_user_email text) returns void
language sql volatile as $$
  select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(pg_catalog.lower(p_user_email), 0))
$$;

-- Null, or the limit that one more would break; a null limit is none. What the web application wrote itself counts.
create or replace function prebooking.refuse_more(p_user_email text, p_max_active integer, p_max_per_minute integer)
returns jsonb language plpgsql volatile set search_path = '' as $$
declare
  email constant text := pg_catalog.lower(p_user_email);
  t constant timestamptz := prebooking.now();
  oldest timestamptz;
begin
  if p_max_active <= (
    select pg_catalog.count(*) from public.prebookings p
    where pg_catalog.lower(p.user_email) = email and p.status in ('pending', 'loaded', 'executing')) then
    return pg_catalog.jsonb_build_object('outcome', 'too_many', 'limit', p_max_active);
  elsif p_max_per_minute is not null then
    -- Of the last minute, the newest that leave no room: there is some when the oldest of them is a minute old.
    select made.made_at into oldest
    from (
      select p.created_at from public.prebookings p
      where pg_catalog.lower(p.user_email) = email and p.created_at > t - interval '1 minute' and p.created_at <= t
      union all
      select r.retried_at from prebooking.retries r
      where r.user_email = email and r.retried_at > t - interval '1 minute' and r.retried_at <= t) as made (made_at)
    order by made.made_at desc offset p_max_per_minute - 1 limit 1;
    if found then
      return pg_catalog.jsonb_build_object(
        'outcome', 'too_many', 'limit', p_max_per_minute,
        'retry_after', extract(epoch from oldest + interval '1 minute' - t)::double precision); -- never 0
    end if;
  end if;
  return null;
end $$;

-- Another signature would be an overload, which PostgREST refuses as ambiguous.
drop function if exists public.create_prebooking(uuid, text, text, text, jsonb, timestamptz);
create or replace function public.create_prebooking(
  p_id uuid, p_user_email text, p_box_subdomain text, p_box_aimharder_id text, p_booking_data jsonb,
  p_available_at timestamptz default null,   -- null: now
  p_max_active integer default null, p_max_per_minute integer default null
) returns jsonb language plpgsql as $$
declare
  r public.prebookings;
  key text := prebooking.wish_key(p_user_email, p_box_subdomain, p_booking_data);
  opening timestamptz := coalesce(p_available_at, prebooking.now());
  give_up timestamptz := prebooking.give_up_at(p_booking_data, opening);
  refusal jsonb;
begin
  perform prebooking.take_turn(p_user_email);
  select * into r from public.prebookings where id = p_id;
  if found then
    return prebooking.answer('created', r); -- the answer to the first call was lost
  end if;
  select * into r from public.prebookings
    where wish_key = key and status in ('pending', 'loaded', 'executing');
  if found then
    return prebooking.answer(
      case when p_available_at is null or r.available_at = p_available_at then 'existing' else 'exists' end, r);
  elsif greatest(opening, prebooking.now()) >= give_up then
    return pg_catalog.jsonb_build_object('outcome', 'too_late', 'give_up_at', give_up);
  end if;
  refusal := prebooking.refuse_more(p_user_email, p_max_active, p_max_per_minute);
  if refusal is not null then
    return refusal;
  end if;
  insert into public.prebookings (
    id, user_email, box_subdomain, box_aimharder_id, booking_data, wish_key,
    available_at, give_up_at, created_at, armed_at)
  values (
    p_id, pg_catalog.lower(p_user_email), p_box_subdomain, p_box_aimharder_id, p_booking_data, key,
    opening, give_up, prebooking.now(), prebooking.now())
  returning * into r;
  return prebooking.answer('created', r);
end $$;

-- failed → pending, by the user's hand. The caller makes the token. A begin mark (outcome_unknown alone has one) is
-- kept: it is settled first.
drop function if exists public.retry_prebooking(uuid, text, uuid, timestamptz);
create or replace function public.retry_prebooking(
  p_id uuid, p_user_email text, p_token uuid, p_available_at timestamptz default null,
  p_max_active integer default null, p_max_per_minute integer default null
) returns jsonb language plpgsql as $$
declare
  r public.prebookings;
  other public.prebookings;
  refusal jsonb;
  old_message text;
begin
  perform prebooking.take_turn(p_user_email);
  select * into r from public.prebookings
    where id = p_id and pg_catalog.lower(user_email) = pg_catalog.lower(p_user_email) for update;
  if not found then
    return '{"outcome": "not_found"}';
  elsif r.retry_token = p_token then -- the answer to the first call was lost
    return prebooking.answer('retried', r)
      || pg_catalog.jsonb_build_object('replaced_message_id', r.replaced_message_id);
  elsif r.status = 'executing' then
    return prebooking.answer('booking_in_progress', r);
  elsif r.status in ('completed', 'cancelled') then
    return prebooking.answer('already_finished', r);
  elsif r.status <> 'failed' then
    return prebooking.answer('not_failed', r);
  end if;
  refusal := prebooking.refuse_opening(r, coalesce(p_available_at, r.available_at));
  if refusal is not null then
    return refusal;
  end if;
  select * into other from public.prebookings
    where wish_key = r.wish_key and status in ('pending', 'loaded', 'executing');
  if found then
    return prebooking.answer('exists', other);
  end if;
  refusal := prebooking.refuse_more(p_user_email, p_max_active, p_max_per_minute);
  if refusal is not null then
    return refusal;
  end if;
  delete from prebooking.retries
    where user_email = pg_catalog.lower(p_user_email) and retried_at <= prebooking.now() - interval '1 minute';
  insert into prebooking.retries values (pg_catalog.lower(p_user_email), prebooking.now());
  old_message := r.qstash_schedule_id;
  update public.prebookings set
    status = 'pending', available_at = coalesce(p_available_at, available_at), version = version + 1,
    claim_token = null, lease_until = null, -- the old cron may have ended a row that we held
    qstash_schedule_id = null, armed_at = prebooking.now(), attempts = 0, parks = 0, retry_at = null,
    ended_token = null, retry_token = p_token, replaced_message_id = old_message, delivery_failures = 0,
    delivery_failure = null, last_outcome = null, last_message = null, shots = '[]', result = null,
    error_code = null, error_message = null, executed_at = null
  where id = p_id returning * into r;
  return prebooking.answer('retried', r) || pg_catalog.jsonb_build_object('replaced_message_id', old_message);
end $$;

-- Every function of ours, old and new: the service's alone, its names found in one way, whoever calls.
-- Those that the service calls also give up sooner than it does (a try of it takes 1 s), so that a call that it has
-- given up can't act later on: 0.5 s for a lock, which two tries of a claim can wait for in the 1.5 s that it has, and
-- 0.9 s in all. PostgREST sets the latter before the call, where it finds it; set within, it would come too late.
do $$
declare
  f record;
begin
  for f in
    select p.oid::regprocedure as signature, p.pronamespace = 'public'::regnamespace as is_called
    from pg_catalog.pg_proc p
    where p.pronamespace = 'prebooking'::regnamespace
      or (p.pronamespace = 'public'::regnamespace and p.proname in (
        'create_prebooking', 'attach_message', 'claim_prebooking', 'begin_booking', 'finish_booking',
        'release_prebooking', 'park_prebooking', 'cancel_prebooking', 'reschedule_prebooking', 'retry_prebooking',
        'note_delivery_failure', 'list_prebookings', 'sweep_prebookings', 'lease_session', 'save_session'))
  loop
    execute format('alter function %s set search_path = ''''', f.signature);
    if f.is_called then
      execute format('alter function %s set statement_timeout = ''900ms''', f.signature);
      execute format('alter function %s set lock_timeout = ''500ms''', f.signature);
    end if;
    execute format('revoke all on function %s from public, anon, authenticated', f.signature);
    execute format('grant execute on function %s to service_role', f.signature);
  end loop;
end $$;

notify pgrst, 'reload schema';
