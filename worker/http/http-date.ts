// Pure. HTTP dates (RFC 9110 section 5.6.7) as milliseconds, in the one form that may be sent: IMF-fixdate. Computed here
// because a date parser of the language guesses, and depends on where it runs.

const FIXDATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT$/;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS_OF_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const DAY_MS = 86_400_000;

/** Milliseconds since the Unix epoch; undefined: no such date, or before 1970. */
export function parseHttpDateMs(text: string): number | undefined {
  const found = FIXDATE.exec(text.trim());
  if (found === null) return undefined;
  const [day, year, hour, minute, second] = [1, 3, 4, 5, 6].map((group) => Number(found[group])) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const month = MONTHS.indexOf(found[2] ?? "");
  if (month === -1 || year < 1970 || day < 1 || day > daysOf(year, month)) return undefined;
  // 60 is a leap second.
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  return daysBefore(year, month, day) * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1_000;
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

function daysOf(year: number, month: number): number {
  return month === 1 && isLeap(year) ? 29 : (DAYS_OF_MONTH[month] ?? 0);
}

/** Whole days from the epoch to that day. */
function daysBefore(year: number, month: number, day: number): number {
  const past = year - 1;
  const leapDays = Math.floor(past / 4) - Math.floor(past / 100) + Math.floor(past / 400) - LEAP_DAYS_BEFORE_EPOCH;
  let days = (year - 1970) * 365 + leapDays + day - 1;
  for (let at = 0; at < month; at++) days += daysOf(year, at);
  return days;
}

/** From year 1 to 1969. */
const LEAP_DAYS_BEFORE_EPOCH = 477;
