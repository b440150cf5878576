import type { TranslationBundle } from '@jupyterlab/translation';
import { extensionIcon, folderIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { MLops } from '../model/mlops';
import { useStore } from './hooks';
import { Command, ErrorMessage, Message, Skeleton, TextButton } from './parts';

/** What fills the panel while it cannot show sections. */
export function Whole(props: { mlops: MLops; trans: TranslationBundle }): JSX.Element | null {
  const { mlops, trans } = props;
  const state = useStore(mlops);
  switch (state.view) {
    case 'ready':
      return null;
    case 'loading':
      return <Skeleton rows={4} trans={trans} />;
    case 'server_missing':
      return <ServerMissing trans={trans} onRetry={() => void mlops.retry()} />;
    case 'error':
      return (
        state.error && (
          <ErrorMessage error={state.error} trans={trans} onRetry={() => void mlops.retry()} />
        )
      );
    case 'no_project':
      return <NoProject state={state} trans={trans} />;
  }
}

function ServerMissing(props: { trans: TranslationBundle; onRetry: () => void }): JSX.Element {
  const { trans } = props;
  return (
    <Message
      className="jp-mlops-server-missing"
      icon={extensionIcon}
      title={trans.__('The server part is not running')}
      role="alert"
    >
      <p>
        {trans.__(
          'This panel needs the server extension of jupyter_mlops. In the environment that Jupyter Server runs in:'
        )}
      </p>
      <Command text="pip install jupyter-mlops" trans={trans} />
      <Command text="jupyter server extension enable jupyter_mlops" trans={trans} />
      <p>{trans.__('Then restart Jupyter Server and reload this page.')}</p>
      <div className="jp-mlops-buttons">
        <TextButton
          className="jp-mlops-retry"
          label={trans.__('Check again')}
          onClick={props.onRetry}
        />
      </div>
    </Message>
  );
}

/** The first lines that a project needs; also what an empty list of models says. */
export function FirstCell(props: { trans: TranslationBundle }): JSX.Element {
  const { trans } = props;
  return (
    <>
      <p>{trans.__('In a notebook, turn tracking on once:')}</p>
      <Command text="%load_ext jupyter_mlops" trans={trans} />
      <p>{trans.__('Then run a cell that fits a model and starts with:')}</p>
      <Command text="%%track --register NAME" trans={trans} />
    </>
  );
}

function NoProject(props: {
  state: ReturnType<MLops['get']>;
  trans: TranslationBundle;
}): JSX.Element {
  const { trans } = props;
  const { unborn, error } = props.state;
  if (unborn !== null) {
    return (
      <Message
        className="jp-mlops-no-project jp-mlops-empty"
        icon={folderIcon}
        title={trans.__('Nothing is tracked in %1 yet', unborn.name)}
      >
        <FirstCell trans={trans} />
        <p className="jp-mlops-muted">
          {trans.__('The project is made in %1 at the first tracked run.', unborn.root)}
        </p>
      </Message>
    );
  }
  return (
    <Message
      className="jp-mlops-no-project jp-mlops-empty"
      icon={folderIcon}
      title={trans.__('No project here')}
    >
      {error && <p>{error.message}</p>}
      {error?.hint && <p>{error.hint}</p>}
      <p>{trans.__('Open a notebook in a project folder, or choose a project above.')}</p>
    </Message>
  );
}
