/**
 * Write `src/rest.ts`, the types of the REST API, from the server's own OpenAPI document.
 *
 * With `--check` nothing is written, and the exit code is 1 when the file is out of date. Needs a
 * Python that has the package's server part: `PYTHON` names it, by default `python`.
 */
import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import openapiTS, { astToString } from 'openapi-typescript';
import * as prettier from 'prettier';

const root = fileURLToPath(new URL('../..', import.meta.url));
const target = fileURLToPath(new URL('../src/rest.ts', import.meta.url));

const python = spawnSync(process.env.PYTHON ?? 'python', ['-m', 'jupyter_mlops.server.openapi'], {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 64 * 1024 * 1024
});
if (python.status !== 0) {
  console.error(python.stderr ?? python.error);
  process.exit(2);
}
// The shapes of bodies are what `src/api.ts` needs; the routes stand there.
const shapes = { ...JSON.parse(python.stdout), paths: {} };
const source =
  '/* The REST API as its OpenAPI document says it; written by `jlpm types`, not by hand. */\n\n' +
  astToString(await openapiTS(shapes, { emptyObjectsUnknown: true }));
const options = (await prettier.resolveConfig(target)) ?? {};
const text = await prettier.format(source, { ...options, filepath: target });
if (!process.argv.includes('--check')) {
  await writeFile(target, text);
} else if ((await readFile(target, 'utf8').catch(() => '')) !== text) {
  console.error('src/rest.ts does not match the server: run `jlpm types`.');
  process.exit(1);
}
