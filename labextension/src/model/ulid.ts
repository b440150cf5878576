/** Crockford's base 32, as ULIDs are written in. */
const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** When a ULID was made, in milliseconds since the epoch; `null` for anything else. */
export function ulidTime(id: string): number | null {
  if (!/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/i.test(id)) {
    return null;
  }
  return [...id.slice(0, 10).toUpperCase()].reduce(
    (time, digit) => time * 32 + DIGITS.indexOf(digit),
    0
  );
}
