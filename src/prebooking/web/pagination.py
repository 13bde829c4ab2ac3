"""The cursor of a list: the position of the last row of the page before, opaque to clients."""

import base64
import binascii
import json
from datetime import datetime
from uuid import UUID

from prebooking.domain.prebooking import Page, Prebooking
from prebooking.web.problems import invalid


def encode_cursor(row: Prebooking) -> str:
    return base64.urlsafe_b64encode(json.dumps([row.created_at.isoformat(), str(row.id)]).encode()).decode()


def decode_cursor(cursor: str) -> Page:
    """Raises Problem where the cursor is not one of ours."""
    try:
        created_at, row_id = json.loads(base64.urlsafe_b64decode(cursor))
        return Page(created_at=datetime.fromisoformat(created_at).astimezone(), id=UUID(row_id))
    except (OverflowError, ValueError, TypeError, AttributeError, binascii.Error, RecursionError) as exc:
        raise invalid("cursor", "send next_cursor of the page before, unchanged, or leave cursor out") from exc
