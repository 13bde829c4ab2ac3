-- The QStash message of a prebooking, with its address: the service's PUBLIC_URL at the time it was published. If
-- PUBLIC_URL has changed since, there may be no service there: the sweep publishes a new message. Replicas of an
-- earlier version note no address: such a message is taken to have the right one.

create or replace function public.attach_message(
  p_id uuid, p_version integer, p_message_id text, p_address text default null
) returns jsonb language plpgsql as $$
declare
  r public.prebookings;
  t constant timestamptz := prebooking.now();
  replaced text;
  readdressed boolean;
begin
  select * into r from public.prebookings where id = p_id for update;
  if not found then
    return '{"outcome": "unknown_prebooking"}';
  elsif r.status = 'cancelled' then
    return prebooking.answer('cancelled', r);
  elsif r.version <> p_version then
    return prebooking.answer('stale', r);
  end if;
  -- Stored, because this answer may be lost, too, and the old cron's message would book as well.
  replaced := nullif(coalesce(nullif(r.qstash_schedule_id, p_message_id), r.replaced_message_id), p_message_id);
  readdressed := coalesce(r.scheduled_version = p_version and r.message_address <> p_address, false);
  update public.prebookings set
    qstash_schedule_id = p_message_id, scheduled_version = p_version, replaced_message_id = replaced,
    message_address = p_address, readdressed_at = case when readdressed then t else r.readdressed_at end
    where id = p_id returning * into r;
  if readdressed then
    insert into prebooking.retries (user_email, retried_at) values (pg_catalog.lower(r.user_email), t);
  end if;
  return prebooking.answer('attached', r) || pg_catalog.jsonb_build_object('replaced_message_id', replaced);
end $$;

-- Notes that QStash gave up on a message. The row only loses its message; the sweep publishes another one.
create or replace function public.note_delivery_failure(p_id uuid, p_version integer, p_reason text)
returns jsonb language plpgsql as $$
declare
  r public.prebookings;
begin
  update public.prebookings set
    scheduled_version = null, qstash_schedule_id = null,
    delivery_failures = delivery_failures + 1, delivery_failure = p_reason
  where id = p_id and version = p_version and scheduled_version = p_version and status in ('pending', 'loaded')
  returning * into r;
  if found then
    return prebooking.answer('noted', r);
  end if;
  return '{"outcome": "nothing_to_note"}';
end $$;

-- Returns pending rows with a message for another address that were not readdressed recently: otherwise two replicas
-- with different addresses would replace each other's messages without end. The earliest openings, and at most as many
-- of each user as may be scheduled within a minute (null: any number).
create or replace function prebooking.messages_elsewhere(
  p_address text, p_opens_after timestamptz, p_max_per_minute integer, p_limit integer
) returns setof public.prebookings language plpgsql stable as $$
declare
  t constant timestamptz := prebooking.now();
  first_address text;
  last_address text;
begin
  -- Checks both ends of the index: nearly always all addresses are right.
  select pg_catalog.min(p.message_address), pg_catalog.max(p.message_address) into first_address, last_address
  from public.prebookings p where p.status in ('pending', 'loaded') and p.message_address is not null;
  if p_address is null or first_address is null or (first_address = p_address and last_address = p_address) then
    return;
  end if;
  return query
    select p.* from (
      select e.id, pg_catalog.lower(e.user_email) as email,
        pg_catalog.row_number() over (partition by pg_catalog.lower(e.user_email) order by e.available_at, e.id) as nth
      from (
        select p.id, p.user_email, p.available_at from public.prebookings p
        where p.status in ('pending', 'loaded') and p.message_address <> p_address and p.scheduled_version = p.version
          and p.available_at > p_opens_after and p.give_up_at > t
          and (p.readdressed_at is null or p.readdressed_at <= t - interval '10 minutes')
        order by p.available_at limit p_limit) e) n
    join public.prebookings p on p.id = n.id
    where p_max_per_minute is null or n.nth <= p_max_per_minute - prebooking.ordered_lately(n.email);
end $$;
