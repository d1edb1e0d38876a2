import type { TranslationBundle } from '@jupyterlab/translation';
import { refreshIcon } from '@jupyterlab/ui-components';
import { type ReactElement, useCallback } from 'react';

import { IconButton } from './IconButton';
import { plainText } from './logs';
import type { IClusterSource } from './source';
import { useAnswer } from './useAnswer';

export interface ISetUpLogProps {
  node: string;
  requests: Pick<IClusterSource, 'nodeLog'>;
  trans: TranslationBundle;
}

/** What setting up a node has written, as it was when it was asked for. */
export function SetUpLog(props: ISetUpLogProps): ReactElement {
  const { node, requests, trans } = props;
  const ask = useCallback(() => requests.nodeLog(node), [requests, node]);
  const { answer, problem, isAsking, askAgain } = useAnswer(ask);
  const text = answer?.text ?? '';
  return (
    <>
      <div className="jc-LogView-bar">
        <span>
          {isAsking
            ? trans.__('Asking the head …')
            : trans.__('What setting up %1 has written', node)}
        </span>
        <IconButton
          icon={refreshIcon}
          label={trans.__('Ask again')}
          onClick={askAgain}
        />
      </div>
      {problem && (
        <p className="jc-Notice jc-mod-bad" role="alert">
          {problem}
        </p>
      )}
      {answer && !text && (
        <p className="jc-Blank">{trans.__('It has written nothing.')}</p>
      )}
      {text && (
        <div className="jc-LogView-place">
          <pre className="jc-LogView-lines" tabIndex={0}>
            {text.split('\n').map(plainText).join('\n')}
          </pre>
        </div>
      )}
    </>
  );
}
