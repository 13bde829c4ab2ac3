-- The changes that a user makes to prebookings: create, cancel, reschedule, retry; and their list.

-- Creates the row. The caller has taken the user's turn.
create or replace function prebooking.create_row(
  p_id uuid, p_user_email text, p_box_subdomain text, p_box_aimharder_id text, p_booking_data jsonb,
  p_available_at timestamptz, p_max_active integer, p_max_per_minute integer,
  p_starts_at timestamptz, p_time_zone text, p_box_domain text, p_class jsonb default null
) returns jsonb language plpgsql as $$
declare
  r public.prebookings;
  told constant jsonb := prebooking.class_told(p_class, p_time_zone, p_user_email, p_box_subdomain);
  wanted constant text := prebooking.wish_key(p_user_email, p_box_subdomain, p_booking_data, told);
  opening constant timestamptz := coalesce(p_available_at, prebooking.now());
  starts constant timestamptz := coalesce(
    p_starts_at, prebooking.told_start(p_booking_data),
    prebooking.on_the_wall_clock(p_booking_data ->> 'day', told ->> 'starts', told ->> 'time_zone'));
  give_up constant timestamptz := coalesce(starts, prebooking.give_up_at(p_booking_data, opening));
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
    id, user_email, box_subdomain, box_aimharder_id, box_domain, booking_data, wish_key,
    available_at, give_up_at, starts_at, time_zone, class, created_at, armed_at)
  values (
    p_id, pg_catalog.lower(p_user_email), p_box_subdomain, p_box_aimharder_id,
    coalesce(p_box_domain, (prebooking.session_of(p_user_email)).box_domains ->> p_box_subdomain), p_booking_data, wanted,
    opening, give_up, starts, coalesce(told ->> 'time_zone', p_time_zone), told, prebooking.now(), prebooking.now())
  returning * into r;
  return prebooking.answer('created', r);
end $$;

-- p_key: that of the request, if it has an Idempotency-Key. Replicas of earlier versions send only some of these.
create or replace function public.create_prebooking(
  p_id uuid, p_user_email text, p_box_subdomain text, p_box_aimharder_id text, p_booking_data jsonb,
  p_available_at timestamptz default null,   -- null: now
  p_max_active integer default null, p_max_per_minute integer default null,
  p_starts_at timestamptz default null, p_time_zone text default null, p_key uuid default null,
  p_box_domain text default null,            -- null: as the user's session knows it
  p_class jsonb default null                 -- {"starts": "HH:MM", "name"?, "time_zone"?}: beside the id, or without one
) returns jsonb language plpgsql as $$
declare
  wish constant text :=
    prebooking.wish_of(prebooking.wish_key(p_user_email, p_box_subdomain, p_booking_data, p_class));
  answer jsonb;
begin
  perform prebooking.take_turn(p_user_email);
  answer := prebooking.answer_again(p_user_email, p_key, wish, p_available_at);
  if answer is null then
    answer := prebooking.create_row(
      p_id, p_user_email, p_box_subdomain, p_box_aimharder_id, p_booking_data, p_available_at, p_max_active,
      p_max_per_minute, p_starts_at, p_time_zone, p_box_domain, p_class);
    perform prebooking.remember_answer(p_user_email, p_key, wish, p_available_at, answer);
  end if;
  return answer;
end $$;

create or replace function public.list_prebookings(
  p_user_email text, p_id uuid default null, p_status text default null, p_box_subdomain text default null,
  p_limit integer default 50, p_before_created_at timestamptz default null, p_before_id uuid default null
) returns jsonb language sql stable as $$
  select pg_catalog.jsonb_build_object(
    'outcome', 'listed',
    'prebookings', coalesce(pg_catalog.jsonb_agg(prebooking.as_json(r) order by r.created_at desc, r.id desc), '[]'))
  from (
    select p.* from public.prebookings p
    where pg_catalog.lower(p.user_email) = pg_catalog.lower(p_user_email)
      and (p_id is null or p.id = p_id)
      and (p_status is null or p.status = p_status or (p_status = 'pending' and p.status = 'loaded'))
      and (p_box_subdomain is null or p_box_subdomain = (select b.subdomain from prebooking.box_of(p) b))
      and (p_before_id is null or (p.created_at, p.id) < (p_before_created_at, p_before_id))
    order by p.created_at desc, p.id desc
    limit p_limit
  ) r
$$;

-- Returns the current rows of the prebookings of these messages.
create or replace function public.read_prebookings(p_ids uuid[]) returns jsonb
language sql stable as $$
  select pg_catalog.jsonb_build_object('outcome', 'read', 'prebookings', coalesce(
    pg_catalog.jsonb_agg(prebooking.as_json(p)), '[]'))
  from public.prebookings p where p.id = any (p_ids)
$$;

-- pending → cancelled, executing and not begun → cancelled. A pending row can always be cancelled. The series that made
-- it skips its day; other series that left the day to it may make it again.
create or replace function public.cancel_prebooking(p_id uuid, p_user_email text)
returns jsonb language plpgsql as $$
declare
  r public.prebookings;
begin
  perform prebooking.lock_series(p_user_email);
  select * into r from public.prebookings
    where id = p_id and pg_catalog.lower(user_email) = pg_catalog.lower(p_user_email) for update;
  if not found then
    return '{"outcome": "not_found"}';
  elsif r.status in ('completed', 'failed') then
    return prebooking.answer('already_finished', r);
  elsif r.status = 'executing' and prebooking.is_begun(r) then
    return prebooking.answer('booking_in_progress', r);
  elsif r.status <> 'cancelled' then
    perform prebooking.leave_day(r);
    update public.prebookings set status = 'cancelled', claim_token = null, lease_until = null, retry_at = null
      where id = p_id returning * into r;
    perform prebooking.skip_day(s, r) from public.prebooking_series s where s.id = r.series_id;
  end if;
  return prebooking.answer('cancelled', r);
end $$;

-- Returns the refusal of an opening that is too late: when the row is over; else null.
create or replace function prebooking.refuse_opening(p public.prebookings, p_available_at timestamptz)
returns jsonb language sql volatile as $$
  select case when greatest(p_available_at, prebooking.now()) >= p.give_up_at then
    prebooking.answer('too_late', p) || pg_catalog.jsonb_build_object('give_up_at', p.give_up_at) end
$$;

-- pending → pending with another opening. Returns the old message, to be deleted. Without p_max_per_minute, as older
-- replicas call it, a move counts but is not refused.
create or replace function public.reschedule_prebooking(
  p_id uuid, p_user_email text, p_available_at timestamptz, p_max_per_minute integer default null
) returns jsonb language plpgsql as $$
declare
  r public.prebookings;
  refusal jsonb;
  old_message text;
begin
  perform prebooking.take_turn(p_user_email);
  select * into r from public.prebookings
    where id = p_id and pg_catalog.lower(user_email) = pg_catalog.lower(p_user_email) for update;
  if not found then
    return '{"outcome": "not_found"}';
  elsif r.status = 'executing' then
    return prebooking.answer('booking_in_progress', r);
  elsif r.status not in ('pending', 'loaded') then
    return prebooking.answer('already_finished', r);
  elsif r.available_at = p_available_at then
    return prebooking.answer('rescheduled', r) -- the answer to the first call was lost
      || pg_catalog.jsonb_build_object('replaced_message_id', r.replaced_message_id);
  end if;
  refusal := coalesce(
    prebooking.refuse_opening(r, p_available_at), prebooking.refuse_more(p_user_email, null, p_max_per_minute));
  if refusal is not null then
    return refusal;
  end if;
  delete from prebooking.retries
    where user_email = pg_catalog.lower(p_user_email) and retried_at <= prebooking.now() - interval '1 minute';
  insert into prebooking.retries (user_email, retried_at) values (pg_catalog.lower(p_user_email), prebooking.now());
  old_message := r.qstash_schedule_id;
  update public.prebookings set
    status = 'pending', available_at = p_available_at, version = version + 1, qstash_schedule_id = null,
    armed_at = prebooking.now(), attempts = 0, retry_at = null, waits_for = null,
    delivery_failures = 0, delivery_failure = null,
    last_outcome = null, last_message = null, shots = '[]', replaced_message_id = old_message
  where id = p_id returning * into r;
  return prebooking.answer('rescheduled', r) || pg_catalog.jsonb_build_object('replaced_message_id', old_message);
end $$;

-- failed → pending, by the user. The caller has taken the user's turn, and makes the token. A begin mark (only
-- outcome_unknown has one) is kept: it is settled first.
create or replace function prebooking.retry_row(
  p_id uuid, p_user_email text, p_token uuid, p_available_at timestamptz, p_max_active integer,
  p_max_per_minute integer
) returns jsonb language plpgsql as $$
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
    qstash_schedule_id = null, armed_at = prebooking.now(), attempts = 0, parks = 0, retry_at = null, waits_for = null,
    ended_token = null, retry_token = p_token, replaced_message_id = old_message, delivery_failures = 0,
    delivery_failure = null, last_outcome = null, last_message = null, shots = '[]', result = null,
    error_code = null, error_message = null, executed_at = null
  where id = p_id returning * into r;
  return prebooking.answer('retried', r) || pg_catalog.jsonb_build_object('replaced_message_id', old_message);
end $$;

create or replace function public.retry_prebooking(
  p_id uuid, p_user_email text, p_token uuid, p_available_at timestamptz default null,
  p_max_active integer default null, p_max_per_minute integer default null, p_key uuid default null
) returns jsonb language plpgsql as $$
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
