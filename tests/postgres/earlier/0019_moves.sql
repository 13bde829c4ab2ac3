-- Whatever costs a QStash message counts against one limit: a create, a retry, and a move, which orders a new one.

-- A create leaves its row in public.prebookings; each retry and each move leaves one here. Kept for a minute.
comment on table prebooking.retries is 'Retries and moves of the last minute: each has ordered a message.';

-- pending → pending with another opening. The old message is returned, to be deleted. Without p_max_per_minute, as an
-- older replica calls it, a move is refused by no limit, but counts nevertheless.
-- Another signature would be an overload, which PostgREST refuses as ambiguous.
drop function if exists public.reschedule_prebooking(uuid, text, timestamptz);
create or replace function public.reschedule_prebooking(
  p_id uuid, p_user_email text, p_available_at timestamptz, p_max_per_minute integer default null
) returns jsonb language plpgsql set search_path = '' as $$
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
    armed_at = prebooking.now(), attempts = 0, retry_at = null, delivery_failures = 0, delivery_failure = null,
    last_outcome = null, last_message = null, shots = '[]', replaced_message_id = old_message
  where id = p_id returning * into r;
  return prebooking.answer('rescheduled', r) || pg_catalog.jsonb_build_object('replaced_message_id', old_message);
end $$;

-- As every function of ours has it: see the end of 0010_limits.sql.
do $$
declare
  f record;
begin
  for f in
    select p.oid::regprocedure as signature from pg_catalog.pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.proname = 'reschedule_prebooking'
  loop
    execute format('alter function %s set statement_timeout = ''900ms''', f.signature);
    execute format('alter function %s set lock_timeout = ''500ms''', f.signature);
    execute format('revoke all on function %s from public, anon, authenticated', f.signature);
    execute format('grant execute on function %s to service_role', f.signature);
  end loop;
end $$;

notify pgrst, 'reload schema';
