"""How uvicorn is run: connections with bounds on what each may send, and for how long."""
