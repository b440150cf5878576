import type { TranslationBundle } from '@jupyterlab/translation';
import { historyIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { formatAge, formatTime } from '../model/format';
import type { MLops } from '../model/mlops';
import type { ProjectData } from '../model/project';
import type { ISchedule } from '../model/types';
import { useNow, useStore } from './hooks';
import { Awaited, Banner, Chip, Command, ErrorMessage, Message } from './parts';

interface ISchedulesProps {
  mlops: MLops;
  trans: TranslationBundle;
}

/** The section "Schedules": what fires next, how the last firing went. */
export function Schedules(props: ISchedulesProps): JSX.Element {
  const { project } = useStore(props.mlops);
  return (
    <div className="jp-mlops-schedules">
      {project && <SchedulesOf key={project.key} {...props} project={project} />}
    </div>
  );
}

function SchedulesOf(props: ISchedulesProps & { project: ProjectData }): JSX.Element {
  const { project, trans } = props;
  const { data, error } = useStore(project.schedules);
  const now = useNow();
  const retry = () => void project.schedules.retry();
  if (data === null) {
    return <Awaited error={error} rows={1} trans={trans} onRetry={retry} />;
  }
  if (data.schedules.length === 0) {
    return (
      <Message
        className="jp-mlops-empty"
        icon={historyIcon}
        title={trans.__('Nothing is scheduled')}
      >
        <p>{trans.__('Promote a notebook, then run its pipeline every morning:')}</p>
        <Command
          text={`jupyter mlops schedule add PIPELINE --cron "0 6 * * *" --tz ${localZone()}`}
          trans={trans}
        />
      </Message>
    );
  }
  const due = data.schedules.some(schedule => schedule.enabled);
  return (
    <>
      {error && <ErrorMessage compact error={error} trans={trans} onRetry={retry} />}
      {!data.agent_running && due && (
        <Banner kind="warn" className="jp-mlops-agent-stopped" trans={trans}>
          <div>{trans.__('The agent is not running, so nothing fires. Start it:')}</div>
          <Command text="jupyter mlops agent start" trans={trans} />
        </Banner>
      )}
      <ul className="jp-mlops-list" aria-label={trans.__('Schedules')}>
        {data.schedules.map(schedule => (
          <ScheduleItem
            key={schedule.id}
            schedule={schedule}
            firing={data.agent_running}
            now={now}
            trans={trans}
          />
        ))}
      </ul>
    </>
  );
}

function ScheduleItem(props: {
  schedule: ISchedule;
  firing: boolean;
  now: number;
  trans: TranslationBundle;
}): JSX.Element {
  const { schedule, trans, now } = props;
  const { last } = schedule;
  const next =
    !schedule.enabled || schedule.next_at === null
      ? null
      : formatTime(schedule.next_at, schedule.timezone);
  return (
    <li className="jp-mlops-item" data-schedule={schedule.id}>
      <div className="jp-mlops-item-line">
        <span className="jp-mlops-item-name" title={schedule.pipeline}>
          {schedule.pipeline}
        </span>
        {!schedule.enabled && <Chip kind="plain">{trans.__('paused')}</Chip>}
        {last && (
          <Chip
            kind={kindOf(last.state)}
            title={trans.__('Slot %1', formatTime(last.slot, schedule.timezone))}
          >
            {lastText(last.state, last.exit_code, trans)}
          </Chip>
        )}
      </div>
      <div className="jp-mlops-item-line jp-mlops-mod-wrap jp-mlops-muted">
        <span className="jp-mlops-item-detail" title={schedule.timezone}>
          <code>{schedule.cron}</code> {schedule.timezone}
        </span>
        {next !== null && schedule.next_at !== null && (
          <span
            className={`jp-mlops-item-when ${props.firing ? '' : 'jp-mlops-mod-idle'}`}
            title={trans.__('Next: %1 (%2)', next, schedule.timezone)}
          >
            {schedule.next_at > now
              ? trans.__('%1 · %2', next, formatAge(schedule.next_at, now, 'narrow'))
              : trans.__('due since %1', next)}
          </span>
        )}
      </div>
    </li>
  );
}

function kindOf(state: string): 'good' | 'bad' | 'busy' | 'plain' {
  switch (state) {
    case 'done':
      return 'good';
    case 'failed':
    case 'lost':
      return 'bad';
    case 'due':
    case 'running':
      return 'busy';
    default:
      return 'plain';
  }
}

function lastText(state: string, exitCode: number | null, trans: TranslationBundle): string {
  const failed = exitCode !== null && exitCode !== 0;
  return failed ? trans.__('%1 (exit %2)', state, exitCode) : state;
}

function localZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
}
