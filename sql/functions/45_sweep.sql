-- Returns the rows that need something, by kind, and when to sweep again. It claims nothing: the caller claims each
-- row.
-- p_capabilities: see can_execute; rows that the caller can't execute are left to other replicas.
-- p_address: rows with a message for another address are included; null: they are not.
create or replace function public.sweep_prebookings(
  p_lead_seconds double precision, p_max_delay_seconds double precision, p_limit integer default 500,
  p_address text default null, p_max_per_minute integer default null, p_capabilities text[] default '{}'
) returns jsonb language plpgsql stable as $$
declare
  t timestamptz := prebooking.now();
  -- The message comes first: half a lead before the opening the sweep executes a row that nobody has claimed.
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
      and (p.retry_at is null or p.retry_at <= t) and prebooking.can_execute(p, p_capabilities)
      and (p.give_up_at <= t or not prebooking.has_to_wait(p))
    order by p.available_at, p.created_at limit p_limit) d;

  select
    coalesce(pg_catalog.jsonb_agg(e.id order by e.ends) filter (where e.ends <= t and e.begun), '[]'),
    execute_ids || coalesce(pg_catalog.jsonb_agg(e.id order by e.ends) filter (where e.ends <= t and not e.begun), '[]'),
    pg_catalog.min(e.ends) filter (where e.ends > t),
    pg_catalog.count(*) > 0
  into settle_ids, execute_ids, next_at, is_busy
  from (
    select p.id, prebooking.lease_end(p) as ends, prebooking.is_begun(p) as begun
    from public.prebookings p where p.status = 'executing' and prebooking.can_execute(p, p_capabilities)) e;

  -- No message for this version: after a lost publish, while QStash was down, for an opening that was too far away, and
  -- for rows of the web application. Rows that open within the lead are executed, not published.
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
