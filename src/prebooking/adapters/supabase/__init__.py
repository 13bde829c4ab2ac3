"""The database through Supabase's client: the SQL functions by subject, one error translation, sealed secrets."""
