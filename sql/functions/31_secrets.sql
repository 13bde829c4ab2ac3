-- Lists and replaces the secrets that are not encrypted under the newest key yet, in pages.

-- Returns the rows after that one that are not encrypted under this key yet, and their total number. The oldest first:
-- a trigger of the web application stamps each changed row, and the newest device's row must stay the newest.
create or replace function public.list_sessions_to_encrypt(
  p_key_id text, p_after_at timestamptz default null, p_after_id uuid default null, p_limit integer default 100
) returns jsonb language sql stable as $$
  with waiting as (
    select a.id, coalesce(a.sealed_for, a.user_email) as user_email, a.aimharder_token, a.aimharder_cookies,
      coalesce(a.updated_at, '-infinity') as at
    from public.auth_sessions a
    where not (
      pg_catalog.starts_with(a.aimharder_token, 'enc:v1:' || p_key_id || ':')
      and pg_catalog.jsonb_typeof(a.aimharder_cookies) = 'string'
      and pg_catalog.starts_with(a.aimharder_cookies #>> '{}', 'enc:v1:' || p_key_id || ':'))
  ), page as (
    select * from waiting w
    where p_after_at is null or (w.at, w.id) > (p_after_at, p_after_id)
    order by w.at, w.id limit p_limit
  )
  select pg_catalog.jsonb_build_object(
    'outcome', 'listed', 'left', (select pg_catalog.count(*) from waiting),
    'sessions', coalesce((select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'id', p.id, 'user_email', p.user_email, 'token', p.aimharder_token, 'cookies', p.aimharder_cookies,
      'at', p.at) order by p.at, p.id) from page p), '[]'))
$$;

-- Replaces both secrets, by compare-and-set on the stored ones. Not during a refresh, whose secrets will be newer.
create or replace function public.replace_session_secrets(
  p_id uuid, p_old_token text, p_old_cookies jsonb, p_new_token text, p_new_cookies jsonb
) returns jsonb language plpgsql as $$
declare
  s public.auth_sessions;
begin
  select * into s from public.auth_sessions where id = p_id for update;
  if not found then
    return '{"outcome": "no_session"}';
  elsif s.aimharder_token = p_new_token and s.aimharder_cookies = p_new_cookies then -- the first answer was lost
    return '{"outcome": "replaced"}';
  elsif s.aimharder_token <> p_old_token or s.aimharder_cookies <> p_old_cookies then
    return '{"outcome": "changed"}';
  elsif s.refresh_lease_until > prebooking.now() then
    return pg_catalog.jsonb_build_object(
      'outcome', 'busy', 'retry_after', prebooking.seconds_until(s.refresh_lease_until));
  end if;
  perform pg_catalog.set_config('prebooking.same_session', 'on', true);
  update public.auth_sessions set aimharder_token = p_new_token, aimharder_cookies = p_new_cookies where id = p_id;
  perform pg_catalog.set_config('prebooking.same_session', 'off', true);
  return '{"outcome": "replaced"}';
end $$;

-- Returns the passwords after that user's that are not encrypted under this key yet, and their total number.
create or replace function public.list_passwords_to_encrypt(
  p_key_id text, p_after text default '', p_limit integer default 100
) returns jsonb language sql stable as $$
  with waiting as (
    select a.user_email, coalesce(a.sealed_for, a.user_email) as sealed_for, a.password from prebooking.accounts a
    where a.password is not null and not pg_catalog.starts_with(a.password, 'enc:v1:' || p_key_id || ':')
  ), page as (
    select * from waiting w where w.user_email > p_after order by w.user_email limit p_limit
  )
  select pg_catalog.jsonb_build_object(
    'outcome', 'listed', 'left', (select pg_catalog.count(*) from waiting),
    'passwords', coalesce((
      select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'user_email', p.user_email, 'sealed_for', p.sealed_for, 'password', p.password) order by p.user_email)
      from page p), '[]'))
$$;

-- Replaces a password, by compare-and-set on the stored one.
create or replace function public.replace_password(p_user_email text, p_old text, p_new text)
returns jsonb language plpgsql as $$
begin
  update prebooking.accounts set password = p_new where user_email = p_user_email and password in (p_old, p_new);
  return pg_catalog.jsonb_build_object('outcome', case when found then 'replaced' else 'changed' end);
end $$;
