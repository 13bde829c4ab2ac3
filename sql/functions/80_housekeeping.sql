-- Deletes rows that ended long ago, in small batches, each after its history; and notices that were sent, or were not
-- sent within a day, in larger batches. Returns whether any are left. Sessions are deleted by the web application. For
-- enable_seqscan see take_notices.
create or replace function public.remove_old_prebookings(p_days integer, p_limit integer default 500)
returns jsonb language plpgsql set enable_seqscan = off as $$
declare
  t constant timestamptz := prebooking.now();
  before constant timestamptz := t - pg_catalog.make_interval(days => p_days);
  most constant integer := 4 * p_limit; -- a notice is small, and nothing refers to it
  most_events constant integer := 10 * p_limit;
  old constant uuid[] := array(
    select p.id from public.prebookings p
    -- Neither the last change nor the class may be younger. A begin mark means that the outcome is unknown; by then the
    -- class is long over, and nothing can be settled any more.
    where p.status in ('completed', 'failed', 'cancelled') and p.updated_at < before and p.give_up_at < before
    order by p.updated_at limit p_limit for update skip locked);
  events integer;
  removed integer := 0;
  heard integer;
  unheard integer;
begin
  if p_days < 1 then
    raise exception 'rows are kept for a day at least' using errcode = 'check_violation';
  end if;
  delete from prebooking.history h where (h.prebooking_id, h.n) in (
    select o.prebooking_id, o.n from prebooking.history o where o.prebooking_id = any (old) limit most_events);
  get diagnostics events = row_count;
  if events < most_events then -- otherwise some may be left
    delete from public.prebookings p where p.id = any (old);
    get diagnostics removed = row_count;
  end if;
  delete from prebooking.notices n where n.id = any (array(
    select o.id from prebooking.notices o where o.told_at is not null and o.created_at < before
    order by o.created_at limit most for update skip locked));
  get diagnostics heard = row_count;
  delete from prebooking.notices n where n.id = any (array(
    select o.id from prebooking.notices o where o.told_at is null and o.created_at < t - interval '2 days'
    order by o.created_at limit most for update skip locked));
  get diagnostics unheard = row_count;
  return pg_catalog.jsonb_build_object(
    'outcome', 'removed', 'removed', removed, 'more',
    removed = p_limit or events = most_events or heard = most or unheard = most);
end $$;
