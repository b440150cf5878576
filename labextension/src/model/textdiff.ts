import type { DiffLine } from './compare';

/** Above this many pairs of lines, everything counts as changed. */
const MOST_PAIRS = 4_000_000;

/** How a text became another, line by line; lines that both have stand once. */
export function diffTexts(before: string, after: string): DiffLine[] {
  const a = split(before);
  const b = split(after);
  const line = (kind: DiffLine['kind'], mark: string, text: string): DiffLine => ({
    kind,
    text: mark + text
  });
  if (a.length * b.length > MOST_PAIRS) {
    return [...a.map(text => line('remove', '-', text)), ...b.map(text => line('add', '+', text))];
  }
  // `common[i][j]`: how many lines the ends from `i` and from `j` have in common.
  const width = b.length + 1;
  const common = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i * width + j] =
        a[i] === b[j]
          ? common[(i + 1) * width + j + 1]! + 1
          : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
    }
  }
  const found: DiffLine[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      found.push(line('same', ' ', a[i]!));
      i += 1;
      j += 1;
    } else if (
      j === b.length ||
      (i < a.length && common[(i + 1) * width + j]! >= common[i * width + j + 1]!)
    ) {
      found.push(line('remove', '-', a[i]!));
      i += 1;
    } else {
      found.push(line('add', '+', b[j]!));
      j += 1;
    }
  }
  return found;
}

function split(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}
