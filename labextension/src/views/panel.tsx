import type { ITranslator, TranslationBundle } from '@jupyterlab/translation';
import { PanelWithToolbar, ReactWidget, SidePanel } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { MessageLoop } from '@lumino/messaging';
import type { AccordionPanel } from '@lumino/widgets';
import { Widget } from '@lumino/widgets';
import * as React from 'react';

import { mlopsIcon } from '../icons';
import { Emitter } from '../model/emitter';
import type { Memory } from '../model/memory';
import type { MLops } from '../model/mlops';
import type { IVersionArgs, SnapshotActions, VersionActions } from './actions';
import { Deployments } from './deployments';
import { Header } from './header';
import { useStore } from './hooks';
import { Models } from './models';
import { Guard } from './parts';
import { Pipelines } from './pipelines';
import { Runs } from './runs';
import { Schedules } from './schedules';
import { Snapshots } from './snapshots';
import { Whole } from './whole';

/** Height of the sections to one another, while all are open. */
const SIZES = [5, 4, 4, 2, 2, 2];

/** What of the panel a command asked to see. */
class Revealed<T extends object> extends Emitter {
  get = (): T | null => this._value;

  put(value: T): void {
    this._value = { ...value };
    this.emit();
  }

  private _value: T | null = null;
}

/** The sidebar panel: a header, and the sections while there is a project to show. */
export class MLopsPanel extends SidePanel {
  constructor(options: {
    mlops: MLops;
    memory: Memory;
    actions: VersionActions;
    snapshotActions: SnapshotActions;
    translator: ITranslator;
    trans: TranslationBundle;
    onSync: () => Promise<void>;
    onCheckKernel: () => void;
  }) {
    super({ translator: options.translator });
    const { mlops, memory, actions, trans } = options;
    this._mlops = mlops;
    this.id = 'jp-mlops-panel';
    this.addClass('jp-mlops-panel');
    this.title.icon = mlopsIcon;
    this.title.caption = trans.__('MLOps');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('MLOps'));

    this.header.addClass('jp-mlops-top');
    this.header.addWidget(
      ReactWidget.create(
        <Header
          mlops={mlops}
          memory={memory}
          trans={trans}
          onSync={options.onSync}
          onCheckKernel={options.onCheckKernel}
        />
      )
    );
    const whole = ReactWidget.create(<Whole mlops={mlops} trans={trans} />);
    whole.addClass('jp-mlops-whole');
    this.header.addWidget(whole);

    const section = (label: string, className: string, content: JSX.Element) => {
      const panel = new PanelWithToolbar();
      panel.addClass('jp-mlops-section');
      panel.addClass(className);
      panel.title.label = label;
      panel.node.setAttribute('aria-label', label);
      panel.addWidget(ReactWidget.create(<Guard trans={trans}>{content}</Guard>));
      this.addWidget(panel);
      return panel;
    };
    const revealed = this._revealed;
    section(
      trans.__('Model versions'),
      'jp-mlops-section-models',
      <ModelsWithReveal
        mlops={mlops}
        memory={memory}
        actions={actions}
        trans={trans}
        revealed={revealed}
      />
    );
    section(
      trans.__('Runs'),
      'jp-mlops-section-runs',
      <RunsWithReveal mlops={mlops} trans={trans} revealed={this._revealedRun} />
    );
    section(
      trans.__('Snapshots'),
      'jp-mlops-section-snapshots',
      <Snapshots mlops={mlops} memory={memory} actions={options.snapshotActions} trans={trans} />
    );
    section(
      trans.__('Pipelines'),
      'jp-mlops-section-pipelines',
      <Pipelines mlops={mlops} trans={trans} />
    );
    section(
      trans.__('Schedules'),
      'jp-mlops-section-schedules',
      <Schedules mlops={mlops} trans={trans} />
    );
    section(
      trans.__('Deployments'),
      'jp-mlops-section-deployments',
      <Deployments mlops={mlops} trans={trans} />
    );
    this.sections.setRelativeSizes(SIZES);

    // React changes what stands above the sections, and Lumino hears of no change of that kind.
    this._observer = new ResizeObserver(() => {
      MessageLoop.postMessage(this.content, Widget.ResizeMessage.UnknownSize);
    });
    this._observer.observe(this.content.node);
    this._end = mlops.subscribe(() => this._switch());
    this._switch();
  }

  /** The accordion of sections. */
  get sections(): AccordionPanel {
    return this.content as AccordionPanel;
  }

  /** Bring a model version into view and focus it. */
  reveal(which: IVersionArgs): void {
    this.sections.expand(0);
    this._revealed.put(which);
  }

  /** Bring a run into view and focus it. */
  revealRun(run: string): void {
    this.sections.expand(1);
    this._revealedRun.put({ run });
  }

  override dispose(): void {
    this._observer.disconnect();
    this._end();
    super.dispose();
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._mlops.setVisible(true);
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this._mlops.setVisible(this.isVisible);
  }

  protected override onAfterHide(msg: Message): void {
    super.onAfterHide(msg);
    this._mlops.setVisible(false);
  }

  protected override onBeforeDetach(msg: Message): void {
    super.onBeforeDetach(msg);
    this._mlops.setVisible(false);
  }

  /** Sections while there is a project, else what fills the panel instead. */
  private _switch(): void {
    const ready = this._mlops.get().view === 'ready';
    this.content.setHidden(!ready);
    this.toggleClass('jp-mod-whole', !ready);
  }

  private readonly _mlops: MLops;
  private readonly _revealed = new Revealed<IVersionArgs>();
  private readonly _revealedRun = new Revealed<{ run: string }>();
  private readonly _observer: ResizeObserver;
  private readonly _end: () => void;
}

function ModelsWithReveal(
  props: Omit<React.ComponentProps<typeof Models>, 'revealed'> & {
    revealed: Revealed<IVersionArgs>;
  }
): JSX.Element {
  const { revealed, ...rest } = props;
  return <Models {...rest} revealed={useStore(revealed)} />;
}

function RunsWithReveal(
  props: Omit<React.ComponentProps<typeof Runs>, 'revealed'> & {
    revealed: Revealed<{ run: string }>;
  }
): JSX.Element {
  const { revealed, ...rest } = props;
  return <Runs {...rest} revealed={useStore(revealed)} />;
}
