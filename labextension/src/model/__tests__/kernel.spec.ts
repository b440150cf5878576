import { spawnSync } from 'node:child_process';

import { PROBE, UNKNOWN_KERNEL, installCommand, parseProbe } from '../kernel';

const hex = (text: string) => Buffer.from(text).toString('hex');
const answer = (text: string) => ({ status: 'ok', data: { 'text/plain': text } });

describe('parseProbe', () => {
  it('reads what the kernel says', () => {
    const found = JSON.stringify({ executable: '/opt/py/bin/python', found: true });
    expect(parseProbe(answer(`'${hex(found)}'`))).toEqual({
      kind: 'ready',
      executable: '/opt/py/bin/python'
    });
    const missing = JSON.stringify({ executable: 'C:\\Ünï\\python.exe', found: false });
    expect(parseProbe(answer(`'${hex(missing)}'`))).toEqual({
      kind: 'missing',
      executable: 'C:\\Ünï\\python.exe'
    });
  });

  it.each([
    ['an error', { status: 'error', ename: 'NameError' }],
    ['nothing', undefined],
    ['another text', answer("'hello'")],
    ['hex that is not JSON', answer(`'${hex('{')}'`)]
  ])('knows nothing after %s', (_, value) => {
    expect(parseProbe(value)).toEqual(UNKNOWN_KERNEL);
  });

  it('understands what a real Python answers', () => {
    const code = `print(repr(eval(${JSON.stringify(PROBE)})))`;
    const python = spawnSync('python3', ['-I', '-c', code], { encoding: 'utf8' });
    expect(python.stderr).toBe('');
    const state = parseProbe(answer(python.stdout.trim()));
    expect(state.executable).toContain('python');
    expect(['ready', 'missing']).toContain(state.kind);
  });
});

describe('installCommand', () => {
  it.each([
    ['/opt/py/bin/python', '/opt/py/bin/python -m pip install jupyter-mlops'],
    ['/My Envs/py', "'/My Envs/py' -m pip install jupyter-mlops"],
    ["/it's/py", "'/it'\\''s/py' -m pip install jupyter-mlops"],
    ['C:\\Python\\python.exe', 'C:\\Python\\python.exe -m pip install jupyter-mlops'],
    ['C:\\My Py\\python.exe', '"C:\\My Py\\python.exe" -m pip install jupyter-mlops'],
    ['/a;rm -rf/py', "'/a;rm -rf/py' -m pip install jupyter-mlops"],
    ['', 'python -m pip install jupyter-mlops']
  ])('%s', (executable, command) => {
    expect(installCommand(executable)).toBe(command);
  });
});
