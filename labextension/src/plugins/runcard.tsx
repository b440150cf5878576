import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ReactWidget } from '@jupyterlab/apputils';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import * as React from 'react';

import type { ICard } from '../model/card';
import { RUN_MIME, parseCard, registrable } from '../model/card';
import { suggestName } from '../model/names';
import { CommandIDs, IMLops } from '../tokens';
import { RunCardView } from '../views/card';
import type { ICardActions } from '../views/cardactions';
import { showComparison } from '../views/compare';
import { askRegistration } from '../views/dialogs';
import { Guard } from '../views/parts';

/** Before text/html, which every card carries for where this renderer is not. */
const RANK = 0;

/** Renders the card that a tracked cell displays. */
export const runcard: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-mlops:run-card',
  description: 'Renders the run card below tracked cells.',
  autoStart: true,
  requires: [IMLops, IRenderMimeRegistry],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    mlops: IMLops,
    rendermime: IRenderMimeRegistry,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyter_mlops');
    rendermime.addFactory(
      {
        safe: true,
        mimeTypes: [RUN_MIME],
        createRenderer: options => new RunCard(options, mlops, app.commands, trans)
      },
      RANK
    );
  }
};

class RunCard extends ReactWidget implements IRenderMime.IRenderer {
  constructor(
    options: IRenderMime.IRendererOptions,
    private readonly _mlops: IMLops,
    private readonly _commands: CommandRegistry,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.addClass('jp-mlops-RenderedCard');
    this._resolver = options.resolver ?? null;
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this._card = parseCard(model.data[RUN_MIME]);
    this.update();
    await this.renderPromise;
  }

  protected render(): JSX.Element | null {
    const card = this._card;
    if (card === null) {
      return (
        <div className="jp-mlops-card jp-mlops-mod-bad">
          {this._trans.__('This run card cannot be read.')}
        </div>
      );
    }
    const run = this._mlops.run(card.run_id, this._notebook);
    return (
      <Guard trans={this._trans}>
        <RunCardView card={card} run={run} actions={this._actions(card)} trans={this._trans} />
      </Guard>
    );
  }

  private _actions(card: ICard): ICardActions {
    const commands = this._commands;
    return {
      register: async () => {
        const known = this._mlops.get().project?.models.get().data ?? [];
        const answer = await askRegistration(
          suggestName(card, this._notebook, known),
          registrable(card),
          known.map(model => model.name),
          this._trans
        );
        if (answer !== null) {
          const path = this._notebook;
          await this._mlops.api.register(path, card.run_id, answer.name, answer.model);
          await this._mlops.run(card.run_id, path).refresh();
          await this._mlops.get().project?.models.refresh();
        }
      },
      compare: async other => {
        const comparison = await this._mlops.api.compare(this._notebook, other, card.run_id);
        await showComparison(comparison, this._trans);
      },
      promote:
        card.notebook !== null && commands.hasCommand(CommandIDs.promote)
          ? () => void commands.execute(CommandIDs.promote)
          : null,
      // Notebook 7 has the panel too, but another front end may not.
      show: commands.hasCommand(CommandIDs.show)
        ? (name, version) =>
            void commands.execute(
              CommandIDs.show,
              name === undefined || version === undefined ? { run: card.run_id } : { name, version }
            )
        : null,
      snapshot: commands.hasCommand(CommandIDs.showSnapshot)
        ? spec => void commands.execute(CommandIDs.showSnapshot, { spec, path: this._notebook })
        : null
    };
  }

  /** The contents path of the notebook that holds the card. */
  private get _notebook(): string {
    // Of the resolvers only rendermime's own knows its document.
    const path = (this._resolver as { path?: unknown } | null)?.path;
    return typeof path === 'string' ? path.replace(/^[^/]*:/, '') : this._mlops.path;
  }

  private readonly _resolver: IRenderMime.IResolver | null;
  private _card: ICard | null = null;
}
