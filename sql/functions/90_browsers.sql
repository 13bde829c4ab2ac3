-- Browsers, with the publishable key and the user's access token, read the user's own prebookings, what happened to
-- them, and the user's series, and receive the rows' changes by realtime. Nothing else: all that changes a row goes through the service.

-- The columns that the API shows. Claim and retry tokens, leases and the old message stay inside.
revoke all on public.prebookings, prebooking.email_owners, prebooking.history, public.prebooking_history,
  public.prebooking_series from authenticated;
grant usage on schema public to authenticated;
grant select (
  id, user_email, status, version, attempts, available_at, box_subdomain, box_aimharder_id, box_domain,
  booking_data, class, series_id,
  qstash_schedule_id, warning, result, error_code, error_message, created_at, updated_at, executed_at
) on public.prebookings to authenticated;
grant select (id, user_email, weekly, paused, skip, reasons, created_at, updated_at) on public.prebooking_series
  to authenticated;
-- They may look up the owner of their own address, by the policies alone: the schema is closed to them.
grant select (email, sub) on prebooking.email_owners to authenticated;
-- The view is read under the rights of who asks, so these need the table's, too.
grant select (prebooking_id, n, at, event, attempt, replica, reason, message_id, took_ms) on prebooking.history
  to authenticated;
grant select (prebooking_id, n, at, event, attempt, replica, reason, message_id, took_ms) on public.prebooking_history
  to authenticated;

-- Own is, as the API has it, what has the e-mail of the caller's token, unless that is another account's or the caller
-- is anonymous. The claims are read where PostgREST and realtime put them, which works without Supabase's schema `auth`
-- too; users without an address (by phone) have '' there, and own nothing. The subselect is evaluated once a query, not
-- once a row, so that the index `prebookings_of_user` serves.
do $$
declare
  claims constant text := $claims$ nullif(current_setting('request.jwt.claims', true), '')::jsonb $claims$;
  address constant text := 'lower(nullif(' || claims || $email$ ->> 'email', '')) $email$;
  own constant text := 'lower(user_email) = (select ' || address
    || ' where coalesce(' || claims || $anonymous$ -> 'is_anonymous', 'false') = 'false' $anonymous$
    || ' and coalesce(' || claims || $verified$ -> 'email_verified', 'true') = 'true' $verified$
    || ' and coalesce(' || claims || $role$ ->> 'role', 'authenticated') = 'authenticated' $role$
    || ' and not exists (select from prebooking.email_owners o where o.email = ' || address
    || ' and o.sub is distinct from ' || claims || $sub$ ->> 'sub')) $sub$;
begin
  drop policy if exists email_owners_of_own_address on prebooking.email_owners;
  execute 'create policy email_owners_of_own_address on prebooking.email_owners for select to authenticated'
    || ' using (sub is not null and email = (select ' || address || '))';
  drop policy if exists prebookings_own_for_reading on public.prebookings;
  drop policy if exists prebookings_own_at_most on public.prebookings;
  drop policy if exists prebookings_none_for_anonymous on public.prebookings;
  execute 'create policy prebookings_own_for_reading on public.prebookings for select to authenticated'
    || ' using (' || own || ')';
  -- Permissive policies add up, and the table may have others from its time before us: these they can't exceed.
  execute 'create policy prebookings_own_at_most on public.prebookings as restrictive for all to authenticated'
    || ' using (' || own || ')';
  drop policy if exists series_own on public.prebooking_series;
  execute 'create policy series_own on public.prebooking_series for select to authenticated using (' || own || ')';
  drop policy if exists history_of_own_prebookings on prebooking.history;
  create policy history_of_own_prebookings on prebooking.history for select to authenticated
    using (exists (select from public.prebookings p where p.id = prebooking_id)); -- of those that they see
  create policy prebookings_none_for_anonymous on public.prebookings as restrictive for all to anon using (false);
end $$;
