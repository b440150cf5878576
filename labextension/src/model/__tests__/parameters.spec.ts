import { changedParameters, draftOf, expectedText, inputOf, valueText } from '../parameters';
import type { IParameter } from '../types';

const parameter = (
  name: string,
  value: unknown,
  schema: Record<string, unknown> = {}
): IParameter => ({ name, default: value, schema, description: '' });

const all = [
  parameter('n', 4, { type: 'integer', minimum: 0 }),
  parameter('unit', 'm', { enum: ['km', 'm'] }),
  parameter('fast', true, { type: 'boolean' }),
  parameter('note', null, { type: ['string', 'null'] }),
  parameter('sizes', [1, 2], { type: 'array' })
];

describe('the form of a pipeline’s parameters', () => {
  test('asks by type', () => {
    expect(all.map(item => inputOf(item).kind)).toEqual(['text', 'choice', 'box', 'text', 'text']);
    // A box has two states, and nothing is a third.
    expect(inputOf(parameter('maybe', null, { type: 'boolean' })).kind).toBe('text');
  });

  test('begins with the defaults and sends none of them', () => {
    const draft = draftOf(all);
    expect(draft).toEqual({ n: '4', unit: 1, fast: true, note: '', sizes: '[1,2]' });
    expect(changedParameters(all, draft)).toEqual({});
  });

  test('sends what was changed: texts as typed, choices as they are', () => {
    const draft = { ...draftOf(all), n: '10', unit: 0, fast: false, note: 'a b' };
    expect(changedParameters(all, draft)).toEqual({
      n: '10',
      unit: 'km',
      fast: false,
      note: 'a b'
    });
  });

  test('keeps a default that is none of the choices', () => {
    const odd = parameter('kind', 'old', { enum: ['a', 2] });
    expect(inputOf(odd)).toEqual({ kind: 'choice', choices: ['old', 'a', 2] });
    expect(draftOf([odd])).toEqual({ kind: 0 });
    expect(changedParameters([odd], { kind: 2 })).toEqual({ kind: 2 });
  });

  test.each([
    [{ type: 'integer', minimum: 0 }, 'integer, ≥ 0'],
    [{ type: 'number', minimum: 0, maximum: 1 }, 'number, 0 to 1'],
    [{ type: 'string', format: 'date' }, 'date'],
    [{ type: ['integer', 'null'], maximum: 9 }, 'integer, ≤ 9'],
    [{}, '']
  ])('says what %p expects', (schema, text) => {
    expect(expectedText(schema)).toBe(text);
  });

  test.each([
    ['a', 'a'],
    [null, ''],
    [1.5, '1.5'],
    [{ a: 1 }, '{"a":1}']
  ])('shows %p', (value, text) => {
    expect(valueText(value)).toBe(text);
  });
});
