-- Grants browsers, with the publishable key and a user's access token, read access to the user's own prebookings,
-- their history, and the user's series, also by realtime. All writes go through the service.

-- Grants the columns that the API shows; not claim and retry tokens, leases and the old message.
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
-- The policies look up the owner of the caller's own address. Browsers can't query the table: they have no right on the
-- schema.
grant select (email, sub) on prebooking.email_owners to authenticated;
-- The view uses the rights of the caller, who therefore needs those on the table, too.
grant select (prebooking_id, n, at, event, attempt, replica, reason, message_id, took_ms) on prebooking.history
  to authenticated;
grant select (prebooking_id, n, at, event, attempt, replica, reason, message_id, took_ms) on public.prebooking_history
  to authenticated;

-- Own rows, as in the API, are those with the e-mail of the caller's token, unless another account owns that or the
-- caller is anonymous. The claims are read from the setting of PostgREST and realtime, which needs no schema `auth` of
-- Supabase; users without an address (by phone) have '' there, and own nothing. The subselect is evaluated once in a
-- query, not once for each row, so that the index `prebookings_of_user` is used.
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
  -- Permissive policies add up, and the table may have older ones: restrictive policies limit them.
  execute 'create policy prebookings_own_at_most on public.prebookings as restrictive for all to authenticated'
    || ' using (' || own || ')';
  drop policy if exists series_own on public.prebooking_series;
  execute 'create policy series_own on public.prebooking_series for select to authenticated using (' || own || ')';
  drop policy if exists history_of_own_prebookings on prebooking.history;
  create policy history_of_own_prebookings on prebooking.history for select to authenticated
    using (exists (select from public.prebookings p where p.id = prebooking_id)); -- of visible prebookings
  create policy prebookings_none_for_anonymous on public.prebookings as restrictive for all to anon using (false);
end $$;
