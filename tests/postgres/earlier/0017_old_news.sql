-- What is no news: a session that was written again as it was, and a class that was over long before anybody looked.

-- A trigger on a column fires where the column is named, changed or not: a refresh that failed names it, too.
create or replace trigger auth_sessions_end_warnings
  after insert on public.auth_sessions for each row
  execute function prebooking.end_warnings();
create or replace trigger auth_sessions_changed_end_warnings
  after update of aimharder_token on public.auth_sessions for each row
  when ((new.aimharder_token, new.aimharder_cookies) is distinct from (old.aimharder_token, old.aimharder_cookies))
  execute function prebooking.end_warnings();

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
