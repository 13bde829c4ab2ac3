-- Only the service may call our functions, which have a fixed search path. This file is applied again after each change
-- of another one, since a redefined function has only the settings of its definition.
do $$
declare
  -- The functions that the service calls. New functions are executable by everyone, and the API exposes all of
  -- `public`, where others may have functions, too. A test keeps this list complete.
  called constant text[] := array[
    'create_prebooking', 'list_prebookings', 'read_prebookings', 'cancel_prebooking', 'reschedule_prebooking',
    'retry_prebooking', 'attach_message', 'note_delivery_failure', 'admit_session_check', 'connect_session',
    'read_session', 'note_box_domains', 'disconnect_session', 'lease_session', 'save_session', 'list_sessions_to_encrypt',
    'replace_session_secrets', 'list_passwords_to_encrypt', 'replace_password', 'admit_sign_in', 'store_sign_in',
    'lease_sign_in', 'save_sign_in_again', 'end_sign_in_again', 'claim_prebooking', 'renew_claims', 'begin_booking',
    'finish_booking', 'create_series', 'list_series', 'change_series', 'end_series',
    'fill_series', 'take_series', 'begin_giving_back', 'end_giving_back', 'take_given_back', 'release_prebooking', 'park_prebooking', 'sweep_prebookings', 'take_notices', 'note_told',
    'note_untold', 'take_session_looks', 'note_session_look', 'read_changes', 'own_email', 'release_email', 'make_calendar',
    'end_calendar', 'read_calendar', 'read_history', 'note_ping', 'read_ping', 'inspect_service', 'remove_old_prebookings'
  ];
  f record;
begin
  for f in
    select p.oid::regprocedure as signature, p.pronamespace = 'public'::regnamespace as is_called, exists (
      select from pg_catalog.pg_proc newer
      where newer.pronamespace = p.pronamespace and newer.proname = p.proname
        and (pg_catalog.age(newer.xmin), -newer.oid::bigint) < (pg_catalog.age(p.xmin), -p.oid::bigint)) as is_replaced
    from pg_catalog.pg_proc p
    where p.pronamespace = 'prebooking'::regnamespace
      or (p.pronamespace = 'public'::regnamespace and p.proname = any (called))
  loop
    -- A new parameter creates an overload, which PostgREST refuses as ambiguous: the newest one stays.
    if f.is_replaced then
      execute format('drop function %s', f.signature);
      continue;
    end if;
    execute format('alter function %s set search_path = ''''', f.signature);
    if f.is_called then
      -- They time out before the service does (1 s for each try), so that a call that it has given up can't take effect
      -- later: 0.5 s for a lock, so that two tries of a claim fit into its 1.5 s, and 0.9 s in total. PostgREST sets
      -- the latter before the call; set within the function it would be too late.
      execute format('alter function %s set statement_timeout = ''900ms''', f.signature);
      execute format('alter function %s set lock_timeout = ''500ms''', f.signature);
    end if;
    execute format('revoke all on function %s from public, anon, authenticated', f.signature);
    execute format('grant execute on function %s to service_role', f.signature);
  end loop;
  -- The boxes of adopted rows.
  if to_regclass('public.boxes') is not null then
    grant select on public.boxes to service_role;
  end if;
end $$;

-- Has PostgREST reload its schema cache.
notify pgrst, 'reload schema';
