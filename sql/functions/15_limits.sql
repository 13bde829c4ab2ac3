-- The limits of one user. Each change that schedules a QStash message counts: a create, a retry, a move.

-- Takes the user's turn, an advisory lock: creates, retries and moves of one user are serialized until the end of their
-- transactions, so that two at once can't exceed a limit. It is always taken before a row's lock, which prevents
-- deadlocks.
create or replace function prebooking.take_turn(p_user_email text) returns void
language sql volatile as $$
  select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(pg_catalog.lower(p_user_email), 0))
$$;

-- Returns how many messages this user's creates, retries, moves and changes of address have scheduled within the last
-- minute. Prebookings of series are not counted.
create or replace function prebooking.ordered_lately(p_user_email text) returns bigint
language sql stable as $$
  select (select pg_catalog.count(*) from public.prebookings p
      where pg_catalog.lower(p.user_email) = pg_catalog.lower(p_user_email)
        and p.created_at > prebooking.now() - interval '1 minute' and p.created_at <= prebooking.now()
        and p.series_id is null)
    + (select pg_catalog.count(*) from prebooking.retries r
      where r.user_email = pg_catalog.lower(p_user_email)
        and r.retried_at > prebooking.now() - interval '1 minute' and r.retried_at <= prebooking.now())
$$;

-- Returns the limit that one more would exceed, or null. A null limit is none. Rows of the web application count.
create or replace function prebooking.refuse_more(p_user_email text, p_max_active integer, p_max_per_minute integer)
returns jsonb language plpgsql volatile as $$
declare
  email constant text := pg_catalog.lower(p_user_email);
  t constant timestamptz := prebooking.now();
  oldest timestamptz;
begin
  if p_max_active <= (
    select pg_catalog.count(*) from public.prebookings p
    where pg_catalog.lower(p.user_email) = email and p.status in ('pending', 'loaded', 'executing')) then
    return pg_catalog.jsonb_build_object('outcome', 'too_many', 'limit', p_max_active);
  elsif p_max_per_minute is not null then
    -- The newest ones of the last minute that fill the limit: one more is allowed when the oldest of them is a minute
    -- old.
    select made.made_at into oldest
    from (
      select p.created_at from public.prebookings p
      where pg_catalog.lower(p.user_email) = email and p.created_at > t - interval '1 minute' and p.created_at <= t
        and p.series_id is null
      union all
      select r.retried_at from prebooking.retries r
      where r.user_email = email and r.retried_at > t - interval '1 minute' and r.retried_at <= t) as made (made_at)
    order by made.made_at desc offset p_max_per_minute - 1 limit 1;
    if found then
      return pg_catalog.jsonb_build_object(
        'outcome', 'too_many', 'limit', p_max_per_minute,
        'retry_after', extract(epoch from oldest + interval '1 minute' - t)::double precision); -- never 0
    end if;
  end if;
  return null;
end $$;
