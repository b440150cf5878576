import type { CommandRegistry } from '@lumino/commands';

import { CommandIDs } from '../tokens';

/** A model version as commands take it. */
export interface IVersionArgs {
  name: string;
  version: number;
}

/** What the views let a person do to a model version, each a command of the application. */
export class VersionActions {
  constructor(private readonly _commands: CommandRegistry) {}

  insert(which: IVersionArgs): void {
    this._run(CommandIDs.insert, which);
  }

  copyUri(which: IVersionArgs): void {
    this._run(CommandIDs.copyUri, which);
  }

  setAlias(which: IVersionArgs): void {
    this._run(CommandIDs.setAlias, which);
  }

  private _run(id: string, which: IVersionArgs): void {
    void this._commands.execute(id, { name: which.name, version: which.version });
  }
}

/** What the views let a person do to a version of data, each a command of the application. */
export class SnapshotActions {
  constructor(private readonly _commands: CommandRegistry) {}

  insert(which: IVersionArgs): void {
    const spec = `${which.name}@${which.version}`;
    void this._commands.execute(CommandIDs.insertSnapshot, { spec });
  }

  show(spec: string): void {
    void this._commands.execute(CommandIDs.showSnapshot, { spec });
  }
}
