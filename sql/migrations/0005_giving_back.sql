-- The intent to give the place of a completed row back: recorded before the gym is asked, cleared when it is known what
-- became of it. The token fences whoever acts on it; until its lease ends nobody else does.
alter table public.prebookings
  add column if not exists giving_back_since timestamptz,
  add column if not exists giving_back_token uuid,
  add column if not exists giving_back_until timestamptz;
create index if not exists prebookings_giving_back on public.prebookings (giving_back_until)
  where giving_back_until is not null;
