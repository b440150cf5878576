import type { IErrorBody, IGate } from './types';

/** Reasons that are made here rather than said by the server extension. */
export type LocalReason = 'server_missing' | 'unreachable' | 'timeout' | 'forbidden' | 'unexpected';

/** An answer of the server that is not a success, or no answer at all. */
export class ApiError extends Error {
  constructor(options: {
    message: string;
    reason: string;
    status?: number;
    hint?: string | null;
    fields?: Record<string, unknown>;
    details?: string;
  }) {
    super(options.message);
    this.name = 'ApiError';
    this.reason = options.reason;
    this.status = options.status ?? 0;
    this.hint = options.hint ?? null;
    this.fields = options.fields ?? {};
    this.details = options.details ?? '';
  }

  /** The server's `reason`, or one of `LocalReason`. */
  readonly reason: string;
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** What to do about it, in one sentence. */
  readonly hint: string | null;
  /** The same facts as data. */
  readonly fields: Record<string, unknown>;
  /** For the details button: request, status and body. */
  readonly details: string;
}

/** Make the error of an answer with a failing status. `request` is for the details, as `GET url`. */
export function errorFromAnswer(status: number, body: string, request: string): ApiError {
  const details = `${request}\n${status}\n${body.slice(0, 4000)}`.trim();
  const data = parseBody(body);
  if (data !== null && typeof data.reason === 'string' && data.reason !== '') {
    return new ApiError({
      message: data.message || `The server answered ${status}.`,
      reason: data.reason,
      status,
      hint: data.hint,
      fields: data.fields,
      details
    });
  }
  // Jupyter Server itself answers an unknown address with its own page or with `reason: null`;
  // an answer of ours always has a reason.
  if (status === 404) {
    return new ApiError({
      message: 'The server extension of jupyter_mlops did not answer.',
      reason: 'server_missing',
      status,
      details
    });
  }
  if (status === 401 || status === 403) {
    return new ApiError({
      message: data?.message || 'Jupyter Server refused the request.',
      reason: 'forbidden',
      status,
      hint: 'Reload the page to sign in again.',
      details
    });
  }
  return new ApiError({
    message: data?.message || `The server answered ${status}.`,
    reason: 'unexpected',
    status,
    hint: data?.hint ?? null,
    details
  });
}

/** Return `cause` when it is an `ApiError`, else wrap it: a mistake of ours, not of the network. */
export function asApiError(cause: unknown): ApiError {
  if (cause instanceof ApiError) {
    return cause;
  }
  return new ApiError({
    message: cause instanceof Error ? cause.message : String(cause),
    reason: 'unexpected',
    details: cause instanceof Error ? cause.stack : ''
  });
}

/** Make the error of a request that got no answer. */
export function errorFromFailure(cause: unknown, request: string): ApiError {
  const name = (cause as { name?: unknown } | null)?.name;
  const text = cause instanceof Error ? cause.message : String(cause);
  if (name === 'AbortError' || name === 'TimeoutError') {
    return new ApiError({
      message: 'Jupyter Server did not answer in time.',
      reason: 'timeout',
      hint: 'It may be busy; try again.',
      details: `${request}\n${text}`
    });
  }
  return new ApiError({
    message: 'Jupyter Server cannot be reached.',
    reason: 'unreachable',
    hint: 'Check that it is still running.',
    details: `${request}\n${text}`
  });
}

/** The verdicts in a refusal, `[]` when it holds none. */
export function gatesOf(error: ApiError): IGate[] {
  const gates = error.fields['gates'];
  if (!Array.isArray(gates)) {
    return [];
  }
  return gates
    .filter((gate): gate is Record<string, unknown> => typeof gate === 'object' && gate !== null)
    .map(gate => ({
      name: String(gate.name ?? ''),
      passed: gate.passed === true,
      message: String(gate.message ?? '')
    }));
}

interface ILooseBody {
  message?: string;
  reason?: string | null;
  hint?: string | null;
  fields?: Record<string, unknown>;
}

function parseBody(body: string): (Partial<IErrorBody> & ILooseBody) | null {
  let data: unknown;
  try {
    data = JSON.parse(body);
  } catch {
    return null;
  }
  if (typeof data !== 'object' || data === null || Array.isArray(data)) {
    return null;
  }
  const found = data as Record<string, unknown>;
  return {
    message: typeof found.message === 'string' ? found.message : undefined,
    reason: typeof found.reason === 'string' ? found.reason : undefined,
    hint: typeof found.hint === 'string' ? found.hint : undefined,
    fields:
      typeof found.fields === 'object' && found.fields !== null
        ? (found.fields as Record<string, unknown>)
        : {}
  };
}
