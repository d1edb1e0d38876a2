import { classes } from '@jupyterlab/ui-components';
import { type FormEvent, type ReactElement, useRef } from 'react';

import type { Controls, Limit, ScaleRequest } from '../api/types';
import { ActionButton, type OnAction } from '../elements';
import { useEdits } from './useEdits';

const MOST_NODES = 100_000;

export interface ILimitsProps {
  controls: Controls;

  /** Whether it was done. */
  onScale: (limits: ScaleRequest) => Promise<boolean>;
  onAction: OnAction;
}

/** The limits of a cluster, to be changed, and its end. */
export function Limits(props: ILimitsProps): ReactElement {
  const { controls, onScale, onAction } = props;
  const { limits, scale, down } = controls;
  const form = useRef<HTMLFormElement>(null);
  const edits = useEdits(limits);
  const apply = async (): Promise<void> => {
    const changed = edits.changed();
    if (changed.length && form.current?.reportValidity()) {
      if (await onScale(asRequest(changed))) {
        edits.sent();
      }
    }
  };
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    void apply();
  };
  return (
    <div className="jc-Limits">
      <form ref={form} onSubmit={submit} className="jc-Limits-form">
        {limits.map(limit => (
          <Field
            key={limit.node_type}
            limit={limit}
            text={edits.textOf(limit)}
            onText={text => edits.edit(limit, text)}
            onLeave={() => edits.leave(limit)}
          />
        ))}
        <ActionButton
          action={scale}
          onAction={apply}
          isIdle={!edits.changed().length}
        />
      </form>
      <ActionButton action={down} onAction={onAction} />
    </div>
  );
}

interface IFieldProps {
  limit: Limit;
  text: string;
  onText: (text: string) => void;
  onLeave: () => void;
}

function Field(props: IFieldProps): ReactElement {
  const { limit, text, onText, onLeave } = props;
  const isEdited = text !== String(limit.value);
  return (
    <label className={classes('jc-Limit', isEdited ? 'jc-mod-edited' : '')}>
      <span className="jc-Label">{limit.before}</span>
      <input
        type="number"
        required
        min={0}
        max={MOST_NODES}
        step={1}
        value={text}
        onChange={event => onText(event.target.value)}
        onKeyDown={event => event.key === 'Escape' && onLeave()}
        onBlur={() => isEdited || onLeave()}
      />
      <span>{limit.after}</span>
    </label>
  );
}

/** Only what was changed is asked for: another may have changed the rest. */
function asRequest(changed: readonly [Limit, number][]): ScaleRequest {
  const most = changed.find(([limit]) => !limit.node_type);
  const least = changed.filter(([limit]) => limit.node_type);
  return {
    ...(most && { max_workers: most[1] }),
    ...(least.length && {
      min_workers: Object.fromEntries(
        least.map(([limit, value]) => [limit.node_type, value])
      )
    })
  };
}
