"""The bounds of one connection and of all together, and the problems that say which was exceeded."""

from prebooking.web.problems import Problem

LARGEST_HEAD = 32 * 1024  # bytes; and as many for chunk heads, extensions and trailers
MOST_HEADERS = 100
MOST_PIPELINED = 2  # requests behind the one that is being answered
MOST_CHUNKS = 2048  # within one read
MOST_UNREAD = 16 * 1024  # bytes of a body that the application has not read yet, plus one read
LARGEST_REST = 256 * 1024 * 1024  # bytes of a body after its response
SLOWEST_HEAD_S = 10.0
SLOWEST_REST_S = 30.0
SLOWEST_READER_S = 20.0  # to read all that was written
LINGER_S = 2.0  # half to one and a half of it, so that a crowd does not end at one instant

MOST_CONNECTIONS = 3000  # includes held deliveries (1,000 and more) and idle connections
ROOM = 100  # kept free by evicting idle connections: at the limit uvicorn refuses every request
MOST_BUFFERED = 16 * 1024 * 1024  # bytes, of all connections

UNREAD_IN_KERNEL = 64 * 1024  # bytes of one connection; the kernel's default grows to megabytes

HEAD_TOO_LARGE = Problem(
    431, f"The head of the request is larger than {LARGEST_HEAD} bytes, or has more than {MOST_HEADERS} headers."
)
FRAMING_TOO_LARGE = Problem(413, f"The body's chunk heads and trailers are larger than {LARGEST_HEAD} bytes.")
CHUNKS_TOO_SMALL = Problem(413, "The body comes in chunks that are too small: send larger ones.")
PIPELINE_FULL = Problem(
    429,
    f"More than {MOST_PIPELINED} requests were sent before the first was answered: wait for responses.",
    code="too-many",
)
NOT_HTTP = Problem(400, "This is not HTTP.", code="malformed-request")
