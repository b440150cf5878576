/** How numbers and times read in the panel. All take plain numbers; times are epoch seconds. */

/** A metric's value in about four significant digits: `0.9421`, `12,345`, `1.2e-7`. */
export function formatNumber(value: number | null | undefined, locale?: string): string {
  if (value === null || value === undefined || Number.isNaN(value)) {
    return 'NaN';
  }
  if (!Number.isFinite(value)) {
    return value > 0 ? '∞' : '-∞';
  }
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e9)) {
    return value.toExponential(2).replace(/\.?0+e/, 'e');
  }
  if (Number.isInteger(value) || size >= 1e4) {
    return Math.round(value).toLocaleString(locale);
  }
  return Number(value.toPrecision(4)).toLocaleString(locale, { maximumFractionDigits: 6 });
}

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['year', 365 * 86400],
  ['month', 30 * 86400],
  ['week', 7 * 86400],
  ['day', 86400],
  ['hour', 3600],
  ['minute', 60]
];

/** `3 hours ago`, `in 5 minutes`; narrow `3h ago`. Within a minute `now`. */
export function formatAge(
  time: number,
  now: number,
  style: 'long' | 'narrow' = 'long',
  locale?: string
): string {
  const delta = time - now;
  for (const [unit, seconds] of UNITS) {
    if (Math.abs(delta) >= seconds) {
      const format = new Intl.RelativeTimeFormat(locale, { style });
      return format.format(Math.trunc(delta / seconds), unit);
    }
  }
  return new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }).format(0, 'second');
}

/** Date and time in `timezone` (the browser's by default): `Sat 22 Nov, 06:00`. */
export function formatTime(time: number, timezone?: string, locale?: string): string {
  const date = new Date(time * 1000);
  const options: Intl.DateTimeFormatOptions = {
    weekday: 'short',
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit'
  };
  try {
    return new Intl.DateTimeFormat(locale, { ...options, timeZone: timezone }).format(date);
  } catch {
    // A zone this browser does not know.
    return new Intl.DateTimeFormat(locale, options).format(date);
  }
}

/** `850 ms`, `12.3 s`, `4 min 10 s`, `2 h 5 min`. */
export function formatDuration(seconds: number): string {
  if (seconds < 1) {
    return `${Math.max(0, Math.round(seconds * 1000))} ms`;
  }
  if (seconds < 59.95) {
    return `${Number(seconds.toFixed(1))} s`;
  }
  const whole = Math.round(seconds);
  if (whole < 3600) {
    const rest = whole % 60;
    return `${Math.floor(whole / 60)} min` + (rest > 0 ? ` ${rest} s` : '');
  }
  const minutes = Math.floor((whole % 3600) / 60);
  return `${Math.floor(whole / 3600)} h` + (minutes > 0 ? ` ${minutes} min` : '');
}

/** A difference with its sign: `+0.021`, `−3`, `±0`. */
export function formatChange(value: number, locale?: string): string {
  if (value === 0) {
    return '±0';
  }
  const short = Number(Math.abs(value).toPrecision(3));
  return (value < 0 ? '−' : '+') + formatNumber(short, locale);
}

/** `812 B`, `34 kB`, `1.2 MB`: powers of a thousand. */
export function formatSize(bytes: number): string {
  if (bytes < 1000) {
    return `${Math.round(bytes)} B`;
  }
  let size = bytes;
  for (const unit of ['kB', 'MB', 'GB']) {
    size /= 1000;
    if (size < 999.5) {
      return `${size < 10 ? Number(size.toPrecision(2)) : Math.round(size)} ${unit}`;
    }
  }
  return `${Number((size / 1000).toPrecision(3))} TB`;
}

/** A measured resource by the unit in its name: `['peak memory', '1.2 GB']`. */
export function formatMeasure(name: string, value: number): [string, string] {
  const words = (ending: string) => name.slice(0, name.length - ending.length).replace(/_/g, ' ');
  if (name.endsWith('_seconds')) {
    return [words('_seconds'), formatDuration(value)];
  }
  if (name.endsWith('_bytes')) {
    return [words('_bytes'), (value < 0 ? '−' : '') + formatSize(Math.abs(value))];
  }
  return [words(''), formatNumber(value)];
}

/** A parameter's value as text on one line, at most `most` characters. */
export function formatValue(value: unknown, most = 60): string {
  if (typeof value === 'number') {
    return Number.isInteger(value) ? String(value) : formatNumber(value);
  }
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  return shorten(text.replace(MARK, '[$1 redacted]').replace(/\s+/g, ' '), most);
}

/** What stands in a secret's place in everything that is recorded. */
const MARK = /\*\*\*\[([\w.-]{1,60}):[0-9a-f]{8}\]/g;

/** Cut `text` to `most` characters with an ellipsis; notifications take at most 140. */
export function shorten(text: string, most = 140): string {
  const all = [...text];
  return all.length <= most ? text : all.slice(0, most - 1).join('') + '…';
}
