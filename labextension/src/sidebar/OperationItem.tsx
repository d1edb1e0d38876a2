import { closeIcon, classes } from '@jupyterlab/ui-components';
import { memo, type ReactElement, useEffect, useRef } from 'react';
import type { Operation } from '../api/types';
import { ActionButton, Meter } from '../elements';
import { BusyButton } from './BusyButton';
import { useHandlers } from './handlers';

/** The start or the end of a cluster: how far it is, or how it has ended. */
export const OperationItem = memo(function OperationItem(props: {
  operation: Operation;
}): ReactElement {
  const { operation } = props;
  const { trans, act, dismiss } = useHandlers();
  const { state, lines, bar, interrupt, is_over: isOver } = operation;
  const isQuiet = isOver && state.meaning !== 'bad';
  return (
    <li
      className={classes(
        'jc-Operation',
        state.meaning && `jc-mod-${state.meaning}`
      )}
    >
      <div className="jc-Operation-head">
        <span className="jc-Operation-state jc-Label">{state.text}</span>
        {interrupt && (
          <ActionButton
            action={interrupt}
            onAction={() => act(operation.cluster, interrupt)}
          />
        )}
        {isOver && (
          <BusyButton
            className="jc-mod-icon"
            label={trans.__('Dismiss: %1', state.text)}
            onClick={() => dismiss(operation)}
          >
            <closeIcon.react tag="span" />
          </BusyButton>
        )}
      </div>
      {state.hint && <p className="jc-Operation-why">{state.hint}</p>}
      {bar && <Meter bar={bar} />}
      {!isQuiet && lines.length > 0 && <Lines lines={lines} />}
    </li>
  );
});

/** What an operation has said: the newest is in sight, until somebody looks at what was before. */
function Lines({ lines }: { lines: readonly string[] }): ReactElement {
  const { trans } = useHandlers();
  const list = useRef<HTMLUListElement>(null);
  const isAtEnd = useRef(true);
  useEffect(() => {
    if (list.current && isAtEnd.current) {
      list.current.scrollTop = list.current.scrollHeight;
    }
  }, [lines]);
  return (
    <ul
      ref={list}
      className="jc-Operation-lines"
      tabIndex={0}
      aria-label={trans.__('Progress')}
      onScroll={({
        currentTarget: { scrollTop, scrollHeight, clientHeight }
      }) => {
        isAtEnd.current = scrollTop + clientHeight >= scrollHeight - 2;
      }}
    >
      {lines.map((line, at) => (
        <li key={at}>{line}</li>
      ))}
    </ul>
  );
}
