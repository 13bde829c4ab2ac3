-- Until it has begun, a claim has a short lease, which its holder renews: whoever waits a minute for an opening and is
-- killed keeps nobody else waiting for longer than that. A replica that knows nothing of it gets the lease of old.

-- Of all that one replica has claimed and not begun, in one call: prolongs what is still its own, and says what is not
-- (cancelled, taken over, ended, deleted). A row that another call is changing at this moment is left for later.
-- What was begun has its begin's lease, what was parked or released has none of its claim's: neither is touched.
create or replace function public.renew_claims(p_ids uuid[], p_tokens uuid[], p_lease_seconds double precision)
returns jsonb language plpgsql as $$
declare
  t constant timestamptz := prebooking.now();
begin
  update public.prebookings p
  set lease_until = greatest(p.lease_until, t + pg_catalog.make_interval(secs => p_lease_seconds))
  from (
    select f.id, a.token
    from unnest(p_ids, p_tokens) as a (id, token) join public.prebookings f on f.id = a.id
    order by f.id for no key update of f skip locked) as free
  where p.id = free.id and p.status = 'executing' and p.claim_token = free.token
    and p.begun_token is distinct from free.token and p.ended_token is distinct from free.token;
  return pg_catalog.jsonb_build_object('outcome', 'renewed', 'lost', coalesce((
    select pg_catalog.jsonb_agg(
      case when p.id is null then '{"outcome": "unknown_prebooking"}'
        when p.status = 'cancelled' then prebooking.answer('cancelled', p) else prebooking.answer('lost', p) end
      || pg_catalog.jsonb_build_object('token', a.token))
    from unnest(p_ids, p_tokens) as a (id, token) left join public.prebookings p on p.id = a.id
    where p.id is null or p.status <> 'executing' or p.claim_token is distinct from a.token
      or p.ended_token = a.token), '[]'));
end $$;
