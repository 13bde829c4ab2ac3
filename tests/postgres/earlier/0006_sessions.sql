-- The rotating AimHarder token: one refresher at a time, and only over the token it knew.

-- The right to refresh the user's session, for a while. p_token: the AimHarder token that the caller knows.
create or replace function public.lease_session(
  p_user_email text, p_token text, p_lease uuid, p_lease_seconds double precision
) returns jsonb language plpgsql set search_path = '' as $$
declare
  s public.auth_sessions;
  t timestamptz;
begin
  s := prebooking.session_of(p_user_email);
  select * into s from public.auth_sessions where id = s.id for update;
  if not found then
    return '{"outcome": "no_session", "session": null}';
  end if;
  t := prebooking.now();
  if s.aimharder_token <> p_token then -- somebody has refreshed it: use that
    return pg_catalog.jsonb_build_object('outcome', 'changed', 'session', prebooking.session_as_json(s));
  elsif s.refresh_lease <> p_lease and s.refresh_lease_until > t then
    return pg_catalog.jsonb_build_object(
      'outcome', 'busy', 'retry_after', prebooking.seconds_until(s.refresh_lease_until),
      'session', prebooking.session_as_json(s));
  end if;
  update public.auth_sessions set
    refresh_lease = p_lease, refresh_lease_until = t + pg_catalog.make_interval(secs => p_lease_seconds)
  where id = s.id returning * into s;
  return pg_catalog.jsonb_build_object('outcome', 'leased', 'session', prebooking.session_as_json(s));
end $$;

-- Compare-and-set on the old token; new token and cookies together. p_error instead: the refresh failed.
create or replace function public.save_session(
  p_id uuid, p_lease uuid, p_old_token text,
  p_new_token text default null, p_cookies jsonb default null, p_error text default null
) returns jsonb language plpgsql set search_path = '' as $$
declare
  s public.auth_sessions;
begin
  select * into s from public.auth_sessions where id = p_id for update;
  if not found then
    return '{"outcome": "no_session", "session": null}';
  elsif s.aimharder_token = p_new_token and p_new_token <> p_old_token then -- the answer to the first call was lost
    return pg_catalog.jsonb_build_object('outcome', 'saved', 'session', prebooking.session_as_json(s));
  elsif s.aimharder_token <> p_old_token then
    return pg_catalog.jsonb_build_object('outcome', 'changed', 'session', prebooking.session_as_json(s));
  end if;
  update public.auth_sessions set
    aimharder_token = coalesce(p_new_token, aimharder_token),
    aimharder_cookies = coalesce(p_cookies, aimharder_cookies),
    last_token_update_date = case when p_new_token is null then last_token_update_date
      else prebooking.now() at time zone 'utc' end,
    token_update_count = coalesce(token_update_count, 0) + (p_new_token is not null)::integer,
    last_token_update_error = p_error,
    refresh_lease = case when refresh_lease = p_lease then null else refresh_lease end,
    refresh_lease_until = case when refresh_lease = p_lease then null else refresh_lease_until end,
    updated_at = prebooking.now()
  where id = p_id returning * into s;
  return pg_catalog.jsonb_build_object(
    'outcome', case when p_new_token is null then 'noted' else 'saved' end,
    'session', prebooking.session_as_json(s));
end $$;
