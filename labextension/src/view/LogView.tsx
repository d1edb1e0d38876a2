import type { TranslationBundle } from '@jupyterlab/translation';
import { Button, classes, HTMLSelect } from '@jupyterlab/ui-components';
import {
  memo,
  type ReactElement,
  useLayoutEffect,
  useRef,
  useState
} from 'react';

import type { LogLine } from '../api/types';
import { type ILogEntry, MOST_LINES, plainText } from './logs';
import { SetUpLog } from './SetUpLog';
import type { IClusterSource } from './source';
import { useLogs } from './useLogs';

/** What of the logs is shown; an empty node or job is all of them. */
export interface ILogChoice {
  node: string;
  job: string;

  /** What setting up the node has written, and not what its tasks have. */
  isSetUp: boolean;
}

export const ALL_LOGS: ILogChoice = { node: '', job: '', isSetUp: false };

export interface ILogViewProps {
  choice: ILogChoice;
  onChoice: (choice: ILogChoice) => void;
  nodes: readonly string[];

  /** Names of jobs by their ids. */
  jobs: ReadonlyMap<string, string>;

  /** Seconds that the clock of the other words is ahead of UTC. */
  utcOffset: number;
  requests: Pick<IClusterSource, 'logs' | 'nodeLog'>;

  /** Whether anybody can see it. */
  isShown: () => boolean;
  trans: TranslationBundle;
}

/** What tasks write, or what setting up a node has written. */
export function LogView(props: ILogViewProps): ReactElement {
  const { choice, onChoice, nodes, jobs, requests, trans } = props;
  const { node, job, isSetUp } = choice;
  const ids = [...jobs.keys()];
  return (
    <div className="jc-LogView">
      <div className="jc-LogView-bar">
        <HTMLSelect
          aria-label={trans.__('Node')}
          value={node}
          onChange={event =>
            onChoice({ ...choice, node: event.target.value, isSetUp: false })
          }
        >
          <option value="">{trans.__('all nodes')}</option>
          {withChosen(nodes, node).map(name => (
            <option key={name}>{name}</option>
          ))}
        </HTMLSelect>
        {!isSetUp && (
          <HTMLSelect
            aria-label={trans.__('Job')}
            value={job}
            onChange={event => onChoice({ ...choice, job: event.target.value })}
          >
            <option value="">{trans.__('all jobs')}</option>
            {withChosen(ids, job).map(id => (
              <option key={id} value={id}>
                {jobs.get(id) ?? id}
              </option>
            ))}
          </HTMLSelect>
        )}
        {node && (
          <Button
            className="jc-ToggleButton"
            small
            type="button"
            aria-pressed={isSetUp}
            onClick={() => onChoice({ ...choice, isSetUp: !isSetUp })}
          >
            {trans.__('Set-up of %1', node)}
          </Button>
        )}
      </div>
      {isSetUp ? (
        <SetUpLog key={node} node={node} requests={requests} trans={trans} />
      ) : (
        <TaskLog key={JSON.stringify([node, job])} {...props} />
      )}
    </div>
  );
}

/** What is chosen can be seen to be chosen, though it has gone. */
function withChosen(names: readonly string[], chosen: string): string[] {
  return !chosen || names.includes(chosen) ? [...names] : [...names, chosen];
}

function TaskLog(props: ILogViewProps): ReactElement {
  const { choice, jobs, utcOffset, requests, isShown, trans } = props;
  const { logs, isThere, problem } = useLogs(
    requests,
    choice.node,
    choice.job,
    isShown
  );
  const blank = isThere
    ? trans.__('No task has written anything here yet.')
    : trans.__('Asking the head …');
  return (
    <>
      {problem && (
        <p className="jc-Notice jc-mod-bad" role="alert">
          {problem}
        </p>
      )}
      {!logs.entries.length && !problem && <p className="jc-Blank">{blank}</p>}
      {logs.leftOut > 0 && (
        <p className="jc-Blank">
          {trans.__(
            '%1 older lines are left out: the newest %2 are kept.',
            logs.leftOut.toLocaleString(),
            MOST_LINES.toLocaleString()
          )}
        </p>
      )}
      <Followed count={logs.entries} trans={trans}>
        {logs.entries.map(entry => (
          <Entry
            key={entry.key}
            entry={entry}
            job={jobs.get(entry.line?.job ?? '') ?? entry.line?.job ?? ''}
            utcOffset={utcOffset}
            trans={trans}
          />
        ))}
      </Followed>
    </>
  );
}

interface IFollowedProps {
  /** Another when there are more lines. */
  count: unknown;
  children: ReactElement[];
  trans: TranslationBundle;
}

/** Lines that stay at their end while they grow, until one has scrolled up. */
function Followed({ count, children, trans }: IFollowedProps): ReactElement {
  const place = useRef<HTMLDivElement>(null);
  const before = useRef(0);
  const [isFollowing, setFollowing] = useState(true);
  const toEnd = (): void => {
    const element = place.current;
    if (element) {
      element.scrollTop = element.scrollHeight;
    }
  };
  useLayoutEffect(() => {
    if (isFollowing) {
      toEnd();
    }
  }, [count, isFollowing]);
  const scroll = (event: React.UIEvent<HTMLDivElement>): void => {
    const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
    const isAtEnd = scrollHeight - scrollTop - clientHeight < 8;
    // Going down is how it follows: only who goes up means to stay.
    if (isAtEnd || scrollTop < before.current) {
      setFollowing(isAtEnd);
    }
    before.current = scrollTop;
  };
  return (
    <div className="jc-LogView-place">
      <div
        className="jc-LogView-lines"
        ref={place}
        role="log"
        aria-live="off"
        aria-label={trans.__('Output of tasks')}
        tabIndex={0}
        onScroll={scroll}
      >
        {children}
      </div>
      {!isFollowing && (
        <Button
          className="jc-LogView-newest"
          small
          type="button"
          onClick={() => {
            setFollowing(true);
            toEnd();
          }}
        >
          {trans.__('To the newest line')}
        </Button>
      )}
    </div>
  );
}

interface IEntryProps {
  entry: ILogEntry;
  job: string;
  utcOffset: number;
  trans: TranslationBundle;
}

const Entry = memo(function Entry(props: IEntryProps): ReactElement {
  const { line } = props.entry;
  if (!line) {
    return (
      <div className="jc-LogView-anew">
        {props.trans.__('The head was started anew.')}
      </div>
    );
  }
  return (
    <div
      className={classes(
        'jc-LogView-line',
        line.stream === 'stderr' ? 'jc-mod-stderr' : ''
      )}
      title={props.job}
    >
      <span className="jc-LogView-clock">{clockOf(line, props.utcOffset)}</span>
      <span className="jc-LogView-node">
        {line.node}/{line.slot}
      </span>
      <span className="jc-LogView-text">{plainText(line.text)}</span>
    </div>
  );
});

function clockOf(line: LogLine, utcOffset: number): string {
  const there = new Date((line.time + utcOffset) * 1000);
  return there.toISOString().slice(11, 19);
}
