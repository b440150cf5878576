import { Clipboard } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { LabIcon } from '@jupyterlab/ui-components';
import { checkIcon, closeIcon, copyIcon, errorIcon, infoIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { alertIcon } from '../icons';
import type { ApiError } from '../model/errors';
import { asApiError } from '../model/errors';

/** A small square button with an icon; its label is a tooltip and what screen readers say. */
export function IconButton(props: {
  icon: LabIcon;
  label: string;
  onClick: (event: React.MouseEvent) => void;
  className?: string;
  disabled?: boolean;
  /** `-1` inside a tree or list that has one tab stop of its own. */
  tabIndex?: number;
}): JSX.Element {
  return (
    <button
      type="button"
      className={`jp-mlops-iconbutton ${props.className ?? ''}`}
      title={props.label}
      aria-label={props.label}
      disabled={props.disabled}
      tabIndex={props.tabIndex}
      onClick={event => {
        event.stopPropagation();
        props.onClick(event);
      }}
    >
      <props.icon.react tag="span" elementSize="normal" />
    </button>
  );
}

/** A button with words. */
export function TextButton(props: {
  label: string;
  onClick: () => void;
  kind?: 'warn' | 'plain';
  className?: string;
  disabled?: boolean;
  title?: string;
  autoFocus?: boolean;
}): JSX.Element {
  return (
    <button
      type="button"
      className={`jp-mlops-button jp-mlops-mod-${props.kind ?? 'plain'} ${props.className ?? ''}`}
      disabled={props.disabled}
      title={props.title}
      autoFocus={props.autoFocus}
      onClick={event => {
        event.stopPropagation();
        props.onClick();
      }}
    >
      {props.label}
    </button>
  );
}

/** Copies `text`; shows a tick for a moment. */
export function CopyButton(props: {
  text: string;
  label: string;
  trans: TranslationBundle;
  className?: string;
  tabIndex?: number;
}): JSX.Element {
  const [copied, setCopied] = React.useState(false);
  React.useEffect(() => {
    if (!copied) {
      return undefined;
    }
    const timer = setTimeout(() => setCopied(false), 1500);
    return () => clearTimeout(timer);
  }, [copied]);
  return (
    <IconButton
      icon={copied ? checkIcon : copyIcon}
      label={copied ? props.trans.__('Copied') : props.label}
      className={props.className}
      tabIndex={props.tabIndex}
      onClick={() => {
        Clipboard.copyToSystem(props.text);
        setCopied(true);
      }}
    />
  );
}

/** A command or a line of code to take along. */
export function Command(props: { text: string; trans: TranslationBundle }): JSX.Element {
  return (
    <div className="jp-mlops-command">
      <code tabIndex={0}>{props.text}</code>
      <CopyButton text={props.text} label={props.trans.__('Copy')} trans={props.trans} />
    </div>
  );
}

/** What stands in a section's place when it has nothing to list. */
export function Message(props: {
  className: string;
  icon?: LabIcon;
  title: string;
  role?: 'status' | 'alert';
  children?: React.ReactNode;
}): JSX.Element {
  return (
    <div className={`jp-mlops-message ${props.className}`} role={props.role ?? 'status'}>
      {props.icon && (
        <props.icon.react tag="div" className="jp-mlops-message-icon" height="28px" width="28px" />
      )}
      <div className="jp-mlops-message-title">{props.title}</div>
      {props.children}
    </div>
  );
}

/** The real cause of a failure, what to do about it, Retry, and the rest behind a button. */
export function ErrorMessage(props: {
  error: ApiError;
  trans: TranslationBundle;
  onRetry: () => void;
  /** One line over data that is still shown, instead of a block in its place. */
  compact?: boolean;
}): JSX.Element {
  const { error, trans } = props;
  const [open, setOpen] = React.useState(false);
  return (
    <div className={`jp-mlops-error ${props.compact ? 'jp-mlops-mod-compact' : ''}`} role="alert">
      <errorIcon.react tag="div" className="jp-mlops-error-icon" height="18px" width="18px" />
      <div className="jp-mlops-error-body">
        <div className="jp-mlops-error-cause">{error.message}</div>
        {error.hint && <div className="jp-mlops-error-hint">{error.hint}</div>}
        <div className="jp-mlops-buttons">
          <TextButton
            className="jp-mlops-retry"
            label={trans.__('Retry')}
            onClick={props.onRetry}
          />
          {error.details && (
            <TextButton
              className="jp-mlops-details"
              label={open ? trans.__('Hide details') : trans.__('Details')}
              onClick={() => setOpen(!open)}
            />
          )}
        </div>
        {open && (
          <pre className="jp-mlops-error-details" tabIndex={0}>
            {error.details}
          </pre>
        )}
      </div>
    </div>
  );
}

/** What a section shows before its data are there: that they come, or why they do not. */
export function Awaited(props: {
  error: ApiError | null;
  rows: number;
  trans: TranslationBundle;
  onRetry: () => void;
}): JSX.Element {
  return props.error === null ? (
    <Skeleton rows={props.rows} trans={props.trans} />
  ) : (
    <ErrorMessage error={props.error} trans={props.trans} onRetry={props.onRetry} />
  );
}

/** Why what a person asked for was not done, beside the thing itself. */
export function Failure(props: { failure: ApiError | null }): JSX.Element | null {
  const { failure } = props;
  return (
    failure && (
      <div className="jp-mlops-item-error" role="alert">
        {failure.message} {failure.hint}
      </div>
    )
  );
}

/** A line above the sections that can be closed. */
export function Banner(props: {
  kind: 'warn' | 'info';
  className?: string;
  trans: TranslationBundle;
  onClose?: () => void;
  children: React.ReactNode;
}): JSX.Element {
  const Icon = props.kind === 'warn' ? alertIcon : infoIcon;
  return (
    <div
      className={`jp-mlops-banner jp-mlops-mod-${props.kind} ${props.className ?? ''}`}
      role="status"
    >
      <Icon.react tag="div" className="jp-mlops-banner-icon" height="16px" width="16px" />
      <div className="jp-mlops-banner-body">{props.children}</div>
      {props.onClose && (
        <IconButton icon={closeIcon} label={props.trans.__('Dismiss')} onClick={props.onClose} />
      )}
    </div>
  );
}

/** Grey lines where rows will be; they appear only when loading takes a while. */
export function Skeleton(props: { rows: number; trans: TranslationBundle }): JSX.Element {
  return (
    <div className="jp-mlops-skeleton" role="status" aria-label={props.trans.__('Loading')}>
      {Array.from({ length: props.rows }, (_, index) => (
        <div key={index} className="jp-mlops-skeleton-row">
          <div className="jp-mlops-skeleton-line" />
          <div className="jp-mlops-skeleton-line jp-mlops-mod-short" />
        </div>
      ))}
    </div>
  );
}

/** A short word in a rounded frame. */
export function Chip(props: {
  kind: 'alias' | 'champion' | 'good' | 'bad' | 'busy' | 'plain';
  title?: string;
  children: React.ReactNode;
}): JSX.Element {
  return (
    <span className={`jp-mlops-chip jp-mlops-mod-${props.kind}`} title={props.title}>
      {props.children}
    </span>
  );
}

/** Shows what went wrong in a part of the panel, instead of leaving it empty. */
export class Guard extends React.Component<
  { trans: TranslationBundle; children: React.ReactNode },
  { error: ApiError | null }
> {
  static getDerivedStateFromError(cause: unknown): { error: ApiError } {
    return { error: asApiError(cause) };
  }

  override state: { error: ApiError | null } = { error: null };

  override render(): React.ReactNode {
    const { error } = this.state;
    return error === null ? (
      this.props.children
    ) : (
      <ErrorMessage
        error={error}
        trans={this.props.trans}
        onRetry={() => this.setState({ error: null })}
      />
    );
  }
}
