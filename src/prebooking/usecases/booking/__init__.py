"""One execution of a prebooking, from the claim to its recorded result."""
