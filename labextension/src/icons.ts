import { LabIcon } from '@jupyterlab/ui-components';

import alert from '../style/icons/alert.svg';
import alias from '../style/icons/alias.svg';
import insert from '../style/icons/insert.svg';
import mlops from '../style/icons/mlops.svg';
import promote from '../style/icons/promote.svg';

/** The extension's own: a model in its loop. */
export const mlopsIcon = new LabIcon({ name: 'jupyter-mlops:mlops', svgstr: mlops });

/** A notebook becoming a pipeline. */
export const promoteIcon = new LabIcon({ name: 'jupyter-mlops:promote', svgstr: promote });

/** Code going into a cell. */
export const insertIcon = new LabIcon({ name: 'jupyter-mlops:insert', svgstr: insert });

/** A name tied to a version. */
export const aliasIcon = new LabIcon({ name: 'jupyter-mlops:alias', svgstr: alias });

/** A warning that does not stop anything. */
export const alertIcon = new LabIcon({ name: 'jupyter-mlops:alert', svgstr: alert });
