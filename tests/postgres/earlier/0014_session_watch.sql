-- Sessions are looked at 30 and 5 minutes before an opening, while there is time to sign in again.

alter table public.prebookings
  add column if not exists warning jsonb;                -- {code, message, since}: what the user had better do

grant select (warning) on public.prebookings to authenticated;

-- Beside the rows, so that a look locks no row, and is no change of it.
create table if not exists prebooking.session_watch (
  prebooking_id uuid primary key references public.prebookings (id) on delete cascade,
  lease_until timestamptz,                               -- somebody is looking
  looked_at timestamptz
);
revoke all on prebooking.session_watch from public;
grant select, insert, update, delete on prebooking.session_watch to service_role;

-- The row as the API shows it; now with its warning, while it is one.
create or replace function prebooking.as_json(p public.prebookings) returns jsonb
language plpgsql stable set search_path = '' set timezone = 'UTC' as $$
declare
  box record;
begin
  box := prebooking.box_of(p);
  return pg_catalog.jsonb_build_object(
    'id', p.id, 'user_email', p.user_email,
    'status', case p.status when 'loaded' then 'pending' else p.status end,
    'version', p.version, 'attempts', p.attempts,
    'available_at', case when isfinite(p.available_at) then p.available_at else '2100-01-01' end,
    'box_subdomain', box.subdomain, 'box_aimharder_id', box.aimharder_id,
    'booking_data', case when pg_catalog.jsonb_typeof(p.booking_data) = 'object' then p.booking_data else '{}' end,
    'qstash_schedule_id', p.qstash_schedule_id,
    'warning', case when p.status in ('pending', 'loaded') then p.warning end,
    'result', case when pg_catalog.jsonb_typeof(p.result) = 'object' then p.result end, 'error_code', p.error_code,
    'error_message', p.error_message, 'created_at', p.created_at, 'updated_at', p.updated_at,
    'executed_at', p.executed_at);
end $$;

-- The users whose sessions are to be looked at now, each with the rows it is for. The last seconds belong to making
-- ready. A look that is not noted within a minute is somebody else's.
create or replace function public.take_session_looks(p_limit integer default 50)
returns jsonb language plpgsql set search_path = '' as $$
declare
  t constant timestamptz := prebooking.now();
  taken uuid[];
begin
  with due as (
    select p.id from public.prebookings p
    left join prebooking.session_watch w on w.prebooking_id = p.id
    where p.status in ('pending', 'loaded') and p.available_at > t + interval '20 seconds'
      and p.available_at <= t + interval '30 minutes' and p.give_up_at > t
      and (w.lease_until is null or w.lease_until <= t)
      and coalesce(w.looked_at, '-infinity') < p.available_at
        - case when p.available_at <= t + interval '5 minutes' then interval '5 minutes' else interval '30 minutes' end
    order by p.available_at limit p_limit
  ), leased as (
    insert into prebooking.session_watch as w (prebooking_id, lease_until)
    select d.id, t + interval '1 minute' from due d order by d.id
    on conflict (prebooking_id) do update set lease_until = excluded.lease_until
      where w.lease_until is null or w.lease_until <= t -- another may have come between
    returning w.prebooking_id
  )
  select pg_catalog.array_agg(l.prebooking_id) into taken from leased l;
  return pg_catalog.jsonb_build_object('outcome', 'taken', 'looks', coalesce((
    select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('user_email', u.email, 'prebooking_ids', u.ids) order by u.opens)
    from (
      select pg_catalog.lower(p.user_email) as email, pg_catalog.array_agg(p.id) as ids,
        pg_catalog.min(p.available_at) as opens
      from public.prebookings p where p.id = any (taken) group by 1) u), '[]'));
end $$;

-- What the look found. Dead: the rows carry a warning, and their user is told once for each session that died.
create or replace function public.note_session_look(
  p_prebooking_ids uuid[], p_alive boolean, p_session text default '', p_message text default null
) returns jsonb language plpgsql set search_path = '' as $$
declare
  r public.prebookings;
  t constant timestamptz := prebooking.now();
  warned integer := 0;
begin
  update prebooking.session_watch set looked_at = t, lease_until = null where prebooking_id = any (p_prebooking_ids);
  if p_alive then
    update public.prebookings set warning = null where id = any (p_prebooking_ids) and warning is not null;
  else
    for r in
      select * from public.prebookings
      where id = any (p_prebooking_ids) and status in ('pending', 'loaded') order by id for update
    loop
      if r.warning is null then
        update public.prebookings set warning = pg_catalog.jsonb_build_object(
          'code', 'session_expired', 'message', p_message, 'since', t)
        where id = r.id returning * into r;
      end if;
      warned := warned + 1;
      perform prebooking.write_notice(
        r, 'session_dead', 'session ' || r.id || ' v' || r.version || ' ' || pg_catalog.md5(p_session));
    end loop;
  end if;
  return pg_catalog.jsonb_build_object('outcome', 'noted', 'warned', warned);
end $$;

-- Whoever signs in again is warned no longer, and looked at anew.
create or replace function prebooking.end_warnings() returns trigger language plpgsql set search_path = '' as $$
begin
  with cleared as (
    update public.prebookings p set warning = null
    where pg_catalog.lower(p.user_email) = pg_catalog.lower(new.user_email) and p.warning is not null
      and p.status in ('pending', 'loaded')
    returning p.id
  )
  update prebooking.session_watch w set looked_at = null from cleared c where w.prebooking_id = c.id;
  return null;
end $$;

create or replace trigger auth_sessions_end_warnings
  after insert or update of aimharder_token on public.auth_sessions for each row
  execute function prebooking.end_warnings();

-- A session as the service takes it: also how old its token is.
create or replace function prebooking.session_as_json(p public.auth_sessions) returns jsonb
language sql stable set search_path = '' as $$
  select case when p.id is not null then pg_catalog.jsonb_build_object(
    'id', p.id, 'user_email', p.user_email, 'token', p.aimharder_token, 'cookies', p.aimharder_cookies,
    'fingerprint', p.fingerprint, 'token_age_s', extract(epoch from prebooking.now() - greatest(
      p.created_at, p.connected_at, p.last_refresh_date, p.last_token_update_date at time zone 'utc'))) end
$$;

-- As every function of ours has it: see the end of 0010_limits.sql.
do $$
declare
  f record;
begin
  for f in
    select p.oid::regprocedure as signature, p.pronamespace = 'public'::regnamespace as is_called
    from pg_catalog.pg_proc p
    where (p.pronamespace = 'prebooking'::regnamespace and p.proname = 'end_warnings')
      or (p.pronamespace = 'public'::regnamespace and p.proname in ('take_session_looks', 'note_session_look'))
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
