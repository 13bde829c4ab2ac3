-- AimHarder has gyms under aimharder.com and under aimharder.es. Null: as the user's session knows it, else .com.
alter table public.prebookings add column if not exists box_domain text
  constraint prebookings_box_domain check (box_domain in ('aimharder.com', 'aimharder.es'));

-- Of the session's member: {sub-domain: domain} of the gyms that are not under aimharder.com.
alter table public.auth_sessions add column if not exists box_domains jsonb;
