-- What changed since: for replicas that tell their users' pages of it.
--
-- A counter or a timestamp is given out before its transaction commits, so a reader that remembers the highest would
-- skip what commits late. What is remembered here is a snapshot: the set of transactions that it could see. A row is
-- news when its last transaction is none of them, whenever it began: nothing is skipped, nothing comes twice, and no
-- long transaction of somebody else holds the reader up.

alter table public.prebookings
  add column if not exists changed_xid xid8;             -- the transaction that wrote it last

create index if not exists prebookings_changed on public.prebookings (changed_xid);

create or replace function prebooking.stamp_change() returns trigger language plpgsql set search_path = '' as $$
begin
  new.changed_xid := pg_catalog.pg_current_xact_id();
  return new;
end $$;

create or replace trigger prebookings_stamp_change
  before insert or update on public.prebookings for each row execute function prebooking.stamp_change();

-- These users' rows that changed after the snapshot `p_since`, as they are now, and the snapshot to ask from next; with
-- `p_until` only what that snapshot could see. Without `p_since` the snapshot alone. Stable: one snapshot serves all.
create or replace function public.read_changes(
  p_since text default null, p_until text default null, p_user_emails text[] default '{}'
) returns jsonb language plpgsql stable set search_path = '' as $$
declare
  here constant pg_catalog.pg_snapshot := pg_catalog.pg_current_snapshot();
  since constant pg_catalog.pg_snapshot := p_since::pg_catalog.pg_snapshot;
  until constant pg_catalog.pg_snapshot := coalesce(p_until::pg_catalog.pg_snapshot, here);
begin
  -- From before a restore, or another project's: its numbers mean nothing here.
  if pg_catalog.pg_snapshot_xmax(since) > pg_catalog.pg_snapshot_xmax(here) then
    return pg_catalog.jsonb_build_object('outcome', 'unknown_cursor', 'cursor', here::text, 'prebookings', '[]'::jsonb);
  end if;
  return pg_catalog.jsonb_build_object(
    'outcome', 'read', 'cursor', here::text,
    'prebookings', coalesce((
      select pg_catalog.jsonb_agg(prebooking.as_json(p) order by p.changed_xid, p.updated_at, p.id)
      from public.prebookings p
      where p.changed_xid >= pg_catalog.pg_snapshot_xmin(since)
        and not pg_catalog.pg_visible_in_snapshot(p.changed_xid, since)
        and pg_catalog.pg_visible_in_snapshot(p.changed_xid, until)
        and pg_catalog.lower(p.user_email) = any (p_user_emails)), '[]'));
end $$;

-- As for every function of ours: see 0010_limits.sql.
do $$
begin
  alter function public.read_changes(text, text, text[]) set statement_timeout = '900ms';
  alter function public.read_changes(text, text, text[]) set lock_timeout = '500ms';
  revoke all on function public.read_changes(text, text, text[]), prebooking.stamp_change()
    from public, anon, authenticated;
  grant execute on function public.read_changes(text, text, text[]), prebooking.stamp_change() to service_role;
end $$;

-- PostgREST learns of the new function.
notify pgrst, 'reload schema';
