-- Taking notices and removing old ones take as long as what they find, however many there are. What nobody was told
-- within a day is told no more: it goes, too, which is all of them where nobody listens.

create index if not exists notices_to_tell on prebooking.notices (created_at, try_after) where told_at is null;
create index if not exists notices_told on prebooking.notices (created_at) where told_at is not null;
drop index if exists prebooking.notices_untold;

-- As in 0013_notices.sql.
create or replace function public.take_notices(p_limit integer default 50)
returns jsonb language plpgsql set search_path = '' as $$
declare
  t constant timestamptz := prebooking.now();
  untold uuid[];
  taken jsonb;
begin
  untold := array(
    select n.id from prebooking.notices n
    where n.told_at is null and n.try_after <= t and n.created_at > t - interval '24 hours'
    order by n.created_at limit p_limit for update skip locked);
  with leased as (
    update prebooking.notices n set try_after = t + interval '1 minute' where n.id = any (untold) returning n.*
  )
  select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
    'id', l.id, 'kind', l.kind, 'prebooking', l.prebooking, 'created_at', l.created_at, 'failures', l.failures)
    order by l.created_at), '[]')
  into taken from leased l;
  return pg_catalog.jsonb_build_object('outcome', 'taken', 'notices', taken);
end $$;

-- As in 0015_housekeeping.sql; of notices more at once, and there are more while any of these are left.
create or replace function public.remove_old_prebookings(p_days integer, p_limit integer default 500)
returns jsonb language plpgsql set search_path = '' as $$
declare
  t constant timestamptz := prebooking.now();
  before constant timestamptz := t - pg_catalog.make_interval(days => p_days);
  most constant integer := 4 * p_limit; -- a notice is small, and nothing hangs on it
  removed integer;
  heard integer;
  unheard integer;
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
  delete from prebooking.notices n where n.id = any (array(
    select o.id from prebooking.notices o where o.told_at is not null and o.created_at < before
    order by o.created_at limit most for update skip locked));
  get diagnostics heard = row_count;
  delete from prebooking.notices n where n.id = any (array(
    select o.id from prebooking.notices o where o.told_at is null and o.created_at < t - interval '2 days'
    order by o.created_at limit most for update skip locked));
  get diagnostics unheard = row_count;
  return pg_catalog.jsonb_build_object(
    'outcome', 'removed', 'removed', removed, 'more', removed = p_limit or heard = most or unheard = most);
end $$;

-- As every function of ours has it: see the end of 0010_limits.sql.
do $$
declare
  f record;
begin
  for f in
    select p.oid::regprocedure as signature from pg_catalog.pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.proname in ('take_notices', 'remove_old_prebookings')
  loop
    execute format('alter function %s set statement_timeout = ''900ms''', f.signature);
    execute format('alter function %s set lock_timeout = ''500ms''', f.signature);
    -- A table of which most has to be told today is read whole otherwise, as far as the planner knows it.
    execute format('alter function %s set enable_seqscan = off', f.signature);
    execute format('revoke all on function %s from public, anon, authenticated', f.signature);
    execute format('grant execute on function %s to service_role', f.signature);
  end loop;
end $$;

notify pgrst, 'reload schema';
