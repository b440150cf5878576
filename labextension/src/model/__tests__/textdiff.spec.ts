import { diffTexts } from '../textdiff';

const shown = (before: string, after: string) => diffTexts(before, after).map(line => line.text);

it('keeps common lines and marks the others', () => {
  expect(shown('a\nb\nc\n', 'a\nB\nc\nd')).toEqual([' a', '-b', '+B', ' c', '+d']);
});

it('shows what is only on one side', () => {
  expect(shown('', 'a\n')).toEqual(['+a']);
  expect(shown('a\nb', '')).toEqual(['-a', '-b']);
  expect(shown('', '')).toEqual([]);
});

it('does not spend minutes on long texts', () => {
  const long = Array.from({ length: 3000 }, (_, index) => String(index)).join('\n');
  expect(diffTexts(long, `${long}\nx`)).toHaveLength(6001);
});
