-- Sessions are checked 30 and 5 minutes before an opening, while there is time to sign in again.

-- Takes the users whose sessions are due for a check, each with the rows that the check is for. In the last 20 seconds
-- before an opening none is due: then the execution prepares. The caller notes the result (note_session_look) within a
-- minute; after that another caller gets the check.
-- next_in_s: seconds until the next opening of any of the user's rows, negative where one is being booked; last_in_s:
-- seconds until the last opening of the rows of the check.
create or replace function public.take_session_looks(
  p_limit integer default 50, p_capabilities text[] default '{}'
)
returns jsonb language plpgsql as $$
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
      and ('box_domain' = any (p_capabilities)
        or prebooking.can_refresh(prebooking.session_of(p.user_email), p_capabilities))
      and coalesce(w.looked_at, '-infinity') < p.available_at
        - case when p.available_at <= t + interval '5 minutes' then interval '5 minutes' else interval '30 minutes' end
    order by p.available_at limit p_limit
  ), leased as (
    insert into prebooking.session_watch as w (prebooking_id, lease_until)
    select d.id, t + interval '1 minute' from due d order by d.id
    on conflict (prebooking_id) do update set lease_until = excluded.lease_until
      where w.lease_until is null or w.lease_until <= t -- another caller may have taken it meanwhile
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

-- Notes the result of a check. If the session is dead, the rows get a warning, and their user is notified once for each
-- dead session, and once that its password was refused: p_reason.
create or replace function public.note_session_look(
  p_prebooking_ids uuid[], p_alive boolean, p_session text default '', p_message text default null,
  p_reason text default null
) returns jsonb language plpgsql as $$
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
      if r.warning is null or r.warning ->> 'reason' is distinct from p_reason then
        update public.prebookings set warning = pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
          'code', 'session_expired', 'reason', p_reason, 'message', p_message, 'since', t))
        where id = r.id returning * into r;
      end if;
      warned := warned + 1;
      perform prebooking.write_notice(
        r, 'session_dead',
        pg_catalog.concat_ws(' ', 'session', r.id, 'v' || r.version, pg_catalog.md5(p_session), p_reason));
    end loop;
  end if;
  return pg_catalog.jsonb_build_object('outcome', 'noted', 'warned', warned);
end $$;

-- After a new sign-in the warning is removed, and the session is checked again.
create or replace function prebooking.end_warnings() returns trigger language plpgsql as $$
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

-- A trigger on a column fires if the column is named, changed or not: a failed refresh names it, too.
create or replace trigger auth_sessions_end_warnings
  after insert on public.auth_sessions for each row
  execute function prebooking.end_warnings();

-- A session that is only encrypted again is the same one: the warning stays, and the user is not notified twice.
create or replace trigger auth_sessions_changed_end_warnings
  after update of aimharder_token on public.auth_sessions for each row
  when ((new.aimharder_token, new.aimharder_cookies) is distinct from (old.aimharder_token, old.aimharder_cookies)
    and pg_catalog.current_setting('prebooking.same_session', true) is distinct from 'on')
  execute function prebooking.end_warnings();
