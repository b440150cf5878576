import type { ApiError } from './errors';
import type { IFinding, ISentCell } from './types';

/** What a cell's mark says: the worst of its findings, `stale` where it is out of date only. */
export interface IMark {
  kind: 'error' | 'warning' | 'note' | 'stale';
  /** Whether the cell is out of date, whatever else was found. */
  stale: boolean;
  findings: IFinding[];
}

/** The rule that says of a cell that it is out of date. */
const STALE = 'NB003';
const ORDER = ['error', 'warning', 'note'] as const;

/** The findings by the cell they are in, the worst first; those without a cell id are left out. */
export function marksOf(findings: IFinding[]): Map<string, IMark> {
  const byCell = new Map<string, IFinding[]>();
  for (const finding of findings) {
    if (finding.cell_id !== null) {
      byCell.set(finding.cell_id, [...(byCell.get(finding.cell_id) ?? []), finding]);
    }
  }
  return new Map([...byCell].map(([id, found]) => [id, mark(found)]));
}

function mark(found: IFinding[]): IMark {
  const rank = (finding: IFinding) => ORDER.indexOf(finding.severity);
  const findings = [...found].sort((a, b) => rank(a) - rank(b) || a.line - b.line);
  const others = findings.filter(finding => finding.rule !== STALE);
  const worst = others[0]?.severity;
  const stale = others.length < findings.length;
  // A note is no reason to hide that the cell has to run again.
  const kind = worst === undefined || (stale && worst === 'note') ? 'stale' : worst;
  return { kind, stale, findings };
}

/** A mark in one text, for a tooltip and for who hears it. */
export function describeMark(mark: IMark): string {
  return mark.findings
    .map(finding => `${finding.rule}: ${finding.message}. ${finding.reason} ${finding.fix}`)
    .join('\n');
}

/** Whether two marks look the same. */
export function sameMark(a: IMark | undefined, b: IMark | undefined): boolean {
  return a === b || (a?.kind === b?.kind && JSON.stringify(a) === JSON.stringify(b));
}

/** As many characters of code are sent at most: the server refuses bodies of more than 256 kB. */
const MOST = 120_000;

/** The cells to send; `null` where there are none, or too much of them: the file is read then. */
export function cellsToSend(cells: ISentCell[]): ISentCell[] | null {
  const size = cells.reduce((sum, cell) => sum + cell.source.length + 80, 0);
  return cells.length === 0 || size > MOST ? null : cells;
}

/**
 * Asks for the findings some time after the last change, one question at a time.
 *
 * `ask` answers `null` where there is nothing to ask. After the server was found to lack our part
 * nothing is asked any more; after another failure what is shown stays.
 */
export class FindingsWatch {
  constructor(
    private readonly _ask: () => Promise<IFinding[]> | null,
    private readonly _show: (marks: Map<string, IMark>) => void,
    private readonly _delay: number
  ) {}

  /** Something ran or was changed. */
  changed(): void {
    if (this._ended) {
      return;
    }
    clearTimeout(this._timer);
    this._timer = setTimeout(() => void this._look(), this._delay);
  }

  dispose(): void {
    this._ended = true;
    clearTimeout(this._timer);
  }

  private async _look(): Promise<void> {
    if (this._asking) {
      this._again = true;
      return;
    }
    this._asking = true;
    try {
      const found = await this._ask();
      if (found !== null && !this._ended) {
        this._show(marksOf(found));
      }
    } catch (error) {
      if ((error as Partial<ApiError>).reason === 'server_missing') {
        this.dispose();
      }
    } finally {
      this._asking = false;
    }
    if (this._again) {
      this._again = false;
      this.changed();
    }
  }

  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _asking = false;
  private _again = false;
  private _ended = false;
}
