-- Rows that ended long ago are removed, a few at a time. Sessions are the web application's to remove.

create index if not exists prebookings_ended
  on public.prebookings (updated_at) where status in ('completed', 'failed', 'cancelled');

create or replace function public.remove_old_prebookings(p_days integer, p_limit integer default 500)
returns jsonb language plpgsql set search_path = '' as $$
declare
  before constant timestamptz := prebooking.now() - pg_catalog.make_interval(days => p_days);
  removed integer;
begin
  if p_days < 1 then
    raise exception 'rows are kept for a day at least' using errcode = 'check_violation';
  end if;
  with old as (
    select p.id from public.prebookings p
    -- The last change, and the class itself: neither may be younger. A begin mark says that the outcome is unknown;
    -- by then the class is long over, and nothing can be settled any more.
    where p.status in ('completed', 'failed', 'cancelled') and p.updated_at < before and p.give_up_at < before
    order by p.updated_at limit p_limit for update skip locked
  )
  delete from public.prebookings p using old o where p.id = o.id;
  get diagnostics removed = row_count;
  delete from prebooking.notices n where n.id in (
    select o.id from prebooking.notices o where o.created_at < before order by o.created_at limit p_limit);
  return pg_catalog.jsonb_build_object('outcome', 'removed', 'removed', removed, 'more', removed = p_limit);
end $$;

-- As every function of ours has it: see the end of 0010_limits.sql.
alter function public.remove_old_prebookings(integer, integer) set statement_timeout = '900ms';
alter function public.remove_old_prebookings(integer, integer) set lock_timeout = '500ms';
revoke all on function public.remove_old_prebookings(integer, integer) from public, anon, authenticated;
grant execute on function public.remove_old_prebookings(integer, integer) to service_role;

notify pgrst, 'reload schema';
