-- Reads the changes since a snapshot, for replicas that send them to their users' open pages.
--
-- A counter or a timestamp is assigned before its transaction commits, so a reader that stores the highest one would
-- miss late commits. The cursor is a snapshot instead: the set of transactions that were visible. A row has changed if
-- its last transaction was not visible, whenever that began: nothing is missed or repeated, and long transactions do
-- not delay the reader.

create or replace function prebooking.stamp_change() returns trigger language plpgsql as $$
begin
  new.changed_xid := pg_catalog.pg_current_xact_id();
  return new;
end $$;
create or replace trigger prebookings_stamp_change
  before insert on public.prebookings for each row execute function prebooking.stamp_change();
create or replace trigger prebookings_changed_stamp_change
  before update on public.prebookings for each row
  when (new.lease_until is not distinct from old.lease_until or (
    new.status, new.claim_token, new.begun_token, new.ended_token) is distinct from (
    old.status, old.claim_token, old.begun_token, old.ended_token))
  execute function prebooking.stamp_change();

-- Returns the rows of these users that changed after the snapshot `p_since`, in their current state, and the snapshot
-- for the next reading; with `p_until` only rows that were visible in that snapshot. Without `p_since` only the
-- snapshot. Stable: one snapshot is used for the whole call. At most `p_limit` rows, after the position `p_after`.
-- `next` is the position of the last of them if there are more, else null. All pages of one reading have the same
-- `p_since` and `p_until`: if `p_until` was null, the first page's `cursor`. Without `p_limit`, as replicas of an
-- earlier version call: all.
create or replace function public.read_changes(
  p_since text default null, p_until text default null, p_user_emails text[] default '{}',
  p_after text default null, p_limit integer default null
) returns jsonb language plpgsql stable as $$
declare
  here constant pg_catalog.pg_snapshot := pg_catalog.pg_current_snapshot();
  since constant pg_catalog.pg_snapshot := p_since::pg_catalog.pg_snapshot;
  until constant pg_catalog.pg_snapshot := coalesce(p_until::pg_catalog.pg_snapshot, here);
  after_xid constant xid8 := pg_catalog.split_part(p_after, ' ', 1)::xid8;
  after_id constant uuid := pg_catalog.split_part(p_after, ' ', 2)::uuid;
  answer jsonb;
begin
  -- From before a restore, or from another project: its numbers are not valid here.
  if pg_catalog.pg_snapshot_xmax(since) > pg_catalog.pg_snapshot_xmax(here) then
    return pg_catalog.jsonb_build_object(
      'outcome', 'unknown_cursor', 'cursor', here::text, 'prebookings', '[]'::jsonb, 'next', null);
  end if;
  with found as (
    -- One more than requested, to find out whether there is a next page.
    select p.changed_xid, p.id
    from public.prebookings p
    where p.changed_xid >= coalesce(after_xid, pg_catalog.pg_snapshot_xmin(since))
      and (after_xid is null or (p.changed_xid, p.id) > (after_xid, after_id))
      and not pg_catalog.pg_visible_in_snapshot(p.changed_xid, since)
      and pg_catalog.pg_visible_in_snapshot(p.changed_xid, until)
      and pg_catalog.lower(p.user_email) = any (p_user_emails)
    order by p.changed_xid, p.id
    limit p_limit + 1
  ), page as (
    select f.changed_xid, f.id from found f order by f.changed_xid, f.id limit p_limit
  )
  select pg_catalog.jsonb_build_object(
    'outcome', 'read', 'cursor', here::text,
    'prebookings', coalesce(
      (select pg_catalog.jsonb_agg(prebooking.as_json(p) order by g.changed_xid, g.id)
        from page g join public.prebookings p on p.id = g.id), '[]'),
    'next', (
      select g.changed_xid::text || ' ' || g.id::text from page g
      where (select pg_catalog.count(*) from found) > p_limit
      order by g.changed_xid desc, g.id desc limit 1))
  into answer;
  return answer;
end $$;
