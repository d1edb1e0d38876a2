import { Dialog, ReactWidget, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReactElement } from 'react';
import type { Bill } from '../api/types';
import { DataTable } from '../elements';

/** Shows what a cluster costs. */
export async function showBill(
  cluster: string,
  bill: Bill,
  trans: TranslationBundle
): Promise<void> {
  await showDialog({
    title: trans.__('Cost of cluster %1', cluster),
    body: new BillBody(bill),
    buttons: [Dialog.okButton({ label: trans.__('Close') })]
  });
}

class BillBody extends ReactWidget {
  constructor(private readonly bill: Bill) {
    super();
    this.addClass('jc-Plan');
  }

  protected override render(): ReactElement {
    const { said, table } = this.bill;
    return (
      <>
        <p>{said}</p>
        {table && <DataTable table={table} />}
      </>
    );
  }
}
