import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { clustersPlugin } from './plugin';
import { yamlPlugin } from './yaml';

const plugins: JupyterFrontEndPlugin<void>[] = [clustersPlugin, yamlPlugin];

export default plugins;
