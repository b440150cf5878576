import type { TranslationBundle } from '@jupyterlab/translation';
import { searchIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { mlopsIcon } from '../icons';
import { filterModels } from '../model/filter';
import type { Memory } from '../model/memory';
import type { MLops } from '../model/mlops';
import type { ProjectData } from '../model/project';
import { groupId, isGroupId, versionId } from '../model/rows';
import type { VersionActions } from './actions';
import { FilterBox } from './filterbox';
import { useStore } from './hooks';
import { Awaited, ErrorMessage, Message, TextButton } from './parts';
import { ModelTree } from './tree';
import { FirstCell } from './whole';

/** Models start unfolded while there are few; more than these start folded. */
const FEW_MODELS = 8;

interface IModelsProps {
  mlops: MLops;
  memory: Memory;
  actions: VersionActions;
  trans: TranslationBundle;
  /** The version to bring into view; a new object asks again. */
  revealed: { name: string; version: number } | null;
}

/** The section "Model versions". */
export function Models(props: IModelsProps): JSX.Element | null {
  const { project } = useStore(props.mlops);
  return project === null ? null : <ModelsOf key={project.key} {...props} project={project} />;
}

function ModelsOf(props: IModelsProps & { project: ProjectData }): JSX.Element {
  const { mlops, memory, project, trans } = props;
  const { data, error } = useStore(project.models);
  const waiting = useStore(project.status).data?.waiting ?? 0;
  const { open } = useStore(memory);
  const [filter, setFilter] = React.useState('');
  // Typing stays smooth with thousands of versions.
  const wanted = React.useDeferredValue(filter);
  const models = React.useMemo(() => filterModels(data ?? [], wanted), [data, wanted]);
  const filtering = wanted.trim() !== '';
  const few = (data?.length ?? 0) <= FEW_MODELS;

  const [reveal, setReveal] = React.useState<{ id: string; count: number } | null>(null);
  const { revealed } = props;
  React.useEffect(() => {
    if (revealed !== null) {
      setFilter('');
      memory.setOpen(groupId(revealed.name), true);
      setReveal(now => ({
        id: versionId(revealed.name, revealed.version),
        count: (now?.count ?? 0) + 1
      }));
    }
  }, [revealed, memory]);

  const isOpen = React.useCallback(
    (id: string, kind: 'group' | 'version') =>
      kind === 'group' && filtering ? true : (open[id] ?? (kind === 'group' && few)),
    [open, few, filtering]
  );

  const retry = () => void project.models.retry();
  if (data === null) {
    return <Awaited error={error} rows={3} trans={trans} onRetry={retry} />;
  }
  if (data.length === 0) {
    return (
      <div className="jp-mlops-models">
        {error && <ErrorMessage compact error={error} trans={trans} onRetry={retry} />}
        <Message
          className="jp-mlops-empty"
          icon={mlopsIcon}
          title={trans.__('No model versions yet')}
        >
          {waiting > 0 && (
            <p>
              {trans._n(
                '%1 run is on its way to the tracking store.',
                '%1 runs are on their way to the tracking store.',
                waiting
              )}
            </p>
          )}
          <FirstCell trans={trans} />
        </Message>
      </div>
    );
  }
  return (
    <div className="jp-mlops-models">
      {error && <ErrorMessage compact error={error} trans={trans} onRetry={retry} />}
      <FilterBox
        value={filter}
        onChange={setFilter}
        label={trans.__('Filter model versions')}
        placeholder={trans.__('Filter by model, alias, run, notebook or metric')}
        trans={trans}
      />
      {models.length === 0 ? (
        <Message
          className="jp-mlops-no-match"
          icon={searchIcon}
          title={trans.__('No version matches “%1”', wanted.trim())}
        >
          <div className="jp-mlops-buttons">
            <TextButton label={trans.__('Clear the filter')} onClick={() => setFilter('')} />
          </div>
        </Message>
      ) : (
        <ModelTree
          models={models}
          mlops={mlops}
          actions={props.actions}
          trans={trans}
          isOpen={isOpen}
          setOpen={(id, value) => {
            // Every match is shown: folding is for the whole list.
            if (!(filtering && isGroupId(id))) {
              memory.setOpen(id, value);
            }
          }}
          reveal={reveal}
        />
      )}
    </div>
  );
}
