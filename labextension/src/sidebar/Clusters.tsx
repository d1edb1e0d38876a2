import { classes } from '@jupyterlab/ui-components';
import { type ReactElement, useEffect, useRef, useState } from 'react';
import type { Card, Operation } from '../api/types';
import type { ClustersModel } from '../state/model';
import { useClusters } from '../state/use';
import { ClusterCard } from './ClusterCard';
import { Handlers, type IHandlers, useHandlers } from './handlers';
import { Empty } from './Empty';
import { OperationItem } from './OperationItem';
import { Standing } from './Standing';

export interface IClustersProps {
  model: ClustersModel;
  handlers: IHandlers;
}

/** All clusters, what is begun with them, and how the server is reached. */
export function Clusters({ model, handlers }: IClustersProps): ReactElement {
  const { connection, isKnown, names, cards, operations } = useClusters(
    model,
    state => state
  );
  const isOld = connection.phase === 'away' || connection.phase === 'absent';
  const shown = shownCards(
    names.flatMap(name => cards.get(name) ?? []),
    operations
  );
  const first = firstOf(shown);
  return (
    <Handlers.Provider value={handlers}>
      <div className="jc-Clusters-live" role="status">
        <Standing connection={connection} hasOld={shown.length > 0} />
      </div>
      <Spoken operations={operations} />
      <div className={classes('jc-Clusters', isOld ? 'jc-mod-old' : '')}>
        <Operations operations={operations} />
        {isKnown && shown.length === 0 && !isOld && (
          <Empty hasBegun={operations.some(operation => !operation.is_over)} />
        )}
        {!isKnown && !isOld && <Waiting />}
        <ul className="jc-Clusters-cards">
          {shown.map(card => (
            <ClusterCard key={card.name} card={card} isFirst={card === first} />
          ))}
        </ul>
      </div>
    </Handlers.Provider>
  );
}

/** Without clusters that have nothing to show yet: that they start stands above. */
export function shownCards(
  cards: readonly Card[],
  operations: readonly Operation[]
): readonly Card[] {
  const going = operations.filter(({ is_over: isOver }) => !isOver);
  const starting = new Set(
    going.filter(one => one.verb === 'up').map(one => one.cluster)
  );
  return cards.filter(
    card => !(card.runs && card.blank && starting.has(card.name))
  );
}

/** The cluster that is somebody's only one and has no work: they are shown how it is given some. */
export function firstOf(cards: readonly Card[]): Card | undefined {
  const running = cards.filter(card => card.runs);
  const [card] = running;
  const isIdle =
    card?.state.meaning === 'good' &&
    card.jobs.length === 0 &&
    card.spark.values.every(value => value === 0);
  return running.length === 1 && isIdle && !card.blank ? card : undefined;
}

function Operations({
  operations
}: {
  operations: readonly Operation[];
}): ReactElement | null {
  const { trans } = useHandlers();
  if (operations.length === 0) {
    return null;
  }
  return (
    <ul
      className="jc-Clusters-operations"
      aria-label={trans.__('Clusters that start or end')}
    >
      {operations.map(operation => (
        <OperationItem key={operation.id} operation={operation} />
      ))}
    </ul>
  );
}

function Waiting(): ReactElement {
  const { trans } = useHandlers();
  return <p className="jc-Blank">{trans.__('Asking the Jupyter server …')}</p>;
}

/** Reads aloud how an operation stands when that changes; what was there before is not read. */
function Spoken({
  operations
}: {
  operations: readonly Operation[];
}): ReactElement {
  const known = useRef<ReadonlyMap<string, string> | null>(null);
  const [said, setSaid] = useState('');
  useEffect(() => {
    const now = new Map(
      operations.map(({ id, state }) => [id, `${state.text}. ${state.hint}`])
    );
    const before = known.current;
    known.current = now;
    const changed = [...now].filter(
      ([id, words]) => before && before.get(id) !== words
    );
    if (changed.length > 0) {
      setSaid(changed.map(([, words]) => words).join(' '));
    }
  }, [operations]);
  return (
    <div className="jc-Unseen" aria-live="polite">
      {said}
    </div>
  );
}
