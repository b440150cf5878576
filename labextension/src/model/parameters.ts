import type { IParameter } from './types';

/** What a person has set so far: text as typed, a box's state, or which of the choices. */
export type ParameterDraft = Readonly<Record<string, string | boolean | number>>;

export type ParameterInput =
  { kind: 'box' } | { kind: 'choice'; choices: readonly unknown[] } | { kind: 'text' };

/** How a parameter is asked for, by its JSON Schema. */
export function inputOf(parameter: IParameter): ParameterInput {
  const { schema } = parameter;
  if (Array.isArray(schema.enum) && schema.enum.length > 0) {
    const choices: unknown[] = schema.enum;
    const known = choices.some(choice => same(choice, parameter.default));
    return { kind: 'choice', choices: known ? choices : [parameter.default, ...choices] };
  }
  if (schema.type === 'boolean' && typeof parameter.default === 'boolean') {
    return { kind: 'box' };
  }
  return { kind: 'text' };
}

/** The form's first state: every parameter as the pipeline has it. */
export function draftOf(parameters: readonly IParameter[]): ParameterDraft {
  return Object.fromEntries(parameters.map(parameter => [parameter.name, startOf(parameter)]));
}

/** What differs from the defaults; a text is sent as typed, and read by its type on the server. */
export function changedParameters(
  parameters: readonly IParameter[],
  draft: ParameterDraft
): Record<string, unknown> {
  const changed: Record<string, unknown> = {};
  for (const parameter of parameters) {
    const value = draft[parameter.name];
    if (value === startOf(parameter)) {
      continue;
    }
    const input = inputOf(parameter);
    changed[parameter.name] = input.kind === 'choice' ? input.choices[Number(value)] : value;
  }
  return changed;
}

/** A value as text: a string is itself, nothing is nothing, all else is JSON. */
export function valueText(value: unknown): string {
  if (value === null || value === undefined) {
    return '';
  }
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** What may be typed: `integer, 0 to 10`; empty where the schema says nothing. */
export function expectedText(schema: Readonly<Record<string, unknown>>): string {
  const types = (Array.isArray(schema.type) ? schema.type : [schema.type]).filter(
    (type): type is string => typeof type === 'string' && type !== 'null'
  );
  const words = [typeof schema.format === 'string' ? schema.format : types.join(' or ')];
  const { minimum, maximum } = schema;
  if (typeof minimum === 'number' && typeof maximum === 'number') {
    words.push(`${minimum} to ${maximum}`);
  } else if (typeof minimum === 'number') {
    words.push(`≥ ${minimum}`);
  } else if (typeof maximum === 'number') {
    words.push(`≤ ${maximum}`);
  }
  return words.filter(word => word !== '').join(', ');
}

function startOf(parameter: IParameter): string | boolean | number {
  const input = inputOf(parameter);
  switch (input.kind) {
    case 'box':
      return parameter.default === true;
    case 'choice':
      return input.choices.findIndex(choice => same(choice, parameter.default));
    case 'text':
      return valueText(parameter.default);
  }
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
