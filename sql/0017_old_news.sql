-- What is no news: a session that was written again as it was, and a class that was over long before anybody looked.

-- A trigger on a column fires where the column is named, changed or not: a refresh that failed names it, too.
create or replace function prebooking.end_warnings() returns trigger language plpgsql set search_path = '' as $$
begin
  if tg_op = 'UPDATE' and (new.aimharder_token, new.aimharder_cookies) = (old.aimharder_token, old.aimharder_cookies) then
    return null;
  end if;
  with cleared as (
    update public.prebookings p set warning = null
    where pg_catalog.lower(p.user_email) = pg_catalog.lower(new.user_email) and p.warning is not null
      and p.status in ('pending', 'loaded')
    returning p.id
  )
  update prebooking.session_watch w set looked_at = null from cleared c where w.prebooking_id = c.id;
  return null;
end $$;

-- The old cron tells its users itself; only our results have an outcome. A version ends once. What the web application
-- left waiting when its class was over, perhaps for months, ends untold; `outcome_unknown` comes a day after that.
create or replace function prebooking.tell_end() returns trigger language plpgsql set search_path = '' as $$
declare
  outcome constant text := new.result ->> 'outcome';
begin
  if outcome is not null and new.give_up_at > prebooking.now() - interval '2 days' then
    perform prebooking.write_notice(
      new,
      case when new.status = 'failed' then 'failed' when outcome = 'waiting_list' then 'waiting_list' else 'booked' end,
      'end ' || new.id || ' v' || new.version);
  end if;
  return null;
end $$;
