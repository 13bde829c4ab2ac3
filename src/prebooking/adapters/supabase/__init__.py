"""The database through Supabase's client: the SQL functions by subject, their errors, and encrypted secrets."""
