export type {
  Freshness,
  IClusterSource,
  IClusterSources,
  ILogFilter
} from './source';
export { ClusterWidget, type IClusterWidgetOptions } from './widget';
