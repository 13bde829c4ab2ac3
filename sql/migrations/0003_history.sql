-- What happened to each prebooking, written by the trigger of functions/75_history.sql.
create table if not exists prebooking.history (
  prebooking_id uuid not null references public.prebookings (id) on update cascade on delete cascade,
  n integer not null,                                    -- its place; of a long history some in the middle are gone
  at timestamptz not null,
  event text not null check (event in (
    'created', 'adopted', 'message_ordered', 'delivery_failed', 'claimed', 'begun', 'released', 'parked', 'settled',
    'finished', 'cancelled', 'rescheduled', 'retried', 'given_back')),
  attempt integer,
  replica text,                                          -- six hex digits of a process; null: no replica did it
  reason text,
  message_id text,
  took_ms double precision,                              -- since the claim
  primary key (prebooking_id, n)
);

-- What is under way gets its beginning; what came of it so far is not known any more.
insert into prebooking.history (prebooking_id, n, at, event)
select p.id, 1, case when p.wish_key is null then now() else p.created_at end,
  case when p.wish_key is null then 'adopted' else 'created' end
from public.prebookings p where p.status in ('pending', 'loaded', 'executing')
on conflict do nothing;

-- What browsers read, under their own rights: no API exposes the schema of the table.
create or replace view public.prebooking_history with (security_invoker = true) as
  select h.prebooking_id, h.n, h.at, h.event, h.attempt, h.replica, h.reason, h.message_id, h.took_ms
  from prebooking.history h;

alter table prebooking.history enable row level security;
revoke all on prebooking.history, public.prebooking_history from public, anon, authenticated, service_role;
grant select, insert, delete on prebooking.history to service_role;
