"""The trusted certificate authorities: certifi's, or those of SSL_CERT_FILE or SSL_CERT_DIR.

One context for all clients, which share nothing else: building one costs 20 ms of CPU and more.
"""

import ssl
from functools import cache

import httpx


@cache
def trusted() -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
