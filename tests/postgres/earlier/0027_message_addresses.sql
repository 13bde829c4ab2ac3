-- A message knows the address of the service (PUBLIC_URL) that it was ordered for. When that has changed, the message
-- rings where nobody answers: the sweep orders another. Unknown, as replicas of an earlier version leave it, is right.

alter table public.prebookings
  add column if not exists message_address text,         -- what the message was ordered for
  add column if not exists readdressed_at timestamptz;   -- when it was last ordered anew for another address

create index if not exists prebookings_message_addresses
  on public.prebookings (message_address)
  where status in ('pending', 'loaded') and message_address is not null;

comment on table prebooking.retries is
  'Retries and moves of the last minute, and messages ordered anew for another address: each has ordered a message.';

-- Another signature would be an overload, which PostgREST refuses as ambiguous.
drop function if exists public.attach_message(uuid, integer, text);
create or replace function public.attach_message(
  p_id uuid, p_version integer, p_message_id text, p_address text default null
) returns jsonb language plpgsql set search_path = '' as $$
declare
  r public.prebookings;
  t constant timestamptz := prebooking.now();
  replaced text;
  readdressed boolean;
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
  readdressed := coalesce(r.scheduled_version = p_version and r.message_address <> p_address, false);
  update public.prebookings set
    qstash_schedule_id = p_message_id, scheduled_version = p_version, replaced_message_id = replaced,
    message_address = p_address, readdressed_at = case when readdressed then t else r.readdressed_at end
    where id = p_id returning * into r;
  if readdressed then
    insert into prebooking.retries (user_email, retried_at) values (pg_catalog.lower(r.user_email), t);
  end if;
  return prebooking.answer('attached', r) || pg_catalog.jsonb_build_object('replaced_message_id', replaced);
end $$;

-- How many messages this user's creates, retries, moves and changes of address have ordered within the last minute.
create or replace function prebooking.ordered_lately(p_user_email text) returns bigint
language sql stable set search_path = '' as $$
  select (select pg_catalog.count(*) from public.prebookings p
      where pg_catalog.lower(p.user_email) = pg_catalog.lower(p_user_email)
        and p.created_at > prebooking.now() - interval '1 minute' and p.created_at <= prebooking.now())
    + (select pg_catalog.count(*) from prebooking.retries r
      where r.user_email = pg_catalog.lower(p_user_email)
        and r.retried_at > prebooking.now() - interval '1 minute' and r.retried_at <= prebooking.now())
$$;

-- Rows that wait with a message for another address than this one, and were not readdressed a while ago: two replicas
-- with different addresses would else take each other's messages without end. The earliest, and of each user as many as
-- may be ordered within a minute (null: any number).
create or replace function prebooking.messages_elsewhere(
  p_address text, p_opens_after timestamptz, p_max_per_minute integer, p_limit integer
) returns setof public.prebookings language plpgsql stable set search_path = '' as $$
declare
  t constant timestamptz := prebooking.now();
  first_address text;
  last_address text;
begin
  -- Both ends of the index: nearly always all are right.
  select pg_catalog.min(p.message_address), pg_catalog.max(p.message_address) into first_address, last_address
  from public.prebookings p where p.status in ('pending', 'loaded') and p.message_address is not null;
  if p_address is null or first_address is null or (first_address = p_address and last_address = p_address) then
    return;
  end if;
  return query
    select p.* from (
      select e.id, pg_catalog.lower(e.user_email) as email,
        pg_catalog.row_number() over (partition by pg_catalog.lower(e.user_email) order by e.available_at, e.id) as nth
      from (
        select p.id, p.user_email, p.available_at from public.prebookings p
        where p.status in ('pending', 'loaded') and p.message_address <> p_address and p.scheduled_version = p.version
          and p.available_at > p_opens_after and p.give_up_at > t
          and (p.readdressed_at is null or p.readdressed_at <= t - interval '10 minutes')
        order by p.available_at limit p_limit) e) n
    join public.prebookings p on p.id = n.id
    where p_max_per_minute is null or n.nth <= p_max_per_minute - prebooking.ordered_lately(n.email);
end $$;

-- As in 0005_sweep.sql; what has a message for another address is published, too, unless p_address is null.
drop function if exists public.sweep_prebookings(double precision, double precision, integer);
create or replace function public.sweep_prebookings(
  p_lead_seconds double precision, p_max_delay_seconds double precision, p_limit integer default 500,
  p_address text default null, p_max_per_minute integer default null
) returns jsonb language plpgsql stable set search_path = '' as $$
declare
  t timestamptz := prebooking.now();
  -- The message comes first: the sweep takes a row half a lead before its opening, if nobody has.
  due_until timestamptz := t + pg_catalog.make_interval(secs => p_lead_seconds / 2);
  execute_ids jsonb;
  settle_ids jsonb;
  publish jsonb;
  next_at timestamptz;
  is_busy boolean;
begin
  -- Due and unclaimed, or over: both begin with a claim. Not within 1 s of its create, reschedule or retry.
  select coalesce(pg_catalog.jsonb_agg(d.id order by d.available_at, d.created_at, d.id), '[]') into execute_ids
  from (
    select p.id, p.available_at, p.created_at from public.prebookings p
    where p.status in ('pending', 'loaded') and (p.available_at <= due_until or p.give_up_at <= t)
      and coalesce(p.armed_at, p.created_at) <= t - interval '1 second'
      and (p.retry_at is null or p.retry_at <= t)
    order by p.available_at, p.created_at limit p_limit) d;

  select
    coalesce(pg_catalog.jsonb_agg(e.id order by e.ends) filter (where e.ends <= t and e.begun), '[]'),
    execute_ids || coalesce(pg_catalog.jsonb_agg(e.id order by e.ends) filter (where e.ends <= t and not e.begun), '[]'),
    pg_catalog.min(e.ends) filter (where e.ends > t),
    pg_catalog.count(*) > 0
  into settle_ids, execute_ids, next_at, is_busy
  from (
    select p.id, prebooking.lease_end(p) as ends, prebooking.is_begun(p) as begun
    from public.prebookings p where p.status = 'executing') e;

  -- No message for this version: a lost publish, a QStash that was down, an opening that was too far away, an
  -- adopted row. What opens within the lead is executed, not published.
  select coalesce(
      pg_catalog.jsonb_agg(prebooking.as_json(w.p) || pg_catalog.jsonb_build_object(
        'delivery_failures', (w.p).delivery_failures, 'readdressed', w.readdressed) order by (w.p).available_at), '[]')
  into publish
  from (
    (select p, false as readdressed from public.prebookings p
      where p.status in ('pending', 'loaded') and p.scheduled_version is distinct from p.version
        and p.available_at > t + pg_catalog.make_interval(secs => p_lead_seconds) and p.give_up_at > t
        and p.available_at <= t + pg_catalog.make_interval(secs => p_max_delay_seconds)
        and coalesce(p.armed_at, p.created_at) <= t - interval '10 seconds'
      order by p.available_at limit p_limit)
    union all
    select e, true from prebooking.messages_elsewhere(
      p_address, t + pg_catalog.make_interval(secs => p_lead_seconds), p_max_per_minute, p_limit) e) w;

  select least(
    next_at,
    (select pg_catalog.min(greatest(
        p.retry_at, coalesce(p.armed_at, p.created_at) + interval '1 second',
        p.available_at - pg_catalog.make_interval(secs => p_lead_seconds / 2)))
      from public.prebookings p
      where p.status in ('pending', 'loaded') and p.available_at <= due_until
        and (p.retry_at > t or coalesce(p.armed_at, p.created_at) > t - interval '1 second')),
    (select p.available_at - pg_catalog.make_interval(secs => p_lead_seconds / 2) from public.prebookings p
      where p.status in ('pending', 'loaded') and p.available_at > due_until
      order by p.available_at limit 1))
  into next_at;

  is_busy := is_busy or exists (
    select from public.prebookings p
    where p.status in ('pending', 'loaded') and p.available_at between t - interval '10 seconds' and t + interval '10 seconds');

  return pg_catalog.jsonb_build_object(
    'outcome', 'swept', 'now', t, 'execute', execute_ids, 'settle', settle_ids, 'publish', publish,
    'next_at', next_at, 'busy', is_busy);
end $$;

-- As every function of ours has it: see the end of 0010_limits.sql.
do $$
declare
  f record;
begin
  for f in
    select p.oid::regprocedure as signature, p.pronamespace = 'public'::regnamespace as is_called
    from pg_catalog.pg_proc p
    where (p.pronamespace = 'prebooking'::regnamespace and p.proname in ('ordered_lately', 'messages_elsewhere'))
      or (p.pronamespace = 'public'::regnamespace and p.proname in ('attach_message', 'sweep_prebookings'))
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
