import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { PartialJSONObject } from '@lumino/coreutils';
import type { Widget } from '@lumino/widgets';

import type { Figure } from '../api/types';

const PLOTLY = 'application/vnd.plotly.v1+json';

/** Draws a figure; null where nothing in this JupyterLab can. */
export type DrawFigure = (figure: Figure) => Widget | null;

/** Draws figures with what JupyterLab would draw them with in a notebook. */
export function figuresOf(rendermime: IRenderMimeRegistry | null): DrawFigure {
  return figure => {
    if (!rendermime?.mimeTypes.includes(PLOTLY)) {
      return null;
    }
    const data = { [PLOTLY]: figure as unknown as PartialJSONObject };
    const renderer = rendermime.createRenderer(PLOTLY);
    // It comes from the server that JupyterLab comes from.
    void renderer.renderModel(rendermime.createModel({ data, trusted: true }));
    return renderer;
  };
}
