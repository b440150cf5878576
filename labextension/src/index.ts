import { findings } from './plugins/findings';
import { kernel } from './plugins/kernel';
import { model } from './plugins/model';
import { panel } from './plugins/panel';
import { promote } from './plugins/promote';
import { runcard } from './plugins/runcard';
import { snapshots } from './plugins/snapshots';
import { versions } from './plugins/versions';

export { CommandIDs, IMLops } from './tokens';

export default [model, kernel, panel, versions, snapshots, promote, runcard, findings];
