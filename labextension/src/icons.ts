import { LabIcon } from '@jupyterlab/ui-components';
import clusterSvg from '../style/icons/cluster.svg';

/** A head and its nodes. */
export const clusterIcon = new LabIcon({
  name: 'jupyter-cluster:cluster',
  svgstr: clusterSvg
});
