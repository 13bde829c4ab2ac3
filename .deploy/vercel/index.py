"""The ASGI entry point that Vercel starts. The platform has to run ASGI's lifespan: the clients are opened in it."""

from prebooking.main import create_app

app = create_app()
