-- Until a claim has begun its lease is short, and its holder renews it. A replica may hold a claim for a minute before
-- the opening; if it is killed meanwhile, the row can be claimed again once the short lease has ended. Replicas of an
-- earlier version do not renew their claims, so these get a lease for the whole time.

-- Renews all claims of one replica that have not begun, in one call, and returns which of them are lost (the row was
-- cancelled, taken over, ended or deleted). A row that another call is changing at the same time is skipped until the
-- next renewal. A claim that has begun has the lease of its begin, and a parked or released row has no claim: neither
-- is changed.
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
