import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type {
  ICodeDiff,
  IComparison,
  IInputDiffers,
  IMetricDiffers,
  TableKind
} from '../model/compare';
import { diffLines } from '../model/compare';
import { formatChange, formatMeasure, formatNumber, formatValue } from '../model/format';
import { Curves } from './lines';

/** Show what differs between two runs. */
export async function showComparison(
  comparison: IComparison,
  trans: TranslationBundle
): Promise<void> {
  await showDialog({
    title: trans.__('%1 and %2: what differs', comparison.a.name, comparison.b.name),
    body: <CompareView comparison={comparison} trans={trans} />,
    buttons: [Dialog.okButton({ label: trans.__('Close') })]
  });
}

/** Only what differs: metrics first, then what may explain them. */
export function CompareView(props: {
  comparison: IComparison;
  trans: TranslationBundle;
}): JSX.Element {
  const { comparison, trans } = props;
  const { a, b, metrics, inputs, code, curves, unknown } = comparison;
  return (
    // It scrolls, so it takes the keyboard.
    <div
      className="jp-mlops-compare"
      tabIndex={0}
      role="region"
      aria-label={trans.__('What differs')}
    >
      <p className="jp-mlops-compare-runs">
        <span className="jp-mlops-mod-a">{a.name}</span> <code>{a.run_id.slice(0, 10)}</code>
        <span aria-hidden="true"> → </span>
        <span className="jp-mlops-mod-b">{b.name}</span> <code>{b.run_id.slice(0, 10)}</code>
      </p>
      {comparison.same && (
        <p className="jp-mlops-muted">
          {trans.__('Nothing that the result depends on is known to differ.')}
        </p>
      )}
      {metrics.length > 0 && (
        <Section title={trans.__('Metrics')}>
          <table>
            <Head a={a.name} b={b.name} last={trans.__('Change')} />
            <tbody>
              {metrics.map(row => (
                <Metric key={row.name} row={row} trans={trans} />
              ))}
            </tbody>
          </table>
        </Section>
      )}
      {curves.length > 0 && (
        <Section title={trans.__('Curves')}>
          <div className="jp-mlops-compare-curves">
            {curves.map(curve => (
              <Curves key={curve.name} curve={curve} trans={trans} />
            ))}
          </div>
        </Section>
      )}
      <Tables comparison={comparison} kinds={FIRST} trans={trans} />
      {inputs.length > 0 && (
        <Section title={trans.__('Inputs')}>
          <ul>
            {inputs.map((item, index) => (
              <li key={index}>{describeInput(item, a.name, b.name, trans)}</li>
            ))}
          </ul>
        </Section>
      )}
      {code.length > 0 && (
        <Section title={trans.__('Code')}>
          {code.map((item, index) => (
            <Code key={index} item={item} names={{ a: a.name, b: b.name }} trans={trans} />
          ))}
        </Section>
      )}
      <Tables comparison={comparison} kinds={REST} trans={trans} />
      {unknown.length > 0 && (
        <Section title={trans.__('Not known')}>
          <ul className="jp-mlops-muted">
            {unknown.map((line, index) => (
              <li key={index}>{line}</li>
            ))}
          </ul>
        </Section>
      )}
    </div>
  );
}

/** What a person chose comes before the code and the data, what is around them after. */
const FIRST: TableKind[] = ['params', 'hyperparameters', 'seeds', 'models'];
const REST: TableKind[] = ['git', 'packages', 'environment', 'resources'];

function Tables(props: {
  comparison: IComparison;
  kinds: TableKind[];
  trans: TranslationBundle;
}): JSX.Element {
  const { comparison, kinds, trans } = props;
  return (
    <>
      {comparison.tables
        .filter(table => kinds.includes(table.kind))
        .map(({ kind, rows }) => (
          <Section key={kind} title={tableTitle(kind, trans)}>
            <table>
              <Head a={comparison.a.name} b={comparison.b.name} />
              <tbody>
                {rows.map(row => (
                  <tr key={row.name}>
                    <th scope="row">
                      {kind === 'resources' ? formatMeasure(row.name, 0)[0] : row.name}
                    </th>
                    <td>{row.only === 'b' ? '–' : shownValue(kind, row.name, row.a)}</td>
                    <td>{row.only === 'a' ? '–' : shownValue(kind, row.name, row.b)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Section>
        ))}
    </>
  );
}

function Section(props: { title: string; children: React.ReactNode }): JSX.Element {
  return (
    <section>
      <h4>{props.title}</h4>
      {props.children}
    </section>
  );
}

function Head(props: { a: string; b: string; last?: string }): JSX.Element {
  return (
    <thead>
      <tr>
        <td />
        <th scope="col" className="jp-mlops-mod-a">
          {props.a}
        </th>
        <th scope="col" className="jp-mlops-mod-b">
          {props.b}
        </th>
        {props.last && <th scope="col">{props.last}</th>}
      </tr>
    </thead>
  );
}

function Metric(props: { row: IMetricDiffers; trans: TranslationBundle }): JSX.Element {
  const { row, trans } = props;
  const kind = row.better === null ? 'same' : row.better === 'b' ? 'better' : 'worse';
  return (
    <tr>
      <th scope="row">{row.name}</th>
      <td>{shown(row.a)}</td>
      <td>{shown(row.b)}</td>
      <td className={`jp-mlops-delta jp-mlops-mod-${kind}`}>
        {row.delta === null ? '–' : formatChange(row.delta)}
        {row.better !== null && (
          <span className="jp-mlops-muted">
            {' '}
            {row.better === 'b' ? trans.__('better') : trans.__('worse')}
          </span>
        )}
      </td>
    </tr>
  );
}

function Code(props: {
  item: ICodeDiff;
  names: { a: string; b: string };
  trans: TranslationBundle;
}): JSX.Element {
  const { item, names, trans } = props;
  const note =
    item.only !== null
      ? trans.__('only in %1', names[item.only])
      : item.diff === null
        ? trans.__('differs; what it was is not known')
        : null;
  return (
    <>
      {(item.name !== '' || note !== null) && (
        <p>
          <code>{item.name}</code> <span className="jp-mlops-muted">{note}</span>
        </p>
      )}
      {item.diff !== null && (
        <pre className="jp-mlops-diff">
          {diffLines(item.diff).map((line, index) => (
            <span key={index} className={`jp-mlops-mod-${line.kind}`}>
              {line.text}
              {'\n'}
            </span>
          ))}
        </pre>
      )}
    </>
  );
}

function describeInput(
  item: IInputDiffers,
  a: string,
  b: string,
  trans: TranslationBundle
): JSX.Element {
  const facts = [];
  switch (item.status) {
    case 'a':
      facts.push(trans.__('only in %1', a));
      break;
    case 'b':
      facts.push(trans.__('only in %1', b));
      break;
    case 'renamed':
      facts.push(trans.__('the same content as %1', item.other ?? ''));
      break;
    default:
      facts.push(trans.__('changed'));
  }
  const [before, after] = item.rows;
  if (before !== null && after !== null && before !== after) {
    facts.push(trans.__('%1 → %2 rows', before.toLocaleString(), after.toLocaleString()));
  }
  if (item.added.length > 0) {
    facts.push(trans.__('new columns: %1', item.added.join(', ')));
  }
  if (item.removed.length > 0) {
    facts.push(trans.__('columns gone: %1', item.removed.join(', ')));
  }
  if (item.retyped.length > 0) {
    facts.push(item.retyped.join(', '));
  }
  if (item.source !== null && item.source !== item.name) {
    facts.push(item.source);
  }
  return (
    <>
      <code>{item.name}</code> {facts.join('; ')}
    </>
  );
}

function shownValue(kind: TableKind, name: string, value: unknown): string {
  return kind === 'resources' && typeof value === 'number'
    ? formatMeasure(name, value)[1]
    : formatValue(value, 200);
}

function shown(value: number | string | null): string {
  return typeof value === 'number' ? formatNumber(value) : (value ?? '–');
}

function tableTitle(kind: TableKind, trans: TranslationBundle): string {
  switch (kind) {
    case 'params':
      return trans.__('Parameters');
    case 'hyperparameters':
      return trans.__('Hyperparameters');
    case 'git':
      return trans.__('Git');
    case 'seeds':
      return trans.__('Seeds');
    case 'models':
      return trans.__('Models');
    case 'packages':
      return trans.__('Packages');
    case 'environment':
      return trans.__('Environment');
    case 'resources':
      return trans.__('Resources');
  }
}
