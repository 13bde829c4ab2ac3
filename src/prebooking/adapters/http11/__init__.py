"""HTTP/1.1 towards the gyms, Supabase and QStash."""
