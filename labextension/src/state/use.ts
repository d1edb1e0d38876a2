import { useCallback, useSyncExternalStore } from 'react';
import type { IClusters } from './clusters';
import type { ClustersModel } from './model';

/** A part of what is known; a component draws anew only when that part is another one. */
export function useClusters<T>(
  model: ClustersModel,
  part: (state: IClusters) => T
): T {
  const subscribe = useCallback(
    (draw: () => void) => {
      model.changed.connect(draw);
      return () => {
        model.changed.disconnect(draw);
      };
    },
    [model]
  );
  return useSyncExternalStore(subscribe, () => part(model.state));
}
