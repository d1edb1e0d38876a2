import { isClusterYaml } from '../rule';

const OURS = 'cluster_name: a\nprovider:\n  type: local\n';

describe('which files are cluster YAMLs', () => {
  it.each([
    ['demo.yaml', OURS],
    ['work/demo.yml', OURS],
    ['demo.YAML', OURS.replaceAll('\n', '\r\n')],
    ['demo.yaml', `# a comment\n---\n'cluster_name': a\n"provider": {}\n`],
    // by a key that only our files and Ray's have
    ['untitled.yaml', 'head_node_type: a'],
    ['untitled.yaml', 'available_node_types:\n  a: {}'],
    ['ray.yaml', 'worker_start_ray_commands: []'],
    // by their name, half written or wrong
    ['cluster.yaml', 'cluster_name: a'],
    ['cluster-gpu.yml', 'max_workers: 3\nprovder: {type: aws}'],
    ['folder/clusters/cluster.yaml', 'cluster_name: [']
  ])('%s with %j is one', (path, text) => {
    expect(isClusterYaml(path, text)).toBe(true);
  });

  it.each([
    ['demo.txt', OURS],
    ['cluster.json', OURS],
    ['cluster.yaml', ''],
    ['cluster.yaml', '# to do\n'],
    ['cluster.yaml', 'nodes:\n  - address: 10.0.0.1\n'],
    ['cluster.yaml', `apiVersion: v1\nkind: Cluster\nmetadata: {}\n`],
    ['cassandra.yaml', `cluster_name: 'Test Cluster'\nnum_tokens: 16\n`],
    ['docker-compose.yml', 'services:\n  max_workers:\n    image: a\n'],
    ['playbook.yml', '- hosts: all\n  provider: x\n  cluster_name: a\n'],
    ['values.yaml', 'auth: {}\nprovider: x\nmetadata: {}\n'],
    ['notes.yaml', 'text: |\n  head_node_type: a\n'],
    ['notes.yaml', '# head_node_type: a\nurl: head_node_type:8080\n'],
    ['huge.yaml', OURS + '#'.repeat(1_000_000)]
  ])('%s with %.40j is none', (path, text) => {
    expect(isClusterYaml(path, text)).toBe(false);
  });
});
