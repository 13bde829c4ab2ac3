-- What a user does with a prebooking: create, list, cancel, reschedule, retry; and the message that rings for it.

create or replace function public.create_prebooking(
  p_id uuid, p_user_email text, p_box_subdomain text, p_box_aimharder_id text, p_booking_data jsonb,
  p_available_at timestamptz default null   -- null: now
) returns jsonb language plpgsql set search_path = '' as $$
declare
  r public.prebookings;
  key text := prebooking.wish_key(p_user_email, p_box_subdomain, p_booking_data);
  opening timestamptz := coalesce(p_available_at, prebooking.now());
  give_up timestamptz := prebooking.give_up_at(p_booking_data, opening);
begin
  select * into r from public.prebookings where id = p_id;
  if found then
    return prebooking.answer('created', r); -- the answer to the first call was lost
  end if;
  for try in 1..3 loop
    select * into r from public.prebookings
      where wish_key = key and status in ('pending', 'loaded', 'executing');
    if found then
      return prebooking.answer(
        case when r.id = p_id then 'created' -- the first call was still under way
          when p_available_at is null or r.available_at = p_available_at then 'existing' else 'exists' end, r);
    elsif greatest(opening, prebooking.now()) >= give_up then
      return pg_catalog.jsonb_build_object('outcome', 'too_late', 'give_up_at', give_up);
    end if;
    insert into public.prebookings (
      id, user_email, box_subdomain, box_aimharder_id, booking_data, wish_key,
      available_at, give_up_at, created_at, armed_at)
    values (
      p_id, pg_catalog.lower(p_user_email), p_box_subdomain, p_box_aimharder_id, p_booking_data, key,
      opening, give_up, prebooking.now(), prebooking.now())
    on conflict do nothing
    returning * into r;
    if found then
      return prebooking.answer('created', r);
    end if;
    -- Another tab came between the two statements: the next round finds its row, unless that has ended too.
  end loop;
  raise exception 'the wish of % changed hands three times', p_id;
end $$;

create or replace function public.attach_message(p_id uuid, p_version integer, p_message_id text)
returns jsonb language plpgsql set search_path = '' as $$
declare
  r public.prebookings;
  replaced text;
begin
  select * into r from public.prebookings where id = p_id for update;
  if not found then
    return '{"outcome": "unknown_prebooking"}';
  elsif r.status = 'cancelled' then
    return prebooking.answer('cancelled', r);
  elsif r.version <> p_version then
    return prebooking.answer('stale', r);
  end if;
  -- Remembered, because this answer may be lost too, and the old cron's message would book beside us.
  replaced := nullif(coalesce(nullif(r.qstash_schedule_id, p_message_id), r.replaced_message_id), p_message_id);
  update public.prebookings set
    qstash_schedule_id = p_message_id, scheduled_version = p_version, replaced_message_id = replaced
    where id = p_id returning * into r;
  return prebooking.answer('attached', r) || pg_catalog.jsonb_build_object('replaced_message_id', replaced);
end $$;

create or replace function public.list_prebookings(
  p_user_email text, p_id uuid default null, p_status text default null, p_box_subdomain text default null,
  p_limit integer default 50, p_before_created_at timestamptz default null, p_before_id uuid default null
) returns jsonb language sql stable set search_path = '' as $$
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

-- pending → cancelled, executing and not begun → cancelled. A pending row can always be cancelled.
create or replace function public.cancel_prebooking(p_id uuid, p_user_email text)
returns jsonb language plpgsql set search_path = '' as $$
declare
  r public.prebookings;
begin
  select * into r from public.prebookings
    where id = p_id and pg_catalog.lower(user_email) = pg_catalog.lower(p_user_email) for update;
  if not found then
    return '{"outcome": "not_found"}';
  elsif r.status in ('completed', 'failed') then
    return prebooking.answer('already_finished', r);
  elsif r.status = 'executing' and prebooking.is_begun(r) then
    return prebooking.answer('booking_in_progress', r);
  elsif r.status <> 'cancelled' then
    update public.prebookings set status = 'cancelled', claim_token = null, lease_until = null, retry_at = null
      where id = p_id returning * into r;
  end if;
  return prebooking.answer('cancelled', r);
end $$;

-- What stands before the opening can be changed: null, or the reason against it.
create or replace function prebooking.refuse_opening(p public.prebookings, p_available_at timestamptz)
returns jsonb language sql volatile as $$
  select case when greatest(p_available_at, prebooking.now()) >= p.give_up_at then
    prebooking.answer('too_late', p) || pg_catalog.jsonb_build_object('give_up_at', p.give_up_at) end
$$;

-- pending → pending with another opening. The old message is returned, to be deleted.
create or replace function public.reschedule_prebooking(p_id uuid, p_user_email text, p_available_at timestamptz)
returns jsonb language plpgsql set search_path = '' as $$
declare
  r public.prebookings;
  refusal jsonb;
  old_message text;
begin
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
  refusal := prebooking.refuse_opening(r, p_available_at);
  if refusal is not null then
    return refusal;
  end if;
  old_message := r.qstash_schedule_id;
  update public.prebookings set
    status = 'pending', available_at = p_available_at, version = version + 1, qstash_schedule_id = null,
    armed_at = prebooking.now(), attempts = 0, retry_at = null, delivery_failures = 0, delivery_failure = null,
    last_outcome = null, last_message = null, shots = '[]', replaced_message_id = old_message
  where id = p_id returning * into r;
  return prebooking.answer('rescheduled', r) || pg_catalog.jsonb_build_object('replaced_message_id', old_message);
end $$;

-- failed → pending, by the user's hand. The caller makes the token. A begin mark (outcome_unknown alone has one) is kept: it is settled first.
create or replace function public.retry_prebooking(
  p_id uuid, p_user_email text, p_token uuid, p_available_at timestamptz default null
) returns jsonb language plpgsql set search_path = '' as $$
declare
  r public.prebookings;
  refusal jsonb;
  old_message text;
begin
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
  old_message := r.qstash_schedule_id;
  begin
    update public.prebookings set
      status = 'pending', available_at = coalesce(p_available_at, available_at), version = version + 1,
      claim_token = null, lease_until = null, -- the old cron may have ended a row that we held
      qstash_schedule_id = null, armed_at = prebooking.now(), attempts = 0, parks = 0, retry_at = null,
      ended_token = null, retry_token = p_token, replaced_message_id = old_message, delivery_failures = 0,
      delivery_failure = null, last_outcome = null, last_message = null, shots = '[]', result = null,
      error_code = null, error_message = null, executed_at = null
    where id = p_id returning * into r;
  exception when unique_violation then
    select * into r from public.prebookings
      where wish_key = r.wish_key and status in ('pending', 'loaded', 'executing');
    if not found then -- the other one ended between the two statements: the wish is free again
      return public.retry_prebooking(p_id, p_user_email, p_token, p_available_at);
    end if;
    return prebooking.answer('exists', r);
  end;
  return prebooking.answer('retried', r) || pg_catalog.jsonb_build_object('replaced_message_id', old_message);
end $$;

-- QStash gave up on a message. The row only loses its message; the sweep goes on with it.
create or replace function public.note_delivery_failure(p_id uuid, p_version integer, p_reason text)
returns jsonb language plpgsql set search_path = '' as $$
declare
  r public.prebookings;
begin
  update public.prebookings set
    scheduled_version = null, qstash_schedule_id = null,
    delivery_failures = delivery_failures + 1, delivery_failure = p_reason
  where id = p_id and version = p_version and scheduled_version = p_version and status in ('pending', 'loaded')
  returning * into r;
  if found then
    return prebooking.answer('noted', r);
  end if;
  return '{"outcome": "nothing_to_note"}';
end $$;
