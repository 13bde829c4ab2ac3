// Instants for people, by the service's clock: the countdown must not end when a phone's clock thinks so.

let ahead = 0; // of ours, in ms

/** The service's own time, as its event stream tells it. */
export function heardTime(iso) {
  const told = Date.parse(iso);
  if (!Number.isNaN(told)) ahead = told - Date.now();
}

export const now = () => Date.now() + ahead;

const format = (options) => new Intl.DateTimeFormat(undefined, options);
const CLOCK = format({ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = format({ weekday: "short", day: "numeric", month: "short" });
const ZONELESS = { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" };

const EXACT = format({ hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" });

export const clock = (instant) => CLOCK.format(new Date(instant));

/** HH:MM in that zone, or here if there is no such zone. */
export function hour(instant, timeZone) {
  const options = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  try {
    return format({ ...options, timeZone }).format(new Date(instant));
  } catch {
    return format(options).format(new Date(instant));
  }
}

export const date = (instant) => DAY.format(new Date(instant));

export const exactly = (instant) => `${date(instant)}, ${EXACT.format(new Date(instant))}`;

export function when(instant) {
  const today = date(now()) === date(instant);
  return `${today ? "today" : date(instant)}, ${clock(instant)}`;
}

/** A class's own day, YYYYMMDD, in the gym's calendar, whatever the zone of whoever looks. */
export function dayName(day, options = ZONELESS) {
  const iso = `${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6, 8)}T00:00:00Z`;
  return Number.isNaN(Date.parse(iso)) ? day : new Intl.DateTimeFormat(undefined, options).format(new Date(iso));
}

/** YYYYMMDD of the day that is so many days ahead in that zone. */
export function dayAhead(days, zone) {
  const parts = new Intl.DateTimeFormat("en-CA", { timeZone: zone }).format(new Date(now()));
  const noon = new Date(`${parts}T12:00:00Z`);
  noon.setUTCDate(noon.getUTCDate() + days);
  return noon.toISOString().slice(0, 10).replaceAll("-", "");
}

/** "2 d 3 h", "04:12", "9.4": what is left, coarser the longer it is. */
export function left(ms) {
  const seconds = Math.max(0, ms / 1000);
  if (seconds < 10) return seconds.toFixed(1);
  const whole = Math.ceil(seconds);
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 3600) return `${two(Math.floor(whole / 60))}:${two(whole % 60)}`;
  const hours = Math.floor(whole / 3600);
  if (hours < 48) return `${two(hours)}:${two(Math.floor((whole % 3600) / 60))}:${two(whole % 60)}`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Milliseconds with as many digits as say something. */
export function ms(value) {
  const size = Math.abs(value);
  if (size >= 1000) return `${(value / 1000).toFixed(2)} s`;
  return `${value.toFixed(size < 10 ? 2 : size < 100 ? 1 : 0)} ms`;
}

/** For <input type=datetime-local>, which knows no zone but the viewer's. */
export function localInput(instant) {
  const at = new Date(instant);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
