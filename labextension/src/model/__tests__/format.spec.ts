import {
  formatAge,
  formatChange,
  formatMeasure,
  formatDuration,
  formatNumber,
  formatSize,
  formatTime,
  formatValue,
  shorten
} from '../format';

describe('formatNumber', () => {
  it.each([
    [0.94213, '0.9421'],
    [0, '0'],
    [-0.5, '-0.5'],
    [1, '1'],
    [12.3456, '12.35'],
    [12345.678, '12,346'],
    [1234567, '1,234,567'],
    [0.00012345, '1.23e-4'],
    [1e-7, '1e-7'],
    [2.5e12, '2.5e+12'],
    [NaN, 'NaN'],
    [Infinity, '∞'],
    [-Infinity, '-∞'],
    [null, 'NaN'],
    [undefined, 'NaN']
  ])('%p', (value, text) => {
    expect(formatNumber(value, 'en')).toBe(text);
  });
});

describe('formatAge', () => {
  const now = 1_760_000_000;

  it.each([
    [0, 'now'],
    [-40, 'now'],
    [40, 'now'],
    [-60, '1 minute ago'],
    [-7200, '2 hours ago'],
    [-86400 * 3, '3 days ago'],
    [3700, 'in 1 hour'],
    [-86400 * 800, '2 years ago']
  ])('%d seconds', (delta, text) => {
    expect(formatAge(now + delta, now, 'long', 'en')).toBe(text);
  });

  it('has a form for lists', () => {
    expect(formatAge(now - 7200, now, 'narrow', 'en')).toBe('2h ago');
  });
});

describe('formatTime', () => {
  // 2025-11-22 05:00 UTC
  const time = 1_763_787_600;

  it('reads in the zone of the schedule', () => {
    expect(formatTime(time, 'Europe/Berlin', 'en-GB')).toContain('06:00');
    expect(formatTime(time, 'UTC', 'en-GB')).toContain('05:00');
  });

  it('survives a zone that the browser does not know', () => {
    expect(formatTime(time, 'Mars/Olympus', 'en-GB')).toContain('22 Nov');
  });
});

describe('formatDuration', () => {
  it.each([
    [0, '0 ms'],
    [-1, '0 ms'],
    [0.0123, '12 ms'],
    [3.21, '3.2 s'],
    [59.97, '1 min'],
    [250, '4 min 10 s'],
    [7500, '2 h 5 min'],
    [7200, '2 h']
  ])('%d', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});

describe('formatValue', () => {
  it.each([
    ['text', 'text'],
    [200, '200'],
    [12345, '12345'],
    [true, 'true'],
    [null, 'null'],
    [['a', 1], '["a",1]'],
    ['two\nlines', 'two lines'],
    [undefined, 'undefined']
  ])('%p', (value, text) => {
    expect(formatValue(value)).toBe(text);
  });

  it('cuts what is long', () => {
    expect(formatValue('x'.repeat(500))).toHaveLength(60);
  });
});

describe('shorten', () => {
  it('keeps to the limit and does not cut a character in two', () => {
    expect(shorten('abc', 3)).toBe('abc');
    expect(shorten('abcd', 3)).toBe('ab…');
    expect([...shorten('😀😀😀😀', 3)]).toEqual(['😀', '😀', '…']);
  });
});

describe('formatChange', () => {
  it.each([
    [0, '±0'],
    [0.02134, '+0.0213'],
    [-0.04, '−0.04'],
    [-1234.5, '−1,230'],
    [1.5e-7, '+1.5e-7']
  ])('%p is %p', (value, text) => {
    expect(formatChange(value, 'en')).toBe(text);
  });
});

describe('formatSize', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1 kB'],
    [34_200, '34 kB'],
    [999_600, '1 MB'],
    [1_250_000, '1.3 MB'],
    [2.5e13, '25 TB']
  ])('%p is %p', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });
});

it('says what a redacted value was called', () => {
  expect(formatValue('u:***[API_KEY:0123abcd]@h')).toBe('u:[API_KEY redacted]@h');
  expect(formatValue('***[x:nothexad]')).toBe('***[x:nothexad]');
});

it.each([
  ['wall_seconds', 12.5, ['wall', '12.5 s']],
  ['peak_memory_bytes', 2.5e8, ['peak memory', '250 MB']],
  ['memory_delta_bytes', -1500, ['memory delta', '−1.5 kB']],
  ['gpu_count', 2, ['gpu count', '2']]
])('writes %p by its unit', (name, value, words) => {
  expect(formatMeasure(name, value)).toEqual(words);
});
