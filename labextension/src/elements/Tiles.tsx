import { classes } from '@jupyterlab/ui-components';
import type { ReactElement } from 'react';

import type { Tile } from '../api/types';
import { meaningClass } from './looks';

export interface ITilesProps {
  tiles: readonly Tile[];
}

/** The figures that one looks at first. */
export function Tiles({ tiles }: ITilesProps): ReactElement {
  return (
    <dl className="jc-Tiles">
      {tiles.map(tile => (
        <div
          key={tile.label}
          className={classes('jc-Tile', meaningClass(tile.meaning))}
        >
          <dt className="jc-Tile-label jc-Label">{tile.label}</dt>
          <dd className="jc-Tile-value">{tile.value}</dd>
          <dd className="jc-Tile-below">{tile.below}</dd>
        </div>
      ))}
    </dl>
  );
}
