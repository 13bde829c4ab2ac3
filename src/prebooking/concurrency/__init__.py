"""Semaphores, rate limits, circuit breakers and the shutdown signal: limits on the work of one process."""
