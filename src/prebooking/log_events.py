"""All events of the log and their fields: a closed set, so that alarms on them stay valid."""

from collections.abc import Mapping

EVENTS: Mapping[str, str] = {
    # the start
    "setting_from_platform": "a setting is not set, a platform's variable stands for it: name, from",
    "not_opened": "the services could not be opened, with the trace: requests are answered 503, and it is tried again",
    # executions
    "delivery_answered": "a message of QStash's was answered: outcome, took_ms",
    "sweep_executed": "the sweep executed a prebooking: outcome, took_ms",
    "execution_interrupted": "the database was silent or the time was up: it will be claimed again",
    "claims_not_renewed": "the leases of prebookings that wait for their opening could not be renewed: tried again",
    "host_clock_overruled": "the host's clock is wrong, the database's is followed: offset_ms",
    "session_not_refreshed": "preparing could not refresh a dead session in time: the box decides",
    "listing_not_asked": "a bug, in asking for the listing of a day on which a class is looked for: another asks again",
    "listing_not_looked_at": "a bug, in looking for the class of one prebooking in a listing: the others have looked",
    "connection_renewed": "a request that waits for its opening was held anew: reason, idle_s, ahead_s",
    # messages
    "ordering_paused": "QStash takes none of our messages: reason; asked again sparsely, told again after 5 minutes",
    "ordering_resumed": "QStash takes our messages again: refused, how many it refused meanwhile",
    "message_not_scheduled": "QStash refused one message, or it could not be noted: published again, ever more rarely",
    "message_not_deleted": "QStash would not take a message back: it will be delivered for nothing",
    "delivery_failed": "QStash gave up on a message: the sweep goes on with its prebooking",
    "delivery_malformed": "a signed delivery was none of ours",
    "delivery_refused": "a delivery's signature was refused: check, reason",
    "next_signing_key_used": "QStash has rolled its signing keys: update both",
    # the sweep and the chores
    "swept": "a sweep found something",
    "sweep_interrupted": "the database was silent, the next sweep comes",
    "sweep_failed": "an error of ours in a sweep, with its trace",
    "chores_interrupted": "the database was silent, the next pass comes",
    "chores_failed": "an error of ours in the chores, with its trace",
    "series_not_filled": "the due days of a series could not be made in time: the next pass makes them",
    "series_messages_late": "messages of a series' prebookings are left to the sweep: made, cancelled",
    "series_failed": "an error of ours in filling one series, with its trace: series_id",
    "series_unreadable": "a stored series can't be read: its days are not made: series_id, fields",
    "changes_not_read": "live pages wait: the database was silent, it is asked again",
    # sessions
    "session_dead": "a user has to sign in at AimHarder before an opening",
    "session_not_seen": "AimHarder did not say whether a session lives: asked again in a minute",
    "session_not_saved": "what became of a session could not be stored, of a rotated token (what=saved) it is lost",
    "signed_in_again": "a session that had ended was signed in again with the remembered password",
    "not_signed_in_again": "it was not, though the password is remembered: reason",
    "password_refused": "AimHarder refuses a remembered password: it is forgotten, and its user told",
    "password_unreadable": "a remembered password can't be decrypted: as good as none",
    "giving_back_settled": "whether a place that was to be given back is gone; given_back null: still unknown",
    "rotation_answer_lost": "a session's token may have been rotated; alive: whether its cookies are good",
    "effect_not_stored_yet": "the answer to a request that can't be repeated is not stored yet: tried until it is",
    "effect_failed": "an error of ours in a request that can't be repeated, with its trace",
    "cookie_unreadable": "a cookie that AimHarder set was not taken: name, reason",
    "session_unreadable": "a stored session can't be decrypted or read: as good as none",
    # notices
    "notice_published": "QStash took a notice: kind",
    "notice_not_published": "QStash took no notice: tried again in a minute",
    "notice_failed": "the webhook did not take a notice in six tries, or an error of ours: tried again later",
    # the rest
    "request_interrupted": "a request that the stopping server could not answer any more: its sender asks again",
    "request_failed": "an error of ours in a request, with its trace",
    "address_refused": "a gym's name leads to an address that is not public: nothing was sent there",
    "database_unavailable": "a request could not be served without the database",
    "token_refused": "an access token was refused: check, reason, others (of the kind since the last line)",
    "key_set_unavailable": "Supabase's public keys could not be fetched",
    "rows_removed": "rows that ended long ago were removed: how many",
    "crashed": "the process ended by an error, with its trace",
}
