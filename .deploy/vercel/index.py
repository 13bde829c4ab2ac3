"""The ASGI entry point that Vercel starts."""

from prebooking.main import create_app

app = create_app()
