import { ApiError, asApiError, errorFromAnswer, errorFromFailure, gatesOf } from '../errors';

describe('errorFromAnswer', () => {
  it('takes message, reason, hint and fields of the server', () => {
    const body = JSON.stringify({
      message: 'no run 01J',
      reason: 'not_found',
      hint: 'List them.',
      fields: { run: '01J' }
    });
    const error = errorFromAnswer(404, body, 'GET mlops/api/v1/runs/01J');
    expect(error).toMatchObject({
      message: 'no run 01J',
      reason: 'not_found',
      hint: 'List them.',
      status: 404,
      fields: { run: '01J' }
    });
    expect(error.details).toContain('GET mlops/api/v1/runs/01J');
  });

  it.each([
    ['a page', '<html>404 : Not Found</html>'],
    ['Jupyter Server’s own JSON', '{"message": "Not Found", "reason": null}'],
    ['nothing', '']
  ])('reads a 404 with %s as a missing server extension', (_, body) => {
    expect(errorFromAnswer(404, body, 'GET x').reason).toBe('server_missing');
  });

  it.each([401, 403])('reads %d without a reason as a lost session', status => {
    const error = errorFromAnswer(status, '{"message": "Forbidden"}', 'GET x');
    expect(error).toMatchObject({ reason: 'forbidden', message: 'Forbidden' });
    expect(error.hint).not.toBeNull();
  });

  it('keeps the words of any other failure', () => {
    const error = errorFromAnswer(500, 'Traceback ...', 'GET x');
    expect(error.reason).toBe('unexpected');
    expect(error.message).toContain('500');
    expect(error.details).toContain('Traceback');
  });

  it('survives a body of the wrong shape', () => {
    for (const body of ['[]', 'null', '3', '{"message": 3, "fields": "no", "reason": "usage"}']) {
      expect(errorFromAnswer(400, body, 'GET x').fields).toEqual({});
    }
  });

  it('cuts an endless body', () => {
    expect(errorFromAnswer(502, 'x'.repeat(100_000), 'GET x').details.length).toBeLessThan(5000);
  });
});

describe('errorFromFailure', () => {
  it('tells a timeout from a dead server', () => {
    const timeout = new DOMException('took too long', 'TimeoutError');
    expect(errorFromFailure(timeout, 'GET x').reason).toBe('timeout');
    const network = errorFromFailure(new TypeError('Failed to fetch'), 'GET x');
    expect(network.reason).toBe('unreachable');
    expect(network.details).toContain('Failed to fetch');
  });
});

describe('asApiError', () => {
  it('leaves an ApiError alone and wraps the rest', () => {
    const error = new ApiError({ message: 'm', reason: 'usage' });
    expect(asApiError(error)).toBe(error);
    expect(asApiError(new RangeError('oh'))).toMatchObject({ message: 'oh', reason: 'unexpected' });
    expect(asApiError('text').message).toBe('text');
  });
});

describe('gatesOf', () => {
  it('reads verdicts, and nothing else', () => {
    const error = new ApiError({
      message: 'refused',
      reason: 'gate_refused',
      fields: {
        gates: [
          { name: 'floor', passed: true, message: '0.94 >= 0.9', value: 0.94 },
          { name: 'champion', passed: false, message: 'worse' },
          'nonsense'
        ]
      }
    });
    expect(gatesOf(error)).toEqual([
      { name: 'floor', passed: true, message: '0.94 >= 0.9' },
      { name: 'champion', passed: false, message: 'worse' }
    ]);
    expect(gatesOf(new ApiError({ message: '', reason: 'x' }))).toEqual([]);
  });
});
