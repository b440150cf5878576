/** What is known of the kernel of the notebook in front. */
export interface IKernelState {
  /** `other` is a kernel of another language, which is never asked. */
  kind: 'unknown' | 'other' | 'ready' | 'missing';
  /** The kernel's interpreter; empty unless `ready` or `missing`. */
  executable: string;
}

export const UNKNOWN_KERNEL: IKernelState = { kind: 'unknown', executable: '' };

/**
 * A Python expression that tells whether our package can be imported, without importing it.
 *
 * Its value is ASCII hex, so that the `repr` the kernel answers with needs no unescaping.
 */
export const PROBE =
  "__import__('json').dumps({" +
  "'executable': __import__('sys').executable or '', " +
  "'found': __import__('importlib.util').util.find_spec('jupyter_mlops') is not None" +
  '}).encode().hex()';

/** Read the kernel's answer to `PROBE`, an entry of `user_expressions`. */
export function parseProbe(answer: unknown): IKernelState {
  const data = (answer as { status?: string; data?: Record<string, unknown> } | undefined) ?? {};
  const text = data.status === 'ok' ? String(data.data?.['text/plain'] ?? '') : '';
  const hex = /^'((?:[0-9a-f]{2})+)'$/.exec(text)?.[1];
  if (hex === undefined) {
    return UNKNOWN_KERNEL;
  }
  try {
    const bytes = Uint8Array.from(hex.match(/../g) ?? [], byte => parseInt(byte, 16));
    const found = JSON.parse(new TextDecoder().decode(bytes));
    return {
      kind: found.found === true ? 'ready' : 'missing',
      executable: String(found.executable ?? '')
    };
  } catch {
    return UNKNOWN_KERNEL;
  }
}

/** The command that installs our package for `executable`, quoted for a shell. */
export function installCommand(executable: string): string {
  const program = executable === '' ? 'python' : quote(executable);
  return `${program} -m pip install jupyter-mlops`;
}

function quote(path: string): string {
  if (/^[\w@%+=:,./-]+$/.test(path)) {
    return path;
  }
  // A Windows path: cmd and PowerShell know double quotes, and it can hold none itself.
  if (/^[A-Za-z]:\\/.test(path)) {
    return /\s/.test(path) ? `"${path}"` : path;
  }
  return `'${path.replace(/'/g, "'\\''")}'`;
}
