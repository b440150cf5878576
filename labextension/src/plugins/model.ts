import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { PathExt } from '@jupyterlab/coreutils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import type { Contents } from '@jupyterlab/services';
import { Poll } from '@lumino/polling';
import type { ISignal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';

import { Api } from '../api';
import { parseChange } from '../model/changes';
import { MLops } from '../model/mlops';
import { IMLops } from '../tokens';

/** The fallback where events do not come through, in milliseconds. */
const SLOW_MS = 60_000;
const SLOWEST_MS = 600_000;

interface IDocument extends Widget {
  context: { path: string; pathChanged: ISignal<unknown, string> };
}

/** Provides the model and feeds it: paths, events of the server, a slow poll. */
export const model: JupyterFrontEndPlugin<IMLops> = {
  id: 'jupyter-mlops:model',
  description: 'The state of the active notebook’s MLOps project.',
  autoStart: true,
  provides: IMLops,
  optional: [IDefaultFileBrowser],
  activate: (app: JupyterFrontEnd, browser: IDefaultFileBrowser | null): IMLops => {
    const { serviceManager } = app;
    const mlops = new MLops(new Api(serviceManager.serverSettings));
    followPath(app, browser, mlops);

    serviceManager.events.stream.connect((_, event) => {
      const change = parseChange(event);
      if (change !== null) {
        mlops.onChange(change);
      }
    });

    const poll = new Poll({
      name: 'jupyter-mlops:poll',
      auto: false,
      factory: () => mlops.refresh(),
      frequency: { interval: SLOW_MS, backoff: true, max: SLOWEST_MS },
      standby: () => (mlops.watched ? 'when-hidden' : true)
    });
    void app.started.then(() => poll.start());
    document.addEventListener('visibilitychange', () => {
      // What happened while the page was hidden shows at once.
      if (!document.hidden && mlops.watched) {
        void mlops.refresh().catch(() => undefined);
      }
    });
    return mlops;
  }
};

/** Follow the folder of the document in front, else of the file browser. */
function followPath(app: JupyterFrontEnd, browser: IDefaultFileBrowser | null, mlops: MLops): void {
  const { contents } = app.serviceManager;
  let current: IDocument | null = null;
  const update = () => {
    if (current !== null && !current.isDisposed) {
      mlops.follow(PathExt.dirname(local(contents, current.context.path)));
    } else if (browser !== null) {
      mlops.follow(local(contents, browser.model.path));
    }
  };
  const onCurrent = () => {
    const widget = app.shell.currentWidget;
    if (isDocument(widget)) {
      if (widget !== current) {
        current?.context.pathChanged.disconnect(update);
        widget.context.pathChanged.connect(update);
        current = widget;
      }
    } else if (current?.isDisposed) {
      current = null;
    }
    update();
  };
  app.shell.currentChanged?.connect(onCurrent);
  browser?.model.pathChanged.connect(update);
  void app.restored.then(onCurrent);
}

/** The path without its drive: projects lie in the server's own folder. */
function local(contents: Contents.IManager, path: string): string {
  return contents.localPath(path);
}

function isDocument(widget: Widget | null): widget is IDocument {
  const context = (widget as Partial<IDocument> | null)?.context;
  return typeof context?.path === 'string' && context.pathChanged !== undefined;
}
