import { Dialog, ReactWidget, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReactElement } from 'react';
import type { Controls, Limit, ScaleRequest } from '../api/types';
import { NumberField } from './fields';

const MOST = 100_000;

/** Asks for the limits of a cluster; null where nothing is to change. */
export async function askLimits(
  cluster: string,
  controls: Controls,
  trans: TranslationBundle
): Promise<ScaleRequest | null> {
  const { button, value } = await showDialog({
    title: trans.__('Limits of cluster %1', cluster),
    body: new LimitsForm(controls.limits),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.okButton({ label: trans.__('Apply') })
    ],
    focusNodeSelector: 'input'
  });
  return button.accept && value ? changes(controls.limits, value) : null;
}

/** What is asked of the server so that limits become these; null where none is another. */
export function changes(
  limits: readonly Limit[],
  wanted: ReadonlyMap<string, number>
): ScaleRequest | null {
  const changed = limits
    .map(
      ({ node_type, value }) =>
        [node_type, wanted.get(node_type) ?? value, value] as const
    )
    .filter(([, now, before]) => now !== before)
    .map(([type, now]) => [type, now] as const);
  const most = changed.find(([type]) => type === '');
  const least = changed.filter(([type]) => type !== '');
  if (changed.length === 0) {
    return null;
  }
  return {
    ...(most && { max_workers: most[1] }),
    ...(least.length > 0 && { min_workers: Object.fromEntries(least) })
  };
}

class LimitsForm
  extends ReactWidget
  implements Dialog.IBodyWidget<ReadonlyMap<string, number>>
{
  constructor(private readonly limits: readonly Limit[]) {
    super();
    this.addClass('jc-Form');
  }

  getValue(): ReadonlyMap<string, number> {
    return this.wanted;
  }

  protected override render(): ReactElement {
    return (
      <>
        {this.limits.map(limit => (
          <NumberField
            key={limit.node_type}
            label={limit.before}
            unit={limit.after}
            value={limit.value}
            min={0}
            max={MOST}
            onChange={count => {
              if (count !== null) {
                this.wanted.set(limit.node_type, count);
              }
            }}
          />
        ))}
      </>
    );
  }

  private readonly wanted = new Map<string, number>();
}
