"""The templates of notices in three languages: a title that fits a lock screen, and a complete text."""

from collections.abc import Mapping
from dataclasses import dataclass

from prebooking.domain.notices import Language, NoticeKind
from prebooking.domain.outcome import SENTENCES, Outcome


@dataclass(frozen=True, slots=True)
class NoticeTexts:
    """The templates of one language."""

    titles: Mapping[NoticeKind, str]
    texts: Mapping[NoticeKind, str]
    wrong_sign_in: str  #: of a dead session whose password was refused
    lateness: str  #: of the first request
    response: str
    next: str  #: the next prebooking of the series
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
WORDS: Mapping[Language, NoticeTexts] = {
    "en": NoticeTexts(
        titles={
            NoticeKind.BOOKED: "Booked: {what}",
            NoticeKind.WAITING_LIST: "Waiting list: {what}",
            NoticeKind.FAILED: "Not booked: {what}",
            NoticeKind.SESSION_DEAD: "Sign in to AimHarder: {what}",
            NoticeKind.NOT_MADE: "No room: {what}",
        },
        texts={
            NoticeKind.BOOKED: "You are booked into {where}.",
            NoticeKind.WAITING_LIST: "The class was full: you are on the waiting list of {where}.",
            NoticeKind.FAILED: "You are not booked into {where}. {reason}",
            NoticeKind.SESSION_DEAD: "Your AimHarder session has ended. Sign in again before {opening}, when {where} "
            "opens; otherwise it can't be booked.",
            NoticeKind.NOT_MADE: "Your series {where} can't prebook {days}: you have too many prebookings at once. "
            "It goes on as soon as one of them has ended.",
        },
        wrong_sign_in="AimHarder refuses the password that was remembered for you, so it was forgotten. Sign in "
        "again with the right one before {opening}, when {where} opens; otherwise it can't be booked.",
        lateness="The request left {ms} ms after the opening",
        response="the gym answered in {ms} ms",
        next="Next: {what}, which opens {opening}.",
        a_class="class",
        at_box=" at {box}",
        days="Mon Tue Wed Thu Fri Sat Sun",
        months="Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
        reasons=SENTENCES,
    ),
    "es": NoticeTexts(
        titles={
            NoticeKind.BOOKED: "Reservada: {what}",
            NoticeKind.WAITING_LIST: "Lista de espera: {what}",
            NoticeKind.FAILED: "Sin reserva: {what}",
            NoticeKind.SESSION_DEAD: "Inicia sesión en AimHarder: {what}",
            NoticeKind.NOT_MADE: "Sin sitio: {what}",
        },
        texts={
            NoticeKind.BOOKED: "Tienes plaza en {where}.",
            NoticeKind.WAITING_LIST: "La clase estaba llena: estás en la lista de espera de {where}.",
            NoticeKind.FAILED: "No tienes plaza en {where}. {reason}",
            NoticeKind.SESSION_DEAD: "Tu sesión de AimHarder ha caducado. Inicia sesión de nuevo antes de {opening}, "
            "cuando se abre {where}; si no, no se podrá reservar.",
            NoticeKind.NOT_MADE: "Tu serie {where} no puede prerreservar {days}: tienes demasiadas prerreservas a la "
            "vez. Seguirá en cuanto acabe una de ellas.",
        },
        wrong_sign_in="AimHarder rechaza la contraseña que guardábamos, así que la hemos olvidado. Inicia sesión "
        "de nuevo con la correcta antes de {opening}, cuando se abre {where}; si no, no se podrá reservar.",
        lateness="La petición salió {ms} ms después de la apertura",
        response="el gimnasio respondió en {ms} ms",
        next="La siguiente: {what}, que se abre {opening}.",
        a_class="clase",
        at_box=" en {box}",
        days="lun mar mié jue vie sáb dom",
        months="ene feb mar abr may jun jul ago sep oct nov dic",
        reasons=_ES,
    ),
    "ca": NoticeTexts(
        titles={
            NoticeKind.BOOKED: "Reservada: {what}",
            NoticeKind.WAITING_LIST: "Llista d'espera: {what}",
            NoticeKind.FAILED: "Sense reserva: {what}",
            NoticeKind.SESSION_DEAD: "Inicia sessió a AimHarder: {what}",
            NoticeKind.NOT_MADE: "Sense lloc: {what}",
        },
        texts={
            NoticeKind.BOOKED: "Tens plaça a {where}.",
            NoticeKind.WAITING_LIST: "La classe era plena: ets a la llista d'espera de {where}.",
            NoticeKind.FAILED: "No tens plaça a {where}. {reason}",
            NoticeKind.SESSION_DEAD: "La teva sessió d'AimHarder ha caducat. Torna a iniciar sessió abans de "
            "{opening}, quan s'obre {where}; si no, no es podrà reservar.",
            NoticeKind.NOT_MADE: "La teva sèrie {where} no pot prereservar {days}: tens massa prereserves alhora. "
            "Seguirà tan bon punt n'acabi una.",
        },
        wrong_sign_in="AimHarder rebutja la contrasenya que guardàvem, de manera que l'hem oblidada. Torna a "
        "iniciar sessió amb la correcta abans de {opening}, quan s'obre {where}; si no, no es podrà reservar.",
        lateness="La petició va sortir {ms} ms després de l'obertura",
        response="el gimnàs va respondre en {ms} ms",
        next="La següent: {what}, que s'obre {opening}.",
        a_class="classe",
        at_box=" a {box}",
        days="dl dt dc dj dv ds dg",
        months="gen febr març abr maig juny jul ag set oct nov des",
        reasons=_CA,
    ),
}
