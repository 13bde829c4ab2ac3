-- The operator's queries, for tables of any size: each uses an index and reads a bounded number of rows. Counts of
-- ended rows are exact up to 5,000 and the planner's estimate beyond; those of problems end at 1,000. Only pings are
-- written.

create or replace function public.note_ping(p_id uuid) returns jsonb language plpgsql as $$
begin
  delete from prebooking.pings where arrived_at < prebooking.now() - interval '1 day';
  insert into prebooking.pings values (p_id, prebooking.now()) on conflict do nothing;
  return '{"outcome": "noted"}';
end $$;

create or replace function public.read_ping(p_id uuid) returns jsonb language sql stable as $$
  select pg_catalog.jsonb_build_object(
    'outcome', 'read', 'arrived_at', (select g.arrived_at from prebooking.pings g where g.id = p_id))
$$;

-- Returns the number of rows with this status, by the planner's statistics.
create or replace function prebooking.estimate(p_status text) returns bigint
language plpgsql volatile as $$
declare
  plan json;
begin
  execute pg_catalog.format(
    'explain (format json) select from public.prebookings p where p.status = %L', p_status) into plan;
  return (plan -> 0 -> 'Plan' ->> 'Plan Rows')::bigint;
end $$;

-- Returns {status: number}: exact up to p_most, else estimated.
create or replace function prebooking.count_by_status(p_most integer) returns jsonb
language plpgsql volatile as $$
declare
  counts jsonb;
  ended record;
begin
  select pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
    'pending', nullif((select pg_catalog.count(*) from (
      select from public.prebookings p where p.status in ('pending', 'loaded') limit 100000) l), 0),
    'executing', nullif((select pg_catalog.count(*) from (
      select from public.prebookings p where p.status = 'executing' limit 100000) l), 0)))
  into counts;
  for ended in
    select s.status, (
      select pg_catalog.count(*) from (
        select from public.prebookings p where p.status = s.status and p.status in ('completed', 'failed', 'cancelled')
        order by p.executed_at limit p_most + 1) l) as number
    from pg_catalog.unnest(array['completed', 'failed', 'cancelled']) as s (status)
  loop
    if ended.number > p_most then
      counts := counts || pg_catalog.jsonb_build_object(
        ended.status, greatest(ended.number, prebooking.estimate(ended.status)));
    elsif ended.number > 0 then
      counts := counts || pg_catalog.jsonb_build_object(ended.status, ended.number);
    end if;
  end loop;
  return counts;
end $$;

-- Returns the ids of the keys that encrypt stored sessions: one index look-up for each, for any number of sessions.
create or replace function prebooking.keys_in_use() returns jsonb language sql stable as $$
  with recursive used (key) as (
    select pg_catalog.min(pg_catalog.split_part(s.aimharder_token, ':', 3))
    from public.auth_sessions s where s.aimharder_token like 'enc:v1:%'
    union all
    select (
      select pg_catalog.min(pg_catalog.split_part(s.aimharder_token, ':', 3))
      from public.auth_sessions s
      where s.aimharder_token like 'enc:v1:%' and pg_catalog.split_part(s.aimharder_token, ':', 3) > u.key)
    from used u where u.key is not null
  )
  select coalesce(pg_catalog.jsonb_agg(u.key order by u.key), '[]') from used u where u.key is not null
$$;

-- p_functions: the names of all functions that the service calls. p_public_url: where QStash reaches it.
-- Its queries use the indexes in their order, whatever the statistics of a recently filled table are.
create or replace function public.inspect_service(
  p_functions text[], p_limit integer default 10, p_public_url text default null
) returns jsonb language plpgsql volatile
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set jit = off as $$
declare
  t constant timestamptz := prebooking.now();
  exact constant integer := 5000;
  most constant integer := 1000;
  counts constant jsonb := prebooking.count_by_status(exact);
  late record;
  elsewhere record;
begin
  -- Opened, unclaimed, and not tried before: a running replica would have begun these.
  select pg_catalog.count(*) as number, pg_catalog.min(l.due) as since into late
  from (
    select greatest(p.available_at, coalesce(p.armed_at, p.created_at)) as due
    from (
      (select * from public.prebookings w where w.status in ('pending', 'loaded') and w.available_at < t
        order by w.available_at, w.created_at limit most)
      union all
      (select * from public.prebookings e where e.status = 'executing' and e.available_at < t limit most)) p
    where not prebooking.is_begun(p) and p.last_outcome is null and p.parks = 0
      and coalesce(p.retry_at, '-infinity') < t - interval '2 seconds') l
  where l.due between t - interval '1 minute' and t - interval '2 seconds';

  -- Pending with a message for another address. Null: an earlier release did not note it.
  select pg_catalog.count(*) as number, pg_catalog.max(m.message_address) as address into elsewhere
  from (
    (select p.message_address from public.prebookings p
      where p.status in ('pending', 'loaded') and p.message_address is not null and p.message_address < p_public_url
        and p.qstash_schedule_id is not null order by p.message_address limit most)
    union all
    (select p.message_address from public.prebookings p
      where p.status in ('pending', 'loaded') and p.message_address is not null and p.message_address > p_public_url
        and p.qstash_schedule_id is not null order by p.message_address limit most)) m;

  return pg_catalog.jsonb_build_object(
    'outcome', 'inspected', 'now', t, 'most', most,
    'migrations', (select coalesce(pg_catalog.jsonb_object_agg(m.name, m.checksum), '{}') from prebooking.migrations m),
    -- Functions that others may call, and those that the service may not.
    'open_functions', (
      select coalesce(pg_catalog.jsonb_agg(p.proname order by p.proname), '[]') from pg_catalog.pg_proc p
      where p.pronamespace = 'public'::regnamespace and p.proname = any (p_functions)
        and (pg_catalog.has_function_privilege('anon', p.oid, 'execute')
          or pg_catalog.has_function_privilege('authenticated', p.oid, 'execute'))),
    'closed_functions', (
      select coalesce(pg_catalog.jsonb_agg(p.proname order by p.proname), '[]') from pg_catalog.pg_proc p
      where p.pronamespace = 'public'::regnamespace and p.proname = any (p_functions)
        and not pg_catalog.has_function_privilege('service_role', p.oid, 'execute')),
    'missing_functions', (
      select coalesce(pg_catalog.jsonb_agg(f.name order by f.name), '[]') from pg_catalog.unnest(p_functions) as f (name)
      where not exists (
        select from pg_catalog.pg_proc p where p.pronamespace = 'public'::regnamespace and p.proname = f.name)),
    'open_tables', (
      select coalesce(pg_catalog.jsonb_agg(c.relname order by c.relname), '[]') from pg_catalog.pg_class c
      where c.relnamespace = 'public'::regnamespace and c.relname in ('prebookings', 'auth_sessions', 'prebooking_series')
        and (not c.relrowsecurity
          or pg_catalog.has_table_privilege('anon', c.oid, 'select, insert, update, delete')
          or pg_catalog.has_table_privilege('authenticated', c.oid, 'insert, update, delete'))),
    'counts', counts,
    'estimated', (
      select coalesce(pg_catalog.jsonb_agg(c.key order by c.key), '[]') from pg_catalog.jsonb_each(counts) c
      where c.key in ('completed', 'failed', 'cancelled') and c.value::bigint > exact),
    -- Stuck: a running sweep would have executed these.
    'overdue', (
      select pg_catalog.count(*) from (
        select from public.prebookings p
        where p.status in ('pending', 'loaded') and p.available_at < t - interval '1 minute'
          and coalesce(p.retry_at, '-infinity') < t - interval '1 minute'
          and coalesce(p.armed_at, p.created_at) < t - interval '1 minute'
        order by p.available_at limit most) l),
    'unswept', (
      select pg_catalog.count(*) from (
        select from public.prebookings p
        where p.status = 'executing' and prebooking.lease_end(p) < t - interval '1 minute' limit most) l),
    -- The opening that most of the next exact ones wait for.
    'crowd', (
      select pg_catalog.jsonb_build_object('opening', c.available_at, 'planned', c.number)
      from (
        select l.available_at, pg_catalog.count(*) as number
        from (
          select p.available_at from public.prebookings p
          where p.status in ('pending', 'loaded') and p.available_at > t order by p.available_at limit exact) l
        group by l.available_at order by number desc, l.available_at limit 1) c),
    'late', late.number,
    'late_s', extract(epoch from t - late.since)::double precision,
    'elsewhere', elsewhere.number,
    'elsewhere_url', elsewhere.address,
    'without_message', (
      select pg_catalog.count(*) from (
        select from public.prebookings p
        where p.status in ('pending', 'loaded') and p.scheduled_version is distinct from p.version
          and p.available_at between t + interval '1 minute' and t + interval '5 days'
          and coalesce(p.armed_at, p.created_at) < t - interval '5 minutes'
        order by p.available_at limit most) l),
    'warned', (
      select pg_catalog.count(*) from (
        select from public.prebookings p
        where p.status in ('pending', 'loaded') and p.warning is not null order by p.available_at limit most) l),
    'untold', (
      select pg_catalog.count(*) from (
        select from prebooking.notices n
        where n.told_at is null and n.created_at between t - interval '24 hours' and t - interval '5 minutes'
        order by n.created_at limit most) l),
    'untold_because', (
      select l.failure from (
        select n.failure, n.created_at from prebooking.notices n
        where n.told_at is null and n.created_at > t - interval '24 hours'
        order by n.created_at desc limit most) l
      where l.failure is not null order by l.created_at desc limit 1),
    'series', (select pg_catalog.count(*) from (select from public.prebooking_series s order by s.id limit 100000) l),
    'unfilled', (
      select pg_catalog.count(*) from (
        select from public.prebooking_series s where s.look_at < t - interval '5 minutes' order by s.look_at limit most) l),
    'sessions', (select pg_catalog.count(*) from (select from public.auth_sessions s order by s.id limit 100000) l),
    'sealed_under', prebooking.keys_in_use(),
    -- Signs that the web application and its old cron are still at work. cron_rows: rows that the cron has loaded, or
    -- executed in the last seven days (they have no outcome). foreign_rows: rows created since then without a wish key.
    'cron_rows', (
      select pg_catalog.count(*) from (
        (select from public.prebookings p
          where p.status in ('completed', 'failed') and not coalesce(p.result ? 'outcome', false)
            and p.executed_at > t - interval '7 days'
          order by p.executed_at desc limit most)
        union all
        (select from public.prebookings p where p.status in ('pending', 'loaded') and p.status = 'loaded'
          order by p.available_at limit most)) l),
    'foreign_rows', (
      select pg_catalog.count(*) from (
        select from public.prebookings p
        where p.wish_key is null and p.created_at > t - interval '7 days' order by p.created_at desc limit most) l),
    'next', (
      select coalesce(pg_catalog.jsonb_agg(prebooking.as_json(f) order by f.available_at, f.created_at), '[]')
      from (
        select n.* from (
          (select * from public.prebookings w where w.status in ('pending', 'loaded')
            order by w.available_at, w.created_at limit p_limit)
          union all
          (select * from public.prebookings e where e.status = 'executing'
            order by e.available_at, e.created_at limit p_limit)) n
        order by n.available_at, n.created_at limit p_limit) f),
    'last', (
      select coalesce(pg_catalog.jsonb_agg(prebooking.as_json(f) order by f.executed_at desc), '[]')
      from (
        select l.* from (
          (select * from public.prebookings c where c.status = 'completed' and c.executed_at is not null
            order by c.executed_at desc limit p_limit)
          union all
          (select * from public.prebookings f where f.status = 'failed' and f.executed_at is not null
            order by f.executed_at desc limit p_limit)) l
        order by l.executed_at desc limit p_limit) f));
end $$;
