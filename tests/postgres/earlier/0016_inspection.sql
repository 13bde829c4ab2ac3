-- What an operator asks: is it migrated, who may do what, what opens next, what is stuck. It changes nothing.

grant select on prebooking.migrations to service_role;

-- Messages of `prebooking doctor` to the service itself, as they arrived. Kept for a day.
create table if not exists prebooking.pings (
  id uuid primary key,
  arrived_at timestamptz not null
);
revoke all on prebooking.pings from public;
grant select, insert, delete on prebooking.pings to service_role;

create or replace function public.note_ping(p_id uuid) returns jsonb language plpgsql set search_path = '' as $$
begin
  delete from prebooking.pings where arrived_at < prebooking.now() - interval '1 day';
  insert into prebooking.pings values (p_id, prebooking.now()) on conflict do nothing;
  return '{"outcome": "noted"}';
end $$;

create or replace function public.read_ping(p_id uuid) returns jsonb language sql stable set search_path = '' as $$
  select pg_catalog.jsonb_build_object(
    'outcome', 'read', 'arrived_at', (select g.arrived_at from prebooking.pings g where g.id = p_id))
$$;

-- p_functions: the names of all that the service calls.
create or replace function public.inspect_service(p_functions text[], p_limit integer default 10)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
  t constant timestamptz := prebooking.now();
begin
  return pg_catalog.jsonb_build_object(
    'outcome', 'inspected', 'now', t,
    'migrations', (select coalesce(pg_catalog.jsonb_object_agg(m.name, m.checksum), '{}') from prebooking.migrations m),
    -- Functions that outsiders may call, and those that the service may not.
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
      where c.relnamespace = 'public'::regnamespace and c.relname in ('prebookings', 'auth_sessions')
        and (not c.relrowsecurity
          or pg_catalog.has_table_privilege('anon', c.oid, 'select, insert, update, delete')
          or pg_catalog.has_table_privilege('authenticated', c.oid, 'insert, update, delete'))),
    'counts', (
      select coalesce(pg_catalog.jsonb_object_agg(s.status, s.number), '{}')
      from (select case p.status when 'loaded' then 'pending' else p.status end as status, pg_catalog.count(*) as number
        from public.prebookings p group by 1) s),
    -- Stuck: what any living sweep would have taken up by now.
    'overdue', (
      select pg_catalog.count(*) from public.prebookings p
      where p.status in ('pending', 'loaded') and p.available_at < t - interval '1 minute'
        and coalesce(p.retry_at, '-infinity') < t - interval '1 minute'
        and coalesce(p.armed_at, p.created_at) < t - interval '1 minute'),
    'unswept', (
      select pg_catalog.count(*) from public.prebookings p
      where p.status = 'executing' and prebooking.lease_end(p) < t - interval '1 minute'),
    'without_message', (
      select pg_catalog.count(*) from public.prebookings p
      where p.status in ('pending', 'loaded') and p.scheduled_version is distinct from p.version
        and p.available_at between t + interval '1 minute' and t + interval '5 days'
        and coalesce(p.armed_at, p.created_at) < t - interval '5 minutes'),
    'warned', (
      select pg_catalog.count(*) from public.prebookings p
      where p.status in ('pending', 'loaded') and p.warning is not null),
    'untold', (
      select pg_catalog.count(*) from prebooking.notices n
      where n.told_at is null and n.created_at between t - interval '24 hours' and t - interval '5 minutes'),
    'untold_because', (
      select n.failure from prebooking.notices n
      where n.told_at is null and n.failure is not null and n.created_at > t - interval '24 hours'
      order by n.created_at desc limit 1),
    'sessions', (select pg_catalog.count(*) from public.auth_sessions),
    'sealed_under', (
      select coalesce(pg_catalog.jsonb_agg(distinct pg_catalog.split_part(s.aimharder_token, ':', 3)), '[]')
      from public.auth_sessions s where s.aimharder_token like 'enc:v1:%'),
    -- The old cron and the web application, of late: rows ended without our outcome, rows made without our wish.
    'cron_rows', (
      select pg_catalog.count(*) from public.prebookings p
      where p.status = 'loaded' or (p.status in ('completed', 'failed') and p.executed_at > t - interval '7 days'
        and not coalesce(p.result ? 'outcome', false))),
    'foreign_rows', (
      select pg_catalog.count(*) from public.prebookings p
      where p.wish_key is null and p.created_at > t - interval '7 days'),
    'next', (
      select coalesce(pg_catalog.jsonb_agg(prebooking.as_json(n) order by n.available_at, n.created_at), '[]')
      from (select * from public.prebookings p where p.status in ('pending', 'loaded', 'executing')
        order by p.available_at, p.created_at limit p_limit) n),
    'last', (
      select coalesce(pg_catalog.jsonb_agg(prebooking.as_json(l) order by l.executed_at desc), '[]')
      from (select * from public.prebookings p where p.status in ('completed', 'failed') and p.executed_at is not null
        order by p.executed_at desc limit p_limit) l));
end $$;

-- Of these messages' prebookings: the row as it is now.
create or replace function public.read_prebookings(p_ids uuid[]) returns jsonb
language sql stable set search_path = '' as $$
  select pg_catalog.jsonb_build_object('outcome', 'read', 'prebookings', coalesce(
    pg_catalog.jsonb_agg(prebooking.as_json(p)), '[]'))
  from public.prebookings p where p.id = any (p_ids)
$$;

-- As every function of ours has it: see the end of 0010_limits.sql.
do $$
declare
  f record;
begin
  for f in
    select p.oid::regprocedure as signature from pg_catalog.pg_proc p
    where p.pronamespace = 'public'::regnamespace
      and p.proname in ('note_ping', 'read_ping', 'inspect_service', 'read_prebookings')
  loop
    execute format('alter function %s set statement_timeout = ''900ms''', f.signature);
    execute format('alter function %s set lock_timeout = ''500ms''', f.signature);
    execute format('revoke all on function %s from public, anon, authenticated', f.signature);
    execute format('grant execute on function %s to service_role', f.signature);
  end loop;
end $$;

notify pgrst, 'reload schema';
