export {
  ActionButton,
  type IActionButtonProps,
  type OnAction
} from './ActionButton';
export { CourseChart, type ICourseChartProps } from './CourseChart';
export { DataTable, type IDataTableProps } from './DataTable';
export { EventLog, type IEventLogProps } from './EventLog';
export { type IMeterProps, Meter } from './Meter';
export { type IPillProps, Pill } from './Pill';
export { type ISparkLineProps, SparkLine } from './SparkLine';
export { type ITilesProps, Tiles } from './Tiles';
