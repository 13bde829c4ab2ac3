-- Until it has begun, a claim has a short lease, which its holder renews: whoever waits a minute for an opening and is
-- killed keeps nobody else waiting for longer than that. A replica that knows nothing of it gets the lease of old.

-- Another signature would be an overload, which PostgREST refuses as ambiguous.
drop function if exists public.claim_prebooking(uuid, uuid, integer, double precision, integer);

-- The exclusive, leased right to execute one prebooking. It also ends what is over, and says so.
-- p_version: the one the message was published for; null from the sweep, which has no message.
-- p_horizon_seconds: how long before its opening the caller can wait for it.
-- p_lease_seconds: for how long, if it is not renewed; null: until a second after the opening.
create or replace function public.claim_prebooking(
  p_id uuid, p_token uuid, p_version integer, p_horizon_seconds double precision, p_max_attempts integer,
  p_lease_seconds double precision default null
) returns jsonb language plpgsql set search_path = '' as $$
declare
  r public.prebookings;
  t timestamptz;
  begun boolean;
  reason text;
begin
  select * into r from public.prebookings where id = p_id for update;
  if not found then
    return '{"outcome": "unknown_prebooking"}';
  end if;
  t := prebooking.now();
  begun := prebooking.is_begun(r);
  if r.status in ('completed', 'failed') then
    return prebooking.answer('already_finished', r);
  elsif r.status = 'cancelled' then
    return prebooking.answer('cancelled', r);
  elsif r.version <> p_version then
    return prebooking.answer('stale', r);
  elsif r.claim_token = p_token then -- the answer to the first call was lost
    if p_lease_seconds is not null and r.begun_token is distinct from p_token and r.ended_token is distinct from p_token
    then
      update public.prebookings
        set lease_until = greatest(lease_until, t + pg_catalog.make_interval(secs => p_lease_seconds))
        where id = p_id returning * into r;
    end if;
    return prebooking.claim_as_json(r, p_max_attempts);
  elsif r.ended_token = p_token or p_token = any (r.claim_tokens) then
    return prebooking.answer('already_ended', r);       -- a late copy of a claim that is long over
  elsif prebooking.lease_end(r) > t then
    return prebooking.answer('held', r)
      || pg_catalog.jsonb_build_object('retry_after', prebooking.seconds_until(prebooking.lease_end(r)));
  end if;

  -- Nobody holds it. Whoever was lost before the opening could not have booked: that was no attempt.
  if r.status = 'executing' and not begun and r.claim_counted and prebooking.lease_end(r) < r.available_at then
    r.attempts := r.attempts - 1;
  end if;

  -- First what is over.
  if begun and t >= r.give_up_at + interval '24 hours' then
    reason := 'outcome_unknown';
    r := prebooking.end_row(r, reason,
      'A booking request was sent, and the gym could not be asked what became of it. Look at your bookings there.');
  elsif not begun and t >= r.give_up_at then
    reason := 'expired';
    r := prebooking.end_row(r, reason, 'The class was over before it could be booked.'
      || coalesce(' Last: ' || r.last_message, ''));
  elsif not begun and r.attempts >= p_max_attempts then
    reason := coalesce(r.last_outcome, 'attempts_exhausted');
    r := prebooking.end_row(r, reason,
      coalesce(r.last_message, 'Each attempt to book was interrupted before it could say why.'));
  end if;
  if reason is not null then
    return prebooking.answer(reason, r);
  end if;

  -- Then what is not due, perhaps for this caller alone: the lost one could wait for longer.
  if (r.status <> 'executing' or not begun)
    and t < r.available_at - pg_catalog.make_interval(secs => p_horizon_seconds) then
    return prebooking.answer('not_due', r)
      || pg_catalog.jsonb_build_object('retry_after', prebooking.seconds_until(r.available_at));
  elsif r.status <> 'executing' and r.retry_at > t then
    return prebooking.answer('retry_later', r)
      || pg_catalog.jsonb_build_object('retry_after', prebooking.seconds_until(r.retry_at));
  end if;

  update public.prebookings set
    status = 'executing', claim_token = p_token, claim_tokens = claim_tokens || p_token, claimed_at = t, retry_at = null,
    lease_until = case when p_lease_seconds is not null then t + pg_catalog.make_interval(secs => p_lease_seconds)
      else greatest(t + interval '5 seconds', r.available_at + interval '1 second') end,
    -- A claim that only settles is no attempt, unless it begins again.
    claim_counted = not begun, attempts = r.attempts + (not begun)::integer,
    -- The old cron's request has no mark of its own.
    booking_started_at = case when begun then coalesce(r.booking_started_at, r.available_at) end,
    begun_token = case when begun then coalesce(r.begun_token, '00000000-0000-0000-0000-000000000000') end
  where id = p_id returning * into r;
  return prebooking.claim_as_json(r, p_max_attempts);
end $$;

-- Of all that one replica has claimed and not begun, in one call: prolongs what is still its own, and says what is not
-- (cancelled, taken over, ended, deleted). A row that another call is changing at this moment is left for the next time.
-- What was begun has its begin's lease, what was parked or released has none of its claim's: neither is touched.
create or replace function public.renew_claims(p_ids uuid[], p_tokens uuid[], p_lease_seconds double precision)
returns jsonb language plpgsql set search_path = '' as $$
declare
  t constant timestamptz := prebooking.now();
begin
  update public.prebookings p
  set lease_until = greatest(p.lease_until, t + pg_catalog.make_interval(secs => p_lease_seconds))
  from (
    select f.id, a.token
    from unnest(p_ids, p_tokens) as a (id, token) join public.prebookings f on f.id = a.id
    order by f.id for no key update of f skip locked) as free
  where p.id = free.id and p.status = 'executing' and p.claim_token = free.token
    and p.begun_token is distinct from free.token and p.ended_token is distinct from free.token;
  return pg_catalog.jsonb_build_object('outcome', 'renewed', 'lost', coalesce((
    select pg_catalog.jsonb_agg(
      case when p.id is null then '{"outcome": "unknown_prebooking"}'
        when p.status = 'cancelled' then prebooking.answer('cancelled', p) else prebooking.answer('lost', p) end
      || pg_catalog.jsonb_build_object('token', a.token))
    from unnest(p_ids, p_tokens) as a (id, token) left join public.prebookings p on p.id = a.id
    where p.id is null or p.status <> 'executing' or p.claim_token is distinct from a.token
      or p.ended_token = a.token), '[]'));
end $$;

-- A renewal alone is no news of the row: neither `updated_at` nor the live pages hear of it.
create or replace trigger prebookings_fill_row
  before insert on public.prebookings for each row execute function prebooking.fill_row();
create or replace trigger prebookings_changed_fill_row
  before update on public.prebookings for each row
  when (new.lease_until is not distinct from old.lease_until or (
    new.status, new.claim_token, new.begun_token, new.ended_token) is distinct from (
    old.status, old.claim_token, old.begun_token, old.ended_token))
  execute function prebooking.fill_row();
create or replace trigger prebookings_stamp_change
  before insert on public.prebookings for each row execute function prebooking.stamp_change();
create or replace trigger prebookings_changed_stamp_change
  before update on public.prebookings for each row
  when (new.lease_until is not distinct from old.lease_until or (
    new.status, new.claim_token, new.begun_token, new.ended_token) is distinct from (
    old.status, old.claim_token, old.begun_token, old.ended_token))
  execute function prebooking.stamp_change();

-- As every function of ours has it: see the end of 0010_limits.sql.
do $$
declare
  f record;
begin
  for f in
    select p.oid::regprocedure as signature from pg_catalog.pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.proname in ('claim_prebooking', 'renew_claims')
  loop
    execute format('alter function %s set statement_timeout = ''900ms''', f.signature);
    execute format('alter function %s set lock_timeout = ''500ms''', f.signature);
    execute format('revoke all on function %s from public, anon, authenticated', f.signature);
    execute format('grant execute on function %s to service_role', f.signature);
  end loop;
end $$;

notify pgrst, 'reload schema';
