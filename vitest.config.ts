import { defineConfig } from 'vitest/config';

const long = process.env['LIFEGUARD_LONG'] === '1';

export default defineConfig({
  // Tests read the packages' sources, so they need no build.
  ssr: { resolve: { conditions: ['@lifeguard/source', 'module', 'node', 'development|production'] } },
  test: {
    include: ['{packages/*,testkit,tools,conformance,examples/*}/test/**/*.test.ts'],
    exclude: ['**/node_modules/**', ...(long ? [] : ['**/*.long.test.ts'])],
    globalSetup: ['testkit/src/global-setup.ts'],
    reporters: ['default', './tools/summary-reporter.ts'],
    execArgv: ['--expose-gc'],
    testTimeout: long ? 900_000 : 15_000,
    hookTimeout: 30_000,
    coverage: { include: ['packages/*/src/**'] },
    // The cache does not notice a changed tsconfig.
    fsModuleCache: false,
  },
});
