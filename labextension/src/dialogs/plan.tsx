import { Dialog, ReactWidget, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReactElement } from 'react';
import type { Plan } from '../api/types';
import { DataTable } from '../elements';

/** Shows what starting a cluster would do and cost, and asks whether to. */
export async function confirmPlan(
  plan: Plan,
  trans: TranslationBundle
): Promise<boolean> {
  const { button } = await showDialog({
    title: trans.__('Start cluster %1', plan.cluster),
    body: new PlanBody(plan),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.okButton({ label: trans.__('Start') })
    ]
  });
  return button.accept;
}

class PlanBody extends ReactWidget {
  constructor(private readonly plan: Plan) {
    super();
    this.addClass('jc-Plan');
  }

  protected override render(): ReactElement {
    return <PlanView plan={this.plan} />;
  }
}

/** A plan: what it would do, on which machines, what is to be known, and the question. */
export function PlanView({ plan }: { plan: Plan }): ReactElement {
  return (
    <>
      {plan.lines.map((line, at) => (
        <p key={at}>{line}</p>
      ))}
      {plan.table && <DataTable table={plan.table} hasHeading={false} />}
      {plan.notices.length > 0 && (
        <ul className="jc-Plan-notices">
          {plan.notices.map((notice, at) => (
            <li key={at}>{notice}</li>
          ))}
        </ul>
      )}
      {plan.question && <p className="jc-Plan-question">{plan.question}</p>}
    </>
  );
}
