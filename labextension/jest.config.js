const ofJupyterLab = require('@jupyterlab/testing/lib/jest-config');

// Packages that ship ES modules only.
const esModules = [
  '@codemirror',
  '@jupyter',
  '@jupyterlab',
  '@marijn',
  '@microsoft',
  'color',
  'exenv-es6',
  'lib0',
  'marked',
  'nanoid',
  'vscode-ws-jsonrpc',
  'y-protocols',
  'y-websocket',
  'yjs'
].join('|');

module.exports = {
  ...ofJupyterLab(__dirname),
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  reporters: ['default'],
  testRegex: '/src/.*\\.spec\\.tsx?$',
  transformIgnorePatterns: [`/node_modules/(?!(${esModules})[/-])`]
};
