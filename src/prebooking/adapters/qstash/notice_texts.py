"""Notices in words for people, in three languages: a title that fits a lock screen, and a text that says it all.

What a gym or a user's page wrote mentions nobody there and is no link.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from prebooking.domain.notices import Language, Notice, NoticeKind
from prebooking.domain.outcome import SENTENCES, Outcome, detail_in
from prebooking.domain.plain_text import for_chat
from prebooking.domain.prebooking import Prebooking


@dataclass(frozen=True, slots=True)
class _Words:
    titles: Mapping[NoticeKind, str]
    texts: Mapping[NoticeKind, str]
    wrong_sign_in: str  #: of a dead session whose password was refused
    lateness: str  #: of the first request
    response: str
    a_class: str
    at_box: str
    days: str
    months: str
    reasons: Mapping[Outcome, str]


_ES = {
    Outcome.CLASS_FULL: "La clase estaba llena.",
    Outcome.NO_CREDIT: "A tu tarifa no le quedan sesiones para esta clase.",
    Outcome.UNPAID: "El gimnasio dice que tienes un pago pendiente.",
    Outcome.TOO_LATE: "El gimnasio no admite reservas tan cerca de la clase.",
    Outcome.DAILY_LIMIT: "Has llegado al límite de reservas del gimnasio para ese día.",
    Outcome.LIMIT_REACHED: "Has llegado al límite de reservas de tu tarifa.",
    Outcome.TIME_CLASH: "Tienes otra reserva a esa hora.",
    Outcome.CLASS_NOT_FOUND: "El gimnasio no ofrece esta clase.",
    Outcome.SESSION_EXPIRED: "Tu sesión de AimHarder ha caducado: inicia sesión de nuevo y reinténtalo.",
    Outcome.REFUSED: "El gimnasio ha rechazado la reserva.",
    Outcome.BOX_UNKNOWN: "AimHarder no tiene ese gimnasio: créala de nuevo con el subdominio correcto.",
    Outcome.UNUSABLE: "Esta prerreserva no dice de qué clase es: créala de nuevo.",
    Outcome.TOO_EARLY: "El gimnasio aún no había abierto la clase.",
    Outcome.GYM_UNREACHABLE: "No se ha podido contactar con el gimnasio.",
    Outcome.BLOCKED: "El gimnasio ha bloqueado la petición.",
    Outcome.ATTEMPTS_EXHAUSTED: "Todos los intentos se interrumpieron antes de poder decir por qué.",
    Outcome.EXPIRED: "La clase terminó antes de que se pudiera reservar.",
    Outcome.OUTCOME_UNKNOWN: "No se ha podido saber si la reserva se hizo: mira tus reservas en el gimnasio.",
}
_CA = {
    Outcome.CLASS_FULL: "La classe era plena.",
    Outcome.NO_CREDIT: "A la teva tarifa no li queden sessions per a aquesta classe.",
    Outcome.UNPAID: "El gimnàs diu que tens un pagament pendent.",
    Outcome.TOO_LATE: "El gimnàs no admet reserves tan a prop de la classe.",
    Outcome.DAILY_LIMIT: "Has arribat al límit de reserves del gimnàs per a aquell dia.",
    Outcome.LIMIT_REACHED: "Has arribat al límit de reserves de la teva tarifa.",
    Outcome.TIME_CLASH: "Tens una altra reserva a aquella hora.",
    Outcome.CLASS_NOT_FOUND: "El gimnàs no ofereix aquesta classe.",
    Outcome.SESSION_EXPIRED: "La teva sessió d'AimHarder ha caducat: torna a iniciar sessió i reintenta-ho.",
    Outcome.REFUSED: "El gimnàs ha rebutjat la reserva.",
    Outcome.BOX_UNKNOWN: "AimHarder no té aquest gimnàs: torna-la a crear amb el subdomini correcte.",
    Outcome.UNUSABLE: "Aquesta prereserva no diu de quina classe és: torna-la a crear.",
    Outcome.TOO_EARLY: "El gimnàs encara no havia obert la classe.",
    Outcome.GYM_UNREACHABLE: "No s'ha pogut contactar amb el gimnàs.",
    Outcome.BLOCKED: "El gimnàs ha blocat la petició.",
    Outcome.ATTEMPTS_EXHAUSTED: "Tots els intents es van interrompre abans de poder dir per què.",
    Outcome.EXPIRED: "La classe es va acabar abans que es pogués reservar.",
    Outcome.OUTCOME_UNKNOWN: "No s'ha pogut saber si la reserva es va fer: mira les teves reserves al gimnàs.",
}
_WORDS: Mapping[Language, _Words] = {
    "en": _Words(
        titles={
            NoticeKind.BOOKED: "Booked: {what}",
            NoticeKind.WAITING_LIST: "Waiting list: {what}",
            NoticeKind.FAILED: "Not booked: {what}",
            NoticeKind.SESSION_DEAD: "Sign in to AimHarder: {what}",
        },
        texts={
            NoticeKind.BOOKED: "You are booked into {where}.",
            NoticeKind.WAITING_LIST: "The class was full: you are on the waiting list of {where}.",
            NoticeKind.FAILED: "You are not booked into {where}. {reason}",
            NoticeKind.SESSION_DEAD: "Your AimHarder session has ended. Sign in again before {opening}, when {where} "
            "opens; otherwise it can't be booked.",
        },
        wrong_sign_in="AimHarder refuses the password that was remembered for you, so it was forgotten. Sign in "
        "again with the right one before {opening}, when {where} opens; otherwise it can't be booked.",
        lateness="The request left {ms} ms after the opening",
        response="the gym answered in {ms} ms",
        a_class="class",
        at_box=" at {box}",
        days="Mon Tue Wed Thu Fri Sat Sun",
        months="Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
        reasons=SENTENCES,
    ),
    "es": _Words(
        titles={
            NoticeKind.BOOKED: "Reservada: {what}",
            NoticeKind.WAITING_LIST: "Lista de espera: {what}",
            NoticeKind.FAILED: "Sin reserva: {what}",
            NoticeKind.SESSION_DEAD: "Inicia sesión en AimHarder: {what}",
        },
        texts={
            NoticeKind.BOOKED: "Tienes plaza en {where}.",
            NoticeKind.WAITING_LIST: "La clase estaba llena: estás en la lista de espera de {where}.",
            NoticeKind.FAILED: "No tienes plaza en {where}. {reason}",
            NoticeKind.SESSION_DEAD: "Tu sesión de AimHarder ha caducado. Inicia sesión de nuevo antes de {opening}, "
            "cuando se abre {where}; si no, no se podrá reservar.",
        },
        wrong_sign_in="AimHarder rechaza la contraseña que guardábamos, así que la hemos olvidado. Inicia sesión "
        "de nuevo con la correcta antes de {opening}, cuando se abre {where}; si no, no se podrá reservar.",
        lateness="La petición salió {ms} ms después de la apertura",
        response="el gimnasio respondió en {ms} ms",
        a_class="clase",
        at_box=" en {box}",
        days="lun mar mié jue vie sáb dom",
        months="ene feb mar abr may jun jul ago sep oct nov dic",
        reasons=_ES,
    ),
    "ca": _Words(
        titles={
            NoticeKind.BOOKED: "Reservada: {what}",
            NoticeKind.WAITING_LIST: "Llista d'espera: {what}",
            NoticeKind.FAILED: "Sense reserva: {what}",
            NoticeKind.SESSION_DEAD: "Inicia sessió a AimHarder: {what}",
        },
        texts={
            NoticeKind.BOOKED: "Tens plaça a {where}.",
            NoticeKind.WAITING_LIST: "La classe era plena: ets a la llista d'espera de {where}.",
            NoticeKind.FAILED: "No tens plaça a {where}. {reason}",
            NoticeKind.SESSION_DEAD: "La teva sessió d'AimHarder ha caducat. Torna a iniciar sessió abans de "
            "{opening}, quan s'obre {where}; si no, no es podrà reservar.",
        },
        wrong_sign_in="AimHarder rebutja la contrasenya que guardàvem, de manera que l'hem oblidada. Torna a "
        "iniciar sessió amb la correcta abans de {opening}, quan s'obre {where}; si no, no es podrà reservar.",
        lateness="La petició va sortir {ms} ms després de l'obertura",
        response="el gimnàs va respondre en {ms} ms",
        a_class="classe",
        at_box=" a {box}",
        days="dl dt dc dj dv ds dg",
        months="gen febr març abr maig juny jul ag set oct nov des",
        reasons=_CA,
    ),
}


def title_and_text(notice: Notice, language: Language, zone: ZoneInfo) -> tuple[str, str]:
    """`zone`: the time zone of the hours."""
    words, row = _WORDS[language], notice.prebooking
    name = _plain(row.booking_data.get("activityName")) or _plain(row.class_ and row.class_.name) or words.a_class
    box = _plain(row.booking_data.get("boxName")) or _plain(row.box_subdomain)
    what = f"{name}, {_when(row, words, zone)}"
    filled = {
        "what": what,
        "where": what + (words.at_box.format(box=box) if box else ""),
        "opening": _format_moment(row.available_at.astimezone(zone), words),
        "reason": for_chat(_reason(row, words)),
    }
    # Not by `format` over what users wrote: only our own templates are formatted, once.
    refused = notice.kind is NoticeKind.SESSION_DEAD and (row.warning or {}).get("reason") == "password_refused"
    template = words.wrong_sign_in if refused else words.texts[notice.kind]
    title, text = words.titles[notice.kind].format(**filled), template.format(**filled)
    return title, " ".join(part for part in (text.rstrip(), _milliseconds(row, words)) if part)


def _plain(value: Any) -> str:
    """One line of what the user's page wrote."""
    return for_chat(" ".join(value.split())[:80]) if isinstance(value, str) else ""


def _when(row: Prebooking, words: _Words, zone: ZoneInfo) -> str:
    """The class's start where it is known, else its day."""
    start, day = row.booking_data.get("classTimeUTC"), _plain(row.booking_data.get("day"))
    try:
        if start:
            return _format_moment(datetime.fromisoformat(str(start)).astimezone(zone), words)
        told = row.class_.starts if row.class_ else ""  # on the gym's wall clock
        moment = datetime.strptime(day + told, "%Y%m%d%H:%M" if told else "%Y%m%d").replace(tzinfo=zone)
        return _format_moment(moment, words, hour=bool(told))
    except (ValueError, OverflowError):
        return day


def _format_moment(moment: datetime, words: _Words, *, hour: bool = True) -> str:
    day, month = words.days.split()[moment.weekday()], words.months.split()[moment.month - 1]
    return f"{day} {moment.day} {month}" + (f" {moment:%H:%M}" if hour else "")


def _reason(row: Prebooking, words: _Words) -> str:
    """In the reader's language, with the gym's own words where it had any."""
    try:
        outcome = Outcome(str((row.result or {}).get("outcome")))
    except ValueError:
        return row.error_message or ""
    if words.reasons is SENTENCES:
        return row.error_message or SENTENCES[outcome]
    said = row.error_message or ""
    gyms_own = detail_in(said, outcome)
    return words.reasons.get(outcome, said) + (f" ({gyms_own})" if gyms_own else "")


def _milliseconds(row: Prebooking, words: _Words) -> str:
    timings = (row.result or {}).get("timings") or {}
    late, response = timings.get("fire_lateness_ms"), timings.get("response_ms")
    if late is None:
        return ""
    line = words.lateness.format(ms=_ms(late))
    if response is not None:
        line += f"; {words.response.format(ms=_ms(response))}"
    return f"{line}."


def _ms(value: float) -> str:
    """Tenths below ten: a lateness of 0 would look like none."""
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"  # noqa: PLR2004
