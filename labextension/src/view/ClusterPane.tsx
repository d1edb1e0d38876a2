import type { TranslationBundle } from '@jupyterlab/translation';
import { classes, listIcon, terminalIcon } from '@jupyterlab/ui-components';
import { type ReactElement, useCallback, useState } from 'react';

import type { Action, ClusterView, Row, ScaleRequest } from '../api/types';
import { CourseChart, DataTable, EventLog, Tiles } from '../elements';
import type { DrawFigure } from './figures';
import { FigureView } from './FigureView';
import { Header } from './Header';
import { IconButton } from './IconButton';
import { Limits } from './Limits';
import { ALL_LOGS, type ILogChoice, LogView } from './LogView';
import { Notice } from './Notice';
import type { Freshness, IClusterSource } from './source';
import { type ITab, Tabs } from './Tabs';
import { useAttempt } from './useAttempt';

export const TABS = ['jobs', 'nodes', 'events', 'logs', 'course'] as const;

/** What of a cluster is shown below its course. */
export type Tab = (typeof TABS)[number];

/** What the view asks for. */
export type IRequests = Pick<
  IClusterSource,
  'act' | 'scale' | 'logs' | 'nodeLog' | 'figure' | 'attach'
>;

export interface IClusterPaneProps {
  name: string;
  view: ClusterView | null;
  freshness: Freshness;

  /** Why it is not fresh. */
  why: string;
  requests: IRequests;
  tab: Tab;
  onTab: (tab: Tab) => void;
  drawFigure: DrawFigure;

  /** Whether anybody can see it. */
  isShown: () => boolean;
  trans: TranslationBundle;
}

/** All of one cluster. */
export function ClusterPane(props: IClusterPaneProps): ReactElement {
  const { name, view } = props;
  if (!view) {
    return (
      <div className="jc-ClusterPane">
        <h2 className="jc-Header-name">{name}</h2>
        <p className="jc-Blank" role="status">
          {blankWords(props)}
        </p>
      </div>
    );
  }
  return <Shown {...props} view={view} />;
}

function blankWords({ freshness, why, trans }: IClusterPaneProps): string {
  switch (freshness) {
    case 'fresh':
      return trans.__('Asking how it stands …');
    case 'away':
      return `${trans.__('The Jupyter server does not answer; trying again.')} ${why}`;
    case 'gone':
      return why || trans.__('There is no cluster of this name.');
  }
}

function Shown(props: IClusterPaneProps & { view: ClusterView }): ReactElement {
  const { view, freshness, why, requests, tab, onTab, trans } = props;
  const { attempt, told, forget } = useAttempt();
  const [choice, setChoice] = useState<ILogChoice>(ALL_LOGS);
  const onAction = useCallback(
    (action: Action) => attempt(() => requests.act(action)),
    [attempt, requests]
  );
  const onScale = useCallback(
    (limits: ScaleRequest) => attempt(() => requests.scale(limits)),
    [attempt, requests]
  );
  const onAttach = useCallback(
    (node: string) => void attempt(() => requests.attach(node)),
    [attempt, requests]
  );
  const onLogs = useCallback(
    (chosen: Partial<ILogChoice>) => {
      setChoice({ ...ALL_LOGS, ...chosen });
      onTab('logs');
    },
    [onTab]
  );
  const isPast = freshness !== 'fresh' || view.state.meaning === 'off';
  return (
    <div className={classes('jc-ClusterPane', isPast ? 'jc-mod-past' : '')}>
      <Header
        view={view}
        freshness={freshness}
        why={why}
        onAttach={onAttach}
        trans={trans}
      />
      {told && <Notice told={told} onClose={forget} trans={trans} />}
      {view.tiles.length > 0 && <Tiles tiles={view.tiles} />}
      {view.controls && freshness !== 'gone' && (
        <Limits
          controls={view.controls}
          onScale={onScale}
          onAction={onAction}
        />
      )}
      <CourseChart chart={view.chart} />
      <Tabs
        label={trans.__('Parts of cluster %1', view.name)}
        tabs={tabsOf(view, trans)}
        current={tab}
        onCurrent={onTab}
      >
        <Part
          {...props}
          choice={choice}
          onChoice={setChoice}
          onAction={onAction}
          onAttach={onAttach}
          onLogs={onLogs}
        />
      </Tabs>
    </div>
  );
}

function tabsOf(view: ClusterView, trans: TranslationBundle): ITab<Tab>[] {
  return [
    { name: 'jobs', title: view.jobs.title, count: view.jobs.count },
    { name: 'nodes', title: view.nodes.title, count: view.nodes.count },
    { name: 'events', title: trans.__('events') },
    { name: 'logs', title: trans.__('logs') },
    { name: 'course', title: trans.__('whole course') }
  ];
}

interface IPartProps extends IClusterPaneProps {
  view: ClusterView;
  choice: ILogChoice;
  onChoice: (choice: ILogChoice) => void;
  onAction: (action: Action) => unknown;
  onAttach: (node: string) => void;
  onLogs: (chosen: Partial<ILogChoice>) => void;
}

/** What the current tab has. */
function Part(props: IPartProps): ReactElement {
  const { view, freshness, tab, onAction, onAttach, onLogs, trans } = props;
  // Of a cluster that has gone nothing can be asked.
  const isThere = freshness !== 'gone';
  const endOfJob = useCallback(
    (job: Row) => (
      <IconButton
        icon={listIcon}
        label={trans.__('Output of job %1', nameOf(job))}
        onClick={() => onLogs({ job: job.key })}
      />
    ),
    [onLogs, trans]
  );
  const endOfNode = useCallback(
    ({ key: node }: Row) => (
      <>
        <IconButton
          icon={terminalIcon}
          label={trans.__('Terminal on %1', node)}
          onClick={() => onAttach(node)}
        />
        <IconButton
          icon={listIcon}
          label={trans.__('Output of node %1', node)}
          onClick={() => onLogs({ node })}
        />
      </>
    ),
    [onAttach, onLogs, trans]
  );
  switch (tab) {
    case 'jobs':
      return (
        <DataTable
          table={view.jobs}
          {...(isThere && { onAction, endOf: endOfJob })}
          hasHeading={false}
        />
      );
    case 'nodes':
      return (
        <DataTable
          table={view.nodes}
          {...(isThere && { onAction, endOf: endOfNode })}
          hasHeading={false}
        />
      );
    case 'events':
      return <EventLog events={view.events} blank={view.events_blank} />;
    case 'logs':
      return <Logs {...props} />;
    case 'course':
      return (
        <FigureView
          requests={props.requests}
          draw={props.drawFigure}
          trans={trans}
        />
      );
  }
}

function Logs(props: IPartProps): ReactElement {
  const { view, choice, onChoice, requests, isShown, trans } = props;
  const jobs = view.jobs.rows.map(row => [row.key, nameOf(row)] as const);
  return (
    <LogView
      choice={choice}
      onChoice={onChoice}
      nodes={view.nodes.rows.map(row => row.key)}
      jobs={new Map(jobs)}
      utcOffset={
        view.chart.blank
          ? -60 * new Date().getTimezoneOffset()
          : view.chart.utc_offset
      }
      requests={requests}
      isShown={isShown}
      trans={trans}
    />
  );
}

function nameOf(row: Row): string {
  return row.cells[0]?.words.text ?? row.key;
}
