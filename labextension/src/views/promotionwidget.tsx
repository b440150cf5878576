import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import * as React from 'react';
import type { Root } from 'react-dom/client';
import { createRoot } from 'react-dom/client';

import { promoteIcon } from '../icons';
import type { PromotionPreview } from '../model/preview';
import type { IPreviewActions } from './promotion';
import { PromotionView } from './promotion';

let made = 0;

/** The tab that shows a promotion before anything is written; it owns the preview. */
export class PromotionWidget extends Widget {
  constructor(
    readonly preview: PromotionPreview,
    notebook: string,
    actions: IPreviewActions,
    trans: TranslationBundle
  ) {
    super();
    this.id = `jp-mlops-promotion-${++made}`;
    this.addClass('jp-mlops-promotion');
    this.title.label = trans.__('Promote %1', notebook);
    this.title.icon = promoteIcon;
    this.title.closable = true;
    this.node.tabIndex = -1;
    this._root = createRoot(this.node);
    this._root.render(
      <PromotionView preview={preview} notebook={notebook} actions={actions} trans={trans} />
    );
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this.preview.dispose();
      this._root.unmount();
    }
    super.dispose();
  }

  protected override onActivateRequest(_: Message): void {
    this.node.focus();
  }

  protected override onCloseRequest(_: Message): void {
    this.dispose();
  }

  private readonly _root: Root;
}
