export default {
  ssr: { resolve: { conditions: ['@lifeguard/source', 'module', 'node'] } },
  test: { include: ['vitest.spec.mjs'] },
};
