import type { TranslationBundle } from '@jupyterlab/translation';
import { refreshIcon } from '@jupyterlab/ui-components';
import { MessageLoop } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import { type ReactElement, useCallback, useLayoutEffect, useRef } from 'react';

import type { Figure } from '../api/types';
import type { DrawFigure } from './figures';
import { IconButton } from './IconButton';
import type { IClusterSource } from './source';
import { useAnswer } from './useAnswer';

// Pixels, of a figure that says no height.
const LEAST_HEIGHT = 420;

export interface IFigureViewProps {
  requests: Pick<IClusterSource, 'figure'>;
  draw: DrawFigure;
  trans: TranslationBundle;
}

/** The whole course of a cluster, as it was when it was asked for. */
export function FigureView(props: IFigureViewProps): ReactElement {
  const { requests, draw, trans } = props;
  const ask = useCallback(() => requests.figure(), [requests]);
  const { answer, problem, isAsking, askAgain } = useAnswer(ask);
  return (
    <div className="jc-FigureView">
      <div className="jc-LogView-bar">
        <span>
          {isAsking
            ? trans.__('Asking for the whole course …')
            : trans.__('From the first event to now')}
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
      {answer && <Drawn figure={answer} draw={draw} trans={trans} />}
    </div>
  );
}

interface IDrawnProps {
  figure: Figure;
  draw: DrawFigure;
  trans: TranslationBundle;
}

/** A widget of JupyterLab's in the place that React gives it. */
function Drawn({ figure, draw, trans }: IDrawnProps): ReactElement {
  const place = useRef<HTMLDivElement>(null);
  const blank = useRef<HTMLParagraphElement>(null);
  useLayoutEffect(() => {
    const host = place.current;
    const widget = draw(figure);
    if (blank.current) {
      blank.current.hidden = widget !== null;
    }
    if (!host || !widget) {
      return;
    }
    Widget.attach(widget, host);
    const watch = new ResizeObserver(() =>
      MessageLoop.postMessage(widget, Widget.ResizeMessage.UnknownSize)
    );
    watch.observe(host);
    return () => {
      watch.disconnect();
      widget.dispose();
    };
  }, [figure, draw]);
  return (
    <>
      <p className="jc-Blank" ref={blank} hidden>
        {trans.__(
          'Nothing in this JupyterLab draws plotly figures. To see it, install plotly where JupyterLab runs (pip install plotly) and load this page again; cluster.plot() in a notebook shows the same.'
        )}
      </p>
      <div
        className="jc-FigureView-place"
        style={{ minHeight: heightOf(figure) }}
        ref={place}
      />
    </>
  );
}

/** The height that a figure was made for: a lower one would lay its words over one another. */
function heightOf(figure: Figure): number {
  const { height } = figure.layout;
  return typeof height === 'number' ? height : LEAST_HEIGHT;
}
