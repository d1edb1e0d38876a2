import { classes } from '@jupyterlab/ui-components';
import { memo, type ReactElement, type ReactNode } from 'react';

import type { Cell, Column, Row, Table } from '../api/types';
import { ActionButton, type OnAction } from './ActionButton';
import { isSame, meaningClass } from './looks';
import { Meter } from './Meter';
import { Pill } from './Pill';

export interface IDataTableProps {
  table: Table;

  /** What a button in a cell does; without it there are no buttons. */
  onAction?: OnAction;

  /** What stands at the end of a row; the same function as long as it gives the same. */
  endOf?: (row: Row) => ReactNode;

  /** Whether the title and the number of rows stand above; they name the table either way. */
  hasHeading?: boolean;
}

/** Rows under headings. */
export function DataTable(props: IDataTableProps): ReactElement {
  const { table, onAction, endOf, hasHeading = true } = props;
  const count = table.count.toLocaleString('en');
  const heading = hasHeading && (
    <div className="jc-Heading" aria-hidden={!table.blank || undefined}>
      <span className="jc-Label">{table.title}</span>
      {table.count > 0 && <span className="jc-Count">{count}</span>}
    </div>
  );
  if (table.blank) {
    return (
      <div className="jc-DataTable">
        {heading}
        <p className="jc-Blank">{table.blank}</p>
      </div>
    );
  }
  return (
    <div className="jc-DataTable">
      {heading}
      <table aria-label={table.title}>
        <thead>
          <tr>
            {table.columns.map((column, at) => (
              <th key={at} scope="col" className={columnClass(column)}>
                <span className="jc-Label">{column.title}</span>
              </th>
            ))}
            {endOf && <td />}
          </tr>
        </thead>
        <tbody>
          {table.rows.map(row => (
            <Line
              key={row.key}
              row={row}
              columns={table.columns}
              onAction={onAction}
              endOf={endOf}
            />
          ))}
        </tbody>
      </table>
      {table.more && <p className="jc-Blank">{table.more}</p>}
    </div>
  );
}

interface ILineProps {
  row: Row;
  columns: readonly Column[];
  onAction: OnAction | undefined;
  endOf: ((row: Row) => ReactNode) | undefined;
}

const Line = memo(
  function Line({ row, columns, onAction, endOf }: ILineProps): ReactElement {
    return (
      <tr>
        {row.cells.map((cell, at) => (
          <Field
            key={at}
            cell={cell}
            looks={columnClass(columns[at])}
            isName={at === 0}
            onAction={onAction}
          />
        ))}
        {endOf && <td className="jc-DataTable-end">{endOf(row)}</td>}
      </tr>
    );
  },
  (one, other) =>
    one.onAction === other.onAction &&
    one.endOf === other.endOf &&
    isSame([one.row, one.columns], [other.row, other.columns])
);

interface IFieldProps {
  cell: Cell;
  looks: string;

  /** Whether the row is named by it. */
  isName: boolean;
  onAction: OnAction | undefined;
}

/** A cell of its own, since most of a row stays as it is when the time of it passes. */
const Field = memo(
  function Field({ cell, looks, isName, onAction }: IFieldProps): ReactElement {
    const { words, bar, action } = cell;
    const meaning = cell.is_state ? '' : meaningClass(words.meaning);
    const content = (
      <>
        {cell.is_state ? <Pill words={words} /> : <Text words={words} />}
        {bar && <Meter bar={bar} />}
        {action && onAction && (
          <ActionButton action={action} onAction={onAction} />
        )}
      </>
    );
    const className = classes(looks, meaning);
    return isName ? (
      <th scope="row" className={className}>
        {content}
      </th>
    ) : (
      <td className={className}>{content}</td>
    );
  },
  (one, other) =>
    one.onAction === other.onAction &&
    one.looks === other.looks &&
    isSame(one.cell, other.cell)
);

function Text({ words }: { words: Cell['words'] }): ReactElement {
  return words.hint ? (
    <span title={words.hint}>
      {words.text}
      <span className="jc-Unseen">: {words.hint}</span>
    </span>
  ) : (
    <>{words.text}</>
  );
}

function columnClass(column: Column | undefined): string {
  return classes(
    column?.is_number ? 'jc-mod-number' : '',
    column?.is_optional ? 'jc-mod-optional' : ''
  );
}
