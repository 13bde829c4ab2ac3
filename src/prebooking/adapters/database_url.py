"""Converts the database's URL, as platforms provide it, into one that asyncpg accepts."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

# The parameters that asyncpg reads itself. It would send anything else to the database as a setting, and a database or
# a pooler refuses those that it doesn't know, such as Prisma's `pgbouncer=true&connection_limit=1`.
_KNOWN = frozenset(
    {
        *("host", "port", "dbname", "database", "user", "password", "passfile"),
        *("sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword", "sslnegotiation"),
        *("ssl_min_protocol_version", "ssl_max_protocol_version"),
        *("target_session_attrs", "krbsrvname", "gsslib", "application_name"),
    }
)


def without_unknown_parameters(url: str) -> tuple[str, list[str]]:
    """Returns the URL, and the names of the removed parameters. Raises ValueError if it can't be read."""
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(name, value) for name, value in pairs if name in _KNOWN]
    dropped = sorted({name for name, _ in pairs} - _KNOWN)
    if not dropped:
        return url, []
    return urlunsplit(parts._replace(query=urlencode(kept))), dropped
