-- Every function of ours: the service's alone, its names found in one way, whoever calls. This file is applied again
-- after each change of another one, as a function that is defined again has only the settings that it names.
do $$
declare
  -- What the service calls. Functions are executable by everyone until that is taken back, and an API exposes all of
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
    -- Another parameter makes another function, an overload, which PostgREST refuses as ambiguous: the newest stays.
    if f.is_replaced then
      execute format('drop function %s', f.signature);
      continue;
    end if;
    execute format('alter function %s set search_path = ''''', f.signature);
    if f.is_called then
      -- They give up sooner than the service does (a try of it takes 1 s), so that a call that it has given up can't
      -- act later on: 0.5 s for a lock, which two tries of a claim can wait for in the 1.5 s that it has, and 0.9 s in
      -- all. PostgREST sets the latter before the call, where it finds it; set within, it would come too late.
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

-- PostgREST learns of what is new.
notify pgrst, 'reload schema';
