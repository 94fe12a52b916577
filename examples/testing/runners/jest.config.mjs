/** The packages are read from their sources, whose types only need to be taken out. */
export default {
  rootDir: import.meta.dirname,
  testMatch: ['**/jest.spec.mjs'],
  moduleFileExtensions: ['mjs', 'ts', 'js', 'json', 'cjs', 'node'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/strip-types.cjs' },
  testEnvironmentOptions: { customExportConditions: ['@lifeguard/source', 'node'] },
};
