"""All events of the log and their fields: a closed set, so that alerts on them stay valid."""

from collections.abc import Mapping

EVENTS: Mapping[str, str] = {
    # the start
    "setting_from_platform": "a setting is taken from a platform's variable: name, from",
    "not_opened": "the services could not be opened, with the traceback: tried again, and requests are answered 503",
    # executions
    "delivery_answered": "a delivery of QStash was answered: outcome, took_ms",
    "sweep_executed": "the sweep executed a prebooking: outcome, took_ms",
    "execution_interrupted": "the database did not respond, or the time was up: it will be claimed again",
    "claims_not_renewed": "leases of prebookings that wait for their opening could not be renewed: tried again",
    "host_clock_overruled": "the host's clock is wrong, so the database's is used: offset_ms",
    "session_not_refreshed": "a dead session could not be refreshed in time: the request is sent anyway",
    "listing_not_asked": "a bug while requesting a listing for a class search: it is requested again",
    "listing_not_looked_at": "a bug while searching one class in a listing: others are not affected",
    "connection_renewed": "a request that waits for its opening was moved to a new connection: reason, idle_s, ahead_s",
    # messages
    "opening_crowded": "an opening for which more is scheduled here than is made ready in time: planned, ready_in_time",
    "ordering_paused": "QStash accepts no messages: reason; tried again at intervals, logged again after 5 minutes",
    "ordering_resumed": "QStash accepts messages again: refused, the number of refusals meanwhile",
    "message_not_scheduled": "QStash refused one message, or it could not be noted: published again later",
    "message_not_deleted": "QStash did not delete a message: its delivery will have no effect",
    "delivery_failed": "QStash gave up on a message: the sweep publishes it again",
    "delivery_malformed": "the body of a signed delivery was malformed",
    "delivery_refused": "a delivery's signature was refused: check, reason",
    "next_signing_key_used": "QStash has rolled its signing keys: update both",
    # the sweep and the background tasks
    "swept": "a sweep found something",
    "sweep_interrupted": "the database did not respond to a sweep: the next one comes",
    "sweep_failed": "an unexpected error in a sweep, with the traceback",
    "chores_interrupted": "the database did not respond to a background task: the next pass comes",
    "chores_failed": "an unexpected error in a background task, with the traceback",
    "series_not_filled": "the due prebookings of a series could not be created in time: the next pass creates them",
    "series_messages_late": "messages of a series' prebookings are left to the sweep: made, cancelled",
    "series_failed": "an unexpected error in one series, with the traceback: series_id",
    "series_unreadable": "a stored series can't be parsed, so it creates no prebookings: series_id, fields",
    "changes_not_read": "the database did not respond: open pages get their changes later",
    # sessions
    "session_dead": "a user has to sign in at AimHarder before an opening",
    "session_not_seen": "AimHarder did not say whether a session is alive: checked again in a minute",
    "session_not_saved": "a change of a session could not be stored; with what=saved a refreshed token is lost",
    "signed_in_again": "a session that had ended was signed in again with the remembered password",
    "not_signed_in_again": "a session was not signed in again, although the password is remembered: reason",
    "password_refused": "AimHarder refuses a remembered password: it was deleted, and its user notified",
    "password_unreadable": "a remembered password can't be decrypted: it counts as none",
    "giving_back_settled": "whether a place was given back; given_back null: still unknown",
    "rotation_answer_lost": "a session's token may have been rotated; alive: whether its cookies are good",
    "effect_not_stored_yet": "the answer to a request that can't be repeated is not stored yet: tried again",
    "effect_failed": "an unexpected error in a request that can't be repeated, with the traceback",
    "cookie_unreadable": "a cookie of AimHarder was not accepted: name, reason",
    "session_unreadable": "a stored session can't be decrypted or parsed: it counts as none",
    # notices
    "notice_published": "QStash accepted a notice: kind",
    "notice_not_published": "QStash did not accept a notice: tried again in a minute",
    "notice_failed": "a notice was not delivered in six tries, or an unexpected error: tried again later",
    # the rest
    "request_interrupted": "a request was cancelled by the shutdown: its sender repeats it",
    "request_failed": "an unexpected error in a request, with the traceback",
    "address_refused": "a gym's name resolves to an address that is not public: nothing was sent there",
    "database_unavailable": "a request failed because the database did not respond",
    "token_refused": "an access token was refused: check, reason, others (of the kind since the last line)",
    "key_set_unavailable": "Supabase's public keys could not be fetched",
    "rows_removed": "rows that ended long ago were removed: how many",
    "crashed": "the process ended by an error, with the traceback",
}
