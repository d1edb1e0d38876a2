import { PathExt } from '@jupyterlab/coreutils';
import keys from './keys.json';

/** Longer texts are no cluster YAML, and the server takes none. */
const MOST_CHARACTERS = 1_000_000;
const KEY = /^(["']?)([A-Za-z_][\w-]*)\1[ \t]*:(?=\s|$)/gm;

const OWN = new Set(keys.own);
const COMMON = new Set(keys.common);

/**
 * Whether a file is a cluster YAML, also one that is only half written.
 *
 * It is one by a key that only our files and Ray's have, by its name together with any of their
 * keys, or by the two keys that each has. Other YAML files, e.g. manifests of Kubernetes or
 * variables of Ansible, are left alone.
 */
export function isClusterYaml(path: string, text: string): boolean {
  const name = PathExt.basename(path).toLowerCase();
  if (!/\.ya?ml$/.test(name) || text.length > MOST_CHARACTERS) {
    return false;
  }
  const found = topLevelKeys(text);
  if (found.has('apiVersion') && found.has('kind')) {
    return false;
  }
  if (name.startsWith('cluster')) {
    return [...found].some(key => OWN.has(key) || COMMON.has(key));
  }
  return (
    [...found].some(key => OWN.has(key)) ||
    (found.has('cluster_name') && found.has('provider'))
  );
}

function topLevelKeys(text: string): Set<string> {
  return new Set([...text.matchAll(KEY)].map(([, , key]) => key ?? ''));
}
