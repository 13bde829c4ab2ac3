-- An Idempotency-Key is of the request, whatever it was answered with: sent again, it is answered so again, with the row
-- as it is now, and makes nothing. The same key with another wish is refused.

create table if not exists prebooking.idempotency_keys (
  user_email text not null,                              -- lower-cased
  key uuid not null,                                     -- made of the request's path and its header
  prebooking_id uuid not null references public.prebookings (id) on delete cascade, -- the row that was answered
  outcome text not null,
  wish text,                                             -- what was asked for; null: a retry, whose row says it
  available_at timestamptz,                              -- the opening that was asked for; null: none was
  used_at timestamptz not null,
  primary key (user_email, key)
);
create index if not exists idempotency_keys_of_prebooking on prebooking.idempotency_keys (prebooking_id);
revoke all on prebooking.idempotency_keys from public;
grant select, insert, update, delete on prebooking.idempotency_keys to service_role;

-- A wish without its user, whose e-mail may change.
create or replace function prebooking.wish_of(p_wish_key text) returns text
language sql immutable set search_path = '' as $$ select (p_wish_key::jsonb - 0)::text $$;

-- The answer to a request with a key that was used before; null: it was not. A limit that was met, or a class that was
-- over, is not remembered: the same request may do better later.
create or replace function prebooking.answer_again(
  p_user_email text, p_key uuid, p_wish text, p_available_at timestamptz
) returns jsonb language plpgsql stable set search_path = '' as $$
declare
  used prebooking.idempotency_keys;
  r public.prebookings;
begin
  select * into used from prebooking.idempotency_keys k
    where k.user_email = pg_catalog.lower(p_user_email) and k.key = p_key;
  if not found then
    return null;
  end if;
  select * into r from public.prebookings p where p.id = used.prebooking_id;
  if used.wish is distinct from p_wish then
    return '{"outcome": "key_reused"}';
  elsif used.available_at is distinct from p_available_at then
    return prebooking.of_another_opening(r);
  end if;
  return prebooking.answer(used.outcome, r)
    || pg_catalog.jsonb_build_object('replaced_message_id', r.replaced_message_id);
end $$;

-- What was made earlier by the same request opens at another instant than is asked for now.
create or replace function prebooking.of_another_opening(p public.prebookings) returns jsonb
language sql stable set search_path = '' as $$
  select prebooking.answer(case when p.status in ('pending', 'loaded') then 'exists' else 'key_reused' end, p)
$$;

create or replace function prebooking.remember_answer(
  p_user_email text, p_key uuid, p_wish text, p_available_at timestamptz, p_answer jsonb
) returns void language sql volatile set search_path = '' as $$
  insert into prebooking.idempotency_keys (user_email, key, prebooking_id, outcome, wish, available_at, used_at)
  select pg_catalog.lower(p_user_email), p_key, (p_answer -> 'prebooking' ->> 'id')::uuid, p_answer ->> 'outcome',
    p_wish, p_available_at, prebooking.now()
  where p_key is not null and p_answer ->> 'outcome' in ('created', 'existing', 'exists', 'retried')
  on conflict (user_email, key) do nothing
$$;

-- As create_prebooking in 0021_class_start.sql, whose turn has been taken.
create or replace function prebooking.create_row(
  p_id uuid, p_user_email text, p_box_subdomain text, p_box_aimharder_id text, p_booking_data jsonb,
  p_available_at timestamptz, p_max_active integer, p_max_per_minute integer,
  p_starts_at timestamptz, p_time_zone text
) returns jsonb language plpgsql set search_path = '' as $$
declare
  r public.prebookings;
  wanted constant text := prebooking.wish_key(p_user_email, p_box_subdomain, p_booking_data);
  opening constant timestamptz := coalesce(p_available_at, prebooking.now());
  give_up constant timestamptz := coalesce(p_starts_at, prebooking.give_up_at(p_booking_data, opening));
  refusal jsonb;
begin
  select * into r from public.prebookings where id = p_id;
  if found and r.wish_key is distinct from wanted then
    return '{"outcome": "key_reused"}';
  elsif found and r.available_at <> p_available_at then
    return prebooking.of_another_opening(r);
  elsif found then
    return prebooking.answer('created', r); -- the answer to the first call was lost
  end if;
  select * into r from public.prebookings
    where wish_key = wanted and status in ('pending', 'loaded', 'executing');
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
    available_at, give_up_at, starts_at, time_zone, created_at, armed_at)
  values (
    p_id, pg_catalog.lower(p_user_email), p_box_subdomain, p_box_aimharder_id, p_booking_data, wanted,
    opening, give_up, p_starts_at, p_time_zone, prebooking.now(), prebooking.now())
  returning * into r;
  return prebooking.answer('created', r);
end $$;

-- p_key: of the request, where it has an Idempotency-Key; replicas of an earlier version don't say it.
-- Another signature would be an overload, which PostgREST refuses as ambiguous.
drop function if exists public.create_prebooking(
  uuid, text, text, text, jsonb, timestamptz, integer, integer, timestamptz, text);
create or replace function public.create_prebooking(
  p_id uuid, p_user_email text, p_box_subdomain text, p_box_aimharder_id text, p_booking_data jsonb,
  p_available_at timestamptz default null,   -- null: now
  p_max_active integer default null, p_max_per_minute integer default null,
  p_starts_at timestamptz default null, p_time_zone text default null, p_key uuid default null
) returns jsonb language plpgsql set search_path = '' as $$
declare
  wish constant text :=
    prebooking.wish_of(prebooking.wish_key(p_user_email, p_box_subdomain, p_booking_data));
  answer jsonb;
begin
  perform prebooking.take_turn(p_user_email);
  answer := prebooking.answer_again(p_user_email, p_key, wish, p_available_at);
  if answer is null then
    answer := prebooking.create_row(
      p_id, p_user_email, p_box_subdomain, p_box_aimharder_id, p_booking_data, p_available_at, p_max_active,
      p_max_per_minute, p_starts_at, p_time_zone);
    perform prebooking.remember_answer(p_user_email, p_key, wish, p_available_at, answer);
  end if;
  return answer;
end $$;

-- As retry_prebooking in 0010_limits.sql, whose turn has been taken.
create or replace function prebooking.retry_row(
  p_id uuid, p_user_email text, p_token uuid, p_available_at timestamptz, p_max_active integer,
  p_max_per_minute integer
) returns jsonb language plpgsql set search_path = '' as $$
declare
  r public.prebookings;
  other public.prebookings;
  refusal jsonb;
  old_message text;
begin
  select * into r from public.prebookings
    where id = p_id and pg_catalog.lower(user_email) = pg_catalog.lower(p_user_email) for update;
  if not found then
    return '{"outcome": "not_found"}';
  elsif r.retry_token = p_token and r.available_at <> p_available_at then
    return prebooking.of_another_opening(r);
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

drop function if exists public.retry_prebooking(uuid, text, uuid, timestamptz, integer, integer);
create or replace function public.retry_prebooking(
  p_id uuid, p_user_email text, p_token uuid, p_available_at timestamptz default null,
  p_max_active integer default null, p_max_per_minute integer default null, p_key uuid default null
) returns jsonb language plpgsql set search_path = '' as $$
declare
  answer jsonb;
begin
  perform prebooking.take_turn(p_user_email);
  answer := prebooking.answer_again(p_user_email, p_key, null, p_available_at);
  if answer is null then
    answer := prebooking.retry_row(p_id, p_user_email, p_token, p_available_at, p_max_active, p_max_per_minute);
    perform prebooking.remember_answer(p_user_email, p_key, null, p_available_at, answer);
  end if;
  return answer;
end $$;

-- As every function of ours has it: see the end of 0010_limits.sql.
do $$
declare
  f record;
begin
  for f in
    select p.oid::regprocedure as signature, p.pronamespace = 'public'::regnamespace as is_called
    from pg_catalog.pg_proc p
    where (p.pronamespace = 'prebooking'::regnamespace and p.proname in (
        'wish_of', 'answer_again', 'of_another_opening', 'remember_answer', 'create_row', 'retry_row'))
      or (p.pronamespace = 'public'::regnamespace and p.proname in ('create_prebooking', 'retry_prebooking'))
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
