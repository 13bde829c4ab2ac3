-- Only the service may call the functions, and nobody reaches the tables but through them.
-- Functions are executable by everyone until that is taken back, and an API exposes all of `public`.
do $$
declare
  f regprocedure;
begin
  for f in
    select p.oid::regprocedure from pg_catalog.pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.proname in (
      'create_prebooking', 'attach_message', 'claim_prebooking', 'begin_booking', 'finish_booking',
      'release_prebooking', 'park_prebooking', 'cancel_prebooking', 'reschedule_prebooking', 'retry_prebooking',
      'note_delivery_failure', 'list_prebookings', 'sweep_prebookings', 'lease_session', 'save_session')
  loop
    execute format('revoke all on function %s from public, anon, authenticated', f);
    execute format('grant execute on function %s to service_role', f);
  end loop;
end $$;

revoke all on schema prebooking from public;
revoke all on all functions in schema prebooking from public, anon, authenticated;
grant usage on schema prebooking to service_role;
grant execute on all functions in schema prebooking to service_role;

alter table public.prebookings enable row level security;
alter table public.auth_sessions enable row level security;
revoke all on public.prebookings, public.auth_sessions from anon, authenticated;
grant usage on schema public to service_role;
grant select, insert, update, delete on public.prebookings, public.auth_sessions to service_role;
do $$
begin
  if to_regclass('public.boxes') is not null then
    grant select on public.boxes to service_role;
  end if;
end $$;

-- PostgREST learns of the new functions.
notify pgrst, 'reload schema';
