-- Idempotency-Key: a repeated request with the same key gets the first answer, with the current row, and creates
-- nothing. The same key with another wish is refused.

-- Returns the wish key without the user, whose e-mail may change.
create or replace function prebooking.wish_of(p_wish_key text) returns text
language sql immutable as $$ select (p_wish_key::jsonb - 0)::text $$;

-- Returns the refusal of a repeated request that names another opening than the first one.
create or replace function prebooking.of_another_opening(p public.prebookings) returns jsonb
language sql stable as $$
  select prebooking.answer(case when p.status in ('pending', 'loaded') then 'exists' else 'key_reused' end, p)
$$;

-- Returns the answer to a request with a used key; null: the key is new. A refusal for a limit, or for a class that is
-- over, is not stored, since the same request may succeed later.
create or replace function prebooking.answer_again(
  p_user_email text, p_key uuid, p_wish text, p_available_at timestamptz
) returns jsonb language plpgsql stable as $$
declare
  used prebooking.idempotency_keys;
  r public.prebookings;
begin
  select * into used from prebooking.idempotency_keys k
    where k.user_email = pg_catalog.lower(p_user_email) and k.key = p_key;
  if not found then
    return null;
  end if;
  select * into r from public.prebookings p where p.id = used.prebooking_id;
  if used.wish is distinct from p_wish then
    return '{"outcome": "key_reused"}';
  elsif used.available_at is distinct from p_available_at then
    return prebooking.of_another_opening(r);
  end if;
  return prebooking.answer(used.outcome, r)
    || pg_catalog.jsonb_build_object('replaced_message_id', r.replaced_message_id);
end $$;

create or replace function prebooking.remember_answer(
  p_user_email text, p_key uuid, p_wish text, p_available_at timestamptz, p_answer jsonb
) returns void language sql volatile as $$
  insert into prebooking.idempotency_keys (user_email, key, prebooking_id, outcome, wish, available_at, used_at)
  select pg_catalog.lower(p_user_email), p_key, (p_answer -> 'prebooking' ->> 'id')::uuid, p_answer ->> 'outcome',
    p_wish, p_available_at, prebooking.now()
  where p_key is not null and p_answer ->> 'outcome' in ('created', 'existing', 'exists', 'retried')
  on conflict (user_email, key) do nothing
$$;
