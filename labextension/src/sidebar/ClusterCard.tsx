import { classes, ellipsesIcon } from '@jupyterlab/ui-components';
import {
  memo,
  type MouseEvent,
  type ReactElement,
  useCallback,
  useId
} from 'react';
import type { Action, Card, JobLine } from '../api/types';
import {
  ActionButton,
  Meter,
  type OnAction,
  Pill,
  SparkLine,
  Tiles
} from '../elements';
import { BusyButton } from './BusyButton';
import { useHandlers } from './handlers';

export interface IClusterCardProps {
  card: Card;
  /** Whether it is shown how a first cluster is used. */
  isFirst: boolean;
}

/** A cluster in short. */
export const ClusterCard = memo(function ClusterCard(
  props: IClusterCardProps
): ReactElement {
  const { card, isFirst } = props;
  const { act } = useHandlers();
  const onAction = useCallback(
    (action: Action) => act(card.name, action),
    [act, card.name]
  );
  const id = useId();
  const hasCourse = card.spark.values.some(value => value > 0);
  return (
    <li
      className={classes('jc-Card', card.runs ? '' : 'jc-mod-stopped')}
      data-name={card.name}
      aria-labelledby={id}
    >
      <Head card={card} id={id} />
      {card.place && <p className="jc-Card-place">{card.place}</p>}
      {card.blank && <p className="jc-Card-blank jc-Label">{card.blank}</p>}
      {card.tiles.length > 0 && <Tiles tiles={card.tiles} />}
      {hasCourse && <SparkLine spark={card.spark} />}
      <Problems problems={card.problems} />
      <Jobs card={card} onAction={onAction} />
      {isFirst && <FirstStep name={card.name} />}
      <Buttons card={card} onAction={onAction} />
    </li>
  );
});

/** The name, which opens the cluster, wherever on the card it is clicked. */
function Head({ card, id }: { card: Card; id: string }): ReactElement {
  const { trans, open } = useHandlers();
  return (
    <div className="jc-Card-head">
      <h3>
        <button
          id={id}
          type="button"
          className="jc-Card-name"
          title={trans.__('Open cluster %1', card.name)}
          onClick={() => open(card.name)}
        >
          {card.name}
        </button>
      </h3>
      <Pill words={card.state} />
    </div>
  );
}

function Problems({
  problems
}: {
  problems: readonly string[];
}): ReactElement | null {
  if (problems.length === 0) {
    return null;
  }
  return (
    <ul className="jc-Card-problems">
      {problems.map((problem, at) => (
        <li key={at}>{problem}</li>
      ))}
    </ul>
  );
}

function Jobs({
  card,
  onAction
}: {
  card: Card;
  onAction: OnAction;
}): ReactElement | null {
  const { trans } = useHandlers();
  if (card.jobs.length === 0) {
    return null;
  }
  return (
    <>
      <ul
        className="jc-Card-jobs"
        aria-label={trans.__('Jobs of cluster %1', card.name)}
      >
        {card.jobs.map(job => (
          <Job key={job.key} job={job} onAction={onAction} />
        ))}
      </ul>
      {card.more && <p className="jc-Card-more">{card.more}</p>}
    </>
  );
}

function Job({
  job,
  onAction
}: {
  job: JobLine;
  onAction: OnAction;
}): ReactElement {
  return (
    <li className="jc-Card-job">
      <span className="jc-Card-jobName" title={job.name}>
        {job.name}
      </span>
      {job.cancel && <ActionButton action={job.cancel} onAction={onAction} />}
      {job.bar && <Meter bar={job.bar} />}
      <span className="jc-Card-jobText">{job.text}</span>
    </li>
  );
}

/** What somebody does with their first cluster. */
function FirstStep({ name }: { name: string }): ReactElement {
  const { trans, tryOut } = useHandlers();
  return (
    <div className="jc-Card-first">
      <p>{trans.__('It waits for work. A cell that gives it some:')}</p>
      <BusyButton
        className="jc-mod-primary"
        label={trans.__('Try cluster %1 in the notebook', name)}
        onClick={() => tryOut(name)}
      >
        {trans.__('Try it in the notebook')}
      </BusyButton>
    </div>
  );
}

function Buttons({
  card,
  onAction
}: {
  card: Card;
  onAction: OnAction;
}): ReactElement {
  const { trans, connect } = useHandlers();
  const { name, runs, actions } = card;
  return (
    <div className="jc-Card-buttons">
      {runs && (
        <BusyButton
          label={trans.__(
            'Insert a new cell that connects to cluster %1',
            name
          )}
          onClick={() => connect(name)}
        >
          {trans.__('Connect')}
        </BusyButton>
      )}
      {actions.map(action => (
        <ActionButton key={action.do} action={action} onAction={onAction} />
      ))}
      <button
        type="button"
        className="jc-Card-menu"
        aria-haspopup="menu"
        aria-label={trans.__('More that can be done with cluster %1', name)}
        title={trans.__('More')}
        onClick={openMenu}
      >
        <ellipsesIcon.react tag="span" />
      </button>
    </div>
  );
}

/** Opens the menu that a right click opens, below the button. */
function openMenu({ currentTarget }: MouseEvent<HTMLButtonElement>): void {
  const { left, bottom } = currentTarget.getBoundingClientRect();
  const options = {
    bubbles: true,
    cancelable: true,
    clientX: left,
    clientY: bottom
  };
  currentTarget.dispatchEvent(new window.MouseEvent('contextmenu', options));
}
