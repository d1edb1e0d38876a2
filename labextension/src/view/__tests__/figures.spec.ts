import { type IRenderMime, RenderMimeRegistry } from '@jupyterlab/rendermime';
import { Widget } from '@lumino/widgets';

import { figuresOf } from '../figures';

const PLOTLY = 'application/vnd.plotly.v1+json';
const FIGURE = { data: [{ y: [1, 2] }], layout: { height: 400 } };

/** Shows what it was given. */
class Renderer extends Widget implements IRenderMime.IRenderer {
  renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.node.append(JSON.stringify(model.data[PLOTLY]));
    return Promise.resolve();
  }
}

describe('a figure', () => {
  it('is drawn by the renderer that is registered for it', () => {
    const rendermime = new RenderMimeRegistry();
    const draw = figuresOf(rendermime);
    expect(draw(FIGURE)).toBeNull();
    rendermime.addFactory({
      safe: true,
      mimeTypes: [PLOTLY],
      createRenderer: () => new Renderer()
    });
    const drawn = draw(FIGURE);
    expect(JSON.parse(drawn?.node.textContent ?? '')).toEqual(FIGURE);
    drawn?.dispose();
  });

  it('is not drawn where there is no registry', () => {
    expect(figuresOf(null)(FIGURE)).toBeNull();
  });
});
