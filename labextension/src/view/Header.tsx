import type { TranslationBundle } from '@jupyterlab/translation';
import { terminalIcon } from '@jupyterlab/ui-components';
import type { ReactElement } from 'react';

import type { ClusterView } from '../api/types';
import { Pill } from '../elements';
import { IconButton } from './IconButton';
import type { Freshness } from './source';

export interface IHeaderProps {
  view: ClusterView;
  freshness: Freshness;
  why: string;

  /** Opens a terminal on a node. */
  onAttach: (node: string) => void;
  trans: TranslationBundle;
}

/** Which cluster it is, how it stands, and what keeps it from working. */
export function Header(props: IHeaderProps): ReactElement {
  const { view, freshness, onAttach, trans } = props;
  const isGone = freshness === 'gone';
  const isKnownToEnd = view.state.meaning === 'off';
  const old = oldWords(props, trans);
  return (
    <header className="jc-Header">
      <div className="jc-Header-title">
        <h2 className="jc-Header-name">{view.name}</h2>
        {(!isGone || isKnownToEnd) && (
          <Pill words={{ ...view.state, hint: '' }} />
        )}
        {view.state.hint && <span>{view.state.hint}</span>}
        <span className="jc-Header-place">{view.place}</span>
        {view.controls && !isGone && (
          <IconButton
            icon={terminalIcon}
            label={trans.__('Terminal on the head of %1', view.name)}
            onClick={() => onAttach('head')}
          />
        )}
      </div>
      {old && !(isGone && isKnownToEnd) && (
        <p className="jc-Notice jc-mod-warn" role="status">
          {old}
        </p>
      )}
      {view.blank && <p className="jc-Blank">{view.blank}</p>}
      {view.problems.map(problem => (
        <p key={problem} className="jc-Notice jc-mod-bad">
          {problem}
        </p>
      ))}
    </header>
  );
}

/** Why what is shown is old; empty where it is not. */
function oldWords(
  { freshness, why }: IHeaderProps,
  trans: TranslationBundle
): string {
  const last = trans.__('This is what was seen last.');
  switch (freshness) {
    case 'fresh':
      return '';
    case 'away':
      return `${trans.__('The Jupyter server does not answer; trying again.')} ${why} ${last}`;
    case 'gone':
      return `${why || trans.__('This cluster has ended.')} ${last}`;
  }
}
