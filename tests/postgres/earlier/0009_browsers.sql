-- Browsers, with the publishable key and the user's access token, read the user's own prebookings and receive their
-- changes by realtime. Nothing else: all that changes a row goes through the service.

revoke all on public.prebookings, public.auth_sessions from public, anon, authenticated;
-- `truncate` and the like come with a hosted project's default privileges, and nobody needs them.
revoke all on public.prebookings, public.auth_sessions from service_role;
grant select, insert, update, delete on public.prebookings, public.auth_sessions to service_role;

-- The columns that the API shows. Claim and retry tokens, leases and the old message stay inside.
grant usage on schema public to authenticated;
grant select (
  id, user_email, status, version, attempts, available_at, box_subdomain, box_aimharder_id, booking_data,
  qstash_schedule_id, result, error_code, error_message, created_at, updated_at, executed_at
) on public.prebookings to authenticated;

-- Own is what has the e-mail of the caller's token. The claim is read where PostgREST and realtime put it, which works
-- without Supabase's schema `auth` too; users without an address (by phone, anonymous) have '' there, and own nothing.
-- The subselect is evaluated once a query, not once a row, so that the index `prebookings_of_user` serves.
do $$
declare
  own constant text := $own$
    lower(user_email) = (
      select lower(nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email', '')))
  $own$;
begin
  drop policy if exists prebookings_own_for_reading on public.prebookings;
  drop policy if exists prebookings_own_at_most on public.prebookings;
  execute 'create policy prebookings_own_for_reading on public.prebookings for select to authenticated'
    || ' using (' || own || ')';
  -- Permissive policies add up, and the table may have others from its time before us: this one they can't exceed.
  execute 'create policy prebookings_own_at_most on public.prebookings as restrictive for all to anon, authenticated'
    || ' using (' || own || ')';
end $$;

-- Realtime tells a subscriber of an insert or update only if the policy shows them the row, and only these columns.
-- It can't check a deleted row: ours never are, and the default identity has nothing but the id.
alter table public.prebookings replica identity default;
do $$
begin
  if exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime')
    and not exists (
      select from pg_catalog.pg_publication_tables
      where pubname = 'supabase_realtime' and schemaname = 'public' and tablename = 'prebookings') then
    alter publication supabase_realtime add table public.prebookings;
  end if;
end $$;

notify pgrst, 'reload schema';
