import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import type { ISessionContext } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import type { Kernel } from '@jupyterlab/services';
import { Token } from '@lumino/coreutils';
import { Signal } from '@lumino/signaling';

import type { IKernelState } from '../model/kernel';
import { PROBE, UNKNOWN_KERNEL, parseProbe } from '../model/kernel';
import { IMLops } from '../tokens';

/** Asks the kernel of the active notebook whether it has our package. */
export interface IKernelCheck {
  /** Ask again, after something was installed. */
  again(): void;
}

export const IKernelCheck = new Token<IKernelCheck>(
  'jupyter-mlops:IKernelCheck',
  'Asks the kernel of the active notebook whether jupyter_mlops is installed for it.'
);

/** How long a kernel must have been idle before it is asked, in milliseconds. */
const QUIET_MS = 1000;

/** Finds out once for each start of a kernel whether its Python has our package. */
export const kernel: JupyterFrontEndPlugin<IKernelCheck> = {
  id: 'jupyter-mlops:kernel',
  description: 'Finds out whether the active notebook’s kernel has jupyter_mlops.',
  autoStart: true,
  requires: [IMLops, INotebookTracker],
  provides: IKernelCheck,
  activate: (_: JupyterFrontEnd, mlops: IMLops, tracker: INotebookTracker): IKernelCheck => {
    const check = new KernelCheck(state => mlops.setKernel(state));
    const follow = () => check.follow(tracker.currentWidget?.sessionContext ?? null);
    tracker.currentChanged.connect(follow);
    follow();
    return check;
  }
};

/**
 * Follows one session at a time. The answer is kept for each kernel until it restarts, so that
 * going back and forth between notebooks asks nothing again.
 */
class KernelCheck implements IKernelCheck {
  constructor(private readonly _report: (state: IKernelState) => void) {}

  follow(session: ISessionContext | null): void {
    if (session === this._session) {
      return;
    }
    if (this._session !== null) {
      Signal.disconnectBetween(this._session, this);
    }
    this._session = session;
    session?.kernelChanged.connect(this._look, this);
    session?.statusChanged.connect(this._onStatus, this);
    this._look();
  }

  again(): void {
    const id = this._session?.session?.kernel?.id;
    if (id !== undefined) {
      this._known.delete(id);
    }
    this._look();
  }

  private _onStatus(_: ISessionContext, status: Kernel.Status): void {
    const id = this._session?.session?.kernel?.id;
    if (id !== undefined && ['starting', 'restarting', 'autorestarting'].includes(status)) {
      this._known.delete(id);
    }
    this._look();
  }

  private _look(): void {
    clearTimeout(this._timer);
    const kernel = this._session?.session?.kernel ?? null;
    if (kernel === null) {
      this._report(UNKNOWN_KERNEL);
      return;
    }
    const known = this._known.get(kernel.id);
    // While a restarted kernel is being asked, what was true before it stays on show.
    if (known !== undefined) {
      this._report(known);
    } else if (kernel.status === 'idle') {
      this._timer = setTimeout(() => void this._ask(kernel), QUIET_MS);
    }
  }

  private async _ask(kernel: Kernel.IKernelConnection): Promise<void> {
    const still = () => this._session?.session?.kernel === kernel && !kernel.isDisposed;
    const info = await kernel.info.catch(() => null);
    if (info === null || !still()) {
      return;
    }
    if (info.language_info.name.toLowerCase() !== 'python') {
      this._keep(kernel.id, { kind: 'other', executable: '' });
      return;
    }
    // The person's cells come first.
    if (kernel.status !== 'idle') {
      return;
    }
    const state = await probe(kernel);
    if (still()) {
      this._keep(kernel.id, state);
    }
  }

  private _keep(id: string, state: IKernelState): void {
    // The question itself made the kernel busy and idle.
    clearTimeout(this._timer);
    this._known.set(id, state);
    this._report(state);
  }

  private _session: ISessionContext | null = null;
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private readonly _known = new Map<string, IKernelState>();
}

async function probe(kernel: Kernel.IKernelConnection): Promise<IKernelState> {
  try {
    const future = kernel.requestExecute({
      code: '',
      silent: true,
      store_history: false,
      allow_stdin: false,
      stop_on_error: false,
      user_expressions: { mlops: PROBE }
    });
    const { content } = await future.done;
    return content.status === 'ok' ? parseProbe(content.user_expressions?.mlops) : UNKNOWN_KERNEL;
  } catch {
    // It was restarted or died meanwhile.
    return UNKNOWN_KERNEL;
  }
}
