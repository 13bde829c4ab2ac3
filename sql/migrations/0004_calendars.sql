-- The address of a user's calendar, one a user. Its secret is known to nobody but the user: here stands its hash alone.
create table if not exists prebooking.calendars (
  user_email text primary key,                           -- lower-cased
  secret_hash text not null unique,                      -- SHA-256, in hex
  made_at timestamptz not null,
  constraint calendars_secret_hash check (secret_hash ~ '^[0-9a-f]{64}$')
);

revoke all on prebooking.calendars from public;
grant select, insert, update, delete on prebooking.calendars to service_role;
