"""Semaphores, rate limits, circuit breakers and the shutdown signal: what limits work in one process."""
