-- Connect a session on every version of the web application's table: before its 007 a user had one row there.

create or replace function public.connect_session(p_user_email text, p_token text, p_cookies jsonb, p_fingerprint text)
returns jsonb language plpgsql set search_path = '' as $$
declare
  s public.auth_sessions;
  t timestamptz;
  one constant boolean := prebooking.has_one_session_each();
begin
  perform prebooking.take_session_turn(p_user_email); -- not every such table has an index that allows one row only
  t := prebooking.now();
  -- A fingerprint is one sign-in at AimHarder: a device's row that has it becomes the background row. So does the only
  -- row that a user may have.
  select * into s from public.auth_sessions a
  where pg_catalog.lower(a.user_email) = pg_catalog.lower(p_user_email)
    and (one or a.fingerprint = p_fingerprint or a.session_type = 'background')
  order by coalesce(a.fingerprint = p_fingerprint, false) desc, coalesce(a.session_type = 'background', false) desc,
    a.updated_at desc nulls last, a.id
  limit 1 for update;
  delete from public.auth_sessions a
  where pg_catalog.lower(a.user_email) = pg_catalog.lower(p_user_email)
    and a.session_type = 'background' and a.id is distinct from s.id;
  if s.id is null then
    insert into public.auth_sessions (
      user_email, aimharder_token, aimharder_cookies, fingerprint, session_type,
      created_at, updated_at, connected_at, last_token_update_date)
    values (
      -- As the web application spells it, which compares e-mails with their case.
      coalesce((prebooking.session_of(p_user_email)).user_email, p_user_email),
      p_token, p_cookies, p_fingerprint, 'background', t, t, t, t at time zone 'utc')
    returning * into s;
  else
    update public.auth_sessions set
      aimharder_token = p_token, aimharder_cookies = p_cookies, fingerprint = p_fingerprint, sealed_for = null,
      -- It is another session: a clean-up by age must not take it for the one that was here.
      created_at = case when one then t else created_at end, last_refresh_date = case when one then t else last_refresh_date end,
      session_type = 'background', connected_at = t, updated_at = t,
      last_token_update_date = t at time zone 'utc', last_token_update_error = null,
      refresh_lease = null, refresh_lease_until = null
    where id = s.id returning * into s;
  end if;
  return pg_catalog.jsonb_build_object('outcome', 'connected', 'state', prebooking.session_state(s));
end $$;

-- As every function of ours has it: see the end of 0010_limits.sql.
do $$
begin
  alter function public.connect_session(text, text, jsonb, text) set statement_timeout = '900ms';
  alter function public.connect_session(text, text, jsonb, text) set lock_timeout = '500ms';
  revoke all on function public.connect_session(text, text, jsonb, text) from public, anon, authenticated;
  grant execute on function public.connect_session(text, text, jsonb, text) to service_role;
end $$;

notify pgrst, 'reload schema';
