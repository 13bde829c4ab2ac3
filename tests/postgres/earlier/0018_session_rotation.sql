-- A refresh whose end nobody knows is told; a look knows how near the user's openings are; a session that is only
-- encrypted anew is no other session.

-- A session as the service takes it: also whether its last refresh came to no known end. The lease is taken before the
-- request is sent, and given back with its result: one that stands tells of a refresh under way, or of a replica that
-- died in it. (The service writes answer_lost.)
create or replace function prebooking.session_as_json(p public.auth_sessions) returns jsonb
language sql stable set search_path = '' as $$
  select case when p.id is not null then pg_catalog.jsonb_build_object(
    'id', p.id, 'user_email', p.user_email, 'token', p.aimharder_token, 'cookies', p.aimharder_cookies,
    'fingerprint', p.fingerprint, 'token_age_s', extract(epoch from prebooking.now() - greatest(
      p.created_at, p.connected_at, p.last_refresh_date, p.last_token_update_date at time zone 'utc')),
    'token_doubtful', p.refresh_lease is not null or coalesce(p.last_token_update_error = 'answer_lost', false)) end
$$;

-- The users whose sessions are to be looked at now, each with the rows it is for. The last seconds belong to making
-- ready. A look that is not noted within a minute is somebody else's.
-- next_in_s: seconds until the user's next opening, of whatever row, or since one that is being booked; last_in_s:
-- until the last one of these rows.
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
    select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'user_email', u.email, 'prebooking_ids', u.ids,
      'next_in_s', extract(epoch from (
        select pg_catalog.min(p.available_at) from public.prebookings p
        where pg_catalog.lower(p.user_email) = u.email and p.status in ('pending', 'loaded', 'executing')
          and p.available_at > t - interval '2 minutes') - t),
      'last_in_s', extract(epoch from u.last - t)) order by u.opens)
    from (
      select pg_catalog.lower(p.user_email) as email, pg_catalog.array_agg(p.id) as ids,
        pg_catalog.min(p.available_at) as opens, pg_catalog.max(p.available_at) as last
      from public.prebookings p where p.id = any (taken) group by 1) u), '[]'));
end $$;

-- A session that is only encrypted anew is the same one: whoever was warned stays so, and is not told twice.
create or replace trigger auth_sessions_changed_end_warnings
  after update of aimharder_token on public.auth_sessions for each row
  when ((new.aimharder_token, new.aimharder_cookies) is distinct from (old.aimharder_token, old.aimharder_cookies)
    and pg_catalog.current_setting('prebooking.same_session', true) is distinct from 'on')
  execute function prebooking.end_warnings();

-- Compare-and-set of both secrets, as they are stored. Not while somebody refreshes them: theirs are newer.
create or replace function public.replace_session_secrets(
  p_id uuid, p_old_token text, p_old_cookies jsonb, p_new_token text, p_new_cookies jsonb
) returns jsonb language plpgsql set search_path = '' as $$
declare
  s public.auth_sessions;
begin
  select * into s from public.auth_sessions where id = p_id for update;
  if not found then
    return '{"outcome": "no_session"}';
  elsif s.aimharder_token = p_new_token and s.aimharder_cookies = p_new_cookies then -- the first answer was lost
    return '{"outcome": "replaced"}';
  elsif s.aimharder_token <> p_old_token or s.aimharder_cookies <> p_old_cookies then
    return '{"outcome": "changed"}';
  elsif s.refresh_lease_until > prebooking.now() then
    return pg_catalog.jsonb_build_object(
      'outcome', 'busy', 'retry_after', prebooking.seconds_until(s.refresh_lease_until));
  end if;
  perform pg_catalog.set_config('prebooking.same_session', 'on', true);
  update public.auth_sessions set aimharder_token = p_new_token, aimharder_cookies = p_new_cookies where id = p_id;
  perform pg_catalog.set_config('prebooking.same_session', 'off', true);
  return '{"outcome": "replaced"}';
end $$;

-- As every function of ours has it: see the end of 0010_limits.sql.
do $$
declare
  f record;
begin
  for f in
    select p.oid::regprocedure as signature, p.pronamespace = 'public'::regnamespace as is_called
    from pg_catalog.pg_proc p
    where (p.pronamespace = 'prebooking'::regnamespace and p.proname = 'session_as_json')
      or (p.pronamespace = 'public'::regnamespace
        and p.proname in ('take_session_looks', 'replace_session_secrets'))
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
