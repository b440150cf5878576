import { linePoints, rangeOf, sparkPoints } from '../lines';

describe('lines', () => {
  it('fill their height and width', () => {
    expect(
      sparkPoints(
        [
          [0, 1],
          [1, 3],
          [2, 2]
        ],
        84,
        16
      )
    ).toBe('1.5,14.5 42,1.5 82.5,8');
  });

  it('lie in the middle when nothing changes', () => {
    expect(
      sparkPoints(
        [
          [0, 5],
          [9, 5]
        ],
        84,
        16
      )
    ).toBe('1.5,8 82.5,8');
  });

  it('are not drawn without two points, or beyond the range of numbers', () => {
    expect(sparkPoints([], 84, 16)).toBeNull();
    expect(sparkPoints([[0, 1]], 84, 16)).toBeNull();
    const far: [number, number][] = [
      [0, -1.7e308],
      [1, 1.7e308]
    ];
    expect(sparkPoints(far, 84, 16)).toBeNull();
    expect(rangeOf([])).toBeNull();
    const wide: [number, number][] = [
      [0, 0],
      [1.7e308, 1.7e308]
    ];
    expect(sparkPoints(wide, 84, 16)).toBe('1.5,14.5 82.5,1.5');
  });

  it('share a range', () => {
    const range = rangeOf([
      [0, 0],
      [10, 4],
      [5, 8]
    ])!;
    expect(range).toEqual({ left: 0, right: 10, low: 0, high: 8 });
    expect(linePoints([[5, 4]], 100, 50, 0, range)).toBe('50,25');
  });
});
