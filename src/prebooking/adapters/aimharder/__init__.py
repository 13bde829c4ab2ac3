"""AimHarder over HTTP: its requests, its answers, its hosts."""
